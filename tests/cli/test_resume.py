"""A run that is killed or interrupted at any moment and then resumed ends with the same bits as one that never was."""

import signal
import time

import numpy as np
import pytest

METHODS = {
    "unrolled": ("--learn-steps", "--max-iter", 120),
    "alternating-exact": ("--method", "alternating-exact", "--max-iter", 120),
}


def command(output, method):
    return ("learn", "X.npy", "-o", output, "--atoms", 40, "--reg", 0.1, "--tol", 0, "--seed", 3, "--threads", 2,
            *METHODS[method])


def counted(iterations):
    return f"{iterations} iteration" + "s" * (int(iterations) != 1)


@pytest.fixture
def signals(tmp_path, planted):
    np.save(tmp_path / "X.npy", planted[0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_five_interruptions_change_nothing(riata, tmp_path, signals, how, method):
    start = time.monotonic()
    riata(*command("whole.safetensors", method))
    duration = time.monotonic() - start

    # Killed at random fractions of the whole run's time; what was kept shortens the next one.
    resumed = (*command("parts.safetensors", method), "--checkpoint", "c.safetensors", "--checkpoint-every", 1, "--resume")
    stopped = riata.interrupt_five_times(resumed, how, duration)
    riata(*resumed)
    assert stopped >= 2, f"only {stopped} interruptions hit a run of {duration:.2f} s"
    assert (tmp_path / "parts.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_ctrl_c_leaves_the_best_model_so_far(riata, tmp_path, signals, safetensors):
    endless = ("learn", "X.npy", "-o", "m.safetensors", "--atoms", 40, "--reg", 0.1, "--tol", 0, "--max-iter", 1000000,
               "--method", "alternating-exact", "--checkpoint", "c.safetensors", "--checkpoint-every", 1)
    run = riata.start(*endless)
    while not (tmp_path / "c.safetensors").exists():
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    tensors, metadata = safetensors.read(tmp_path / "m.safetensors")
    assert tensors["dictionary"].shape == (40, 16) and metadata["status"] == "interrupted"
    assert errors == (f"riata learn: interrupted after {counted(metadata['iterations'])}; the best model so far is in "
                      "m.safetensors (--resume continues)\n")
    assert {f.name for f in tmp_path.iterdir()} == {"X.npy", "m.safetensors", "c.safetensors"}


def test_a_finished_run_resumes_to_itself_and_more_iterations_may_follow(riata, tmp_path, signals):
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--atoms", 20, "--reg", 0.1, "--tol", 0)
    kept = ("--checkpoint", "c.safetensors", "--resume")
    riata(*learn, "--max-iter", 12)
    whole = (tmp_path / "m.safetensors").read_bytes()
    riata(*learn, *kept, "--max-iter", 5)
    for _ in range(2):
        riata(*learn, *kept, "--max-iter", 12)
        assert (tmp_path / "m.safetensors").read_bytes() == whole


def test_a_run_that_ended_goes_on_with_a_smaller_tolerance(riata, tmp_path, signals):
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--atoms", 20, "--reg", 0.1)
    whole = riata.json(*learn, "--tol", 1e-5)
    bits = (tmp_path / "m.safetensors").read_bytes()
    kept = ("--checkpoint", "c.safetensors", "--resume")
    first = riata.json(*learn, *kept, "--tol", 1e-2)
    assert first["status"] in ("converged", "stalled") and first["iterations"] < whole["iterations"]
    riata(*learn, *kept, "--tol", 1e-5)
    assert (tmp_path / "m.safetensors").read_bytes() == bits


def test_a_larger_tolerance_does_not_change_what_a_run_ended_at(riata, tmp_path, signals):
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--atoms", 20, "--reg", 0.1, "--checkpoint", "c.safetensors", "--resume")
    riata(*learn, "--tol", 1e-2)
    bits = (tmp_path / "m.safetensors").read_bytes()
    for tol in (1e-1, 1e-2):
        riata(*learn, "--tol", tol)
        assert (tmp_path / "m.safetensors").read_bytes() == bits


@pytest.mark.parametrize("max_iter", [300, None], ids=["ended", "in its second phase"])
def test_a_smaller_tolerance_is_refused_where_the_first_phase_is_over(riata, tmp_path, signals, max_iter):
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--atoms", 20, "--reg", 0.1, "--learn-steps",
             "--checkpoint", "c.safetensors", "--resume", "--trace", "t.csv")
    riata(*learn, "--tol", 1e-2)
    if max_iter is None:  # up to the first iteration of the second phase
        phases = np.loadtxt(tmp_path / "t.csv", delimiter=",", skiprows=1)[:, 1]
        max_iter = int(np.sum(phases == 0)) + 1
        (tmp_path / "c.safetensors").unlink()
        riata(*learn, "--tol", 1e-2, "--max-iter", max_iter)
    before = (tmp_path / "c.safetensors").read_bytes()
    done = riata.run(*learn, "--tol", 1e-3)
    assert (done.returncode, done.stderr) == (
        2, "riata learn: checkpoint c.safetensors: a phase ended at tol = 0.01, this run has 0.001; with learn_steps a "
           "smaller tol needs a new run\n")
    assert (tmp_path / "c.safetensors").read_bytes() == before
    riata(*learn, "--tol", 1e-2)


DAMAGES = {
    "of another length": {"history.step": np.ones(99)},
    "no phases": {"history.phase": None},
    "phases of another type": {"history.phase": np.zeros(3)},
    "no values": {"values": np.zeros(2)},
    "no tolerance": {"tol": np.zeros(0)},
}
SENTENCES = {"no values": "tensor 'values' is damaged", "no tolerance": "tensor 'tol' is damaged"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused(riata, tmp_path, signals, safetensors, damage):
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--atoms", 20, "--reg", 0.1, "--tol", 0.1, "--checkpoint", "c.safetensors")
    riata(*learn)
    tensors, metadata = safetensors.read(tmp_path / "c.safetensors")
    assert tensors["finished"] == 1
    tensors = {name: array for name, array in (tensors | DAMAGES[damage]).items() if array is not None}
    safetensors.write(tmp_path / "c.safetensors", tensors, metadata)
    before = (tmp_path / "c.safetensors").read_bytes()
    done = riata.run(*learn, "--resume")
    sentence = SENTENCES.get(damage, "the history is damaged")
    assert (done.returncode, done.stderr) == (2, f"riata learn: checkpoint c.safetensors: {sentence}\n")
    assert (tmp_path / "c.safetensors").read_bytes() == before
