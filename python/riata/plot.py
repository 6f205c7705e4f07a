"""Pictures of dictionaries, of patterns in recordings and of learning. Needs matplotlib, imported when used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._arguments import (
    Array,
    as_array,
    as_float,
    as_float_array,
    as_int,
    as_labels,
    as_matrix,
    as_names,
    as_pair,
    as_size,
    as_text,
    shown,
)
from ._results import ConvEncodeResult, ExplainedVariance, ValidationCurve
from .convolution import as_trials

__all__ = [
    "activations",
    "average_around_events",
    "convergence",
    "dictionary",
    "explained_variance",
    "mosaic",
    "patterns",
    "validation_curve",
]

_FEW_CHANNELS, _FEW_ATOMS = 12, 5


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


def patterns(model: Any, sfreq: float | None = None, ch_names: Any = None, info: Any = None, figure: Any = None) -> Any:
    """Draw patterns of recordings: above, their course in time; below, their loadings on the channels.

    Of patterns of rank one there is one course, in the sign that makes its largest sample positive; of others a line for each
    channel, in the colour of its bar, and the loadings are the norms.

    Parameters
    ----------
    model : ConvolutionalDictionaryLearning, PatternsResult, array (n_atoms, n_channels, n_times_atom) or a pair (u, v)
        The patterns.
    sfreq : float, optional
        Samples per second; without it time is in samples. That of `info` by default.
    ch_names : sequence of str, optional
        Names of the channels; those of `info` by default.
    info : mne.Info, optional
        Of the recordings: loadings are drawn as maps of the scalp, of magnetometers if there are some, else of gradiometers,
        else of EEG. Needs MNE-Python.
    figure : matplotlib Figure, optional
        Where to draw; a new one by default.

    Returns
    -------
    array (2, n_atoms) of matplotlib Axes
        Courses and loadings.

    Examples
    --------
    >>> import numpy as np, riata
    >>> v = np.sin(np.linspace(0, 6, 50))[None]
    >>> riata.plot.patterns((np.array([[0.6, 0.8]]), v), sfreq=100).shape  # doctest: +SKIP
    (2, 1)
    """
    where = "patterns"
    courses, loadings, is_rank_one = _courses_and_loadings(where, model)
    n_atoms, n_channels = loadings.shape
    if info is not None:
        sfreq, ch_names = info["sfreq"] if sfreq is None else sfreq, info["ch_names"] if ch_names is None else ch_names
    names = None if ch_names is None else as_names(where, "ch_names", ch_names)
    if names is not None and len(names) != n_channels:
        raise ValueError(f"{where}: ch_names has {len(names)} names, but patterns have {n_channels} channels; they must be equal")
    times, unit = _times(where, courses.shape[2], sfreq)
    columns = min(n_atoms, _FEW_ATOMS)
    blocks = math.ceil(n_atoms / columns)
    if figure is None:
        figure = _new_figure(figsize=(2.4 * columns + 0.6, 3.4 * blocks))
    grid = figure.subplots(2 * blocks, columns, squeeze=False, height_ratios=[1.2, 1] * blocks)
    axes = np.array([[grid[2 * (k // columns) + row, k % columns] for k in range(n_atoms)] for row in (0, 1)], dtype=object)
    for ax in set(grid.ravel()) - set(axes.ravel()):
        ax.remove()
    for k, (top, below) in enumerate(axes.T):
        top.axhline(0, color="0.85", linewidth=0.8, zorder=0)
        if n_channels <= _FEW_CHANNELS or is_rank_one:
            for c, line in enumerate(courses[k]):
                top.plot(times, line, color=f"C{(k if is_rank_one else c) % 10}", linewidth=1.5)
        else:
            top.plot(times, courses[k].T, color=f"C{k % 10}", linewidth=0.5, alpha=0.6)
        top.set(title=f"atom {k}", xlabel=unit, xlim=(times[0], times[-1]) if len(times) > 1 else None, yticks=[])
        top.title.set_fontsize("medium")
        _without_frame(top, "left")
        if info is not None:
            _draw_map(where, loadings[k], info, below)
        else:
            below.axhline(0, color="0.85", linewidth=0.8, zorder=0)
            by_channel = not is_rank_one and n_channels <= _FEW_CHANNELS
            colors = [f"C{(c if by_channel else k) % 10}" for c in range(n_channels)]
            below.bar(np.arange(n_channels), loadings[k], color=colors, width=0.7)
            _without_frame(below)
            below.set_ylim((1.08 * min(0, loadings.min()), 1.08 * max(0, loadings.max()) or 1))
            below.tick_params(axis="y", labelleft=k % columns == 0, labelsize="small")
            below.set(xlabel="channel" if names is None else None, xlim=(-0.8, n_channels - 0.2))
            if n_channels <= _FEW_CHANNELS:
                labels = [str(c) for c in range(n_channels)] if names is None else names
                turned = sum(map(len, labels)) > 16
                below.set_xticks(np.arange(n_channels), labels, rotation=90 if turned else 0, fontsize="small")
    if info is None:
        for row in range(blocks):
            axes[1, row * columns].set_ylabel("loading" if is_rank_one else "norm")
    return axes


def activations(Z: Any, sfreq: float | None = None, ax: Any = None) -> Any:
    """Draw when patterns are active: a row for each, or for each of its trials, and a stroke for each activation.

    Strokes are as long as activations are large, over the atom's largest; those below zero point down.

    Parameters
    ----------
    Z : array (n_trials, n_atoms, n_positions) or (n_atoms, n_positions), or ConvEncodeResult
        Activations; what is `"csr"` in a result is not drawn.
    sfreq : float, optional
        Samples per second; without it time is in samples.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    where = "activations"
    codes = as_float_array(where, "Z", Z.codes if isinstance(Z, ConvEncodeResult) else Z)
    codes = codes[np.newaxis] if codes.ndim == 2 else codes
    if codes.ndim != 3 or codes.size == 0:
        raise ValueError(f"{where}: Z has shape {codes.shape}, expected (n_trials, n_atoms, n_positions)")
    n_trials, n_atoms, n_positions = codes.shape
    times, unit = _times(where, n_positions, sfreq)
    if ax is None:
        ax = _new_figure(figsize=(8, min(8, 0.8 + max(0.45, 0.12 * n_trials) * n_atoms))).add_subplot()
    for k in range(n_atoms):
        largest = np.abs(codes[:, k]).max() or 1
        ax.axhspan((k - 0.5) * n_trials, (k + 0.5) * n_trials, color="0.96" if k % 2 else "1", zorder=0)
        for trial in range(n_trials):
            row = (k - 0.5) * n_trials + trial + (0.9 if codes[:, k].min() >= 0 else 0.5)
            active = np.flatnonzero(codes[trial, k])
            height = (0.8 if codes[:, k].min() >= 0 else 0.45) * codes[trial, k, active] / largest
            ax.vlines(times[active], row, row - height, color=f"C{k % 10}", linewidth=1.4)
    ax.set_yticks(np.arange(n_atoms) * n_trials, [f"atom {k}" for k in range(n_atoms)])
    ax.set(xlabel=unit, xlim=(times[0], times[-1] or 1), ylim=((n_atoms - 0.5) * n_trials, -0.5 * n_trials))
    _without_frame(ax, "left")
    ax.tick_params(axis="y", length=0)
    return ax


