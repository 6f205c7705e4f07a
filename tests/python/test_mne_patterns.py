"""riata.mne.ConvolutionalDictionary on a simulated EEG of known sources, blinks and heartbeats. Skips where MNE is absent."""

import re

import numpy as np
import pytest

mne = pytest.importorskip("mne", reason="MNE-Python is not installed (pip install 'riata[mne]')")

import riata  # noqa: E402
import riata.mne  # noqa: E402
from riata.mne import ConvolutionalDictionary, read_convolutional_dictionary  # noqa: E402

RATE = 64.0
NAMES = ["Fp1", "Fp2", "F7", "F8", "C3", "Cz", "C4", "O1", "O2"]
K = 3
FAST = dict(n_components=K, atom_duration=0.5, reg="0.1max", max_iter=60)


def montage():
    known = mne.channels.get_builtin_montages()
    return mne.channels.make_standard_montage("colin27_1020" if "colin27_1020" in known else "standard_1020")


def leadfield(rng):
    """Fields of 40 sources under the scalp, of both eyes and of one far below, with the average as reference."""
    info = mne.create_info(NAMES, RATE, "eeg").set_montage(montage())
    sphere = mne.make_sphere_model(r0=(0, 0, 0.04), head_radius=0.095, verbose=False)
    nn = rng.standard_normal((40, 3))
    nn[:, 2] = np.abs(nn[:, 2])
    nn /= np.linalg.norm(nn, axis=1, keepdims=True)
    rr = np.r_[[0, 0, 0.04] + 0.065 * nn, [[0.025, 0.07, 0.015], [-0.025, 0.07, 0.015], [0, -0.01, -0.03]]]
    nn = np.r_[nn, [[0, 0.8, 0.6], [0, 0.8, 0.6], [0.3, 0.4, -0.87]]]
    nn /= np.linalg.norm(nn, axis=1, keepdims=True)
    src = mne.setup_volume_source_space(pos=dict(rr=rr, nn=nn), verbose=False)
    forward = mne.make_forward_solution(info, mne.Transform("head", "mri"), src, sphere, meg=False, eeg=True, verbose=False)
    G = np.einsum("cso,so->cs", forward["sol"]["data"].reshape(len(NAMES), -1, 3), nn)
    return G - G.mean(axis=0)


class Simulated:
    """Volts. `raw` is the sum of brain, blinks and hearts, with an EOG and an ECG channel."""

    def __init__(self, seconds=40, seed=0):
        rng = np.random.default_rng(seed)
        G = leadfield(rng)
        n = int(seconds * RATE)
        courses = rng.standard_normal((40, n))
        courses = np.array([np.convolve(c, np.exp(-np.arange(20) / 3.2), "same") for c in courses])
        courses[0] += (
            5 * np.maximum(0, np.sin(2 * np.pi * 0.2 * np.arange(n) / RATE)) * np.sin(2 * np.pi * 10 * np.arange(n) / RATE)
        )
        brain = G[:, :40] @ courses
        brain = mne.filter.filter_data(8e-6 * brain / brain.std(), RATE, 1.0, None, verbose=False)
        self.brain = brain + 1e-6 * rng.standard_normal(brain.shape)
        self.blink_times, blinks = self._train(
            rng, np.hanning(24)[1:-1] ** 1.5, rng.uniform(1.5, 3.5, n), rng.uniform(0.7, 1.3, n), n
        )
        x = np.linspace(-1, 1, 9)
        beat = (1 - 6 * x**2) * np.exp(-9 * x**2)
        self.beat_times, beats = self._train(rng, beat - beat.mean(), rng.normal(0.85, 0.05, n), rng.uniform(0.9, 1.1, n), n)
        self.eye, self.heart = (field / np.abs(field).max() for field in (G[:, 40] + G[:, 41], G[:, 42]))
        self.blinks, self.hearts = 150e-6 * np.outer(self.eye, blinks), 90e-6 * np.outer(self.heart, beats)
        eog = 200e-6 * blinks + 10e-6 * rng.standard_normal(n)
        ecg = 1e-3 * beats + 3e-5 * rng.standard_normal(n)
        info = mne.create_info([*NAMES, "EOG", "ECG"], RATE, ["eeg"] * len(NAMES) + ["eog", "ecg"]).set_montage(montage())
        with info._unlock():
            info["highpass"] = 1.0
        self.raw = mne.io.RawArray(np.vstack([self.brain + self.blinks + self.hearts, eog, ecg]), info, verbose=False)

    @staticmethod
    def _train(rng, shape, gaps, sizes, n):
        """The peaks' samples, and shape * sizes at them."""
        times = (np.cumsum(gaps) * RATE).astype(int)
        times = times[(times > len(shape)) & (times < n - 2 * len(shape))]
        spikes = np.zeros(n)
        spikes[times] = sizes[: len(times)]
        return times, np.convolve(spikes, shape, "same")


