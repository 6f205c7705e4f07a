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


FAST = dict(sigma=15, n_atoms=48, patch=6, n_layers=5)


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
    assert riata.denoise(noisy, n_atoms=32, patch=6, n_layers=3).sigma == pytest.approx(20, rel=0.1)


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


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_alpha_is_no_colour_and_stays_as_it_is(clean, noisy, channels, dtype):
    scale, peak = {"uint8": (1, 255), "uint16": (257, 65535)}.get(dtype, (1, 255))
    rng = np.random.default_rng(1)
    colours = np.stack([noisy, noisy[::-1], noisy[:, ::-1]][: channels - 1], axis=2)
    image = np.dstack([colours, rng.integers(0, 256, noisy.shape)])
    image, reference = ((scale * a).round().clip(0, peak).astype(dtype) for a in (image, image * 0 + clean[..., None]))
    result = riata.denoise(image, reference=reference, **FAST)
    alone = riata.denoise(image[..., :-1], reference=reference[..., :-1], **FAST)
    assert result.image.dtype == dtype and result.image.shape == image.shape
    np.testing.assert_array_equal(result.image[..., -1], image[..., -1])
    np.testing.assert_array_equal(result.image[..., :-1], alone.image)
    assert (result.psnr_in, result.psnr_out) == (alone.psnr_in, alone.psnr_out)
    peak = 255 if dtype.startswith("f") else None
    assert riata.psnr(result.image, reference, peak) == result.psnr_out
    assert riata.psnr(result.image, reference[..., :-1], peak) == result.psnr_out
    unknown = riata.denoise(image, n_atoms=48, patch=6, n_layers=5, learn=False)
    assert unknown.sigma == riata.denoise(image[..., :-1], n_atoms=48, patch=6, n_layers=5, learn=False).sigma


def test_infinite_alpha_passes_too(noisy):
    image = np.dstack([noisy, np.full(noisy.shape, np.inf)])
    result = riata.denoise(image, **FAST)
    assert np.isinf(result.image[..., 1]).all() and np.isfinite(result.image[..., 0]).all()


