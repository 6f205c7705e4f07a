"""Ctrl-C and callbacks stop a computation soon, and learning keeps what it has."""

import signal
import subprocess
import sys
import time

import pytest

START = (
    "import numpy as np, riata; X = np.random.default_rng(0).standard_normal((4000, 64)); "
    "D = riata.datasets.gaussian_dictionary(64, 256); print('go', flush=True); "
)
LONG = {
    "encode": "riata.encode(np.tile(X, (20, 1)), D, '0.001max', method='ista', tol=0, max_iter=1000)",
    "unrolled_gradient": "riata.unrolled_gradient(np.tile(X, (100, 1)), D, 0.1, 300, wrt=())",
    "learn_dictionary": "r = riata.learn_dictionary(X, 256, '0.1max', layers=30, max_iter=100000, tol=0); "
    "print(r.status, len(r.history.value), r.dictionary.shape, flush=True)",
}


@pytest.fixture(autouse=True)
def no_process_stays(monkeypatch):
    """A test that fails leaves no computation behind."""
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **options: started.append(popen(*args, **options)) or started[-1])
    yield
    for process in started:
        process.kill()
        process.wait()


def interrupted(statement, after=1.0, setup=""):
    """Runs the statement in a process, sends it SIGINT: (stdout, stderr, seconds until it ended)."""
    process = subprocess.Popen(
        [sys.executable, "-c", setup + START + statement],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "go\n"
    time.sleep(after)
    assert process.poll() is None, process.stderr.read()
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return out, err, time.monotonic() - sent


@pytest.mark.parametrize("name", ["encode", "unrolled_gradient"])
def test_ctrl_c_raises_keyboard_interrupt(name):
    _, err, seconds = interrupted(LONG[name])
    assert err.rstrip().endswith("KeyboardInterrupt"), err
    assert seconds < 60  # it ended by itself; how soon depends on the machine


def test_ctrl_c_ends_learning_with_the_best_dictionary_so_far():
    out, err, seconds = interrupted(LONG["learn_dictionary"], after=2.0)
    status, iterations, *shape = out.split(maxsplit=2)
    assert status == "interrupted" and shape == ["(256, 64)\n"], out + err
    assert f"interrupted after {iterations} iteration" in err
    assert seconds < 60  # it ended by itself; how soon depends on the machine


def test_a_second_ctrl_c_is_not_swallowed():
    statement = LONG["learn_dictionary"] + "; import time; time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", START + statement], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "go\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline().startswith("interrupted")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert err.rstrip().endswith("KeyboardInterrupt"), err


def test_what_a_signal_handler_raises_comes_through():
    statement = (
        "import signal\ndef handler(*_): raise OSError('enough')\nsignal.signal(signal.SIGINT, handler)\n"
        "print('ready', flush=True)\n" + LONG["encode"]
    )
    process = subprocess.Popen(
        [sys.executable, "-c", START + "\n" + statement],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "go\n" and process.stdout.readline() == "ready\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert err.rstrip().endswith("OSError: enough"), err


def test_an_estimator_interrupted_before_its_first_iteration_raises_and_can_be_fitted_again():
    statement = (
        "\n"
        "learner = riata.DictionaryLearning(256, alpha=0.1, max_iter=3)\n"
        "try: learner.fit(np.tile(X, (150, 1)))\n"
        "except KeyboardInterrupt: print('interrupted', hasattr(learner, 'components_'))\n"
        "print(learner.fit(X[:200]).components_.shape, flush=True)"
    )
    out, err, _ = interrupted(statement, after=0.5, setup="import riata; riata.DictionaryLearning; ")
    assert out.splitlines() == ["interrupted False", "(256, 64)"], out + err
