"""riata learn: what it writes, and that the same run gives the same bits."""

import csv

import numpy as np
import pytest
from PIL import Image

SHORT = ("--n-atoms", 24, "--max-iter", 15)


@pytest.fixture(autouse=True)
def files(tmp_path, planted):
    X, D = planted
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "X32.npy", X.astype(np.float32))
    np.save(tmp_path / "D.npy", D)
    np.savez(tmp_path / "two.npz", first=X[:300], second=X[300:])


def objective(X, D, reg):
    """The lasso objective after coding by plain ISTA: slow, and sharing nothing with riata."""
    L, Z = np.linalg.norm(D, 2) ** 2, np.zeros((len(X), len(D)))
    for _ in range(3000):
        V = Z - (Z @ D - X) @ D.T / L
        Z = np.sign(V) * np.maximum(np.abs(V) - reg / L, 0)
    return np.mean(0.5 * np.sum((X - Z @ D) ** 2, axis=1) + reg * np.abs(Z).sum(axis=1))


def test_learns_a_planted_dictionary_and_says_so(riata, tmp_path, planted, safetensors):
    X, D = planted
    report = riata.json("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 24, "--reg", 0.1, "--reference", "D.npy",
                        "--max-iter", 150, "--trace", "t.csv")
    tensors, metadata = safetensors.read(tmp_path / "m.safetensors")
    assert tensors.keys() == {"dictionary"} and tensors["dictionary"].shape == (24, 16)
    assert tensors["dictionary"].dtype == np.float64
    np.testing.assert_allclose(np.linalg.norm(tensors["dictionary"], axis=1), 1, rtol=1e-12)
    cosines = np.abs(tensors["dictionary"] @ D.T)
    assert report["recovery_score"] <= cosines.max(axis=0).mean() + 1e-12
    assert report["recovery_score"] > 0.85
    assert objective(X, tensors["dictionary"], 0.1) <= report["value"] < report["initial_value"]
    assert report["value"] == pytest.approx(objective(X, tensors["dictionary"], 0.1), rel=0.02)
    expected = {"reg": "0.1", "n_layers": "20", "method": "unrolled", "centred": "false", "seed": "0", "n_signals": "600"}
    assert expected.items() <= metadata.items()
    assert metadata["n_iter"] == str(report["n_iter"])
    assert float(metadata["value"]) == report["value"]
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["iteration", "phase", "value", "step", "seconds"]
    assert len(rows) == report["n_iter"] and float(rows[-1]["value"]) == report["value"]
    assert all(float(a["value"]) > float(b["value"]) for a, b in zip(rows, rows[1:]))


@pytest.mark.parametrize("options", [
    ("--method", "alternating"), ("--method", "alternating_exact"), ("--method", "truncated", "--backprop", 5),
    ("--method", "online", "--batch-size", 50), ("--method", "stochastic", "--batch-size", 50), ("--method", "pudle_lasso", "--learning-rate", 0.01),
    ("--method", "noodl"), ("--method", "mod", "--n-nonzero", 3), ("--method", "ksvd", "--n-nonzero", 3),
    ("--method", "aksvd", "--n-nonzero", 3, "--batch-size", 100),
    ("--method", "arora"), ("--method", "arora_unbiased"), ("--method", "admm"), ("--constraint", "non_negative"),
    ("--learn-steps",), ("--algorithm", "ista"), ("--loss", "least_squares"), ("--positive",), ("--centre",),
    ("--constraint", "unit_ball"), ("--init", "random"), ("--init", "dct"), ("--init", "D.npy"), ("--n-layers", 5)])
def test_every_choice_lowers_the_objective(riata, tmp_path, options, safetensors):
    reg = () if "--n-nonzero" in options else ("--reg", "0.1max")
    report = riata.json("learn", "X.npy", "-o", "m.safetensors", *SHORT, *reg, *options)
    assert report["value"] < report["initial_value"]
    assert (report["reg"] is None) == ("--n-nonzero" in options)
    assert ("steps" in safetensors.read(tmp_path / "m.safetensors")[0]) == ("--learn-steps" in options)


