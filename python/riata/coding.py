"""Sparse coding of batches of signals, and what a code is worth."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _riata
from ._arguments import (
    Array,
    as_callback,
    as_mask,
    as_matrices,
    as_matrix,
    as_optional_like,
    as_options,
    as_path,
    as_reg,
    as_signal,
    as_text,
    as_weights,
    require_same_precision,
    shown,
)
from ._results import CodeBlock, EncodeResult, LarsResult, LassoPath, OmpResult, StepTrace, StreamResult

_STATUS_NAMES = np.array(_riata.status_names)
_PATHS = (str, bytes, os.PathLike)


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
    penalty: str = "l1",
    l1_ratio: float | None = None,
    groups: Any = None,
    momentum: str = "beck_teboulle",
    momentum_delay: float = 3.0,
    restart: str = "gradient",
    support_norm: str = "estimated",
    shrink: float = 0.5,
    first_step: float | None = None,
    record: bool = False,
    output: str = "dense",
    mask: Any = None,
) -> EncodeResult:
    """Sparse codes of signals: z_i = argmin_z 1/2 ||x_i - z D||^2 + reg_i g(z), g(z) = ||z||_1 or another.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals, float32 or float64; integers become float64. Read in place if C-ordered.
    D : array (n_atoms, n_features)
        Dictionary, in the precision of X.
    reg : float, array (n_signals,) or str
        Weight of the penalty, > 0: one number, one per signal, or a fraction of each signal's own `reg_max`
        such as "0.1max".
    method : {"auto", "cd", "fista", "ista", "oista", "backtracking", "lars"}
        Coordinate descent on working sets, FISTA with restarts, plain proximal gradient, the same with steps
        that follow the support (Ablin et al., 2019) or found by trial, or the exact path down to reg. "auto":
        coordinate descent, or for many signals the path where it is the faster one (penalty "l1" alone):
        correlated atoms, small reg; FISTA with a mask. The elastic net takes all but "lars", "group" takes
        "fista" ("auto"), "ista" and "backtracking", "l0" takes "ista" ("auto").
    tol : float
        A signal is done when its duality gap is at most tol * 1/2 ||x||^2. With penalty "l0": when an
        iteration left its support as it was and moved its code by at most tol ||z||, or by rounding.
    max_iter : int
        Iterations, sweeps over the atoms, or knots of the path.
    n_threads : int, optional
        All cores by default. The results do not depend on it.
    init : array (n_signals, n_atoms), optional
        Codes to start from; zeros by default. "lars" has no use for them.
    positive : bool
        Codes must be >= 0; not for the penalty "l0".
    weights : array (n_atoms,), (n_groups,) or (n_signals, n_atoms), optional
        Factors w_j > 0 that multiply |z_j| per atom, or per signal and atom; for penalty "group" w_G that
        multiply ||z_G||_2, by ascending label. An atom of infinite weight is not used. One of weight 0 costs
        nothing: it is fitted by least squares beside the others (penalty "l1" without `positive` or `mask`, for
        all signals alike). Weights per signal are not for the method "lars"; "auto" is then "cd", or "fista" with
        a mask. Those of groups are finite.
    penalty : {"l1", "elastic_net", "group", "l0"}
        g(z): sum_j w_j |z_j|; l1_ratio sum_j w_j |z_j| + (1 - l1_ratio)/2 ||z||^2 (Zou and Hastie, 2005);
        sum_G w_G ||z_G||_2 over groups of atoms (Yuan and Lin, 2006); or the number of atoms
        used, ||z||_0, by iterative hard thresholding (Blumensath and Davies, 2008): a local solution, which has
        no gap.
    l1_ratio : float, optional
        The elastic net's share of l1, > 0 and <= 1; 0.5 by default. The weight of its quadratic part does not follow
        the unit of the signals: of all penalties it alone is another problem in another unit.
    groups : array (n_atoms,), optional
        Integers >= 0, one per atom, for penalty "group": atoms with equal numbers are a group.
    momentum : {"beck_teboulle", "chambolle_dossal", "greedy"}
        FISTA's extrapolation: (t_k - 1) / t_(k+1), (k - 1) / (k + momentum_delay), or 1 until the next restart.
    momentum_delay : float
        The a >= 2 of Chambolle and Dossal.
    restart : {"gradient", "objective", "never"}
        FISTA forgets its momentum where it points uphill, where the objective rose, or never.
    support_norm : {"estimated", "exact"}
        OISTA's squared norm of the atoms on the support: by power iteration, with steps that must prove their
        descent, or by eigenvalues.
    shrink : float
        Backtracking multiplies a refused step by this.
    first_step : float, optional
        Backtracking's first trial at every iteration; the last step / shrink by default.
    record : bool
        Keep a trace; for the methods "ista", "fista", "oista" and "backtracking".
    output : {"dense", "csr"}
        Codes as an array, or as a scipy.sparse.csr_matrix with the same numbers; then no more than a block of
        dense codes is ever in memory. "csr" takes neither `init` nor `record` nor `mask`.
    mask : array (n_signals, n_features), optional
        Which entries of X were seen, as booleans, or weights w in [0, 1] of the data fit 1/2 sum_t w_t (x - z D)_t^2,
        which 1/2 ||x||^2 in `tol` has too. What is hidden (w = 0) may be anything, also NaN. For the methods "fista"
        (then "auto"), "ista" and "backtracking".

    Returns
    -------
    EncodeResult
        codes, objective, gap (NaN with penalty "l0"), n_iter and status per signal, the method that ran, and
        the trace if asked for.

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
    weights = as_weights("encode", weights, X, D)
    per_signal = weights is not None and weights.size > len(D)
    options = as_options("encode", "encode", locals())
    if _is_csr("encode", output):
        refused = {"record": record, "init": init is not None, "mask": mask is not None}
        for name, given in {**refused, "weights per signal": per_signal}.items():
            if given:
                raise ValueError(f"encode: {name} is for output = 'dense'")
        options.pop("record", None)
        return _encode_csr(X, D, as_reg("encode", reg), options)
    fields = _riata.encode(
        X,
        D,
        as_reg("encode", reg),
        as_optional_like("encode", "init", init, "X", X, "(n_signals, n_atoms)"),
        as_mask("encode", mask, X),
        options,
    )
    fields["status"] = _STATUS_NAMES[fields["status"]]
    fields["trace"] = (
        tuple(StepTrace(objective, step, accepted.astype(bool)) for objective, step, accepted in fields["trace"])
        if record
        else None
    )
    return EncodeResult(**fields)


