"""Dictionary learning, recovery scores, model files."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import _riata
from ._arguments import (
    as_bool,
    as_callback,
    as_float,
    as_float_array,
    as_like,
    as_mask,
    as_matrix,
    as_metadata,
    as_optional_like,
    as_options,
    as_path,
    as_reg,
    as_seed,
    as_size,
    as_vector,
    as_verbosity,
    renamed,
    shown,
)
from ._results import History, LearnResult, Model, ValidationCurve

_logger = logging.getLogger("riata")


@renamed(layers="n_layers", lipschitz="lipschitz_bound")
def learn_dictionary(
    X: Any,
    n_atoms: int,
    reg: Any = None,
    n_layers: int = 20,
    method: str = "unrolled",
    backprop: int | None = None,
    learn_steps: bool = False,
    init: Any = "data",
    lipschitz_bound: str = "spectral",
    return_extrapolated: bool = False,
    max_iter: int = 300,
    max_time: float | None = None,
    tol: float = 1e-6,
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
    constraint: str = "unit_sphere",
    centre: bool = False,
    replace_atoms: bool = True,
    positive: bool = False,
    weights: Any = None,
    penalty: str = "l1",
    l1_ratio: float | None = None,
    groups: Any = None,
    coder_tol: float | None = None,
    verbose: bool = False,
    progress: bool = False,
    resume_inexact: bool = False,
    overwrite_checkpoint: bool = False,
    mask: Any = None,
    batch_size: int | None = None,
    threshold: str = "soft",
    method_options: Mapping[str, Any] | None = None,
    validation: float = 0.0,
    max_no_improvement: int = 10,
    n_nonzero: int | None = None,
    least_gain: float = 0.0,
    shuffle: bool = True,
) -> LearnResult:
    """Learn a dictionary: by projected gradient on the loss after N layers of sparse coding, by alternating minimisation, or online.

    Ctrl-C stops the run and returns the best dictionary so far with status "interrupted".

    Parameters
    ----------
    X : array (n_signals, n_features), path, list of paths or of arrays, h5py or zarr dataset, Dask array, or iterator
        Signals, taken as given (see `centre`). Of .npy files or arrays in a list, which are one stream, and of datasets, methods on
        mini-batches hold a batch at a time, beside the signals held out and those that a fraction as `reg` is of. A Dask array is
        computed chunk by chunk, in an order that each pass changes. Each array that an iterator gives is a mini-batch, and
        where they end the run does, as "max_iter"; of both, `reg` is a fraction of the first batch's, and as they are read
        once there is no checkpoint and no `validation`.
    n_atoms : int
        Number of atoms.
    reg : float, str or None
        Weight of the penalty; a fraction such as "0.1max" is of the 0.99 quantile of `reg_max` at the initial
        dictionary, over the signals that are not zero, of at most 10 000 drawn by the seed. None of methods on
        `n_nonzero` atoms.
    n_layers : int
        Number of layers N.
    method : {"unrolled", "alternating", "truncated", "alternating_exact", "stochastic", "online",
              "pudle_dec", "pudle_lasso", "pudle_ls", "noodl", "mod", "ksvd", "aksvd", "arora", "arora_unbiased", "admm"}
        Gradient through all layers; with the codes held constant (K = 0); through the last `backprop`
        layers; or classical alternating minimisation on warm-started exact codes. On mini-batches, for many
        signals: "online", by the statistics of exact codes (Mairal et al., 2010); "stochastic", by the gradient
        through all layers with a line search on each batch (Malezieux et al., 2022). Adam on layers of ISTA (PUDLE,
        Tolooshams and Ba, 2021), by the gradient of the loss with codes held ("pudle_dec"), through all layers of the
        lasso ("pudle_lasso") or of least squares ("pudle_ls"). Hard thresholding with reg as the threshold, and steps by
        the codes' signs ("noodl"; Rambhatla, Li and Haupt, 2019). The classics on codes of `n_nonzero` atoms by orthogonal
        matching pursuit: all atoms at once by least squares ("mod"; Engan, Aase and Husoy, 1999); atom after atom with the
        codes that use it ("ksvd"; Aharon, Elad and Bruckstein, 2006), by one step of its alternation ("aksvd"; Rubinstein,
        Zibulevsky and Elad, 2008). NOODL's forerunners, whose codes are the correlations beyond reg ("arora"), found anew for
        each atom without the others' part of it ("arora_unbiased"; Arora, Ge, Ma and Moitra, 2015). From "pudle_dec" on all
        these take mini-batches if `batch_size` is given. Steps of ADMM for the codes of all signals and for the atoms in turns
        ("admm"; Wohlberg, 2016).
    backprop : int, optional
        K of "truncated".
    learn_steps : bool
        Then learn dictionary and step factors together: "unrolled" and "truncated" once `tol` ends the first phase, "stochastic"
        in the last third of `max_iter`.
    init : {"data", "random", "dct"} or array (n_atoms, n_features)
        Where to start; no atom may be zero.
    lipschitz_bound : {"spectral", "frobenius"}
        The bound behind the layers' steps; "frobenius" replays a published code.
    return_extrapolated : bool
        Codes are FISTA's extrapolated points; likewise for replays.
    max_iter : int
        Accepted iterations, both phases together; of "stochastic" and "online" mini-batches.
    max_time : float, optional
        Seconds.
    tol : float
        Relative decrease between accepted iterations that ends a phase, unless the dictionary or the steps alone
        still lower the loss by 1e-4; above 1e-4 `tol` ends it all the same, as "stalled". Methods on mini-batches and
        those from "pudle_dec" on do not look at it.
    checkpoint : path, optional
        File from which a killed run resumes, bit for bit. One of another run is not overwritten unless
        `overwrite_checkpoint`; one of this same run that does not resume is, since it comes to the same bits.
        Only one run at a time can have it.
    checkpoint_every : int
        Accepted iterations between writes.
    resume : bool
        Start from the checkpoint if it exists. A run that ended goes on at a smaller `tol`, except with
        `learn_steps`, where its first phase is over. On a processor that has several instruction sets it takes
        that of the checkpoint; other BLAS kernels than the checkpoint's are refused (OPENBLAS_CORETYPE chooses them
        before riata is imported).
    random_state : int, RandomState, Generator or None
        Seed. The same seed gives the same bits for any number of threads.
    n_threads : int, optional
        All cores by default.
    callback : callable, optional
        Called after every accepted iteration with an object that has phase, iteration, value, step and
        seconds. Returning True stops the run; what it raises goes on when the checkpoint is written.
    algorithm : {"fista", "ista"}
        The layers.
    loss : {"lasso", "least_squares"}
        What is minimised.
    reduction : {"mean", "sum"}
        Of the values in the history; the dictionary is the same.
    constraint : {"unit_sphere", "unit_ball", "non_negative"}
        Of the atoms: norm one; at most one; or at most one and no entry below zero.
    centre : bool
        Subtract each signal's mean first.
    replace_atoms : bool
        Replace dead and duplicate atoms where that does not raise the value.
    positive, weights, penalty, l1_ratio, groups
        As in `encode`; weights are finite and positive, one per atom or group.
    coder_tol : float
        Relative duality gap of exact codes; by default 1e-8 for "alternating_exact", 1e-2 for "online".
    verbose : bool
        Log every iteration to the logger "riata", level INFO.
    progress : bool
        Show a tqdm bar on a terminal, if tqdm is installed.
    resume_inexact : bool
        Resume also where the kernels are others than the checkpoint's: then the bits may be others too.
    overwrite_checkpoint : bool
        Put this run in the place of another's checkpoint.
    mask : array (n_signals, n_features), optional
        Which entries of X were seen, as booleans, or weights of the data fit in [0, 1], as in `encode`. `centre` subtracts
        the mean of what was seen.
    batch_size : int, optional
        Signals of a mini-batch; by default 2000 of "stochastic" and 500 of "online", or all if there are fewer, and all
        of the others that take some.
    threshold : {"soft", "hard", "decay"}
        What the layers of "pudle_*" do to small entries: shrink by reg / L; keep what is beyond reg, as it is; shrink by
        beta**k reg / L in layer k, where beta falls as the run goes on.
    method_options : mapping, optional
        What single methods take. "online": `forgetting`, of t batches the k-th counts (k / t) ** forgetting (by default 10;
        the paper's rule is about 1). "pudle_*": `learning_rate` (1e-3) and `eps` of Adam (a number; by default 1e-8 of the first gradient),
        `step` of the layers (1 / ||D||_2^2), and of threshold="decay" `decay` (0.005) and `decay_every` (100): beta =
        1 - decay * (iteration // decay_every), at least 1/2. "noodl": `learning_rate` (0.5, over the mean of the codes'
        sizes), `step` of the codes, and `least_code`, below which no code is that is not zero; "arora*" likewise, without
        `step`, and with 0.05.
    validation : float
        Share of the signals that mini-batches never hold. The dictionary returned is the best on them.
    max_no_improvement : int
        Looks at those signals, every 10 mini-batches, without a better one that end the run, as "stalled".
    n_nonzero : int, optional
        Atoms of a code, of "mod", "ksvd" and "aksvd".
    least_gain : float
        A look is better where the objective is lower by more than this share of the best one.
    shuffle : bool
        False: mini-batches are the signals in their order, again and again, and none are held out.

    Returns
    -------
    LearnResult
        dictionary, steps, history, initial_value, reg, n_replaced, status, positive, centred, n_layers,
        algorithm, lipschitz_bound, return_extrapolated, penalty, hard_threshold, n_nonzero.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=10, n_atoms=15, n_signals=200, density=0.2)
    >>> result = riata.learn_dictionary(problem.signals, 15, "0.1max", n_layers=10, max_iter=20)
    >>> result.dictionary.shape
    (15, 10)
    >>> bool(result.history.value[-1] < result.initial_value)
    True
    """
    where = "learn_dictionary"
    files, shards = _files(where, X), _Shards.of(where, X)
    if isinstance(X, Iterator) and batch_size is not None:
        raise ValueError(f"{where}: batch_size is for signals that can be cut; of an iterator each array is a mini-batch")
    batches = X if isinstance(X, Iterator) else _batches_of_chunks(where, X, batch_size, random_state, shuffle)
    is_stream = bool(files) or shards is not None or batches is not None
    X = None if is_stream else as_matrix(where, "X", X)
    given = {name: value for name, value in locals().items() if name not in ("method_options", "files", "shards", "batches", "is_stream")}
    given |= _method_options(where, method_options) | ({} if isinstance(init, str) else {"init": "data"})
    options = as_options(where, "learn_dictionary", given)
    start = None
    if not isinstance(init, str):
        shape = "(n_atoms, n_features)"
        start = as_matrix(where, "init", init, shape) if is_stream else as_optional_like(where, "init", init, "X", X, shape)
    if is_stream and mask is not None:
        raise ValueError(f"{where}: mask is for signals in memory, and X is a stream")
    if start is None and not isinstance(init, str):
        raise TypeError(f"{where}: init = None, must be 'data', 'random', 'dct' or an array")
    if start is not None and as_size(where, "n_atoms", n_atoms) != len(start):
        raise ValueError(f"{where}: init has {len(start)} atoms but n_atoms = {n_atoms}; they must be equal")
    callback = as_callback(where, callback)
    verbose, progress = as_verbosity(where, verbose), as_bool(where, "progress", progress)
    with _observer(callback, verbose, progress, options.get("max_iter", max_iter)) as observer:
        n_atoms, weight = as_size(where, "n_atoms", n_atoms), None if reg is None else as_reg(where, reg)
        if is_stream and batches is None and start is not None:
            start = start.astype(np.float64, copy=False)
        if files:
            fields = _riata.learn_dictionary_of_files(files, n_atoms, weight, start, observer, options)
        elif shards is not None:
            fields = _riata.learn_dictionary_of_source(
                shards.read, *shards.shape, shards.dtype == np.float32, n_atoms, weight, start, observer, options
            )
        elif batches is not None:
            fields = _learn_from_batches(where, batches, n_atoms, weight, start, observer, options, options.pop("max_iter", max_iter))
        else:
            fields = _riata.learn_dictionary(X, n_atoms, weight, start, as_mask(where, mask, X), observer, options)
    fields |= {"history": History(**fields["history"]), "positive": bool(positive), "centred": bool(centre)}
    penalty = {name: options[name] for name in _riata.options["reg_max"] if name in options}
    fields["penalty"] = copy.deepcopy(penalty)  # its arrays may be the caller's
    fields["steps_learned"] = bool(learn_steps)
    if fields["algorithm"] is not None:
        layers = {"n_layers": n_layers, "lipschitz_bound": lipschitz_bound}
        fields |= {name: options.get(name, value) for name, value in layers.items()}
        fields |= {"return_extrapolated": bool(return_extrapolated)}
    result = LearnResult(**fields)
    if result.status == "interrupted":
        _logger.warning(
            "%s: interrupted after %d iteration%s; this is the best dictionary so far",
            where,
            len(result.history.value),
            "" if len(result.history.value) == 1 else "s",
        )
    return result


def _files(where: str, X: Any) -> list[bytes]:
    """The paths that X names, or none."""
    if isinstance(X, (str, bytes, os.PathLike)):
        X = [X]
    if not isinstance(X, (list, tuple)) or not any(isinstance(path, (str, bytes, os.PathLike)) for path in X):
        return []
    return [as_path(where, f"X[{k}]", path) for k, path in enumerate(X)]


class _Shards:
    """Arrays whose rows are one stream of signals, read by slices."""

    def __init__(self, where: str, arrays: list[Any]) -> None:
        widths = [int(array.shape[1]) for array in arrays]
        for k, width in enumerate(widths):
            if width != widths[0]:
                raise ValueError(f"{where}: X[{k}] has {width} features but X[0] has {widths[0]}; they must be equal")
        dtypes = [as_float_array(where, f"X[{k}]", array[0:0]).dtype for k, array in enumerate(arrays)]
        for k, dtype in enumerate(dtypes):
            if dtype != dtypes[0]:
                raise TypeError(f"{where}: X[{k}] is {dtype} but X[0] is {dtypes[0]}; they must be equal (convert one with astype)")
        self._arrays, self._ends = arrays, np.cumsum([int(array.shape[0]) for array in arrays])
        self.shape, self.dtype = (int(self._ends[-1]), widths[0]), dtypes[0]

    @staticmethod
    def of(where: str, X: Any) -> _Shards | None:
        """If X is a list of two-dimensional arrays, or one that is not in memory (of h5py, of zarr)."""
        if isinstance(X, (list, tuple)) and X and all(_is_table(array) for array in X):
            return _Shards(where, list(X))
        if _is_table(X) and hasattr(X, "chunks") and not hasattr(X, "dask"):
            return _Shards(where, [X])
        return None

    def read(self, first: int, n: int) -> Any:
        signals = np.empty((n, self.shape[1]), self.dtype)
        done, shard = 0, int(np.searchsorted(self._ends, first, side="right"))
        while done < n:
            begin = first + done - (int(self._ends[shard - 1]) if shard else 0)
            some = np.asarray(self._arrays[shard][begin : begin + n - done])
            if len(some) == 0 and begin < self._arrays[shard].shape[0]:
                raise ValueError(f"learn_dictionary: X[{shard}] gives no rows at {begin}, of {self._arrays[shard].shape[0]}")
            signals[done : done + len(some)] = some
            done, shard = done + len(some), shard + 1
        return signals


def _is_table(X: Any) -> bool:
    return len(getattr(X, "shape", ())) == 2 and hasattr(X, "dtype") and hasattr(X, "__getitem__")


def _batches_of_chunks(
    where: str, X: Any, batch_size: int | None, random_state: Any, shuffle: bool
) -> Iterator[Any] | None:
    """Of a Dask array: its chunks again and again, each pass in another order."""
    if not (_is_table(X) and hasattr(X, "dask") and hasattr(X, "rechunk")):
        return None
    if any(np.isnan(size) for size in (*X.chunks[0], *X.chunks[1])):
        raise ValueError(f"{where}: X is a Dask array of unknown shape; call its compute_chunk_sizes() first")
    if X.shape[0] == 0:
        raise ValueError(f"{where}: X holds no signals")
    if batch_size is None:
        raise ValueError(f"{where}: of a Dask array learn in batches: give batch_size")
    size, seed = as_size(where, "batch_size", batch_size), as_seed(where, random_state)

    def batches() -> Iterator[Any]:
        rows, random = X.rechunk({1: -1}), np.random.default_rng(seed)
        order = random.permutation if shuffle else np.arange
        while True:
            for k in order(rows.numblocks[0]):
                chunk = np.asarray(rows.blocks[int(k)])
                chunk = chunk[order(len(chunk))]
                for first in range(0, len(chunk), size):
                    yield chunk[first : first + size]

    return batches()


def _learn_from_batches(
    where: str, batches: Iterator[Any], n_atoms: int, reg: Any, start: Any, observer: Any, options: dict[str, Any], max_iter: int
) -> dict[str, Any]:
    """An iteration for each batch, until they end, or the run does."""
    for name in ("checkpoint", "validation", "resume"):
        if options.pop(name, None):
            raise ValueError(f"{where}: {name} is for signals that can be read again; X is read once")
    max_time = options.pop("max_time", None)
    options.pop("batch_size", None)
    began, going, n_done, status = time.monotonic(), None, 0, ""
    try:
        for batch in batches:
            X = as_matrix(where, "a batch of X", batch, "(n_signals, n_features)")
            if going is None:
                first = None if start is None else start.astype(X.dtype, copy=False)
                going = Learner((n_atoms, reg, first, options), X.dtype == np.float32)
            going.partial_fit(X)
            n_done += 1
            seconds = time.monotonic() - began
            if observer is not None:
                value, step = going.last()
                if observer(SimpleNamespace(phase=0, iteration=n_done, value=value, step=step, seconds=seconds)):
                    status = "interrupted"
            if max_time is not None and seconds >= max_time:
                status = status or "max_time"
            if status or n_done >= max_iter:
                break
    except KeyboardInterrupt:
        if n_done == 0:
            raise
        status = "interrupted"
    if going is None:
        raise ValueError(f"{where}: X is an iterator that gave no batch")
    fields = going.result()
    return fields | {"status": status or fields["status"]}


class Learner:
    """A dictionary that learns batch by batch; what `MiniBatchDictionaryLearning.partial_fit` keeps. Pickled, it goes on bit for bit."""

    def __init__(self, arguments: tuple[Any, ...], is_float32: bool) -> None:
        self._arguments, self._is_float32 = arguments, is_float32
        self._core = (_riata.DictionaryLearner32 if is_float32 else _riata.DictionaryLearner64)(*arguments)

    def partial_fit(self, X: Any) -> None:
        self._core.partial_fit(np.ascontiguousarray(X, dtype=np.float32 if self._is_float32 else np.float64))

    def dictionary(self) -> Any:
        return self._core.dictionary()

    def last(self) -> tuple[float, float]:
        """The last batch's loss before its step, and the step."""
        return self._core.last()

    def result(self) -> dict[str, Any]:
        """The fields of a LearnResult."""
        return self._core.result()

    @property
    def reg(self) -> float | None:
        return self._core.reg()

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments, "is_float32": self._is_float32, "state": self._core.state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Learner.__init__(self, state["arguments"], state["is_float32"])
        self._core.restore(state["state"])