def test_several_files_are_one_stream_of_signals(riata, tmp_path):
    X = np.load(tmp_path / "X.npy")
    np.save(tmp_path / "a.npy", X[:130]), np.save(tmp_path / "b.npy", X[130:]), np.savez(tmp_path / "X.npz", X=X)
    for name, inputs in (("parts", ("a.npy", "b.npy")), ("whole", ("X.npy",)), ("in_memory", ("X.npz",))):
        report = riata.json("learn", *inputs, "-o", f"{name}.safetensors", *SHORT, "--reg", "0.1max", "--method", "online",
                            "--batch-size", 100, "--centre", "--validation", 0.2)
        assert report["n_signals"] == len(X)
    np.save(tmp_path / "F.npy", np.asfortranarray(X))
    riata("learn", "F.npy", "-o", "columns.safetensors", *SHORT, "--reg", "0.1max", "--method", "online", "--batch-size", 100,
          "--centre", "--validation", 0.2)  # fmt: skip
    one = (tmp_path / "parts.safetensors").read_bytes()
    assert one == (tmp_path / "columns.safetensors").read_bytes()
    assert one == (tmp_path / "whole.safetensors").read_bytes() == (tmp_path / "in_memory.safetensors").read_bytes()


def test_a_dataset_of_an_hdf5_file_is_a_stream_and_an_array(riata, tmp_path):
    h5py = pytest.importorskip("h5py")
    X = np.load(tmp_path / "X.npy")
    with h5py.File(tmp_path / "X.h5", "w") as file:
        file["recording/signals"] = X
        file.create_dataset("single", data=X.astype(np.float32), chunks=(7, 5), compression="gzip")
        file["flat"], file["words"], file["bad"] = X[0], [["a", "b"]], np.where(np.arange(len(X))[:, None] == 41, np.nan, X)
    batches = (*SHORT, "--reg", "0.1max", "--method", "online", "--batch-size", 100, "--centre", "--validation", 0.2)
    for options in (batches, (*SHORT, "--reg", "0.1max")):  # read when due, and read whole
        for name, file in (("a", "X.npy"), ("b", "X.h5:recording/signals")):
            riata("learn", file, "-o", f"{name}.safetensors", *options)
        assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert riata.json("learn", "X.h5:single", "-o", "m.safetensors", *batches)["dtype"] == "float32"
    riata("encode", "b.safetensors", "X.h5:recording/signals", "-o", "Z.npy")
    np.save(tmp_path / "a.npy", X[:130])
    with h5py.File(tmp_path / "rest.h5", "w") as file:
        file["x"] = X[130:]
    for name, inputs in (("one", ("X.npy",)), ("two", ("a.npy", "rest.h5:x"))):
        riata("learn", *inputs, "-o", f"{name}.safetensors", *batches)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    done = riata.run("learn", "X.npy", "X.h5:single", "-o", "n.safetensors", *batches)
    assert done.returncode == 2 and "X.h5:single is float32 but X.npy is float64; they must be equal" in done.stderr
    (tmp_path / "none.h5").write_bytes(b"no HDF5")
    for name, sentence in (
        ("X.h5", "X.h5 holds datasets; choose one, as in X.h5:/signals"),
        ("X.h5:/gone", "X.h5 has no dataset '/gone'"),
        ("X.h5:flat", "X.h5:flat has 1 dimensions; expected 2: (n_signals, n_features)"),
        ("X.h5:words", "X.h5:words holds no numbers; expected floating-point numbers or integers"),
        ("X.h5:bad", "X.h5:bad: signal 41 has an entry that is not finite"),
        ("none.h5:/signals", "none.h5 is no HDF5 file, or a damaged one"),
        ("gone.h5:/signals", "gone.h5: no such file"),
    ):
        done = riata.run("learn", name, "-o", "n.safetensors", *batches)
        assert done.returncode in (1, 2) and sentence in done.stderr and not (tmp_path / "n.safetensors").exists(), name


