"""What arrays may be, what becomes of them, and that they are not copied."""

import gc
import os
import subprocess
import sys

import numpy as np
import pytest

import riata


@pytest.fixture
def problem():
    return riata.datasets.planted(n_features=12, n_atoms=20, n_signals=40)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_codes_keep_the_precision_and_certificates_are_double(problem, dtype):
    X, D = problem.signals.astype(dtype), problem.dictionary.astype(dtype)
    result = riata.encode(X, D, 0.1, tol=1e-4)
    gradient = riata.unrolled_gradient(X, D, 0.1, 5, wrt=("dictionary", "steps", "reg", "signals"))
    assert (
        result.codes.dtype == riata.reg_max(X, D).dtype == riata.unrolled_encode(X, D, 0.1, 5).dtype == dtype
    )
    assert gradient.dictionary.dtype == gradient.codes.dtype == gradient.signals.dtype == dtype
    assert riata.learn_dictionary(X, 20, 0.1, max_iter=1).dictionary.dtype == dtype
    assert result.objective.dtype == result.gap.dtype == np.float64
    for certificate in (riata.lasso_objective, riata.duality_gap, riata.kkt_violation):
        assert certificate(X, D, result.codes, 0.1).dtype == np.float64


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "bool"])
def test_integers_become_double(dtype):
    X, D = np.array([[1, 0, 1], [0, 1, 1]], dtype), np.eye(3)
    assert riata.encode(X, D, 0.1).codes.dtype == np.float64
    np.testing.assert_array_equal(riata.encode(X, D, 0.1).codes, riata.encode(X.astype(float), D, 0.1).codes)
    np.testing.assert_array_equal(
        riata.encode(X.tolist(), D.tolist(), 0.1).codes, riata.encode(X, D, 0.1).codes
    )


def variants(A):
    """The same numbers in other clothes."""
    read_only = A.copy()
    read_only.setflags(write=False)
    wide = np.zeros((2 * len(A), 2 * A.shape[1]), A.dtype)
    wide[::2, ::2] = A
    odd = np.frombuffer(b"x" + A.tobytes(), dtype=A.dtype, offset=1).reshape(A.shape)
    return {
        "read-only": read_only,
        "Fortran order": np.asfortranarray(A),
        "strided": wide[::2, ::2],
        "reversed": A[::-1].copy()[::-1],
        "big-endian": A.astype(A.dtype.newbyteorder(">")),
        "unaligned": odd,
    }


@pytest.mark.parametrize(
    "variant", ["read-only", "Fortran order", "strided", "reversed", "big-endian", "unaligned"]
)
def test_any_layout_is_accepted(problem, variant):
    X, D = problem.signals, problem.dictionary
    expected = riata.encode(X, D, 0.1).codes
    np.testing.assert_array_equal(
        riata.encode(variants(X)[variant], variants(D)[variant], 0.1).codes, expected
    )


def test_a_memory_mapped_array_is_accepted(problem, tmp_path):
    np.save(tmp_path / "X.npy", problem.signals)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        riata.encode(X, problem.dictionary, 0.1).codes,
        riata.encode(problem.signals, problem.dictionary, 0.1).codes,
    )


def test_results_own_their_memory(problem):
    codes = riata.encode(problem.signals, problem.dictionary, 0.1).codes
    assert codes.flags.c_contiguous and codes.flags.writeable and not codes.flags.owndata
    copy = codes.copy()
    gc.collect()
    riata.encode(problem.signals, problem.dictionary, 0.5)
    np.testing.assert_array_equal(codes, copy)


COPY_TEST = """
import os, sys
import numpy as np
import riata

def anonymous_mb():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024

rng = np.random.default_rng(0)
X = rng.standard_normal((400_000, 64), dtype=np.float32)  # 98 MB
D = riata.datasets.gaussian_dictionary(64, 4, dtype=np.float32)
riata.reg_max(X[:1000], D)
before, peak = anonymous_mb(), 0.0
if sys.argv[1] == "copied":
    X = np.asfortranarray(X)
    before = anonymous_mb()
import threading
done = threading.Event()
def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, anonymous_mb())
watcher = threading.Thread(target=watch)
watcher.start()
riata.reg_max(X, D)
done.set()
watcher.join()
print(peak - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer keeps freed memory")
def test_a_c_ordered_array_is_read_in_place_while_other_threads_run():
    grown = {
        kind: float(
            subprocess.run(
                [sys.executable, "-c", COPY_TEST, kind], capture_output=True, text=True, check=True
            ).stdout
        )
        for kind in ("in place", "copied")
    }
    assert grown["in place"] < 20, grown  # the watcher saw it at all because the GIL was free
    assert grown["copied"] > 80, grown
