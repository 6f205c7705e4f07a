"""riata.mne against MNE-Python's own mixed-norm solver, on simulated fields of a sphere model. Skips where MNE is absent."""

import numpy as np
import pytest

mne = pytest.importorskip("mne", reason="MNE-Python is not installed (pip install 'riata[mne]')")

from mne.inverse_sparse import mixed_norm  # noqa: E402
from mne.surface import _get_ico_surface  # noqa: E402

import riata  # noqa: E402
import riata.mne  # noqa: E402

TRUE = {"left": 20, "right": 70}  # places among each hemisphere's vertices


def hemisphere(side):
    """Half of a sphere as a surface source space, in metres."""
    surface = _get_ico_surface(3)
    rr, nn, tris = 0.06 * surface["rr"], surface["rr"].copy(), surface["tris"]
    inside = rr[:, 0] < -0.005 if side == "left" else rr[:, 0] > 0.005
    inside &= rr[:, 2] > -0.02
    return dict(
        id=101 if side == "left" else 102, type="surf", coord_frame=5, rr=rr + [0, 0, 0.04], nn=nn, tris=tris,
        ntri=len(tris), use_tris=None, nuse_tri=0, np=len(rr), nuse=int(inside.sum()), inuse=inside.astype(int),
        vertno=np.flatnonzero(inside), nearest=None, nearest_dist=None, pinfo=None, patch_inds=None, dist=None,
        dist_limit=None, subject_his_id="sphere",
    )  # fmt: skip


@pytest.fixture(scope="module")
def head():
    """info, forward, noise covariance of single trials, and the average of 20 trials with two sources."""
    montage = mne.channels.make_standard_montage("standard_1020")
    info = mne.create_info(montage.ch_names, 200.0, "eeg")
    info.set_montage(montage)
    sphere = mne.make_sphere_model(r0=(0, 0, 0.04), head_radius=0.095, verbose=False)
    src = mne.SourceSpaces([hemisphere("left"), hemisphere("right")])
    trans = mne.Transform("head", "mri")
    forward = mne.make_forward_solution(info, trans, src, sphere, meg=False, eeg=True, verbose=False)
    fixed = mne.convert_forward_solution(forward, surf_ori=True, force_fixed=True, verbose=False)
    rng = np.random.default_rng(0)
    n = len(info.ch_names)
    A = rng.standard_normal((n, n))
    C = 1e-12 * (A @ A.T / n + 0.5 * np.eye(n))
    noise_cov = mne.Covariance(C, info.ch_names, [], [], nfree=1000)
    n_left, times = fixed["src"][0]["nuse"], np.arange(20) / 200
    G = fixed["sol"]["data"]
    wave = 60e-9 * np.stack([np.sin(2 * np.pi * 8 * times), np.cos(2 * np.pi * 6 * times)])
    data = G[:, [TRUE["left"], n_left + TRUE["right"]]] @ wave
    data += np.linalg.cholesky(C / 20) @ rng.standard_normal(data.shape)
    evoked = mne.EvokedArray(data, info, tmin=0.0, nave=20, verbose=False)
    evoked.set_eeg_reference(projection=True, verbose=False)
    return evoked, forward, noise_cov


def everywhere(estimate, forward):
    """The estimate on all vertices."""
    values = np.zeros((sum(s["nuse"] for s in forward["src"]), estimate.data.shape[1]))
    vertices = np.concatenate([np.isin(s["vertno"], v) for s, v in zip(forward["src"], estimate.vertices)])
    values[vertices] = estimate.data
    return values


@pytest.mark.parametrize("fraction", [0.8, 0.5, 0.2])
def test_the_group_penalty_agrees_with_mixed_norm(head, fraction):
    evoked, forward, noise_cov = head
    ours, result = riata.mne.sparse_inverse(
        evoked, forward, noise_cov, f"{fraction}max", tol=1e-14, return_result=True
    )
    theirs = mixed_norm(
        evoked, forward, noise_cov, alpha=100 * fraction, loose=0, depth=0.8, maxit=10000, tol=1e-12,
        n_mxne_iter=1, debias=False, solver="bcd", verbose=False,
    )  # fmt: skip
    assert result.status == "converged" and result.rank == len(evoked.ch_names) - 1
    for a, b in zip(ours.vertices, theirs.vertices):
        np.testing.assert_array_equal(a, b)
    a, b = everywhere(ours, forward), everywhere(theirs, forward)
    difference = np.linalg.norm(a - b) / np.linalg.norm(b)
    print(f"fraction {fraction}: {len(result.active)} sources, relative difference {difference:.2e}")
    assert difference < 1e-6
    assert (ours.tmin, ours.tstep) == pytest.approx((theirs.tmin, theirs.tstep))


def test_the_planted_sources_are_the_strongest(head):
    evoked, forward, noise_cov = head
    estimate = riata.mne.sparse_inverse(evoked, forward, noise_cov, "0.3max")
    strength = np.linalg.norm(everywhere(estimate, forward), axis=1)
    n_left = forward["src"][0]["nuse"]
    assert np.argmax(strength[:n_left]) == TRUE["left"]
    assert np.argmax(strength[n_left:]) == TRUE["right"]


def test_bad_channels_and_other_orders_make_no_difference(head):
    evoked, forward, noise_cov = head
    shuffled = evoked.copy().reorder_channels(evoked.ch_names[::-1])
    a, b = (riata.mne.sparse_inverse(e, forward, noise_cov, "0.5max", tol=1e-13) for e in (evoked, shuffled))
    np.testing.assert_allclose(a.data, b.data, atol=1e-6 * abs(a.data).max())
    bad = evoked.copy()
    bad.info["bads"] = [evoked.ch_names[3]]
    bad.data[3] = 1.0
    _, result = riata.mne.sparse_inverse(bad, forward, noise_cov, "0.5max", return_result=True)
    assert result.rank == len(evoked.ch_names) - 2


def test_bad_input_gets_a_sentence(head):
    evoked, forward, noise_cov = head
    with pytest.raises(TypeError, match="riata.mne.sparse_inverse: evoked is ndarray, expected mne.Evoked"):
        riata.mne.sparse_inverse(evoked.data, forward, noise_cov, 1.0)
    other = mne.Covariance(np.eye(1), ["Oz_"], [], [], nfree=1)
    with pytest.raises(ValueError, match="have no good channel in common"):
        riata.mne.sparse_inverse(evoked, forward, other, 1.0)