def encode_stream(
    X: Any,
    D: Any,
    reg: Any,
    output: str | bytes | os.PathLike[Any] | Callable[[CodeBlock], Any],
    method: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 10000,
    n_threads: int | None = None,
    *,
    block_size: int | None = None,
    progress: Callable[[int, int], Any] | None = None,
    positive: bool = False,
    weights: Any = None,
    penalty: str = "l1",
    l1_ratio: float | None = None,
    groups: Any = None,
    momentum: str = "beck_teboulle",
    momentum_delay: float = 3.0,
    restart: str = "gradient",
    support_norm: str = "estimated",
    shrink: float = 0.5,
    first_step: float | None = None,
) -> StreamResult:
    """`encode` for more signals or codes than memory holds: signals are read block by block, codes are handed
    on sparse. They have the very bits that one call of `encode` gives.

    Parameters
    ----------
    X : str, path or array (n_signals, n_features)
        An .npy file in C order, of which one block at a time is read; or an array, also one mapped into memory
        (numpy.load with mmap_mode="r"). A file holds numbers in the precision of D; integers become float64.
    D : array (n_atoms, n_features)
        Dictionary.
    reg : float, array (n_signals,) or str
        Weight of the penalty, as in `encode`.
    output : str, path or callable
        An .npz file for scipy.sparse.load_npz, with the arrays objective, gap and n_iter beside the matrix
        (numpy.load reads them); it may be larger than 4 GiB. It appears at the end, whole: an exception or
        Ctrl-C leaves what was there before. Until then its folder needs disk for twice the codes, and it may not
        be the input. Or a function that is called with every `CodeBlock` in turn; what it raises ends the call.
    method, tol, max_iter, n_threads
        As in `encode`.
    block_size : int, optional
        Signals per block, rounded up to a multiple of 128; as many as make 16 MiB by default, but 128 per
        thread. The results do not depend on it.
    progress : callable, optional
        Called as progress(n_done, n_signals) after each block.
    positive, weights, penalty, l1_ratio, groups, momentum, momentum_delay, restart, support_norm, shrink,
    first_step
        As in `encode`; weights are the same for all signals.

    Returns
    -------
    StreamResult
        Counts, mean objective and largest gap. Signals that are not finite are refused when their block's turn
        comes, all else before the first.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=1000)
    >>> blocks = []
    >>> result = riata.encode_stream(problem.signals, problem.dictionary, "0.1max", blocks.append, block_size=512)
    >>> result.n_signals, [(block.first, block.codes.shape) for block in blocks]
    (1000, [(0, (512, 40)), (512, (488, 40))])
    """
    if not isinstance(output, _PATHS) and not callable(output):
        raise TypeError(f"encode_stream: output = {shown(output)}, must be a path or a callable")
    options = as_options("encode_stream", "encode_stream", locals())
    destination = as_path("encode_stream", "output", output) if isinstance(output, _PATHS) else None
    if isinstance(X, _PATHS):
        signals, D = as_path("encode_stream", "X", X), as_matrix("encode_stream", "D", D)
    else:
        mapped = getattr(X, "filename", None) if isinstance(X, np.memmap) else None
        if mapped and destination and os.path.exists(destination) and os.path.samefile(mapped, destination):
            raise ValueError(f"output {shown(output)} is the input itself; choose another name")
        signals, D = as_matrices("encode_stream", X=X, D=D)
    if destination is None:
        target, n_atoms = output, len(D)

        def sink(block: Any) -> None:
            target(_code_block(block, n_atoms))

    fields = _riata.encode_stream(
        signals,
        D,
        as_reg("encode_stream", reg),
        sink if destination is None else destination,
        as_callback("encode_stream", progress, "progress"),
        options,
    )
    return StreamResult(**fields)