def patterns(n=32):
    """Pictures without noise that are textured everywhere."""
    y, x = np.mgrid[:n, :n]
    rng = np.random.default_rng(2)
    bayer = np.tile(np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16, (n // 4, n // 4))
    dots = 0.5 + 0.5 * np.cos(2.0944 * (x + y)) * np.cos(1.0472 * (x - y))
    bars = rng.random(n).cumsum() % 1
    glyphs = 255 - 255 * np.kron(rng.random((n // 2, n // 3)) < 0.3, np.ones((2, 3)))
    return {
        "checkers": 255 * ((x + y) % 2),
        "checkers of 2": 255 * ((x // 2 + y // 2) % 2),
        "checkers of 3": 100 + 80 * ((x // 3 + y // 3) % 2),
        "diagonal": 255 * ((x + y) // 2 % 2),
        "grating": 127 + 127 * np.cos(2 * np.pi * (0.37 * x + 0.41 * y)),
        "halftone": 255 * (bayer < x / n),
        "screen": 255 * (dots < 0.2 + 0.6 * x / n),
        "code": 255 * rng.integers(0, 2, (n, n)),
        "modules": 255 * np.kron(rng.integers(0, 2, (n // 2, n // 2)), np.ones((2, 2))),
        "bar code": np.tile(255 * (bars > 0.5), (n, 1)),
        "text": glyphs,
        "tiles": np.tile(rng.integers(0, 256, (8, 8)), (n // 8, n // 8)),
        "black": 0 * x,
        "white": 255 + 0 * x,
        "one pixel": 255 * ((x == n // 2) & (y == n // 2)),
        "overexposed": np.clip(900 * np.sin(x / 5) * np.sin(y / 7), 0, 255),
    }


@pytest.mark.parametrize("name", patterns())
def test_a_pattern_without_noise_is_not_destroyed(name):
    image = patterns()[name].round().astype(np.uint8)
    result = riata.denoise(image, learn=False)
    assert riata.psnr(result.image, image) > 32
    assert result.sigma <= image.std()
    assert riata.denoise(image.astype(np.float32) / 255, learn=False).sigma == pytest.approx(result.sigma / 255, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("patch, stride, shape", [(3, 5, (10, 7)), (2, 3, (9, 9)), (1, 2, (4, 4)), (4, 10, (40, 8))])
def test_pixels_that_no_patch_covers_are_refused(patch, stride, shape):
    image = np.arange(float(np.prod(shape))).reshape(shape)
    patches = riata.extract_patches(image, patch, stride)
    for dtype in ("float32", "float64"):
        sentence = rf"average_patches: no patch of {patch} x {patch} covers the pixel at row \d+, column \d+; expected a stride of at most {patch}"
        with pytest.raises(ValueError, match=sentence):
            riata.average_patches(patches.astype(dtype), shape, stride)


def test_a_wide_stride_that_leaves_nothing_out_is_fine():
    image = np.arange(60.0).reshape(6, 10)
    patches = riata.extract_patches(image, 5, 9)  # rows 0 and 1, columns 0 and 5
    np.testing.assert_array_equal(riata.average_patches(patches, np.array([6, 10]), 9), image)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_missing_pixels_are_filled_and_known_ones_kept(clean, dtype):
    scale = 257 if dtype == "uint16" else 1
    image = (scale * clean + (dtype == "float64") / 3).astype(dtype)
    known = np.random.default_rng(0).random(clean.shape) < 0.5
    holed = image.copy()
    holed[~known] = np.nan if dtype.startswith("f") else 77
    before = holed.copy()
    result = riata.denoise(holed, reference=image, n_atoms=48, patch=6, mask=known)
    np.testing.assert_array_equal(holed, before)
    assert result.image.dtype == dtype and result.sigma == 0 and result.psnr_in is None and result.psnr_out > 32
    np.testing.assert_array_equal(result.image[known], image[known])
    for mask in (known.astype("f4") * 0.1, known.astype(">i2").tolist()):
        np.testing.assert_array_equal(riata.denoise(holed, n_atoms=48, patch=6, mask=mask).image, result.image)


def test_missing_pixels_of_colours_are_filled_beside_their_alpha(clean):
    rng = np.random.default_rng(1)
    image = np.dstack([clean, clean[::-1], clean[:, ::-1], rng.integers(0, 256, clean.shape)]).astype(np.uint8)
    known = rng.random(clean.shape) < 0.5
    holed = np.where(known[..., None] | (np.arange(4) == 3), image, 0).astype(np.uint8)
    filled = riata.denoise(holed, n_atoms=48, patch=6, mask=known).image
    np.testing.assert_array_equal(filled[known], image[known])
    np.testing.assert_array_equal(filled[..., 3], image[..., 3])
    assert riata.psnr(filled, image) > 28


@pytest.mark.parametrize(
    ("mask", "options", "sentence"),
    [
        (np.ones((48, 55)), {}, "denoise: mask has shape (48, 55), expected the image's (48, 56)"),
        (np.ones((48, 56, 1)), {}, "denoise: mask has shape (48, 56, 1), expected the image's (48, 56)"),
        (np.zeros((48, 56)), {}, "denoise: the mask is zero everywhere; expected at least one known pixel"),
        (np.ones((48, 56)), {"sigma": -1}, "sigma = -1, must be >= 0 and finite"),
        (None, {"sigma": 0}, "sigma = 0, must be > 0 and finite"),
    ],
)
def test_bad_masks_are_refused(clean, mask, options, sentence):
    with pytest.raises(ValueError) as refused:
        riata.denoise(clean, mask=mask, **options)
    assert str(refused.value) == sentence


def test_a_mask_holds_no_nan():
    mask = np.ones((16, 16))
    mask[3, 4] = np.nan
    with pytest.raises(ValueError, match="denoise: mask holds NaN"):
        riata.denoise(np.zeros((16, 16)), mask=mask)
