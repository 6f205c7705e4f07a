"""Convolutional dictionary learning with scikit-learn's contract: a thin shell over `learn_patterns` and `conv_encode`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._arguments import Array, as_bool, shown
from ._results import ExplainedVariance, History
from .convolution import as_trials, conv_decode, conv_encode
from .estimators import _n_threads, _printing, _tell_end, _warn_not_converged
from .patterns import PatternLearner, explained_variance, learn_patterns, load_patterns, pattern_events, save_patterns

__all__ = ["ConvolutionalDictionaryLearning"]

_BY_WINDOWS = ("stochastic", "online")
_WITHOUT_TOL = (*_BY_WINDOWS, "ksvd")


class ConvolutionalDictionaryLearning(TransformerMixin, BaseEstimator):
    """Patterns of recordings, when they occur and how much they explain, with scikit-learn's interface.

    Minimises 1/2 ||x - sum_k d_k * z_k||^2 + reg ||z||_1 over patterns d_k of norm one and activations z_k, d_k * z_k being a
    convolution in time on every channel: `learn_patterns`, and `conv_encode` at the same weight.

    Parameters
    ----------
    n_components : int
        Number of patterns (atoms).
    n_times_atom : int
        Samples of a pattern.
    rank1 : bool
        Patterns are u v^T, one course v in time that all channels share in the proportions u.
    reg : float or str
        Weight of the activations, in the unit of X, or a fraction such as "0.1max" of the weight above which all are zero, as in
        `learn_patterns`; `transform` uses the number that this came to.
    method : {"online", "stochastic", "unrolled", "truncated", "alternating", "alternating_exact", "ksvd"}
        As in `learn_patterns`.
    n_layers : int
        Unrolled layers.
    positive : bool
        Activations >= 0.
    window : bool
        Of rank one, v is multiplied by Tukey's window.
    max_iter : int
        Accepted iterations, or mini-batches.
    max_time : float, optional
        Seconds.
    tol : float
        Relative decrease of the objective that ends the fit; methods on mini-batches do not look at it.
    batch_size, n_times_window : int, optional
        Windows of a mini-batch, and their samples; 10, and ten patterns, by default.
    init : {"data", "random"}
        Start: pieces of the recordings, or noise.
    transform_tol : float
        Activations are certified to this relative duality gap.
    transform_max_iter : int
        Rounds when transforming; a ConvergenceWarning says when they did not suffice.
    n_jobs : int, optional
        Threads; all by default, -1 likewise, -2 all but one. The results do not depend on it.
    callback : callable, optional
        As in `learn_patterns`.
    verbose : bool or int
        Print a line per iteration.
    random_state : int, RandomState, Generator or None
        Seed.

    Attributes
    ----------
    atoms_ : ndarray (n_components, n_channels, n_times_atom)
        The patterns.
    u_, v_ : ndarray (n_components, n_channels) and (n_components, n_times_atom), or None
        With `rank1`, atoms_[k] = outer(u_[k], v_[k]).
    reg_ : float
        The weight used, as a number.
    history_ : History
        Value, step, seconds and phase of every iteration.
    n_iter_ : int
        Iterations run.

    Examples
    --------
    >>> import numpy as np, riata
    >>> X = np.zeros((1, 1, 1000)); X[0, 0, [100, 300, 470, 720, 900]] = 1
    >>> X = np.apply_along_axis(np.convolve, 2, X, np.hanning(22)[1:-1], "same")
    >>> model = riata.ConvolutionalDictionaryLearning(1, 30, n_times_window=1000, max_iter=30).fit(X)
    >>> model.atoms_.shape, model.transform(X).shape, len(model.events(X)[0])
    ((1, 1, 30), (1, 1, 971), 5)
    """

    def __init__(
        self,
        n_components: int,
        n_times_atom: int,
        *,
        rank1: bool = True,
        reg: Any = "0.1max",
        method: str = "online",
        n_layers: int = 30,
        positive: bool = True,
        window: bool = False,
        max_iter: int = 300,
        max_time: float | None = None,
        tol: float = 1e-6,
        batch_size: int | None = None,
        n_times_window: int | None = None,
        init: str = "data",
        transform_tol: float = 1e-6,
        transform_max_iter: int = 10000,
        n_jobs: int | None = None,
        callback: Callable[[Any], Any] | None = None,
        verbose: bool = False,
        random_state: Any = 0,
    ) -> None:
        self.n_components = n_components
        self.n_times_atom = n_times_atom
        self.rank1 = rank1
        self.reg = reg
        self.method = method
        self.n_layers = n_layers
        self.positive = positive
        self.window = window
        self.max_iter = max_iter
        self.max_time = max_time
        self.tol = tol
        self.batch_size = batch_size
        self.n_times_window = n_times_window
        self.init = init
        self.transform_tol = transform_tol
        self.transform_max_iter = transform_max_iter
        self.n_jobs = n_jobs
        self.callback = callback
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> ConvolutionalDictionaryLearning:
        """Learn the patterns.

        Parameters
        ----------
        X : array (n_trials, n_channels, n_times), or (n_trials, n_times) of one channel, or an object that reads
            Recordings, as in `learn_patterns`.
        y : ignored

        Returns
        -------
        self
        """
        passed = ("reg", "method", "n_layers", "positive", "window", "max_iter", "max_time", "tol", "batch_size", "n_times_window",
                  "init", "random_state")  # fmt: skip
        options = {name: getattr(self, name) for name in passed}
        options |= {"rank_one": self.rank1, "n_threads": _n_threads(self), "callback": _printing(self)}
        result = learn_patterns(X, self.n_components, self.n_times_atom, **options)
        _tell_end(self, result)
        vars(self).pop("_learner", None)
        vars(self).update(  # at once: others may be transforming
            atoms_=result.atoms,
            u_=result.u,
            v_=result.v,
            reg_=result.reg,
            history_=result.history,
            n_iter_=max(1, len(result.history.value)),
        )
        if result.status == "max_iter" and self.method not in _WITHOUT_TOL:
            _warn_not_converged(f"the fit stopped at max_iter = {self.max_iter} before the relative decrease fell below tol = {self.tol}")
        elif result.status == "stalled" and self.method not in _WITHOUT_TOL:
            _warn_not_converged(f"the fit stopped at tol = {self.tol} where the patterns alone still lower the loss by 1e-4")
        return self

    def partial_fit(self, X: Any, y: Any = None) -> ConvolutionalDictionaryLearning:
        """An iteration of "online" or "stochastic" with these trials; the first goes on from where `fit` ended.

        Parameters
        ----------
        X : array (n_trials, n_channels, n_times), or (n_trials, n_times) of one channel
            Trials, as long as those before.
        y : ignored

        Returns
        -------
        self
        """
        where = type(self).__name__
        signals, n_channels, n_times = as_trials(where, X)
        going = getattr(self, "_learner", None)
        if hasattr(self, "atoms_"):
            fitted = len(self.atoms_), self.atoms_.shape[2], self.u_ is not None, self.atoms_.shape[1]
            given = self.n_components, self.n_times_atom, bool(self.rank1), n_channels
            for name, was, now in zip(("n_components", "n_times_atom", "rank1", "channels"), fitted, given, strict=True):
                if was != now:
                    raise ValueError(f"{where}: {name} was {was} in the patterns so far and is {now}; fit anew, or clone")
        if going is None:
            start = (self.u_, self.v_, self.atoms_) if hasattr(self, "atoms_") else None
            passed = ("method", "n_layers", "positive", "window", "init", "random_state")
            options = {name: getattr(self, name) for name in passed} | {"rank_one": self.rank1, "n_threads": _n_threads(self)}
            reg = self.reg_ if start is not None else self.reg
            going = PatternLearner.of(n_channels, self.n_components, self.n_times_atom, reg, signals, start, **options)
        going.partial_fit(signals)
        fields = going.result()
        shape = (self.n_components, n_channels, self.n_times_atom)
        parts = {"u_": fields["u"], "v_": fields["v"]} if self.rank1 else {"u_": None, "v_": None}
        vars(self).update(_learner=going, atoms_=fields["atoms"].reshape(shape), reg_=fields["reg"], history_=History(**fields["history"]),
                          n_iter_=max(1, len(fields["history"]["value"])), **parts)  # fmt: skip
        return self

    def transform(self, X: Any) -> Array:
        """Activations of the patterns, at the weight `reg_`.

        Parameters
        ----------
        X : array (n_trials, n_channels, n_times), or (n_trials, n_times) of one channel
            Recordings.

        Returns
        -------
        ndarray (n_trials, n_components, n_times - n_times_atom + 1)
        """
        return self._encode(X)[1]

    def inverse_transform(self, Z: Any) -> Array:
        """Recordings from activations: sum_k atoms_[k] * z_k.

        Parameters
        ----------
        Z : array (n_trials, n_components, n_positions)
            Activations.

        Returns
        -------
        ndarray (n_trials, n_channels, n_positions + n_times_atom - 1)
        """
        check_is_fitted(self)
        dtype = getattr(Z, "dtype", None)
        return conv_decode(Z, self._atoms(np.float32 if dtype in (np.float32, np.float16) else np.float64))

    def events(self, X: Any, min_amplitude: float = 0.3, return_amplitudes: bool = False) -> Any:
        """When the patterns occur: samples of X where each has most energy, such as the R peaks of heartbeats.

        Activations that make one event are merged, and small ones left out, as in `pattern_events`.

        Parameters
        ----------
        X : array (n_trials, n_channels, n_times), or (n_trials, n_times) of one channel
            Recordings.
        min_amplitude : float
            Events below this share of the atom's typical one are left out; 0 keeps all.
        return_amplitudes : bool
            Also return the sums of the activations.

        Returns
        -------
        list of n_components arrays of int
            Of one trial (n_events,), samples; of several (n_events, 2), trial and sample.
        list of n_components arrays
            With `return_amplitudes`: (n_events,), in the unit of X.
        """
        _, codes, atoms = self._encode(X)
        return pattern_events(codes, atoms, min_amplitude, return_amplitudes=return_amplitudes)

    def explained_variance_ratio(self, X: Any) -> ExplainedVariance:
        """How much of X the patterns explain at the activations of `transform`, each and all together.

        Of atom k it is the energy by which the residual rises without it, over the energy of X, as in `explained_variance`.

        Parameters
        ----------
        X : array (n_trials, n_channels, n_times), or (n_trials, n_times) of one channel
            Recordings.

        Returns
        -------
        ExplainedVariance
            per_atom, ndarray (n_components,), and total.
        """
        signals, codes, atoms = self._encode(X)
        return explained_variance(signals, atoms, codes)

    def save(self, path: Any, metadata: Any = None) -> None:
        """Write the patterns as a file that `load`, `load_patterns` and the command `riata` read; parameters of the fit are not in it.

        Parameters
        ----------
        path : path
            A safetensors file, written atomically.
        metadata : mapping, optional
            As in `save_patterns`.
        """
        check_is_fitted(self)
        save_patterns(path, self, metadata)

    @classmethod
    def load(cls, path: Any) -> ConvolutionalDictionaryLearning:
        """A fitted model from a file of patterns: it transforms as the one that was saved.

        Parameters
        ----------
        path : path
            A safetensors file.

        Returns
        -------
        ConvolutionalDictionaryLearning
            Without `history_` and `n_iter_`.
        """
        found = load_patterns(path)
        if found.reg is None:
            raise ValueError(f"{cls.__name__}: {shown(path)} has no reg; load_patterns reads it")
        n_atoms, _, n_times_atom = found.atoms.shape
        how = {"rank1": found.u is not None, "reg": found.reg, "positive": found.positive, "window": found.window}
        model = cls(n_atoms, n_times_atom, **how)
        vars(model).update(atoms_=found.atoms, u_=found.u, v_=found.v, reg_=found.reg)
        return model

    def _atoms(self, dtype: Any) -> Any:
        """As `conv_encode` takes them."""
        if self.u_ is None:
            return self.atoms_.astype(dtype, copy=False)
        return self.u_.astype(dtype, copy=False), self.v_.astype(dtype, copy=False)

    def _encode(self, X: Any) -> tuple[Array, Array, Any]:
        """Trials, their activations, and the atoms in their precision."""
        check_is_fitted(self)
        where = type(self).__name__
        trials, n_channels, n_times = as_trials(where, X)
        fitted = self.atoms_.shape[1]
        if n_channels != fitted:
            raise ValueError(f"{where}: X has {n_channels} channels, but the patterns have {fitted}; they must be equal")
        signals, atoms = trials.reshape(len(trials), n_channels, n_times), self._atoms(trials.dtype)
        result = conv_encode(
            signals,
            atoms,
            self.reg_,
            as_bool(where, "positive", self.positive),
            tol=self.transform_tol,
            max_iter=self.transform_max_iter,
            n_threads=_n_threads(self),
        )
        n_open = int(np.sum(result.status != "converged"))
        if n_open:
            _warn_not_converged(
                f"{n_open} of {len(trials)} trials stopped at transform_max_iter = {self.transform_max_iter}; the largest duality "
                f"gap is {result.gap.max():.2g}"
            )
        return signals, result.codes, atoms

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _more_tags(self) -> dict[str, Any]:  # of scikit-learn before 1.6
        return {"X_types": ["2darray", "3darray"], "preserves_dtype": ["float64", "float32"]}
