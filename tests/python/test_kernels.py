"""Kernels of pictures that are learned: they are the planted ones, pictures are their convolutions by SciPy, and fits have scikit-learn's manners."""

import pickle
import re

import numpy as np
import pytest
from scipy.signal import convolve2d, correlate2d
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import riata
from riata import ConvolutionalDictionaryLearning2D

pytestmark = pytest.mark.filterwarnings("ignore:the fit stopped")

SIZE = 5
FEW = dict(n_layers=6, max_iter=3)


def kernels(n_channels=1):
    y, x = np.mgrid[-2:3, -2:3]
    window = np.exp(-(x**2 + y**2) / 3)
    atoms = np.stack([np.stack([k * window * (1 if c == 0 else -1) for c in range(n_channels)]) for k in (1 + 0 * x, x, x * y)])
    return atoms / np.sqrt((atoms**2).sum(axis=(1, 2, 3), keepdims=True))


def planted(shape, n_channels=1, seed=1, noise=0.02):
    rng = np.random.default_rng(seed)
    height, width = shape
    Z = rng.standard_normal((3, height + SIZE - 1, width + SIZE - 1)) * (rng.random((3, height + SIZE - 1, width + SIZE - 1)) < 0.01)
    planes = [sum(correlate_valid(z, k[c]) for z, k in zip(Z, kernels(n_channels), strict=True)) for c in range(n_channels)]
    image = np.stack(planes, axis=-1) + noise * rng.standard_normal((height, width, n_channels))
    return image[..., 0] if n_channels == 1 else image


def correlate_valid(z, d):
    """The picture that activations at all places where d meets it make: a convolution by SciPy, cut to the picture."""
    return convolve2d(z, d, mode="valid")


def recovery(atoms, truth):
    best = []
    for d in truth:
        found = [np.abs(sum(correlate2d(a[c], d[c]) for c in range(len(d)))).max() for a in atoms]
        best.append(max(found))
    return np.mean(best)


def fitted(atoms, **how):
    """A model with given kernels."""
    model = ConvolutionalDictionaryLearning2D(len(atoms), atoms.shape[2], **how)
    vars(model).update(atoms_=atoms, reg_=0.1)
    return model


def full_convolutions(Z, atoms):
    return np.stack([sum(convolve2d(z, a[c]) for z, a in zip(Z, atoms, strict=True)) for c in range(atoms.shape[1])])


@pytest.mark.parametrize("boundary", ["full", "valid", "circular"])
@pytest.mark.parametrize("seed", range(6))
def test_pictures_are_the_convolutions_of_scipy(boundary, seed):
    rng = np.random.default_rng(seed)
    n_atoms, n_channels, size = rng.integers(1, 4), rng.integers(1, 4), int(rng.integers(1, 7))
    rows, columns = rng.integers(2 * size, 30, 2)
    atoms, Z = rng.standard_normal((n_atoms, n_channels, size, size)), rng.standard_normal((n_atoms, rows, columns))
    expected = full_convolutions(Z, atoms)
    if boundary == "full":  # cut to the picture
        expected = expected[:, size - 1 : rows, size - 1 : columns]
    elif boundary == "circular":  # what leaves comes in on the other side
        expected[:, : size - 1] += expected[:, rows:]
        expected[:, :, : size - 1] += expected[:, :, columns:]
        expected = expected[:, :rows, :columns]
    found = fitted(atoms, boundary=boundary).inverse_transform(Z)
    found = found[np.newaxis] if n_channels == 1 else np.moveaxis(found, 2, 0)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("boundary", ["full", "valid", "circular"])
def test_codes_meet_the_optimality_conditions_by_scipy(boundary):
    rng = np.random.default_rng(3)
    image, seen = rng.standard_normal((17, 21)), rng.random((17, 21)) < 0.7
    model = fitted(kernels(), boundary=boundary, transform_tol=1e-8)
    Z = model.transform(image, mask=seen)
    r = seen * (image - model.inverse_transform(Z))
    if boundary == "circular":
        r = np.pad(r, ((0, SIZE - 1), (0, SIZE - 1)), mode="wrap")
    pulls = np.stack([correlate2d(r, k[0], mode="full" if boundary == "full" else "valid") for k in kernels()])
    assert np.abs(pulls).max() <= 0.1 * (1 + 1e-2)
    np.testing.assert_allclose(pulls[Z != 0], 0.1 * np.sign(Z[Z != 0]), atol=1e-3)


@pytest.mark.parametrize("method", ["unrolled", "stochastic", "alternating_exact"])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_planted_kernels_are_found(method, n_channels):
    images = [planted((40, 50), n_channels)]
    crops = dict(crop_size=25, batch_size=5, max_iter=80) if method == "stochastic" else {}
    how = dict(method=method, n_layers=10, max_iter=40) | crops
    found = [riata.learn_kernels(images, 3, SIZE, random_state=seed, **how) for seed in range(1 if crops else 2)]
    best = min(found, key=lambda result: result.history.value[-1])
    assert best.history.value[-1] < best.history.value[0]
    assert recovery(best.atoms, kernels(n_channels)) > (0.7 if crops else 0.9)


def test_a_mask_hides_what_it_says():
    image = planted((40, 40))
    seen = np.random.default_rng(0).random(image.shape) < 0.5
    other = np.where(seen, image, np.nan)
    models = [
        ConvolutionalDictionaryLearning2D(3, SIZE, reg=0.05, max_iter=20, tol=1e-3).fit(x, mask=seen) for x in (image, other)
    ]
    np.testing.assert_array_equal(models[0].atoms_, models[1].atoms_)
    filled = models[1].inverse_transform(models[1].transform(other, mask=seen))
    assert np.sum((filled - image)[~seen] ** 2) < 0.8 * np.sum(image[~seen] ** 2)