@pytest.fixture(scope="module")
def simulated():
    return Simulated()


@pytest.fixture(scope="module")
def fitted(simulated):
    model = ConvolutionalDictionary(**FAST).fit(simulated.raw, verbose=False)
    model.find_bads_eog(simulated.raw)
    model.find_bads_ecg(simulated.raw)
    return model


def cosine(a, b):
    return abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b)


def test_blinks_and_heartbeats_are_found(simulated, fitted):
    eog, ecg = fitted.labels_["eog"], fitted.labels_["ecg"]
    fields = fitted.get_components().T
    print(eog, ecg, [cosine(f, simulated.eye) for f in fields], [cosine(f, simulated.heart) for f in fields])
    assert eog and ecg and not set(eog) & set(ecg)
    assert fitted.labels_["eog/0/EOG"] == eog and fitted.labels_["ecg/0/ECG"] == ecg
    assert cosine(fields[eog[0]], simulated.eye) > 0.99
    assert cosine(fields[ecg[0]], simulated.heart) > 0.9
    _, by_channel = fitted.copy().find_bads_eog(simulated.raw, ch_name=["EOG", "Fp1"])
    assert len(by_channel) == 2 and np.argmax(by_channel[1]) == eog[0]
    noise = simulated.raw.copy()
    noise._data[-2] = np.random.default_rng(3).standard_normal(noise.n_times)
    other = fitted.copy()
    found, scores = other.find_bads_eog(noise)
    assert not found and np.all(np.abs(scores) < 0.2)


def shares(simulated, cleaned):
    """The artefacts' variance that is left, and the share of the rest's that was removed: <removed, rest> / <rest, rest>, by least
    squares on the parts."""
    removed = simulated.raw.get_data("eeg") - cleaned.get_data("eeg")
    artefacts = simulated.blinks + simulated.hearts
    parts = np.stack([simulated.blinks.ravel(), simulated.hearts.ravel(), simulated.brain.ravel()], axis=1)
    coefficients = np.linalg.lstsq(parts, removed.ravel(), rcond=None)[0]
    return np.sum((removed - artefacts) ** 2) / np.sum(artefacts**2), coefficients


def test_apply_removes_the_artefacts_and_little_else(simulated, fitted):
    model = fitted.copy()
    model.exclude = model.labels_["eog"]
    raw = simulated.raw.copy()
    cleaned = model.apply(raw, exclude=model.labels_["ecg"], verbose=False)
    assert cleaned is raw
    left, (of_blinks, of_hearts, of_rest) = shares(simulated, cleaned)
    print(f"left {left:.3f}, removed: {of_blinks:.3f} of blinks, {of_hearts:.3f} of heartbeats, {of_rest:.3f} of the rest")
    assert left < 0.1 and of_rest < 0.05
    assert of_blinks > 0.9 and of_hearts > 0.7
    np.testing.assert_array_equal(cleaned.get_data(["EOG", "ECG"]), simulated.raw.get_data(["EOG", "ECG"]))
    without_eyes = model.apply(simulated.raw.copy(), verbose=False)
    keep = np.setdiff1d(np.arange(model.n_components_), model.labels_["eog"])
    kept = model.apply(simulated.raw.copy(), include=keep, verbose=False)
    np.testing.assert_array_equal(kept.get_data(), without_eyes.get_data())
    untouched = fitted.apply(simulated.raw.copy(), verbose=False)
    np.testing.assert_array_equal(untouched.get_data(), simulated.raw.get_data())


