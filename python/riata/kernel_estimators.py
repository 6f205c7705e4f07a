"""Convolutional dictionaries of pictures with scikit-learn's contract: a thin shell over `learn_kernels` and the certified coder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from . import _riata
from ._arguments import Array, as_float_array, as_options
from .coding import _STATUS_NAMES
from .estimators import _n_threads, _printing, _tell_end, _warn_not_converged
from .kernels import as_pictures, feature_shape, learn_kernels

__all__ = ["ConvolutionalDictionaryLearning2D"]


class ConvolutionalDictionaryLearning2D(TransformerMixin, BaseEstimator):
    """Kernels of pictures and their feature maps, with scikit-learn's interface.

    Minimises 1/2 ||x - sum_k d_k * z_k||^2 + reg ||z||_1 over kernels d_k of norm one and feature maps z_k, d_k * z_k being a
    convolution on every channel: `learn_kernels`, and codes to a duality gap at the same weight.

    Parameters
    ----------
    n_components : int
        Number of kernels (atoms).
    kernel_size : int
        Side of a kernel, in pixels.
    reg : float or str
        Weight of the codes, in the unit of the pictures, or a fraction such as "0.1*max" of the weight above which all are zero, as in
        `learn_kernels`; `transform` uses the number that this came to.
    method : {"unrolled", "stochastic", "truncated", "alternating", "alternating_exact"}
        As in `learn_kernels`.
    n_layers : int
        Unrolled layers.
    boundary : {"full", "valid", "circular"}
        Where kernels may lie: beginning before the picture and ending behind it; within it; or going on at the other side.
    positive : bool
        Codes >= 0.
    max_iter : int
        Accepted iterations, or mini-batches.
    max_time : float, optional
        Seconds.
    tol : float
        Relative decrease of the objective that ends the fit; "stochastic" does not look at it.
    batch_size, crop_size : int, optional
        Crops of a mini-batch, and their side; 10, and eight kernels, by default.
    init : {"data", "random"} or array (n_components, channels, kernel_size, kernel_size)
        Start: patches of the pictures, noise, or given kernels.
    transform_tol : float
        Codes are certified to this relative duality gap.
    transform_max_iter : int
        Iterations when transforming; a ConvergenceWarning says when they did not suffice.
    n_jobs : int, optional
        Threads; all by default, -1 likewise, -2 all but one. The results do not depend on it.
    callback : callable, optional
        As in `learn_kernels`.
    verbose : bool or int
        Print a line per iteration.
    random_state : int, RandomState, Generator or None
        Seed.

    Attributes
    ----------
    atoms_ : ndarray (n_components, channels, kernel_size, kernel_size)
        The kernels.
    reg_ : float
        The weight used, as a number.
    history_ : History
        Value, step, seconds and phase of every iteration.
    n_iter_ : int
        Iterations run.

    Examples
    --------
    >>> import numpy as np, riata
    >>> image = np.random.default_rng(0).standard_normal((32, 40))
    >>> model = riata.ConvolutionalDictionaryLearning2D(4, 5, max_iter=5, tol=0.1).fit(image)
    >>> model.atoms_.shape, model.transform(image).shape, model.inverse_transform(model.transform(image)).shape
    ((4, 1, 5, 5), (4, 36, 44), (32, 40))
    """

    def __init__(
        self,
        n_components: int,
        kernel_size: int = 8,
        *,
        reg: Any = "0.1*max",
        method: str = "unrolled",
        n_layers: int = 20,
        boundary: str = "full",
        positive: bool = False,
        max_iter: int = 100,
        max_time: float | None = None,
        tol: float = 1e-6,
        batch_size: int | None = None,
        crop_size: int | None = None,
        init: Any = "data",
        transform_tol: float = 1e-4,
        transform_max_iter: int = 10000,
        n_jobs: int | None = None,
        callback: Callable[[Any], Any] | None = None,
        verbose: bool = False,
        random_state: Any = 0,
    ) -> None:
        self.n_components = n_components
        self.kernel_size = kernel_size
        self.reg = reg
        self.method = method
        self.n_layers = n_layers
        self.boundary = boundary
        self.positive = positive
        self.max_iter = max_iter
        self.max_time = max_time
        self.tol = tol
        self.batch_size = batch_size
        self.crop_size = crop_size
        self.init = init
        self.transform_tol = transform_tol
        self.transform_max_iter = transform_max_iter
        self.n_jobs = n_jobs
        self.callback = callback
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, images: Any, y: Any = None, *, mask: Any = None) -> ConvolutionalDictionaryLearning2D:
        """Learn the kernels.

        Parameters
        ----------
        images : array (height, width), (n, height, width) or (n, height, width, channels), or a list of pictures
            As in `learn_kernels`. One picture of several channels is a list of it.
        y : ignored
        mask : array or list of the pictures' shapes, with or without channels, optional
            Which pixels were seen, as booleans, or weights in [0, 1].

        Returns
        -------
        self
        """
        passed = ("reg", "method", "n_layers", "boundary", "positive", "max_iter", "max_time", "tol", "batch_size", "crop_size",
                  "init", "random_state")  # fmt: skip
        options = {name: getattr(self, name) for name in passed}
        options |= {"n_threads": _n_threads(self), "callback": _printing(self)}
        result = learn_kernels(images, self.n_components, self.kernel_size, mask=mask, **options)
        _tell_end(self, result)
        vars(self).update(  # at once: others may be transforming
            atoms_=result.atoms, reg_=result.reg, history_=result.history, n_iter_=max(1, len(result.history.value))
        )
        if result.status == "max_iter" and self.method != "stochastic":
            _warn_not_converged(f"the fit stopped at max_iter = {self.max_iter} before the relative decrease fell below tol = {self.tol}")
        elif result.status == "stalled" and self.method != "stochastic":
            _warn_not_converged(f"the fit stopped at tol = {self.tol} where the kernels alone still lower the loss by 1e-4")
        return self

    def fit_transform(self, images: Any, y: Any = None, *, mask: Any = None) -> Any:
        """`fit`, then `transform` of the same pictures.

        Parameters
        ----------
        images, mask
            As in `fit`.
        y : ignored

        Returns
        -------
        As `transform`.
        """
        return self.fit(images, mask=mask).transform(images, mask=mask)

    def transform(self, images: Any, *, mask: Any = None) -> Any:
        """Feature maps of pictures, at the weight `reg_`.

        Parameters
        ----------
        images, mask
            As in `fit`.

        Returns
        -------
        ndarray (n_components, n_rows, n_columns) of one picture, (n, n_components, n_rows, n_columns) of several, a list of a list
            Height and width and, by the boundary, kernel_size - 1 more, as many less, or no more.
        """
        check_is_fitted(self)
        where = type(self).__name__
        pictures = as_pictures(where, images, mask)
        n_atoms, n_channels, size, _ = self.atoms_.shape
        if pictures.n_channels != n_channels:
            raise ValueError(f"{where}: images have {pictures.n_channels} channels, but the kernels have {n_channels}; they must be equal")
        given = {"tol": self.transform_tol, "max_iter": self.transform_max_iter, "positive": self.positive, "n_threads": _n_threads(self)}
        options = as_options(where, "encode", given)
        kernels = np.ascontiguousarray(self.atoms_.reshape(n_atoms, -1), dtype=pictures.dtype)
        found: list[Array] = [np.empty(0)] * len(pictures.sizes)
        n_open, largest = 0, 0.0
        for height, width in dict.fromkeys(pictures.sizes):  # those of one size together
            which = [i for i, of in enumerate(pictures.sizes) if of == (height, width)]
            X = np.stack([pictures.pixels[i].reshape(-1) for i in which])
            W = None
            if mask is not None:
                seen = [np.broadcast_to(pictures.masks[i], pictures.pixels[i].shape).reshape(-1) for i in which]  # type: ignore[arg-type]
                W = np.stack(seen)
            fields = _riata.kernel_encode(X, W, kernels, n_channels, height, width, self.boundary, 1, self.reg_, options)
            is_open = _STATUS_NAMES[fields["status"]] != "converged"
            n_open += int(is_open.sum())
            largest = max(largest, float(fields["gap"].max()))
            shape = (n_atoms, *feature_shape((height, width), size, self.boundary))
            for i, code in zip(which, fields["codes"], strict=True):
                found[i] = code.reshape(shape)
        if n_open:
            _warn_not_converged(
                f"{n_open} of {len(found)} pictures stopped at transform_max_iter = {self.transform_max_iter}; the largest duality "
                f"gap is {largest:.2g}"
            )
        return _joined(found, pictures.form)

    def inverse_transform(self, Z: Any) -> Any:
        """Pictures from feature maps: sum_k atoms_[k] * z_k.

        Parameters
        ----------
        Z : array (n_components, n_rows, n_columns) or (n, n_components, n_rows, n_columns), or a list of the former
            Feature maps.

        Returns
        -------
        ndarray (height, width) or (height, width, channels) of one picture, with a first axis of several, a list of a list
        """
        check_is_fitted(self)
        where = type(self).__name__
        is_list = isinstance(Z, (list, tuple)) and len(Z) > 0 and np.ndim(Z[0]) == 3
        codes = [as_float_array(where, "Z", one) for one in (Z if is_list else [Z])]
        form = "list" if is_list else "picture"
        if not is_list and codes[0].ndim == 4:
            codes, form = list(codes[0]), "stack"
        n_atoms, n_channels, size, _ = self.atoms_.shape
        images = []
        for code in codes:
            if code.ndim != 3 or len(code) != n_atoms or code.size == 0:
                raise ValueError(f"{where}: Z has shape {code.shape}, expected ({n_atoms}, n_rows, n_columns), as there are kernels")
            if not np.isfinite(code).all():
                raise ValueError(f"{where}: Z holds NaN or infinity; expected finite numbers")
            more = {"valid": size - 1, "full": 1 - size, "circular": 0}[self.boundary]
            height, width = code.shape[1] + more, code.shape[2] + more
            if min(height, width) < 1:
                raise ValueError(f"{where}: Z has shape {code.shape}, boundary 'full' has at least {size} rows and columns")
            kernels = np.ascontiguousarray(self.atoms_.reshape(n_atoms, -1), dtype=code.dtype)
            flat = np.ascontiguousarray(code).reshape(1, -1)
            x = _riata.kernel_decode(flat, kernels, n_channels, height, width, self.boundary, 1).reshape(n_channels, height, width)
            images.append(x[0] if n_channels == 1 else np.ascontiguousarray(np.moveaxis(x, 0, 2)))
        if form != "list" and not images:
            raise ValueError(f"{where}: Z holds no feature maps")
        return _joined(images, form)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _more_tags(self) -> dict[str, Any]:  # of scikit-learn before 1.6
        return {"X_types": ["2darray", "3darray"], "preserves_dtype": ["float64", "float32"]}


def _joined(arrays: list[Array], form: str) -> Any:
    return arrays[0] if form == "picture" else np.stack(arrays) if form == "stack" else arrays
