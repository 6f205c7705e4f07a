"""A run that is killed or interrupted at any moment and then resumed ends with the same bits as one that never was."""

import json
import os
import signal
import time

import numpy as np
import pytest

N = 120 if os.environ.get("RIATA_LONG_TESTS") else 50
METHODS = {
    "unrolled": ("--learn-steps", "--max-iter", N),
    "alternating_exact": ("--method", "alternating_exact", "--max-iter", 120),
    "online": ("--method", "online", "--batch-size", 20, "--max-iter", 120),
    "stochastic": ("--method", "stochastic", "--batch-size", 20, "--max-iter", 60),
    "pudle_ls": ("--method", "pudle_ls", "--threshold", "decay", "--batch-size", 20, "--max-iter", 300),
    "noodl": ("--method", "noodl", "--batch-size", 100, "--max-iter", 300),
    "admm": ("--method", "admm", "--max-iter", 200),
    "ksvd": ("--method", "ksvd", "--n-nonzero", 5, "--batch-size", 100, "--max-iter", 120),
}


def command(output, method):
    reg = () if method == "ksvd" else ("--reg", 0.1)
    return ("learn", "X.npy", "-o", output, "--n-atoms", 40, *reg, "--tol", 0, "--seed", 3, "--n-threads", 2, *METHODS[method])


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
    endless = ("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 40, "--reg", 0.1, "--tol", 0, "--max-iter", 1000000,
               "--method", "alternating_exact", "--checkpoint", "c.safetensors", "--checkpoint-every", 1)
    run = riata.start(*endless)
    while not (tmp_path / "c.safetensors").exists():
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    tensors, metadata = safetensors.read(tmp_path / "m.safetensors")
    assert tensors["dictionary"].shape == (40, 16) and metadata["status"] == "interrupted"
    assert errors == (f"riata learn: interrupted after {counted(metadata['n_iter'])}; the best model so far is in "
                      "m.safetensors (--resume continues)\n")
    assert {f.name for f in tmp_path.iterdir()} == {"X.npy", "m.safetensors", "c.safetensors"}


def test_a_finished_run_resumes_to_itself_and_more_iterations_may_follow(riata, tmp_path, signals):
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 20, "--reg", 0.1, "--tol", 0)
    kept = ("--checkpoint", "c.safetensors", "--resume")
    riata(*learn, "--max-iter", 12)
    whole = (tmp_path / "m.safetensors").read_bytes()
    riata(*learn, *kept, "--max-iter", 5)
    for _ in range(2):
        riata(*learn, *kept, "--max-iter", 12)
        assert (tmp_path / "m.safetensors").read_bytes() == whole


def test_a_run_that_ended_goes_on_with_a_smaller_tolerance(riata, tmp_path, signals):
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 20, "--reg", 0.1)
    whole = riata.json(*learn, "--tol", 1e-5)
    bits = (tmp_path / "m.safetensors").read_bytes()
    kept = ("--checkpoint", "c.safetensors", "--resume")
    first = riata.json(*learn, *kept, "--tol", 1e-2)
    assert first["status"] in ("converged", "stalled") and first["n_iter"] < whole["n_iter"]
    riata(*learn, *kept, "--tol", 1e-5)
    assert (tmp_path / "m.safetensors").read_bytes() == bits


def test_a_larger_tolerance_does_not_change_what_a_run_ended_at(riata, tmp_path, signals):
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 20, "--reg", 0.1, "--checkpoint", "c.safetensors", "--resume")
    riata(*learn, "--tol", 1e-2)
    bits = (tmp_path / "m.safetensors").read_bytes()
    for tol in (1e-1, 1e-2):
        riata(*learn, "--tol", tol)
        assert (tmp_path / "m.safetensors").read_bytes() == bits


@pytest.mark.parametrize("max_iter", [300, None], ids=["ended", "in its second phase"])
def test_a_smaller_tolerance_is_refused_where_the_first_phase_is_over(riata, tmp_path, signals, max_iter):
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 20, "--reg", 0.1, "--learn-steps",
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
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 20, "--reg", 0.1, "--tol", 0.1, "--checkpoint", "c.safetensors")
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