@pytest.mark.long
@pytest.mark.parametrize("data", [0, 1])
def test_apply_from_other_seeds(data):
    longer = Simulated(seconds=90, seed=data)
    for seed in range(4):
        options = FAST | dict(atom_duration=0.6, random_state=seed)
        model = ConvolutionalDictionary(**options).fit(longer.raw, verbose=False)
        eog, ecg = model.find_bads_eog(longer.raw)[0], model.find_bads_ecg(longer.raw)[0]
        assert cosine(model.get_components()[:, eog[0]], longer.eye) > 0.99
        assert cosine(model.get_components()[:, ecg[0]], longer.heart) > 0.98
        left, coefficients = shares(longer, model.apply(longer.raw.copy(), exclude=eog + ecg, verbose=False))
        print(data, seed, eog, ecg, f"left {left:.3f}", coefficients)
        assert left < 0.12 and coefficients[2] < 0.06


def test_sources_and_atoms_make_what_is_removed_and_explained(simulated, fitted):
    sources = fitted.get_sources(simulated.raw, add_channels=["EOG"])
    assert sources.ch_names == [*(f"CDL00{k}" for k in range(K)), "EOG"] and sources.n_times == simulated.raw.n_times
    z, atoms = sources.get_data()[:K], fitted.get_patterns_in_time()
    L = atoms.shape[2]
    assert not z[:, -L + 1 :].any() and (z >= 0).all()
    made = sum(np.array([np.convolve(z[k], atoms[k, c])[: len(z[k])] for c in range(len(NAMES))]) for k in range(K))
    x = simulated.raw.get_data("eeg")
    cleaned = fitted.apply(simulated.raw.copy(), exclude=range(K), min_amplitude=None, verbose=False).get_data("eeg")
    np.testing.assert_allclose(cleaned, x - made, atol=1e-12 * np.abs(x).max())
    centred = x - x.mean(axis=1, keepdims=True)
    expected = 1 - np.sum((centred - made) ** 2) / np.sum(centred**2)
    assert fitted.get_explained_variance_ratio(simulated.raw) == {"eeg": pytest.approx(expected, rel=1e-9)}
    np.testing.assert_allclose(fitted.get_components()[:, 1:2] * fitted.v_[1], atoms[1], atol=1e-12 * np.abs(atoms).max())
    whitened = (x - fitted.mean_) / fitted.pre_whitener_
    direct = riata.conv_encode(whitened[np.newaxis], (fitted.u_, fitted.v_), fitted.reg_, tol=fitted.tol).codes[0]
    np.testing.assert_allclose(z[:, : 1 - L], direct, atol=0.02 * np.abs(direct).max())
    part = fitted.get_sources(simulated.raw, start=5.0, stop=20.0)
    assert part.n_times == 15 * RATE and part.first_samp == 5 * RATE


def test_events_are_annotated_where_they_were_planted(simulated, fitted):
    raw = simulated.raw.copy().set_meas_date(1e9)
    raw.set_annotations(mne.Annotations(1.0, 0.1, "note"))
    raw.crop(2.0)  # first_samp > 0
    k = fitted.labels_["eog"][0]
    events = fitted.to_annotations(raw, k)
    assert set(events.description) == {f"CDL{k:03d}"} and np.allclose(events.duration, 0.5, atol=0.02)
    raw.set_annotations(raw.annotations + events)
    peak = np.argmax(fitted.v_[k] ** 2)
    found = mne.events_from_annotations(raw, verbose=False)[0][:, 0] + peak
    planted = simulated.blink_times[simulated.blink_times > 2.5 * RATE]
    near = [np.abs(found - time).min() for time in planted]
    print(len(found), len(planted), near)
    assert np.mean(np.array(near) <= 0.1 * RATE) > 0.9


