"""riata encode and riata info."""

import json

import numpy as np
import pytest
import scipy.sparse
from PIL import Image


@pytest.fixture(autouse=True)
def files(tmp_path, planted):
    X, D = planted
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "D.npy", D)


def lasso(X, D, Z, reg):
    return 0.5 * np.sum((X - Z @ D) ** 2, axis=1) + reg * np.abs(Z).sum(axis=1)


def gap(X, D, Z, reg):
    R = X - Z @ D
    theta = R * np.minimum(1, reg / np.abs(R @ D.T).max(axis=1, keepdims=True))
    dual = 0.5 * np.sum(X**2, axis=1) - 0.5 * np.sum((X - theta) ** 2, axis=1)
    return lasso(X, D, Z, reg) - dual


@pytest.mark.parametrize("method", ["auto", "cd", "fista", "ista", "oista", "backtracking", "lars"])
def test_codes_carry_their_certificate(riata, tmp_path, planted, method):
    X, D = planted
    report = riata.json("encode", "D.npy", "X.npy", "-o", "c.npz", "--reg", 0.3, "--method", method, "--tol", 1e-8)
    with np.load(tmp_path / "c.npz") as file:
        assert set(file) == {"codes", "objective", "gap", "n_iter"}
        codes = file["codes"]
        np.testing.assert_allclose(file["objective"], lasso(X, D, codes, 0.3), rtol=1e-12)
        np.testing.assert_allclose(file["gap"], gap(X, D, codes, 0.3), atol=1e-11)
        assert np.all(file["gap"] <= 1e-8 * 0.5 * np.sum(X**2, axis=1))
        assert file["n_iter"].shape == (600,)
    assert codes.shape == (600, 24)
    assert report["status"] == "converged" and report["n_not_converged"] == 0


def test_codes_of_so_many_atoms_need_no_reg(riata, tmp_path, planted):
    package = pytest.importorskip("riata")
    X, D = planted
    report = riata.json("encode", "D.npy", "X.npy", "-o", "c.npz", "--n-nonzero", 3)
    expected = package.omp(X, D, 3)
    with np.load(tmp_path / "c.npz") as file:
        assert set(file) == {"codes", "error"}
        np.testing.assert_array_equal(file["codes"], expected.codes)
        np.testing.assert_array_equal(file["error"], expected.error)
    assert report["method"] == "omp" and report["error"] == pytest.approx(expected.error.mean())
    riata("learn", "X.npy", "-o", "k.safetensors", "--method", "ksvd", "--n-nonzero", 2, "--n-atoms", 20, "--max-iter", 3, "--centre")
    assert "codes of 600 signals, of 2 of 20 atoms each" in riata("encode", "k.safetensors", "X.npy", "-o", "k.npy")
    centred = X - X.mean(axis=1, keepdims=True)
    atoms = package.load_model(tmp_path / "k.safetensors").dictionary
    np.testing.assert_allclose(np.load(tmp_path / "k.npy"), package.omp(centred, atoms, 2).codes, atol=1e-12)
    riata("encode", "k.safetensors", "X.npy", "-o", "l.npy", "--reg", 0.3)
    assert ((np.load(tmp_path / "l.npy") != 0).sum(axis=1) > 2).any()
    for options, sentence in (
        (("--n-nonzero", 0), "n_nonzero = 0, must be >= 1"),
        (("--n-nonzero", 2, "--reg", 0.1), "--reg and --n-nonzero exclude each other"),
        (("--n-nonzero", 2, "--tol", 1e-3), "--tol is for codes by --reg, not for those of --n-nonzero atoms"),
        (("--n-nonzero", 2, "--stream"), "--stream is for codes by --reg, not for those of --n-nonzero atoms"),
    ):
        done = riata.run("encode", "D.npy", "X.npy", "-o", "d.npy", *options)
        assert done.returncode == 2 and sentence in done.stderr


def test_npy_holds_the_codes_alone_and_threads_do_not_matter(riata, tmp_path):
    for threads in (1, 2):
        riata("encode", "D.npy", "X.npy", "-o", f"{threads}.npy", "--reg", "0.1max", "--n-threads", threads)
    assert np.load(tmp_path / "1.npy").shape == (600, 24)
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "2.npy").read_bytes()


def test_reg_max_gives_zero_and_positive_gives_no_negative_code(riata, tmp_path):
    riata("encode", "D.npy", "X.npy", "-o", "c.npy", "--reg", "1max")
    assert not np.load(tmp_path / "c.npy").any()
    riata("encode", "D.npy", "X.npy", "-o", "c.npy", "--reg", "0.1max", "--positive")
    assert np.load(tmp_path / "c.npy").min() == 0


