"""Denoising of pictures, patches, and the peak signal-to-noise ratio."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _riata
from ._arguments import (
    Array,
    as_array,
    as_callback,
    as_float,
    as_matrix,
    as_options,
    as_pair,
    as_size,
    as_text,
    one_line,
    renamed,
)
from ._results import History, _Renamed

_PEAKS = {"uint8": 255.0, "uint16": 65535.0}
_METHODS = ("unrolled", "alternating")
_SMALLEST = 2.0**-110  # of the largest numbers of a float64 picture, so that its small ones fit single precision too


@dataclass(frozen=True, eq=False, repr=False)
class DenoiseResult(_Renamed):
    """A cleaned picture; returned by `denoise`.

    Attributes
    ----------
    image : ndarray
        Shape and dtype of the input.
    dictionary : ndarray (n_atoms, patch * patch)
        Learned from the noisy picture, float32.
    sigma, reg : float
        Noise level, given or estimated, and learning weight used, in the unit of `sigma`.
    psnr_in, psnr_out : float or None
        Against the reference, before and after, in dB; psnr_in is None with a mask.
    n_layers : int
        Unrolled layers.
    history : History
        Of learning.
    status : str
        How learning ended.
    """

    image: Array
    dictionary: Array
    sigma: float
    reg: float
    psnr_in: float | None
    psnr_out: float | None
    n_layers: int
    history: History
    status: str
    _before = {"layers": "n_layers"}

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.image.shape))
        psnr = "" if self.psnr_in is None else f", {self.psnr_in:.2f} -> {self.psnr_out:.2f} dB"
        return f"DenoiseResult({shape}, sigma {self.sigma:.3g}, {len(self.dictionary)} atoms{psnr})"


@renamed(layers="n_layers")
def denoise(
    image: Any,
    sigma: float | None = None,
    reference: Any = None,
    n_atoms: int | None = None,
    patch: int | None = None,
    n_layers: int = 12,
    reg: float | None = None,
    method: str = "unrolled",
    plain: bool = False,
    random_state: Any = 0,
    n_threads: int | None = None,
    *,
    learn: bool = True,
    peak: float = 255.0,
    callback: Callable[[Any], Any] | None = None,
    mask: Any = None,
) -> DenoiseResult:
    """Clean a picture, and fill what it lacks, with a dictionary learned from the picture alone.

    Parameters
    ----------
    image : array (height, width) or (height, width, channels)
        uint8, uint16, float32 or float64. Computed in single precision. Of 2 and of 4 channels the last is alpha, which
        stays as it is.
    sigma : float, optional
        Standard deviation of the noise: in 8-bit grey levels (0 to 255) for integer pictures, also 16-bit
        ones, and in the picture's own unit for floating-point ones. Estimated by default; with a mask 0 by default, and known
        pixels then keep their value.
    reference : array, optional
        The clean picture, for psnr_in and psnr_out; with or without alpha.
    n_atoms, patch : int, optional
        Atoms, side of the patches; chosen by riata by default.
    n_layers : int
        Unrolled layers of the learner.
    reg : float, optional
        Learning weight, in the unit of sigma.
    method : {"unrolled", "alternating"}
        How the dictionary is learned.
    plain : bool
        The variant of the literature: 128 atoms, 10 x 10 patches, l1 reconstruction.
    random_state : int, RandomState, Generator or None
        Seed.
    n_threads : int, optional
        All cores by default. The result does not depend on it.
    learn : bool
        False: code with the overcomplete cosine dictionary that learning would start from.
    peak : float
        Largest value of a floating-point picture (1.0 where pixels run from 0 to 1); for the PSNR alone.
    callback : callable, optional
        Watches learning, as in `learn_dictionary`; returning True ends learning early.
    mask : array (height, width), optional
        Zero or False where a pixel is missing, whatever the picture holds there, NaN too: it is filled.

    Returns
    -------
    DenoiseResult
        image, dictionary, sigma, psnr_in, psnr_out and more.

    Examples
    --------
    >>> import numpy as np, riata
    >>> clean = np.add.outer(np.arange(32.0), np.arange(32.0)) * 4
    >>> noisy = clean + 10 * np.random.default_rng(0).standard_normal(clean.shape)
    >>> result = riata.denoise(noisy, sigma=10, reference=clean, n_atoms=32, patch=6)
    >>> bool(result.psnr_out > result.psnr_in + 3)
    True
    >>> known = np.random.default_rng(1).random(clean.shape) < 0.5
    >>> filled = riata.denoise(np.where(known, clean, np.nan), mask=known, n_atoms=32, patch=6)
    >>> bool(riata.psnr(filled.image, clean) > 30)
    True
    """
    where = "denoise"
    options = as_options(where, where, locals())
    if as_text(where, "method", method) not in _METHODS:
        raise ValueError(f"{where}: method = {method!r}, must be {' or '.join(map(repr, _METHODS))}")
    image = _as_picture(where, "image", image)
    if mask is not None:
        mask = _as_picture(where, "mask", mask)
        if np.isnan(mask).any():
            raise ValueError(f"{where}: mask holds NaN; expected 0 (or False) where a pixel is missing")
        mask = mask != 0
        if mask.shape != image.shape[:2]:
            raise ValueError(f"{where}: mask has shape {mask.shape}, expected the image's {image.shape[:2]}")
        image = image.copy()
        _colours(image)[~mask] = 0
    pixels, unit = _as_pixels(where, image)
    peak = _PEAKS.get(str(image.dtype)) or as_float(where, "peak", peak)
    if reference is not None:
        reference = _as_picture(where, "reference", reference)
        psnr_in = _psnr(image, reference, peak)
    fields = _riata.denoise(
        pixels,
        None if mask is None else mask[..., None].astype(np.float32),
        as_callback(where, callback),
        options,
    )
    cleaned = image.copy()
    colours = _colours(cleaned)
    colours[...] = _from_pixels(fields.pop("pixels").reshape(colours.shape), unit, image.dtype)
    if mask is not None and fields["sigma"] == 0:
        colours[mask] = _colours(image)[mask]  # in double precision too
    psnr_out = None if reference is None else _psnr(cleaned, reference, peak)
    return DenoiseResult(
        **fields
        | {
            "image": cleaned,
            "history": History(**fields["history"]),
            "psnr_in": None if reference is None or mask is not None else psnr_in,
            "psnr_out": psnr_out,
        }
    )


def _as_picture(where: str, name: str, value: Any) -> Array:
    array = as_array(where, name, value)
    if array.dtype.kind not in "iufb":
        raise TypeError(f"{where}: {name} holds {one_line(str(array.dtype))}; expected numbers")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _colours(image: Array) -> Array:
    """All but alpha."""
    return image[..., :-1] if image.ndim == 3 and image.shape[2] in (2, 4) else image


def _as_pixels(where: str, image: Array) -> tuple[Array, float]:
    """(height, width, channels) without alpha in float32, integers in 8-bit grey levels; and the integer steps per
    grey level."""
    if str(image.dtype) not in ("uint8", "uint16", "float32", "float64"):
        raise TypeError(f"{where}: image holds {image.dtype}; expected uint8, uint16, float32 or float64")
    if image.ndim not in (2, 3):
        raise ValueError(
            f"{where}: image has shape {image.shape}, expected (height, width) or (height, width, channels)"
        )
    if image.size == 0:
        raise ValueError(f"{where}: image has shape {image.shape}, expected at least one pixel")
    image = _colours(image)
    unit = 257.0 if image.dtype == np.uint16 else 1.0
    with np.errstate(over="ignore"):
        pixels = image.astype(np.float32, order="C")
    if image.dtype == np.float64 and np.any(np.isinf(pixels) & np.isfinite(image)):
        raise ValueError(f"{where}: image holds numbers too large for the single precision it is computed in")
    if image.dtype == np.float64 and 0 < np.max(np.abs(image)) < _SMALLEST:
        raise ValueError(f"{where}: image holds numbers too small for the single precision it is computed in")
    if unit != 1.0:
        pixels /= np.float32(unit)
    return pixels.reshape(*image.shape[:2], -1), unit


def _from_pixels(pixels: Array, unit: float, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "f":
        return pixels.astype(dtype, copy=False)
    pixels *= np.float32(unit)
    return np.clip(np.rint(pixels, out=pixels), 0, _PEAKS[str(dtype)], out=pixels).astype(dtype)


def psnr(image: Any, reference: Any, peak: float | None = None) -> float:
    """Peak signal-to-noise ratio, 10 log10(peak^2 / mean squared difference), in dB.

    Parameters
    ----------
    image, reference : array
        Pictures of equal shape, of any dtype. Alpha, the last of 2 or 4 channels, does not count.
    peak : float, optional
        Largest possible value: by default 65535 for uint16 and 255 for all others, so give 1.0 where pixels
        run from 0 to 1.

    Returns
    -------
    float
        Infinity for equal pictures.

    Examples
    --------
    >>> import numpy as np, riata
    >>> round(riata.psnr(np.full((8, 8), 110, np.uint8), np.full((8, 8), 100, np.uint8)), 2)
    28.13
    """
    where = "psnr"
    image, reference = _as_picture(where, "image", image), _as_picture(where, "reference", reference)
    if image.size == 0 and image.shape == reference.shape:
        raise ValueError("psnr: the pictures are empty")
    if peak is None and {str(image.dtype), str(reference.dtype)} == {"uint8", "uint16"}:
        raise TypeError(
            f"psnr: image is {image.dtype} but reference is {reference.dtype}; they must be equal"
        )
    return _psnr(image, reference, _PEAKS.get(str(image.dtype), 255.0) if peak is None else as_float(where, "peak", peak))


def _psnr(image: Array, reference: Array, peak: float) -> float:
    if not (peak > 0 and math.isfinite(peak)):
        raise ValueError(f"psnr: peak = {peak}, must be > 0 and finite")
    shapes = image.shape, reference.shape
    image, reference = _colours(image), _colours(reference)
    if image.shape != reference.shape:
        raise ValueError(f"psnr: image has shape {shapes[0]} but reference has {shapes[1]}; they must be equal")

    def mean_square(exponent: int) -> float:  # of the differences over 2^exponent, row by row: no copy of the whole pictures
        rows = zip(np.atleast_1d(image), np.atleast_1d(reference), strict=True)
        differences = (np.ldexp(np.subtract(a, b, dtype=np.float64), -exponent) for a, b in rows)
        return sum(float(np.sum(np.square(d))) for d in differences) / image.size

    exponent = 0
    with np.errstate(over="ignore", invalid="ignore"):
        error = mean_square(0)
        if not 1e-290 < error < math.inf:  # no square of the largest may leave the range of numbers
            rows = zip(np.atleast_1d(image), np.atleast_1d(reference), strict=True)
            largest = float(max(np.max(np.abs(np.subtract(a, b, dtype=np.float64))) for a, b in rows))
            if not math.isfinite(largest):
                raise ValueError("psnr: the pictures hold NaN or infinity; expected finite numbers")
            exponent = math.frexp(largest)[1]
            error = mean_square(exponent)
    return 20 * (math.log10(peak) - exponent * math.log10(2)) - 10 * math.log10(error) if error > 0 else math.inf


def extract_patches(image: Any, patch: int, stride: int = 1) -> Array:
    """Overlapping square patches of a grey image, in raster order.

    Parameters
    ----------
    image : array (height, width)
        float32 or float64; integers become float64.
    patch : int
        Side of the patches.
    stride : int
        Step between patches; those at the far edges are always there, so that steps up to `patch` leave no pixel out.

    Returns
    -------
    ndarray (n_patches, patch * patch)

    Examples
    --------
    >>> import numpy as np, riata
    >>> riata.extract_patches(np.arange(9.0).reshape(3, 3), 2)[:2]
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]])
    """
    where = "extract_patches"
    return _riata.extract_patches(
        as_matrix(where, "image", image, "(height, width)"),
        as_size(where, "patch", patch),
        as_size(where, "stride", stride),
    )


def average_patches(patches: Any, shape: tuple[int, int], stride: int = 1) -> Array:
    """The image whose pixels average all patches that cover them: the way back from `extract_patches`.

    Parameters
    ----------
    patches : array (n_patches, patch * patch)
        Patches in raster order.
    shape : (height, width)
        Of the image.
    stride : int
        As in `extract_patches`, and at most the side of the patches: a pixel that no patch covers is refused.

    Returns
    -------
    ndarray (height, width)

    Examples
    --------
    >>> import numpy as np, riata
    >>> image = np.arange(12.0).reshape(3, 4)
    >>> np.allclose(riata.average_patches(riata.extract_patches(image, 2), image.shape), image)
    True
    """
    where = "average_patches"
    patches = as_matrix(where, "patches", patches, "(n_patches, patch * patch)")
    side = math.isqrt(patches.shape[1])
    if side * side != patches.shape[1]:
        raise ValueError(f"{where}: patches have {patches.shape[1]} entries, which is no square")
    sides = as_pair(where, "shape", shape, "(height, width)", ValueError)
    height, width = (as_size(where, "shape", side) for side in sides)
    return _riata.average_patches(patches, height, width, side, as_size(where, "stride", stride))