def test_a_file_that_is_not_loaded_gives_the_same_bits(simulated, tmp_path):
    path = tmp_path / "x_raw.fif"
    simulated.raw.save(path, fmt="double", verbose=False)
    models = []
    for preload in (False, True):
        raw = mne.io.read_raw_fif(path, preload=preload, verbose=False)
        models.append(ConvolutionalDictionary(2, 0.5, max_iter=3, n_layers=5).fit(raw, verbose=False))
        assert raw.preload is preload
    one, other = models
    for name in ("u_", "v_", "pre_whitener_", "mean_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.get_sources(raw).get_data(), other.get_sources(simulated.raw).get_data())


def test_no_more_than_a_window_is_read_at_a_time(simulated, tmp_path, monkeypatch):
    path = tmp_path / "x_raw.fif"
    simulated.raw.save(path, fmt="double", verbose=False)
    raw = mne.io.read_raw_fif(path, verbose=False)
    read, sizes = mne.io.BaseRaw._read_segment, []

    def counted(self, start=0, stop=None, sel=None, *arguments, **options):
        data = read(self, start, stop, sel, *arguments, **options)
        sizes.append(data.size)
        return data

    monkeypatch.setattr(mne.io.BaseRaw, "_read_segment", counted)
    monkeypatch.setattr(riata._mne_recordings, "PIECE", 640)
    ConvolutionalDictionary(2, 0.5, max_iter=3, n_layers=5).fit(raw, verbose=False)
    assert len(sizes) > 30 and max(sizes) <= 20 * 32 * len(NAMES) <= 0.25 * raw.n_times * len(NAMES)


def test_pieces_of_long_recordings_fit_together(simulated, fitted, monkeypatch):
    whole = fitted.get_sources(simulated.raw).get_data()
    monkeypatch.setattr(riata._mne_patterns, "PIECE", 1)
    pieces = fitted.get_sources(simulated.raw).get_data()
    assert not np.array_equal(whole, pieces)
    difference = np.linalg.norm(whole - pieces) / np.linalg.norm(whole)
    print(f"relative difference {difference:.2e}")
    a, b = (m.apply(simulated.raw.copy(), exclude=[0], verbose=False).get_data("eeg") for m in (fitted, fitted))
    np.testing.assert_array_equal(a, b)
    assert difference < 0.05


def test_threads_make_no_difference(simulated):
    options = dict(n_components=2, atom_duration=0.5, max_iter=3, n_layers=5)
    one, two = (ConvolutionalDictionary(**options, n_jobs=n).fit(simulated.raw, verbose=False) for n in (1, 2))
    np.testing.assert_array_equal(one.atoms_, two.atoms_)
    a, b = (m.apply(simulated.raw.copy(), exclude=[0], verbose=False).get_data() for m in (one, two))
    np.testing.assert_array_equal(a, b)


def test_without_an_ecg_channel_magnetometers_tell_the_heartbeats(simulated, fitted):
    raw = simulated.raw.copy().drop_channels(["ECG"])
    with pytest.raises(ValueError, match="inst has no channel of type 'ecg'; name one to compare with"):
        fitted.find_bads_ecg(raw)
    beats = mne.io.RawArray(1e-9 * simulated.raw.get_data("ecg"), mne.create_info(["M1"], RATE, "mag"), verbose=False)
    model = fitted.copy()
    found, _ = model.find_bads_ecg(raw.add_channels([beats], force_update_info=True))
    assert found == fitted.labels_["ecg"] and model.labels_["ecg/0/ECG-MAG"] == found


def test_nothing_depends_on_the_unit(simulated):
    options = dict(n_components=2, atom_duration=0.5, max_iter=3, n_layers=5)
    volts = simulated.raw.copy().pick("eeg")
    micro = volts.copy().apply_function(lambda x: 2.0**20 * x, verbose=False)
    a, b = (ConvolutionalDictionary(**options).fit(raw, verbose=False) for raw in (volts, micro))
    np.testing.assert_allclose(a.atoms_, b.atoms_, rtol=1e-9)
    np.testing.assert_allclose(2.0**20 * a.get_components(), b.get_components(), rtol=1e-9)
    types = dict.fromkeys(NAMES[:4], "mag") | dict.fromkeys(NAMES[4:], "grad")
    mixed = volts.copy().set_channel_types(types, verbose=False, on_unit_change="ignore")
    mixed._data[4:] *= 1e-10
    model = ConvolutionalDictionary(**options).fit(mixed, verbose=False)
    centred = mixed.get_data() - mixed.get_data().mean(axis=1, keepdims=True)
    np.testing.assert_allclose(model.pre_whitener_[:4], centred[:4].std(), rtol=1e-9)
    np.testing.assert_allclose(model.pre_whitener_[4:], centred[4:].std(), rtol=1e-9)
    assert set(model.get_explained_variance_ratio(mixed)) == {"mag", "grad"}
    assert set(model.get_explained_variance_ratio(mixed, components=0, ch_type="grad")) == {"grad"}


def test_bad_spans_and_channels_are_never_learned_from(simulated):
    """What lies in them makes no difference, be it NaN."""
    options = dict(n_components=2, atom_duration=0.5, max_iter=3, n_layers=5)
    raw = simulated.raw.copy()
    raw.set_annotations(mne.Annotations([3.0, 20.0], [2.0, 0.5], ["bad_moves", "BAD"]))
    raw.info["bads"] = ["F7"]
    spoilt = raw.copy()
    spoilt._data[:, int(3 * RATE) : int(5 * RATE)] = 1.0
    spoilt._data[:, int(20 * RATE) : int(20.5 * RATE)] = np.nan
    spoilt._data[2] = np.nan
    a, b = (ConvolutionalDictionary(**options).fit(r, verbose=False) for r in (raw, spoilt))
    assert a.ch_names == [name for name in NAMES if name != "F7"]
    np.testing.assert_array_equal(a.atoms_, b.atoms_)
    np.testing.assert_array_equal(a.pre_whitener_, b.pre_whitener_)
    assert a.n_samples_ == b.n_samples_ == pytest.approx(raw.n_times - 2.5 * RATE, abs=3)
    with pytest.raises(ValueError, match="channel Fp1 is NaN or infinite at sample 1280; expected finite numbers"):
        ConvolutionalDictionary(**options).fit(spoilt, reject_by_annotation=False, verbose=False)
    with pytest.raises(ValueError, match="get_sources: channel Fp1 is NaN or infinite at sample 1280"):
        b.get_sources(spoilt)


def test_segments_beyond_the_limits_are_dropped(simulated):
    options = dict(n_components=2, atom_duration=0.5, max_iter=3, n_layers=5)
    raw = simulated.raw.copy()
    raw._data[1, 700] = 0.01
    model = ConvolutionalDictionary(**options).fit(raw, reject=dict(eeg=5e-3), tstep=1.0, verbose=False)
    assert model.drop_inds_ == [(640, 704)] and model.n_samples_ == raw.n_times - 64
    assert model.pre_whitener_[0] < 1e-4
    raw._data[1, 700] = 0
    raw._data[3, 64:128] = 0
    model = ConvolutionalDictionary(**options).fit(raw, flat=dict(eeg=1e-9), tstep=1.0, verbose=False)
    assert model.drop_inds_ == [(64, 128)]
    with pytest.raises(ValueError, match="reject is of 'mag', must be of the types fitted: eeg"):
        ConvolutionalDictionary(**options).fit(raw, reject=dict(mag=1.0), verbose=False)


def test_trials_cover_thegood_spans():
    """Every sample of spans that are long enough lies in a trial, none beside them."""
    from riata._mne_recordings import Segments, Trials

    n = 5000
    raw = mne.io.RawArray(np.arange(n, dtype=float)[np.newaxis], mne.create_info(1, RATE, "eeg"), verbose=False)
    for spans in (
        [(0, n)],
        [(0, 1000), (1200, 1900), (2000, 5000)],
        [(10 * i, 10 * i + 9) for i in range(500)],
        [(0, 120), (200, 5000)],
    ):
        trials = Trials(Segments(raw, [0], spans), np.zeros((1, 1)), np.ones((1, 1)), 8, 1, None)
        seen = np.zeros(n, bool)
        for trial in range(trials.shape[0]):
            samples = trials.read(trial, 0, trials.shape[2])[0].astype(int)
            assert np.all(np.diff(samples) == 1)
            assert any(a <= samples[0] and samples[-1] < b for a, b in spans)
            seen[samples] = True
        good = sum(b - a for a, b in spans)
        assert seen.sum() >= 0.9 * good and (len(spans) > 1 or trials.shape == (1, 1, n))


def test_seams_of_joined_recordings_are_in_no_trial(simulated):
    from riata._mne_recordings import good_spans

    raw = mne.concatenate_raws(
        [simulated.raw.copy().crop(0, 10, include_tmax=False), simulated.raw.copy().crop(20, 30)], verbose=False
    )
    assert good_spans(raw, 0, raw.n_times) == [(0, 640), (640, raw.n_times)]
    noted = simulated.raw.copy().set_annotations(mne.Annotations([1.0, 2.0], [0.1, 0.1], ["note", "not bad"]))
    assert good_spans(noted, 10, 700) == [(10, 700)]


def test_decim_learns_from_fewer_samples_and_interpolates(simulated):
    raw = simulated.raw.copy().filter(None, 14.0, verbose=False)
    options = dict(FAST, n_components=2, reg="0.1max")
    fine, coarse = (ConvolutionalDictionary(**options).fit(raw, decim=d, verbose=False) for d in (None, 2))
    assert coarse.n_samples_ == fine.n_samples_ / 2
    assert coarse.v_.shape[1] == pytest.approx(fine.v_.shape[1], abs=1) and coarse.info["sfreq"] == RATE
    np.testing.assert_allclose(np.linalg.norm(coarse.v_, axis=1), 1)
    assert coarse.reg_ == pytest.approx(fine.reg_, rel=0.5)
    given = ConvolutionalDictionary(**(options | dict(reg=2.0, max_iter=2))).fit(raw, decim=3, verbose=False)
    assert given.reg_ == pytest.approx(2.0, rel=1e-12)
    shares = [m.get_explained_variance_ratio(raw)["eeg"] for m in (fine, coarse)]
    print(shares)
    assert shares[1] == pytest.approx(shares[0], abs=0.15) and min(shares) > 0.5


def test_epochs(simulated, tmp_path):
    raw = simulated.raw
    epochs = mne.make_fixed_length_epochs(raw, 4.0, preload=True, verbose=False)
    model = ConvolutionalDictionary(**FAST).fit(epochs, verbose=False)
    assert model.current_fit == "epochs" and model.n_samples_ == 10 * 4 * RATE
    sources = model.get_sources(epochs)
    assert isinstance(sources, mne.BaseEpochs) and sources.get_data().shape == (10, K, 4 * RATE)
    eog, _ = model.find_bads_eog(epochs)
    assert eog and cosine(model.get_components()[:, eog[0]], simulated.eye) > 0.95
    before = epochs.get_data("eeg")
    after = model.apply(epochs, exclude=eog, verbose=False).get_data("eeg")
    assert np.var(after) < 0.6 * np.var(before)
    epochs = mne.make_fixed_length_epochs(raw, 4.0, preload=False, verbose=False)
    unloaded = ConvolutionalDictionary(**FAST).fit(epochs, verbose=False)
    assert not epochs.preload
    np.testing.assert_array_equal(unloaded.atoms_, model.atoms_)


@pytest.mark.parametrize("rank1", [True, False])
def test_files(simulated, fitted, tmp_path, rank1):
    model = (
        fitted if rank1 else ConvolutionalDictionary(2, 0.5, rank1=False, max_iter=3, n_layers=5).fit(simulated.raw, verbose=False)
    )
    model.exclude = [1]
    path = tmp_path / "x-cdl.safetensors"
    assert model.save(path) is model
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        model.save(path)
    model.save(path, overwrite=True)
    again = read_convolutional_dictionary(path)
    for name in ("u_", "v_", "atoms_", "pre_whitener_", "mean_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    assert again.exclude == [1] and again.labels_ == model.labels_ and again.reg_ == model.reg_
    assert repr(again) == repr(model) and again.ch_names == model.ch_names
    np.testing.assert_allclose(again.info["chs"][0]["loc"], model.info["chs"][0]["loc"], rtol=1e-6)  # FIF has float32
    np.testing.assert_array_equal(again.get_sources(simulated.raw).get_data(), model.get_sources(simulated.raw).get_data())
    model.exclude = []
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ValueError, RuntimeError)):
        read_convolutional_dictionary(path)