def test_same_bits_for_one_and_two_threads_and_again(riata, tmp_path):
    for name, threads in (("a", 1), ("b", 2), ("c", 2)):
        riata("learn", "X32.npy", "-o", f"{name}.safetensors", *SHORT, "--reg", "0.1max", "--n-threads", threads)
    one = (tmp_path / "a.safetensors").read_bytes()
    assert one == (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()


def test_another_seed_gives_another_dictionary(riata, tmp_path):
    for seed in (0, 1):
        riata("learn", "X.npy", "-o", f"{seed}.safetensors", *SHORT, "--reg", "0.1max", "--seed", seed)
    assert (tmp_path / "0.safetensors").read_bytes() != (tmp_path / "1.safetensors").read_bytes()


def test_precision_is_that_of_the_arrays_unless_told(riata):
    dtype = lambda *more: riata.json("learn", "-o", "m.safetensors", *SHORT, "--reg", 0.1, *more)["dtype"]
    assert dtype("X.npy") == "float64"
    assert dtype("X32.npy") == "float32"
    assert dtype("X.npy", "--dtype", "float32") == "float32"


def test_integers_become_double(riata, tmp_path):
    np.save(tmp_path / "I.npy", np.rint(10 * np.load(tmp_path / "X.npy")).astype(np.int32))
    assert riata.json("learn", "I.npy", "-o", "m.safetensors", *SHORT, "--reg", "0.1max")["dtype"] == "float64"


def test_arrays_of_an_archive_are_stacked(riata, tmp_path):
    riata("learn", "X.npy", "-o", "whole.safetensors", *SHORT, "--reg", 0.1)
    riata("learn", "two.npz:first", "two.npz:second", "-o", "parts.safetensors", *SHORT, "--reg", 0.1)
    assert (tmp_path / "whole.safetensors").read_bytes() == (tmp_path / "parts.safetensors").read_bytes()


def test_a_model_is_a_start_and_a_reference(riata):
    riata("learn", "X.npy", "-o", "m.safetensors", *SHORT, "--reg", 0.1)
    report = riata.json("learn", "X.npy", "-o", "n.safetensors", "--reg", 0.1, "--init", "m.safetensors", "--reference",
                        "m.safetensors", "--max-iter", 1)
    assert report["n_atoms"] == 24 and report["recovery_score"] > 0.99


def test_pictures_give_patches(riata, tmp_path, photograph, safetensors):
    Image.fromarray(photograph).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([photograph] * 3)).save(tmp_path / "colour.tif")
    learn = ("-o", "m.safetensors", "--n-atoms", 20, "--reg", 30, "--max-iter", 3, "--centre", "--patch", 6)
    assert riata.json("learn", "grey.png", *learn)["n_signals"] == 43 * 43
    assert riata.json("learn", "grey.png", "colour.tif", *learn)["n_signals"] == 4 * 43 * 43
    report = riata.json("learn", "grey.png", "colour.tif", *learn, "--max-patches", 501)
    assert report["n_signals"] == 501 and report["n_features"] == 36 and report["dtype"] == "float32"
    assert {"patch": "6", "centred": "true"}.items() <= safetensors.read(tmp_path / "m.safetensors")[1].items()


def test_max_time_stops(riata):
    report = riata.json("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 24, "--reg", 0.1, "--max-time", 0.05, "--tol", 0,
                        "--max-iter", 1000000)
    assert report["status"] == "max_time" and report["seconds"] < 5


def test_quiet_says_nothing_and_the_summary_is_one_line(riata):
    learn = ("learn", "X.npy", "-o", "m.safetensors", *SHORT, "--reg", 0.1)
    assert riata(*learn, "--quiet") == ""
    done = riata.run(*learn)
    assert done.stdout.startswith("m.safetensors: 24 atoms of 16 features from 600 signals, objective ")
    assert done.stdout.count("\n") == 1 and done.stderr == ""


def test_a_run_without_an_iteration_says_so(riata, tmp_path, safetensors):
    np.save(tmp_path / "zeros.npy", np.zeros((30, 16)))
    learn = ("learn", "zeros.npy", "-o", "m.safetensors", "--n-atoms", 5, "--reg", 0.1, "--trace", "t.csv")
    report = riata.json(*learn)
    assert report["n_iter"] == 0 and report["value"] == report["initial_value"] == 0
    assert safetensors.read(tmp_path / "m.safetensors")[1]["n_iter"] == "0"
    assert (tmp_path / "t.csv").read_text() == "iteration,phase,value,step,seconds\n"