LEARN = ("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 20, "--reg", 0.1, "--tol", 0, "--max-iter", 3,
         "--checkpoint", "c.safetensors")
TRAIN = ("train", "--kind", "coupled", "--n-layers", 3, "--dictionary", "D.npy", "--data", "X.npy", "--reg", 0.1,
         "-o", "m.safetensors", "--max-iter", 3, "--checkpoint", "c.safetensors")
OTHER = {"learn": (*LEARN, "--seed", 5), "train": (*TRAIN, "--loss", "semi")}
DIFFERENCE = {"learn": "seed = 0, this run has 5", "train": 'loss = "unsupervised", this run has "semi"'}


@pytest.mark.parametrize("command", [LEARN, TRAIN], ids=["learn", "train"])
def test_another_runs_checkpoint_is_overwritten_only_when_told(riata, tmp_path, signals, planted, command):
    np.save(tmp_path / "D.npy", planted[1])
    other, difference = OTHER[command[0]], DIFFERENCE[command[0]]
    riata(*command)
    checkpoint, model = tmp_path / "c.safetensors", tmp_path / "m.safetensors"
    before = checkpoint.read_bytes(), model.read_bytes()
    sentence = f"riata {command[0]}: checkpoint c.safetensors belongs to another run: it was made with {difference}"
    for more, end in {(): "; overwrite_checkpoint puts this one in its place", ("--resume",): ""}.items():
        done = riata.run(*other, *more)
        assert (done.returncode, done.stderr) == (2, f"{sentence}{end}\n")
        assert (checkpoint.read_bytes(), model.read_bytes()) == before
    riata(*other, "--overwrite-checkpoint")
    assert checkpoint.read_bytes() != before[0]
    done = riata.run(*command, "--resume")
    assert done.returncode == 2 and "belongs to another run" in done.stderr


def test_the_same_run_may_begin_anew_on_its_checkpoint(riata, tmp_path, signals):
    riata(*LEARN)
    model = (tmp_path / "m.safetensors").read_bytes()
    riata(*LEARN)
    assert (tmp_path / "m.safetensors").read_bytes() == model


@pytest.mark.parametrize(
    "options, sentence",
    [
        (("--overwrite-checkpoint", "--resume"), "overwrite_checkpoint begins anew where resume goes on; leave out one of them"),
        (("--overwrite-checkpoint", "--resume-inexact"),
         "overwrite_checkpoint begins anew where resume goes on; leave out one of them"),
    ],
)
def test_overwriting_and_resuming_exclude_each_other(riata, signals, options, sentence):
    done = riata.run(*LEARN, *options)
    assert (done.returncode, done.stderr) == (2, f"riata learn: {sentence}\n")


def test_two_runs_on_one_checkpoint_one_is_refused_and_nothing_is_lost(riata, tmp_path, signals):
    endless = ("learn", "X.npy", "-o", "first.safetensors", "--n-atoms", 40, "--reg", 0.1, "--tol", 0, "--max-iter", 10**8,
               "--checkpoint", "c.safetensors", "--checkpoint-every", 1, "--method", "alternating_exact")
    first = riata.start(*endless)
    while not (tmp_path / "c.safetensors").exists():
        assert first.poll() is None
        time.sleep(0.01)
    (tmp_path / "link.safetensors").symlink_to("c.safetensors")
    for path in ("c.safetensors", tmp_path / "c.safetensors", "link.safetensors"):
        for more in ((), ("--resume",), ("--overwrite-checkpoint",)):
            done = riata.run(*LEARN[:-1], path, *more)
            assert (done.returncode, done.stderr) == (1, f"riata learn: {path} is in use by another run\n")
    first.kill()
    first.communicate()
    assert {f.name for f in tmp_path.iterdir() if not f.name.startswith(".riata")} == {"X.npy", "c.safetensors", "link.safetensors"}
    resumed = riata.start(*endless, "--resume")
    time.sleep(0.3)
    resumed.send_signal(signal.SIGINT)
    assert resumed.wait(timeout=60) == 130
    assert riata.run(*LEARN, "--overwrite-checkpoint").returncode == 0


