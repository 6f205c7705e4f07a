"""What the public functions take: arrays, weights, numbers, names and paths are checked here, once, before C++ sees them.

C++ states every rule about values (ranges, equal sizes, finite entries); here are the rules that Python's
freedom makes necessary: types, dtypes, ranks, contiguity. A value is quoted by `shown`, in one short line.
"""

from __future__ import annotations

import functools
import numbers
import operator
import os
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from . import _riata

Array = NDArray[Any]
_Function = TypeVar("_Function", bound=Callable[..., Any])

_LARGEST_INT = 2**31 - 1
_LONGEST = 100  # characters of a quoted value
_LONGEST_NAME = 60  # no name that an option takes is longer
_SHAPES = {"X": "(n_signals, n_features)", "D": "(n_atoms, n_features)", "Z": "(n_signals, n_atoms)"}
_FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}
_NARROW = ("float16", "bfloat16")  # held exactly by float32


def shown(value: Any) -> str:
    """The value in one short line of printable characters, whatever its __repr__ does."""
    try:
        if isinstance(value, int) and abs(value) >= 10**30:
            return f"an integer of {value.bit_length()} bits"
        if isinstance(value, (str, bytes)):
            return one_line(repr(value[: 2 * _LONGEST]))
        if getattr(value, "shape", ()) != ():  # of arrays, tensors, data frames
            return one_line(f"{type(value).__name__} of shape {tuple(value.shape)}")
        return one_line(_abridged.repr(value))
    except Exception:
        return one_line(f"<{type(value).__name__}>")


def one_line(text: str, longest: int = _LONGEST) -> str:
    """At most `longest` printable characters; others are escaped."""
    text = " ".join(text[: 4 * longest].split())
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= longest else text[: longest - 3] + "..."


_abridged = reprlib.Repr()
_abridged.maxother = _abridged.maxlong = _abridged.maxstring = 2 * _LONGEST


def as_float_array(where: str, name: str, value: Any) -> Array:
    """C-ordered float32 or float64; integers and booleans become float64, half precision float32. No copy where none is
    needed."""
    if type(value) is np.ndarray and value.dtype in _FLOATS and value.flags.c_contiguous and value.flags.aligned:
        return value  # a signal at a time costs microseconds, and so would the looks below
    array = as_array(where, name, value)
    if array.dtype.kind in "iub":
        return np.ascontiguousarray(array, dtype=np.float64) if array.ndim else array.astype(np.float64)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        if array.dtype.name not in _NARROW:
            raise TypeError(
                f"{where}: {name} holds {one_line(str(array.dtype))}; expected float32 or float64 "
                "(or integers, which become float64)"
            )
        array = array.astype(np.float32)
    return np.require(array, dtype=array.dtype.newbyteorder("="), requirements=["C", "A"])


def as_array(where: str, name: str, value: Any) -> Array:
    """What NumPy makes of it; data frames and series of pandas' nullable types become floats, with NaN for what is missing."""
    if type(value) is np.ndarray:
        return value
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(
            f"{where}: {name} is a sparse matrix, expected a dense array (convert with {name}.toarray())"
        )
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where}: {name} is a masked array, expected a plain one (fill it or drop the rows)")
    try:
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # which NumPy lacks
            value = value.float()
        array = np.asarray(value)
        if array.dtype == object and hasattr(value, "to_numpy"):
            return _of_nullable(value, array)
        return array
    except MemoryError:
        raise
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        reason = one_line(str(error), 200)
        raise kind(f"{where}: {name} = {shown(value)}, must be an array of numbers ({reason})") from None


def _of_nullable(value: Any, array: Array) -> Array:
    """A pandas object as floats if every column holds numbers; `array`, of objects, otherwise."""
    types = getattr(value, "dtypes", None)
    types = list(types) if isinstance(types, Iterable) else [types]
    types = [getattr(dtype, "numpy_dtype", dtype) for dtype in types]
    if not all(isinstance(dtype, np.dtype) and dtype.kind in "iubf" for dtype in types):
        return array
    common = np.result_type(*types)
    if common.kind in "iu" and not np.any(value.isna()):
        return value.to_numpy(dtype=common)
    single = common in (np.float16, np.float32)
    return value.to_numpy(dtype=np.float32 if single else np.float64, na_value=np.nan)


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
    dtype = getattr(given, "dtype", None) or np.asarray(given).dtype
    same = str(dtype).endswith(str(array.dtype)) and getattr(dtype, "kind", "f") == "f"  # torch says torch.float32
    return str(array.dtype) if same else f"{array.dtype} (made from {one_line(str(dtype))})"


def as_like(where: str, name: str, value: Any, first: str, reference: Array, shape: str) -> Array:
    """as_matrix() in the precision of `reference`."""
    array = as_matrix(where, name, value, shape)
    require_same_precision(where, first, reference, reference, name, value, array)
    return array


def as_optional_like(
    where: str, name: str, value: Any, first: str, reference: Array, shape: str
) -> Array | None:
    return None if value is None else as_like(where, name, value, first, reference, shape)