def test_free_atoms(simulated):
    model = ConvolutionalDictionary(**dict(FAST, rank1=False, max_iter=15)).fit(simulated.raw, verbose=False)
    assert model.atoms_.shape == (K, len(NAMES), 32)
    assert model.get_components().shape == (len(NAMES), K)
    eog, _ = model.find_bads_eog(simulated.raw)
    assert cosine(model.get_components()[:, eog[0]], simulated.eye) > 0.95


def test_pictures(simulated, fitted):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    assert len(fitted.plot_components([0, 1], show=False).axes) >= 4
    assert len(fitted.plot_sources(simulated.raw, [0, 1], show=False).axes) == 2
    assert len(fitted.plot_properties(simulated.raw, [1], show=False)[0].axes) == 5
    plt.close("all")


def test_report(simulated, fitted, tmp_path):
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    report = mne.Report(title="patterns", verbose=False)
    assert fitted.add_to_report(report, simulated.raw, picks=[0], title="Patterns") is report
    assert not plt.get_fignums()
    report.save(tmp_path / "report.html", open_browser=False, verbose=False)
    text = (tmp_path / "report.html").read_text()
    for title in ("Patterns", "Summary", "Atoms", "Activations", "Atoms and their events"):
        assert f">{title}<" in re.sub(r"\s+", " ", text).replace("> ", ">").replace(" <", "<")


