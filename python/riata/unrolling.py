"""Sparse coding by a fixed number of layers, and the gradient of a loss through them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from . import _riata
from ._arguments import (
    Array,
    as_bool,
    as_float,
    as_mask,
    as_matrices,
    as_names,
    as_optional_like,
    as_options,
    as_reg,
    as_signal,
    renamed,
    require_same_precision,
)
from ._results import UnrolledGradient

_WRT = ("dictionary", "steps", "reg", "signals")


@renamed(layers="n_layers", method="algorithm")
def unrolled_encode(
    X: Any,
    D: Any,
    reg: Any,
    n_layers: int,
    algorithm: str = "fista",
    steps: Any = None,
    lipschitz: float | None = None,
    init: Any = None,
    return_extrapolated: bool = False,
    n_threads: int | None = None,
    *,
    positive: bool = False,
    weights: Any = None,
    penalty: str = "l1",
    l1_ratio: float | None = None,
    groups: Any = None,
    mask: Any = None,
    decay: float = 1.0,
) -> Array:
    """Codes after N layers of ISTA or FISTA: the forward pass of an unrolled network.

    Layer k is z <- prox(y - (s_k / L) (y D - x) D^T) with threshold s_k reg / L.

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
    algorithm : {"fista", "ista"}
        With or without momentum.
    steps : array (n_layers,), optional
        Step factors s_k, of any sign; ones by default.
    lipschitz : float, optional
        L; by default ||D||_2^2 to rounding.
    init : array (n_signals, n_atoms), optional
        Codes to start from; zeros by default.
    return_extrapolated : bool
        The output is FISTA's extrapolated point instead of the last prox.
    n_threads : int, optional
        All cores by default.
    positive, weights, penalty, l1_ratio, groups, mask
        As in `encode`; weights are finite and positive, one per atom or group.
    decay : float
        beta in (0, 1]: the weight of layer k = 0, 1, ... is beta**k reg (Tolooshams and Ba, 2021).

    Returns
    -------
    ndarray (n_signals, n_atoms)

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=5)
    >>> riata.unrolled_encode(problem.signals, problem.dictionary, 0.1, n_layers=10).shape
    (5, 40)
    """
    where = "unrolled_encode"
    X, D = as_matrices(where, X=X, D=D)
    return _riata.unrolled_encode(
        X,
        D,
        as_reg(where, reg),
        as_optional_like(where, "init", init, "X", X, "(n_signals, n_atoms)"),
        as_mask(where, mask, X),
        as_options(where, "unrolled_encode", locals()),
    )


class UnrolledEncoder:
    """`unrolled_encode` set up once, for signals that come one at a time: microseconds each, on the calling thread.

    Parameters
    ----------
    D : array (n_atoms, n_features)
        Dictionary; its precision is that of the signals and codes. Copied.
    n_layers, algorithm, steps, lipschitz, return_extrapolated, positive, weights, penalty, l1_ratio, groups, decay
        As in `unrolled_encode`, but the penalty must be l1. With given steps this is a trained Step-LISTA network.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=5)
    >>> encoder = riata.UnrolledEncoder(problem.dictionary, n_layers=10)
    >>> encoder.encode(problem.signals[0], 0.1).shape
    (40,)
    """

    @renamed(layers="n_layers", method="algorithm")
    def __init__(
        self,
        D: Any,
        n_layers: int,
        algorithm: str = "fista",
        steps: Any = None,
        lipschitz: float | None = None,
        return_extrapolated: bool = False,
        *,
        positive: bool = False,
        weights: Any = None,
        penalty: str = "l1",
        l1_ratio: float | None = None,
        groups: Any = None,
        decay: float = 1.0,
    ) -> None:
        where = "UnrolledEncoder"
        (atoms,) = as_matrices(where, D=D)
        network = as_options(where, "unrolled_encode", locals())
        self._prepare(*copy.deepcopy((atoms, network)))  # the caller's arrays may change

    def _prepare(self, atoms: Array, network: dict[str, Any]) -> None:
        kind = _riata.UnrolledEncoderFloat32 if atoms.dtype == "f4" else _riata.UnrolledEncoderFloat64
        self._atoms, self._network, self._encoder = atoms, network, kind(atoms, network)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_encoder"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare(self._atoms, self._network)

    def encode(self, x: Any, reg: float) -> Array:
        """The code (n_atoms,) of one signal (n_features,); `reg` is a number. Calls from several threads take turns."""
        signal = as_signal("UnrolledEncoder", "x", x)
        if signal.dtype != self._atoms.dtype:
            require_same_precision("UnrolledEncoder", "x", x, signal, "D", self._atoms, self._atoms)
        return self._encoder.encode(signal, as_float("UnrolledEncoder", "reg", reg))


@renamed(layers="n_layers", method="algorithm", target="targets")
def unrolled_gradient(
    X: Any,
    D: Any,
    reg: Any,
    n_layers: int,
    algorithm: str = "fista",
    loss: str = "lasso",
    backprop: int | None = None,
    lipschitz: float | None = None,
    steps: Any = None,
    targets: Any = None,
    wrt: Iterable[str] = ("dictionary", "steps", "reg"),
    return_codes: bool = True,
    return_extrapolated: bool = False,
    reduction: str = "mean",
    n_threads: int | None = None,
    *,
    positive: bool = False,
    weights: Any = None,
    penalty: str = "l1",
    l1_ratio: float | None = None,
    groups: Any = None,
    mask: Any = None,
    decay: float = 1.0,
) -> UnrolledGradient:
    """A loss at the output of N layers, differentiated through them.

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
    algorithm : {"fista", "ista"}
        With or without momentum.
    loss : {"lasso", "least_squares"}
        1/2 ||z D - x||^2 with or without reg ||z||_1.
    backprop : int, optional
        K, the last layers that are differentiated; all by default. 0 gives the gradient of alternating
        minimisation.
    lipschitz : float, optional
        L; by default ||D||_2^2 to rounding. A constant in every derivative.
    steps : array (n_layers,), optional
        Step factors s_k, of any sign; ones by default.
    targets : array (n_signals, n_features), optional
        Replaces the signals in the loss (supervised denoising).
    wrt : tuple of {"dictionary", "steps", "reg", "signals"}
        The derivatives to take. The others are None and cost nothing.
    return_codes : bool
        Without codes the memory does not grow with the number of signals.
    return_extrapolated : bool
        The output, where value and gradients are taken, is FISTA's extrapolated point.
    reduction : {"mean", "sum"}
        Over the signals.
    n_threads : int, optional
        All cores by default. The results do not depend on it.
    positive, weights, penalty, l1_ratio, groups, mask, decay
        As in `encode`; the loss has weights and penalty, too. Factors below zero are for "l1" and "group".

    Returns
    -------
    UnrolledGradient
        value, codes, and the derivatives by dictionary, steps, reg and signals.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=100)
    >>> result = riata.unrolled_gradient(problem.signals, problem.dictionary, 0.1, n_layers=10)
    >>> result.dictionary.shape, result.steps.shape, type(result.reg)
    ((40, 20), (10,), <class 'float'>)
    """
    where, given = "unrolled_gradient", locals()
    X, D = as_matrices(where, X=X, D=D)
    wanted = set(as_names(where, "wrt", wrt))
    for name in sorted(wanted.difference(_WRT)):
        raise ValueError(f"{where}: wrt names {name!r}, must be among {', '.join(map(repr, _WRT))}")
    return UnrolledGradient(
        **_riata.unrolled_gradient(
            X,
            D,
            as_reg(where, reg),
            wanted,
            as_bool(where, "return_codes", return_codes),
            as_optional_like(where, "targets", targets, "X", X, "(n_signals, n_features)"),
            as_mask(where, mask, X),
            as_options(where, "unrolled_encode", given) | as_options(where, "unrolled_gradient", given),
        )
    )
