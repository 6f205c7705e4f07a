"""The M/EEG inverse problem: the gap recomputed from the arrays, planted sources, bad inputs, and a real recording."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import riata

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("RIATA_DATA", ROOT.parent / "shared" / "data")) / "meg_inverse"


def recording(seed=0, n_orient=1, n_sources=40, n_times=12):
    """Magnetometers and gradiometers in their units, three sources, correlated noise."""
    rng = np.random.default_rng(seed)
    n = 24
    G = rng.standard_normal((n, n_sources * n_orient)) + 0.5 * rng.standard_normal((n, 1))
    A = rng.standard_normal((n, n))
    C = 1e-3 * (A @ A.T / n + 0.3 * np.eye(n))
    M = np.linalg.cholesky(C) @ rng.standard_normal((n, n_times))
    for s in (3, 17, 31):
        M += G[:, s * n_orient : (s + 1) * n_orient] @ rng.standard_normal((n_orient, n_times))
    types = ["mag" if i % 3 == 0 else "grad" for i in range(n)]
    unit = np.where(np.array(types) == "mag", 1e-15, 1e-13)
    return unit[:, None] * M, unit[:, None] * G, np.outer(unit, unit) * C, types


def gap_by_hand(M, G, result, depth, penalty, n_orient=1):
    """Primal minus dual, from M, G, W and the sources."""
    X, D = result.whitener @ M, result.whitener @ G
    w = np.linalg.norm(D.reshape(len(D), -1, n_orient), axis=(0, 2)) ** depth
    np.testing.assert_allclose(w, result.depth_weights, rtol=1e-12)
    w = np.repeat(w, n_orient)
    D, Z = D / w, w[:, None] * result.sources
    R = X - D @ Z
    C = D.T @ R
    if penalty == "l1":
        s = np.minimum(1, result.reg / np.abs(C).max(axis=0))
        value = np.abs(Z).sum()
    else:
        s = min(1, result.reg / np.linalg.norm(C.reshape(-1, n_orient * C.shape[1]), axis=1).max())
        value = np.linalg.norm(Z.reshape(-1, n_orient * Z.shape[1]), axis=1).sum()
    primal = 0.5 * np.sum(R**2) + result.reg * value
    return primal - 0.5 * (np.sum(X**2) - np.sum((X - s * R) ** 2)), 0.5 * np.sum(X**2)


@pytest.mark.parametrize("penalty, n_orient", [("l1", 1), ("group", 1), ("group", 3)])
@pytest.mark.parametrize("depth", [0.0, 0.8])
def test_the_gap_is_that_of_the_definition(penalty, n_orient, depth):
    for seed in range(5):
        M, G, C, types = recording(seed, n_orient)
        result = riata.sparse_inverse(
            M, G, C, "0.2max", depth, penalty, n_orient=n_orient, channel_types=types, tol=1e-11
        )
        gap, scale = gap_by_hand(M, G, result, depth, penalty, n_orient)
        assert gap <= 1e-10 * scale
        assert abs(gap - result.gap) <= 1e-12 * scale
        assert result.gap_rel == pytest.approx(result.gap / scale)
        assert (result.status, result.rank) == ("converged", 24)
        assert result.sources.shape == (40 * n_orient, 12)


def test_planted_sources_are_found_and_explain_the_fields():
    M, G, C, types = recording(7)
    result = riata.sparse_inverse(M, G, C, "0.05max", channel_types=types)
    assert {3, 17, 31} <= set(result.active.tolist())
    strongest = np.argsort(-np.linalg.norm(result.sources, axis=1))[:3]
    assert set(strongest.tolist()) == {3, 17, 31}
    for name in ("mag", "grad"):
        rows = np.array(types) == name
        assert np.linalg.norm((M - G @ result.sources)[rows]) < 0.3 * np.linalg.norm(M[rows])


def test_channel_types_may_be_numbers_and_arrays_single():
    M, G, C, types = recording(8)
    by_name = riata.sparse_inverse(M, G, C, "0.3max", channel_types=types)
    by_number = riata.sparse_inverse(M, G, C, "0.3max", channel_types=[0 if t == "mag" else 1 for t in types])
    np.testing.assert_array_equal(by_name.sources, by_number.sources)
    single = riata.sparse_inverse(M.astype(np.float32), G, C, "0.3max", channel_types=types)
    assert single.sources.dtype == np.float64
    np.testing.assert_allclose(single.sources, by_name.sources, atol=1e-4 * abs(by_name.sources).max())


def test_each_instant_by_itself_is_the_lasso_of_encode():
    M, G, C, types = recording(9)
    result = riata.sparse_inverse(M, G, C, "0.3max", penalty="l1", channel_types=types, tol=1e-13)
    W = riata.whitener(C, types)
    np.testing.assert_array_equal(W, result.whitener)
    D = W @ G / result.depth_weights
    assert result.reg == pytest.approx(0.3 * abs(D.T @ W @ M).max())
    codes = riata.encode((W @ M).T, D.T, result.reg, tol=1e-13).codes
    np.testing.assert_allclose(codes.T / result.depth_weights[:, None], result.sources, atol=1e-6 * abs(result.sources).max())


@pytest.mark.parametrize("penalty, n_orient", [("l1", 1), ("group", 1), ("group", 3)])
def test_a_silent_source_has_no_amplitude_and_refuses_nothing(penalty, n_orient):
    M, G, C, types = recording(11, n_orient)
    silent = slice(5 * n_orient, 6 * n_orient)
    options = dict(penalty=penalty, n_orient=n_orient, channel_types=types, tol=1e-13)
    result = riata.sparse_inverse(M, changed(G, (slice(None), silent), 0), C, "0.2max", **options)
    without = riata.sparse_inverse(M, np.delete(G, silent, axis=1), C, "0.2max", **options)
    assert result.status == "converged" and not result.sources[silent].any() and result.depth_weights[5] == 0
    np.testing.assert_allclose(
        np.delete(result.sources, silent, axis=0), without.sources, atol=1e-5 * abs(without.sources).max()
    )


def test_reg_max_gives_no_source():
    M, G, C, types = recording(10)
    for penalty in ("l1", "group"):
        result = riata.sparse_inverse(M, G, C, "1max", penalty=penalty, channel_types=types)
        assert result.active.size == 0 and not result.sources.any()
        assert riata.sparse_inverse(M, G, C, 0.99 * result.reg, penalty=penalty, channel_types=types).active.size


def test_joint_codes_share_their_support_and_are_certified():
    problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=15)
    for dtype, tol in ((np.float64, 1e-10), (np.float32, 1e-5)):
        X, D = problem.signals.astype(dtype), problem.dictionary.astype(dtype)
        result = riata.joint_encode(X, D, "0.3max", tol=tol)
        assert result.codes.dtype == dtype and result.codes.shape == (15, 40)
        Z, X64, D64 = (a.astype(np.float64) for a in (result.codes, X, D))
        R = X64 - Z @ D64
        correlations = np.linalg.norm(D64 @ R.T, axis=1)
        s = min(1, result.reg / correlations.max())
        primal = 0.5 * np.sum(R**2) + result.reg * np.linalg.norm(Z, axis=0).sum()
        gap = primal - 0.5 * (np.sum(X64**2) - np.sum((X64 - s * R) ** 2))
        assert gap <= tol * 0.5 * np.sum(X64**2)
        assert riata.joint_certificate(X, D, result.codes, result.reg) == pytest.approx((primal, result.gap))
        assert result.reg == pytest.approx(0.3 * riata.joint_reg_max(X, D))
        assert result.reg == pytest.approx(0.3 * np.linalg.norm(D64 @ X64.T, axis=1).max())


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


M, G, C = np.ones((4, 3)), np.arange(1.0, 25.0).reshape(4, 6), np.eye(4)
BAD = [
    (dict(M=M[:3]), "G has shape (4, 6) but M has 3 channels; expected (3, n_sources)"),
    (dict(M=M[0]), "M has shape (3,), expected (n_channels, n_times)"),
    (dict(noise_cov=np.eye(3)), "noise_cov has shape (3, 3), expected (4, 4), a row and a column per channel"),
    (dict(noise_cov=np.ones(4)), "noise_cov has shape (4,), expected (n_channels, n_channels)"),
    (dict(noise_cov=changed(C, (0, 2), 0.1)), "noise_cov is not symmetric: entry (2, 0) is 0 but (0, 2) is 0.1"),
    (dict(noise_cov=C + 2 * (np.eye(4)[::-1])), "noise_cov is not positive semidefinite"),
    (dict(noise_cov=changed(C, (1, 1), -1)), "noise_cov: channel 1 has the variance -1, must be >= 0"),
    (dict(noise_cov=0 * C), "noise_cov: all variances of channel type 'all channels' are 0; leave these channels out"),
    (dict(noise_cov=changed(C, (0, 0), np.nan)), "noise_cov holds nan at channel 0, channel 0; expected finite numbers"),
    (dict(G=0 * G), "no channel sees any of the 6 sources of G: each is zero, or lies in the null space of noise_cov"),
    (dict(G=changed(G, (1, 2), np.inf)), "G holds inf at column 2, channel 1; expected finite numbers"),
    (dict(M=changed(M, (1, 0), np.nan)), "M holds nan at instant 0, channel 1; expected finite numbers"),
    (dict(reg=0.0), "reg = 0, must be > 0 and finite"),
    (dict(reg="half"), "reg = 'half' is neither a number nor a fraction of reg_max such as 0.1max"),
    (dict(reg=np.ones(3)), "reg: sparse_inverse takes one weight for all instants, not one per instant"),
    (dict(M=0 * M, reg="0.5max"), "so a fraction of it is no weight"),
    (dict(depth=-0.1), "depth = -0.1, must be between 0 and 1"),
    (dict(depth=2), "depth = 2, must be between 0 and 1"),
    (dict(penalty="l2"), "penalty = 'l2', must be 'l1' or 'group'"),
    (dict(n_orient=2), "n_orient = 2, must be 1 (fixed orientation) or 3 (free)"),
    (dict(n_orient=3, penalty="l1"), "n_orient = 3 is for penalty = 'group'"),
    (dict(G=G[:, :4], n_orient=3), "G has 4 columns, no multiple of n_orient = 3"),
    (dict(channel_types=["mag"]), "channel_types has 1 entries for 4 channels; they must be equal"),
    (dict(rank_tol=0), "rank_tol = 0, must be between 0 and 1"),
    (dict(tol=-1), "tol = -1, must be >= 0 and finite"),
    (dict(max_iter=0), "max_iter = 0, must be >= 1"),
]


@pytest.mark.parametrize("change, sentence", BAD, ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_bad_input_gets_a_sentence(change, sentence):
    with pytest.raises(ValueError) as refused:
        riata.sparse_inverse(**(dict(M=M, G=G, noise_cov=C, reg=1.0) | change))
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (dict(M=M + 1j), "sparse_inverse: M holds complex128; expected float32 or float64"),
        (dict(reg=None), "sparse_inverse: reg = None, must be a number"),
        (dict(penalty=1), "sparse_inverse: penalty = 1, must be a string"),
        (dict(depth="much"), "sparse_inverse: depth = 'much', must be a number"),
        (dict(channel_types="mag"), "sparse_inverse: channel_types = 'mag', must be one name per channel"),
    ],
)
def test_a_wrong_type_gets_a_sentence(change, sentence):
    with pytest.raises(TypeError) as refused:
        riata.sparse_inverse(**(dict(M=M, G=G, noise_cov=C, reg=1.0) | change))
    assert sentence in str(refused.value)


def test_the_whitened_baseline_of_a_real_recording_has_variance_one():
    """The covariance lacks 3 projected directions that the averages still hold: dropped wrongly, artefacts pass and the
    variance exceeds 1.8."""
    if not (DATA / "evoked_4cond_meg_eeg.npy").exists():
        pytest.skip(f"the recording is not in {DATA} (set RIATA_DATA)")
    about = json.loads((DATA / "evoked_4cond_meg_eeg.json").read_text())
    types = np.array(about["channel_types"])
    good = ~np.isin(about["channels"], about["bad_channels"])
    evoked = np.load(DATA / "evoked_4cond_meg_eeg.npy").astype(float)
    noise_cov = np.load(DATA / "noise_cov_meg_eeg.npy")
    baseline = about["tmin_s"] + np.arange(evoked.shape[2]) / about["sfreq"] < 0
    chosen = good & (types != "eeg")
    for fields, n_trials in zip(evoked, about["facts"]["nave"]):
        W = riata.whitener(noise_cov[np.ix_(chosen, chosen)] / n_trials, list(types[chosen]))
        assert len(W) == chosen.sum() - 3
        assert 0.8 <= np.mean((W @ fields[np.ix_(chosen, baseline)]) ** 2) <= 1.5
    # EEG is recorded against a reference, whose noise the covariance does not hold: the average reference is projected
    # out of the covariance, and whitening takes it from the data.
    chosen = good & (types == "eeg")
    P = np.eye(chosen.sum()) - 1 / chosen.sum()
    for fields, n_trials in zip(evoked, about["facts"]["nave"]):
        W = riata.whitener(P @ noise_cov[np.ix_(chosen, chosen)] @ P / n_trials)
        assert len(W) == chosen.sum() - 1
        assert 0.8 <= np.mean((W @ fields[np.ix_(chosen, baseline)]) ** 2) <= 1.5
