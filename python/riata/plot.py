"""Pictures of dictionaries and of learning. Needs matplotlib, imported when used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._arguments import Array, as_int, as_matrix, as_pair, as_size, as_text, shown
from ._results import ValidationCurve

__all__ = ["convergence", "dictionary", "mosaic", "validation_curve"]


def mosaic(
    D: Any, patch_shape: tuple[int, int] | None = None, columns: int | None = None, gap: int = 1
) -> Array:
    """Atoms as one image, each stretched to its own range [-1, 1] around zero; gaps are 1 (white).

    Parameters
    ----------
    D : array (n_atoms, height * width)
        Dictionary of image patches.
    patch_shape : (height, width), optional
        Square by default.
    columns : int, optional
        Atoms per row; nearly square by default.
    gap : int
        Pixels between atoms.

    Returns
    -------
    ndarray (rows, columns)

    Examples
    --------
    >>> import riata.plot
    >>> riata.plot.mosaic(riata.datasets.dct_dictionary(64, 256)).shape
    (145, 145)
    """
    where = "mosaic"
    D = as_matrix(where, "D", D)
    n_atoms, n_features = D.shape
    sides = (math.isqrt(n_features),) * 2 if patch_shape is None else as_pair(where, "patch_shape", patch_shape, "(height, width)")
    height, width = (as_size(where, "patch_shape", side) for side in sides)
    if height * width != n_features or height < 1 or n_atoms == 0:
        raise ValueError(
            f"mosaic: {n_atoms} atoms of {n_features} features are no patches of {height} x {width}; give patch_shape"
        )
    columns = math.ceil(math.sqrt(n_atoms)) if columns is None else as_int(where, "columns", columns)
    gap = as_int(where, "gap", gap)
    for name, value, least in (("columns", columns, 1), ("gap", gap, 0)):
        if value < least:
            raise ValueError(f"{where}: {name} = {value}, must be >= {least}")
    rows = math.ceil(n_atoms / columns)
    image = np.ones((rows * (height + gap) + gap, columns * (width + gap) + gap), dtype=D.dtype)
    for i, atom in enumerate(D):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        image[top : top + height, left : left + width] = atom.reshape(height, width) / (
            np.abs(atom).max() or 1
        )
    return image


def dictionary(D: Any, patch_shape: tuple[int, int] | None = None, ax: Any = None) -> Any:
    """Draw the atoms: a mosaic where they are square patches (or `patch_shape` is given), else as curves.

    Parameters
    ----------
    D : array (n_atoms, n_features)
        Dictionary.
    patch_shape : (height, width), optional
        Of the patches.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    D = as_matrix("dictionary", "D", D)
    if D.size == 0:
        raise ValueError(f"dictionary: D has shape {D.shape}, expected at least one atom of one feature")
    ax = _new_axes() if ax is None else ax
    if patch_shape is None and math.isqrt(D.shape[1]) ** 2 != D.shape[1]:
        spread = 2 * np.abs(D).max()
        ax.plot(D.T - spread * np.arange(len(D)), linewidth=1, color="C0")
        ax.set(xlabel="feature", yticks=[])
    else:
        ax.imshow(mosaic(D, patch_shape), cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
        ax.set_axis_off()
    return ax


def convergence(results: Any, ax: Any = None, against: str = "iterations") -> Any:
    """Draw the objective's course above the smallest value seen, on a logarithmic scale.

    Parameters
    ----------
    results : LearnResult or mapping of names to LearnResult
        One curve each.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    against : {"iterations", "seconds"}
        The horizontal axis.

    Returns
    -------
    matplotlib Axes
    """
    if as_text("convergence", "against", against) not in ("iterations", "seconds"):
        raise ValueError(f"convergence: against = {against!r}, must be 'iterations' or 'seconds'")
    named = results if isinstance(results, Mapping) else {"": results}
    for result in named.values():
        if not (hasattr(result, "history") and hasattr(result, "initial_value")):
            raise TypeError(f"convergence: results holds {shown(result)}, expected what learn_dictionary returns")
    if not named:
        raise ValueError("convergence: results is empty, expected at least one")
    values = {name: np.append(result.initial_value, result.history.value) for name, result in named.items()}
    smallest = min(value.min() for value in values.values())
    ax = _new_axes() if ax is None else ax
    for name, result in named.items():
        seconds = np.append(0.0, result.history.seconds)
        x = seconds if against == "seconds" else np.arange(len(seconds))
        above = values[name] - smallest
        ax.plot(x[above > 0], above[above > 0], label=name or None)
    ax.set(yscale="log", xlabel=against, ylabel="objective above the smallest")
    if len(named) > 1:
        ax.legend()
    return ax


def validation_curve(curve: ValidationCurve, axes: Any = None) -> Any:
    """Draw what to choose the weight and the number of atoms by: objective, stability, what is explained, and by how many atoms.

    Parameters
    ----------
    curve : ValidationCurve
        Of `riata.validation_curve`. A line is a weight, or all numbers of atoms where there is one number alone; bars reach from the
        smallest to the largest of the runs.
    axes : four matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    array of four matplotlib Axes

    Examples
    --------
    >>> import riata
    >>> X = riata.datasets.planted(n_features=10, n_atoms=15, n_signals=500, density=0.2).signals
    >>> curve = riata.validation_curve(X, [10, 15], [0.1, 0.2], batch_size=100, max_iter=30)
    >>> len(riata.plot.validation_curve(curve))  # doctest: +SKIP
    4
    """
    if axes is None:
        _new_axes().remove()
        import matplotlib.pyplot as plt

        figure = plt.gcf()
        figure.set_layout_engine("constrained")
        axes = figure.subplots(2, 2).ravel()
    axes = np.ravel(axes)
    by_reg = len(curve.n_atoms) == 1 and len(curve.regs) > 1
    drawn = {"objective, held out": curve.objective, "stability": curve.stability[..., None],
             "energy explained": curve.explained, "atoms per signal": curve.n_nonzero}  # fmt: skip
    for ax, (name, values) in zip(axes, drawn.items()):
        lines = [values[0]] if by_reg else [values[:, k] for k in range(values.shape[1])]
        x = np.arange(len(curve.regs)) if by_reg else curve.n_atoms
        for k, line in enumerate(lines):
            mean, low, high = line.mean(axis=1), line.min(axis=1), line.max(axis=1)
            label = None if by_reg or not curve.regs else f"reg = {curve.regs[k]}"
            ax.errorbar(x, mean, np.maximum(0, [mean - low, high - mean]), fmt="o-", ms=3, capsize=2, label=label)
        if by_reg:
            ax.set_xticks(x, [str(reg) for reg in curve.regs])
        ax.set(xlabel="reg" if by_reg else "number of atoms", ylabel=name)
    if not by_reg and len(curve.regs) > 1:
        axes[0].legend(fontsize="small")
    return axes


def _new_axes() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("riata.plot needs matplotlib: pip install matplotlib") from error
    return plt.figure().add_subplot()
