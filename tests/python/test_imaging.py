"""Patches, PSNR and denoising from Python."""

import numpy as np
import pytest

import riata


@pytest.fixture(scope="module")
def clean():
    y, x = np.mgrid[:48, :56]
    return np.round(128 + 60 * np.sin(x / 5.0) + 50 * np.sign(np.sin(y / 7.0)))


@pytest.fixture(scope="module")
def noisy(clean):
    return clean + 15 * np.random.default_rng(0).standard_normal(clean.shape)


FAST = dict(sigma=15, n_atoms=48, patch=6, layers=5)


@pytest.mark.parametrize("stride", [1, 3, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_averaging_an_images_own_patches_gives_the_image(clean, stride, dtype):
    image = clean.astype(dtype)
    patches = riata.extract_patches(image, 5, stride)
    assert patches.dtype == (np.float32 if dtype == "float32" else np.float64) and patches.shape[1] == 25
    np.testing.assert_allclose(riata.average_patches(patches, image.shape, stride), image, rtol=1e-6)


@pytest.mark.parametrize("stride", [44, 10**6, 2**31, 2**62])
def test_a_huge_stride_gives_the_four_corners(clean, stride):
    patches = riata.extract_patches(clean, 4, stride)
    windows = clean[:4, :4], clean[:4, -4:], clean[-4:, :4], clean[-4:, -4:]
    if stride == 44:  # 52 columns of corners: 0, 44 and the last
        windows = windows[0], clean[:4, 44:48], windows[1], windows[2], clean[-4:, 44:48], windows[3]
    np.testing.assert_array_equal(patches, [window.ravel() for window in windows])


def test_patches_are_rows_of_pixels_in_raster_order(clean):
    windows = np.lib.stride_tricks.sliding_window_view(clean, (4, 4)).reshape(-1, 16)
    np.testing.assert_array_equal(riata.extract_patches(clean, 4), windows)


def test_psnr_equals_its_formula(clean, noisy):
    expected = 10 * np.log10(255**2 / np.mean((clean - noisy) ** 2))
    assert riata.psnr(noisy, clean) == pytest.approx(expected, rel=1e-14)
    assert riata.psnr(noisy / 255, clean / 255, peak=1.0) == pytest.approx(expected, rel=1e-12)
    wide = [(257 * a).clip(0, 65535).astype(np.uint16) for a in (noisy, clean)]
    assert riata.psnr(*wide) == pytest.approx(riata.psnr(*(a / 257 for a in wide)), rel=1e-12)
    a, b = np.uint8([[0, 255]]), np.uint8([[255, 0]])
    assert riata.psnr(a, b) == 0  # no wrap-around
    assert riata.psnr(clean, clean) == np.inf


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_denoising_keeps_the_dtype_and_cleans(clean, noisy, dtype):
    image, reference = noisy, clean
    if dtype.startswith("u"):
        scale, peak = (1, 255) if dtype == "uint8" else (257, 65535)
        image, reference = (np.rint(scale * a).clip(0, peak) for a in (noisy, clean))
    result = riata.denoise(image.astype(dtype), reference=reference.astype(dtype), **FAST)
    assert result.image.dtype == dtype and result.image.shape == clean.shape
    assert result.psnr_out > result.psnr_in + 4
    assert result.dictionary.shape[1] == 36 and result.sigma == 15
    assert len(result.history.value) > 0


def test_a_picture_between_0_and_1_is_cleaned_alike(clean, noisy):
    grey = riata.denoise(noisy, reference=clean, **FAST)
    unit = riata.denoise(noisy / 255, reference=clean / 255, peak=1.0, **FAST | {"sigma": 15 / 255})
    assert unit.psnr_in == pytest.approx(grey.psnr_in, rel=1e-9)
    assert unit.psnr_out == pytest.approx(grey.psnr_out, abs=0.3)


def test_a_colour_picture_keeps_its_shape(clean, noisy):
    image = np.stack([noisy, noisy[::-1], noisy[:, ::-1]], axis=2)
    result = riata.denoise(image, **FAST)
    assert result.image.shape == image.shape and result.psnr_in is None and result.psnr_out is None


def test_sigma_is_estimated_when_not_given():
    noisy = 128 + 20 * np.random.default_rng(0).standard_normal((64, 64))
    assert riata.denoise(noisy, n_atoms=32, patch=6, layers=3).sigma == pytest.approx(20, rel=0.1)


def test_the_same_seed_gives_the_same_picture_for_any_number_of_threads(noisy):
    results = [riata.denoise(noisy, n_threads=n, **FAST).image for n in (1, 2)]
    np.testing.assert_array_equal(*results)


def test_the_input_is_left_alone(noisy):
    image = noisy.astype(np.float32)
    image.setflags(write=False)
    riata.denoise(image, **FAST)
    np.testing.assert_array_equal(image, noisy.astype(np.float32))


@pytest.mark.parametrize("dtype", ["uint16", "float64"])
def test_the_byte_order_of_the_input_does_not_matter(noisy, dtype):
    image = np.clip(noisy, 0, 255).astype(dtype)
    expected = riata.denoise(image, reference=image + 1, **FAST)
    swapped = image.astype(image.dtype.newbyteorder())
    result = riata.denoise(swapped, reference=(image + 1).astype(swapped.dtype), **FAST)
    np.testing.assert_array_equal(result.image, expected.image)
    assert result.psnr_in == expected.psnr_in and result.psnr_out == expected.psnr_out