def test_max_iter_is_reported_not_an_error(riata):
    done = riata.run("encode", "D.npy", "X.npy", "-o", "c.npz", "--reg", 0.1, "--method", "ista", "--max-iter", 10, "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["status"] == "max_iter" and report["n_not_converged"] > 0
    assert done.stderr == (f"riata encode: {report['n_not_converged']} of 600 signals did not reach tol = 1e-06 "
                           "(max_iter = 10, or rounding forbids more); their gaps are reported\n")


def test_a_model_brings_its_reg_and_its_steps(riata, tmp_path, planted):
    X, _ = planted
    riata("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 20, "--reg", 0.2, "--max-iter", 20, "--learn-steps",
          "--n-layers", 8)
    riata("encode", "m.safetensors", "X.npy", "-o", "a.npy")
    riata("encode", "m.safetensors", "X.npy", "-o", "b.npy", "--reg", 0.2)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    report = riata.json("encode", "m.safetensors", "X.npy", "-o", "c.npz", "--n-layers", 8)
    assert report["n_layers"] == 8 and report["method"] == "fista" and report["status"] == "layers"
    loss = json.loads(riata("info", "m.safetensors", "--json"))["files"][0]["metadata"]["value"]
    # The mean objective after the learned layers is the value at which learning ended.
    assert report["objective"] == pytest.approx(float(loss), rel=1e-12)
    # The same layers as a network, which may be finished.
    network = riata.json("infer", "m.safetensors", "X.npy", "-o", "n.npz")
    assert (network["kind"], network["n_layers"]) == ("fista", 8)
    np.testing.assert_allclose(np.load(tmp_path / "n.npz")["codes"], np.load(tmp_path / "c.npz")["codes"], atol=1e-12)
    assert riata.json("infer", "m.safetensors", "X.npy", "-o", "f.npz", "--finish", 1e-8)["n_not_converged"] == 0


def test_layers_are_unrolled_ista(riata, tmp_path, planted):
    X, D = planted
    riata("encode", "D.npy", "X.npy", "-o", "c.npy", "--reg", 0.2, "--n-layers", 7, "--method", "ista")
    L, Z = np.linalg.norm(D, 2) ** 2, np.zeros((600, 24))
    for _ in range(7):
        V = Z - (Z @ D - X) @ D.T / L
        Z = np.sign(V) * np.maximum(np.abs(V) - 0.2 / L, 0)
    np.testing.assert_allclose(np.load(tmp_path / "c.npy"), Z, atol=1e-12)


def test_layers_take_other_penalties(riata, tmp_path, planted):
    X, D = planted
    riata("encode", "D.npy", "X.npy", "-o", "c.npy", "--reg", 0.2, "--n-layers", 7, "--method", "ista", "--penalty", "elastic_net")
    L, Z = np.linalg.norm(D, 2) ** 2, np.zeros((600, 24))
    for _ in range(7):
        V = Z - (Z @ D - X) @ D.T / L
        Z = np.sign(V) * np.maximum(np.abs(V) - 0.1 / L, 0) / (1 + 0.1 / L)
    np.testing.assert_allclose(np.load(tmp_path / "c.npy"), Z, atol=1e-12)


def test_a_picture_is_coded_patch_by_patch_as_it_was_learned(riata, tmp_path, photograph):
    Image.fromarray(photograph).save(tmp_path / "p.png")
    riata("learn", "p.png", "-o", "m.safetensors", "--n-atoms", 30, "--reg", 20, "--max-iter", 3, "--patch", 6, "--centre")
    riata("encode", "m.safetensors", "p.png", "-o", "c.npy")
    windows = np.lib.stride_tricks.sliding_window_view(photograph.astype(np.float32), (6, 6)).reshape(-1, 36)
    np.save(tmp_path / "w.npy", windows)
    riata("encode", "m.safetensors", "w.npy", "-o", "d.npy")
    assert np.load(tmp_path / "c.npy").dtype == np.float32
    np.testing.assert_array_equal(np.load(tmp_path / "c.npy"), np.load(tmp_path / "d.npy"))


def test_info_describes_arrays_models_and_pictures(riata, tmp_path, photograph, planted):
    Image.fromarray(photograph).save(tmp_path / "p.png")
    np.save(tmp_path / "bad.npy", np.array([[1, np.nan], [-3, np.inf]], np.float32))
    riata("learn", "X.npy", "-o", "m.safetensors", "--n-atoms", 5, "--reg", 0.2, "--max-iter", 2)
    about = json.loads(riata("info", "X.npy", "bad.npy", "m.safetensors", "p.png", "--json"))
    X, bad, model, picture = about["files"]
    assert X["shape"] == [600, 16] and X["dtype"] == "float64" and X["max"] == planted[0].max()
    assert (bad["min"], bad["max"], bad["n_not_finite"]) == (-3, 1, 2)
    assert model["kind"] == "model" and model["tensors"]["dictionary"]["shape"] == [5, 16]
    assert model["metadata"]["reg"] == "0.2"
    assert (picture["height"], picture["width"], picture["channels"], picture["bits"]) == (48, 48, 1, 8)
    text = riata("info", "X.npy", "p.png")
    assert "X.npy: array (600, 16) float64, from " in text and "p.png: image, 48 x 48 pixels, 1 channel of 8 bits" in text


def test_version_and_help(riata):
    version = json.loads(riata("info", "--json"))["version"]
    assert riata("--version") == f"riata {version}\n"
    assert riata("info").startswith(f"riata {version}, ")
    for command in ("denoise", "learn", "encode", "train", "infer", "info"):
        text = riata(command, "--help")
        assert text.rstrip().splitlines()[-1].startswith(f"Example: riata {command} ")
    assert "--tol FLOAT=1e-06" in riata("encode", "--help").replace(" [1e-06]", "=1e-06")


def test_a_model_saved_by_python_brings_its_reg_positivity_and_centring(riata, tmp_path, planted):
    package = pytest.importorskip("riata")
    X = planted[0]
    np.save(tmp_path / "X.npy", X)
    result = package.learn_dictionary(X, 20, 0.25, n_layers=5, max_iter=3, positive=True, centre=True)
    package.save_model(tmp_path / "m.safetensors", result)
    riata("encode", "m.safetensors", "X.npy", "-o", "c.npy", "--tol", 1e-8)
    centred = X - X.mean(axis=1, keepdims=True)
    expected = package.encode(centred, result.dictionary, 0.25, tol=1e-8, positive=True).codes
    np.testing.assert_allclose(np.load(tmp_path / "c.npy"), expected, atol=1e-6)
    text = riata("info", "m.safetensors")
    assert "reg = 0.25" in text and "positive = true" in text


def test_a_stream_gives_the_same_codes_sparse(riata, tmp_path):
    options = ("--reg", "0.1max", "--tol", 1e-8)
    whole = riata.json("encode", "D.npy", "X.npy", "-o", "dense.npz", *options)
    streamed = riata.json("encode", "D.npy", "X.npy", "-o", "sparse.npz", "--stream", *options)
    codes = scipy.sparse.load_npz(tmp_path / "sparse.npz")
    with np.load(tmp_path / "dense.npz") as dense, np.load(tmp_path / "sparse.npz") as sparse:
        np.testing.assert_array_equal(codes.toarray(), dense["codes"])
        for name in ("objective", "gap", "n_iter"):
            np.testing.assert_array_equal(sparse[name], dense[name])
    for name in ("n_signals", "n_features", "n_atoms", "dtype", "gap", "n_not_converged", "status"):
        assert streamed[name] == whole[name], name
    assert streamed["density"] == pytest.approx(whole["density"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["X.npy", "-o", "c.npy"], "--stream writes sparse codes, and c.npy does not end in .npz"),
        (["X.npz", "-o", "c.npz"], "--stream reads an .npy file row by row, and X.npz is none"),
        (["X.npy", "-o", "c.npz", "--n-layers", 3], "--stream is for solvers; leave out --n-layers"),
        (["X.npy", "-o", "c.npz", "--centre"], "--stream reads signals as they are; it takes neither --centre"),
    ],
)
def test_a_stream_refuses_what_it_cannot_read_or_write(riata, tmp_path, arguments, sentence):
    np.savez(tmp_path / "X.npz", X=np.load(tmp_path / "X.npy"))
    done = riata.run("encode", "D.npy", *arguments, "--reg", 0.1, "--stream")
    assert done.returncode == 2 and done.stderr.startswith("riata encode: " + sentence)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / arguments[2]).exists()


