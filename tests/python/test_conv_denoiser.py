"""The convolutional denoising network of pictures."""

import pickle

import numpy as np
import pytest
from scipy.signal import convolve2d, correlate2d
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import riata

SMALL = dict(n_layers=5, crop=31, batch_size=2, learning_rate=1e-2, max_iter=300)


def picture(height, width, phase=0.0):
    i, j = np.mgrid[:height, :width]
    return 120 + 40 * np.sin(0.35 * (i + 2 * j) + phase) + 60.0 * ((i - height / 2) ** 2 + (j - width / 2) ** 2 < 150)


PICTURES = [picture(50, 60), picture(45, 45, 1), picture(60, 40, 2)]


@pytest.fixture(scope="module")
def model():
    return riata.ConvDenoiser(8, 6, 3, **SMALL).fit(PICTURES, sigma=25)


def by_definition(model, noisy, stride, step=0.1, reg=0.16, n_layers=5):
    """The layers as the paper writes them, by SciPy's convolutions."""
    scale = 25 / 255 / model.sigma_
    y, kernels = scale * noisy, model.kernels_.astype(float)
    size = kernels.shape[1]
    shape = ((y.shape[0] - size) // stride + 1, (y.shape[1] - size) // stride + 1)

    def made(z):
        x = np.zeros_like(y)
        for maps, kernel in zip(z, kernels):
            spread = np.zeros(((shape[0] - 1) * stride + 1, (shape[1] - 1) * stride + 1))
            spread[::stride, ::stride] = maps
            x += convolve2d(spread, kernel)
        return x

    z = np.zeros((len(kernels), *shape))
    for _ in range(n_layers):
        r = made(z) - y
        v = z - step * np.stack([correlate2d(r, kernel, "valid")[::stride, ::stride] for kernel in kernels])
        z = np.sign(v) * np.maximum(np.abs(v) - step * reg, 0)
    return made(z) / scale


def test_it_is_the_papers_network(model):
    noisy = picture(6 + 3 * 9, 6 + 3 * 12) + 25 * np.random.default_rng(0).standard_normal((33, 42))
    np.testing.assert_allclose(model.transform(noisy), by_definition(model, noisy, 3), atol=2e-2)


def test_it_removes_noise_and_keeps_shapes_and_types(model):
    clean = picture(51, 48, 0.5)
    noisy = clean + 25 * np.random.default_rng(1).standard_normal(clean.shape)
    cleaned = model.transform(noisy)
    assert riata.psnr(cleaned, clean) > riata.psnr(noisy, clean) + 3
    averaged = clone(model).set_params(shift_average=True)
    averaged._take(model.denoiser_)
    assert riata.psnr(averaged.transform(noisy), clean) > riata.psnr(cleaned, clean)
    assert model.kernels_.shape == (8, 6, 6) and model.n_iter_ == 300 and model.status_ == "max_iter"
    np.testing.assert_allclose(np.linalg.norm(model.kernels_, axis=(1, 2)), 1, rtol=1e-6)

    as_bytes = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    of_bytes = model.transform(as_bytes, sigma=25)
    assert of_bytes.dtype == np.uint8 and np.abs(of_bytes.astype(float) - model.transform(as_bytes.astype(float))).max() <= 0.51
    words = as_bytes.astype(np.uint16) * 257
    assert np.abs(model.transform(words, sigma=25) / 257 - of_bytes).max() <= 0.51
    with_alpha = np.stack([as_bytes, as_bytes, as_bytes, 7 + 0 * as_bytes], axis=2)
    of_alpha = model.transform(with_alpha, sigma=25)
    assert (of_alpha[..., 3] == 7).all() and (of_alpha[..., 0] == of_bytes).all()
    assert [x.shape for x in model.transform([noisy, noisy[:30]])] == [(51, 48), (30, 48)]
    np.testing.assert_array_equal(model.transform(np.stack([noisy, clean])), [cleaned, model.transform(clean)])
    np.testing.assert_allclose(model.transform(noisy / 100, sigma=0.25) * 100, cleaned, atol=1e-2)


def test_it_is_kept_in_files_and_pickles(model, tmp_path):
    noisy = picture(30, 31)
    model.save(tmp_path / "net.safetensors", {"note": "a test"})
    stored = riata.load_network(tmp_path / "net.safetensors")
    assert isinstance(stored, riata.ConvDenoiser) and stored.denoiser_["metadata"] == {"note": "a test"}
    for other in (stored, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.transform(noisy), model.transform(noisy))
    assert stored.get_params()["stride"] == 3 and clone(model).get_params() == model.get_params()


def test_it_is_the_same_for_any_threads_and_resumes(tmp_path):
    few = SMALL | {"max_iter": 9}
    whole = riata.ConvDenoiser(8, 6, 3, **few, n_jobs=1).fit(PICTURES, 25)
    checkpoint = dict(checkpoint=tmp_path / "c.safetensors", checkpoint_every=2)
    seen = []
    riata.ConvDenoiser(8, 6, 3, **few, **checkpoint, callback=lambda info: seen.append(info.value) or len(seen) == 5).fit(PICTURES, 25)
    resumed = riata.ConvDenoiser(8, 6, 3, **few, **checkpoint, resume=True, n_jobs=2).fit(PICTURES, 25)
    np.testing.assert_array_equal(resumed.kernels_, whole.kernels_)
    assert seen == list(whole.history_.value[:5])


def test_sigma_has_the_unit_of_the_pictures(model, tmp_path):
    with pytest.raises(ValueError, match="the picture holds uint8, but those of training held floats"):
        model.transform(np.zeros((20, 20), np.uint8))
    of_bytes = riata.ConvDenoiser(8, 6, 3, **SMALL | {"max_iter": 2}, gradient="dec").fit([p.astype(np.uint8) for p in PICTURES], 25)
    of_bytes.save(tmp_path / "net.safetensors")
    stored = riata.load_network(tmp_path / "net.safetensors")
    assert stored.gradient == "dec"
    with pytest.raises(ValueError, match="the picture holds float64, but those of training held integers"):
        stored.transform(np.zeros((20, 20)))
    with pytest.raises(TypeError, match="some pictures hold integers and some floats"):
        riata.ConvDenoiser(8, 6, 3, **SMALL).fit([PICTURES[0], PICTURES[1].astype(np.uint8)], 25)


@pytest.mark.parametrize("sigma", [1e-42, 1e39])
def test_a_sigma_beyond_single_precision_is_refused(model, sigma):
    with pytest.raises(ValueError, match="leaves single precision"):
        model.transform(PICTURES[0], sigma)


def test_a_network_that_diverges_is_refused(model):
    wild = riata.ConvDenoiser(8, 6, 3)
    wild._take(model.denoiser_ | {"step": 50.0, "n_layers": 200})
    with pytest.raises(ValueError, match="the network diverges on this picture: step = 50 is above 2"):
        wild.transform(PICTURES[0])


def test_a_run_does_not_resume_on_pictures_of_another_shape(tmp_path):
    few = SMALL | {"max_iter": 3, "checkpoint": tmp_path / "c.safetensors", "resume": True}
    riata.ConvDenoiser(8, 6, 3, **few).fit([PICTURES[0]], 25)
    with pytest.raises(ValueError, match="pictures_hash"):
        riata.ConvDenoiser(8, 6, 3, **few).fit([PICTURES[0].reshape(60, 50)], 25)


def test_a_step_that_may_diverge_is_told():
    with pytest.warns(ConvergenceWarning, match="step = 3.0 is above 2"):
        riata.ConvDenoiser(8, 6, 3, **SMALL | {"max_iter": 2}, step=3.0).fit(PICTURES, 25)


@pytest.mark.parametrize("call, sentence", [
    (lambda: riata.ConvDenoiser(8, 6, 3, **SMALL).fit([], 25), "ConvDenoiser.fit: images holds no picture"),
    (lambda: riata.ConvDenoiser(8, 6, 3, **SMALL).fit([np.zeros((20, 40))], 25), "picture 0 has 20 x 40 pixels"),
    (lambda: riata.ConvDenoiser(8, 6, 3, **SMALL).fit(PICTURES, 0), "sigma = 0, must be > 0 and finite"),
    (lambda: riata.ConvDenoiser(8, 6, 7, **SMALL).fit(PICTURES, 25), "stride = 7, must be at most the kernels' 6"),
    (lambda: riata.ConvDenoiser(8, 6, 3, **SMALL, threshold="firm").fit(PICTURES), "threshold = 'firm', must be 'soft' or 'hard'"),
    (lambda: riata.ConvDenoiser(8, 6, 3, **SMALL).fit([picture(40, 40) * np.nan]), "the picture holds nan at sample 0"),
    (lambda: riata.ConvDenoiser(8, 6, 3, **SMALL).fit(np.zeros(9)), "images has shape (9,)"),
])  # fmt: skip
def test_bad_inputs_get_a_sentence(call, sentence):
    with pytest.raises(ValueError) as refused:
        call()
    assert sentence in str(refused.value)
