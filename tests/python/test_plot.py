"""The pictures are drawn, and hold what they should."""

import subprocess
import sys

import numpy as np
import pytest

import riata

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot

    matplotlib.pyplot.close("all")


@pytest.fixture
def result():
    X = riata.datasets.planted(n_features=16, n_atoms=20, n_signals=100).signals
    return riata.learn_dictionary(X, 20, 0.1, max_iter=5)


def test_a_mosaic_shows_every_atom_at_its_place():
    D = riata.datasets.gaussian_dictionary(12, 7)
    image = riata.plot.mosaic(D, patch_shape=(3, 4), columns=4, gap=2)
    assert image.shape == (2 * (3 + 2) + 2, 4 * (4 + 2) + 2)
    np.testing.assert_allclose(image[7:10, 14:18], (D[6] / np.abs(D[6]).max()).reshape(3, 4))
    assert (image[7:, 20:] == 1).all()  # no eighth atom


def test_a_zero_atom_is_grey_and_no_warning(recwarn):
    assert not riata.plot.mosaic(np.zeros((1, 9)), gap=0).any() and len(recwarn) == 0


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="atoms of 12 features are no patches of 3 x 3; give patch_shape"):
        riata.plot.mosaic(np.ones((2, 12)))


def test_dictionaries_and_convergence_are_drawn(result):
    assert len(riata.plot.dictionary(result.dictionary).images) == 1
    assert len(riata.plot.dictionary(result.dictionary[:, :15]).lines) == 20
    axes = riata.plot.convergence({"a": result, "b": result}, against="seconds")
    assert axes.get_yscale() == "log" and [t.get_text() for t in axes.get_legend().get_texts()] == ["a", "b"]
    assert (
        len(riata.plot.convergence(result).lines[0].get_xdata()) == 5
    )  # the smallest itself has no logarithm


def test_without_matplotlib_a_sentence_says_so():
    code = (
        "import sys, numpy as np; sys.modules['matplotlib'] = None; import riata\n"
        "try: riata.plot.dictionary(np.ones((2, 4)))\nexcept ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "riata.plot needs matplotlib: pip install matplotlib"


@pytest.fixture(scope="module")
def recording():
    """Two patterns of two channels, 100 samples per second, and a model of them."""
    v = np.stack([np.hanning(22)[1:-1], -np.sin(np.arange(20) / 2) * np.hanning(22)[1:-1]])
    Z = np.zeros((1, 2, 600))
    Z[0, 0, 50::100], Z[0, 1, 90::150] = 2, 1
    X = riata.conv_decode(Z, (np.array([[0.6, 0.8], [1.0, 0.0]]), v))
    return X, Z, riata.ConvolutionalDictionaryLearning(2, 20, max_iter=3, n_layers=5).fit(X)


def test_patterns_are_drawn_in_time_and_over_channels(recording):
    _, _, model = recording
    axes = riata.plot.patterns(model, sfreq=100, ch_names=["left", "right"])
    assert axes.shape == (2, 2)
    for k in range(2):
        time, course = axes[0, k].lines[-1].get_data()
        assert time[-1] == pytest.approx(0.19) and np.abs(course).max() == course.max()  # upright
        np.testing.assert_allclose(np.abs(course), np.abs(model.v_[k]))
        np.testing.assert_allclose([abs(bar.get_height()) for bar in axes[1, k].patches], np.abs(model.u_[k]))
        assert [t.get_text() for t in axes[1, k].get_xticklabels()] == ["left", "right"]
    pair = riata.plot.patterns((model.u_, model.v_))
    assert pair[0, 0].get_xlabel() == "time (samples)"
    free = riata.plot.patterns(np.random.default_rng(0).standard_normal((7, 3, 15)))
    assert free.shape == (2, 7) and len(free[0, 6].lines) == 4  # three channels, and zero
    with pytest.raises(ValueError, match="ch_names has 1 names, but patterns have 2 channels"):
        riata.plot.patterns(model, ch_names=["left"])


def test_loadings_are_maps_of_the_scalp_where_mne_knows_the_sensors():
    mne = pytest.importorskip("mne")
    names = mne.channels.make_standard_montage("biosemi32").ch_names
    info = mne.create_info(names, 256, "eeg").set_montage("biosemi32")
    u = np.linspace(-1, 1, 32)[None]
    axes = riata.plot.patterns((u, np.hanning(64)[None]), info=info)
    assert axes[1, 0].images and axes[0, 0].lines[-1].get_xdata()[-1] == pytest.approx(63 / 256)
    with pytest.raises(ValueError, match="info has 32 channels, but patterns have 31"):
        riata.plot.patterns((u[:, :31], np.hanning(64)[None]), info=info, ch_names=names[:31])


def test_activations_are_strokes_at_their_times(recording):
    X, Z, _ = recording
    ax = riata.plot.activations(Z, sfreq=100)
    assert [len(c.get_segments()) for c in ax.collections] == [6, 4]
    assert ax.collections[0].get_segments()[1][0, 0] == pytest.approx(1.5)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["atom 0", "atom 1"]
    many = riata.plot.activations(riata.conv_encode(np.repeat(X, 3, axis=0), np.ones((1, 2, 5)), "0.9max"))
    assert len(many.collections) == 3 and many.get_xlabel() == "time (samples)"
    with pytest.raises(ValueError, match=r"activations: Z has shape \(4,\), expected"):
        riata.plot.activations(np.ones(4))


def test_the_average_around_events_is_the_mean(recording):
    X, _, _ = recording
    events = np.array([3, 60, 160, 260, 617])  # the first and the last have no whole window
    axes = riata.plot.average_around_events(X, events, sfreq=100, window=(-0.1, 0.2), ch_names=["left", "right"])
    for c, ax in enumerate(axes):
        time, mean = ax.lines[-1].get_data()
        np.testing.assert_allclose(time, np.arange(-10, 21) / 100)
        np.testing.assert_allclose(mean, np.mean([X[0, c, t - 10 : t + 21] for t in (60, 160, 260)], axis=0))
        assert ax.get_ylabel() == ("left", "right")[c]
    of_trials = riata.plot.average_around_events(np.concatenate([X, X]), [[0, 160], [1, 260]])
    assert of_trials[0].get_title() == "mean of 2 events, and the middle half"
    for sentence, wrong in {
        "expected \\(n_events,\\) or \\(n_events, 2\\)": dict(events=np.ones((2, 3), int)),
        "of 1 events none has a window": dict(events=[0]),
        "must be \\(begin, end\\) with begin < end": dict(window=(1, 0)),
        "sfreq = -1, must be > 0": dict(sfreq=-1),
    }.items():
        with pytest.raises(ValueError, match=sentence):
            riata.plot.average_around_events(**dict(X=X, events=events) | wrong)


def test_what_patterns_explain_is_drawn_largest_first(recording):
    X, _, model = recording
    found = model.explained_variance_ratio(X)
    for ax in (riata.plot.explained_variance(model, X), riata.plot.explained_variance(found)):
        np.testing.assert_allclose([bar.get_height() for bar in ax.patches], 100 * np.sort(found.per_atom)[::-1])
        assert ax.get_title() == f"{found.total:.1%} by all"
    with pytest.raises(TypeError, match="expected a ConvolutionalDictionaryLearning"):
        riata.plot.explained_variance(X)
