"""What the public functions take: arrays, weights and numbers are checked here, once, before C++ sees them.

C++ states every rule about values (ranges, equal sizes, finite entries); here are the rules that Python's
freedom makes necessary: types, dtypes, ranks, contiguity.
"""

from __future__ import annotations

import numbers
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_LARGEST_INT = 2**31 - 1
_SHAPES = {"X": "(n_signals, n_features)", "D": "(n_atoms, n_features)", "Z": "(n_signals, n_atoms)"}


def as_float_array(where: str, name: str, value: Any) -> Array:
    """C-ordered float32 or float64; integers and booleans become float64. No copy where none is needed."""
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(
            f"{where}: {name} is a sparse matrix, expected a dense array (convert with {name}.toarray())"
        )
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where}: {name} is a masked array, expected a plain one (fill it or drop the rows)")
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        return np.ascontiguousarray(array, dtype=np.float64) if array.ndim else array.astype(np.float64)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise TypeError(
            f"{where}: {name} holds {array.dtype}; expected float32 or float64 "
            "(or integers, which become float64)"
        )
    return np.require(array, dtype=array.dtype.newbyteorder("="), requirements=["C", "A"])


def as_matrix(where: str, name: str, value: Any, shape: str | None = None) -> Array:
    """as_float_array() with two dimensions."""
    array = as_float_array(where, name, value)
    shape = shape or _SHAPES[name]
    if array.ndim == 1 and name == "X":
        raise ValueError(
            f"{where}: X has shape {array.shape}, expected {shape}; reshape a single signal to "
            "(1, n_features) with X.reshape(1, -1)"
        )
    if array.ndim != 2:
        raise ValueError(f"{where}: {name} has shape {array.shape}, expected {shape}")
    return array


def as_signal(where: str, name: str, value: Any) -> Array:
    """as_float_array() with one dimension."""
    array = as_float_array(where, name, value)
    if array.ndim != 1:
        raise ValueError(f"{where}: {name} has shape {array.shape}, expected (n_features,)")
    return array


def as_matrices(where: str, **values: Any) -> tuple[Array, ...]:
    """as_matrix() for several arrays, which must share their precision."""
    arrays = {name: as_matrix(where, name, value) for name, value in values.items()}
    (first, reference), *others = arrays.items()
    for name, array in others:
        require_same_precision(where, first, values[first], reference, name, values[name], array)
    return tuple(arrays.values())


def require_same_precision(
    where: str, first: str, given_first: Any, a: Array, second: str, given_second: Any, b: Array
) -> None:
    if a.dtype != b.dtype:
        raise TypeError(
            f"{where}: {first} is {_describe(given_first, a)} but {second} is "
            f"{_describe(given_second, b)}; they must be equal (convert one with astype)"
        )


def _describe(given: Any, array: Array) -> str:
    dtype = np.asarray(given).dtype
    return str(array.dtype) if dtype.kind == "f" else f"{array.dtype} (made from {dtype})"


def as_optional_like(
    where: str, name: str, value: Any, first: str, reference: Array, shape: str
) -> Array | None:
    """as_matrix() in the precision of `reference`; None passes."""
    if value is None:
        return None
    array = as_matrix(where, name, value, shape)
    require_same_precision(where, first, reference, reference, name, value, array)
    return array


def as_vector(where: str, name: str, value: Any) -> Array | None:
    """Numbers as a one-dimensional float64 array; None passes."""
    if value is None:
        return None
    array = as_float_array(where, name, value)
    if array.ndim != 1:
        raise ValueError(f"{where}: {name} has shape {array.shape}, expected one dimension")
    return array.astype(np.float64, copy=False)


def as_labels(where: str, name: str, value: Any) -> Array | None:
    """Integers as a one-dimensional int64 array; None passes."""
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{where}: {name} holds {array.dtype}; expected integers")
    if array.ndim != 1:
        raise ValueError(f"{where}: {name} has shape {array.shape}, expected one dimension")
    return np.ascontiguousarray(array, dtype=np.int64)


def as_reg(where: str, reg: Any) -> float | str | Array:
    """A number, "0.1max" (a fraction of reg_max), or one number per signal."""
    if isinstance(reg, str):
        return reg
    array = np.asarray(reg)
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise TypeError(
            f"{where}: reg = {reg!r}, must be a number, one number per signal, or a text such as '0.1max'"
        )
    if array.ndim > 1:
        raise ValueError(f"{where}: reg has shape {array.shape}, expected a number or (n_signals,)")
    return float(array) if array.ndim == 0 else np.ascontiguousarray(array, dtype=np.float64)


def as_int(where: str, name: str, value: Any, largest: int = _LARGEST_INT) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{where}: {name} = {value!r}, must be an integer") from None
    if abs(number) > largest:
        raise ValueError(f"{where}: {name} = {number}, must be at most {largest}")
    return number


def as_size(where: str, name: str, value: Any) -> int:
    """A number of things in an array."""
    return as_int(where, name, value, largest=2**62)


def as_float(where: str, name: str, value: Any) -> float:
    if not isinstance(value, (numbers.Real, np.floating)):
        raise TypeError(f"{where}: {name} = {value!r}, must be a number")
    return float(value)


def as_optional_float(where: str, name: str, value: Any) -> float | None:
    return None if value is None else as_float(where, name, value)


def as_text(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{where}: {name} = {value!r}, must be a string")
    return value


def as_callback(where: str, callback: Any) -> Any:
    if callback is not None and not callable(callback):
        raise TypeError(f"{where}: callback = {callback!r}, must be callable")
    return callback


def as_threads(where: str, n_threads: Any) -> int | None:
    """None: all cores that the process may use (OMP_NUM_THREADS is respected)."""
    if n_threads is None:
        return None
    number = as_int(where, "n_threads", n_threads)
    if number < 1:
        raise ValueError(f"{where}: n_threads = {number}, must be >= 1 (None means all cores)")
    return number


def as_seed(where: str, random_state: Any) -> int:
    """The 64-bit seed that `random_state` stands for. RandomState and Generator are drawn from, as usual."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, 2**63 - 1, dtype=np.int64))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, 2**63 - 1, dtype=np.int64))
    if isinstance(random_state, numbers.Integral):
        if not 0 <= random_state < 2**64:
            raise ValueError(f"{where}: random_state = {random_state}, must be between 0 and 2**64 - 1")
        return int(random_state)
    raise TypeError(
        f"{where}: random_state = {random_state!r}, must be None, an integer, a numpy RandomState "
        "or a numpy Generator"
    )