def test_a_run_that_is_refused_leaves_no_checkpoint_and_an_empty_file_is_none(riata, tmp_path, signals):
    np.save(tmp_path / "large.npy", 1e200 * np.load(tmp_path / "X.npy"))
    refused = ("learn", "large.npy", *LEARN[2:])
    for more in ((), ("--resume",)):
        assert riata.run(*refused, *more).returncode == 2
        assert {f.name for f in tmp_path.iterdir()} == {"X.npy", "large.npy"}
    (tmp_path / "c.safetensors").touch()
    riata(*LEARN, "--resume")
    assert (tmp_path / "c.safetensors").stat().st_size > 0


KERNELS = {"RIATA_SIMD": "baseline", "OPENBLAS_CORETYPE": "Nehalem"}


@pytest.mark.parametrize("variable", KERNELS)
@pytest.mark.parametrize("command", [LEARN, TRAIN], ids=["learn", "train"])
def test_a_resumed_run_takes_up_the_kernels_of_its_checkpoint(riata, tmp_path, signals, planted, command, variable):
    np.save(tmp_path / "D.npy", planted[1])
    longer = [12 if word == 3 and command[i - 1] == "--max-iter" else word for i, word in enumerate(command)]
    cut, model = tmp_path / "c.safetensors", tmp_path / "m.safetensors"
    riata.environment = {variable: KERNELS[variable]}
    riata(*longer)
    whole = model.read_bytes()
    cut.unlink()
    riata(*command)
    half = cut.read_bytes()
    for others in ({}, {"OPENBLAS_CORETYPE": "Sandybridge"}, {"RIATA_SIMD": "avx2"}):
        riata.environment = others
        cut.write_bytes(half)
        riata(*longer, "--resume")
        assert model.read_bytes() == whole, others


@pytest.mark.parametrize("key, value, said", [
    ("simd", "avx1024", "has the bits of the instruction set 'avx1024', which this processor does not offer"),
    ("blas", "Vax", "has the bits of the BLAS kernels 'Vax', this process those of "),
])
def test_kernels_that_are_nowhere_are_refused_unless_the_resume_is_inexact(riata, tmp_path, signals, safetensors, key, value, said):
    riata(*LEARN)
    tensors, metadata = safetensors.read(tmp_path / "c.safetensors")
    fingerprint = json.loads(metadata["fingerprint"])
    assert fingerprint[key]
    metadata["fingerprint"] = json.dumps(fingerprint | {key: value})
    del metadata["digest"]
    safetensors.write(tmp_path / "c.safetensors", tensors, metadata)
    done = riata.run(*LEARN, "--resume")
    assert done.returncode == 2 and done.stderr.startswith(f"riata learn: checkpoint c.safetensors {said}")
    assert done.stderr.count("\n") == 1 and "resume_inexact goes on" in done.stderr
    riata(*LEARN, "--resume-inexact")
    riata(*LEARN, "--resume")  # it is a checkpoint of these kernels now


ENCODE = ("encode", "D.npy", "X.npy", "-o", "Z.npy", "--reg", 0.1)


@pytest.mark.parametrize("command", [LEARN, TRAIN, ENCODE, ("info",), ("info", "X.npy"), ("denoise", "X.png", "-o", "Y.png")],
                         ids=lambda command: " ".join(command[:2]))
@pytest.mark.parametrize("value", ["AVX2", "sse2", "512", " "])
def test_an_unknown_instruction_set_is_refused(riata, tmp_path, signals, planted, command, value):
    np.save(tmp_path / "D.npy", planted[1])
    riata.environment = {"RIATA_SIMD": value}
    done = riata.run(*command)
    assert (done.returncode, done.stderr) == (
        2, f"riata {command[0]}: the environment variable RIATA_SIMD is '{value}', must be 'baseline', 'avx2' or 'avx512'\n")
    assert {f.name for f in tmp_path.iterdir()} == {"X.npy", "D.npy"}
