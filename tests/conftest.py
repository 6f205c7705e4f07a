"""What every test of the command and of the Python package shares."""

import json
import signal
from types import SimpleNamespace

import numpy as np
import pytest

# A shell's background job ignores Ctrl-C, and so would the processes that tests start in order to interrupt them.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Safetensors in a few lines, to look at what the command wrote and to make files it must refuse.
DTYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64}


def read_safetensors(path):
    """(tensors, metadata)"""
    data = path.read_bytes()
    n = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n])
    metadata = header.pop("__metadata__", {})
    values = data[8 + n :]
    tensors = {name: np.frombuffer(values[slice(*place["data_offsets"])], DTYPES[place["dtype"]]).reshape(place["shape"])
               for name, place in header.items()}
    return tensors, metadata


def write_safetensors(path, tensors, metadata):
    header, values = {"__metadata__": metadata}, b""
    for name, array in tensors.items():
        dtype = next(key for key, value in DTYPES.items() if value == array.dtype)
        begin, values = len(values), values + array.tobytes()
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [begin, len(values)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + values)


@pytest.fixture(scope="session")
def safetensors():
    """read(path) -> (tensors, metadata) and write(path, tensors, metadata)."""
    return SimpleNamespace(read=read_safetensors, write=write_safetensors)