def learner(n_atoms: int, reg: Any, dtype: Any, **options: Any) -> Learner:
    """Keywords as in `learn_dictionary`."""
    where, init = "partial_fit", options.pop("init")
    given = {"n_atoms": n_atoms} | options | _method_options(where, options.pop("method_options"))
    given |= {"init": init if isinstance(init, str) else "data"}
    given = as_options(where, "learn_dictionary", given)
    start = None if isinstance(init, str) else init
    if start is not None and len(start) != n_atoms:
        raise ValueError(f"{where}: init has {len(start)} atoms but n_atoms = {n_atoms}; they must be equal")
    return Learner((n_atoms, None if reg is None else as_reg(where, reg), start, given), dtype == np.float32)


_METHOD_OPTIONS = ("forgetting", "learning_rate", "eps", "step", "decay", "decay_every", "least_code")


def _method_options(where: str, given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{where}: method_options = {shown(given)}, must be a mapping with keys among {', '.join(_METHOD_OPTIONS)}")
    for name in given:
        if name not in _METHOD_OPTIONS:
            raise ValueError(f"{where}: method_options has the key {shown(name)}, must be among {', '.join(_METHOD_OPTIONS)}")
    return dict(given)


@contextlib.contextmanager
def _observer(callback: Callable[[Any], Any] | None, verbose: bool, progress: bool, max_iter: int) -> Any:
    """What C++ calls after each iteration, or None."""
    bar = _progress_bar(max_iter) if progress else None
    if callback is None and not verbose and bar is None:
        yield None
        return

    def observe(info: Any) -> bool:
        if verbose:
            _logger.info(
                "iteration %d  value %.6g  step %.3g  %.1f s",
                info.iteration,
                info.value,
                info.step,
                info.seconds,
            )
        if bar is not None:
            bar.set_postfix(value=f"{info.value:.6g}", refresh=False)
            bar.update()
        return bool(callback(info)) if callback is not None else False

    with bar if bar is not None else contextlib.nullcontext():
        yield observe


def _progress_bar(total: int) -> Any:
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit="iteration", leave=False)


