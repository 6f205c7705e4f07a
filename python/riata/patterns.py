"""Patterns of recordings, learned: which they are, when they occur, and how much they explain."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import _riata
from ._arguments import (
    Array,
    as_bool,
    as_callback,
    as_float,
    as_float_array,
    as_metadata,
    as_options,
    as_path,
    as_reg,
    as_size,
    as_text,
    as_verbosity,
    require_same_precision,
    shown,
)
from ._results import ExplainedVariance, History, PatternModel, PatternsResult
from .convolution import as_activations, as_trials
from .learning import _logger, _method_options, _observer


def learn_patterns(
    X: Any,
    n_atoms: int,
    n_times_atom: int,
    reg: Any = "0.1max",
    rank_one: bool = True,
    window: bool = False,
    method: str = "online",
    n_layers: int = 30,
    positive: bool = True,
    n_times_window: int | None = None,
    batch_size: int | None = None,
    max_iter: int = 300,
    max_time: float | None = None,
    tol: float = 1e-6,
    init: str = "data",
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 10,
    resume: bool = False,
    random_state: Any = 0,
    n_threads: int | None = None,
    callback: Callable[[Any], Any] | None = None,
    *,
    algorithm: str = "fista",
    loss: str = "lasso",
    reduction: str = "mean",
    backprop: int | None = None,
    learn_steps: bool = False,
    coder_tol: float | None = None,
    validation: float = 0.0,
    max_no_improvement: int = 10,
    least_gain: float = 0.0,
    shuffle: bool = True,
    method_options: Mapping[str, Any] | None = None,
    n_nonzero: int | None = None,
    resume_inexact: bool = False,
    overwrite_checkpoint: bool = False,
    verbose: bool = False,
    progress: bool = False,
) -> PatternsResult:
    """Learn the patterns that recordings are made of: convolutional dictionary learning.

    Minimises the mean over the windows, or the trials, of 1/2 ||x - sum_k d_k * z_k||^2 + reg ||z||_1 over patterns d_k of norm
    one, d_k * z_k being a convolution in time on every channel. Ctrl-C stops the run and returns the best patterns so far with
    status "interrupted".

    Parameters
    ----------
    X : array (n_trials, n_channels, n_times), or (n_trials, n_times) of one channel, or an object that reads
        Recordings, float32 or float64; integers become float64. Of an object that has the attributes `shape`, of these three
        numbers, `dtype`, and a method `read(trial, first, count)` that gives an array (n_channels, count), methods on mini-batches
        hold a batch at a time, beside the windows that a fraction as `reg` is of; the others hold all of it.
    n_atoms : int
        Number of patterns.
    n_times_atom : int
        Samples of a pattern, at most those of a trial.
    reg : float or str
        Weight of the activations, in the unit of X; a fraction such as "0.1max" is of the 0.99 quantile of `conv_reg_max` at the
        initial patterns, over 100 windows, or over the trials.
    rank_one : bool
        Patterns are u v^T, one course v in time that all channels share in the proportions u; otherwise each channel has its own.
    window : bool
        Of rank one, v is multiplied by Tukey's window, so that it is nearly zero at both ends.
    method : {"online", "stochastic", "unrolled", "truncated", "alternating", "alternating_exact", "ksvd"}
        On mini-batches of windows that begin anywhere: "online", by statistics of exact activations; "stochastic", by the gradient
        through all layers with a line search on each batch (Malezieux et al., 2022). On all trials: gradient through all layers;
        through the last `backprop`; with the activations held; alternating with exact activations; or "ksvd", convolutional K-SVD
        on activations by matching pursuit down to a tenth of the first, where reg is but what `transform` takes afterwards.
    n_layers : int
        Number of unrolled layers N.
    positive : bool
        Activations >= 0.
    n_times_window : int, optional
        Samples of the windows in a mini-batch; ten patterns by default, or a trial where that is shorter.
    batch_size : int, optional
        Windows of a mini-batch; 10 by default.
    max_iter : int
        Accepted iterations, or mini-batches.
    max_time : float, optional
        Seconds.
    tol : float
        Relative decrease between accepted iterations that ends the run, as in `learn_dictionary`; methods on mini-batches do not
        look at it.
    init : {"data", "random"}
        Where to start: pieces of the recordings, of rank one the best approximation of each, or noise.
    checkpoint, checkpoint_every, resume, resume_inexact, overwrite_checkpoint
        As in `learn_dictionary`: a killed run goes on bit for bit.
    random_state : int, RandomState, Generator or None
        Seed. The same seed gives the same bits for any number of threads, and however X is read.
    n_threads : int, optional
        All cores by default.
    callback : callable, optional
        Called after every accepted iteration with an object that has phase, iteration, value, step and seconds. Returning True
        stops the run.
    algorithm : {"fista", "ista"}
        The layers.
    loss : {"lasso", "least_squares"}
        What is minimised.
    reduction : {"mean", "sum"}
        Of the values in the history; the patterns are the same.
    backprop : int, optional
        K of "truncated".
    learn_steps : bool
        As in `learn_dictionary`: then learn patterns and step factors together.
    coder_tol : float, optional
        Relative duality gap of exact activations.
    validation, max_no_improvement, least_gain, shuffle
        As in `learn_dictionary`, of windows: a share of them that mini-batches never hold, and by which the best patterns are told.
    method_options : mapping, optional
        What single methods take; "online": `forgetting`, as in `learn_dictionary`.
    n_nonzero : int, optional
        Activations of a trial by "ksvd", at most; by default their sizes alone end a pursuit.
    verbose : bool
        Log every iteration to the logger "riata", level INFO.
    progress : bool
        Show a tqdm bar on a terminal, if tqdm is installed.

    Returns
    -------
    PatternsResult
        atoms, u, v, reg, history, initial_value, n_replaced, status, steps, rank_one, window, positive.

    Examples
    --------
    >>> import numpy as np, riata
    >>> bump = np.hanning(22)[1:-1]
    >>> x = np.zeros((1, 1000)); x[0, [100, 300, 470, 720, 900]] = 1
    >>> X = np.apply_along_axis(np.convolve, 1, x, bump, "same")
    >>> result = riata.learn_patterns(X, n_atoms=1, n_times_atom=30, n_times_window=1000, max_iter=30)
    >>> result.atoms.shape, result.u.shape, result.v.shape
    ((1, 1, 30), (1, 1), (1, 30))
    """
    where = "learn_patterns"
    given = locals() | _method_options(where, method_options)
    source = _Source.of(where, X)
    signals, n_channels, n_times = (None, *source.shape[1:]) if source is not None else as_trials(where, X)
    as_text(where, "init", init)
    options = as_options(where, where, given)
    n_atoms, n_times_atom = as_size(where, "n_atoms", n_atoms), as_size(where, "n_times_atom", n_times_atom)
    weight, callback = as_reg(where, reg), as_callback(where, callback)
    verbose, progress = as_verbosity(where, verbose), as_bool(where, "progress", progress)
    rank_one, window = as_bool(where, "rank_one", rank_one), as_bool(where, "window", window)
    if isinstance(weight, np.ndarray):
        raise ValueError(f"{where}: reg has shape {weight.shape}, expected a number or a fraction such as 0.1max")
    with _observer(callback, verbose, progress, options.get("max_iter", max_iter)) as observer:
        if source is not None:
            size, single = source.shape, source.dtype == np.float32
            fields = _riata.learn_patterns_of_source(source.read, *size, single, n_atoms, n_times_atom, weight, observer, options)
        else:
            fields = _riata.learn_patterns(signals, n_channels, n_atoms, n_times_atom, weight, observer, options)
    fields["atoms"] = fields["atoms"].reshape(n_atoms, n_channels, n_times_atom)
    if not rank_one:
        fields |= {"u": None, "v": None}
    fields |= {"history": History(**fields["history"]), "window": window, "positive": bool(positive)}
    result = PatternsResult(**fields)
    if result.status == "interrupted":
        n_iter = len(result.history.value)
        _logger.warning("%s: interrupted after %d iteration%s; these are the best patterns so far", where, n_iter, "" if n_iter == 1 else "s")
    return result


class PatternLearner:
    """What `ConvolutionalDictionaryLearning.partial_fit` keeps. Pickled, it goes on bit for bit."""

    def __init__(self, arguments: tuple[Any, ...], window: bool, is_float32: bool) -> None:
        self._arguments, self._window, self._is_float32 = arguments, window, is_float32
        self._core = (_riata.PatternLearner32 if is_float32 else _riata.PatternLearner64)(*arguments)

    @classmethod
    def of(cls, n_channels: int, n_atoms: Any, n_times_atom: Any, reg: Any, like: Array, start: Any, **given: Any) -> PatternLearner:
        """`start`: u, v and atoms to go on from, or None. Keywords as in `learn_patterns`."""
        where = "partial_fit"
        options = as_options(where, "learn_patterns", given)
        window, u, v = as_bool(where, "window", given["window"]), None, None
        if start is not None:
            u, v, atoms = (None if a is None else a.astype(like.dtype) for a in start)
            v = atoms.reshape(len(atoms), -1) if v is None else v
            if window:
                v = v / _riata.tukey_window(v.shape[1]).astype(v.dtype)
        sizes = (n_channels, as_size(where, "n_atoms", n_atoms), as_size(where, "n_times_atom", n_times_atom))
        return cls((*sizes, as_reg(where, reg), u, v, options), window, like.dtype == np.float32)

    def partial_fit(self, signals: Array) -> None:
        self._core.partial_fit(signals.astype(np.float32 if self._is_float32 else np.float64, copy=False))

    def result(self) -> dict[str, Any]:
        return self._core.result(self._window)

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments, "window": self._window, "is_float32": self._is_float32, "state": self._core.state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        PatternLearner.__init__(self, state["arguments"], state["window"], state["is_float32"])
        self._core.restore(state["state"])


def pattern_events(
    Z: Any,
    atoms: Any,
    min_amplitude: float = 0.3,
    n_times: int | None = None,
    boundary: str = "valid",
    return_amplitudes: bool = False,
) -> Any:
    """When patterns occur, as single events: the samples where they have most energy.

    A smooth pattern is nearly what it is a sample later, and several activations make one event: those to which the pattern's
    autocorrelation falls no lower than a half. Its place is their mean, weighted by their sizes. The largest come first, and no other
    begins from an activation within half a pattern of theirs.

    Parameters
    ----------
    Z : array (n_trials, n_atoms, n_positions)
        Activations, as `conv_encode` returns them.
    atoms : array (n_atoms, n_channels, n_times_atom), or (n_atoms, n_times_atom), or a pair (u, v)
        The patterns, as in `conv_encode`.
    min_amplitude : float
        Events below this share of the atom's typical one are left out: half of the energy of its activations is in events at
        least as large as that. 0 keeps all.
    n_times : int, optional
        Samples of a trial; what fits n_positions by default.
    boundary : {"valid", "full", "circular"}
        As in `conv_encode`. Events whose sample is outside of the trial are left out.
    return_amplitudes : bool
        Also return the sums of the activations.

    Returns
    -------
    list of n_atoms arrays of int
        Of one trial (n_events,), samples; of several (n_events, 2), trial and sample. In the order of time.
    list of n_atoms arrays
        With `return_amplitudes`: (n_events,), in the unit of Z.

    Examples
    --------
    >>> import numpy as np, riata
    >>> bump = np.hanning(23)[1:-1]
    >>> Z = np.zeros((1, 1, 180)); Z[0, 0, [30, 31, 100]] = 1, 1, 2
    >>> [times.tolist() for times in riata.pattern_events(Z, bump[None])]
    [[41, 110]]
    """
    where = "pattern_events"
    flat, kernels, u, n_channels, times = as_activations(where, Z, atoms, n_times, boundary)
    min_amplitude, wanted = as_float(where, "min_amplitude", min_amplitude), as_bool(where, "return_amplitudes", return_amplitudes)
    found = _riata.pattern_events(flat, kernels, u, n_channels, times, boundary, min_amplitude)
    events = [samples if len(flat) == 1 else np.column_stack([trials, samples]) for trials, samples, _ in found]
    return (events, [amplitudes for _, _, amplitudes in found]) if wanted else events


def explained_variance(X: Any, atoms: Any, Z: Any, boundary: str = "valid") -> ExplainedVariance:
    """How much of recordings patterns explain, each and all together.

    Parameters
    ----------
    X : array (n_trials, n_channels, n_times), or (n_trials, n_times) of one channel
        Recordings.
    atoms, boundary
        As in `conv_encode`.
    Z : array (n_trials, n_atoms, n_positions)
        Their activations, in the precision of X. Those of a positive weight are shrunk by it and explain less than could be.

    Returns
    -------
    ExplainedVariance
        per_atom and total: shares of ||x||^2 over all trials, the recordings being taken as given.

    Examples
    --------
    >>> import numpy as np, riata
    >>> d = np.array([[3.0, 4.0]]) / 5
    >>> riata.explained_variance([[3.0, 4.0, 0.0]], d, [[[5.0, 0.0]]]).total
    1.0
    """
    where = "explained_variance"
    signals, n_channels, n_times = as_trials(where, X)
    codes, kernels, u, channels, _ = as_activations(where, Z, atoms, n_times, boundary)
    require_same_precision(where, "X", X, signals, "Z", Z, codes)
    if channels != n_channels or len(codes) != len(signals):
        raise ValueError(
            f"{where}: X has {len(signals)} trials of {n_channels} channels, but Z has {len(codes)} trials and atoms {channels} "
            "channels; they must be equal"
        )
    return ExplainedVariance(*_riata.explained_variance(signals, codes, kernels, u, n_channels, boundary))


def save_patterns(path: str | os.PathLike[str], patterns: Any, metadata: Mapping[str, Any] | None = None) -> None:
    """Write patterns as safetensors, the same file that the command `riata` reads.

    Parameters
    ----------
    path : path
        Written atomically.
    patterns : PatternsResult, PatternModel or ConvolutionalDictionaryLearning
        With their weight and whether activations are positive.
    metadata : mapping, optional
        Values are stored as text. `rate` is Hz, `channel_names` a JSON array, `unit` that of the recordings.

    Examples
    --------
    >>> import numpy as np, os, riata, tempfile
    >>> X = np.random.default_rng(0).standard_normal((1, 2, 200))
    >>> learned = riata.learn_patterns(X, n_atoms=3, n_times_atom=10, max_iter=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "patterns.safetensors")
    ...     riata.save_patterns(path, learned, {"rate": 100})
    ...     riata.load_patterns(path).atoms.shape
    (3, 2, 10)
    """
    where = "save_patterns"
    named = {name: getattr(patterns, name + "_", getattr(patterns, name, None)) for name in ("atoms", "u", "v", "reg")}
    if named["atoms"] is None:
        raise TypeError(f"{where}: patterns = {shown(patterns)}, must be what learn_patterns returns, or a fitted model")
    atoms = np.ascontiguousarray(named["atoms"])
    n_atoms, n_channels, n_times_atom = atoms.shape
    record = dict(patterns.metadata) if isinstance(patterns, PatternModel) else {}
    if named["reg"] is not None:
        record["reg"] = repr(float(named["reg"]))
    record |= {"positive": "true" if patterns.positive else "false"} | as_metadata(where, metadata)
    u, kernels, window = None, atoms.reshape(n_atoms, -1), None
    if named["u"] is not None:
        u, kernels = np.ascontiguousarray(named["u"]), np.ascontiguousarray(named["v"])
        if patterns.window:
            window = _riata.tukey_window(n_times_atom).astype(atoms.dtype)
            kernels = kernels / window
    _riata.save_patterns(as_path(where, "path", path), u, kernels, window, n_channels, record)


def load_patterns(path: str | os.PathLike[str]) -> PatternModel:
    """Read patterns that `save_patterns` or the command `riata` wrote.

    Parameters
    ----------
    path : path
        A safetensors file.

    Returns
    -------
    PatternModel
        atoms, u, v, window, reg, positive and metadata; float32 or float64 as stored.
    """
    fields = _riata.load_patterns(as_path("load_patterns", "path", path))
    metadata, u, v, window = fields["metadata"], fields["u"], fields["v"], fields["window"]
    reg = metadata.pop("reg", None)
    return PatternModel(
        atoms=fields["atoms"].reshape(len(fields["atoms"]), fields["n_channels"], -1),
        u=u,
        v=v if window is None else v * window,
        window=window is not None,
        reg=None if reg is None else float(reg),
        positive=metadata.pop("positive", "true") == "true",
        metadata=metadata,
    )


class _Source:
    """Recordings that are read in pieces, in one precision."""

    def __init__(self, where: str, X: Any) -> None:
        self._where, self._given = where, X
        try:
            shape = tuple(X.shape)
        except Exception:
            raise TypeError(f"{where}: X.shape = {shown(X.shape)}, must be (n_trials, n_channels, n_times)") from None
        if len(shape) != 3:
            raise ValueError(f"{where}: X reads pieces and has shape {shown(shape)}, expected (n_trials, n_channels, n_times)")
        self.shape = tuple(as_size(where, "X.shape", size) for size in shape)
        if min(self.shape) < 1:
            raise ValueError(f"{where}: X has shape {self.shape} and holds no samples")
        self.dtype = as_float_array(where, "X", np.empty(0, X.dtype)).dtype

    @staticmethod
    def of(where: str, X: Any) -> _Source | None:
        is_one = callable(getattr(X, "read", None)) and hasattr(X, "shape") and hasattr(X, "dtype") and not isinstance(X, np.ndarray)
        return _Source(where, X) if is_one else None

    def read(self, trial: int, first: int, count: int) -> Array:
        name = f"samples {first} to {first + count - 1} of trial {trial}"
        piece = as_float_array(self._where, name, self._given.read(trial, first, count))
        if piece.shape != (self.shape[1], count):
            raise ValueError(f"{self._where}: {name} came with shape {piece.shape}, must be ({self.shape[1]}, {count})")
        return piece.astype(self.dtype, copy=False)
