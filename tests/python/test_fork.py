"""A process forked after threads have run computes on one thread, and ends."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import riata

SEED = 3


def problem():
    random = np.random.default_rng(SEED)
    D = random.standard_normal((60, 20))
    return random.standard_normal((600, 20)), D / np.linalg.norm(D, axis=1, keepdims=True)


def codes(_=None):
    X, D = problem()
    return riata.encode(X, D, 0.1, n_threads=2).codes


def gradient(_=None):
    X, D = problem()
    return riata.unrolled_gradient(X, D, 0.1, 10, n_threads=2).dictionary


def of_children(work, n=3):
    """What `work` returns in each of n children of multiprocessing's fork context."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map_async(work, range(n)).get(timeout=20)


@pytest.mark.parametrize("work", [codes, gradient])
def test_a_pool_of_forked_workers_gives_the_same_bits(work):
    here = work()  # with threads
    for there in of_children(work):
        assert np.array_equal(here, there)
    assert np.array_equal(work(), here)


def run_in_a_fork(work):
    """The exit code of a raw fork that runs work(), or None after 20 s."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = work()
        finally:
            os._exit(code)
    for _ in range(2000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def test_a_raw_fork_and_its_own_fork_compute():
    here = codes()

    def same():
        return 0 if np.array_equal(codes(), here) else 3

    assert run_in_a_fork(same) == 0
    assert run_in_a_fork(lambda: run_in_a_fork(same)) == 0


def test_a_child_that_executes_a_program_is_free():
    codes()
    program = "import riata, numpy; riata.encode(numpy.ones((600, 4)), numpy.eye(4), .1, n_threads=2); print('done')"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60).stdout == "done\n"


def test_joblibs_multiprocessing_backend():
    joblib = pytest.importorskip("joblib")
    here = codes()
    with joblib.parallel_backend("multiprocessing", n_jobs=2):
        for there in joblib.Parallel(timeout=20)(joblib.delayed(codes)(i) for i in range(3)):
            assert np.array_equal(here, there)


def test_forks_beside_a_first_product_compute():
    """OpenBLAS is loaded in a thread of its own while the main thread forks: the children would wait for that thread."""
    program = f"""
import os, sys, threading, time
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_fork import codes, problem, run_in_a_fork, time
problem()  # imports all it needs, which a fork must not meet half done
first = threading.Thread(target=codes)
first.start()
ends = []
while first.is_alive() and len(ends) < 50:
    time.sleep(0.001)
    ends.append(run_in_a_fork(lambda: 0 if len(codes()) else 3))
print(set(ends) <= {{0}} and len(ends))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert int(ended.stdout) > 0, ended