def _is_csr(where: str, output: Any) -> bool:
    if as_text(where, "output", output) not in ("dense", "csr"):
        raise ValueError(f"{where}: output = {output!r}, must be 'dense' or 'csr'")
    return bool(output == "csr")


def _csr(codes: tuple[Array, Array, Array], n_atoms: int) -> Any:
    import scipy.sparse  # importing riata does not

    return scipy.sparse.csr_matrix(codes, shape=(len(codes[2]) - 1, n_atoms))


def _code_block(block: Any, n_atoms: int) -> CodeBlock:
    first, codes, objective, gap, n_iter, status = block
    return CodeBlock(first, _csr(codes, n_atoms), objective, gap, n_iter, _STATUS_NAMES[status])


def _encode_csr(X: Array, D: Array, reg: Any, options: dict[str, Any]) -> EncodeResult:
    parts: dict[str, list[Array]] = {
        name: [] for name in ("values", "indices", "row_lengths", "objective", "gap", "n_iter", "status")
    }

    def keep(block: Any) -> None:
        _, (values, indices, indptr), *certificate = block
        for part, array in zip(parts.values(), (values, indices, np.diff(indptr), *certificate)):
            part.append(array)

    try:
        report = _riata.encode_stream(X, D, reg, keep, None, options)
    except ValueError as refused:
        raise ValueError(str(refused).replace("encode_stream: ", "encode: ", 1)) from None
    # One array after the other, so that no more than one is there twice.
    joined = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
    indptr = np.concatenate([[0], np.cumsum(joined["row_lengths"])])
    return EncodeResult(
        _csr((joined["values"], joined["indices"], indptr), len(D)),
        joined["objective"],
        joined["gap"],
        joined["n_iter"],
        _STATUS_NAMES[joined["status"]],
        report["method"],
    )


def lasso_path(
    x: Any,
    D: Any,
    reg_min: float = 0.0,
    max_knots: int = 10000,
    *,
    positive: bool = False,
    weights: Any = None,
) -> LassoPath:
    """The codes of one signal for every weight, exactly: they are piecewise linear in reg, and these are the
    knots (homotopy, LARS with drops).

    Parameters
    ----------
    x : array (n_features,)
        The signal, float32 or float64; integers become float64.
    D : array (n_atoms, n_features)
        Dictionary, in the precision of x. Atoms may be repeated or dependent: the codes are then one solution.
    reg_min : float
        Where the path ends, >= 0.
    max_knots : int
        At most so many knots.
    positive, weights
        As in `encode`; weights are above 0 and one per atom.

    Returns
    -------
    LassoPath
        regs, descending from reg_max, codes and gap per knot, and status. Between two knots codes are interpolated
        linearly.

    Examples
    --------
    >>> import numpy as np, riata
    >>> path = riata.lasso_path(np.array([3.0, -1.0]), np.eye(2))
    >>> path.regs
    array([3., 1., 0.])
    >>> path.codes[1]
    array([2., 0.])
    """
    signal, atoms = as_signal("lasso_path", "x", x), as_matrix("lasso_path", "D", D)
    require_same_precision("lasso_path", "x", x, signal, "D", D, atoms)
    return LassoPath(
        *_riata.lasso_path(
            signal,
            atoms,
            as_options("lasso_path", "lasso_path", locals()),
        )
    )