def average_around_events(
    X: Any, events: Any, sfreq: float | None = None, window: Any = None, ch_names: Any = None, axes: Any = None
) -> Any:
    """Draw the recordings around events: for each channel the mean, and the middle half of them as a band.

    Parameters
    ----------
    X : array (n_trials, n_channels, n_times), (n_channels, n_times) with events of one trial
        Recordings.
    events : array (n_events,), or (n_events, 2) of trial and sample
        Samples, as one entry of what `events` of a ConvolutionalDictionaryLearning returns. Those whose window leaves the trial are
        left out.
    sfreq : float, optional
        Samples per second; without it time is in samples.
    window : (float, float), optional
        Begin and end around the event, in seconds, or samples without `sfreq`; by default half of the median distance of events.
    ch_names : sequence of str, optional
        Names of the channels.
    axes : sequence of matplotlib Axes, optional
        One for each channel; a new figure by default.

    Returns
    -------
    array of matplotlib Axes
        One for each channel.
    """
    where = "average_around_events"
    given = as_array(where, "events", events)
    if given.ndim not in (1, 2) or given.ndim == 2 and given.shape[1] != 2:
        raise ValueError(f"{where}: events have shape {given.shape}, expected (n_events,) or (n_events, 2): those of one atom")
    places = np.asarray(as_labels(where, "events", given.ravel()))
    array = as_float_array(where, "X", X)
    trials, n_channels, n_times = as_trials(where, array[np.newaxis] if array.ndim == 2 else array)
    trials = trials.reshape(-1, n_channels, n_times)
    if given.ndim == 2:
        of_trial, places = places.reshape(-1, 2).T
    elif len(trials) == 1:
        of_trial = np.zeros(len(places), int)
    else:
        raise ValueError(f"{where}: events have shape {given.shape}, expected (n_events, 2) of {len(trials)} trials")
    if len(places) and not (0 <= of_trial.min() and of_trial.max() < len(trials)):
        raise ValueError(f"{where}: events name trial {of_trial.max()}, but X has {len(trials)}")
    rate = 1.0 if sfreq is None else _rate(where, sfreq)
    if window is None:
        same = of_trial[1:] == of_trial[:-1]
        between = np.diff(places)[same]
        before = after = max(1, int(np.median(between)) // 2) if len(between) else max(1, n_times // 10)
    else:
        begin, end = (as_float(where, "window", side) for side in as_pair(where, "window", window, "(begin, end)"))
        if not begin < end or not math.isfinite(end - begin):
            raise ValueError(f"{where}: window = ({begin:g}, {end:g}), must be (begin, end) with begin < end")
        before, after = -round(begin * rate), round(end * rate)
    fits = (places - before >= 0) & (places + after < n_times)
    if not fits.any():
        raise ValueError(f"{where}: of {len(places)} events none has a window of {before + after + 1} samples within its trial")
    pieces = np.stack([trials[i, :, t - before : t + after + 1] for i, t in zip(of_trial[fits], places[fits])])
    times, unit = np.arange(-before, after + 1) / rate, "time from the event (samples)" if sfreq is None else "time from the event (s)"
    names = [f"channel {c}" for c in range(n_channels)] if ch_names is None else as_names(where, "ch_names", ch_names)
    if len(names) != n_channels:
        raise ValueError(f"{where}: ch_names has {len(names)} names, but X has {n_channels} channels; they must be equal")
    if axes is None:
        figure = _new_figure(figsize=(5, 0.8 + 1.6 * min(n_channels, 8)))
        axes = figure.subplots(n_channels, 1, sharex=True, squeeze=False)
    axes = np.ravel(axes)
    if len(axes) != n_channels:
        raise ValueError(f"{where}: axes has {len(axes)} axes, but X has {n_channels} channels; they must be equal")
    for c, ax in enumerate(axes):
        low, high = np.percentile(pieces[:, c], [25, 75], axis=0)
        ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
        ax.fill_between(times, low, high, color=f"C{c % 10}", alpha=0.25, linewidth=0)
        ax.plot(times, pieces[:, c].mean(axis=0), color=f"C{c % 10}", linewidth=1.5)
        ax.set(ylabel=names[c], xlim=(times[0], times[-1]))
        _without_frame(ax)
    axes[0].set_title(f"mean of {len(pieces)} events, and the middle half", fontsize="medium")
    axes[-1].set_xlabel(unit)
    return axes


def explained_variance(model: Any, X: Any = None, ax: Any = None) -> Any:
    """Draw how much of the recordings each pattern explains, the largest first.

    Parameters
    ----------
    model : ConvolutionalDictionaryLearning or ExplainedVariance
        A fitted model, or what its `explained_variance_ratio` returned.
    X : array (n_trials, n_channels, n_times), optional
        Of a model: recordings.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    where = "explained_variance"
    if not isinstance(model, ExplainedVariance):
        if not hasattr(model, "explained_variance_ratio"):
            raise TypeError(f"{where}: model = {shown(model)}, expected a ConvolutionalDictionaryLearning or an ExplainedVariance")
        model = model.explained_variance_ratio(X)
    order = np.argsort(-model.per_atom, kind="stable")
    if ax is None:
        ax = _new_figure(figsize=(min(10, 2 + 0.6 * len(order)), 3)).add_subplot()
    bars = ax.bar(np.arange(len(order)), 100 * model.per_atom[order], color=[f"C{k % 10}" for k in order], width=0.7)
    if len(order) <= 20:
        ax.bar_label(bars, fmt="%.1f", fontsize="small", padding=2)
        ax.margins(y=0.12)
        ax.set_xticks(np.arange(len(order)), [str(k) for k in order])
    ax.set(xlabel="atom", ylabel="energy explained (%)")
    ax.set_title(f"{model.total:.1%} by all", fontsize="medium")
    _without_frame(ax)
    return ax


def _courses_and_loadings(where: str, model: Any) -> tuple[Array, Array, bool]:
    """(n_atoms, lines, n_times_atom), (n_atoms, n_channels), and whether there is one line."""
    if isinstance(model, tuple):
        u, v = as_pair(where, "model", model, "a pair (u, v)")
        u, v = as_matrix(where, "u", u, "(n_atoms, n_channels)"), as_matrix(where, "v", v, "(n_atoms, n_times_atom)")
        if len(u) != len(v) or u.size == 0 or v.size == 0:
            raise ValueError(f"{where}: u has shape {u.shape} and v {v.shape}, expected (n_atoms, n_channels) and (n_atoms, n_times_atom)")
        sign = np.sign(v[np.arange(len(v)), np.abs(v).argmax(axis=1)])[:, np.newaxis]
        return (sign * v)[:, np.newaxis], sign * u, True
    for names in (("u_", "v_", "atoms_"), ("u", "v", "atoms")):
        if hasattr(model, names[2]):
            u, v, atoms = (getattr(model, name, None) for name in names)
            return _courses_and_loadings(where, atoms if u is None else (u, v))
    atoms = as_float_array(where, "model", model)
    atoms = atoms[:, np.newaxis] if atoms.ndim == 2 else atoms
    if atoms.ndim != 3 or atoms.size == 0:
        raise ValueError(f"{where}: model has shape {atoms.shape}, expected (n_atoms, n_channels, n_times_atom) or a pair (u, v)")
    if atoms.shape[1] == 1:
        return _courses_and_loadings(where, (np.ones((len(atoms), 1), atoms.dtype), atoms[:, 0]))
    return atoms, np.linalg.norm(atoms, axis=2), False


def _rate(where: str, sfreq: Any) -> float:
    rate = as_float(where, "sfreq", sfreq)
    if not 0 < rate < math.inf:
        raise ValueError(f"{where}: sfreq = {rate:g}, must be > 0 and finite")
    return rate


def _times(where: str, n: int, sfreq: Any) -> tuple[Array, str]:
    return (np.arange(n), "time (samples)") if sfreq is None else (np.arange(n) / _rate(where, sfreq), "time (s)")


def _draw_map(where: str, loadings: Array, info: Any, ax: Any) -> None:
    try:
        import mne
    except ImportError as error:
        raise ImportError("riata.plot.patterns with info needs MNE-Python: pip install 'riata[mne]'") from error
    if len(loadings) != len(info["ch_names"]):
        raise ValueError(f"{where}: info has {len(info['ch_names'])} channels, but patterns have {len(loadings)}; they must be equal")
    by_type = mne.channel_indices_by_type(info)
    kind = next((kind for kind in ("mag", "grad", "eeg") if by_type.get(kind)), None)
    if kind is None:
        raise ValueError(f"{where}: info has neither MEG nor EEG channels; leave it out to draw bars")
    mne.viz.plot_topomap(loadings[by_type[kind]], mne.pick_info(info, by_type[kind]), axes=ax, show=False)


def _without_frame(ax: Any, *more: str) -> None:
    ax.spines[["top", "right", *more]].set_visible(False)


def _new_figure(layout: str | None = "constrained", **options: Any) -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("riata.plot needs matplotlib: pip install matplotlib") from error
    return plt.figure(layout=layout, **options)


def _new_axes() -> Any:
    return _new_figure(layout=None).add_subplot()