def as_mask(where: str, mask: Any, X: Array) -> Array | None:
    """Booleans, or weights in [0, 1], of the signals' shape and in their precision."""
    if mask is None:
        return None
    array = as_float_array(where, "mask", mask)
    if array.shape != X.shape:
        raise ValueError(f"{where}: mask has shape {array.shape}, expected the signals' {X.shape}")
    return array.astype(X.dtype, copy=False)


def as_vector(where: str, name: str, value: Any) -> Array | None:
    """Numbers as a one-dimensional float64 array; None passes."""
    if value is None:
        return None
    array = as_float_array(where, name, value)
    if array.ndim != 1:
        raise ValueError(f"{where}: {name} has shape {array.shape}, expected one dimension")
    return array.astype(np.float64, copy=False)


def as_weights(where: str, weights: Any, X: Array, D: Array) -> Array | None:
    """One factor per atom or group, or one per signal and atom, row after row; None passes."""
    if weights is None:
        return None
    array = as_float_array(where, "weights", weights)
    n_signals, n_atoms = len(X), len(D)
    if array.ndim == 2 and array.shape != (n_signals, n_atoms):
        raise ValueError(
            f"{where}: weights has shape {array.shape}, expected (n_atoms,) or "
            f"(n_signals, n_atoms) = ({n_signals}, {n_atoms})"
        )
    if array.ndim == 1 and n_atoms < array.size == n_atoms * n_signals:
        raise ValueError(f"weights: {array.size} entries for {n_atoms} atoms; they must be equal")
    return array.reshape(-1) if array.ndim == 2 else array


def require_plain_weights(weights: Array | None) -> None:
    """Refuses infinite weights and zeros where derivatives will be asked for."""
    for entry, weight in enumerate([] if weights is None else weights):
        if not 0 < weight < np.inf:
            raise ValueError(f"weights: entry {entry} is {weight:g}, must be > 0 and finite")


def as_labels(where: str, name: str, value: Any) -> Array | None:
    """Integers as a one-dimensional int64 array; None passes."""
    if value is None:
        return None
    array = as_array(where, name, value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{where}: {name} holds {one_line(str(array.dtype))}; expected integers")
    if array.ndim != 1:
        raise ValueError(f"{where}: {name} has shape {array.shape}, expected one dimension")
    if array.size and int(array.max()) >= 2**63:
        raise ValueError(f"{where}: {name} holds {array.max()}, must be at most {2**63 - 1}")
    return np.ascontiguousarray(array, dtype=np.int64)


def as_reg(where: str, reg: Any) -> float | str | Array:
    """A number, "0.1max" (a fraction of reg_max), or one number per signal."""
    if isinstance(reg, str):
        if len(reg) > _LONGEST_NAME or not reg.isprintable():
            raise ValueError(f"reg = {shown(reg)} is neither a number nor a fraction of reg_max such as 0.1max")
        return reg
    if isinstance(reg, (numbers.Real, np.floating)) and not isinstance(reg, bool):
        return as_float(where, "reg", reg)
    array = as_array(where, "reg", reg)
    if array.dtype.kind not in "fiu" and array.dtype.name not in _NARROW or array.dtype.itemsize > 8:
        raise TypeError(
            f"{where}: reg = {shown(reg)}, must be a number, one number per signal, or a text such as '0.1max'"
        )
    if array.ndim > 1:
        raise ValueError(f"{where}: reg has shape {array.shape}, expected a number or (n_signals,)")
    return float(array) if array.ndim == 0 else np.ascontiguousarray(array, dtype=np.float64)


def as_int(where: str, name: str, value: Any, largest: int = _LARGEST_INT) -> int:
    """An integer, also as a NumPy scalar or an array of no dimensions, and in no wider range than C++ takes."""
    try:
        number = operator.index(value)
    except Exception:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{where}: {name} = {shown(value)}, must be an integer")
    if abs(number) > largest:
        bound = f"at most {largest}" if number > 0 else f"at least {-largest}"
        raise ValueError(f"{where}: {name} = {shown(number)}, must be {bound}")
    return number


def as_optional_int(where: str, name: str, value: Any, largest: int = _LARGEST_INT) -> int | None:
    return None if value is None else as_int(where, name, value, largest)


def as_size(where: str, name: str, value: Any) -> int:
    """A number of things in an array."""
    return as_int(where, name, value, largest=2**62)


def as_optional_size(where: str, name: str, value: Any) -> int | None:
    return None if value is None else as_size(where, name, value)


def as_float(where: str, name: str, value: Any) -> float:
    """A real number, also as an array of no dimensions."""
    if type(value) is float:
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, (numbers.Real, np.floating)) or isinstance(value, bool):
        raise TypeError(f"{where}: {name} = {shown(value)}, must be a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{where}: {name} = {shown(value)}, must be a number that a float64 can hold") from None


def as_optional_float(where: str, name: str, value: Any) -> float | None:
    return None if value is None else as_float(where, name, value)