def omp(
    X: Any,
    D: Any,
    n_nonzero: int | None = None,
    tol: float | None = None,
    n_threads: int | None = None,
    *,
    max_error: Any = None,
    selection: str = "omp",
    gram: Any = None,
    covariance: Any = None,
    output: str = "dense",
) -> OmpResult:
    """Orthogonal matching pursuit: atoms are chosen one by one, codes are the least-squares fit on those chosen.

    Correlations, which choose, are computed in the precision of X, by "ols" in float64; the fit and its error in float64. An atom
    within 1e-4 of the span of those chosen, relative to its norm, is passed over.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals, float32 or float64; integers become float64.
    D : array (n_atoms, n_features)
        Dictionary, in the precision of X. Atoms need not have norm 1: correlations are divided by their norms.
    n_nonzero : int, optional
        At most so many atoms per signal.
    tol : float, optional
        Until ||x - z D||^2 <= tol ||x||^2.
    n_threads : int, optional
        All cores by default. The results do not depend on it.
    max_error : float or array (n_signals,), optional
        Until ||x - z D||^2 <= max_error: what scikit-learn's `orthogonal_mp` calls tol. Give n_nonzero, tol or max_error; the
        first stop to be met counts.
    selection : {"omp", "ols"}
        "omp": the atom of the largest |d . r| / ||d||. "ols", orthogonal least squares: the atom that lowers the error most
        (Chen, Billings and Luo, 1989), which SPAMS calls omp.
    gram : array (n_atoms, n_atoms), optional
        D D^T, where you have it already. Atoms are chosen by it; fits and errors are those of D.
    covariance : array (n_signals, n_atoms), optional
        X D^T, where you have it already.
    output : {"dense", "csr"}
        Codes as an array, or as a scipy.sparse.csr_matrix with the same numbers; with `n_nonzero` no array of n_atoms per
        signal is in between.

    Returns
    -------
    OmpResult
        codes, error, n_nonzero and status per signal.

    Examples
    --------
    >>> import numpy as np, riata
    >>> riata.omp(np.array([[3.0, -1.0, 2.0]]), np.eye(3), n_nonzero=2).codes
    array([[3., 0., 2.]])
    """
    X, D = as_matrices("omp", X=X, D=D)
    if np.ndim(max_error) == 0 and max_error is not None:
        max_error = [max_error]
    if max_error is not None and np.size(max_error) == 0:
        raise ValueError(f"omp: max_error has 0 numbers, must be one, or one for each of the {len(X)} signals")
    as_csr = _is_csr("omp", output)
    fields = _riata.omp(
        X,
        D,
        as_optional_like("omp", "gram", gram, "D", D, "(n_atoms, n_atoms)"),
        as_optional_like("omp", "covariance", covariance, "D", D, "(n_signals, n_atoms)"),
        as_csr,
        as_options("omp", "omp", locals()),
    )
    if as_csr:
        fields["codes"] = _csr(fields["codes"], len(D))
    fields["status"] = _STATUS_NAMES[fields["status"]]
    return OmpResult(**fields)


def lars(
    X: Any,
    D: Any,
    n_nonzero: int,
    n_threads: int | None = None,
    *,
    positive: bool = False,
    weights: Any = None,
) -> LarsResult:
    """Codes of so many atoms on the Lasso's path of each signal: the solution at the first knot that has them.

    Where no atom leaves the path on the way, this is least angle regression after n_nonzero steps (Efron, Hastie, Johnstone and
    Tibshirani, 2004): scikit-learn's "lars".

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals, float32 or float64; integers become float64.
    D : array (n_atoms, n_features)
        Dictionary, in the precision of X.
    n_nonzero : int
        Where each path ends; at reg = 0 if it never has so many. Atoms that tie enter together, and then there are more.
    n_threads : int, optional
        All cores by default. The results do not depend on it.
    positive, weights
        As in `encode`; weights are above 0 and one per atom.

    Returns
    -------
    LarsResult
        codes, regs, gap and status per signal.

    Examples
    --------
    >>> import numpy as np, riata
    >>> result = riata.lars(np.array([[3.0, -1.0]]), np.eye(2), n_nonzero=1)
    >>> result.codes, result.regs
    (array([[2., 0.]]), array([1.]))
    """
    X, D = as_matrices("lars", X=X, D=D)
    fields = _riata.lars(X, D, as_options("lars", "lars", locals()))
    fields["status"] = _STATUS_NAMES[fields["status"]]
    return LarsResult(**fields)


