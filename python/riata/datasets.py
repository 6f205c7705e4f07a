"""Seeded generators of dictionaries, signals and planted problems: same seed, same numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _riata
from ._arguments import (
    Array,
    as_float,
    as_float_array,
    as_matrices,
    as_matrix,
    as_options,
    as_seed,
    as_size,
    as_text,
    shown,
)

__all__ = [
    "Blocks",
    "Planted",
    "blocks",
    "dct_dictionary",
    "gaussian_dictionary",
    "perturbed",
    "planted",
    "scale_to_b_infinity",
    "signals_on_b_infinity",
]


def gaussian_dictionary(
    n_features: int, n_atoms: int, random_state: Any = 0, dtype: Any = np.float64
) -> Array:
    """Atoms drawn uniformly from the unit sphere.

    Parameters
    ----------
    n_features, n_atoms : int
        Sizes.
    random_state : int, RandomState, Generator or None
        Seed.
    dtype : float32 or float64
        Precision.

    Returns
    -------
    ndarray (n_atoms, n_features)

    Examples
    --------
    >>> import riata
    >>> riata.datasets.gaussian_dictionary(10, 20).shape
    (20, 10)
    """
    where = "gaussian_dictionary"
    return _riata.gaussian_dictionary(
        as_size(where, "n_features", n_features),
        as_size(where, "n_atoms", n_atoms),
        as_seed(where, random_state),
        single=_is_single(where, dtype),
    )


def dct_dictionary(n_features: int, n_atoms: int, dtype: Any = np.float64) -> Array:
    """Cosines, overcomplete where n_atoms > n_features; separable over square patches if n_features is a
    square.

    The first atom is constant, the others have zero mean; all have unit norm.

    Parameters
    ----------
    n_features, n_atoms : int
        Sizes.
    dtype : float32 or float64
        Precision.

    Returns
    -------
    ndarray (n_atoms, n_features)

    Examples
    --------
    >>> import riata
    >>> riata.datasets.dct_dictionary(64, 256).shape
    (256, 64)
    """
    where = "dct_dictionary"
    return _riata.dct_dictionary(
        as_size(where, "n_features", n_features),
        as_size(where, "n_atoms", n_atoms),
        single=_is_single(where, dtype),
    )


def signals_on_b_infinity(D: Any, n_signals: int, law: str = "gaussian", random_state: Any = 0) -> Array:
    """Random signals with max_j |d_j . x| = 1, so that their `reg_max` is 1.

    Parameters
    ----------
    D : array (n_atoms, n_features)
        Dictionary.
    n_signals : int
        Number of signals.
    law : {"gaussian", "coding", "sphere"}
        Before scaling: x normal, x = z D with z normal, or x uniform on the sphere.
    random_state : int, RandomState, Generator or None
        Seed.

    Returns
    -------
    ndarray (n_signals, n_features)

    Examples
    --------
    >>> import numpy as np, riata
    >>> D = riata.datasets.gaussian_dictionary(10, 20)
    >>> X = riata.datasets.signals_on_b_infinity(D, 5)
    >>> np.abs(X @ D.T).max(axis=1).round(12)
    array([1., 1., 1., 1., 1.])
    """
    where = "signals_on_b_infinity"
    return _riata.signals_on_b_infinity(
        as_matrix(where, "D", D),
        as_size(where, "n_signals", n_signals),
        as_text(where, "law", law),
        as_seed(where, random_state),
    )


def scale_to_b_infinity(X: Any, *, D: Any) -> Array:
    """Given signals, each scaled so that max_j |d_j . x| = 1.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals, none of them orthogonal to every atom.
    D : array (n_atoms, n_features)
        Dictionary.

    Returns
    -------
    ndarray (n_signals, n_features)

    Examples
    --------
    >>> import numpy as np, riata
    >>> riata.datasets.scale_to_b_infinity([[4.0, -2.0]], D=np.eye(2))
    array([[ 1. , -0.5]])
    """
    X, D = as_matrices("scale_to_b_infinity", X=X, D=D)
    return _riata.scale_to_b_infinity(X, D)


@dataclass(frozen=True, eq=False, repr=False)
class Planted:
    """Signals made from known codes; returned by `planted`.

    Attributes
    ----------
    signals : ndarray (n_signals, n_features)
    dictionary : ndarray (n_atoms, n_features)
        Unit atoms.
    codes : ndarray (n_signals, n_atoms)
    """

    signals: Array
    dictionary: Array
    codes: Array

    def __repr__(self) -> str:
        (n_signals, n_features), n_atoms = self.signals.shape, len(self.dictionary)
        return f"Planted({n_signals} signals of {n_features} features, {n_atoms} atoms)"


def planted(
    n_features: int = 30,
    n_atoms: int = 50,
    n_signals: int = 1000,
    density: float = 0.3,
    noise_std: float = 0.1,
    random_state: Any = 0,
    dtype: Any = np.float64,
) -> Planted:
    """Signals X = Z D + noise with a random unit-norm dictionary and sparse normal codes.

    Parameters
    ----------
    n_features, n_atoms, n_signals : int
        Sizes.
    density : float
        Probability that a code entry is not zero.
    noise_std : float
        Standard deviation of the white noise.
    random_state : int, RandomState, Generator or None
        Seed.
    dtype : float32 or float64
        Precision.

    Returns
    -------
    Planted
        signals, dictionary, codes.

    Examples
    --------
    >>> import riata
    >>> riata.datasets.planted()
    Planted(1000 signals of 30 features, 50 atoms)
    """
    where = "planted"
    return Planted(
        **_riata.planted(
            _is_single(where, dtype), as_options(where, "datasets.planted", locals())
        )
    )


@dataclass(frozen=True, eq=False, repr=False)
class Blocks:
    """Block activity and how it is seen; returned by `blocks`.

    Attributes
    ----------
    signals : ndarray (n_signals, n_observed)
        With noise.
    activity : ndarray (n_signals, n_times)
    """

    signals: Array
    activity: Array

    def __repr__(self) -> str:
        return f"Blocks({len(self.signals)} signals of {self.signals.shape[1]} samples)"


def blocks(
    operator: Any,
    n_signals: int = 1000,
    n_times: int = 250,
    density: float = 0.05,
    snr_db: float = 0.0,
    random_state: Any = 0,
) -> Blocks:
    """Activity that is constant but for jumps, seen through a known operator with white noise.

    Parameters
    ----------
    operator : array (n_observed, n_times) or (n_times_kernel,)
        As in `riata.tv_solve`: a matrix, or the kernel of a causal filter such as `riata.hrf`. It decides the
        precision.
    n_signals : int
        Signals.
    n_times : int
        Samples of a signal, where the operator is a kernel.
    density : float
        Jumps per sample; their sizes are standard normal.
    snr_db : float
        20 log10 of the signal's norm over the noise's, exactly so in each signal.
    random_state : int, RandomState, Generator or None
        Seed.

    Returns
    -------
    Blocks
        signals, activity.

    Examples
    --------
    >>> import riata
    >>> riata.datasets.blocks(riata.hrf(tr=0.735), n_signals=10)
    Blocks(10 signals of 250 samples)
    """
    where = "blocks"
    given = as_float_array(where, "operator", operator)
    if given.ndim not in (1, 2) or given.size == 0:
        raise ValueError(
            f"{where}: operator has shape {given.shape}, expected (n_observed, n_times), or (n_times_kernel,) "
            "of a kernel"
        )
    size = as_size(where, "n_times", n_times)
    return Blocks(*_riata.blocks(given, size, as_options(where, "datasets.blocks", locals())))


def perturbed(D: Any, relative: float = 0.5, random_state: Any = 0) -> Array:
    """D + relative * std(D) * noise, scaled to unit atoms: a start near the truth.

    Parameters
    ----------
    D : array (n_atoms, n_features)
        Dictionary.
    relative : float
        Size of the perturbation.
    random_state : int, RandomState, Generator or None
        Seed.

    Returns
    -------
    ndarray (n_atoms, n_features)

    Examples
    --------
    >>> import riata
    >>> D = riata.datasets.gaussian_dictionary(30, 50)
    >>> 0.8 < riata.recovery_score(riata.datasets.perturbed(D), D) < 0.95
    True
    """
    where = "perturbed"
    return _riata.perturbed(
        as_matrix(where, "D", D), as_float(where, "relative", relative), as_seed(where, random_state)
    )


def _is_single(where: str, dtype: Any) -> bool:
    try:
        known = np.dtype(dtype)
    except Exception:
        known = None
    if known not in (np.float32, np.float64):
        raise TypeError(f"{where}: dtype = {shown(dtype) if known is None else known}, must be float32 or float64")
    return known == np.float32
