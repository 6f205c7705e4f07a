"""What C++ says of files reaches Python as one plain line of at most 500 characters."""

import json

import numpy as np
import pytest
import riata

EVIL = "\x1b]0;pwned\x07\x1b[2J\u009b31m\u202e two\nlines\r" * 50


def write(path, name, metadata):
    values = np.eye(2).tobytes()
    header = {"__metadata__": metadata, name: {"dtype": "F64", "shape": [2, 2], "data_offsets": [0, len(values)]}}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + values)


@pytest.mark.parametrize("read", [riata.load_model, riata.load_network])
@pytest.mark.parametrize("metadata", [
    {"format": "riata", "format_version": EVIL},
    {"format": "riata", "format_version": "1\0002"},
], ids=["escapes", "nul"])
def test_a_version_made_of_escapes_is_shown_plainly(tmp_path, read, metadata):
    write(tmp_path / "x.safetensors", "dictionary", metadata)
    with pytest.raises(ValueError) as refusal:
        read(tmp_path / "x.safetensors")
    text = str(refusal.value)
    assert len(text) <= 500 and all(c.isprintable() for c in text)
    assert text.endswith("; this riata reads version 1 (update riata)")
