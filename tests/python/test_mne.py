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


def refusal(*arguments, **options):
    with pytest.raises(ValueError) as refused:
        riata.mne.sparse_inverse(*arguments, **options)
    return str(refused.value)


@pytest.mark.parametrize("fraction", [0.5])
@pytest.mark.parametrize("kind", ["volume", "discrete", "discrete, fixed", "mixed"])
def test_other_source_spaces_agree_with_mixed_norm(head, kind, fraction):
    evoked, _, noise_cov = head
    forward = other_forward(evoked.info, kind)
    options = dict(depth=0.8, maxit=10000, tol=1e-12, n_mxne_iter=1, debias=False, solver="bcd", verbose=False)
    loose = 0.0 if "fixed" in kind else 1.0
    theirs = mixed_norm(evoked, forward, noise_cov, alpha=100 * fraction, loose=loose, **options)
    ours, result = riata.mne.sparse_inverse(
        evoked, forward, noise_cov, f"{fraction}max", tol=1e-13, return_result=True
    )
    assert type(ours) is type(theirs) and result.status == "converged"
    assert type(ours) is (mne.MixedSourceEstimate if kind == "mixed" else mne.VolSourceEstimate)
    for a, b in zip(ours.vertices, theirs.vertices, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(ours.data, theirs.data, atol=1e-5 * abs(theirs.data).max())
    assert len(result.sources) == forward["sol"]["data"].shape[1]
    if loose:
        assert "'group'" in refusal(evoked, forward, noise_cov, "0.5max", penalty="l1")


def other_forward(info, kind):
    sphere = mne.make_sphere_model(r0=(0, 0, 0.04), head_radius=0.095, verbose=False)
    if kind.startswith("discrete"):
        rng = np.random.default_rng(2)
        nn = rng.standard_normal((60, 3))
        nn /= np.linalg.norm(nn, axis=1, keepdims=True)
        rr = np.array([0, 0, 0.04]) + nn * rng.uniform(0.02, 0.06, (60, 1))
        src = mne.setup_volume_source_space(pos=dict(rr=rr, nn=nn[::-1]), verbose=False)
    else:
        src = mne.setup_volume_source_space(sphere=sphere, sphere_units="m", pos=25.0, verbose=False)
        if kind == "mixed":
            src = mne.SourceSpaces([hemisphere("left"), hemisphere("right")]) + src
    trans = mne.Transform("head", "mri")
    forward = mne.make_forward_solution(info, trans, src, sphere, meg=False, eeg=True, verbose=False)
    if "fixed" in kind:
        forward = mne.convert_forward_solution(forward, surf_ori=True, force_fixed=True, use_cps=False, verbose=False)
    return forward


def test_one_hemisphere_is_refused(head):
    evoked, forward, noise_cov = head
    one = forward.copy()
    one["src"] = forward["src"][:1]
    assert "one surface, expected both hemispheres" in refusal(evoked, one, noise_cov, 1.0)


def test_eeg_needs_an_average_reference_as_a_projection_as_for_mne(head):
    """A common offset of all electrodes says nothing of sources; without the reference it would be explained by some."""
    evoked, forward, noise_cov = head
    recorded = evoked.copy().del_proj()
    recorded.data += 50e-6
    assert "EEG without an average reference" in refusal(recorded, forward, noise_cov, "0.3max")
    custom = recorded.copy().set_eeg_reference(["Cz"], verbose=False)
    subtracted = recorded.copy().set_eeg_reference("average", projection=False, verbose=False)
    for other in (custom, subtracted):
        assert "custom EEG reference" in refusal(other, forward, noise_cov, "0.3max")
    for other in (recorded, custom, subtracted):
        with pytest.raises(ValueError):
            mixed_norm(other, forward, noise_cov, alpha=30, loose=0, verbose=False)
    projected = recorded.set_eeg_reference(projection=True, verbose=False)
    expected = riata.mne.sparse_inverse(evoked, forward, noise_cov, "0.3max", tol=1e-13)
    for applied in (projected, projected.copy().apply_proj(verbose=False)):  # the offset makes no difference
        ours = riata.mne.sparse_inverse(applied, forward, noise_cov, "0.3max", tol=1e-13)
        np.testing.assert_allclose(ours.data, expected.data, atol=1e-5 * abs(expected.data).max())


def test_a_reference_that_leaves_channels_out_is_refused(head):
    evoked, forward, noise_cov = head
    partial = evoked.copy().del_proj()
    few = partial.copy().pick(partial.ch_names[:20]).set_eeg_reference(projection=True, verbose=False)
    partial.add_proj(few.info["projs"], verbose=False)
    assert "EEG without an average reference" in refusal(partial, forward, noise_cov, "0.3max")
    few_channels = partial.copy().pick(partial.ch_names[:20])  # of which none is left out
    riata.mne.sparse_inverse(few_channels, forward, noise_cov, "0.5max")


def test_projections_of_the_noise_take_effect_as_for_mne(head):
    """Those of noise_cov alone, of evoked alone, and of both, applied or not."""
    evoked, forward, noise_cov = head
    rng = np.random.default_rng(3)
    vector = rng.standard_normal((1, len(evoked.ch_names)))
    vector /= np.linalg.norm(vector)
    data = dict(nrow=1, ncol=len(evoked.ch_names), row_names=None, col_names=evoked.ch_names, data=vector)
    ssp = mne.Projection(active=False, data=data, desc="an artefact", kind=1)
    of_noise = noise_cov.copy()
    of_noise["projs"] = [ssp]
    moved = evoked.copy()
    moved.data += 1e-4 * vector.T * np.sin(np.arange(20))
    own = moved.copy().add_proj(ssp, verbose=False)
    for e, c in ((moved, of_noise), (own, noise_cov), (own, of_noise), (own.copy().apply_proj(verbose=False), noise_cov)):
        ours, result = riata.mne.sparse_inverse(e, forward, c, "0.4max", tol=1e-14, return_result=True)
        theirs = mixed_norm(e, forward, c, alpha=40, loose=0, depth=0.8, maxit=10000, tol=1e-12, n_mxne_iter=1, debias=False,
                            solver="bcd", verbose=False)  # fmt: skip
        assert result.rank == len(evoked.ch_names) - 2
        np.testing.assert_array_equal(ours.vertices[0], theirs.vertices[0])
        np.testing.assert_allclose(ours.data, theirs.data, atol=1e-5 * abs(theirs.data).max())


def test_a_silent_source_of_a_forward_refuses_nothing(head):
    evoked, forward, noise_cov = head
    fixed = mne.convert_forward_solution(forward, surf_ori=True, force_fixed=True, verbose=False)
    silent = forward.copy()
    silent["_orig_sol"] = forward["_orig_sol"].copy()
    silent["_orig_sol"][:, 15:18] = 0
    estimate, result = riata.mne.sparse_inverse(evoked, silent, noise_cov, "0.3max", return_result=True)
    assert not result.sources[5].any() and 5 not in result.active
    expected = riata.mne.sparse_inverse(evoked, fixed, noise_cov, "0.3max")
    np.testing.assert_allclose(estimate.data, expected.data, atol=1e-3 * abs(expected.data).max())


def test_what_does_not_fit_together_is_refused(head):
    evoked, forward, noise_cov = head
    other = evoked.copy().del_proj()
    other.set_channel_types({evoked.ch_names[0]: "misc"}, verbose=False)
    assert f"channel {evoked.ch_names[0]} is of type 'misc' in evoked but 'eeg' in forward" in refusal(
        other, forward, noise_cov, 1.0
    )
    other = evoked.copy()
    other.nave = 0
    assert "evoked.nave = 0, must be > 0" in refusal(other, forward, noise_cov, 1.0)
    meg = mne.create_info(["MEG 1", "MEG 2"], 200.0, "mag")
    for info, grade in ((meg, "0"), (meg.copy(), "3")):
        for channel in info["chs"]:
            channel["coil_type"] = 5001 + (int(grade) << 16)
        assert riata.mne._compensation(info) == grade
    with pytest.raises(ValueError, match="evoked has compensation grade 3 but forward 0; they must be equal"):
        riata.mne._require_same_channels(info, meg)


def test_bad_input_gets_a_sentence(head):
    evoked, forward, noise_cov = head
    with pytest.raises(TypeError, match="riata.mne.sparse_inverse: evoked is ndarray, expected mne.Evoked"):
        riata.mne.sparse_inverse(evoked.data, forward, noise_cov, 1.0)
    other = mne.Covariance(np.eye(1), ["Oz_"], [], [], nfree=1)
    with pytest.raises(ValueError, match="have no good channel in common"):
        riata.mne.sparse_inverse(evoked, forward, other, 1.0)
