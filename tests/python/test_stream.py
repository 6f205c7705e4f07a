"""Codes block by block: the bits of one call, sparse, from arrays and files, to callbacks and files."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.sparse

import riata

PROBLEM = riata.datasets.planted(n_features=12, n_atoms=20, n_signals=700)
X, D = PROBLEM.signals, PROBLEM.dictionary
OPTIONS = dict(tol=1e-8)


@pytest.fixture(scope="module")
def whole():
    return riata.encode(X, D, "0.2max", **OPTIONS)


@pytest.fixture
def path(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "x.npy"


def test_csr_codes_equal_the_dense_ones(whole):
    result = riata.encode(X, D, "0.2max", output="csr", **OPTIONS)
    assert isinstance(result.codes, scipy.sparse.csr_matrix) and result.codes.has_canonical_format
    assert result.codes.nnz == np.count_nonzero(whole.codes)
    np.testing.assert_array_equal(result.codes.toarray(), whole.codes)
    for name in ("objective", "gap", "n_iter", "status"):
        np.testing.assert_array_equal(getattr(result, name), getattr(whole, name))
    assert result.method == whole.method and len(repr(result)) < 150


def test_a_weight_per_signal_and_float32(whole):
    X32, D32, reg = X.astype(np.float32), D.astype(np.float32), np.linspace(0.1, 0.5, len(X))
    codes = riata.encode(X32, D32, reg, output="csr", positive=True).codes
    assert codes.dtype == np.float32
    np.testing.assert_array_equal(codes.toarray(), riata.encode(X32, D32, reg, positive=True).codes)


@pytest.mark.parametrize("as_input", [str, lambda p: p, lambda p: np.load(p, mmap_mode="r"), np.load])
def test_a_file_of_codes_is_what_scipy_reads(as_input, path, tmp_path, whole):
    done = []
    report = riata.encode_stream(
        as_input(path),
        D,
        "0.2max",
        tmp_path / "z.npz",
        block_size=128,
        progress=lambda n, total: done.append((n, total)),
        **OPTIONS,
    )
    codes = scipy.sparse.load_npz(tmp_path / "z.npz")
    assert isinstance(codes, scipy.sparse.csr_matrix) and codes.shape == whole.codes.shape
    np.testing.assert_array_equal(codes.toarray(), whole.codes)
    with np.load(tmp_path / "z.npz") as arrays:
        for name in ("objective", "gap", "n_iter"):
            np.testing.assert_array_equal(arrays[name], getattr(whole, name))
    assert done == [(n, 700) for n in (128, 256, 384, 512, 640, 700)]
    assert (report.n_signals, report.n_atoms, report.n_nonzero) == (700, 20, codes.nnz)
    assert report.n_not_converged == 0 and report.gap == whole.gap.max() and report.method == whole.method
    assert report.objective == pytest.approx(whole.objective.mean()) and len(repr(report)) < 150
    assert sorted(os.listdir(tmp_path)) == ["x.npy", "z.npz"]


def test_a_callback_gets_every_block_once(path, whole):
    blocks = []
    riata.encode_stream(path, D, "0.2max", blocks.append, block_size=256, **OPTIONS)
    assert [block.first for block in blocks] == [0, 256, 512]
    np.testing.assert_array_equal(scipy.sparse.vstack([b.codes for b in blocks]).toarray(), whole.codes)
    np.testing.assert_array_equal(np.concatenate([b.gap for b in blocks]), whole.gap)
    np.testing.assert_array_equal(np.concatenate([b.status for b in blocks]), whole.status)


def test_what_a_callback_raises_comes_through_and_leaves_no_file(path, tmp_path):
    def enough(*_):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        riata.encode_stream(path, D, 0.1, enough)
    with pytest.raises(KeyError, match="enough"):
        riata.encode_stream(path, D, 0.1, tmp_path / "z.npz", progress=enough)
    assert os.listdir(tmp_path) == ["x.npy"]


def test_integers_become_float64(tmp_path):
    np.save(tmp_path / "i.npy", np.arange(24).reshape(2, 12))
    riata.encode_stream(tmp_path / "i.npy", D, 0.1, tmp_path / "z.npz")
    np.testing.assert_array_equal(
        scipy.sparse.load_npz(tmp_path / "z.npz").toarray(), riata.encode(np.arange(24).reshape(2, 12), D, 0.1).codes
    )


def refuse(error, sentence, *args, **options):
    with pytest.raises(error) as raised:
        riata.encode_stream(*args, **options)
    assert sentence in str(raised.value)


def test_bad_input_gets_its_sentence(path, tmp_path):
    z = tmp_path / "z.npz"
    refuse(ValueError, f"output {path} is the input itself; choose another name", path, D, 0.1, path)
    link = tmp_path / "link.npz"
    link.symlink_to(path)
    mapped = np.load(path, mmap_mode="r")
    for signals in (path, mapped):
        refuse(ValueError, "is the input itself; choose another name", signals, D, 0.1, link)
    link.unlink()
    refuse(ValueError, "encode_stream: output = 'z.npy', must end in .npz", X, D, 0.1, "z.npy")
    refuse(TypeError, "encode_stream: output = 3, must be a path or a callable", X, D, 0.1, 3)
    refuse(TypeError, "encode_stream: progress = 3, must be callable", X, D, 0.1, z, progress=3)
    refuse(ValueError, "encode_stream: block_size = 0, must be between 1 and 2^40", X, D, 0.1, z, block_size=0)
    refuse(ValueError, "encode_stream: signals have 12 features but atoms have 5", path, D[:, :5], 0.1, z)
    refuse(ValueError, "holds float64 but the dictionary is float32", path, D.astype(np.float32), 0.1, z)
    refuse(TypeError, "encode_stream: X is float64 but D is float32", X, D.astype(np.float32), 0.1, z)
    refuse(ValueError, "reg: 2 entries for 700 signals; they must be equal", path, D, [0.1, 0.2], z)
    refuse(ValueError, "method = 'x', must be 'auto'", path, D, 0.1, z, method="x")
    refuse(OSError, "cannot read", tmp_path / "none.npy", D, 0.1, z)
    refuse(OSError, "cannot write", path, D, 0.1, tmp_path / "none" / "z.npz")
    (tmp_path / "text.npy").write_text("text")
    refuse(ValueError, "text.npy is not an .npy file", tmp_path / "text.npy", D, 0.1, z)
    assert not z.exists()


def test_encode_refuses_what_csr_cannot_give():
    for options, sentence in [
        (dict(output="coo"), "encode: output = 'coo', must be 'dense' or 'csr'"),
        (dict(output="csr", record=True), "encode: record is for output = 'dense'"),
        (dict(output="csr", init=np.zeros((700, 20))), "encode: init is for output = 'dense'"),
        (dict(output="csr", tol=-1.0), "tol = -1, must be >= 0 and finite"),
        (dict(output="csr", weights=np.ones(3)), "weights: 3 entries for 20 atoms; they must be equal"),
    ]:
        with pytest.raises(ValueError) as raised:
            riata.encode(X, D, 0.1, **options)
        assert sentence in str(raised.value)


def test_an_entry_that_is_not_finite_is_named_by_its_row(tmp_path):
    bad = X.copy()
    bad[600, 3] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    sentence = "X holds nan at signal 600, feature 3; expected finite numbers"
    refuse(ValueError, "encode_stream: " + sentence, tmp_path / "bad.npy", D, 0.1, tmp_path / "z.npz", block_size=128)
    assert os.listdir(tmp_path) == ["bad.npy"]
    with pytest.raises(ValueError, match="^encode: " + sentence):
        riata.encode(bad, D, 0.1, output="csr")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_protected_file_is_refused_before_the_first_block(tmp_path):
    (tmp_path / "z.npz").touch(mode=0o444)
    refuse(OSError, "Permission denied", X, D, 0.1, tmp_path / "z.npz", progress=lambda *_: pytest.fail("too late"))


def test_a_folder_in_the_place_of_the_file_is_refused_before_the_first_block(tmp_path):
    (tmp_path / "z.npz").mkdir()
    refuse(OSError, "Is a directory", X, D, 0.1, tmp_path / "z.npz", progress=lambda *_: pytest.fail("too late"))
    assert os.listdir(tmp_path) == ["z.npz"]


def test_ctrl_c_leaves_the_old_file(tmp_path):
    (tmp_path / "z.npz").write_text("old")
    code = (
        "import numpy as np, riata; X = np.random.default_rng(0).standard_normal((80000, 64)); "
        "D = riata.datasets.gaussian_dictionary(64, 256); riata.encode_stream(X, D, '0.001max', 'z.npz', method='ista', "
        "tol=0, max_iter=300, block_size=128, progress=lambda *_: print('go', flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "go\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert err.rstrip().endswith("KeyboardInterrupt"), err
    assert os.listdir(tmp_path) == ["z.npz"] and (tmp_path / "z.npz").read_text() == "old"


MEMORY = """
import sys
import numpy as np
import riata

