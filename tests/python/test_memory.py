"""The memory of a gradient does not grow with the number of signals."""

import os
import subprocess
import sys

import pytest

CODE = """
import numpy as np
import riata

def megabytes(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) / 1024

X = np.random.default_rng(0).standard_normal((50_000, 64), dtype=np.float32)
D = riata.datasets.gaussian_dictionary(64, 256, dtype=np.float32)
open("/proc/self/clear_refs", "w").write("5")  # VmHWM starts again from what is resident now
before = megabytes("VmRSS")
riata.unrolled_gradient(X, D, "0.1max", 30, return_codes=False)
print(megabytes("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer keeps freed memory")
def test_a_gradient_without_codes_grows_by_less_than_60_mb():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    if "clear_refs" in done.stderr:
        pytest.skip("/proc/self/clear_refs cannot be written here")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 60
