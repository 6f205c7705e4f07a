"""The pictures are drawn, and hold what they should."""

import subprocess
import sys

import numpy as np
import pytest

import riata

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


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