def as_bool(where: str, name: str, value: Any) -> bool:
    """True or False, also as 1 and 0; a text such as "no" would count as true."""
    if isinstance(value, (bool, np.bool_)) or isinstance(value, numbers.Integral) and value in (0, 1):
        return bool(value)
    raise TypeError(f"{where}: {name} = {shown(value)}, must be True or False")


def as_verbosity(where: str, verbose: Any) -> bool:
    """scikit-learn's: a boolean or a level, of which all above 0 are alike."""
    if isinstance(verbose, (bool, np.bool_)):
        return bool(verbose)
    return as_int(where, "verbose", verbose) > 0


def as_text(where: str, name: str, value: Any) -> str:
    """One of the names that an option takes; C++ knows which."""
    if not isinstance(value, str):
        raise TypeError(f"{where}: {name} = {shown(value)}, must be a string")
    if len(value) > _LONGEST_NAME or not value.isprintable():
        raise ValueError(f"{where}: {name} = {shown(value)}, must be one of the names that its documentation lists")
    return value


def as_path(where: str, name: str, value: Any) -> bytes:
    """A file's name as the system takes it, also one that is not UTF-8 (PEP 383)."""
    try:
        path = os.fsencode(value)
    except Exception:
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(f"{where}: {name} = {shown(value)}, must be a path") from None
    if not path or b"\0" in path:
        what = "no name" if not path else "a name with a NUL, which would cut it"
        raise ValueError(f"{where}: {name} = {shown(value)} is {what}; expected a path")
    return path


def as_optional_path(where: str, name: str, value: Any) -> bytes:
    """No bytes where None is given."""
    return b"" if value is None else as_path(where, name, value)


def as_metadata(where: str, value: Any) -> dict[str, str]:
    """Names and values as texts; None is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{where}: metadata = {shown(value)}, must be a mapping of names to texts")
    return {_as_record(where, key): _as_record(where, entry) for key, entry in value.items()}


def _as_record(where: str, value: Any) -> str:
    try:
        text = str(value)
        text.encode()
    except Exception as error:
        reason = one_line(str(error), 200)
        raise ValueError(f"{where}: metadata holds {shown(value)}, which is no text ({reason})") from None
    return text


def as_callback(where: str, callback: Any, name: str = "callback") -> Any:
    if callback is not None and not callable(callback):
        raise TypeError(f"{where}: {name} = {shown(callback)}, must be callable")
    return callback


def as_pair(where: str, name: str, value: Any, what: str, refusal: type[Exception] = TypeError) -> tuple[Any, Any]:
    """Two things; `what` says which."""
    try:
        first, second = value
    except Exception:
        raise refusal(f"{where}: {name} = {shown(value)}, must be {what}") from None
    return first, second


def as_names(where: str, name: str, value: Any) -> list[str]:
    """One name, or several."""
    if isinstance(value, str):
        return [as_text(where, name, value)]
    try:
        entries = list(value)
    except Exception:
        raise TypeError(f"{where}: {name} = {shown(value)}, must be names") from None
    return [as_text(where, name, entry) for entry in entries]


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
    if isinstance(random_state, np.ndarray) and random_state.ndim == 0:
        random_state = random_state[()]
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        if not 0 <= random_state < 2**64:
            raise ValueError(f"{where}: random_state = {shown(random_state)}, must be between 0 and 2**64 - 1")
        return int(random_state)
    raise TypeError(
        f"{where}: random_state = {shown(random_state)}, must be None, an integer, a numpy RandomState "
        "or a numpy Generator"
    )


_AS = {
    "bool": as_bool,
    "int": as_optional_int,
    "size": as_optional_size,
    "float": as_optional_float,
    "text": as_text,
    "path": as_optional_path,
    "vector": as_vector,
    "labels": as_labels,
    "seed": lambda where, name, value: as_seed(where, value),
    "texts": lambda where, name, value: value,  # checked where it is taken
}
_OPTIONS = _riata.options
_REQUIRED = {"int": as_int, "size": as_size, "float": as_float}


def as_options(where: str, function: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What C++ takes as the options of `function`: of the arguments `given`, those that it describes, where they are not as by
    default, each checked as what it is."""
    options = {}
    for name, (kind, may_be_none, default) in _OPTIONS[function].items():
        key = "random_state" if kind == "seed" else name
        value = given.get(key, default)
        if value is default or (type(value) is type(default) and value == default):
            continue
        convert = _AS[kind] if may_be_none else _REQUIRED.get(kind, _AS[kind])
        options[name] = convert(where, key, value)
        if name == "weights" and options[name] is not None and options[name].size == 0:
            raise ValueError(f"{where}: weights is empty; leave it out, or give one per atom")
    if "n_threads" in given:
        options["n_threads"] = as_threads(where, given["n_threads"])
    return options


def renamed(**names: str) -> Callable[[_Function], _Function]:
    """Refuses arguments by the names that they had before, old=new, in a sentence that tells the new one."""

    def wrap(function: _Function) -> _Function:
        where = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old in names.keys() & kwargs.keys():
                raise TypeError(f"{where}: {old} is called {names[old]} since riata 0.2")
            return function(*args, **kwargs)

        return cast(_Function, call)

    return wrap
