"""Patterns in recordings: activations to a certificate, judged by NumPy's own convolutions."""

from pathlib import Path

import numpy as np
import pytest

import riata

SHARED = Path(__file__).resolve().parents[3] / "shared/data"
RNG = np.random.default_rng(0)


def planted(n_trials=2, n_channels=3, n_times=400, n_atoms=4, length=25, dtype=np.float64):
    rng = np.random.default_rng(1)
    u = rng.standard_normal((n_atoms, n_channels))
    v = rng.standard_normal((n_atoms, length)) * np.hanning(length + 2)[1:-1]
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    z = np.where(rng.random((n_trials, n_atoms, n_times - length + 1)) < 0.01, rng.uniform(1, 2, (n_trials, n_atoms, n_times - length + 1)), 0)
    X = decoded(z, u[:, :, None] * v[:, None, :]) + 0.05 * rng.standard_normal((n_trials, n_channels, n_times))
    return X.astype(dtype), u.astype(dtype), v.astype(dtype), z


def decoded(z, atoms, boundary="valid"):
    """By NumPy, from the definition."""
    n_times = {"valid": z.shape[2] + atoms.shape[2] - 1, "full": z.shape[2] - atoms.shape[2] + 1, "circular": z.shape[2]}[boundary]
    out = np.zeros((len(z), atoms.shape[1], n_times))
    for i, c, k in np.ndindex(len(z), atoms.shape[1], len(atoms)):
        whole = np.convolve(z[i, k], atoms[k, c])
        if boundary == "full":
            whole = whole[atoms.shape[2] - 1 : atoms.shape[2] - 1 + n_times]
        if boundary == "circular":
            whole[: len(whole) - n_times] += whole[n_times:]
            whole = whole[:n_times]
        out[i, c] += whole
    return out


def correlated(r, atoms, boundary):
    """The adjoint, by NumPy."""
    if boundary == "full":
        r = np.pad(r, [(0, 0), (0, 0), (atoms.shape[2] - 1,) * 2])
    if boundary == "circular":
        r = np.concatenate([r, r[:, :, : atoms.shape[2] - 1]], axis=2)
    return np.stack([[sum(np.correlate(x[c], d[c], "valid") for c in range(len(d))) for d in atoms] for x in r])


def gap(X, z, atoms, reg, positive, boundary):
    r = X - decoded(z, atoms, boundary)
    pulls = correlated(r, atoms, boundary)
    largest = (pulls if positive else abs(pulls)).max(axis=(1, 2))
    theta = np.minimum(1, reg / largest)[:, None, None] * r
    return 0.5 * (r**2).sum((1, 2)) + reg * abs(z).sum((1, 2)) - 0.5 * (X**2).sum((1, 2)) + 0.5 * ((X - theta) ** 2).sum((1, 2))


@pytest.mark.parametrize("boundary", ["valid", "full", "circular"])
@pytest.mark.parametrize("method", ["auto", "fista"])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("pair", [True, False])
def test_activations_close_the_gap(boundary, method, positive, pair):
    X, u, v, _ = planted()
    atoms = u[:, :, None] * v[:, None, :]
    given = (u, v) if pair else atoms
    reg = 0.2 * riata.conv_reg_max(X, given, positive=positive, boundary=boundary)
    coded = riata.conv_encode(X, given, reg, positive, boundary, tol=1e-9, method=method)
    found = gap(X, coded.codes, atoms, reg, positive, boundary)
    assert (found <= 1e-9 * 0.5 * (X**2).sum((1, 2))).all()
    assert np.allclose(found, coded.gap, atol=1e-12 * (X**2).sum())
    assert (coded.status == "converged").all()
    assert not positive or coded.codes.min() >= 0
    back = riata.conv_decode(coded.codes, given, boundary=boundary)
    assert np.allclose(back, decoded(coded.codes, atoms, boundary), atol=1e-12)
    assert np.allclose(coded.objective, 0.5 * ((X - back) ** 2).sum((1, 2)) + reg * abs(coded.codes).sum((1, 2)), rtol=1e-12)


def test_planted_activations_come_back():
    X, u, v, z = planted(n_trials=1)
    coded = riata.conv_encode(X, (u, v), "0.1max", tol=1e-8)
    for k, t in zip(*np.nonzero(z[0]), strict=True):
        assert coded.codes[0, k, max(0, t - 1) : t + 2].sum() > 0.5 * z[0, k, t]


def test_sparse_activations_are_the_same_numbers():
    X, u, v, _ = planted()
    dense = riata.conv_encode(X, (u, v), "0.2max")
    sparse = riata.conv_encode(X, (u, v), "0.2max", output="csr")
    assert (sparse.codes.toarray() == dense.codes.reshape(-1, dense.codes.shape[2])).all()
    assert sparse.codes.nnz == (dense.codes != 0).sum()
    assert "activations" in repr(sparse)


def test_single_precision_goes_in_and_out():
    X, u, v, _ = planted(dtype=np.float32)
    coded = riata.conv_encode(X, (u, v), "0.2max", tol=1e-5)
    assert coded.codes.dtype == np.float32
    assert (coded.status == "converged").all()


def test_two_dimensions_are_one_channel():
    x = RNG.standard_normal((2, 100))
    d = RNG.standard_normal((3, 9))
    a = riata.conv_encode(x, d, "0.3max").codes
    b = riata.conv_encode(x[:, None], d[:, None], "0.3max").codes
    assert (a == b).all()
    assert riata.conv_decode(a, d).shape == (2, 1, 100)


