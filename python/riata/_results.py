"""What the functions return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ._arguments import Array


class _Renamed:
    """Attributes by the names that they had before: `_before` tells the new ones."""

    _before: ClassVar[dict[str, str]] = {}

    def __getattr__(self, name: str) -> Any:
        now = self._before.get(name)
        raise AttributeError(f"{type(self).__name__} has no {name}" + (f"; it is called {now} since riata 0.2" if now else ""))


@dataclass(frozen=True, eq=False, repr=False)
class StepTrace:
    """What one signal went through: one entry per iteration.

    Attributes
    ----------
    objective : ndarray (n_iter,)
        After the iteration, in float64.
    step : ndarray (n_iter,)
        The step taken.
    accepted : ndarray (n_iter,) of bool
        For "oista": was it that of the support? For "backtracking": was it the first trial?
    """

    objective: Array
    step: Array
    accepted: Array

    def __repr__(self) -> str:
        return f"StepTrace({len(self.step)} iterations)"


@dataclass(frozen=True, eq=False, repr=False)
class LassoPath:
    """The knots of a signal's regularisation path; returned by `lasso_path`.

    Attributes
    ----------
    regs : ndarray (n_knots,)
        Descending, from reg_max.
    codes : ndarray (n_knots, n_atoms)
        A solution at each.
    gap : ndarray (n_knots,)
        Duality gap at each, in float64 and in units of the objective. At reg = 0, which has no dual point, it is
        1/2 ||x - z D||^2.
    status : str
        "converged"; "max_iter" where `max_knots` came first; "stalled" where rounding ended the path before
        `reg_min`, or left a knot that is no solution: the gap, in float64, is above 1e-9 of 1/2 ||x||^2.
    """

    regs: Array
    codes: Array
    gap: Array
    status: str

    def __repr__(self) -> str:
        n_knots, n_atoms = self.codes.shape
        return (
            f"LassoPath({n_knots} knots, {n_atoms} atoms, reg {self.regs[0]:.3g} to {self.regs[-1]:.3g}, "
            f"{self.status})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class ValidationCurve:
    """How dictionaries fare on signals that they have not seen; returned by `validation_curve`.

    Attributes
    ----------
    n_atoms : ndarray (n_sizes,)
        Numbers of atoms.
    regs : tuple (n_regs,)
        Weights as they were given; empty of methods on n_nonzero atoms, for which n_regs is one below.
    reg : ndarray (n_sizes, n_regs, n_runs)
        The weights as numbers; NaN where there is none.
    objective : ndarray (n_sizes, n_regs, n_runs)
        Mean over the signals held out, at exact codes; without reg that of 1/2 ||x - z D||^2.
    explained : ndarray (n_sizes, n_regs, n_runs)
        Share of those signals' energy that is explained.
    n_nonzero : ndarray (n_sizes, n_regs, n_runs)
        Atoms that a code uses, in the mean.
    stability : ndarray (n_sizes, n_regs)
        Mean recovery score between the dictionaries of two runs; NaN of one run.

    Pairs that were not reached are NaN.
    """

    n_atoms: Array
    regs: tuple[Any, ...]
    reg: Array
    objective: Array
    explained: Array
    n_nonzero: Array
    stability: Array

    def __repr__(self) -> str:
        n_sizes, n_regs, n_runs = self.objective.shape
        return f"ValidationCurve({n_sizes} numbers of atoms, {n_regs} weights, {n_runs} runs)"


@dataclass(frozen=True, eq=False, repr=False)
class LarsResult:
    """Codes of so many atoms on the Lasso's path; returned by `lars`.

    Attributes
    ----------
    codes : ndarray (n_signals, n_atoms)
        In the precision of the signals.
    regs : ndarray (n_signals,)
        The weight at which each code is the Lasso's solution.
    gap : ndarray (n_signals,)
        Duality gap there, in float64, recomputed at the codes; at reg = 0, where no dual point is feasible, 1/2 ||r||^2.
    status : ndarray (n_signals,)
        "converged", or "stalled" where rounding ended a path before it had so many atoms, or a code is no solution.
    """

    codes: Array
    regs: Array
    gap: Array
    status: Array

    def __repr__(self) -> str:
        n_signals, n_atoms = self.codes.shape
        return f"LarsResult({n_signals} signals, {n_atoms} atoms, {np.count_nonzero(self.codes) / max(1, n_signals):.3g} on average)"


@dataclass(frozen=True, eq=False, repr=False)
class OmpResult:
    """Codes by orthogonal matching pursuit; returned by `omp`.

    Attributes
    ----------
    codes : ndarray (n_signals, n_atoms), or scipy.sparse.csr_matrix for output="csr"
        In the precision of the signals.
    error : ndarray (n_signals,)
        ||x - z D||^2 in float64, recomputed at the codes.
    n_nonzero : ndarray (n_signals,)
        Atoms chosen.
    status : ndarray (n_signals,)
        "converged", or "max_iter" where `tol` was given and not met.
    """

    codes: Array
    error: Array
    n_nonzero: Array
    status: Array

    def __repr__(self) -> str:
        n_signals, n_atoms = self.codes.shape
        return (
            f"OmpResult({n_signals} signals, {n_atoms} atoms, {self.n_nonzero.mean():.3g} chosen on average, "
            f"largest error {self.error.max():.2g})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class EncodeResult:
    """Codes and what they are worth; returned by `encode` and `Network.encode`.

    Attributes
    ----------
    codes : ndarray (n_signals, n_atoms), or scipy.sparse.csr_matrix for output="csr"
        In the precision of the signals.
    objective, gap : ndarray (n_signals,)
        Objective and duality gap in float64, recomputed at the codes; the gap is in units of the objective;
        NaN with penalty "l0".
    n_iter : ndarray (n_signals,)
        Iterations, sweeps over the atoms for coordinate descent, or knots for the path.
    status : ndarray (n_signals,)
        "converged", or "max_iter" where the gap is still above the tolerance (penalty "l0": where the codes
        still moved).
    method : str
        The solver that ran, or the kind of the network.
    trace : tuple of StepTrace or None
        One per signal if `record` was asked for; empty where zero, or the start, was known to be the solution.
    """

    codes: Array
    objective: Array
    gap: Array
    n_iter: Array
    status: Array
    method: str
    trace: tuple[StepTrace, ...] | None = None

    def __repr__(self) -> str:
        n_signals, n_atoms = self.codes.shape
        done = int(np.sum(self.status == "converged"))
        return (
            f"EncodeResult({n_signals} signals, {n_atoms} atoms, method='{self.method}', "
            f"{done} converged, largest gap {self.gap.max():.2g})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class CodeBlock:
    """The codes of some signals in a row; what `encode_stream` gives to its callback.

    Attributes
    ----------
    first : int
        The block's first signal.
    codes : scipy.sparse.csr_matrix (n_signals of the block, n_atoms)
    objective, gap, n_iter, status : ndarray (n_signals of the block,)
        As in `EncodeResult`.
    """

    first: int
    codes: Any
    objective: Array
    gap: Array
    n_iter: Array
    status: Array

    def __repr__(self) -> str:
        n_signals, n_atoms = self.codes.shape
        return f"CodeBlock(signals {self.first} to {self.first + n_signals - 1}, {n_atoms} atoms)"


@dataclass(frozen=True, eq=False, repr=False)
class StreamResult:
    """What all codes of a stream are worth together; returned by `encode_stream`.

    Attributes
    ----------
    n_signals, n_atoms, n_nonzero : int
        The size of the codes, and how many of them are not zero.
    n_not_converged : int
        Signals whose gap is still above the tolerance; with penalty `"l0"`, that still moved.
    objective : float
        Mean over the signals.
    gap : float
        The largest, in units of the objective; NaN with penalty `"l0"`.
    method : str
        The solver that ran.
    """

    n_signals: int
    n_atoms: int
    n_nonzero: int
    n_not_converged: int
    objective: float
    gap: float
    method: str

    def __repr__(self) -> str:
        return (
            f"StreamResult({self.n_signals} signals, {self.n_atoms} atoms, {self.n_nonzero} not zero, "
            f"method='{self.method}', {self.n_not_converged} not converged, largest gap {self.gap:.2g})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class ConvEncodeResult:
    """Activations of patterns in recordings, and what they are worth; returned by `conv_encode`.

    Attributes
    ----------
    codes : ndarray (n_trials, n_atoms, n_positions), or scipy.sparse.csr_matrix (n_trials * n_atoms, n_positions)
        In the precision of the trials.
    objective, gap : ndarray (n_trials,)
        Objective and duality gap in float64, recomputed at the codes; the gap is in units of the objective.
    n_updates : ndarray (n_trials,)
        Of activations, or iterations of FISTA.
    status : ndarray (n_trials,)
        "converged", or "max_iter" where the gap is still above the tolerance.
    """

    codes: Array
    objective: Array
    gap: Array
    n_updates: Array
    status: Array

    def __repr__(self) -> str:
        n_active = self.codes.nnz if hasattr(self.codes, "nnz") else int((self.codes != 0).sum())
        return f"ConvEncodeResult({len(self.gap)} trials, {n_active} activations, largest gap {self.gap.max():.2g})"


@dataclass(frozen=True, eq=False, repr=False)
class TvResult:
    """Signals that are constant but for jumps, and what they are worth; returned by `tv_solve`.

    Attributes
    ----------
    signals : ndarray (n_signals, n_times)
        In the precision of the observations.
    reg : ndarray (n_signals,)
        The weights themselves, also where a fraction was asked for.
    objective, gap : ndarray (n_signals,)
        Objective and duality gap in float64, recomputed at the signals; the gap is in units of the objective.
    n_iter : ndarray (n_signals,) of int
        Iterations; of "working-set" knots of the path, or sweeps.
    status : ndarray (n_signals,)
        "converged"; "max_iter", or "stalled" by rounding, where the gap is still above the tolerance.
    method : str
        The one that ran.
    """

    signals: Array
    reg: Array
    objective: Array
    gap: Array
    n_iter: Array
    status: Array
    method: str

    def __repr__(self) -> str:
        n_done = int((self.status == "converged").sum())
        return f"TvResult({len(self.gap)} signals by {self.method!r}, {n_done} converged, largest gap {self.gap.max(initial=0.0):.2g})"


@dataclass(frozen=True, eq=False, repr=False)
class JointResult:
    """Codes that share their support; returned by `joint_encode`.

    Attributes
    ----------
    codes : ndarray (n_signals, n_atoms)
        In the precision of the signals.
    support : ndarray (n_used,) of int
        The atoms, or groups of atoms, in use.
    reg : float
        The weight itself, also where a fraction was asked for.
    objective, gap : float
        Objective and duality gap in float64, recomputed at the codes.
    n_iter : int
        Sweeps over the working set.
    status : str
        "converged", or "max_iter" where the gap is still above the tolerance.
    """

    codes: Array
    support: Array
    reg: float
    objective: float
    gap: float
    n_iter: int
    status: str

    def __repr__(self) -> str:
        n_signals, n_atoms = self.codes.shape
        return (
            f"JointResult({n_signals} signals, {n_atoms} atoms, {len(self.support)} in use, {self.status}, "
            f"gap {self.gap:.2g})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class SparseInverseResult:
    """Sources of measured fields, and what they are worth; returned by `sparse_inverse`.

    Attributes
    ----------
    sources : ndarray (n_columns of G, n_times)
        In the unit of M over that of G: ampere metres.
    active : ndarray (n_active,) of int
        The sources that are not zero.
    reg : float
        The weight itself, of the whitened problem.
    objective, gap : float
        Objective and duality gap of the whitened problem, recomputed at the sources.
    gap_rel : float
        gap / (1/2 ||W M||^2).
    rank : int
        Of the whitener: directions of the data that were used.
    whitener : ndarray (rank, n_channels)
        W.
    depth_weights : ndarray (n_sources,)
        ||(W G)_s||^depth.
    n_iter : int
        Sweeps; for "l1" the most of any instant.
    status : str
        "converged", or "max_iter" where the gap is still above the tolerance.
    """

    sources: Array
    active: Array
    reg: float
    objective: float
    gap: float
    gap_rel: float
    rank: int
    whitener: Array
    depth_weights: Array
    n_iter: int
    status: str

    def __repr__(self) -> str:
        return (
            f"SparseInverseResult({len(self.active)} of {len(self.depth_weights)} sources active, "
            f"{self.sources.shape[1]} instants, rank {self.rank}, {self.status}, relative gap {self.gap_rel:.2g})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class UnrolledGradient(_Renamed):
    """A loss after N layers and its derivatives; returned by `unrolled_gradient`. What was not asked for is
    None.

    Attributes
    ----------
    value : float
        The loss, mean or sum over the signals.
    dictionary : ndarray (n_atoms, n_features) or None
        The derivative by the dictionary.
    codes : ndarray (n_signals, n_atoms) or None
        The network's output.
    steps : ndarray (n_layers,) or None
        By the step factors, float64; zero for layers that are not differentiated.
    reg : float, ndarray (n_signals,) or None
        By reg, of its shape, float64.
    signals : ndarray (n_signals, n_features) or None
        By the signals.
    """

    value: float
    dictionary: Array | None
    codes: Array | None
    steps: Array | None
    reg: float | Array | None
    signals: Array | None

    def __repr__(self) -> str:
        fields = ("dictionary", "codes", "steps", "reg", "signals")
        there = ", ".join(name for name in fields if getattr(self, name) is not None)
        return f"UnrolledGradient(value={self.value:.6g}, with {there or 'nothing else'})"

    _before = {"gradient": "dictionary", "step_gradient": "steps", "reg_gradient": "reg", "signal_gradient": "signals"}


@dataclass(frozen=True, eq=False, repr=False)
class UnrolledStability:
    """Whether back-propagation through N layers is in its unstable regime; returned by `unrolled_stability`.

    Attributes
    ----------
    unstable : ndarray (n_signals,) of bool
        growth > 1.1.
    safe_backprop : ndarray (n_signals,) of int
        A depth K whose growth is at most 1.1 while that of K + 1 is above; all layers where they are stable.
    growth : ndarray (n_signals,)
        The largest error of the Jacobian after layer 10 on, relative to the norm of the exact code's.
    errors : ndarray (n_signals, n_layers + 1) or None
        That error layer by layer, from 1 at the start.
    """

    unstable: Array
    safe_backprop: Array
    growth: Array
    errors: Array | None

    def __repr__(self) -> str:
        return (
            f"UnrolledStability({int(self.unstable.sum())} of {len(self.unstable)} signals unstable, "
            f"largest growth {self.growth.max():.3g})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class ImplicitGradient:
    """The derivatives of <cotangent, codes> at exact codes, summed over the signals; returned by
    `implicit_gradient`.

    Attributes
    ----------
    dictionary : ndarray (n_atoms, n_features)
    signals : ndarray (n_signals, n_features)
    reg : float or ndarray (n_signals,)
        Of the shape of reg, float64; for a fraction of `reg_max`, by the resulting weight.
    weights : ndarray (n_atoms,)
        By the factors that multiply reg per atom (ones where none are given), float64.
    codes : ndarray (n_signals, n_atoms)
        The codes at which the derivatives were taken.
    """

    dictionary: Array
    signals: Array
    reg: float | Array
    weights: Array
    codes: Array

    def __repr__(self) -> str:
        n_atoms, n_features = self.dictionary.shape
        return f"ImplicitGradient({len(self.codes)} signals, {n_atoms} atoms of {n_features} features)"


@dataclass(frozen=True, eq=False, repr=False)
class HyperGradient:
    """A held-out loss and its derivatives by the penalty's parameters; returned by `hypergradient`.

    Attributes
    ----------
    value : float
        The loss.
    reg : float or ndarray (n_signals,)
        Of the shape of reg, float64; for a fraction of `reg_max`, by the resulting weight.
    weights : ndarray (n_atoms,)
        By the factors that multiply reg per atom (ones where none are given), float64.
    """

    value: float
    reg: float | Array
    weights: Array

    def __repr__(self) -> str:
        reg = f"{self.reg:.6g}" if isinstance(self.reg, float) else f"{len(self.reg)} signals"
        return f"HyperGradient(value={self.value:.6g}, reg={reg}, weights of {len(self.weights)} atoms)"


@dataclass(frozen=True, eq=False, repr=False)
class History(Mapping[str, Any]):
    """One entry per accepted iteration; a mapping as well, so that pandas.DataFrame(history) works.

    Attributes
    ----------
    value, step, seconds : ndarray
        Objective after the iteration, accepted step of the line search, wall time since the start.
    phase : ndarray of int
        0: the dictionary moved, 1: dictionary and step factors moved; of training the stage, whose losses are those of its layers.
    """

    value: Array
    step: Array
    seconds: Array
    phase: Array

    def __getitem__(self, name: str) -> Array:
        if name not in self.__dataclass_fields__:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dataclass_fields__)

    def __len__(self) -> int:
        return len(self.__dataclass_fields__)

    def __repr__(self) -> str:
        return f"History({_counted(len(self.value))})"


@dataclass(frozen=True, eq=False, repr=False)
class TrainingResult:
    """How training went; returned by `Network.fit`.

    Attributes
    ----------
    history : History
        Loss, step, seconds and stage (phase) of every accepted step.
    initial_value : float
        The loss before the first step, at the output of the first stage.
    value : float
        The loss of the trained network, at its last layer.
    reg : float
        The weight used, as a number.
    status : str
        "converged": no block of parameters (steps, thresholds, weights, rotations) alone, against its gradient, lowers the
        loss by 1e-4 of it; "stalled": `tol` or the patience of "adam" ended training where one does; "max_iter",
        "max_time" or "interrupted".
    """

    history: History
    initial_value: float
    value: float
    reg: float
    status: str

    def __repr__(self) -> str:
        return f"TrainingResult({_counted(len(self.history.value))}, value {self.value:.6g}, {self.status})"


@dataclass(frozen=True, eq=False)
class NetworkGradient:
    """Derivatives through a network; returned by `Network.gradient`.

    Attributes
    ----------
    value : float
        The loss, or the sum of cotangent * codes.
    parameters : dict of ndarray
        One array per parameter asked for, of its shape.
    reg : ndarray (1,) or (n_signals,), or None
        In the shape of reg; likewise None where it was not asked for.
    signals : ndarray (n_signals, n_features) or None
    codes : ndarray (n_signals, n_atoms) or None
        The output.
    """

    value: float
    parameters: dict[str, Array]
    reg: Array | None
    signals: Array | None
    codes: Array | None


@dataclass(frozen=True, eq=False, repr=False)
class LearnResult(_Renamed):
    """A learned dictionary; returned by `learn_dictionary`.

    Attributes
    ----------
    dictionary : ndarray (n_atoms, n_features)
        In the precision of the signals.
    steps : ndarray (n_layers,)
        Step factors of the layers; ones unless they were learned, empty for exact codes.
    history : History
        Value, accepted step, seconds and phase of every accepted iteration. Where steps are not verified, as on mini-batches
        and in "mod", "ksvd", "aksvd" and "admm", the value is that of the iteration's signals at the dictionary before its step.
    initial_value : float
        The objective before the first step; NaN if the run was stopped before it was known.
    reg : float or None
        The weight used, as a number; of "noodl", "arora*" and threshold="hard" the threshold; None of methods on `n_nonzero` atoms.
    n_replaced : int
        Dead or duplicate atoms that were replaced.
    status : str
        "converged": neither dictionary nor steps alone, against the gradient, lower the loss by 1e-4 of it; "stalled":
        `tol` ended the run where they do; "max_iter", "max_time" or "interrupted".
    positive, centred : bool
        Whether codes were kept non-negative, and the signals' means subtracted.
    n_layers, algorithm, lipschitz_bound : int, str and str, or None
        The layers that it was learned with, and the bound that `steps` are factors of the inverse of; None for exact codes.
    return_extrapolated : bool
        Whether codes were FISTA's extrapolated points.
    penalty : dict
        Keywords of `encode` for the penalty that it was learned with, where they are not the defaults.
    steps_learned : bool
        Whether `steps` were learned; `save_model` keeps them then.
    hard_threshold : bool
        Whether `reg` is not a weight but the threshold beyond which codes stay as they are.
    n_nonzero : int or None
        Atoms of a code, of "mod", "ksvd" and "aksvd".
    """

    dictionary: Array
    steps: Array
    history: History
    initial_value: float
    reg: float | None
    n_replaced: int
    status: str
    positive: bool = False
    centred: bool = False
    n_layers: int | None = None
    algorithm: str | None = None
    lipschitz_bound: str | None = None
    return_extrapolated: bool = False
    penalty: dict[str, Any] = field(default_factory=dict)
    steps_learned: bool = False
    hard_threshold: bool = False
    n_nonzero: int | None = None
    _before = {"layers": "n_layers"}

    def __repr__(self) -> str:
        n_atoms, n_features = self.dictionary.shape
        value = self.history.value[-1] if len(self.history.value) else self.initial_value
        return (
            f"LearnResult({n_atoms} atoms of {n_features} features, {_counted(len(self.history.value))}, "
            f"value {self.initial_value:.6g} -> {value:.6g}, status='{self.status}')"
        )


@dataclass(frozen=True, eq=False, repr=False)
class PatternsResult:
    """Learned patterns of recordings; returned by `learn_patterns`.

    Attributes
    ----------
    atoms : ndarray (n_atoms, n_channels, n_times_atom)
        The patterns, in the precision of the recordings, without unit and of norm one, with a window at most one.
    u, v : ndarray (n_atoms, n_channels) and (n_atoms, n_times_atom), or None
        Of rank one, atoms[k] = outer(u[k], v[k]); v holds the window. `conv_encode` takes the pair (u, v).
    reg : float
        The weight used, as a number in the recordings' unit.
    history : History
        As of `LearnResult`; of methods on mini-batches the values are those of each batch before its step.
    initial_value : float
        The objective before the first step; NaN if it is not known.
    n_replaced : int
        Atoms that were replaced.
    status : str
        As of `LearnResult`.
    steps : ndarray (n_layers,)
        Step factors of the layers; ones unless they were learned, empty for exact activations.
    window, positive : bool
        Whether v holds Tukey's window, and activations were kept non-negative.
    """

    atoms: Array
    u: Array | None
    v: Array | None
    reg: float
    history: History
    initial_value: float
    n_replaced: int
    status: str
    steps: Array
    window: bool = False
    positive: bool = True

    def __repr__(self) -> str:
        n_atoms, n_channels, n_times_atom = self.atoms.shape
        return (
            f"PatternsResult({n_atoms} atoms of {n_channels} channels and {n_times_atom} samples, "
            f"{_counted(len(self.history.value))}, reg {self.reg:.3g}, status='{self.status}')"
        )


@dataclass(frozen=True, eq=False, repr=False)
class KernelsResult:
    """Learned kernels of pictures; returned by `learn_kernels`.

    Attributes
    ----------
    atoms : ndarray (n_atoms, channels, kernel_size, kernel_size)
        The kernels, in the precision of the pictures, without unit and of norm one.
    reg : float
        The weight used, as a number in the pictures' unit.
    history : History
        As of `LearnResult`; of "stochastic" the values are those of each batch before its step.
    initial_value : float
        The objective before the first step; NaN if it is not known.
    n_replaced : int
        Kernels that were replaced.
    status : str
        As of `LearnResult`.
    steps : ndarray (n_layers,)
        Step factors of the layers; ones unless they were learned, empty for exact codes.
    boundary : str
        Where kernels were allowed to lie.
    stride : int
        Pixels from one position to the next.
    positive : bool
        Whether codes were kept non-negative.
    """

    atoms: Array
    reg: float
    history: History
    initial_value: float
    n_replaced: int
    status: str
    steps: Array
    boundary: str = "full"
    stride: int = 1
    positive: bool = False

    def __repr__(self) -> str:
        n_atoms, n_channels, size, _ = self.atoms.shape
        channels = "" if n_channels == 1 else f" of {n_channels} channels"
        return (
            f"KernelsResult({n_atoms} kernels of {size} x {size} pixels{channels}, {_counted(len(self.history.value))}, "
            f"reg {self.reg:.3g}, status='{self.status}')"
        )


@dataclass(frozen=True, eq=False, repr=False)
class PatternModel:
    """What a file of patterns holds; returned by `load_patterns`.

    Attributes
    ----------
    atoms : ndarray (n_atoms, n_channels, n_times_atom)
    u, v : ndarray (n_atoms, n_channels) and (n_atoms, n_times_atom), or None
        Of rank one, atoms[k] = outer(u[k], v[k]); v holds the window.
    window : bool
        Whether v holds a window.
    reg : float or None
        The weight that they were learned with.
    positive : bool
        Whether activations were kept non-negative.
    metadata : dict of str
        What else the file says, among it `rate` in Hz, `channel_names` as JSON and `unit`, where they are known.
    """

    atoms: Array
    u: Array | None
    v: Array | None
    window: bool
    reg: float | None
    positive: bool
    metadata: dict[str, str]

    def __repr__(self) -> str:
        n_atoms, n_channels, n_times_atom = self.atoms.shape
        return f"PatternModel({n_atoms} atoms of {n_channels} channels and {n_times_atom} samples, reg {self.reg})"


@dataclass(frozen=True, eq=False, repr=False)
class ExplainedVariance:
    """How much of recordings patterns explain, as shares of ||x||^2; returned by `explained_variance`.

    Attributes
    ----------
    per_atom : ndarray (n_atoms,)
        By how much the residual's energy rises where an atom is left out, the others' activations being as they are:
        (||r + d_k * z_k||^2 - ||r||^2) / ||x||^2 with r = x - sum_j d_j * z_j.
    total : float
        1 - ||r||^2 / ||x||^2: the sum of the others where the atoms' parts are orthogonal.
    """

    per_atom: Array
    total: float

    def __repr__(self) -> str:
        return f"ExplainedVariance({len(self.per_atom)} atoms, {self.total:.1%} in all)"


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A model file's contents; returned by `load_model`.

    Attributes
    ----------
    dictionary : ndarray (n_atoms, n_features)
    steps : ndarray (n_layers,)
        Step factors; empty where the file has none.
    metadata : dict of str
        The training record.
    penalty : dict
        Keywords of `encode` for the penalty that it was learned with, where they are not the defaults.
    """

    dictionary: Array
    steps: Array
    metadata: dict[str, str]
    penalty: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        n_atoms, n_features = self.dictionary.shape
        return f"Model({n_atoms} atoms of {n_features} features, {len(self.steps)} steps)"


def _counted(iterations: int) -> str:
    return f"{iterations} iteration" + ("" if iterations == 1 else "s")
