"""Estimators with scikit-learn's names and contract: thin shells over riata's functions."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array, check_is_fitted

from ._arguments import (
    Array,
    as_bool,
    as_callback,
    as_float,
    as_int,
    as_matrix,
    as_optional_int,
    as_size,
    as_text,
    as_verbosity,
    renamed,
    shown,
)
from ._sklearn_compat import CoderTags, validate_data
from .coding import encode, lars, omp
from .learning import learn_dictionary, learner
from .networks import Network
from .unrolling import unrolled_encode

__all__ = ["LISTA", "DictionaryLearning", "MiniBatchDictionaryLearning", "SparseCoder"]

_FLOATS = (np.float64, np.float32)
_SOLVERS = {"lasso_cd": "cd", "lasso_lars": "lars", "lasso_fista": "fista"}
_PURSUITS = ("mod", "ksvd", "aksvd")
_BY_BATCHES = ("online", "stochastic", "pudle_dec", "pudle_lasso", "pudle_ls", "noodl", *_PURSUITS)
_DECIDING = ("n_components", "alpha", "fit_algorithm", "dict_init", "transform_n_nonzero_coefs", "positive_code", "positive_dict",
             "method_options")  # fmt: skip
_ENOUGH_TO_HOLD_OUT, _MOST_STEPS = 100, 2**31 - 1
_FIT_ALGORITHMS = ("unrolled", "alternating", "truncated", "alternating_exact", *_PURSUITS)
_THEIRS = ("lars", "cd")  # scikit-learn's names of two ways to exact codes


class _Coder(CoderTags, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What the estimators share: coding with a dictionary, and the way back."""

    _algorithms: tuple[str, ...] = (*_SOLVERS, "omp", "lars", "threshold")
    split_sign = False

    def _encode(self, X: Array, dictionary: Array, alpha: Any) -> Array:
        where = type(self).__name__
        name = as_text(where, "transform_algorithm", self.transform_algorithm)
        if name not in self._algorithms:
            raise ValueError(
                f"transform_algorithm = {name!r}, must be one of {', '.join(map(repr, self._algorithms))}"
            )
        dictionary = dictionary.astype(X.dtype, copy=False)
        positive = as_bool(where, "positive_code", self.positive_code)
        options = {"positive": positive, "n_threads": _n_threads(self)}
        if name == "unrolled":
            codes = unrolled_encode(X, dictionary, alpha, self.n_layers, steps=self.steps_, **options)
        elif name in ("omp", "lars"):
            if positive:
                raise ValueError(f"Positive constraint not supported for '{name}' coding method.")  # scikit-learn's words
            code = omp if name == "omp" else lars
            found = code(X, dictionary, self._n_nonzero(X, len(dictionary)), n_threads=options["n_threads"])
            lost = int(np.sum(found.status != "converged"))
            if lost:
                _warn_not_converged(f"rounding ended the paths of {lost} of {len(X)} signals")
            codes = found.codes
        elif name == "threshold":  # of X D^T: a layer from zero whose step is one
            codes = unrolled_encode(X, dictionary, alpha, 1, algorithm="ista", lipschitz=1.0, **options)
        else:
            result = encode(
                X, dictionary, alpha, method=_SOLVERS[name], max_iter=self.transform_max_iter, **options
            )
            open_signals = int(np.sum(result.status != "converged"))
            if open_signals:
                _warn_not_converged(
                    f"{open_signals} of {len(X)} signals stopped at transform_max_iter = "
                    f"{self.transform_max_iter}; the largest duality gap is {result.gap.max():.2g}"
                )
            codes = result.codes
        if as_bool(where, "split_sign", self.split_sign):
            codes = np.hstack([np.maximum(codes, 0), -np.minimum(codes, 0)])
        return codes

    def _n_nonzero(self, X: Array, n_atoms: int) -> int:
        given = as_optional_int(type(self).__name__, "transform_n_nonzero_coefs", self.transform_n_nonzero_coefs)
        return min(max(1, X.shape[1] // 10), n_atoms) if given is None else given  # scikit-learn's

    def _decode(self, codes: Any, dictionary: Array) -> Array:
        codes = check_array(codes, dtype=_FLOATS)
        expected = len(dictionary) * (2 if self.split_sign else 1)
        if codes.shape[1] != expected:
            raise ValueError(f"The codes have the wrong number of columns. Expected {expected}, got {codes.shape[1]}.")
        if self.split_sign:
            codes = codes[:, : len(dictionary)] - codes[:, len(dictionary) :]
        return codes @ dictionary.astype(codes.dtype, copy=False)


class _GivenDictionary:
    """What estimators share that take their dictionary from the caller."""

    _required_parameters = ("dictionary",)  # read by scikit-learn before 1.6 alone
    dictionary: Any

    def _atoms(self) -> Array:
        return as_matrix(type(self).__name__, "dictionary", self.dictionary, "(n_components, n_features)")

    @classmethod
    def _require_features(cls, X: Array, dictionary: Array) -> None:
        if X.shape[1] != dictionary.shape[1]:
            raise ValueError(
                f"X has {X.shape[1]} features, but {cls.__name__} is expecting {dictionary.shape[1]} features "
                "as input: those of its dictionary"
            )


class SparseCoder(_GivenDictionary, _Coder):
    """Sparse codes of signals in a given dictionary, with scikit-learn's interface.

    Departures from scikit-learn: `transform_algorithm` defaults to "lasso_cd" where scikit-learn's is "omp"; codes of the Lasso are
    certified, to a relative duality gap of 1e-6; `transform_alpha` may be a fraction of `reg_max`; and `n_jobs` counts threads of
    this process.

    Parameters
    ----------
    dictionary : array (n_components, n_features)
        The atoms.
    transform_algorithm : {"lasso_cd", "lasso_lars", "lasso_fista", "omp", "lars", "threshold"}
        Codes of the Lasso by coordinate descent, its path or FISTA, to the same certified tolerance; orthogonal matching pursuit;
        least angle regression (`riata.lars`); or products with the atoms, shrunk by `transform_alpha`.
    transform_n_nonzero_coefs : int, optional
        For "omp" and "lars": atoms per signal; a tenth of the features by default, at least one.
    transform_alpha : float or str, optional
        For the others: weight of the l1 norm, or a fraction of each signal's `reg_max` such as "0.1max"; 1 by default.
    split_sign : bool
        Return positive and negative parts side by side.
    n_jobs : int, optional
        Threads; all by default, -1 likewise, -2 all but one.
    positive_code : bool
        Codes must be >= 0.
    transform_max_iter : int
        Iterations; a ConvergenceWarning says when they did not suffice.

    Attributes
    ----------
    n_components_ : int
        Number of atoms.
    n_features_in_ : int
        Number of features seen in fit.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=100)
    >>> riata.SparseCoder(problem.dictionary, transform_alpha=0.5).fit_transform(problem.signals).shape
    (100, 40)
    """

    _requires_fit = False

    def __init__(
        self,
        dictionary: Any,
        *,
        transform_algorithm: str = "lasso_cd",
        transform_n_nonzero_coefs: int | None = None,
        transform_alpha: Any = None,
        split_sign: bool = False,
        n_jobs: int | None = None,
        positive_code: bool = False,
        transform_max_iter: int = 1000,
    ) -> None:
        self.dictionary = dictionary
        self.transform_n_nonzero_coefs = transform_n_nonzero_coefs
        self.transform_algorithm = transform_algorithm
        self.transform_alpha = transform_alpha
        self.split_sign = split_sign
        self.n_jobs = n_jobs
        self.positive_code = positive_code
        self.transform_max_iter = transform_max_iter

    def fit(self, X: Any, y: Any = None) -> SparseCoder:
        """Check that X fits the dictionary; there is nothing to learn.

        Parameters
        ----------
        X : array (n_samples, n_features)
            Signals.
        y : ignored

        Returns
        -------
        self
        """
        X = validate_data(self, X, dtype=_FLOATS)
        dictionary = self._atoms()
        self._require_features(X, dictionary)
        self.n_components_ = len(dictionary)
        return self

    def transform(self, X: Any, y: Any = None) -> Array:
        """Codes of the signals.

        Parameters
        ----------
        X : array (n_samples, n_features)
            Signals.
        y : ignored

        Returns
        -------
        ndarray (n_samples, n_components), or twice as many columns with split_sign
        """
        X = validate_data(self, X, reset=False, dtype=_FLOATS, order="C")
        dictionary = self._atoms()
        self._require_features(X, dictionary)
        return self._encode(X, dictionary, 1.0 if self.transform_alpha is None else self.transform_alpha)

    def inverse_transform(self, X: Any) -> Array:
        """Signals from codes: X @ dictionary.

        Parameters
        ----------
        X : array (n_samples, n_components)
            Codes.

        Returns
        -------
        ndarray (n_samples, n_features)
        """
        return self._decode(X, self._atoms())

    @property
    def _n_features_out(self) -> int:
        return len(self._atoms()) * (2 if self.split_sign else 1)


class _Learner(_Coder):
    """What the estimators share that learn their dictionary."""

    n_components: int | None
    alpha: Any
    fit_algorithm: str
    dict_init: Any
    alpha_: float | None
    components_: Array

    def _start(self, X: Array) -> tuple[int, Any, dict[str, Any]]:
        """Number of atoms, weight, and what else `learn_dictionary` codes by and begins from."""
        where, init = type(self).__name__, "data" if self.dict_init is None else self.dict_init
        if not isinstance(init, str):
            init = as_matrix(where, "dict_init", init, "(n_components, n_features)").astype(X.dtype, copy=False)
        n_atoms = X.shape[1] if self.n_components is None else as_size(where, "n_components", self.n_components)
        if self.fit_algorithm in _PURSUITS:
            return n_atoms, None, {"init": init, "n_nonzero": self._n_nonzero(X, n_atoms)}
        return n_atoms, self.alpha, {"init": init}

    def transform(self, X: Any) -> Array:
        """Codes of the signals in the learned dictionary.

        Parameters
        ----------
        X : array (n_samples, n_features)
            Signals.

        Returns
        -------
        ndarray (n_samples, n_components), or twice as many columns with split_sign
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=_FLOATS, order="C")
        alpha = self.alpha_ if isinstance(self.alpha, str) and self.alpha_ is not None else self.alpha
        return self._encode(X, self.components_, alpha if self.transform_alpha is None else self.transform_alpha)

    def inverse_transform(self, X: Any) -> Array:
        """Signals from codes: X @ components_.

        Parameters
        ----------
        X : array (n_samples, n_components)
            Codes.

        Returns
        -------
        ndarray (n_samples, n_features)
        """
        check_is_fitted(self)
        return self._decode(X, self.components_)

    @property
    def _n_features_out(self) -> int:
        return len(self.components_) * (2 if self.split_sign else 1)


class DictionaryLearning(_Learner):
    """Dictionary learning through unrolled sparse coding, with scikit-learn's interface.

    Minimises the mean over the samples of 1/2 ||x - z D||^2 + alpha ||z||_1 over unit-norm atoms.

    Departures from scikit-learn: `fit_algorithm` names riata's methods ("lars" and "cd", its own, are "alternating_exact");
    `transform_algorithm` defaults to "lasso_cd" where scikit-learn's is "omp"; max_iter is 300 instead of 1000 and counts steps of
    a line search, tol is 1e-6 instead of 1e-8 and relative; there is no `code_init` (a start is given by `dict_init`); `alpha` may
    be a fraction of `reg_max`; and `n_jobs` counts threads of this process.

    Parameters
    ----------
    n_components : int, optional
        Number of atoms; n_features by default.
    alpha : float or str
        Weight of the l1 norm, or a fraction of reg_max such as "0.1max": in `fit` of its 0.99 quantile over the samples, and
        the number that this came to in `transform`.
    max_iter : int
        Accepted iterations of the line search.
    tol : float
        Relative decrease of the objective that ends the fit.
    fit_algorithm : {"unrolled", "alternating", "truncated", "alternating_exact", "mod", "ksvd", "aksvd"}
        `method` of `learn_dictionary`. The last three code with `transform_n_nonzero_coefs` atoms, not with alpha, and
        take all `max_iter` iterations.
    transform_algorithm : {"lasso_cd", "lasso_lars", "lasso_fista", "omp", "lars", "threshold", "unrolled"}
        As in `SparseCoder`, or the network of `n_layers` layers with the learned steps.
    transform_n_nonzero_coefs : int, optional
        For "omp" and "lars", and for "mod", "ksvd" and "aksvd" in `fit`: atoms per signal; a tenth of the features by default, at
        least one.
    transform_alpha : float or str, optional
        Weight when transforming by another; alpha by default.
    n_layers : int
        Unrolled layers.
    backprop : int, optional
        Layers that "truncated" differentiates.
    learn_steps : bool
        Learn the step factors too.
    constraint : {"unit_sphere", "unit_ball", "non_negative"}
        Of the atoms.
    positive_dict : bool
        Entries of the atoms must be >= 0, and their norms at most one: constraint="non_negative".
    dict_init : array (n_components, n_features) or {"data", "random", "dct"}, optional
        Start; random samples by default.
    callback : callable, optional
        As in `learn_dictionary`.
    verbose : bool or int
        Print a line per iteration.
    split_sign : bool
        Return positive and negative parts side by side.
    random_state : int, RandomState, Generator or None
        Seed.
    positive_code : bool
        Codes must be >= 0.
    n_jobs : int, optional
        Threads; all by default, -1 likewise, -2 all but one. The results do not depend on it.
    transform_max_iter : int
        Iterations when transforming.

    Attributes
    ----------
    components_ : ndarray (n_components, n_features)
        The dictionary.
    steps_ : ndarray (n_layers,)
        Step factors.
    error_ : ndarray (n_iter_,)
        Objective after each iteration.
    n_iter_ : int
        Iterations run.
    alpha_ : float or None
        The weight used, as a number; None of "mod", "ksvd" and "aksvd".
    n_features_in_ : int
        Number of features seen in fit.

    Examples
    --------
    >>> import riata
    >>> X = riata.datasets.planted(n_features=10, n_atoms=15, n_signals=200, density=0.2).signals
    >>> model = riata.DictionaryLearning(15, alpha=0.1, tol=1e-3, random_state=0).fit(X)
    >>> model.components_.shape, model.transform(X).shape
    ((15, 10), (200, 15))
    """

    _algorithms = (*_Coder._algorithms, "unrolled")

    @renamed(layers="n_layers")
    def __init__(
        self,
        n_components: int | None = None,
        *,
        alpha: Any = 1,
        max_iter: int = 300,
        tol: float = 1e-6,
        fit_algorithm: str = "unrolled",
        transform_algorithm: str = "lasso_cd",
        transform_n_nonzero_coefs: int | None = None,
        transform_alpha: Any = None,
        n_layers: int = 20,
        backprop: int | None = None,
        learn_steps: bool = False,
        constraint: str = "unit_sphere",
        dict_init: Any = None,
        callback: Callable[[Any], Any] | None = None,
        verbose: bool = False,
        split_sign: bool = False,
        random_state: Any = None,
        positive_code: bool = False,
        positive_dict: bool = False,
        n_jobs: int | None = None,
        transform_max_iter: int = 1000,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.fit_algorithm = fit_algorithm
        self.transform_algorithm = transform_algorithm
        self.transform_n_nonzero_coefs = transform_n_nonzero_coefs
        self.transform_alpha = transform_alpha
        self.n_layers = n_layers
        self.backprop = backprop
        self.learn_steps = learn_steps
        self.constraint = constraint
        self.dict_init = dict_init
        self.callback = callback
        self.verbose = verbose
        self.split_sign = split_sign
        self.random_state = random_state
        self.positive_code = positive_code
        self.positive_dict = positive_dict
        self.n_jobs = n_jobs
        self.transform_max_iter = transform_max_iter

    def fit(self, X: Any, y: Any = None) -> DictionaryLearning:
        """Learn the dictionary.

        Parameters
        ----------
        X : array (n_samples, n_features)
            Signals.
        y : ignored

        Returns
        -------
        self
        """
        where = "DictionaryLearning"
        if as_text(where, "fit_algorithm", self.fit_algorithm) not in (*_FIT_ALGORITHMS, *_THEIRS):
            raise ValueError(
                f"fit_algorithm = {self.fit_algorithm!r}, must be one of "
                f"{', '.join(map(repr, _FIT_ALGORITHMS))}"
            )
        X = validate_data(self, X, dtype=_FLOATS, order="C")
        n_atoms, alpha, start = self._start(X)
        positive_dict = as_bool(where, "positive_dict", self.positive_dict)
        if positive_dict and self.constraint not in ("unit_sphere", "non_negative"):
            raise ValueError(f"positive_dict = True and constraint = {self.constraint!r} exclude each other")
        result = learn_dictionary(
            X,
            n_atoms,
            alpha,
            n_layers=self.n_layers,
            method="alternating_exact" if self.fit_algorithm in _THEIRS else self.fit_algorithm,
            backprop=self.backprop,
            learn_steps=self.learn_steps,
            **start,
            max_iter=self.max_iter,
            tol=self.tol,
            random_state=self.random_state,
            n_threads=_n_threads(self),
            callback=_printing(self),
            constraint="non_negative" if positive_dict else self.constraint,
            positive=self.positive_code,
        )
        _tell_end(self, result)
        steps, history = result.steps if len(result.steps) else np.ones(self.n_layers), result.history.value
        # At once: others may be transforming. The iteration that found nothing better counts.
        n_iter = max(1, len(history))
        vars(self).update(components_=result.dictionary, steps_=steps, error_=history, n_iter_=n_iter, alpha_=result.reg)
        if result.status == "max_iter" and self.fit_algorithm not in _PURSUITS:
            _warn_not_converged(
                f"the fit stopped at max_iter = {self.max_iter} before the relative decrease fell "
                f"below tol = {self.tol}"
            )
        elif result.status == "stalled":
            _warn_not_converged(f"the fit stopped at tol = {self.tol} where the dictionary alone still lowers the loss by 1e-4")
        return self


class MiniBatchDictionaryLearning(_Learner):
    """Dictionary learning from mini-batches, with scikit-learn's interface, also batch by batch.

    Departures from scikit-learn: `fit_algorithm` names riata's methods ("lars" and "cd", its own, are "online"); `fit` ends when a
    tenth of the samples, held out if there are at least 100, is coded no better for `max_no_improvement` looks, every 10
    batches; `partial_fit` does not look at it, nor at `batch_size` and `max_iter`.

    Parameters
    ----------
    n_components : int, optional
        Number of atoms; n_features by default.
    alpha : float or str
        Weight of the l1 norm, or a fraction of reg_max such as "0.1max": of its 0.99 quantile over the samples of `fit`, or of
        the first `partial_fit`.
    max_iter : int
        Passes over the samples, at most.
    fit_algorithm : {"online", "stochastic", "pudle_dec", "pudle_lasso", "pudle_ls", "noodl", "mod", "ksvd", "aksvd"}
        `method` of `learn_dictionary`. The last three code with `transform_n_nonzero_coefs` atoms, not with alpha.
    batch_size : int
        Samples of a mini-batch, or all if there are fewer.
    shuffle : bool
        False: mini-batches are the samples in their order, and none are held out.
    transform_algorithm : {"omp", "lasso_cd", "lasso_lars", "lasso_fista", "lars", "threshold"}
        As in `SparseCoder`.
    transform_n_nonzero_coefs : int, optional
        For "omp" and "lars", and for "mod", "ksvd" and "aksvd": atoms per signal; a tenth of the features by default, at least one.
    transform_alpha : float or str, optional
        Weight when transforming by another; alpha by default.
    dict_init : array (n_components, n_features) or {"data", "random", "dct"}, optional
        Start; random samples by default.
    callback : callable, optional
        As in `learn_dictionary`, in `fit`.
    verbose : bool or int
        Print a line per iteration of `fit`.
    split_sign : bool
        Return positive and negative parts side by side.
    random_state : int, RandomState, Generator or None
        Seed.
    positive_code : bool
        Codes must be >= 0.
    positive_dict : bool
        Entries of the atoms must be >= 0, and their norms at most one.
    n_jobs : int, optional
        Threads; all by default, -1 likewise, -2 all but one. The results do not depend on it.
    transform_max_iter : int
        Iterations when transforming.
    tol : float
        A look at the samples held out finds better codes where their objective is lower by more than this share of the best one.
    max_no_improvement : int or None
        None: `fit` holds nothing out, and takes all passes.
    method_options : mapping, optional
        As in `learn_dictionary`.

    Attributes
    ----------
    components_ : ndarray (n_components, n_features)
        The dictionary.
    n_iter_ : int
        Passes over the samples, begun ones too.
    n_steps_ : int
        Mini-batches: of `fit` those that moved the atoms, and those of `partial_fit`.
    alpha_ : float or None
        The weight used, as a number; None of "mod", "ksvd" and "aksvd".
    n_features_in_ : int
        Number of features.

    Examples
    --------
    >>> import riata
    >>> X = riata.datasets.planted(n_features=10, n_atoms=15, n_signals=2000, density=0.2).signals
    >>> model = riata.MiniBatchDictionaryLearning(15, alpha=0.1, batch_size=100, max_iter=3, random_state=0).fit(X)
    >>> model.components_.shape
    (15, 10)
    >>> model = riata.MiniBatchDictionaryLearning(15, alpha=0.1, random_state=0)
    >>> for first in range(0, 2000, 100):
    ...     model = model.partial_fit(X[first : first + 100])
    >>> model.n_steps_
    20
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        alpha: Any = 1,
        max_iter: int = 1000,
        fit_algorithm: str = "online",
        n_jobs: int | None = None,
        batch_size: int = 256,
        shuffle: bool = True,
        dict_init: Any = None,
        transform_algorithm: str = "omp",
        transform_n_nonzero_coefs: int | None = None,
        transform_alpha: Any = None,
        verbose: bool = False,
        split_sign: bool = False,
        random_state: Any = None,
        positive_code: bool = False,
        positive_dict: bool = False,
        transform_max_iter: int = 1000,
        callback: Callable[[Any], Any] | None = None,
        tol: float = 1e-3,
        max_no_improvement: int | None = 10,
        method_options: Any = None,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.max_iter = max_iter
        self.fit_algorithm = fit_algorithm
        self.n_jobs = n_jobs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.dict_init = dict_init
        self.transform_algorithm = transform_algorithm
        self.transform_n_nonzero_coefs = transform_n_nonzero_coefs
        self.transform_alpha = transform_alpha
        self.verbose = verbose
        self.split_sign = split_sign
        self.random_state = random_state
        self.positive_code = positive_code
        self.positive_dict = positive_dict
        self.transform_max_iter = transform_max_iter
        self.callback = callback
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.method_options = method_options

    def _how(self, X: Array) -> tuple[int, Any, dict[str, Any]]:
        """Number of atoms, weight, and keywords of `learn_dictionary`."""
        where = type(self).__name__
        method = as_text(where, "fit_algorithm", self.fit_algorithm)
        if method not in (*_BY_BATCHES, *_THEIRS):
            raise ValueError(f"fit_algorithm = {method!r}, must be one of {', '.join(map(repr, _BY_BATCHES))}")
        n_atoms, alpha, start = self._start(X)
        options = start | {
            "method": "online" if method in _THEIRS else method,
            "constraint": "non_negative" if as_bool(where, "positive_dict", self.positive_dict) else "unit_sphere",
            "random_state": self.random_state,
            "n_threads": _n_threads(self),
            "positive": self.positive_code,
            "method_options": self.method_options,
        }
        return n_atoms, alpha, options

    def fit(self, X: Any, y: Any = None) -> MiniBatchDictionaryLearning:
        """Learn the dictionary anew.

        Parameters
        ----------
        X : array (n_samples, n_features)
            Signals.
        y : ignored

        Returns
        -------
        self
        """
        where = type(self).__name__
        X = validate_data(self, X, dtype=_FLOATS, order="C")
        n_atoms, alpha, options = self._how(X)
        patience = as_optional_int(where, "max_no_improvement", self.max_no_improvement)
        max_iter, batch_size = as_int(where, "max_iter", self.max_iter), as_int(where, "batch_size", self.batch_size)
        shuffle, tol = as_bool(where, "shuffle", self.shuffle), as_float(where, "tol", self.tol)
        if not (tol >= 0 and math.isfinite(tol)):
            raise ValueError(f"{where}: tol = {tol:g}, must be >= 0 and finite")
        validation = 0.1 if shuffle and patience is not None and len(X) >= _ENOUGH_TO_HOLD_OUT else 0.0
        n_trained_on = len(X) - math.floor(validation * len(X) + 0.5)
        batch_size = min(batch_size, n_trained_on)
        if max_iter < 1 or batch_size < 1:
            raise ValueError(f"{where}: max_iter = {max_iter} and batch_size = {batch_size}, must be >= 1")
        per_pass = n_trained_on // batch_size if shuffle else -(-n_trained_on // batch_size)
        result = learn_dictionary(
            X,
            n_atoms,
            alpha,
            batch_size=batch_size,
            max_iter=min(max_iter * per_pass, _MOST_STEPS),
            validation=validation,
            max_no_improvement=1 if patience is None else patience,
            least_gain=tol if validation else 0.0,
            shuffle=shuffle,
            callback=_printing(self),
            **options,
        )
        _tell_end(self, result)
        n_steps = max(1, len(result.history.value))
        vars(self).pop("_learner", None)
        vars(self).update(components_=result.dictionary, alpha_=result.reg, n_steps_=n_steps, n_iter_=-(-n_steps // per_pass))
        return self

    def partial_fit(self, X: Any, y: Any = None) -> MiniBatchDictionaryLearning:
        """An iteration with these signals; the first goes on from where `fit` ended, without the memory of its batches.

        What decides the atoms (alpha, say) may not change between calls.

        Parameters
        ----------
        X : array (n_samples, n_features)
            Signals of a mini-batch.
        y : ignored

        Returns
        -------
        self
        """
        is_first = not hasattr(self, "components_")
        X = validate_data(self, X, reset=is_first, dtype=_FLOATS, order="C")
        asked = {name: value for name, value in self.get_params(deep=False).items() if name in _DECIDING}
        going, was_asked = getattr(self, "_learner", (None, asked))
        for name, value in was_asked.items():
            if asked[name] is not value and not np.array_equal(asked[name], value):
                raise ValueError(f"{name} was {shown(value)} at the first partial_fit and is {shown(asked[name])}; fit anew, or clone")
        if going is None:
            n_atoms, alpha, options = self._how(X)
            if not is_first:
                options["init"], n_atoms = self.components_.astype(X.dtype, copy=False), len(self.components_)
                alpha = self.alpha_ if isinstance(alpha, str) and self.alpha_ is not None else alpha
            going = learner(n_atoms, alpha, X.dtype, **options)
        going.partial_fit(X)
        vars(self).update(_learner=(going, asked), components_=going.dictionary(), alpha_=going.reg)
        vars(self).update(n_steps_=getattr(self, "n_steps_", 0) + 1, n_iter_=getattr(self, "n_iter_", 1))
        return self


class LISTA(_GivenDictionary, _Coder):
    """Sparse codes by a trained network of a few layers, with scikit-learn's interface: a shell over `Network`.

    Parameters
    ----------
    dictionary : array (n_components, n_features)
        The atoms.
    kind : str
        As in `Network`: "lista", "coupled", "tied", "alista", "step", "hessian", "first_step", "facnet", "iht",
        "lamp" or "group".
    n_layers : int
        Number of layers.
    reg : float or str
        Weight of the penalty in training; a fraction such as "0.1max" is of the 0.99 quantile of the samples' `reg_max`.
    transform_reg : float or str, optional
        Weight when transforming, a fraction being of each sample's `reg_max`; that of training by default.
    threshold, groups, support_selection
        As in `Network`.
    loss, mode, optimizer, batch_size, learning_rate, positive_steps, max_iter, max_time, tol, callback
        As in `Network.fit`.
    verbose : bool or int
        Print a line per step.
    validation, validate_every, patience
        As in `Network.fit`.
    finish, safeguard
        As in `Network.encode`, when transforming.
    certify : bool
        `transform` leaves in `objective_` and `gap_` what its codes are worth.
    random_state : int, RandomState, Generator or None
        Seed of the mini-batches.
    n_jobs : int, optional
        Threads; all by default, -1 likewise, -2 all but one. The results do not depend on it.

    Attributes
    ----------
    network_ : Network
        The trained network; `network_.save` writes the file that C++ and the command `riata infer` run.
    loss_ : ndarray (n_iter_,)
        Training loss after each accepted step.
    n_iter_ : int
        Accepted steps, 1 at least.
    objective_, gap_ : ndarray (n_samples,)
        With `certify`: objective and duality gap of the last codes, as in `Network.encode`.
    n_features_in_ : int
        Number of features seen in fit.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=100)
    >>> model = riata.LISTA(problem.dictionary, kind="step", n_layers=5, reg=0.5, max_iter=20)
    >>> model.fit_transform(problem.signals).shape
    (100, 40)
    """

    def __init__(
        self,
        dictionary: Any,
        *,
        kind: str = "lista",
        n_layers: int = 10,
        reg: Any = "0.1max",
        transform_reg: Any = None,
        threshold: str = "scalar",
        groups: Any = None,
        support_selection: tuple[float, float] | None = None,
        loss: str = "unsupervised",
        mode: str = "oneshot",
        optimizer: str = "backtracking",
        batch_size: int | None = None,
        learning_rate: float | None = None,
        positive_steps: bool = False,
        max_iter: int = 300,
        max_time: float | None = None,
        tol: float = 0.0,
        callback: Callable[[Any], Any] | None = None,
        verbose: bool = False,
        validation: float = 0.0,
        validate_every: int = 10,
        patience: int = 4000,
        certify: bool = False,
        finish: float | None = None,
        safeguard: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.dictionary = dictionary
        self.kind = kind
        self.n_layers = n_layers
        self.reg = reg
        self.transform_reg = transform_reg
        self.threshold = threshold
        self.groups = groups
        self.support_selection = support_selection
        self.loss = loss
        self.mode = mode
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.positive_steps = positive_steps
        self.max_iter = max_iter
        self.max_time = max_time
        self.tol = tol
        self.callback = callback
        self.verbose = verbose
        self.validation = validation
        self.validate_every = validate_every
        self.patience = patience
        self.certify = certify
        self.finish = finish
        self.safeguard = safeguard
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> LISTA:
        """Train the network from the start of its kind.

        Parameters
        ----------
        X : array (n_samples, n_features)
            Signals.
        y : array (n_samples, n_components), optional
            The codes wanted, with loss = "supervised"; else ignored.

        Returns
        -------
        self
        """
        X = validate_data(self, X, dtype=_FLOATS, order="C")
        dictionary = self._atoms()
        self._require_features(X, dictionary)
        network = Network(
            self.kind,
            dictionary.astype(X.dtype, copy=False),
            self.n_layers,
            threshold=self.threshold,
            groups=self.groups,
            support_selection=self.support_selection,
        )
        targets = None
        if self.loss == "supervised" and y is not None:
            targets = as_matrix("LISTA", "y", y, "(n_samples, n_components)").astype(X.dtype, copy=False)
        passed = ("mode", "optimizer", "batch_size", "learning_rate", "positive_steps", "max_iter", "max_time", "tol")
        passed += ("random_state", "validation", "validate_every", "patience")
        options = {name: getattr(self, name) for name in passed} | {"callback": _printing(self)}
        result = network.fit(X, self.reg, self.loss, targets, n_threads=_n_threads(self), **options)
        _tell_end(self, result)
        history = result.history.value
        vars(self).update(network_=network, loss_=history, n_iter_=max(1, len(history)))  # at once: others may be transforming
        return self

    def transform(self, X: Any) -> Array:
        """Codes of the signals.

        Parameters
        ----------
        X : array (n_samples, n_features)
            Signals.

        Returns
        -------
        ndarray (n_samples, n_components)
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=_FLOATS, order="C")
        network = self.network_
        signals = X.astype(network.dictionary.dtype, copy=False)
        options = {"n_threads": _n_threads(self), "finish": self.finish, "safeguard": self.safeguard}
        if not self.certify and self.finish is None:
            return network.encode(signals, self.transform_reg, **options).astype(X.dtype, copy=False)
        result = network.encode(signals, self.transform_reg, certify=True, **options)
        if self.certify:
            vars(self).update(objective_=result.objective, gap_=result.gap)
        open_signals = 0 if self.finish is None else int(np.sum(result.status != "converged"))
        if open_signals:
            _warn_not_converged(
                f"{open_signals} of {len(X)} signals did not reach finish = {self.finish}; the largest duality gap is "
                f"{result.gap.max():.2g}"
            )
        return result.codes.astype(X.dtype, copy=False)

    def inverse_transform(self, X: Any) -> Array:
        """Signals from codes: X @ dictionary.

        Parameters
        ----------
        X : array (n_samples, n_components)
            Codes.

        Returns
        -------
        ndarray (n_samples, n_features)
        """
        check_is_fitted(self)
        return self._decode(X, self.network_.dictionary)

    @property
    def _n_features_out(self) -> int:
        return len(self.network_.dictionary)


def _n_threads(estimator: _Coder) -> int | None:
    """scikit-learn's counting: -1 all cores, -2 all but one. None is all, as threads of one process cost
    nothing."""
    where = type(estimator).__name__
    n_jobs = -1 if estimator.n_jobs is None else as_int(where, "n_jobs", estimator.n_jobs)
    if n_jobs == 0:
        raise ValueError(f"{where}: n_jobs = 0, must be >= 1, negative or None")
    if n_jobs == -1:
        return None
    if n_jobs < 0:
        return max(1, len(os.sched_getaffinity(0)) + 1 + n_jobs)
    return n_jobs


def _printing(estimator: Any) -> Callable[[Any], Any] | None:
    """The estimator's callback, after a line on standard output if it is verbose."""
    callback = as_callback(type(estimator).__name__, estimator.callback)
    if not as_verbosity(type(estimator).__name__, estimator.verbose):
        return callback

    def observe(info: Any) -> Any:
        ista = f", ISTA's {info.ista:.6g}" if hasattr(info, "ista") else ""
        _print_line(estimator, f"iteration {info.iteration}: loss {info.value:.6g}{ista}, {info.seconds:.2f} s")
        return callback is not None and callback(info)

    return observe


def _tell_end(estimator: Any, result: Any) -> None:
    if as_verbosity(type(estimator).__name__, estimator.verbose):
        values = result.history.value
        last = values[-1] if len(values) else result.initial_value
        _print_line(estimator, f"{result.status} after {len(values)} iterations: loss {last:.6g}")
    if result.status == "interrupted" and len(result.history.value) == 0 and estimator.callback is None:
        raise KeyboardInterrupt  # nothing was learned that could be kept


def _print_line(estimator: Any, text: str) -> None:
    print(f"[{type(estimator).__name__}] {text}", flush=True)


def _warn_not_converged(sentence: str) -> None:
    warnings.warn(sentence, ConvergenceWarning, stacklevel=3)
