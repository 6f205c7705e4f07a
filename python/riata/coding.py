"""Sparse coding of batches of signals, and what a code is worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _riata
from ._arguments import (
    Array,
    as_float,
    as_int,
    as_matrices,
    as_optional_like,
    as_reg,
    as_text,
    as_threads,
    as_vector,
)
from ._results import EncodeResult

_STATUS_NAMES = np.array(_riata.status_names)


def encode(
    X: Any,
    D: Any,
    reg: Any,
    method: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 10000,
    n_threads: int | None = None,
    *,
    init: Any = None,
    positive: bool = False,
    weights: Any = None,
) -> EncodeResult:
    """Sparse codes of signals: z_i = argmin_z 1/2 ||x_i - z D||^2 + reg_i ||z||_1.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals, float32 or float64; integers become float64. Read in place if C-ordered.
    D : array (n_atoms, n_features)
        Dictionary, in the precision of X.
    reg : float, array (n_signals,) or str
        Weight of the penalty, > 0: one number, one per signal, or a fraction of each signal's own `reg_max`
        such as "0.1max".
    method : {"auto", "cd", "fista", "ista"}
        Coordinate descent on the Gram matrix, FISTA with restarts, or plain proximal gradient.
    tol : float
        A signal is done when its duality gap is at most tol * 1/2 ||x||^2.
    max_iter : int
        Iterations, or sweeps over the atoms.
    n_threads : int, optional
        All cores by default. The results do not depend on it.
    init : array (n_signals, n_atoms), optional
        Codes to start from; zeros by default.
    positive : bool
        Codes must be >= 0.
    weights : array (n_atoms,), optional
        Factors > 0 that multiply reg per atom.

    Returns
    -------
    EncodeResult
        codes, objective, gap, n_iter and status per signal, and the method that ran.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=100)
    >>> result = riata.encode(problem.signals, problem.dictionary, "0.1max", tol=1e-8)
    >>> result.codes.shape
    (100, 40)
    >>> bool((result.status == "converged").all())
    True
    """
    X, D = as_matrices("encode", X=X, D=D)
    fields = _riata.encode(
        X,
        D,
        as_reg("encode", reg),
        method=as_text("encode", "method", method),
        tol=as_float("encode", "tol", tol),
        max_iter=as_int("encode", "max_iter", max_iter),
        init=as_optional_like("encode", "init", init, "X", X, "(n_signals, n_atoms)"),
        positive=bool(positive),
        weights=as_vector("encode", "weights", weights),
        n_threads=as_threads("encode", n_threads),
    )
    fields["status"] = _STATUS_NAMES[fields["status"]]
    return EncodeResult(**fields)


def lasso_objective(
    X: Any,
    D: Any,
    Z: Any,
    reg: Any,
    *,
    positive: bool = False,
    weights: Any = None,
    n_threads: int | None = None,
) -> Array:
    """The objective 1/2 ||x_i - z_i D||^2 + reg_i ||z_i||_1 per signal, in float64.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals.
    D : array (n_atoms, n_features)
        Dictionary.
    Z : array (n_signals, n_atoms)
        Codes.
    reg : float, array (n_signals,) or str
        Weight of the penalty, as in `encode`.
    positive, weights, n_threads
        As in `encode`. With `positive`, negative codes are refused.

    Returns
    -------
    ndarray (n_signals,)

    Examples
    --------
    >>> import riata
    >>> riata.lasso_objective([[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.0]], reg=0.1)
    array([2.175])
    """
    return _certificate("lasso_objective", X, D, Z, reg, positive, weights, n_threads)


def duality_gap(
    X: Any,
    D: Any,
    Z: Any,
    reg: Any,
    *,
    positive: bool = False,
    weights: Any = None,
    n_threads: int | None = None,
) -> Array:
    """An upper bound on the objective's distance to its minimum per signal, in units of the objective, in
    float64.

    The dual point is the residual scaled into {theta : |D theta| <= reg}. Parameters as in `lasso_objective`.

    Examples
    --------
    >>> import numpy as np, riata
    >>> X, D = np.array([[1.0, 2.0]]), np.eye(2)
    >>> riata.duality_gap(X, D, [[0.9, 1.9]], reg=0.1).round(12)  # the solution
    array([0.])
    """
    return _certificate("duality_gap", X, D, Z, reg, positive, weights, n_threads)


def kkt_violation(
    X: Any,
    D: Any,
    Z: Any,
    reg: Any,
    *,
    positive: bool = False,
    weights: Any = None,
    n_threads: int | None = None,
) -> Array:
    """How far the codes are from the optimality conditions per signal, in float64: zero exactly at a
    solution.

    The largest distance, over the atoms, of the correlation d_j . (x - z D) from reg times the
    subdifferential of |z_j|. Parameters as in `lasso_objective`.

    Examples
    --------
    >>> import numpy as np, riata
    >>> riata.kkt_violation(np.array([[1.0, 2.0]]), np.eye(2), [[0.0, 1.9]], reg=0.1).round(6)
    array([0.9])
    """
    return _certificate("kkt_violation", X, D, Z, reg, positive, weights, n_threads)


def _certificate(
    where: str, X: Any, D: Any, Z: Any, reg: Any, positive: bool, weights: Any, n_threads: int | None
) -> Array:
    X, D, Z = as_matrices(where, X=X, D=D, Z=Z)
    return getattr(_riata, where)(
        X,
        D,
        Z,
        as_reg(where, reg),
        positive=bool(positive),
        weights=as_vector(where, "weights", weights),
        n_threads=as_threads(where, n_threads),
    )


def reg_max(
    X: Any, D: Any, *, positive: bool = False, weights: Any = None, n_threads: int | None = None
) -> Array:
    """The smallest weight whose codes are all zero, per signal: max_j |d_j . x|.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals.
    D : array (n_atoms, n_features)
        Dictionary.
    positive, weights, n_threads
        As in `encode`.

    Returns
    -------
    ndarray (n_signals,)
        In the precision of the signals. Given this very number, the solvers return exactly zero.

    Examples
    --------
    >>> import numpy as np, riata
    >>> riata.reg_max(np.array([[1.0, -2.0]]), np.eye(2))
    array([2.])
    """
    X, D = as_matrices("reg_max", X=X, D=D)
    return _riata.reg_max(
        X,
        D,
        positive=bool(positive),
        weights=as_vector("reg_max", "weights", weights),
        n_threads=as_threads("reg_max", n_threads),
    )
