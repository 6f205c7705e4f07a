"""Ctrl-C and callbacks stop a computation soon, and learning keeps what it has."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import riata

START = (
    "import numpy as np, riata; X = np.random.default_rng(0).standard_normal((4000, 64)); "
    "D = riata.datasets.gaussian_dictionary(64, 256); print('go', flush=True); "
)
LONG = {
    "encode": "riata.encode(np.tile(X, (20, 1)), D, '0.001max', method='ista', tol=0, max_iter=1000)",
    "unrolled_gradient": "riata.unrolled_gradient(np.tile(X, (100, 1)), D, 0.1, 300, wrt=())",
    "learn_dictionary": "r = riata.learn_dictionary(X, 256, '0.1max', n_layers=30, max_iter=100000, tol=0); "
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


SOON = 0.5  # seconds in which a call that was interrupted has left


def random_problem(n_features, n_atoms, n_signals, seed=0):
    random = np.random.default_rng(seed)
    D = random.standard_normal((n_atoms, n_features))
    return random.standard_normal((n_signals, n_features)), D / np.linalg.norm(D, axis=1, keepdims=True)


def long_calls():
    """Calls that last for seconds at least, in one tile or signal wherever there are any."""
    X, D = random_problem(500, 1500, 8)
    small_X, small_D = random_problem(10, 20, 3)
    many, most, square = np.tile(X, (60, 1)), np.tile(X, (5000, 1)), random_problem(1500, 1500, 1)[1]
    net = riata.Network("lista", D, 2)
    codes = np.random.default_rng(1).standard_normal((8, 1500))
    picture = np.random.default_rng(2).uniform(0, 255, (400, 400))
    forever = {"tol": 0, "max_iter": 10**8}
    for method in ("ista", "fista", "oista", "backtracking", "cd", "lars"):
        yield f"encode {method}", lambda method=method: riata.encode(X, D, "1e-6max", method=method, **forever)
    yield "encode group", lambda: riata.encode(X, D, "1e-6max", penalty="group", groups=np.arange(1500) // 2, **forever)
    yield "encode of many", lambda: riata.encode(many, D, "1e-6max", method="fista", n_threads=2, **forever)
    yield "lasso_path", lambda: riata.lasso_path(X[0], D)
    yield "omp", lambda: riata.omp(many, D, n_nonzero=500)
    yield "joint_encode", lambda: riata.joint_encode(X, D, "0.001max", **forever)
    yield "unrolled_encode", lambda: riata.unrolled_encode(X, D, 0.01, 100_000)
    yield "unrolled_encode of little", lambda: riata.unrolled_encode(small_X, small_D, 1e-9, 1_000_000)
    yield "unrolled_gradient", lambda: riata.unrolled_gradient(many, D, 0.01, 300)
    yield "UnrolledEncoder", lambda: riata.UnrolledEncoder(D, 1_000_000).encode(X[0], 0.01)
    yield "code_jacobian", lambda: riata.code_jacobian(X[0], D, 0.01, 10_000, 0)
    yield "unrolled_stability", lambda: riata.unrolled_stability(X, D, 0.01, 100)
    yield "implicit_gradient", lambda: riata.implicit_gradient(many, D, "0.01max", np.tile(codes, (60, 1)))
    yield "hypergradient", lambda: riata.hypergradient(many, D, "0.01max", X_held_out=many)
    yield "analytic_weight", lambda: riata.analytic_weight(square)
    yield "a network of the weight", lambda: riata.Network("alista", square, 2)
    yield "Network.encode", lambda: net.encode(most, 0.01)
    yield "reg_max", lambda: riata.reg_max(most, D)
    yield "recovery_score", lambda: riata.recovery_score(square, square[::-1])
    yield "denoise", lambda: riata.denoise(picture, 25)
    yield "planted", lambda: riata.datasets.planted(n_features=500, n_atoms=1500, n_signals=200_000, density=0.1)
    yield "gaussian_dictionary", lambda: riata.datasets.gaussian_dictionary(5_000, 20_000)


CALLS = dict(long_calls())


def seconds_to_leave(call, after=0.25):
    """Sends SIGINT to this process while call() runs: the seconds from there to its KeyboardInterrupt."""
    sent, start = [], time.monotonic()

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer, before = threading.Timer(after, send), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer.start()
        try:
            call()
        except KeyboardInterrupt:
            return time.monotonic() - (start + after)  # not from sent[0]: a call that keeps the GIL delays that, too
        assert not sent, "the signal was not heard"
        return 0.0  # it ended before the signal came
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", CALLS)
def test_every_long_call_leaves_within_half_a_second(name):
    assert seconds_to_leave(CALLS[name]) < 4 * SOON  # other tests run beside this one


def test_what_learns_returns_what_it_has_within_half_a_second():
    X, D = random_problem(400, 800, 600)
    net = riata.Network("step", D, 100)
    for learn in (
        lambda: riata.learn_dictionary(X, 800, 0.01, n_layers=3000, tol=0),
        lambda: net.fit(X, "0.01max", max_iter=10**6),
    ):
        sent = []
        timer = threading.Timer(0.4, lambda sent=sent: (sent.append(time.monotonic()), os.kill(os.getpid(), signal.SIGINT)))
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            timer.start()
            assert learn().status == "interrupted"
            assert time.monotonic() - sent[0] < 4 * SOON
        finally:
            timer.cancel()
            signal.signal(signal.SIGINT, before)
