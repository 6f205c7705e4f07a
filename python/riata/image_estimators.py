"""The convolutional denoising network of pictures, with scikit-learn's contract: a thin shell over C++."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from . import _riata
from ._arguments import Array, as_bool, as_callback, as_float, as_metadata, as_options, as_optional_float, as_path
from ._results import History
from .estimators import _n_threads
from .imaging import _as_picture, _as_pixels, _colours, _from_pixels

__all__ = ["ConvDenoiser"]

_OF_FILE = ("stride", "n_layers", "threshold", "reg", "step", "gradient")


class ConvDenoiser(TransformerMixin, BaseEstimator):
    """A denoiser of pictures: a convolutional dictionary, unrolled, trained on clean pictures with noise drawn anew.

    z <- shrink(z - step D^T (D z - y)), n_layers times from zero, and the clean picture is D z: PUDLE's network (Tolooshams and Ba, 2022,
    Table 1). Pictures are scaled so that the noise has standard deviation 25/255, the unit of `reg`.

    Parameters
    ----------
    n_filters, kernel_size, stride : int
        Kernels, their side in pixels, and pixels from one position to the next.
    n_layers : int
        Steps of ISTA.
    threshold : {"soft", "hard"}
        How codes are shrunk.
    reg : float, optional
        Weight lambda of soft thresholds, or the hard threshold; 0.16 or 0.05 by default.
    gradient : {"ls", "dec", "lasso"}
        Of the squared error through all layers, or through the decoder alone; or of the Lasso through all layers.
    step : float
        alpha.
    learning_rate, eps : float
        Of Adam.
    crop, batch_size : int
        Side of the crops, and crops of an update.
    flips : bool
        Mirror crops at random.
    max_iter : int
        Updates. The published training has 172 800, of one crop each.
    max_time : float, optional
        Seconds.
    shift_average : bool
        `transform` gives the mean over all shifts of the positions: better, and stride^2 times as long.
    checkpoint : path, optional
        File from which a killed run resumes, bit for bit.
    checkpoint_every : int
        Updates between writes.
    resume, resume_inexact, overwrite_checkpoint : bool
        Start from the checkpoint if it exists, and the rest as in `learn_dictionary`.
    n_jobs : int, optional
        Threads; all by default. The results do not depend on it.
    callback : callable, optional
        Called after every update with an object that has iteration, value, step and seconds. Returning True stops the run.
    random_state : int, RandomState, Generator or None
        Seed.

    Attributes
    ----------
    kernels_ : ndarray (n_filters, kernel_size, kernel_size)
        float32, of norm one.
    sigma_ : float
        Of training.
    history_ : History
        The loss of each batch before its update.

    Examples
    --------
    >>> import numpy as np, riata
    >>> clean = 128 + 60 * np.sin(np.add.outer(np.arange(40.0), np.arange(40.0)) / 3)
    >>> model = riata.ConvDenoiser(8, 5, 2, n_layers=5, crop=25, learning_rate=3e-3, max_iter=150).fit([clean], sigma=25)
    >>> noisy = clean + 25 * np.random.default_rng(0).standard_normal(clean.shape)
    >>> bool(riata.psnr(model.transform(noisy), clean) > riata.psnr(noisy, clean) + 3)
    True
    """

    def __init__(
        self,
        n_filters: int = 64,
        kernel_size: int = 9,
        stride: int = 4,
        *,
        n_layers: int = 15,
        threshold: str = "soft",
        reg: float | None = None,
        gradient: str = "ls",
        step: float = 0.1,
        learning_rate: float = 1e-4,
        eps: float = 1e-3,
        crop: int = 129,
        batch_size: int = 1,
        flips: bool = True,
        max_iter: int = 20000,
        max_time: float | None = None,
        shift_average: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 100,
        resume: bool = False,
        resume_inexact: bool = False,
        overwrite_checkpoint: bool = False,
        n_jobs: int | None = None,
        callback: Callable[[Any], Any] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.n_filters = n_filters
        self.kernel_size = kernel_size
        self.stride = stride
        self.n_layers = n_layers
        self.threshold = threshold
        self.reg = reg
        self.gradient = gradient
        self.step = step
        self.learning_rate = learning_rate
        self.eps = eps
        self.crop = crop
        self.batch_size = batch_size
        self.flips = flips
        self.max_iter = max_iter
        self.max_time = max_time
        self.shift_average = shift_average
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.resume = resume
        self.resume_inexact = resume_inexact
        self.overwrite_checkpoint = overwrite_checkpoint
        self.n_jobs = n_jobs
        self.callback = callback
        self.random_state = random_state

    def fit(self, images: Any, sigma: float = 25.0) -> ConvDenoiser:
        """Train on clean pictures.

        Parameters
        ----------
        images : list of arrays, or array (height, width), (n, height, width) or (n, height, width, channels)
            Clean pictures of any sizes from `crop` on; of colour the luminance is taken.
        sigma : float
            Standard deviation of the noise: in 8-bit grey levels for integer pictures, in the pictures' own unit for others.

        Returns
        -------
        self
        """
        where = "ConvDenoiser.fit"
        given = {name: value for name, value in self.get_params(deep=False).items() if name not in ("shift_average", "callback", "n_jobs")}
        given |= {"n_threads": _n_threads(self)}
        options = as_options(where, "ConvDenoiser", given)
        given_pictures = _as_pictures(where, images)
        is_grey = [picture.dtype.kind != "f" for picture in given_pictures]
        if any(is_grey) != all(is_grey):
            raise TypeError(f"{where}: some pictures hold integers and some floats; expected one unit, as sigma has")
        pictures = [_as_pixels(where, picture)[0] for picture in given_pictures]
        fields = _riata.train_conv_denoiser(pictures, as_float(where, "sigma", sigma), as_callback(where, self.callback), options)
        self.history_ = History(**fields.pop("history"))
        self.n_iter_ = len(self.history_.value)
        self.status_ = fields.pop("status")
        if fields["step"] * (squared_norm := fields.pop("squared_norm")) > 2:
            warnings.warn(
                f"{where}: step = {fields['step']} is above 2 / ||D||^2 = {2 / squared_norm:.3g}, where layers may diverge; try a "
                "smaller step",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._take(fields | {"grey_levels": is_grey[0]})
        return self

    def _take(self, fields: dict[str, Any]) -> None:
        self.sigma_ = fields["sigma"]
        side = round(fields["kernels"].shape[1] ** 0.5)
        self.kernels_ = fields["kernels"].reshape(-1, side, side)
        self.denoiser_ = fields

    def transform(self, images: Any, sigma: float | None = None) -> Any:
        """Clean pictures.

        Parameters
        ----------
        images : as in `fit`
            Noisy pictures of any sizes from a kernel on; the channels of colour are cleaned one by one, alpha stays as it is.
        sigma : float, optional
            Standard deviation of their noise; that of training by default.

        Returns
        -------
        ndarray, or list of ndarray
            Of the input's shape and dtype.
        """
        where = "ConvDenoiser.transform"
        check_is_fitted(self, "denoiser_")
        shift_average, sigma = as_bool(where, "shift_average", self.shift_average), as_optional_float(where, "sigma", sigma)
        cleaned = []
        kernels = np.ascontiguousarray(self.kernels_.reshape(len(self.kernels_), -1))
        fields = self.denoiser_ | {"kernels": kernels, "sigma": self.sigma_}
        for picture in _as_pictures(where, images):
            if sigma is None and (picture.dtype.kind != "f") != fields["grey_levels"]:
                trained = "integers, in 8-bit grey levels" if fields["grey_levels"] else "floats, in a unit of their own"
                raise ValueError(f"{where}: the picture holds {picture.dtype}, but those of training held {trained}; give sigma in its unit")
            pixels, unit = _as_pixels(where, picture)
            samples = _riata.conv_denoise(pixels, fields, sigma, shift_average, _n_threads(self))
            cleaned.append(picture.copy())
            colours = _colours(cleaned[-1])
            colours[...] = _from_pixels(samples.reshape(colours.shape), unit, picture.dtype)
        if isinstance(images, (list, tuple)):
            return cleaned
        return cleaned[0].reshape(np.shape(images)) if len(cleaned) == 1 else np.stack(cleaned)

    def fit_transform(self, images: Any, sigma: float = 25.0) -> Any:
        """`fit`, and then `transform` of the same pictures."""
        return self.fit(images, sigma).transform(images)

    def save(self, path: str | os.PathLike[str], metadata: dict[str, str] | None = None) -> None:
        """Write the network as safetensors, which `riata.load_network` and C++ read.

        Parameters
        ----------
        path : path
            Written atomically.
        metadata : dict of str, optional
            Free text.
        """
        where = "ConvDenoiser.save"
        check_is_fitted(self, "denoiser_")
        fields = self.denoiser_ if metadata is None else self.denoiser_ | {"metadata": as_metadata(where, metadata)}
        _riata.save_conv_denoiser(as_path(where, "path", path), fields)

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> ConvDenoiser:
        """What a file holds."""
        n_filters, size = fields["kernels"].shape
        model = cls(n_filters, round(size**0.5), **{name: fields[name] for name in _OF_FILE})
        model._take(fields)
        return model


def _as_pictures(where: str, images: Any) -> list[Array]:
    """One picture, grey or with up to four channels behind, or several."""
    if isinstance(images, (list, tuple)):
        pictures = [_as_picture(where, f"images[{i}]", image) for i, image in enumerate(images)]
    else:
        array = _as_picture(where, "images", images)
        is_one = array.ndim == 2 or (array.ndim == 3 and array.shape[2] <= 4)
        if not is_one and array.ndim not in (3, 4):
            raise ValueError(
                f"{where}: images has shape {array.shape}, expected (height, width), (n, height, width) or (n, height, width, channels)"
            )
        pictures = [array] if is_one else list(array)
    if not pictures:
        raise ValueError(f"{where}: images holds no picture")
    return pictures
