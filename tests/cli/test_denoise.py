"""riata denoise: formats are kept, the report is true, the same run gives the same bits. Small crops: these are quick."""

import signal
import time

import numpy as np
import pytest
from PIL import Image

KEYS = {"psnr_in", "psnr_out", "seconds", "n_atoms", "n_layers", "sigma", "sigma_estimated", "patch", "reg", "method",
        "n_iter", "status", "output"}
SMALL = ("--sigma", 25, "--n-atoms", 64)


def psnr(a, b, peak=255):
    return 10 * np.log10(peak**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def catches_interrupts(process):
    with open(f"/proc/{process.pid}/status") as status:
        caught = next(line for line in status if line.startswith("SigCgt:"))
    return int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1


def load(path):
    with Image.open(path) as image:
        return np.array(image)


@pytest.fixture(autouse=True)
def files(tmp_path, photograph, noisy):
    Image.fromarray(photograph).save(tmp_path / "clean.png")
    Image.fromarray(noisy).save(tmp_path / "noisy.png")


def test_the_report_is_that_of_the_written_picture(riata, tmp_path, photograph, noisy):
    report = riata.json("denoise", "noisy.png", "-o", "out.png", "--sigma", 25, "--reference", "clean.png")
    assert KEYS <= report.keys()
    assert report["psnr_in"] == pytest.approx(psnr(noisy, photograph), abs=1e-4)
    assert report["psnr_out"] == pytest.approx(psnr(load(tmp_path / "out.png"), photograph), abs=1e-4)
    assert report["psnr_out"] > report["psnr_in"] + 3
    assert (report["sigma"], report["sigma_estimated"], report["output"]) == (25, False, "out.png")


def test_without_sigma_and_reference_one_is_estimated_the_other_null(riata):
    report = riata.json("denoise", "noisy.png", "-o", "out.png", "--n-atoms", 64)
    assert report["sigma_estimated"] is True and 15 < report["sigma"] < 35
    assert report["psnr_in"] is None and report["psnr_out"] is None


def test_options_are_obeyed_and_reported(riata, tmp_path, safetensors):
    report = riata.json("denoise", "noisy.png", "-o", "out.png", "--sigma", 20, "--n-atoms", 40, "--patch", 6, "--n-layers", 7,
                        "--reg", 44, "--method", "alternating", "--model-out", "m.safetensors")
    expected = {"sigma": 20, "n_atoms": 40, "patch": 6, "n_layers": 7, "reg": 44, "method": "alternating"}
    assert expected.items() <= report.items()
    tensors, metadata = safetensors.read(tmp_path / "m.safetensors")
    assert tensors["dictionary"].shape == (40, 36) and tensors["dictionary"].dtype == np.float32
    assert {"patch": "6", "n_layers": "7", "reg": "44", "centred": "true", "method": "alternating"}.items() <= metadata.items()
    riata("encode", "m.safetensors", "noisy.png", "-o", "c.npy")
    assert np.load(tmp_path / "c.npy").shape == (43 * 43, 40)


def test_dct_learns_nothing_and_plain_is_the_documents_variant(riata):
    dct = riata.json("denoise", "noisy.png", "-o", "out.png", *SMALL, "--dct")
    assert dct["n_iter"] == 0 and dct["method"] == "dct"
    plain = riata.json("denoise", "noisy.png", "-o", "out.png", "--sigma", 25, "--plain")
    assert (plain["n_atoms"], plain["patch"]) == (128, 10)


def test_same_bits_for_one_and_two_threads(riata, tmp_path):
    for threads in (1, 2):
        riata("denoise", "noisy.png", "-o", f"{threads}.png", *SMALL, "--n-threads", threads, "--model-out",
              f"{threads}.safetensors")
    for kind in ("png", "safetensors"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()


@pytest.mark.parametrize("extension", ["png", "jpg", "tif"])
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_eight_bit_formats_are_kept(riata, tmp_path, photograph, noisy, extension, colour):
    picture = np.dstack([noisy, noisy.T, noisy[::-1]]) if colour else noisy
    clean = np.dstack([photograph, photograph.T, photograph[::-1]]) if colour else photograph
    Image.fromarray(picture).save(tmp_path / f"in.{extension}")
    riata("denoise", f"in.{extension}", "-o", f"out.{extension}", *SMALL, "--dct")
    out = load(tmp_path / f"out.{extension}")
    assert out.shape == picture.shape and out.dtype == np.uint8
    assert psnr(out, clean) > psnr(picture, clean) + 3


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_sixteen_bits_are_kept(riata, tmp_path, noisy, photograph, extension):
    deep = noisy.astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / f"in.{extension}")
    report = riata.json("denoise", f"in.{extension}", "-o", f"out.{extension}", *SMALL, "--dct", "--reference", "clean.png")
    out = load(tmp_path / f"out.{extension}")
    assert out.max() > 255 and len(np.unique(out % 257)) > 100  # all bits are used
    riata("denoise", "noisy.png", "-o", "eight.png", *SMALL, "--dct")
    assert np.abs(out / 257 - load(tmp_path / "eight.png")).max() <= 0.51
    assert report["psnr_out"] == pytest.approx(psnr(out / 257, photograph), abs=1e-3)


def test_alpha_is_kept(riata, tmp_path, noisy):
    alpha = np.arange(noisy.size, dtype=np.uint8).reshape(noisy.shape)
    Image.fromarray(np.dstack([noisy, noisy, noisy, alpha])).save(tmp_path / "in.png")
    riata("denoise", "in.png", "-o", "out.png", *SMALL, "--dct")
    out = load(tmp_path / "out.png")
    np.testing.assert_array_equal(out[..., 3], alpha)
    assert not np.array_equal(out[..., 0], noisy)


def test_max_time_keeps_the_best_dictionary_so_far(riata):
    report = riata.json("denoise", "noisy.png", "-o", "out.png", "--sigma", 25, "--max-time", 1e-6)
    assert report["status"] == "max_time" and report["n_iter"] == 1


def test_ctrl_c_writes_the_picture_with_the_dictionary_so_far(riata, tmp_path, noisy):
    run = riata.start("denoise", "noisy.png", "-o", "out.png", "--sigma", 25)
    while not catches_interrupts(run):
        assert run.poll() is None
        time.sleep(0.001)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 130
    assert errors.startswith("riata denoise: interrupted after ")
    assert errors.endswith("; out.png was cleaned with the best dictionary so far\n")
    assert load(tmp_path / "out.png").shape == noisy.shape


def test_missing_pixels_are_filled_and_known_ones_kept(riata, tmp_path, photograph):
    known = np.random.default_rng(0).random(photograph.shape) < 0.5
    holed = np.where(known, photograph, 255).astype(np.uint8)
    Image.fromarray(holed).save(tmp_path / "holed.png")
    Image.fromarray(known.astype(np.uint8)).save(tmp_path / "mask.png")  # 1 of 255 is known too
    Image.fromarray(np.dstack([known * 255, known * 0, known * 0]).astype(np.uint8)).save(tmp_path / "colours.png")
    options = ("--n-atoms", 64, "--mask")
    report = riata.json("denoise", "holed.png", "-o", "out.png", "--reference", "clean.png", *options, "mask.png")
    out = load(tmp_path / "out.png")
    np.testing.assert_array_equal(out[known], photograph[known])
    assert report["psnr_out"] == pytest.approx(psnr(out, photograph), abs=1e-4) and report["psnr_out"] > 23
    assert (report["sigma"], report["sigma_estimated"], report["psnr_in"]) == (0, False, None)
    assert report["n_missing"] == np.count_nonzero(~known)
    riata("denoise", "holed.png", "-o", "again.png", *options, "colours.png")
    np.testing.assert_array_equal(load(tmp_path / "again.png"), out)
    report = riata.json("denoise", "holed.png", "-o", "smooth.png", "--sigma", 10, *options, "mask.png", "--dct")
    assert report["sigma"] == 10 and np.any(load(tmp_path / "smooth.png")[known] != photograph[known])


def test_each_page_has_a_mask(riata, tmp_path, photograph):
    half = (np.arange(photograph.shape[1]) % 2 * np.ones_like(photograph)).astype(np.uint8)
    pages = [Image.fromarray(photograph), Image.fromarray(photograph.T.copy())]
    masks = [Image.fromarray(half), Image.fromarray(half.T.copy())]
    for name, images in (("two", pages), ("masks", masks)):
        images[0].save(tmp_path / f"{name}.tif", save_all=True, append_images=images[1:])
    report = riata.json("denoise", "two.tif", "-o", "out.tif", "--mask", "masks.tif", "--dct", "--n-atoms", 32)
    assert [page["n_missing"] for page in report["pages"]] == [np.count_nonzero(half == 0)] * 2


@pytest.mark.parametrize("name", ["mask.jpg", "mask.JPG", "named.png"])
def test_a_mask_is_no_jpeg(riata, tmp_path, name):
    Image.fromarray(np.zeros((20, 20), "u1")).save(tmp_path / "p.png")
    Image.fromarray(np.zeros((20, 20), "u1")).save(tmp_path / name, "JPEG")
    done = riata.run("denoise", "p.png", "-o", "out.png", "--mask", name)
    assert done.returncode == 2 and f"--mask {name}: JPEG turns black, which is missing, into nearly black" in done.stderr