@pytest.mark.parametrize(
    ("options", "method"),
    [(["elastic_net", "--l1-ratio", 0.4], "cd"), (["group", "--groups", "groups.npy"], "fista"), (["l0"], "ista")],
)
def test_penalties_are_those_of_python(riata, tmp_path, planted, options, method):
    package = pytest.importorskip("riata")
    X, D = planted
    groups = np.arange(24) // 3
    np.save(tmp_path / "groups.npy", groups)
    given = {"penalty": options[0]} | ({"l1_ratio": 0.4} if method == "cd" else {"groups": groups} if method == "fista" else {})
    report = riata.json("encode", "D.npy", "X.npy", "-o", "c.npz", "--reg", "0.2max", "--penalty", *options)
    expected = package.encode(X, D, "0.2max", **given)
    with np.load(tmp_path / "c.npz") as file:
        np.testing.assert_array_equal(file["codes"], expected.codes)
        np.testing.assert_array_equal(file["gap"], expected.gap)
    assert expected.method == method and report["status"] == "converged"
    assert (report["gap"] is None) == (method == "ista")
    streamed = riata.json("encode", "D.npy", "X.npy", "-o", "s.npz", "--reg", "0.2max", "--stream", "--penalty", *options)
    np.testing.assert_array_equal(scipy.sparse.load_npz(tmp_path / "s.npz").toarray(), expected.codes)
    assert streamed["gap"] == report["gap"] and streamed["method"] == method
    summary = riata("encode", "D.npy", "X.npy", "-o", "c.npy", "--reg", "0.2max", "--penalty", *options)
    assert (", no gap, " in summary) == (method == "ista")


