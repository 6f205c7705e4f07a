"""riata train and riata infer: what they write, beside Python's Network, bit for bit."""

import csv
import os
import shutil
import signal
import time

import numpy as np
import pytest
from PIL import Image

import riata as python

GROUPS = np.arange(24) // 3
KINDS = {
    "lista": (("--threshold", "atom"), {"threshold": "atom"}),
    "coupled": (("--support-selection", 5, 30), {"support_selection": (5, 30)}),
    "tied": ((), {}),
    "alista": ((), {}),
    "step": ((), {}),
    "hessian": ((), {}),
    "first_step": ((), {}),
    "facnet": ((), {}),
    "iht": ((), {}),
    "lamp": ((), {}),
    "group": (("--groups", "groups.npy"), {"groups": GROUPS}),
}


@pytest.fixture(autouse=True)
def files(tmp_path, planted):
    X, D = planted
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "D.npy", D)
    np.save(tmp_path / "groups.npy", GROUPS)
    for name, array in (("X32", X), ("D32", D)):
        np.save(tmp_path / f"{name}.npy", array.astype(np.float32))


def train(kind="step", layers=4, reg="0.1", output="net.safetensors"):
    return ("train", "--kind", kind, "--n-layers", layers, "--reg", reg, "--dictionary", "D.npy", "--data", "X.npy", "-o", output)


def soft(V, threshold):
    return np.sign(V) * np.maximum(np.abs(V) - threshold, 0)


def loss(X, D, Z, reg):
    return np.mean(0.5 * np.sum((X - Z @ D) ** 2, axis=1) + reg * np.abs(Z).sum(axis=1))