def lasso_objective(
    X: Any,
    D: Any,
    Z: Any,
    reg: Any,
    *,
    positive: bool = False,
    weights: Any = None,
    penalty: str = "l1",
    l1_ratio: float | None = None,
    groups: Any = None,
    n_threads: int | None = None,
    mask: Any = None,
) -> Array:
    """The objective 1/2 ||x_i - z_i D||^2 + reg_i g(z_i) per signal, in float64; g(z) = ||z||_1 or another.

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
    positive, weights, penalty, l1_ratio, groups, n_threads, mask
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
    return _certificate("lasso_objective", X, D, Z, reg, mask, locals())


def duality_gap(
    X: Any,
    D: Any,
    Z: Any,
    reg: Any,
    *,
    positive: bool = False,
    weights: Any = None,
    penalty: str = "l1",
    l1_ratio: float | None = None,
    groups: Any = None,
    n_threads: int | None = None,
    mask: Any = None,
) -> Array:
    """An upper bound on the objective's distance to its minimum per signal, in units of the objective, in
    float64.

    The dual point is the residual scaled into {theta : |D theta| <= reg}, for another penalty into its like
    (docs/math.md); with penalty "l0" there is none and the gap is NaN. Parameters as in `lasso_objective`.

    Examples
    --------
    >>> import numpy as np, riata
    >>> X, D = np.array([[1.0, 2.0]]), np.eye(2)
    >>> riata.duality_gap(X, D, [[0.9, 1.9]], reg=0.1).round(12)  # the solution
    array([0.])
    """
    return _certificate("duality_gap", X, D, Z, reg, mask, locals())


def kkt_violation(
    X: Any,
    D: Any,
    Z: Any,
    reg: Any,
    *,
    positive: bool = False,
    weights: Any = None,
    penalty: str = "l1",
    l1_ratio: float | None = None,
    groups: Any = None,
    n_threads: int | None = None,
    mask: Any = None,
) -> Array:
    """How far the codes are from the optimality conditions per signal, in float64: zero exactly at a
    solution.

    The largest distance, over the atoms, of the correlation d_j . (x - z D) from reg times the
    subdifferential of |z_j|, or its like for another penalty; with "l0" from the conditions of a fixed point
    of hard thresholding. Parameters as in `lasso_objective`.

    Examples
    --------
    >>> import numpy as np, riata
    >>> riata.kkt_violation(np.array([[1.0, 2.0]]), np.eye(2), [[0.0, 1.9]], reg=0.1).round(6)
    array([0.9])
    """
    return _certificate("kkt_violation", X, D, Z, reg, mask, locals())


def _certificate(where: str, X: Any, D: Any, Z: Any, reg: Any, mask: Any, given: dict[str, Any]) -> Array:
    X, D, Z = as_matrices(where, X=X, D=D, Z=Z)
    options = as_options(where, "reg_max", given | {"weights": as_weights(where, given["weights"], X, D)})
    return getattr(_riata, where)(X, D, Z, as_reg(where, reg), as_mask(where, mask, X), options)


def reg_max(
    X: Any,
    D: Any,
    *,
    positive: bool = False,
    weights: Any = None,
    penalty: str = "l1",
    l1_ratio: float | None = None,
    groups: Any = None,
    n_threads: int | None = None,
    mask: Any = None,
) -> Array:
    """The smallest weight whose codes are all zero, per signal: max_j |d_j . x| / w_j.

    Beside atoms of weight 0 it is the smallest at which no others are used. With penalty "elastic_net" it is that over l1_ratio, with "group" max_G ||D_G x||_2 / w_G, and with "l0"
    max_j |d_j . x|^2 / (2 ||D||_2^2), the smallest at which hard thresholding stays at zero.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals.
    D : array (n_atoms, n_features)
        Dictionary.
    positive, weights, penalty, l1_ratio, groups, n_threads, mask
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
    weights = as_weights("reg_max", weights, X, D)
    return _riata.reg_max(X, D, as_mask("reg_max", mask, X), as_options("reg_max", "reg_max", locals()))
