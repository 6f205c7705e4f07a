"""Patterns that occur at any time of a recording, and when they do."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _riata
from ._arguments import (
    Array,
    as_bool,
    as_float_array,
    as_matrix,
    as_options,
    as_pair,
    as_reg,
    as_size,
    as_text,
    require_same_precision,
)
from ._results import ConvEncodeResult
from .coding import _STATUS_NAMES, _csr, _is_csr


def conv_encode(
    X: Any,
    atoms: Any,
    reg: Any,
    positive: bool = True,
    boundary: str = "valid",
    tol: float = 1e-6,
    method: str = "auto",
    output: str = "dense",
    n_threads: int | None = None,
    *,
    max_iter: int = 10000,
) -> ConvEncodeResult:
    """Activations of patterns in recordings, to a duality gap.

    Minimises 1/2 ||x - sum_k d_k * z_k||^2 + reg ||z||_1 for each trial, d_k * z_k being a convolution in time on every channel.

    Parameters
    ----------
    X : array (n_trials, n_channels, n_times), or (n_trials, n_times) of one channel
        Recordings, float32 or float64; integers become float64.
    atoms : array (n_atoms, n_channels, n_times_atom), or (n_atoms, n_times_atom), or a pair (u, v)
        The patterns, in the precision of X. A pair is of rank one: atom k is the outer product of u[k], over channels, and v[k],
        in time; u is (n_atoms, n_channels), v is (n_atoms, n_times_atom). That is many times faster where channels are many.
    reg : float, str or array (n_trials,)
        The weight, in the unit of X where atoms have none; or a fraction of each trial's own `conv_reg_max`, "0.1max".
    positive : bool
        Activations >= 0.
    boundary : {"valid", "full", "circular"}
        Where patterns may lie: within the trial, n_times - n_times_atom + 1 positions; beginning before and ending after it,
        n_times + n_times_atom - 1; or going on at the beginning, n_times.
    tol : float
        A trial is done when its duality gap is at most tol * 1/2 ||x||^2.
    method : {"auto", "lgcd", "fista"}
        Locally greedy coordinate descent, which takes the boundaries "valid" and "circular", or FISTA. "auto" takes the first that
        fits.
    output : {"dense", "csr"}
        Activations as an array, or as a scipy.sparse.csr_matrix of n_trials * n_atoms rows.
    n_threads : int, optional
        All cores by default; one long trial is shared by all of them. The results do not depend on it.
    max_iter : int
        Rounds, or iterations of FISTA.

    Returns
    -------
    ConvEncodeResult
        codes, objective, gap, n_updates and status per trial.

    Examples
    --------
    >>> import numpy as np, riata
    >>> pattern = np.array([[1.0, 2.0, 1.0]])
    >>> x = np.zeros((1, 10)); x[0, 2:5] += pattern[0]; x[0, 6:9] += 3 * pattern[0]
    >>> riata.conv_encode(x, pattern, reg=1e-6).codes[0, 0].round(3)
    array([0., 0., 1., 0., 0., 0., 3., 0.])
    """
    where = "conv_encode"
    signals, n_channels, n_times = as_trials(where, X)
    kernels, u = as_atoms(where, atoms, signals, n_channels)
    n_atoms = len(kernels)
    as_csr = _is_csr(where, output)
    fields = _riata.conv_encode(
        signals,
        kernels,
        u,
        n_channels,
        as_text(where, "boundary", boundary),
        as_reg(where, reg),
        as_csr,
        as_options(where, where, locals()),
    )
    if as_csr:
        length = kernels.shape[1] // (n_channels if u is None else 1)
        n_positions = {"valid": n_times - length + 1, "full": n_times + length - 1, "circular": n_times}[boundary]
        fields["codes"] = _csr(fields["codes"], n_positions)
    else:
        fields["codes"] = fields["codes"].reshape(len(signals), n_atoms, -1)
    fields["status"] = _STATUS_NAMES[fields["status"]]
    return ConvEncodeResult(**fields)


def conv_reg_max(X: Any, atoms: Any, positive: bool = True, boundary: str = "valid") -> Array:
    """The smallest weight at which all activations of a trial are zero.

    Parameters
    ----------
    X, atoms, positive, boundary
        As in `conv_encode`.

    Returns
    -------
    ndarray (n_trials,)
    """
    where = "conv_reg_max"
    signals, n_channels, _ = as_trials(where, X)
    kernels, u = as_atoms(where, atoms, signals, n_channels)
    positive = as_bool(where, "positive", positive)
    return _riata.conv_reg_max(signals, kernels, u, n_channels, as_text(where, "boundary", boundary), positive)


def conv_decode(Z: Any, atoms: Any, n_times: int | None = None, boundary: str = "valid") -> Array:
    """The recordings that activations make: sum_k d_k * z_k.

    Parameters
    ----------
    Z : array (n_trials, n_atoms, n_positions)
        Activations, as `conv_encode` returns them.
    atoms, boundary
        As in `conv_encode`.
    n_times : int, optional
        Samples of a trial; what fits n_positions by default.

    Returns
    -------
    ndarray (n_trials, n_channels, n_times)
    """
    where = "conv_decode"
    flat, kernels, u, n_channels, times = as_activations(where, Z, atoms, n_times, boundary)
    return _riata.conv_decode(flat, kernels, u, n_channels, times, boundary).reshape(len(flat), n_channels, times)


def as_trials(where: str, X: Any) -> tuple[Array, int, int]:
    """Trials as rows, channel after channel; their channels and samples."""
    array = as_float_array(where, "X", X)
    if array.ndim == 2:
        array = array[:, np.newaxis]
    if array.ndim != 3:
        hint = "; one recording of one channel is X.reshape(1, -1)" if array.ndim == 1 else ""
        raise ValueError(
            f"{where}: X has shape {array.shape}, expected (n_trials, n_channels, n_times), or (n_trials, n_times) of one channel{hint}"
        )
    n_trials, n_channels, n_times = array.shape
    if array.size == 0:
        raise ValueError(f"{where}: X has shape {array.shape} and holds no samples")
    return array.reshape(n_trials, -1), n_channels, n_times


def as_activations(
    where: str, Z: Any, atoms: Any, n_times: int | None, boundary: str
) -> tuple[Array, Array, Array | None, int, int]:
    """Activations as rows, one per trial; kernels and u as of `as_atoms`; channels and samples of the trials."""
    codes = as_float_array(where, "Z", Z)
    if codes.ndim != 3:
        raise ValueError(f"{where}: Z has shape {codes.shape}, expected (n_trials, n_atoms, n_positions)")
    if codes.size == 0:
        raise ValueError(f"{where}: Z has shape {codes.shape} and holds no activations")
    if not np.isfinite(codes).all():
        raise ValueError(f"{where}: Z holds NaN or infinity; expected finite numbers")
    n_channels = channels_of(where, atoms)
    flat = codes.reshape(len(codes), -1)
    kernels, u = as_atoms(where, atoms, flat, n_channels, "Z")
    if codes.shape[1] != len(kernels):
        raise ValueError(f"{where}: Z has activations of {codes.shape[1]} atoms, but there are {len(kernels)}")
    length = kernels.shape[1] // (n_channels if u is None else 1)
    more = {"valid": length - 1, "full": 1 - length, "circular": 0}.get(as_text(where, "boundary", boundary), 0)
    expected = codes.shape[2] + more
    if expected < 1:
        raise ValueError(f"{where}: Z has {codes.shape[2]} positions, boundary 'full' has at least {length}, as atoms have samples")
    if n_times is not None and as_size(where, "n_times", n_times) != expected:
        raise ValueError(
            f"{where}: n_times = {n_times}, must be {expected} for {codes.shape[2]} positions of {length} samples, boundary {boundary!r}"
        )
    return flat, kernels, u, n_channels, expected


def channels_of(where: str, atoms: Any) -> int:
    """Of patterns."""
    if isinstance(atoms, tuple):
        u, _ = as_pair(where, "atoms", atoms, "a pair (u, v)")
        return as_matrix(where, "u", u, "(n_atoms, n_channels)").shape[1]
    array = as_float_array(where, "atoms", atoms)
    return array.shape[1] if array.ndim == 3 else 1


def as_atoms(where: str, atoms: Any, like: Array, n_channels: int, name: str = "X") -> tuple[Array, Array | None]:
    """Kernels as rows and None, or v and u, in the precision of `like`."""
    if isinstance(atoms, tuple):
        u, v = as_pair(where, "atoms", atoms, "a pair (u, v)")
        u = as_matrix(where, "u", u, "(n_atoms, n_channels)")
        v = as_matrix(where, "v", v, "(n_atoms, n_times_atom)")
        for part, array in (("u", u), ("v", v)):
            require_same_precision(where, name, like, like, part, array, array)
            if array.size == 0:
                raise ValueError(f"{where}: {part} has shape {array.shape} and holds no atoms")
        if len(u) != len(v) or u.shape[1] != n_channels:
            raise ValueError(
                f"{where}: u has shape {u.shape} and v {v.shape}, expected (n_atoms, {n_channels}), as {name} has channels, "
                "and (n_atoms, n_times_atom)"
            )
        return v, u
    array = as_float_array(where, "atoms", atoms)
    require_same_precision(where, name, like, like, "atoms", atoms, array)
    if array.ndim == 2:
        array = array[:, np.newaxis]
    if array.ndim != 3 or array.shape[1] != n_channels:
        raise ValueError(
            f"{where}: atoms have shape {array.shape}, expected (n_atoms, {n_channels}, n_times_atom), as {name} has channels, or a "
            "pair (u, v)"
        )
    if array.size == 0:
        raise ValueError(f"{where}: atoms have shape {array.shape}, expected at least one")
    return array.reshape(len(array), -1), None