n_signals, folder = int(sys.argv[1]), sys.argv[2]

def megabytes(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) / 1024

X = np.lib.format.open_memmap(folder + "/x.npy", "w+", np.float32, (n_signals, 16))
rng = np.random.default_rng(0)
for first in range(0, n_signals, 100_000):
    X[first : first + 100_000] = rng.standard_normal((min(100_000, n_signals - first), 16), dtype=np.float32)
del X
D = riata.datasets.gaussian_dictionary(16, 32, dtype=np.float32)
riata.encode(np.ones((256, 16), np.float32), D, 0.1)  # BLAS and threads take their memory
open("/proc/self/clear_refs", "w").write("5")  # VmHWM starts again from what is resident now
before = megabytes("VmRSS")
report = riata.encode_stream(folder + "/x.npy", D, "0.3max", folder + "/z.npz", tol=1e-3)
print(megabytes("VmHWM") - before, report)
"""


CSR_MEMORY = """
import numpy as np
import riata

def megabytes(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) / 1024

X = np.random.default_rng(0).standard_normal((100_000, 16), dtype=np.float32)
D = riata.datasets.gaussian_dictionary(16, 512, dtype=np.float32)
riata.encode(X[:256], D, 0.1, output="csr")  # BLAS, threads and SciPy take their memory
open("/proc/self/clear_refs", "w").write("5")
before = megabytes("VmRSS")
codes = riata.encode(X, D, "0.7max", tol=1e-2, output="csr").codes
print(megabytes("VmHWM") - before, codes.nnz)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer keeps freed memory")
def test_sparse_codes_never_take_the_memory_of_the_dense_ones():
    done = subprocess.run([sys.executable, "-c", CSR_MEMORY], capture_output=True, text=True)
    if "clear_refs" in done.stderr:
        pytest.skip("/proc/self/clear_refs cannot be written here")
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert float(done.stdout.split()[0]) < 80  # dense codes would be 205 MB


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer keeps freed memory")
def test_a_million_signals_take_less_than_48_mb(tmp_path):
    # Ten million, with 3 GB of disk: RIATA_STREAM_SIGNALS=10000000 in the environment; -rP prints the figure.
    n_signals = os.environ.get("RIATA_STREAM_SIGNALS", "1000000")
    done = subprocess.run([sys.executable, "-c", MEMORY, n_signals, tmp_path], capture_output=True, text=True)
    if "clear_refs" in done.stderr:
        pytest.skip("/proc/self/clear_refs cannot be written here")
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert float(done.stdout.split()[0]) < 48  # the signals are 64 MB, dense codes would be 128 MB
