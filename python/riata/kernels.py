"""Kernels of pictures, learned: a convolutional dictionary in two dimensions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _riata
from ._arguments import (
    Array,
    as_bool,
    as_callback,
    as_float_array,
    as_options,
    as_reg,
    as_size,
    as_text,
    as_verbosity,
    require_same_precision,
)
from ._results import History, KernelsResult
from .learning import _logger, _method_options, _observer


def learn_kernels(
    images: Any,
    n_atoms: int,
    kernel_size: int = 8,
    reg: Any = "0.1max",
    method: str = "unrolled",
    n_layers: int = 20,
    boundary: str = "full",
    mask: Any = None,
    positive: bool = False,
    stride: int = 1,
    crop_size: int | None = None,
    batch_size: int | None = None,
    max_iter: int = 300,
    max_time: float | None = None,
    tol: float = 1e-6,
    init: Any = "data",
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
    replace_atoms: bool = True,
    validation: float = 0.0,
    max_no_improvement: int = 10,
    least_gain: float = 0.0,
    shuffle: bool = True,
    method_options: Mapping[str, Any] | None = None,
    resume_inexact: bool = False,
    overwrite_checkpoint: bool = False,
    verbose: bool = False,
    progress: bool = False,
) -> KernelsResult:
    """Learn the kernels that pictures are made of: convolutional dictionary learning in two dimensions.

    Minimises the mean over pictures, or over crops, of 1/2 ||x - sum_k d_k * z_k||^2 + reg ||z||_1 over kernels d_k of norm one,
    d_k * z_k being a convolution on every channel. Ctrl-C stops the run and returns the best kernels so far with status
    "interrupted".

    Parameters
    ----------
    images : array (height, width), (n, height, width) or (n, height, width, channels), or a list of pictures
        float32 or float64; integers become float64. Pictures of a list are (height, width) or (height, width, channels) and may
        have different sizes, with the boundary "full" or by the method "stochastic". Taken as given: nothing is subtracted.
    n_atoms : int
        Number of kernels.
    kernel_size : int
        Side of a kernel, in pixels.
    reg : float or str
        Weight of the codes, in the unit of the pictures; a fraction such as "0.1max" is of the 0.99 quantile of the smallest weight
        that leaves nothing of a picture, or of a crop, at the initial kernels. Where pictures have a mean that is mostly the mean's:
        subtract it first, or take a smaller fraction, for finer detail.
    method : {"unrolled", "stochastic", "truncated", "alternating", "alternating_exact"}
        On all pictures: gradient through all layers; through the last `backprop`; with the codes held; or alternating with exact
        codes. "stochastic": on mini-batches of random crops, through all layers, with a line search on each (Malezieux et al., 2022).
    n_layers : int
        Number of unrolled layers N.
    boundary : {"full", "valid", "circular"}
        Where kernels may lie: beginning before the picture and ending behind it; within it; or going on at the other side.
    mask : array or list of the pictures' shapes, with or without channels, optional
        Which pixels were seen, as booleans, or weights in [0, 1] of the data fit. What is hidden may be anything, also NaN.
    positive : bool
        Codes >= 0.
    stride : int
        Pixels from one position of a kernel to the next.
    crop_size, batch_size : int, optional
        Side and number of the crops in a mini-batch; eight kernels, or the least side of a picture, and 10.
    max_iter : int
        Accepted iterations, or mini-batches.
    max_time : float, optional
        Seconds.
    tol : float
        Relative decrease between accepted iterations that ends the run, as in `learn_dictionary`; "stochastic" does not look at it.
    init : {"data", "random"} or array (n_atoms, channels, kernel_size, kernel_size)
        Where to start: patches of the pictures without their mean, beside a flat kernel where pictures have a mean; noise; or given.
    checkpoint, checkpoint_every, resume, resume_inexact, overwrite_checkpoint
        As in `learn_dictionary`: a killed run goes on bit for bit.
    random_state : int, RandomState, Generator or None
        Seed. The same seed gives the same bits for any number of threads.
    n_threads : int, optional
        All cores by default, also for one picture.
    callback : callable, optional
        Called after every accepted iteration with an object that has phase, iteration, value, step and seconds. Returning True
        stops the run.
    algorithm : {"fista", "ista"}
        The layers.
    loss : {"lasso", "least_squares"}
        What is minimised.
    reduction : {"mean", "sum"}
        Of the values in the history; the kernels are the same.
    backprop : int, optional
        K of "truncated".
    learn_steps : bool
        Of "unrolled" and "truncated": then learn kernels and step factors together.
    coder_tol : float, optional
        Relative duality gap of exact codes; 1e-4 by default.
    replace_atoms : bool
        Try the patches that are explained worst in the place of kernels that are unused, or copies of another at some shift.
    validation, max_no_improvement, least_gain, shuffle
        As in `learn_dictionary`, of crops: a share of them that mini-batches never hold, and by which the best kernels are told.
    method_options : mapping, optional
        As in `learn_dictionary`; these methods take none.
    verbose : bool
        Log every iteration to the logger "riata", level INFO.
    progress : bool
        Show a tqdm bar on a terminal, if tqdm is installed.

    Returns
    -------
    KernelsResult
        atoms, reg, history, initial_value, n_replaced, status, steps, boundary, stride, positive.

    Examples
    --------
    >>> import numpy as np, riata
    >>> image = np.random.default_rng(0).standard_normal((32, 40))
    >>> riata.learn_kernels(image, n_atoms=4, kernel_size=5, max_iter=3).atoms.shape
    (4, 1, 5, 5)
    """
    where = "learn_kernels"
    given = locals() | _method_options(where, method_options)
    pictures = as_pictures(where, images, mask)
    start = None if isinstance(init, str) else as_kernels(where, "init", init, pictures)
    given["init"] = "random" if start is not None else as_text(where, "init", init)
    options = as_options(where, where, given)
    n_atoms, kernel_size = as_size(where, "n_atoms", n_atoms), as_size(where, "kernel_size", kernel_size)
    expected = (n_atoms, pictures.n_channels, kernel_size, kernel_size)
    if start is not None and start.shape != expected:
        raise ValueError(f"{where}: init has shape {start.shape}, expected {expected}: n_atoms, channels, kernel_size twice")
    weight, callback = as_reg(where, reg), as_callback(where, callback)
    verbose, progress = as_verbosity(where, verbose), as_bool(where, "progress", progress)
    if isinstance(weight, np.ndarray):
        raise ValueError(f"{where}: reg has shape {weight.shape}, expected a number or a fraction such as 0.1max")
    with _observer(callback, verbose, progress, options.get("max_iter", max_iter)) as observer:
        fields = _riata.learn_kernels(
            pictures.pixels,
            pictures.masks,
            pictures.sizes,
            pictures.dtype == np.float32,
            n_atoms,
            kernel_size,
            None if start is None else start.reshape(n_atoms, -1),
            weight,
            observer,
            options,
        )
    fields["atoms"] = fields["atoms"].reshape(expected)
    fields |= {"history": History(**fields["history"]), "boundary": boundary, "stride": int(stride), "positive": bool(positive)}
    result = KernelsResult(**fields)
    if result.status == "interrupted":
        n_iter = len(result.history.value)
        _logger.warning("%s: interrupted after %d iteration%s; these are the best kernels so far", where, n_iter, "" if n_iter == 1 else "s")
    return result


@dataclass(frozen=True)
class Pictures:
    """Pictures as C++ takes them, channel after channel."""

    pixels: list[Array]  # (n_channels, height * width) each
    masks: list[Array | None]  # likewise, or (1, height * width)
    sizes: list[tuple[int, int]]
    n_channels: int
    form: str  # "picture", "stack" or "list", as they came

    @property
    def dtype(self) -> Any:
        return self.pixels[0].dtype


def as_pictures(where: str, images: Any, mask: Any = None) -> Pictures:
    arrays, form = _split(where, "images", images)
    for i, array in enumerate(arrays):
        require_same_precision(where, "the first picture", arrays[0], arrays[0], f"picture {i}", array, array)
        if array.size == 0:
            raise ValueError(f"{where}: picture {i} has shape {array.shape} and holds no pixels")
        if _channels(array) != _channels(arrays[0]):
            raise ValueError(f"{where}: picture {i} has {_channels(array)} channels, the first has {_channels(arrays[0])}; they must be equal")
    masks: list[Array | None] = [None] * len(arrays)
    if mask is not None:
        seen, _ = _split(where, "mask", mask)
        if len(seen) != len(arrays):
            raise ValueError(f"{where}: mask is of {len(seen)} pictures, but there are {len(arrays)}; they must be as many")
        for i, (one, array) in enumerate(zip(seen, arrays, strict=True)):
            if one.shape not in (array.shape, array.shape[:2], (*array.shape[:2], 1)):
                raise ValueError(f"{where}: mask of picture {i} has shape {one.shape}, expected {array.shape[:2]} or {array.shape}")
            masks[i] = _planar(one.astype(arrays[0].dtype))
    return Pictures([_planar(a) for a in arrays], masks, [a.shape[:2] for a in arrays], _channels(arrays[0]), form)


def as_kernels(where: str, name: str, atoms: Any, pictures: Pictures) -> Array:
    """(n_atoms, n_channels, l, l) in the precision of the pictures."""
    kernels = as_float_array(where, name, atoms)
    if kernels.ndim != 4 or kernels.size == 0:
        raise ValueError(f"{where}: {name} has shape {kernels.shape}, expected (n_atoms, channels, kernel_size, kernel_size)")
    return np.ascontiguousarray(kernels, dtype=pictures.dtype)


def feature_shape(size: tuple[int, int], kernel_size: int, boundary: str) -> tuple[int, int]:
    """Of feature maps, stride 1."""
    more = {"valid": 1 - kernel_size, "full": kernel_size - 1, "circular": 0}[boundary]
    return size[0] + more, size[1] + more


def _split(where: str, name: str, given: Any) -> tuple[list[Array], str]:
    """Pictures one by one, and how they came."""
    if isinstance(given, (list, tuple)):
        if not given:
            raise ValueError(f"{where}: {name} is empty, expected at least one picture")
        arrays = [as_float_array(where, f"picture {i} of {name}", one) for i, one in enumerate(given)]
        if any(a.ndim != 1 for a in arrays):
            for i, array in enumerate(arrays):
                if array.ndim not in (2, 3):
                    raise ValueError(
                        f"{where}: picture {i} of {name} has shape {array.shape}, expected (height, width) or (height, width, channels)"
                    )
            return arrays, "list"
    array = as_float_array(where, name, given)
    if array.ndim == 2:
        return [array], "picture"
    if array.ndim in (3, 4):
        if len(array) == 0:
            raise ValueError(f"{where}: {name} has shape {array.shape} and holds no pictures")
        return list(array), "stack"
    raise ValueError(
        f"{where}: {name} has shape {array.shape}, expected (height, width), (n, height, width), (n, height, width, channels), or a "
        "list of pictures"
    )


def _channels(array: Array) -> int:
    return array.shape[2] if array.ndim == 3 else 1


def _planar(array: Array) -> Array:
    planes = np.moveaxis(array, 2, 0) if array.ndim == 3 else array[np.newaxis]
    return np.ascontiguousarray(planes).reshape(len(planes), -1)
