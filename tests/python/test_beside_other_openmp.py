"""Beside PyTorch, whose OpenMP runtime is another copy of libgomp and which shows its names to all libraries loaded later."""

import os
import shutil
import subprocess
import sys

import pytest

GUEST = """
import ctypes, os, sys
import numpy as np
import riata

def show_other():  # as `import torch` does
    ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)

if sys.argv[2] == "before the first product":
    show_other()
rng = np.random.default_rng(0)
D = rng.standard_normal((300, 300))
D /= np.linalg.norm(D, axis=1, keepdims=True)
X = rng.standard_normal((40, 300))
def encode(n_threads):
    # The codes, and the number of threads that were started.
    n_before = len(os.listdir("/proc/self/task"))
    codes = riata.unrolled_encode(X, D, 0.1, n_layers=3, n_threads=n_threads)
    return codes, len(os.listdir("/proc/self/task")) - n_before

kept, n_new = encode(1)
assert n_new == 0, f"{n_new} threads for the first product"
if sys.argv[2] == "after it":
    show_other()
for n_threads in (1, 2):
    codes, n_new = encode(n_threads)
    assert n_new < n_threads, f"{n_new} threads more for {n_threads}"
    assert np.array_equal(codes, kept), "other codes"
print(sorted({line.split()[-1] for line in open("/proc/self/maps") if "gomp" in line}))
"""


def libgomp():
    found = subprocess.run(["cc", "-print-file-name=libgomp.so.1"], capture_output=True, text=True).stdout.strip()
    return found if os.path.isabs(found) else None


@pytest.mark.parametrize("when", ["before the first product", "after it"])
def test_products_stay_on_one_thread(tmp_path, when):
    if libgomp() is None:
        pytest.skip("no libgomp.so.1 to copy")
    other = shutil.copy(libgomp(), tmp_path / "libgomp-other.so.1")
    done = subprocess.run([sys.executable, "-c", GUEST, other, when], capture_output=True, text=True,
                          env=os.environ | {"OMP_NUM_THREADS": "4"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(other) in done.stdout
