"""Signals that are constant but for jumps: total variation in one dimension."""

from __future__ import annotations

from typing import Any

from . import _riata
from ._arguments import (
    Array,
    as_float,
    as_float_array,
    as_matrix,
    as_options,
    as_reg,
    as_threads,
    as_vector,
    require_same_precision,
)
from ._results import TvResult
from .coding import _STATUS_NAMES


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
    threads = as_threads(where, n_threads)
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
    threads = as_threads(where, n_threads)
    dY, dweight, djumps = _riata.prox_tv_vjp(signals, weight, jumps, rows, threads)
    dY = dY.reshape(shape)
    return (dY, dweight) if jump_weights is None else (dY, dweight, djumps)


def tv_solve(
    X: Any,
    operator: Any,
    reg: Any,
    method: str = "auto",
    tol: float = 1e-6,
    mask: Any = None,
    *,
    max_iter: int = 100000,
    n_threads: int | None = None,
) -> TvResult:
    """Signals that are constant but for jumps, seen through a known operator, to a duality gap.

    For each row x of X minimises 1/2 ||x - A u||^2 + reg * sum_t |u_(t+1) - u_t|.

    Parameters
    ----------
    X : array (n_signals, n_observed)
        What was observed, float32 or float64.
    operator : array (n_observed, n_times) or (n_times_kernel,)
        A as a matrix; or a kernel h, (A u)_t = sum_l h_l u_(t-l) with u = 0 before the first sample, and then
        n_times = n_observed. In the precision of X.
    reg : float, str or array (n_signals,)
        The weight, in the unit of A^T X; or a fraction of each signal's own `tv_reg_max`, such as "0.1max".
    method : {"auto", "working-set", "synthesis", "pgd", "apgd", "condat-vu", "dual", "admm"}
        "working-set" solves for the jumps, a Lasso whose offset costs nothing, by its path or coordinate
        descent, "synthesis" the same by FISTA. The others work on the signals: proximal gradient with `prox_tv`,
        plain or accelerated, the primal-dual iteration of Condat and Vu, accelerated proximal gradient on the
        dual problem, for operators with independent columns, and ADMM. "auto" is the first, or "apgd" with a
        mask per signal or beyond 8192 samples.
    tol : float
        A signal is done when its duality gap is at most tol * 1/2 ||x||^2.
    mask : array (n_observed,) or (n_signals, n_observed), optional
        Which samples were seen, as booleans, or weights in [0, 1] of the data fit, which 1/2 ||x||^2 in `tol`
        has too. What is hidden may be anything, also NaN. One for each signal is for the methods "apgd", "pgd"
        and "condat-vu".
    max_iter : int
        Iterations, or knots or sweeps of "working-set".
    n_threads : int, optional
        All cores by default. The results do not depend on it.

    Returns
    -------
    TvResult
        signals, reg, objective, gap, n_iter and status per signal, and the method that ran.

    Examples
    --------
    >>> import numpy as np, riata
    >>> u = np.repeat([0.0, 2.0, 1.0], 20)
    >>> x = np.convolve(u, [0.5, 0.3, 0.2])[:60]
    >>> result = riata.tv_solve([x], [0.5, 0.3, 0.2], reg=1e-6)
    >>> result.signals[0, [0, 30, 59]].round(3), str(result.status[0])
    (array([0., 2., 1.]), 'converged')
    """
    where = "tv_solve"
    signals, given = _as_problem(where, X, operator)
    options = as_options(where, where, locals())
    fields = _riata.tv_solve(signals, given, as_reg(where, reg), _as_rows_of(where, mask, signals), options)
    fields["status"] = _STATUS_NAMES[fields["status"]]
    return TvResult(**fields)


def tv_reg_max(X: Any, operator: Any, mask: Any = None) -> Array:
    """The smallest weight at which the solution of `tv_solve` is constant.

    Parameters
    ----------
    X, operator, mask
        As in `tv_solve`.

    Returns
    -------
    ndarray (n_signals,)
        In float64.
    """
    where = "tv_reg_max"
    signals, given = _as_problem(where, X, operator)
    return _riata.tv_reg_max(signals, given, _as_rows_of(where, mask, signals))


def _as_problem(where: str, X: Any, operator: Any) -> tuple[Array, Array]:
    signals = as_matrix(where, "X", X, "(n_signals, n_observed)")
    given = as_float_array(where, "operator", operator)
    require_same_precision(where, "X", X, signals, "operator", operator, given)
    if given.ndim not in (1, 2) or given.size == 0:
        raise ValueError(
            f"{where}: operator has shape {given.shape}, expected (n_observed, n_times), or (n_times_kernel,) "
            "of a kernel"
        )
    if given.ndim == 2 and len(given) != signals.shape[1]:
        raise ValueError(
            f"{where}: operator has shape {given.shape}, expected ({signals.shape[1]}, n_times), as X has samples"
        )
    if given.ndim == 1 and signals.shape[1] == 0:
        raise ValueError(f"{where}: X has shape {signals.shape} and holds no samples")
    return signals, given


def _as_rows_of(where: str, mask: Any, signals: Array) -> Array | None:
    """A mask as one row, or one per signal, in the precision of the signals."""
    if mask is None:
        return None
    array = as_float_array(where, "mask", mask)
    if array.shape not in (signals.shape, signals.shape[1:]):
        raise ValueError(
            f"{where}: mask has shape {array.shape}, expected {signals.shape[1:]} or the signals' {signals.shape}"
        )
    return array.reshape(-1, signals.shape[1]).astype(signals.dtype, copy=False)


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