@pytest.mark.parametrize("shape", [(24,), (600, 24)])
def test_weights_are_those_of_python(riata, tmp_path, planted, shape):
    package = pytest.importorskip("riata")
    X, D = planted
    weights = np.random.default_rng(0).uniform(0.5, 2, shape)
    weights[..., 3] = np.inf
    if len(shape) == 1:
        weights[7] = 0
    np.save(tmp_path / "w.npy", weights)
    riata.json("encode", "D.npy", "X.npy", "-o", "c.npz", "--reg", "0.2max", "--weights", "w.npy")
    expected = package.encode(X, D, "0.2max", weights=weights)
    with np.load(tmp_path / "c.npz") as file:
        np.testing.assert_array_equal(file["codes"], expected.codes)
        np.testing.assert_array_equal(file["gap"], expected.gap)
    streamed = riata.run("encode", "D.npy", "X.npy", "-o", "s.npz", "--reg", "0.2max", "--weights", "w.npy", "--stream")
    assert streamed.returncode == (0 if len(shape) == 1 else 2)
    np.save(tmp_path / "w.npy", np.ones((1, 24)))
    refused = riata.run("encode", "D.npy", "X.npy", "-o", "s.npz", "--reg", "0.2max", "--weights", "w.npy")
    assert refused.stderr == "riata encode: w.npy holds weights of 1 signals for 600; they must be equal\n"


@pytest.mark.parametrize("dtype", ["bool", "u1", "f4", "f8"])
def test_a_mask_hides_what_was_not_seen(riata, tmp_path, planted, dtype):
    X, D = planted
    seen = np.random.default_rng(0).random(X.shape) > 0.3
    np.save(tmp_path / "gaps.npy", np.where(seen, X, np.nan))
    np.save(tmp_path / "mask.npy", seen.astype(dtype))
    report = riata.json("encode", "D.npy", "gaps.npy", "-o", "c.npz", "--reg", 0.3, "--mask", "mask.npy", "--tol", 1e-8)
    assert report["method"] == "fista" and report["status"] == "converged"
    with np.load(tmp_path / "c.npz") as file:
        for i in range(0, 600, 50):
            x, atoms, z = X[i : i + 1, seen[i]], D[:, seen[i]], file["codes"][i : i + 1]
            np.testing.assert_allclose(file["objective"][i], lasso(x, atoms, z, 0.3)[0], rtol=1e-12)
            np.testing.assert_allclose(file["gap"][i], gap(x, atoms, z, 0.3)[0], atol=1e-11)
    layers = riata.json("encode", "D.npy", "gaps.npy", "-o", "n.npz", "--reg", 0.3, "--mask", "mask.npy", "--n-layers", 300)
    assert abs(layers["objective"] - report["objective"]) < 1e-3 * report["objective"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "X.npy: the array holds nan at"),
        (["--mask", "D.npy"], "encode: mask has shape (24, "),
        (["--mask", "two.npy"], "mask holds 2 at signal 0, feature 0; must be between 0 and 1"),
        (["--mask", "seen.npy", "--method", "cd"], "method = 'cd' takes no mask"),
        (["--mask", "ones.npy", "--centre"], "--mask takes signals as they are"),
        (["--mask", "none.npy"], "none.npy"),
    ],
)
def test_bad_masks_are_refused(riata, tmp_path, planted, arguments, sentence):
    X = planted[0].copy()
    X[0, 0] = np.nan
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "two.npy", 2 * np.ones_like(X))
    np.save(tmp_path / "ones.npy", np.ones_like(X))
    np.save(tmp_path / "seen.npy", np.isfinite(X))
    done = riata.run("encode", "D.npy", "X.npy", "-o", "c.npz", "--reg", 0.3, *arguments)
    assert done.returncode in (1, 2) and sentence in done.stderr and not (tmp_path / "c.npz").exists()
