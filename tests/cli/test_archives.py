"""Arrays of archives, of 16 bits, and what sentences show of files."""

import json
import zipfile

import numpy as np
import pytest

# With everything else that an archive may hold.
OTHERS = {
    "strings": np.array(["a", "b"]), "objects": np.array([None, {}], dtype=object), "complex": np.ones(3, np.complex64),
    "structured": np.zeros(2, [("x", "<f4")]), "dates": np.array(["2020-01-01"], "datetime64[D]"), "half": np.ones(3, np.float16),
    "bytes": np.array([b"a"]), "long": np.ones(3, np.longdouble),
}


@pytest.fixture
def archive(tmp_path, planted):
    X, D = planted
    np.savez(tmp_path / "a.npz", X=X[:40], D=D, groups=np.arange(24) // 4, Z=np.zeros((40, 24)), **OTHERS)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as file:
        file.writestr("readme.txt", "not an array")
        file.writestr("broken.npy", "not an array either")
    return "a.npz"


def test_an_array_is_read_whatever_else_the_archive_holds(riata, tmp_path, archive, planted):
    encode = riata.json("encode", f"{archive}:D", f"{archive}:X", "-o", "z.npy", "--reg", "0.1max")
    np.save(tmp_path / "X.npy", planted[0][:40])
    np.save(tmp_path / "D.npy", planted[1])
    assert encode["objective"] == riata.json("encode", "D.npy", "X.npy", "-o", "z.npy", "--reg", "0.1max")["objective"]
    riata("encode", f"{archive}:D", f"{archive}:X", "-o", "z.npy", "--reg", 1, "--penalty", "group", "--groups", f"{archive}:groups")
    riata("learn", f"{archive}:X", "-o", "m.safetensors", "--init", f"{archive}:D", "--reference", f"{archive}:D", "--reg", "0.1max",
          "--max-iter", 1)
    riata("train", "--kind", "step", "--n-layers", 2, "--reg", "0.1max", "--dictionary", f"{archive}:D", "--data", f"{archive}:X",
          "--loss", "supervised", "--targets", f"{archive}:Z", "-o", "n.safetensors", "--max-iter", 1)
    riata("infer", "n.safetensors", f"{archive}:X", "-o", "z.npy")
    assert riata.json("info", f"{archive}:X")["files"][0]["shape"] == [40, 16]


def test_info_names_the_arrays_that_are_not_read(riata, tmp_path):
    np.savez(tmp_path / "a.npz", X=np.ones((2, 3)), **OTHERS)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as file:
        file.writestr("readme.txt", "not an array")
    arrays = riata.json("info", "a.npz")["files"][0]["tensors"]
    assert arrays["X"] == {"shape": [2, 3], "dtype": "float64", "min": 1.0, "max": 1.0}
    assert {name: array["dtype"] for name, array in arrays.items()} == {
        "X": "float64", "strings": "strings", "objects": "Python objects", "complex": "complex64", "structured": "a structured type",
        "dates": "datetime64", "half": "float32", "bytes": "byte strings", "long": "float128"}
    assert "strings (2) strings, not read" in riata("info", "a.npz")


def test_one_array_beside_a_text_needs_no_name(riata, tmp_path):
    np.savez(tmp_path / "one.npz", X=np.ones((2, 3)))
    with zipfile.ZipFile(tmp_path / "one.npz", "a") as file:
        file.writestr("readme.txt", "not an array")
    np.save(tmp_path / "D.npy", np.eye(3))
    assert riata.json("encode", "D.npy", "one.npz", "-o", "z.npy", "--reg", 0.1)["n_signals"] == 2


@pytest.mark.parametrize("order", "<>")
def test_sixteen_bits_are_read_as_float32(riata, tmp_path, order, planted):
    X, D = (a.astype(order + "f2") for a in planted)
    np.save(tmp_path / "X.npy", X)
    np.savez(tmp_path / "D.npz", D=D)
    half = riata.json("encode", "D.npz", "X.npy", "-o", "half.npz", "--reg", "0.1max")
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    np.save(tmp_path / "D.npy", D.astype(np.float32))
    assert half["dtype"] == "float32"
    assert half["objective"] == riata.json("encode", "D.npy", "X.npy", "-o", "single.npz", "--reg", "0.1max")["objective"]
    np.save(tmp_path / "X.npy", X)
    streamed = riata.json("encode", "D.npy", "X.npy", "-o", "stream.npz", "--reg", "0.1max", "--stream")
    assert streamed["objective"] == pytest.approx(half["objective"], rel=1e-6)


def test_bfloat16_is_read_as_float32(riata, tmp_path):
    values = np.array([[1, -2.5, 2.0**-130]], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")  # as ml_dtypes keeps it
    np.save(tmp_path / "x.npy", upper)
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data.replace(b"'<u2'", b"'<V2'"))
    described = riata.json("info", "x.npy")["files"][0]
    assert described["dtype"] == "float32" and (described["min"], described["max"]) == (-2.5, 1)


def test_a_megabyte_that_claims_gigabytes_is_refused(riata, tmp_path):
    np.savez_compressed(tmp_path / "zeros.npz", X=np.zeros((8000, 10000), np.int8))  # 78 kB; 640 MB as doubles
    for arguments in (("info", "zeros.npz"), ("encode", "zeros.npz:X", "zeros.npz:X", "-o", "z.npy", "--reg", 1)):
        done = riata.run(*arguments)
        assert done.returncode == 2 and " to 640000000 in memory; " in done.stderr
        assert riata.peak_megabytes_of_refusal(*arguments) < 200


# What would do things to a terminal, or end a C string, or fill the screen.
EVIL = "\x1b]0;pwned\x07\x1b[2J\u009b31m\u202e two\nlines\r\0after NUL"


def is_plain(text):
    return len(text) <= 500 and all(c.isprintable() for c in text)


def test_names_in_files_never_reach_the_terminal_raw(riata, tmp_path, safetensors):
    np.save(tmp_path / "X.npy", np.eye(3))
    np.savez(tmp_path / "evil.npz", **{EVIL.replace("\0", ""): np.eye(3), "other": np.eye(3), "text": np.array(["a"])})
    files = {
        "name.safetensors": ({EVIL: np.eye(3)}, {}),
        "long.safetensors": ({"x" * 5_000_000: np.eye(3)}, {}),
        "version.safetensors": ({"dictionary": np.eye(3)}, {"format": "riata", "format_version": EVIL}),
        "kind.safetensors": ({"dictionary": np.eye(3)}, {"format": "riata", "format_version": "1", "kind": EVIL}),
        "note.safetensors": ({"dictionary": np.eye(3)}, {"format": "riata", "format_version": "1", EVIL: EVIL * 1000}),
    }
    for name, (tensors, metadata) in files.items():
        safetensors.write(tmp_path / name, tensors, metadata)
    (tmp_path / "descr.npy").write_bytes((tmp_path / "X.npy").read_bytes().replace(b"'<f8'", b"'\x1bf\n'"))
    runs = [("encode", name, "X.npy", "-o", "z.npy", "--reg", "1") for name in (*files, "evil.npz", "evil.npz:\x1b[2J", "descr.npy")]
    runs += [("infer", name, "X.npy", "-o", "z.npy") for name in files]
    runs += [("encode", "X.npy", "X.npy", "-o", "z.npy", "--reg", "1", "--method", EVIL.replace("\0", "")),
             ("encode", "X.npy", "\x1b[2J\n.npy", "-o", "z.npy", "--reg", "1"),
             ("info", "x" * 4000), ("denoise", "X.npy", "-o", "z.\x1b[2J")]
    for arguments in runs:
        done = riata.run(*arguments)
        assert done.returncode in (1, 2) or arguments[1].startswith(("note", "kind")), arguments[:2]
        assert is_plain(done.stderr.removesuffix("\n")), done.stderr[:700]
    for name in (*files, "evil.npz"):
        text, line = riata("info", name), riata("info", name, "--json")
        assert all(c.isprintable() for row in text.splitlines() for c in row)
        assert line.isascii() and json.loads(line)["files"]


def test_a_nul_in_a_name_does_not_cut_the_sentence(riata, tmp_path, safetensors):
    safetensors.write(tmp_path / "x.safetensors", {"a\0b": np.eye(3)}, {"format": "riata", "format_version": "1\0002"})
    done = riata.run("encode", "x.safetensors", "x.npy", "-o", "z.npy", "--reg", 1)
    assert done.stderr == ("riata encode: x.safetensors has model format version 1\\x002; this riata reads version 1 (update riata)\n")