def test_many_trials_are_what_each_is_alone():
    X, u, v, _ = planted(n_trials=7)
    together = riata.conv_encode(X, (u, v), 0.3)
    for i in range(7):
        assert (riata.conv_encode(X[i : i + 1], (u, v), 0.3, n_threads=1).codes == together.codes[i]).all()


@pytest.mark.parametrize("atoms_of", ["doubled", "smooth"])
def test_hard_problems_end(atoms_of):
    """Atoms that double each other, or as many activations as samples: rounds are bounded, and what is reached is said."""
    rng = np.random.default_rng(1)
    if atoms_of == "doubled":
        atoms = rng.standard_normal((3, 1, 6)).cumsum(2)
        atoms[1], atoms[2] = atoms[0], -atoms[0]
        x, reg = rng.standard_normal((1, 1, 60)), "0.01max"
    else:
        t = np.arange(32) - 15.5
        atoms = np.stack([np.exp(-(t**2) / 100) * np.cos(f * t) for f in (0.1, 0.2, 0.3, 0.4, 0.5)])[:, None]
        x, reg = rng.standard_normal((1, 1, 1500)).cumsum(2), "1e-3max"
    for max_iter in (30, 300):
        coded = riata.conv_encode(x, atoms, reg, positive=False, tol=0, max_iter=max_iter)
        assert coded.n_updates[0] < 20_000 * max_iter
        reached = gap(x, coded.codes, atoms, float(reg[:-3]) * riata.conv_reg_max(x, atoms, positive=False), False, "valid")
        assert -1e-12 * (x**2).sum() <= coded.gap[0] - reached[0] <= 1e-10 * (x**2).sum()  # with what rounding may hide
    assert coded.gap[0] <= 1e-5 * 0.5 * (x**2).sum()


X, U, V, _ = planted(n_trials=1)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: riata.conv_encode(X[0, 0], V, 0.1), "conv_encode: X has shape (400,), expected (n_trials, n_channels, n_times)"),
        (lambda: riata.conv_encode(X, V, 0.1), "atoms have shape (4, 1, 25), expected (n_atoms, 3, n_times_atom), as X has channels"),
        (lambda: riata.conv_encode(X, (U[:, :2], V), 0.1), "u has shape (4, 2) and v (4, 25), expected (n_atoms, 3), as X has channels"),
        (lambda: riata.conv_encode(X[:, :, :20], (U, V), 0.1), "signals have 20 samples, must have at least 25, as kernels have"),
        (lambda: riata.conv_encode(X, (U, V), 0.1, boundary="same"), "boundary"),
        (lambda: riata.conv_encode(X, (U, V), 0.1, boundary="full", method="lgcd"), "method = 'lgcd' is for the boundaries"),
        (lambda: riata.conv_encode(X, (U, V), -1), "reg"),
        (lambda: riata.conv_encode(np.where(np.arange(400) == 7, np.nan, X), (U, V), 0.1), "holds nan"),
        (lambda: riata.conv_encode(X, (U, V), 0.1, output="coo"), "output = 'coo', must be 'dense' or 'csr'"),
        (lambda: riata.conv_decode(np.ones((1, 3, 5)), (U, V)), "Z has activations of 3 atoms, but there are 4"),
        (lambda: riata.conv_decode(np.ones((0, 4, 5)), (U, V)), "Z has shape (0, 4, 5) and holds no activations"),
        (lambda: riata.conv_decode(np.ones((1, 4, 5)), (U, V), boundary="full"), "Z has 5 positions, boundary 'full' has at least 25"),
        (lambda: riata.conv_decode(np.full((1, 4, 5), np.nan), (U, V)), "Z holds NaN or infinity"),
        (lambda: riata.conv_encode(X, (1e-160 * U, V), "0.1max"), "atom 0 has norm"),
        (lambda: riata.conv_decode(np.ones((1, 4, 5)), (U, V), n_times=5), "n_times = 5, must be 29 for 5 positions"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises((ValueError, TypeError)) as refused:
        call()
    assert sentence in str(refused.value)


def test_mixed_precisions_are_refused():
    with pytest.raises(TypeError, match="float32"):
        riata.conv_encode(X, (U.astype(np.float32), V), 0.1)


def test_the_beats_of_an_electrocardiogram_are_found():
    """One atom, the mean beat of the first minute: its activations are the beats of the rest."""
    path = SHARED / "ecg/mitdb100_2lead_first903s.npy"
    if not path.exists():
        pytest.skip("../shared/data is not there")
    rate = 360  # Hz
    recording = np.load(path, mmap_mode="r")[:, : 180 * rate].astype(float)
    recording -= np.median(recording, axis=1, keepdims=True)
    beats = np.loadtxt(path.with_name(path.stem + "_beats.csv"), delimiter=",", skiprows=1, usecols=0, dtype=float).astype(int)
    before, length = 40, 90
    first = [b for b in beats if before < b < 60 * rate]
    atom = np.mean([recording[:, b - before : b - before + length] for b in first], axis=0)
    coded = riata.conv_encode(recording[None], atom[None], "0.3max", tol=1e-4)
    assert coded.status[0] == "converged"
    found = np.flatnonzero(coded.codes[0, 0] > 0.2) + before
    peaks = found[np.r_[True, np.diff(found) > 0.2 * rate]]
    annotated = beats[(beats > before) & (beats < recording.shape[1] - length)]
    hit = [np.abs(peaks - b).min() <= 0.05 * rate for b in annotated]
    true = [np.abs(annotated - p).min() <= 0.05 * rate for p in peaks]
    assert np.mean(hit) >= 0.98
    assert np.mean(true) >= 0.98