def test_the_forms_of_pictures():
    images = np.stack([planted((20, 22), 3, seed) for seed in (1, 2)])
    model = ConvolutionalDictionaryLearning2D(2, SIZE, **FEW, tol=1)
    stack = model.fit(images).transform(images)
    assert model.atoms_.shape == (2, 3, SIZE, SIZE) and stack.shape == (2, 2, 24, 26)
    assert model.inverse_transform(stack).shape == images.shape
    several = model.transform([images[0], images[1][:15]])
    assert [z.shape for z in several] == [(2, 24, 26), (2, 19, 26)]
    np.testing.assert_allclose(several[0], stack[0], atol=1e-12)
    assert [x.shape for x in model.inverse_transform(several)] == [(20, 22, 3), (15, 22, 3)]
    grey = model.fit(images[..., 0])
    assert grey.transform(images[0, ..., 0]).shape == (2, 24, 26)
    assert grey.inverse_transform(grey.transform(images[..., 0])).shape == (2, 20, 22)
    ragged = [images[0, ..., 0], images[1, :16, :, 0]]
    assert model.fit(ragged).atoms_.shape == (2, 1, SIZE, SIZE)
    assert model.fit(images.astype(np.float32)).atoms_.dtype == np.float32
    assert model.transform(images.astype(np.float32)).dtype == np.float32


def test_the_estimator_has_scikit_learns_manners():
    image = planted((24, 24))
    model = ConvolutionalDictionaryLearning2D(2, SIZE, **FEW, tol=1)
    with pytest.raises(NotFittedError):
        model.transform(image)
    np.testing.assert_array_equal(clone(model).fit(image).atoms_, model.fit(image).atoms_)
    np.testing.assert_array_equal(model.fit_transform(image), model.transform(image))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(image), model.transform(image))
    with pytest.warns(ConvergenceWarning, match="max_iter = 2"):
        clone(model).set_params(tol=0.0, max_iter=2).fit(image)
    with pytest.warns(ConvergenceWarning, match="transform_max_iter = 1"):
        model.set_params(transform_max_iter=1, transform_tol=0.0).transform(image)


def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    image = planted((30, 30))
    for method in ("unrolled", "stochastic", "alternating_exact"):
        how = dict(n_atoms=3, kernel_size=SIZE, method=method, n_layers=6, tol=0.0, crop_size=16 if method == "stochastic" else None)
        whole = riata.learn_kernels(image, **how, max_iter=9, n_threads=1)
        checkpoint = tmp_path / method
        riata.learn_kernels(image, **how, max_iter=4, checkpoint=checkpoint)
        resumed = riata.learn_kernels(image, **how, max_iter=9, checkpoint=checkpoint, resume=True, n_threads=2)
        np.testing.assert_array_equal(whole.atoms, resumed.atoms)


IMAGE = planted((20, 20))
BAD = {
    "learn_kernels: images has shape (3,), expected (height, width), (n, height, width), (n, height, width, channels), or a list": dict(images=np.ones(3)),
    "learn_kernels: images is empty": dict(images=[]),
    "learn_kernels: picture 1 has 3 channels, the first has 1": dict(images=[IMAGE, np.ones((9, 9, 3))]),
    "learn_kernels: picture 1 of images has shape (2, 2, 2, 2)": dict(images=[IMAGE, np.ones((2, 2, 2, 2))]),
    "learn_kernels: mask of picture 0 has shape (20, 19), expected (20, 20)": dict(mask=np.ones((20, 19))),
    "learn_kernels: mask is of 2 pictures, but there are 1": dict(mask=np.ones((2, 20, 20))),
    "learn_kernels: the mask of picture 0 holds 2 at row 0, column 0": dict(mask=np.full((20, 20), 2)),
    "learn_kernels: picture 0 holds nan at row 0, column 0, channel 0": dict(images=np.full((20, 20), np.nan)),
    "learn_kernels: picture 0 has 20 x 20 pixels, must have at least 21 x 21": dict(kernel_size=21),
    "learn_kernels: init has shape (2, 1, 4, 4), expected (2, 1, 5, 5)": dict(init=np.ones((2, 1, 4, 4))),
    "learn_kernels: crop_size is for the method 'stochastic'": dict(crop_size=9),
    "learn_kernels: method = 'online' is not for pictures": dict(method="online"),
    "learn_kernels: pictures have different sizes, 18 x 20 and 20 x 20": dict(images=[IMAGE, IMAGE[:18]], boundary="valid"),
}  # fmt: skip


@pytest.mark.parametrize("sentence", BAD)
def test_bad_input_gets_a_sentence(sentence):
    with pytest.raises((ValueError, TypeError), match=re.escape(sentence)):
        riata.learn_kernels(**dict(images=IMAGE, n_atoms=2, kernel_size=SIZE, **FEW) | BAD[sentence])


def test_codes_that_do_not_fit_get_a_sentence():
    model = fitted(kernels())
    for Z, sentence in {
        (2, 9, 9): "Z has shape (2, 9, 9), expected (3, n_rows, n_columns)",
        (3, 4, 9): "boundary 'full' has at least 5 rows and columns",
    }.items():
        with pytest.raises(ValueError, match=re.escape(sentence)):
            model.inverse_transform(np.ones(Z))
    with pytest.raises(ValueError, match="images have 3 channels, but the kernels have 1"):
        model.transform([np.ones((9, 9, 3))])
