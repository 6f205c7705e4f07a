"""Signals that are constant but for jumps: total variation in one dimension."""

from __future__ import annotations

from typing import Any

from . import _riata
from ._arguments import (
    Array,
    as_float,
    as_float_array,
    as_optional_int,
    as_vector,
    require_same_precision,
)


def prox_tv(Y: Any, weight: Any, n_threads: int | None = None, *, jump_weights: Any = None) -> Array:
    """The signals that balance nearness to Y against total variation: its proximal operator.

    For each signal argmin_u 1/2 ||y - u||^2 + weight * sum_t |u_(t+1) - u_t|, exactly, in time linear in its length.

    Parameters
    ----------
    Y : array (n_signals, n_times) or (n_times,)
        Signals, or one. Computed in float64; float32 in, float32 out.
    weight : float or array (n_signals,)
        Of total variation, >= 0, in the unit of Y.
    n_threads : int, optional
        All cores by default. The results do not depend on it.
    jump_weights : array (n_times - 1,), optional
        Factors >= 0 of |u_(t+1) - u_t|, the same for all signals.

    Returns
    -------
    ndarray of the shape of Y

    Examples
    --------
    >>> import riata
    >>> riata.prox_tv([0.1, 0.3, 1.2, 1.0, -0.5, -0.2], 0.25).round(3)
    array([ 0.325,  0.325,  0.85 ,  0.85 , -0.225, -0.225])
    """
    where = "prox_tv"
    signals, shape = _as_signals(where, "Y", Y)
    weight, jump_weights = _as_weights(where, weight, jump_weights)
    threads = as_optional_int(where, "n_threads", n_threads)
    return _riata.prox_tv(signals, weight, jump_weights, threads).reshape(shape)


def prox_tv_vjp(
    Y: Any, weight: Any, cotangent: Any, n_threads: int | None = None, *, jump_weights: Any = None
) -> tuple[Any, ...]:
    """Derivatives of <cotangent, prox_tv(Y, weight)>, in time linear in the length of a signal.

    The cotangent is averaged over each stretch on which the prox is constant.

    Parameters
    ----------
    Y, weight, n_threads, jump_weights
        As in `prox_tv`.
    cotangent : array of the shape of Y
        In the precision of Y.

    Returns
    -------
    dY : ndarray of the shape of Y
    dweight : float or ndarray (n_signals,)
        As `weight` is.
    djump_weights : ndarray (n_times - 1,)
        Only where `jump_weights` are given.

    Examples
    --------
    >>> import riata
    >>> dY, dweight = riata.prox_tv_vjp([0.0, 1.0, 5.0], 0.5, [1.0, 0.0, 0.0])
    >>> dY, dweight
    (array([0.5, 0.5, 0. ]), 0.5)
    """
    where = "prox_tv_vjp"
    signals, shape = _as_signals(where, "Y", Y)
    rows, given = _as_signals(where, "cotangent", cotangent)
    if given != shape:
        raise ValueError(f"{where}: cotangent has shape {given}, expected that of Y, {shape}")
    require_same_precision(where, "Y", Y, signals, "cotangent", cotangent, rows)
    weight, jumps = _as_weights(where, weight, jump_weights)
    threads = as_optional_int(where, "n_threads", n_threads)
    dY, dweight, djumps = _riata.prox_tv_vjp(signals, weight, jumps, rows, threads)
    dY = dY.reshape(shape)
    return (dY, dweight) if jump_weights is None else (dY, dweight, djumps)


def _as_signals(where: str, name: str, value: Any) -> tuple[Array, tuple[int, ...]]:
    """Signals as rows, and the shape that was given."""
    array = as_float_array(where, name, value)
    if array.ndim not in (1, 2):
        raise ValueError(f"{where}: {name} has shape {array.shape}, expected (n_signals, n_times) or (n_times,)")
    return array.reshape(1, -1) if array.ndim == 1 else array, array.shape


def _as_weights(where: str, weight: Any, jump_weights: Any) -> tuple[float | Array, Array | None]:
    jumps = as_vector(where, "jump_weights", jump_weights)
    if getattr(weight, "ndim", 0) == 0 and not isinstance(weight, (list, tuple)):
        return as_float(where, "weight", weight), jumps
    per_signal = as_vector(where, "weight", weight)
    assert per_signal is not None
    return per_signal, jumps