def test_how_it_looks(fitted):
    assert repr(ConvolutionalDictionary(3, 0.4)) == (
        "<ConvolutionalDictionary | fit: no, method: online, atoms of rank one, atoms: 3 of 0.4 s, weight of activations: 0.1max>"
    )
    assert "60 iterations on raw data (2560 samples)" in repr(fitted) and "9 eeg" in repr(fitted)
    assert "<td>9 eeg</td>" in fitted._repr_html_()


def test_bad_input_gets_a_sentence(simulated, fitted):
    raw = simulated.raw
    new = ConvolutionalDictionary(2, 0.5, max_iter=2)
    for call in (new.get_sources, new.apply, new.find_bads_eog, new.find_bads_ecg, new.to_annotations, new.plot_sources):
        with pytest.raises(RuntimeError, match=f"ConvolutionalDictionary.{call.__name__}: nothing was learned yet; call fit first"):
            call(raw)
    cases = [
        (lambda: new.fit(raw.get_data()), TypeError, "fit: inst is ndarray, expected Raw or Epochs of MNE-Python"),
        (lambda: new.fit(raw, picks="nonsense"), ValueError, "fit: picks = 'nonsense'"),
        (lambda: new.fit(raw, start=10, stop=5), ValueError, "start = 10 and stop = 5 leave nothing of 2560 samples"),
        (lambda: new.fit(raw, stop=20), ValueError, "the longest good span has 20 samples, must have at least 32"),
        (lambda: new.fit(raw, decim=0), ValueError, "decim = 0, must be >= 1"),
        (lambda: ConvolutionalDictionary(0, 0.5), ValueError, "n_components = 0, must be >= 1"),
        (lambda: ConvolutionalDictionary(2, -1), ValueError, "atom_duration = -1, must be > 0 and finite, in seconds"),
        (lambda: ConvolutionalDictionary(2, "1s"), TypeError, "atom_duration = '1s', must be a number"),
        (lambda: fitted.get_sources(raw.copy().resample(32, verbose=False)), ValueError, "inst has 32 samples per second, the atoms have 64"),
        (lambda: fitted.get_sources(raw.copy().drop_channels(["Cz", "O1"])), ValueError, "inst lacks 2 of the 9 channels fitted: Cz, O1"),
        (lambda: fitted.get_sources(raw, stop=10), ValueError, "inst has 10 samples, must have at least 32, as atoms have"),
        (lambda: fitted.apply(raw.copy(), exclude=[9]), ValueError, "apply: exclude holds 9, must be >= 0 and < 3, as atoms are"),
        (lambda: fitted.find_bads_eog(raw.copy().drop_channels(["EOG"])), ValueError, "inst has no channel of type 'eog'"),
        (lambda: fitted.find_bads_eog(raw, ch_name="X"), ValueError, "ch_name = 'X' is no channel of inst"),
        (lambda: fitted.get_explained_variance_ratio(raw, ch_type="mag"), ValueError, "ch_type = 'mag', must be among those fitted: eeg"),
        (lambda: fitted.to_annotations(mne.make_fixed_length_epochs(raw, 4.0, verbose=False)), TypeError, "expected Raw"),
    ]  # fmt: skip
    for call, kind, text in cases:
        with pytest.raises(kind) as refused:
            call()
        assert text in str(refused.value) and "\n" not in str(refused.value)
    spoilt = raw.copy()
    spoilt._data[-2, 100] = np.nan
    with pytest.raises(ValueError, match="find_bads_eog: channel EOG is NaN or infinite at sample 100; expected finite numbers"):
        fitted.copy().find_bads_eog(spoilt)
    everything_bad = raw.copy().set_annotations(mne.Annotations(0, 100, "bad"), emit_warning=False, verbose=False)
    with pytest.raises(
        ValueError, match=r"the longest good span has 0 samples, must have at least 32, as atoms of 0.5 s have \(0 s are good\)"
    ):
        new.fit(everything_bad, verbose=False)
    with pytest.raises(ValueError, match="find_bads_ecg: inst has no good samples to compare"):
        fitted.copy().find_bads_ecg(everything_bad)
    constant = raw.copy()
    constant._data[:9] = 1.0
    with pytest.raises(ValueError, match="all channels of type 'eeg' are constant"):
        new.fit(constant, verbose=False)