def test_trains_a_step_network_and_says_so(riata, tmp_path, planted, safetensors):
    X, D = planted
    report = riata.json(*train(), "--max-iter", 30, "--trace", "t.csv")
    tensors, metadata = safetensors.read(tmp_path / "net.safetensors")
    steps = [tensors[f"layer.{t}.step"].item() for t in range(4)]
    Z, ista = np.zeros((len(X), 24)), np.zeros((len(X), 24))
    L = np.linalg.norm(D, 2) ** 2
    for step in steps:
        Z = soft(Z - step * (Z @ D - X) @ D.T, step * 0.1)
        ista = soft(ista - (ista @ D - X) @ D.T / L, 0.1 / L)
    assert report["value"] == pytest.approx(loss(X, D, Z, 0.1), rel=1e-12)
    assert report["ista"] == report["initial_value"] == pytest.approx(loss(X, D, ista, 0.1), rel=1e-12)
    assert report["optimum"] < report["value"] < report["ista"]
    assert report["n_iter"] == 30 and report["status"] == "max_iter" and report["dtype"] == "float64"
    expected = {"kind": "network", "network": "step", "n_layers": "4", "reg": "0.1", "loss": "unsupervised", "mode": "oneshot",
                "optimizer": "backtracking", "n_signals": "600", "n_iter": "30", "status": "max_iter", "centred": "false"}
    assert expected.items() <= metadata.items() and float(metadata["value"]) == report["value"]
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["iteration", "phase", "value", "step", "seconds"] and len(rows) == 30
    assert all(float(a["value"]) > float(b["value"]) for a, b in zip(rows, rows[1:]))
    report = riata.json("infer", "net.safetensors", "X.npy", "-o", "Z.npz")
    assert report["objective"] == pytest.approx(loss(X, D, Z, 0.1), rel=1e-12) and report["n_layers"] == 4
    with np.load(tmp_path / "Z.npz") as arrays:
        np.testing.assert_allclose(arrays["codes"], Z, atol=1e-12)
        assert arrays["gap"].shape == (600,) and (arrays["gap"] >= 0).all()
        assert arrays["objective"].mean() == pytest.approx(report["objective"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["", "32"])
def test_command_and_python_agree_bit_for_bit(riata, tmp_path, kind, end):
    options, arguments = KINDS[kind]
    X, D = np.load(tmp_path / f"X{end}.npy"), np.load(tmp_path / f"D{end}.npy")
    riata("train", "--kind", kind, "--n-layers", 3, "--dictionary", f"D{end}.npy", "--data", f"X{end}.npy", "--reg", "0.5*max",
          "--max-iter", 4, "-o", "net.safetensors", *options)
    mine = python.Network(kind, D, 3, **arguments)
    mine.fit(X, "0.5*max", max_iter=4)
    theirs = python.load_network(tmp_path / "net.safetensors")
    assert theirs.reg == mine.reg == python.Network(kind, D, 3, **arguments).fit(X, "0.5max", max_iter=1).reg
    for name, array in mine.parameters().items():
        assert theirs.parameters()[name].tobytes() == array.tobytes(), name

    mine.save(tmp_path / "mine.safetensors")
    for reg in (None, 0.2, "0.3*max"):
        for layers in (None, 2):
            riata("infer", "mine.safetensors", f"X{end}.npy", "-o", "Z.npy", *(() if reg is None else ("--reg", reg)),
                  *(() if layers is None else ("--n-layers", layers)))
            assert np.load(tmp_path / "Z.npy").tobytes() == mine.encode(X, reg, layers).tobytes()

    # Parameters alone, out and in again.
    riata("train", "--init", "mine.safetensors", "--max-iter", 0, "-o", "arrays.npz")
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert {name: arrays[name].tobytes() for name in arrays} == {n: a.tobytes() for n, a in mine.parameters().items()}
    riata("train", "--kind", kind, "--n-layers", 3, "--dictionary", f"D{end}.npy", "--init", "arrays.npz", "--max-iter", 0, "--reg",
          0.2, "-o", "again.safetensors", *options)
    again = python.load_network(tmp_path / "again.safetensors")
    assert again.reg == 0.2 and again.encode(X).tobytes() == mine.encode(X, 0.2).tobytes()


CHOICES = {
    "recursive": ("--mode", "recursive"),
    "greedy": ("--mode", "greedy"),
    "semi": ("--loss", "semi"),
    "supervised": ("--loss", "supervised", "--targets", "Z.npy"),
    "positive": ("--positive-steps", "--learning-rate", 0.1),
    "adam": ("--optimizer", "adam", "--batch-size", 64, "--learning-rate", 0.001, "--validation", 0.2, "--validate-every", 5,
             "--patience", 30, "--seed", 3),
    "lipschitz": ("--lipschitz", 20),
    "tol": ("--tol", 0.01),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_of_training_lowers_the_loss_and_does_not_depend_on_threads(riata, tmp_path, choice):
    riata("encode", "D.npy", "X.npy", "-o", "Z.npy", "--reg", 0.1)
    files = []
    for threads in (1, 2):
        report = riata.json(*train("tied"), "--max-iter", 24, "--n-threads", threads, *CHOICES[choice])
        files.append((tmp_path / "net.safetensors").read_bytes())
    assert report["value"] < report["initial_value"]
    assert files[0] == files[1]


@pytest.mark.parametrize("kind", KINDS)
def test_infer_finishes_and_safeguards_as_python_does(riata, tmp_path, kind):
    X, D = np.load(tmp_path / "X.npy"), np.load(tmp_path / "D.npy")
    net = python.Network(kind, D, 3, **KINDS[kind][1])
    net.save(tmp_path / "net.safetensors")
    infer = ("infer", "net.safetensors", "X.npy", "-o", "Z.npz", "--reg", "0.2max", "--n-layers", 2)
    for flags, options in (
        (("--certify",), {}),
        (("--certify", "--safeguard"), {"safeguard": True}),
        (("--finish", "1e-7"), {"finish": 1e-7}),
        (("--certify", "--finish", "1e-3", "--safeguard"), {"finish": 1e-3, "safeguard": True}),
    ):
        report = riata.json(*infer, *flags)
        expected = net.encode(X, "0.2max", 2, certify=True, **options)
        with np.load(tmp_path / "Z.npz") as arrays:
            for name in ("codes", "objective", "gap", "n_iter"):
                assert arrays[name].tobytes() == getattr(expected, name).astype(arrays[name].dtype).tobytes(), name
        assert report["objective"] == pytest.approx(expected.objective.mean()) and report["gap"] == expected.gap.max()
        assert report["n_iter"] == expected.n_iter.max()
        assert report["n_not_converged"] == (0 if "finish" in options else None)
        riata(*infer[:3], "-o", "Z.npy", *infer[5:], *flags)
        assert np.load(tmp_path / "Z.npy").tobytes() == expected.codes.tobytes()


def test_infer_tells_of_gaps_that_rounding_forbids_and_of_networks_that_diverge(riata, tmp_path):
    D = np.load(tmp_path / "D.npy")
    net = python.Network("step", D, 12)
    net.save(tmp_path / "net.safetensors")
    infer = ("infer", "net.safetensors", "X.npy", "-o", "Z.npy", "--reg", "0.01max")
    done = riata.run(*infer, "--finish", "1e-18")
    assert done.returncode == 0
    assert done.stderr.startswith("riata infer: ") and "of 600 signals did not reach finish = 1e-18" in done.stderr
    assert riata.run(*infer, "--finish", "1e-18", "--quiet").stderr == ""
    net.set_parameters({name: values * 1e30 for name, values in net.parameters().items()})
    net.save(tmp_path / "net.safetensors")
    (tmp_path / "Z.npy").unlink()
    done = riata.run(*infer)
    assert done.returncode == 2 and not (tmp_path / "Z.npy").exists()
    assert done.stderr == ("riata infer: encode: the network diverges on signal 0: what it gives after 12 layers is not finite; "
                           "safeguard or finish gives another code\n")
    riata(*infer, "--safeguard")
    expected = python.unrolled_encode(np.load(tmp_path / "X.npy"), D, "0.01max", 12, "ista")
    np.testing.assert_allclose(np.load(tmp_path / "Z.npy"), expected, atol=1e-12)


def test_training_goes_on_from_a_network(riata):
    first = riata.json(*train("coupled"), "--max-iter", 5)
    more = riata.json("train", "--init", "net.safetensors", "--data", "X.npy", "-o", "more.safetensors", "--max-iter", 5)
    assert more["initial_value"] == first["value"] > more["value"]
    assert more["kind"] == "coupled" and more["reg"] == first["reg"]


def test_what_a_dictionary_was_learned_with_holds(riata, tmp_path, photograph):
    Image.fromarray(photograph).save(tmp_path / "p.png")
    riata("learn", "p.png", "-o", "m.safetensors", "--n-atoms", 40, "--patch", 6, "--centre", "--reg", 30, "--max-iter", 5)
    report = riata.json("train", "--kind", "step", "--n-layers", 3, "--dictionary", "m.safetensors", "--data", "p.png", "--max-iter", 5,
                        "-o", "net.safetensors", "--max-patches", 1000)
    assert (report["reg"], report["n_signals"], report["dtype"], report["n_features"]) == (30, 1000, "float32", 36)
    report = riata.json("infer", "net.safetensors", "p.png", "-o", "Z.npy")
    assert report["n_signals"] == 43 * 43
    patches = np.lib.stride_tricks.sliding_window_view(photograph.astype(np.float32), (6, 6)).reshape(-1, 36)
    np.save(tmp_path / "patches.npy", patches)
    Z = np.load(tmp_path / "Z.npy")
    riata("infer", "net.safetensors", "patches.npy", "-o", "Z.npy")  # these are centred too
    np.testing.assert_allclose(np.load(tmp_path / "Z.npy"), Z, atol=1e-3)


def test_info_describes_a_network(riata):
    riata(*train(), "--max-iter", 3)
    about = riata("info", "net.safetensors")
    assert about.startswith("net.safetensors: network, step, 4 layers, trained at reg = 0.1\n")
    assert "\n  layer.3.step (1) float64, from " in about and "\n  loss = unsupervised\n" in about


def test_the_summary_is_one_line(riata):
    done = riata.run(*train(), "--max-iter", 3)
    assert done.stdout.startswith("net.safetensors: step, 4 layers, for 24 atoms of 16 features from 600 signals, loss ")
    assert ", ISTA " in done.stdout and ", optimum " in done.stdout and ", 3 steps, max_iter, " in done.stdout
    assert done.stdout.count("\n") == 1 and done.stderr == ""
    assert riata("infer", "net.safetensors", "X.npy", "-o", "Z.npy").startswith("Z.npy: codes of 600 signals in 24 atoms by 4 layers of step, ")
    assert riata(*train(), "--max-iter", 3, "--quiet") == ""


LONG = (*train("coupled", 6, output="parts.safetensors"), "--mode", "recursive", "--n-threads", 2)


@pytest.mark.parametrize("optimizer", ["backtracking", "adam"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_five_interruptions_change_nothing(riata, tmp_path, how, optimizer):
    adam = ("--optimizer", "adam", "--batch-size", 200, "--validation", 0.2, "--max-iter", 1500 if os.environ.get("RIATA_LONG_TESTS") else 700)
    long = (*LONG, *(adam if optimizer == "adam" else ("--max-iter", 150)))
    start = time.monotonic()
    riata(*long)
    duration = time.monotonic() - start
    whole = (tmp_path / "parts.safetensors").read_bytes()
    resumed = (*long, "--checkpoint", "c.safetensors", "--checkpoint-every", 1, "--resume")
    stopped = riata.interrupt_five_times(resumed, how, duration)
    riata(*resumed)
    assert stopped >= 2, f"only {stopped} interruptions hit a run of {duration:.2f} s"
    assert (tmp_path / "parts.safetensors").read_bytes() == whole


def test_ctrl_c_leaves_a_network_that_works(riata, tmp_path, safetensors):
    endless = (*train("coupled"), "--max-iter", 10000000, "--checkpoint", "c.safetensors", "--checkpoint-every", 1)
    run = riata.start(*endless)
    while not (tmp_path / "c.safetensors").exists():
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    metadata = safetensors.read(tmp_path / "net.safetensors")[1]
    steps = f"{metadata['n_iter']} step" + "s" * (metadata["n_iter"] != "1")
    assert metadata["status"] == "interrupted"
    assert errors == f"riata train: interrupted after {steps}; the network so far is in net.safetensors (--resume continues)\n"
    objective = riata.json("infer", "net.safetensors", "X.npy", "-o", "Z.npy")["objective"]
    assert objective == pytest.approx(float(metadata["value"]), rel=1e-12)
    assert not [name for name in os.listdir(tmp_path) if "tmp" in name]


def test_a_checkpoint_that_cannot_be_written_any_more_does_not_cost_the_network(riata, tmp_path, safetensors):
    folder = tmp_path / "parts"
    folder.mkdir()
    checkpoint = ("--checkpoint", "parts/c.safetensors", "--checkpoint-every", 20)
    run = riata.start(*train("coupled"), "--max-iter", 10000000, *checkpoint, "--centre")
    while not (folder / "c.safetensors").exists():
        assert run.poll() is None
        time.sleep(0.01)
    shutil.rmtree(folder)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 1 and errors.startswith("riata train: cannot write parts/c.safetensors"), errors
    metadata = safetensors.read(tmp_path / "net.safetensors")[1]
    assert metadata["centred"] == "true" and metadata["status"] == "interrupted"
    trained = riata.json("infer", "net.safetensors", "X.npy", "-o", "Z.npy")["objective"]
    riata(*train("coupled"), "--max-iter", 1, "--centre")
    assert trained < riata.json("infer", "net.safetensors", "X.npy", "-o", "Z.npy")["objective"]


def test_max_time_stops(riata):
    report = riata.json(*train("coupled"), "--max-iter", 10000000, "--max-time", 0.1)
    assert report["status"] == "max_time" and report["seconds"] < 10
