"""Jacobians of sparse codes, exact and unrolled, and whether the unrolled ones can be trusted."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _riata
from ._arguments import (
    Array,
    as_bool,
    as_float,
    as_int,
    as_like,
    as_matrices,
    as_matrix,
    as_optional_int,
    as_optional_like,
    as_options,
    as_pair,
    as_reg,
    as_signal,
    as_text,
    as_vector,
    renamed,
    require_plain_weights,
    require_same_precision,
    shown,
)
from ._results import HyperGradient, ImplicitGradient, UnrolledStability
from .coding import encode

_CODES = "(n_signals, n_atoms)"


@renamed(layers="n_layers", method="algorithm")
def code_jacobian(
    x: Any,
    D: Any,
    reg: Any,
    n_layers: int | None,
    row: int,
    algorithm: str = "ista",
    backprop: int | None = None,
    *,
    lipschitz: float | None = None,
    steps: Any = None,
    return_extrapolated: bool = False,
    tol: float = 1e-12,
    positive: bool = False,
    weights: Any = None,
    n_threads: int | None = None,
) -> Array:
    """The Jacobian of one signal's code by one feature of all atoms, in forward mode.

    After N layers it follows the recursion J <- 1{z != 0} . (J - (1/L) (D_l y^T + (D_l^T y - x_l) I + D^T D
    J)) of Malezieux, Moreau and Kowalski (2022), Theorem 2.4, with D_l the row l of the dictionary written
    with atoms as columns. L is a constant.

    Parameters
    ----------
    x : array (n_features,)
        One signal.
    D : array (n_atoms, n_features)
        Dictionary, in the precision of x.
    reg : float, array (1,) or str
        Weight of the penalty, as in `encode`.
    n_layers : int or None
        Number of layers N. None: the exact code, by the closed form on its support.
    row : int
        The feature l, from 0.
    algorithm : {"ista", "fista"}
        Layers without or with momentum.
    backprop : int, optional
        K: the recursion starts from J = 0 at layer N - K; at the first by default.
    lipschitz, steps, return_extrapolated
        As in `unrolled_encode`.
    tol : float
        Of the exact code, where n_layers is None: as in `encode`.
    positive, weights, n_threads
        As in `encode`; weights are finite and positive, one per atom.

    Returns
    -------
    ndarray (n_atoms, n_atoms)
        Entry (i, k) is the derivative of z_i by feature `row` of atom k. Computed in double.

    Examples
    --------
    >>> import numpy as np, riata
    >>> riata.code_jacobian([1.0, 2.0], np.eye(2), reg=0.1, n_layers=None, row=0).round(12) + 0.0
    array([[-0.8, -1.9],
           [ 0. ,  0.1]])
    """
    where, arguments = "code_jacobian", locals()
    given = x, D
    x, D = as_signal(where, "x", x), as_matrix(where, "D", D)
    require_same_precision(where, "x", given[0], x, "D", given[1], D)
    row, weight = as_int(where, "row", row), as_reg(where, reg)
    if n_layers is None:
        layered = dict(backprop=backprop, lipschitz=lipschitz, steps=steps, return_extrapolated=as_bool(where, "return_extrapolated", return_extrapolated) or None)
        for name, value in layered.items():
            if value is not None:
                raise ValueError(f"{where}: {name} = {shown(value)}, but n_layers is None: the exact code has no layers")
        return _riata.implicit_jacobian(x, D, weight, row, as_options(where, "implicit_gradient", arguments))
    options = as_options(where, "unrolled_encode", arguments)
    options["backprop"] = as_optional_int(where, "backprop", backprop)
    return _riata.code_jacobian(x, D, weight, row, options)


@renamed(layers="n_layers", method="algorithm")
def unrolled_stability(
    X: Any,
    D: Any,
    reg: Any,
    n_layers: int,
    algorithm: str = "ista",
    *,
    lipschitz: float | None = None,
    steps: Any = None,
    directions: int | None = 2,
    return_errors: bool = False,
    tol: float = 1e-12,
    positive: bool = False,
    weights: Any = None,
    n_threads: int | None = None,
) -> UnrolledStability:
    """Predicts for which signals back-propagation through N layers is unstable, and how deep it may go.

    The Jacobian of a network's codes first leaves the exact codes' before it tends to it; where its error
    exceeds 1.1 times the norm of the exact Jacobian at some layer from the tenth on, the network counts as
    unstable (Malezieux, Moreau and Kowalski 2022, Figures 1 and 2). The error is estimated from a few random
    directions per feature instead of all n_atoms.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals.
    D : array (n_atoms, n_features)
        Dictionary, in the precision of X.
    reg : float, array (n_signals,) or str
        Weight of the penalty, as in `encode`.
    n_layers : int
        Number of layers N.
    algorithm : {"ista", "fista"}
        Layers without or with momentum.
    lipschitz, steps
        As in `unrolled_encode`. Too small an L makes instability more frequent.
    directions : int or None
        Random directions per feature, always the same ones, beside one along the exact code. None takes all
        n_atoms: the error itself.
    return_errors : bool
        The error layer by layer as well. Costs the layers that are otherwise known not to matter.
    tol : float
        Of the exact codes, as in `encode`.
    positive, weights, n_threads
        As in `encode`; weights are finite and positive, one per atom.

    Returns
    -------
    UnrolledStability
        unstable, safe_backprop, growth and errors.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=10)
    >>> result = riata.unrolled_stability(problem.signals, problem.dictionary, 0.1, n_layers=50)
    >>> result.unstable.shape, bool(result.safe_backprop.max() <= 50)
    ((10,), True)
    """
    where = "unrolled_stability"
    X, D = as_matrices(where, X=X, D=D)
    fields = _riata.unrolled_stability(X, D, as_reg(where, reg), as_options(where, "unrolled_stability", locals()))
    return UnrolledStability(**fields)


def implicit_gradient(
    X: Any,
    D: Any,
    reg: Any,
    cotangent: Any,
    codes: Any = None,
    tol: float = 1e-12,
    *,
    positive: bool = False,
    weights: Any = None,
    n_threads: int | None = None,
) -> ImplicitGradient:
    """Vector-Jacobian product of exact sparse codes: <cotangent, codes> differentiated, summed over the
    signals.

    On the support of a code the optimality conditions are linear, and one least-squares problem per signal
    gives all derivatives; where atoms of the support are dependent, those of least norm.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals.
    D : array (n_atoms, n_features)
        Dictionary, in the precision of X.
    reg : float, array (n_signals,) or str
        Weight of the penalty, as in `encode`.
    cotangent : array (n_signals, n_atoms)
        The derivative of something by the codes. Nothing is averaged here.
    codes : array (n_signals, n_atoms), optional
        Codes that count as exact; otherwise they are computed.
    tol : float
        Of the codes, where none are given: as in `encode`. Their supports must be right for the derivatives
        to be.
    positive, weights, n_threads
        As in `encode`; weights are finite and positive, one per atom.
        The results do not depend on the number of threads.

    Returns
    -------
    ImplicitGradient
        dictionary, signals, reg, weights and the codes.

    Examples
    --------
    >>> import numpy as np, riata
    >>> result = riata.implicit_gradient([[1.0, 2.0]], np.eye(2), 0.1, cotangent=[[1.0, 0.0]])
    >>> result.signals + 0.0, round(result.reg, 6)
    (array([[1., 0.]]), -1.0)
    """
    where = "implicit_gradient"
    X, D = as_matrices(where, X=X, D=D)
    return ImplicitGradient(
        **_riata.implicit_gradient(
            X,
            D,
            as_reg(where, reg),
            as_like(where, "cotangent", cotangent, "X", X, _CODES),
            as_optional_like(where, "codes", codes, "X", X, _CODES),
            as_options(where, "implicit_gradient", locals()),
        )
    )


def implicit_jvp(
    X: Any,
    D: Any,
    reg: Any,
    dX: Any = None,
    dD: Any = None,
    dreg: Any = None,
    codes: Any = None,
    tol: float = 1e-12,
    *,
    positive: bool = False,
    weights: Any = None,
    n_threads: int | None = None,
) -> Array:
    """Jacobian-vector product of exact sparse codes: their derivative along a direction.

    Parameters
    ----------
    X, D, reg
        As in `implicit_gradient`.
    dX, dD : arrays of the shapes of X and D, optional
        How signals and dictionary move; not at all by default.
    dreg : float or array (n_signals,), optional
        How the weight moves.
    codes, tol, positive, weights, n_threads
        As in `implicit_gradient`.

    Returns
    -------
    ndarray (n_signals, n_atoms)

    Examples
    --------
    >>> import numpy as np, riata
    >>> riata.implicit_jvp([[1.0, 2.0]], np.eye(2), 0.1, dreg=1.0).round(12)
    array([[-1., -1.]])
    """
    where = "implicit_jvp"
    X, D = as_matrices(where, X=X, D=D)
    return _riata.implicit_jvp(
        X,
        D,
        as_reg(where, reg),
        as_optional_like(where, "dX", dX, "X", X, "(n_signals, n_features)"),
        as_optional_like(where, "dD", dD, "X", X, "(n_atoms, n_features)"),
        _as_direction(where, dreg),
        as_optional_like(where, "codes", codes, "X", X, _CODES),
        as_options(where, "implicit_gradient", locals()),
    )


def hypergradient(
    X: Any,
    D: Any,
    reg: Any,
    loss: str | Callable[[Array], tuple[float, Array]] = "least_squares",
    X_held_out: Any = None,
    D_held_out: Any = None,
    codes: Any = None,
    tol: float = 1e-12,
    *,
    positive: bool = False,
    weights: Any = None,
    n_threads: int | None = None,
) -> HyperGradient:
    """A loss of exact sparse codes on data they were not fitted to, and its gradient by the penalty's weight:
    by one reg for all, by one per signal, or by one factor per atom.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals to which the codes are fitted.
    D : array (n_atoms, n_features)
        Dictionary, in the precision of X.
    reg : float, array (n_signals,) or str
        Weight of the penalty, as in `encode`.
    loss : {"least_squares"} or callable
        The mean over the signals of 1/2 ||z D' - x'||^2 at held-out x'; or a function of the codes that
        returns a loss and its gradient by the codes.
    X_held_out : array (n_signals, n_held_out)
        The held-out x': another noisy observation of the same signals, or their values at features that X
        lacks. None with a callable.
    D_held_out : array (n_atoms, n_held_out), optional
        The dictionary at those features; by default D, for another observation.
    codes, tol
        As in `implicit_gradient`.
    positive, weights, n_threads
        As in `encode`; weights are finite and positive, one per atom.
        For one weight per atom give reg=1 and the weights.

    Returns
    -------
    HyperGradient
        value, reg and weights.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=100, noise_std=0.3)
    >>> clean = problem.codes @ problem.dictionary
    >>> small, large = (
    ...     riata.hypergradient(problem.signals, problem.dictionary, reg, "least_squares", clean).reg
    ...     for reg in (0.01, 2.0)
    ... )
    >>> small < 0 < large
    True
    """
    where = "hypergradient"
    X, D = as_matrices(where, X=X, D=D)
    options = as_options(where, "implicit_gradient", locals())
    codes = as_optional_like(where, "codes", codes, "X", X, _CODES)
    if callable(loss):
        if X_held_out is not None or D_held_out is not None:
            raise ValueError(f"{where}: X_held_out and D_held_out are for loss='least_squares', not for a callable")
        if codes is None:
            require_plain_weights(options.get("weights"))
            codes = encode(X, D, reg, tol=tol, positive=positive, weights=weights, n_threads=n_threads).codes
        returned = loss(codes)
        value, cotangent = as_pair(where, "what the loss returned", returned, "its value and its gradient by the codes")
        found = implicit_gradient(
            X, D, reg, cotangent, codes, tol, positive=positive, weights=weights, n_threads=n_threads
        )
        return HyperGradient(value=as_float(where, "the loss", value), reg=found.reg, weights=found.weights)
    if as_text(where, "loss", loss) != "least_squares":
        raise ValueError(f"{where}: loss = {loss!r}, must be 'least_squares' or callable")
    if X_held_out is None:
        raise ValueError(f"{where}: X_held_out is missing, expected (n_signals, n_held_out)")
    X_held_out = as_optional_like(where, "X_held_out", X_held_out, "X", X, "(n_signals, n_held_out)")
    D_held_out = as_optional_like(where, "D_held_out", D_held_out, "X", X, "(n_atoms, n_held_out)")
    return HyperGradient(
        **_riata.hypergradient(
            X, D, as_reg(where, reg), X_held_out, D if D_held_out is None else D_held_out, codes, options
        )
    )


def _as_direction(where: str, dreg: Any) -> Array | None:
    """How the weight moves: one number, or one per signal."""
    if dreg is None:
        return None
    if isinstance(dreg, numbers.Real) or getattr(dreg, "ndim", 1) == 0:
        return np.array([as_float(where, "dreg", dreg)])
    return as_vector(where, "dreg", dreg)

