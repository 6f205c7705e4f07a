"""Patterns that are learned: they are the planted ones, their events are the planted ones, and what they explain is so by NumPy."""

import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import riata
from riata import ConvolutionalDictionaryLearning

SHARED = Path(os.environ.get("RIATA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
LENGTH = 25
FEW = dict(n_layers=10, max_iter=8, n_times_window=100, batch_size=4)


def planted(n_trials=2, n_times=1000, seed=1):
    """Two patterns of three channels, a bump and a wave, at random times."""
    rng = np.random.default_rng(seed)
    taper = np.hanning(LENGTH + 2)[1:-1]
    v = np.stack([taper, np.sin(2 * np.pi * np.arange(LENGTH) / 8) * taper])
    u = np.array([[1.0, 2.0, -0.5], [1.0, -1.0, 1.0]])
    u, v = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (u, v))
    shape = n_trials, 2, n_times - LENGTH + 1
    Z = np.where(rng.random(shape) < 0.01, rng.uniform(1, 2, shape), 0)
    return riata.conv_decode(Z, (u, v)) + 0.02 * rng.standard_normal((n_trials, 3, n_times)), u, v


X, U, V = planted()


def cosines(atoms):
    """Of each planted pattern, the largest |cosine| with a learned one at any shift."""
    best = []
    for pattern in U[:, :, None] * V[:, None, :]:
        products = [sum(np.correlate(a, b, "full") for a, b in zip(atom, pattern)) for atom in atoms]
        best.append(np.abs(products).max())
    return best


class Pieces:
    """Recordings that are read in pieces."""

    def __init__(self, X):
        self._X, self.shape, self.dtype, self.n_read = X, X.shape, X.dtype, 0

    def read(self, trial, first, count):
        self.n_read += 1
        return self._X[trial, :, first : first + count]


@pytest.mark.parametrize("rank_one", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_planted_patterns_are_found(rank_one, dtype):
    length = LENGTH + 10  # where patterns that begin some samples off are whole
    result = riata.learn_patterns(X.astype(dtype), 2, length, rank_one=rank_one, max_iter=40)
    assert result.atoms.dtype == dtype and result.atoms.shape == (2, 3, length)
    assert min(cosines(result.atoms)) > 0.97
    np.testing.assert_allclose(np.linalg.norm(result.atoms, axis=(1, 2)), 1, rtol=1e-5)
    if rank_one:
        np.testing.assert_allclose(result.atoms, result.u[:, :, None] * result.v[:, None], rtol=0, atol=1e-6)
    else:
        assert result.u is None and result.v is None
    assert 30 <= len(result.history.value) <= 40 and result.status == "max_iter" and result.reg > 0


def test_a_method_on_all_trials_finds_them_too():
    result = riata.learn_patterns(X, 2, LENGTH, method="unrolled", max_iter=60)
    assert min(cosines(result.atoms)) > 0.9
    assert result.history.value[-1] < result.initial_value


def test_the_window_is_in_v_and_ends_at_zero():
    result = riata.learn_patterns(X, 2, LENGTH, window=True, **FEW)
    np.testing.assert_array_equal(result.atoms, result.u[:, :, None] * result.v[:, None])
    assert np.abs(result.v[:, [0, -1]]).max() < 1e-8 < np.abs(result.v).max() and result.window


@pytest.mark.parametrize("scale", [1e-6, 3e5])
def test_the_unit_of_the_recordings_changes_nothing(scale):
    expected, found = (riata.learn_patterns(factor * X, 2, LENGTH, **FEW) for factor in (1, scale))
    np.testing.assert_allclose(found.atoms, expected.atoms, rtol=0, atol=1e-9)
    assert found.reg == pytest.approx(scale * expected.reg, rel=1e-12)


@pytest.mark.parametrize("method", ["stochastic", "unrolled", "alternating_exact"])
def test_threads_and_pieces_give_the_same_bits(method):
    options = dict(method=method, n_layers=10, max_iter=2 if method == "alternating_exact" else 4)
    expected = riata.learn_patterns(X, 2, LENGTH, n_threads=1, **options)
    source = Pieces(X)
    for other in (riata.learn_patterns(X, 2, LENGTH, n_threads=2, **options), riata.learn_patterns(source, 2, LENGTH, **options)):
        assert other.atoms.tobytes() == expected.atoms.tobytes() and other.reg == expected.reg
        assert other.history.value.tobytes() == expected.history.value.tobytes()
    assert source.n_read > 2
    single = riata.learn_patterns(Pieces(X.astype(np.float32)), 2, LENGTH, **options)
    assert single.atoms.dtype == np.float32
    counts = riata.learn_patterns(Pieces((100 * X).astype(np.int16)), 2, LENGTH, **options)
    assert counts.atoms.tobytes() == riata.learn_patterns((100 * X).astype(np.int16), 2, LENGTH, **options).atoms.tobytes()


def test_one_channel_may_be_a_row():
    one = X[:, 0]
    assert riata.learn_patterns(one, 1, LENGTH, **FEW).atoms.tobytes() == riata.learn_patterns(one[:, None], 1, LENGTH, **FEW).atoms.tobytes()


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    expected = riata.learn_patterns(X, 2, LENGTH, **FEW)
    stopped = riata.learn_patterns(X, 2, LENGTH, checkpoint=checkpoint, checkpoint_every=1, callback=lambda info: info.iteration == 3, **FEW)
    assert stopped.status == "interrupted" and len(stopped.history.value) == 3
    found = riata.learn_patterns(X, 2, LENGTH, checkpoint=checkpoint, resume=True, **FEW)
    assert found.atoms.tobytes() == expected.atoms.tobytes()


class Wrong(Pieces):
    def read(self, trial, first, count):
        return super().read(trial, first, count)[:2]


class Fails(Pieces):
    def read(self, trial, first, count):
        raise OSError("the disk is gone")


NAN = np.where(np.arange(1000) == 500, np.nan, X)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (dict(X=X[0, 0]), "learn_patterns: X has shape (1000,), expected (n_trials, n_channels, n_times), or (n_trials, n_times) of one"),
        (dict(X=X[:0]), "learn_patterns: X has shape (0, 3, 1000) and holds no samples"),
        (dict(X=NAN, method="unrolled"), "X holds nan"),
        (dict(X=NAN, init="random"), "X holds nan"),
        (dict(n_atoms=0), "learn_patterns: n_atoms = 0, must be >= 1"),
        (dict(n_times_atom=1001), "learn_patterns: trials have 1000 samples, must have at least 1001, as patterns have"),
        (dict(reg=-1), "reg = -1, must be"),
        (dict(reg=[0.1, 0.2]), "learn_patterns: reg has shape (2,), expected a number or a fraction such as 0.1max"),
        (dict(rank_one=False, window=True), "learn_patterns: window is for patterns of rank one"),
        (dict(method="pudle_dec"), "learn_patterns: method = 'pudle_dec' is not for patterns; choose"),
        (dict(method="nothing"), "method"),
        (dict(init="dct"), "learn_patterns: init = 'dct' is not for patterns; choose 'data' or 'random'"),
        (dict(n_times_window=10), "learn_patterns: n_times_window = 10, must be at least 25, as patterns have"),
        (dict(n_times_window=100, method="unrolled"), "learn_patterns: n_times_window is for methods on mini-batches"),
        (dict(method_options={"beta": 1}), "learn_patterns: method_options has the key 'beta', must be among"),
        (dict(X=Pieces(X[0])), "learn_patterns: X reads pieces and has shape (3, 1000), expected (n_trials, n_channels, n_times)"),
        (dict(X=Wrong(X)), "came with shape (2, 25), must be (3, 25)"),
        (dict(X=Fails(X)), "the disk is gone"),
        (dict(X=Pieces(X.astype(complex))), "learn_patterns: X holds complex128; expected float32 or float64"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(change, sentence):
    with pytest.raises((ValueError, TypeError, OSError), match=re.escape(sentence)) as refused:
        riata.learn_patterns(**dict(X=X, n_atoms=2, n_times_atom=LENGTH, max_iter=2) | change)
    assert "\n" not in str(refused.value)


def bump(peak=12, length=31):
    return np.exp(-(((np.arange(length) - peak) / 4) ** 2))


def spikes(n_trials=1, n_times=3000, seed=0):
    """A bump with its peak at known times, 40 samples or more apart, of sizes 1 to 2, and noise."""
    rng = np.random.default_rng(seed)
    shape, times = bump(), []
    X = 0.05 * rng.standard_normal((n_trials, 1, n_times))
    for trial in range(n_trials):
        at = np.cumsum(rng.integers(40, 120, n_times // 120 - 2)) + 20
        times += [(trial, t) for t in at]
        for t in at:
            X[trial, 0, t - 12 : t - 12 + len(shape)] += rng.uniform(1, 2) * shape
    return X, np.array(times)


def test_events_are_the_planted_ones():
    for n_trials in (1, 2):
        X, times = spikes(n_trials)
        model = ConvolutionalDictionaryLearning(1, 40, max_iter=60, n_times_window=400).fit(X)
        (found,), (amplitudes,) = model.events(X, return_amplitudes=True)
        expected = times[:, 1] if n_trials == 1 else times
        assert found.shape == expected.shape and found.dtype.kind == "i"
        assert np.abs(found - expected).max() <= 3
        assert len(amplitudes) == len(found) and amplitudes.min() > 0.3 * amplitudes.max()
        assert len(model.events(X, min_amplitude=0)[0]) >= len(found) > len(model.events(X, min_amplitude=0.9)[0])


def test_an_event_lies_where_the_atom_is_largest():
    """Wherever in the atom the bump is."""
    for peak in (5, 12, 25):
        Z = np.zeros((1, 2, 170))
        Z[0, 0, [50, 51, 52]] = 1, 2, 1
        Z[0, 1, 100] = -3
        atoms = np.stack([bump(peak), -bump(30 - peak)])
        assert [times.tolist() for times in riata.pattern_events(Z, atoms)] == [[51 + peak], [100 + 30 - peak]]
        both = np.stack([atoms, 2 * atoms], axis=1)  # of two channels
        assert riata.pattern_events(Z, both)[0].tolist() == [51 + peak]


def test_explained_variance_is_that_of_numpy():
    rng = np.random.default_rng(3)
    Z = riata.conv_encode(X, (U, V), "0.1max").codes
    found = riata.explained_variance(X, (U, V), Z)
    energy, rest = (X**2).sum(), X - riata.conv_decode(Z, (U, V))
    assert found.total == pytest.approx(1 - (rest**2).sum() / energy, rel=1e-12) and found.total > 0.9
    for k in range(2):
        part = riata.conv_decode(Z * (np.arange(2) == k)[:, None], (U, V))
        assert found.per_atom[k] == pytest.approx((((rest + part) ** 2).sum() - (rest**2).sum()) / energy, rel=1e-9)
    atoms = U[:, :, None] * V[:, None, :]
    np.testing.assert_allclose(riata.explained_variance(X, atoms, Z).per_atom, found.per_atom, rtol=1e-9)
    with pytest.raises(TypeError, match="X is float32 but Z is float64"):
        riata.explained_variance(X.astype(np.float32), (U, V), Z)
    for other in (X[:1], X[:, :2], rng.standard_normal((2, 3, 7))):
        with pytest.raises(ValueError):
            riata.explained_variance(other, (U, V), Z)


def test_parts_that_are_orthogonal_add_up():
    Z = np.zeros((1, 2, 276))
    Z[0, 0, 10], Z[0, 1, 200] = 3, 4
    found = riata.explained_variance(riata.conv_decode(Z, (U, V)), (U, V), Z)
    np.testing.assert_allclose(found.per_atom, [9 / 25, 16 / 25], rtol=1e-12)
    assert found.total == pytest.approx(1, rel=1e-12)


@pytest.fixture(scope="module")
def model():
    return ConvolutionalDictionaryLearning(2, LENGTH, max_iter=60).fit(X)


def test_the_estimator_is_the_functions(model):
    result = riata.learn_patterns(X, 2, LENGTH, max_iter=60)
    np.testing.assert_array_equal(model.atoms_, result.atoms)
    assert model.reg_ == result.reg and model.n_iter_ == len(model.history_.value) == 60
    Z = model.transform(X)
    np.testing.assert_array_equal(Z, riata.conv_encode(X, (result.u, result.v), result.reg).codes)
    assert Z.shape == (2, 2, 1000 - LENGTH + 1) and (Z >= 0).all()
    back = model.inverse_transform(Z)
    assert back.shape == X.shape
    found = model.explained_variance_ratio(X)
    assert found.total == pytest.approx(1 - ((X - back) ** 2).sum() / (X**2).sum(), rel=1e-12) and found.total > 0.9
    assert [e.shape[1] for e in model.events(X)] == [2, 2]


def test_the_estimator_keeps_scikit_learns_contract(model):
    fresh = clone(model)
    assert fresh.get_params() == model.get_params() and not hasattr(fresh, "atoms_")
    with pytest.raises(NotFittedError):
        fresh.transform(X)
    assert "ConvolutionalDictionaryLearning" in repr(model) and "n_times_atom=25" in repr(model)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.transform(X), model.transform(X))
    single = model.transform(X.astype(np.float32))
    assert single.dtype == np.float32 and model.inverse_transform(single).dtype == np.float32
    np.testing.assert_allclose(single, model.transform(X), atol=0.05)
    line = make_pipeline(FunctionTransformer(lambda X: X - X.mean(axis=2, keepdims=True)), ConvolutionalDictionaryLearning(2, LENGTH, max_iter=3))
    assert line.fit_transform(X).shape == (2, 2, 976)
    fresh.set_params(n_components=1, rank1=False, max_iter=3, n_jobs=-1).fit(X[:, 0])
    assert fresh.u_ is None and fresh.atoms_.shape == (1, 1, LENGTH) and fresh.transform(X[:, 0]).shape == (2, 1, 976)


@pytest.mark.parametrize("how", [{}, {"window": True}, {"rank1": False, "positive": False}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_saved_model_transforms_as_it_did(how, dtype, tmp_path):
    x, path = X.astype(dtype), tmp_path / "patterns.safetensors"
    model = ConvolutionalDictionaryLearning(2, LENGTH, max_iter=3, n_layers=5, **how).fit(x)
    model.save(path, {"rate": 250, "note": "planted"})
    other = ConvolutionalDictionaryLearning.load(path)
    for name in ("atoms_", "u_", "v_"):
        a, b = getattr(model, name), getattr(other, name)
        assert (a is None) == (b is None) and (a is None or a.dtype == b.dtype == dtype)
        if a is not None:
            np.testing.assert_allclose(b, a, rtol=1e-6 if "window" in how else 0)
    assert (other.reg_, other.positive, other.window, other.rank1) == (model.reg_, model.positive, model.window, model.rank1)
    np.testing.assert_allclose(other.transform(x), model.transform(x), atol=1e-3)
    found = riata.load_patterns(path)
    assert found.metadata["note"] == "planted" and float(found.metadata["rate"]) == 250
    assert "2 atoms of 3 channels and 25 samples" in repr(found)
    riata.save_patterns(path, found)
    np.testing.assert_allclose(riata.load_patterns(path).atoms, model.atoms_, rtol=1e-6)
    with pytest.raises(TypeError, match="save_patterns: patterns = 3, must be what learn_patterns returns"):
        riata.save_patterns(path, 3)


def test_the_estimator_refuses_and_warns(model):
    with pytest.raises(ValueError, match="X has 2 channels, but the patterns have 3; they must be equal"):
        model.transform(X[:, :2])
    with pytest.warns(ConvergenceWarning, match="stopped at max_iter = 2"):
        ConvolutionalDictionaryLearning(2, LENGTH, method="unrolled", n_layers=5, max_iter=2).fit(X)
    with pytest.warns(ConvergenceWarning, match="of 2 trials stopped at transform_max_iter = 1"):
        clone(model).set_params(transform_max_iter=1, transform_tol=1e-12, max_iter=2).fit(X).transform(X)
    with pytest.raises(ValueError, match="n_jobs = 0"):
        ConvolutionalDictionaryLearning(2, LENGTH, n_jobs=0).fit(X)
    with pytest.raises(ValueError, match="pattern_events: min_amplitude = -1, must be >= 0"):
        model.events(X, min_amplitude=-1)


def test_a_heartbeat_is_learned_and_its_events_are_the_annotated_beats():
    path = SHARED / "ecg/mitdb100_2lead_first903s.npy"
    if not path.exists():
        pytest.skip("../shared/data is not there")
    rate = 360  # Hz
    recording = (np.load(path, mmap_mode="r")[:, : 60 * rate].astype(float) - 1024) / 200  # mV
    width = rate + 1
    drift = np.apply_along_axis(lambda x: np.convolve(np.pad(x, width // 2, "edge"), np.full(width, 1 / width), "valid"), 1, recording)
    X = (recording - drift)[np.newaxis]
    beats = np.loadtxt(path.with_name(path.stem + "_beats.csv"), delimiter=",", skiprows=1, usecols=0, dtype=float).astype(int)
    length = round(0.6 * rate)
    model = ConvolutionalDictionaryLearning(1, length, max_iter=15, batch_size=2, transform_tol=1e-3).fit(X)
    (found,) = model.events(X)
    within = [times[(times > length) & (times < X.shape[2] - length)] for times in (beats, found)]
    for some, others in (within[::-1], within):  # precision, sensitivity
        reference = found if some is within[0] else beats
        assert np.mean([np.abs(reference - t).min() <= 0.05 * rate for t in some]) >= 0.98
    assert model.explained_variance_ratio(X).total > 0.6