def validation_curve(
    X: Any,
    n_atoms: Any,
    reg: Any = None,
    *,
    method: str = "online",
    validation: float = 0.2,
    n_runs: int = 2,
    n_nonzero: int | None = None,
    max_iter: int = 300,
    max_time: float | None = None,
    batch_size: int | None = None,
    n_layers: int = 20,
    positive: bool = False,
    constraint: str = "unit_sphere",
    method_options: Mapping[str, Any] | None = None,
    random_state: Any = 0,
    n_threads: int | None = None,
    callback: Callable[[Any], Any] | None = None,
) -> ValidationCurve:
    """How dictionaries fare on signals that they have not seen, over a grid: what to choose the weight and the number of atoms by.

    Of each pair `n_runs` dictionaries are learned from the same signals, from other seeds. Objectives of different weights are not
    to be compared: choose the number of atoms by them, and the weight by what it explains with how many atoms, and by the
    stability. `riata.plot.validation_curve` draws it.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals.
    n_atoms : int or sequence of int
        Numbers of atoms.
    reg : float, str or a sequence of them, optional
        Weights, or fractions such as "0.1max"; none of methods on `n_nonzero` atoms.
    validation : float
        Share of the signals held out.
    n_runs : int
        Dictionaries of each pair.
    max_time : float, optional
        Seconds of each dictionary.
    method, n_nonzero, max_iter, batch_size, n_layers, positive, constraint, method_options, n_threads
        As in `learn_dictionary`.
    random_state : int, RandomState, Generator or None
        Seed of the first run, and of what is held out; those of the others follow.
    callback : callable, optional
        Called after each pair with a dict of its numbers: n_atoms, reg, objective, explained, n_nonzero, stability. Returning
        True ends with the pairs so far.

    Returns
    -------
    ValidationCurve

    Examples
    --------
    >>> import riata
    >>> X = riata.datasets.planted(n_features=10, n_atoms=15, n_signals=500, density=0.2).signals
    >>> curve = riata.validation_curve(X, [10, 15], [0.1, 0.2], batch_size=100, max_iter=30)
    >>> curve.objective.shape, curve.stability.shape
    ((2, 2, 2), (2, 2))
    """
    where = "validation_curve"
    X = as_matrix(where, "X", X)
    atoms = [as_size(where, "n_atoms", m) for m in np.atleast_1d(n_atoms).tolist()]
    asked = [] if reg is None else [reg] if isinstance(reg, str) or np.ndim(reg) == 0 else list(reg)
    regs = [as_reg(where, r) for r in asked]
    given = {name: value for name, value in locals().items() if name not in ("n_atoms", "validation", "method_options")}
    options = as_options(where, "learn_dictionary", given | _method_options(where, method_options))
    names = ("n_atoms", "reg", "objective", "explained", "n_nonzero", "stability")
    callback = as_callback(where, callback)
    observer = None if callback is None else lambda point: bool(callback(dict(zip(names, point))))
    n_runs = as_size(where, "n_runs", n_runs)
    points = _riata.validation_curve(X, atoms, regs, as_float(where, "validation", validation), n_runs, observer, options)
    shape = len(atoms), max(1, len(regs))
    columns = [np.full((*shape, n_runs), np.nan) for _ in range(4)] + [np.full(shape, np.nan)]
    for k, (_, *values) in enumerate(points):
        for column, value in zip(columns, values):
            column[k // shape[1], k % shape[1]] = value
    return ValidationCurve(np.array(atoms), tuple(asked), *columns)


def recovery_score(D: Any, D_ref: Any) -> float:
    """How well a dictionary recovers another: 1 for the same atoms in any order and sign.

    The largest mean |cosine| over one-to-one assignments of atoms to the reference's; reference atoms left
    without a partner count 0.

    Parameters
    ----------
    D : array (n_atoms, n_features)
        Learned dictionary.
    D_ref : array (n_atoms_ref, n_features)
        Reference.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np, riata
    >>> riata.recovery_score([[0.0, -1.0], [2.0, 0.0]], np.eye(2))
    1.0
    """
    where, shape = "recovery_score", "(n_atoms, n_features)"
    D = as_matrix(where, "D", D)
    return _riata.recovery_score(D, as_like(where, "D_ref", D_ref, "D", D, shape))


def save_model(
    path: str | os.PathLike[str],
    dictionary: Any,
    steps: Any = None,
    metadata: Mapping[str, Any] | None = None,
    penalty: Mapping[str, Any] | None = None,
) -> None:
    """Write a model as safetensors, the same file that the command `riata` reads.

    Parameters
    ----------
    path : path
        Written atomically.
    dictionary : array (n_atoms, n_features), LearnResult or Model
        With a result its steps are stored too if they were learned, and as metadata reg, positive, centred, n_layers, algorithm,
        n_iter, value, status and the penalty: what `riata encode` needs to code as the dictionary was learned.
    steps : array (n_layers,), optional
        Step factors.
    metadata : mapping, optional
        Training record; values are stored as text. With a result, added to its own and stronger.
    penalty : mapping, optional
        Keywords of `encode`: positive, weights, penalty, l1_ratio, groups. By default those of a result or model.

    Examples
    --------
    >>> import os, riata, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     riata.save_model(path, riata.datasets.dct_dictionary(64, 128), metadata={"reg": 0.1})
    ...     riata.load_model(path)
    Model(128 atoms of 64 features, 0 steps)
    """
    where = "save_model"
    record = as_metadata(where, metadata)
    if isinstance(dictionary, (LearnResult, Model)):
        if steps is None and getattr(dictionary, "steps_learned", True):
            steps = dictionary.steps
        penalty = dictionary.penalty if penalty is None else penalty
        if isinstance(dictionary, LearnResult):
            record = _record(dictionary) | record
        elif metadata is None:
            record = as_metadata(where, dictionary.metadata)
        dictionary = dictionary.dictionary
    _riata.save_model(
        as_path(where, "path", path),
        as_matrix(where, "dictionary", dictionary, "(n_atoms, n_features)"),
        as_vector(where, "steps", steps),
        record,
        as_options(where, "reg_max", _as_penalty(where, penalty)),
    )


def _as_penalty(where: str, penalty: Any) -> Mapping[str, Any]:
    if penalty is None:
        return {}
    known = _riata.options["reg_max"].keys()
    if not isinstance(penalty, Mapping):
        raise TypeError(f"{where}: penalty = {shown(penalty)}, must be a mapping with keys among {', '.join(known)}")
    for name in penalty.keys() - known:
        raise ValueError(f"{where}: penalty has the key {shown(name)}, must be among {', '.join(known)}")
    return penalty


def _record(result: LearnResult) -> dict[str, str]:
    """The part of the command's training record that a result knows."""
    values = result.history.value
    layers = {} if result.n_layers is None else {"n_layers": str(result.n_layers), "algorithm": str(result.algorithm)}
    if result.lipschitz_bound == "frobenius":
        layers["lipschitz_bound"] = "frobenius"
    if result.return_extrapolated:
        layers["return_extrapolated"] = "true"
    if result.reg is None:
        weight = {"n_nonzero": str(result.n_nonzero)}
    else:
        weight = {"hard_threshold" if result.hard_threshold else "reg": repr(float(result.reg))}
    return layers | weight | {
        "positive": "true" if result.positive else "false",
        "centred": "true" if result.centred else "false",
        "n_iter": str(len(values)),
        "value": repr(float(values[-1] if len(values) else result.initial_value)),
        "status": result.status,
    }


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model that `save_model` or the command `riata` wrote.

    Parameters
    ----------
    path : path
        A safetensors file.

    Returns
    -------
    Model
        dictionary (float32 or float64 as stored), steps, metadata and penalty.
    """
    return Model(**_riata.load_model(as_path("load_model", "path", path)))