def test_one_iteration_is_no_plural(riata):
    learn = ("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 24, "--reg", 0.1, "--max-iter")
    assert ", 1 iteration, max_iter, " in riata(*learn, 1)
    assert ", 2 iterations, max_iter, " in riata(*learn, 2)


def test_a_mask_hides_what_was_not_seen(riata, tmp_path, planted):
    X, D = planted
    seen = np.random.default_rng(0).random(X.shape) > 0.3
    np.save(tmp_path / "gaps.npy", np.where(seen, X, np.nan))
    np.save(tmp_path / "mask.npy", seen)
    np.save(tmp_path / "D.npy", D)
    arguments = ("gaps.npy", "--init", "D.npy", "--reg", 0.1, "--max-iter", 3, "--mask", "mask.npy")
    report = riata.json("learn", *arguments, "-o", "m.safetensors")
    import riata as package

    expected = package.learn_dictionary(np.load(tmp_path / "gaps.npy"), len(D), 0.1, init=D, max_iter=3, mask=seen)
    np.testing.assert_array_equal(package.load_model(tmp_path / "m.safetensors").dictionary, expected.dictionary)
    assert report["status"] == "max_iter"
    done = riata.run("learn", "gaps.npy", "--n-atoms", 3, "--reg", 0.1, "-o", "n.safetensors")
    assert done.returncode == 2 and "gaps.npy: the array holds nan" in done.stderr
    Image.fromarray(np.zeros((20, 20), "u1")).save(tmp_path / "p.png")
    done = riata.run("learn", "p.png", "--n-atoms", 3, "--reg", 0.1, "-o", "n.safetensors", "--mask", "mask.npy")
    assert done.returncode == 2 and "--mask is for arrays, and p.png is a picture" in done.stderr


def test_encode_takes_up_the_penalty_of_a_model(riata, tmp_path, safetensors):
    np.save(tmp_path / "g.npy", np.arange(24) // 3)
    group = ("--penalty", "group", "--groups", "g.npy")
    report = riata.json("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 24, "--reg", "0.1max", "--max-iter", 3, *group)
    riata.json("encode", "m.safetensors", "X.npy", "-o", "Z.npy")
    np.save(tmp_path / "atoms.npy", safetensors.read(tmp_path / "m.safetensors")[0]["dictionary"])
    riata.json("encode", "atoms.npy", "X.npy", "-o", "W.npy", "--reg", report["reg"], *group)
    np.testing.assert_array_equal(np.load(tmp_path / "Z.npy"), np.load(tmp_path / "W.npy"))
    l1 = ("--reg", report["reg"], "--penalty", "l1")
    said = riata.run("encode", "m.safetensors", "X.npy", "-o", "Z.npy", *l1).stderr
    assert "penalty = 'l1' takes the place of all that m.safetensors was learned with ('group'" in said
    riata.json("encode", "atoms.npy", "X.npy", "-o", "W.npy", *l1)
    np.testing.assert_array_equal(np.load(tmp_path / "Z.npy"), np.load(tmp_path / "W.npy"))


def test_naming_the_penalty_of_a_model_keeps_all_of_it(riata, tmp_path):
    net = ("--penalty", "elastic_net", "--l1-ratio", 0.7)
    riata.json("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 24, "--reg", "0.1max", "--max-iter", 3, *net)
    riata.json("encode", "m.safetensors", "X.npy", "-o", "Z.npy")
    riata.json("encode", "m.safetensors", "X.npy", "-o", "W.npy", "--penalty", "elastic_net")
    np.testing.assert_array_equal(np.load(tmp_path / "Z.npy"), np.load(tmp_path / "W.npy"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--penalty", "elastic_net"], "m.safetensors was learned with penalty = 'elastic_net', and networks are trained for"),
        (["--positive", "--penalty", "group", "--groups", "g.npy"], "m.safetensors was learned with positive codes of groups"),
    ],
)
def test_networks_are_not_trained_for_the_penalty_of_another_model(riata, tmp_path, options, expected):
    np.save(tmp_path / "g.npy", np.arange(24) // 3)
    riata.json("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 24, "--reg", "0.1max", "--max-iter", 2, *options)
    train = ("train", "--n-layers", 2, "--dictionary", "m.safetensors", "--data", "X.npy", "-o", "n.safetensors", "--max-iter", 1)
    done = riata.run(*train, "--kind", "step")
    assert done.returncode == 2 and expected in done.stderr


def test_networks_of_a_model_with_positive_codes_have_positive_codes(riata, tmp_path):
    riata.json("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 24, "--reg", "0.1max", "--max-iter", 2, "--positive")
    train = ("train", "--n-layers", 2, "--dictionary", "m.safetensors", "--data", "X.npy", "-o", "n.safetensors", "--max-iter", 1)
    riata.json(*train, "--kind", "step")
    riata.json("infer", "n.safetensors", "X.npy", "-o", "Z.npy")
    codes = np.load(tmp_path / "Z.npy")
    assert codes.min() == 0 and codes.max() > 0


def test_networks_are_trained_for_the_groups_of_a_model(riata, tmp_path):
    np.save(tmp_path / "g.npy", np.arange(24) // 3)
    group = ("--penalty", "group", "--groups", "g.npy")
    riata.json("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 24, "--reg", "0.1max", "--max-iter", 2, *group)
    train = ("train", "--n-layers", 2, "--dictionary", "m.safetensors", "--data", "X.npy", "--max-iter", 1, "--kind")
    taken = riata.json(*train, "group", "-o", "n.safetensors")
    given = riata.json(*train, "group", "-o", "n.safetensors", "--groups", "g.npy")
    assert taken["value"] == given["value"]
    done = riata.run(*train, "step", "-o", "n.safetensors")
    assert done.returncode == 2 and "groups" in done.stderr
