"""Pictures that lie on a side or are mirrored in their file are read upright, as Pillow's exif_transpose turns them."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

ORIENTATION = 0x0112


def tiff_directory(orientation, order="<", kind=3, count=1, offset=8, n_entries=1):
    """EXIF's record, by hand: ("Exif", header, one entry)."""
    value = struct.pack(order + "HH", orientation, 0)
    entry = struct.pack(order + "HHI", ORIENTATION, kind, count) + value
    header = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, offset)
    return b"Exif\0\0" + header + struct.pack(order + "H", n_entries) + entry + struct.pack(order + "I", 0)


def picture(channels=3):
    """24 x 40, smooth, all corners different."""
    y, x = np.mgrid[:24, :40]
    samples = np.stack([40 + 4 * y, 20 + 5 * x, 200 - 3 * x - 2 * y], axis=-1).astype(np.uint8)
    return Image.fromarray(samples if channels == 3 else samples[..., 2].copy())


def pixels_that_riata_reads(riata, name):
    """All its 1 x 1 patches in raster order: the pixels, channel after channel."""
    np.save(riata.folder / "one.npy", np.ones((1, 1)))
    riata("encode", "one.npy", name, "-o", "z.npy", "--reg", "1e-6", "--tol", 0)
    return np.load(riata.folder / "z.npy").ravel()


def upright(path, orientation):
    """What Pillow decodes, ordered by Pillow's table: (planes' shape, pixels as above)."""
    with Image.open(path) as image:
        stored = Image.fromarray(np.array(image))  # without the file's own record
    stored.getexif()[ORIENTATION] = orientation
    turned = np.array(ImageOps.exif_transpose(stored), dtype=float)
    planes = turned[None] if turned.ndim == 2 else np.moveaxis(turned, -1, 0)
    return planes.shape, planes.ravel()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", "<>")
def test_a_jpeg_is_read_upright(riata, orientation, order):
    picture().save(riata.folder / "phone.jpg", quality=95, exif=tiff_directory(orientation, order))
    shape, pixels = upright(riata.folder / "phone.jpg", orientation)
    assert shape == ((3, 24, 40) if orientation < 5 else (3, 40, 24))
    assert np.abs(pixels_that_riata_reads(riata, "phone.jpg") - pixels).max() <= 2  # two decoders


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", (1, 3))
def test_a_tiff_is_read_upright(riata, orientation, channels):
    picture(channels).save(riata.folder / "scan.tif", tiffinfo={ORIENTATION: orientation})
    picture(channels).save(riata.folder / "plain.tif")
    _, pixels = upright(riata.folder / "plain.tif", orientation)
    np.testing.assert_allclose(pixels_that_riata_reads(riata, "scan.tif"), pixels, atol=1e-3)


def test_denoise_writes_an_upright_picture(riata, noisy):
    Image.fromarray(noisy[:, :40].copy()).save(riata.folder / "phone.jpg", quality=95, exif=tiff_directory(6))
    riata("denoise", "phone.jpg", "-o", "out.png", "--sigma", 25, "--n-atoms", 64)
    shape, pixels = upright(riata.folder / "phone.jpg", 6)
    with Image.open(riata.folder / "out.png") as image:
        cleaned = np.array(image, dtype=float)
    assert cleaned.shape == shape[1:] == (40, 48)
    assert np.corrcoef(cleaned.ravel(), pixels)[0, 1] > 0.5  # of a noisy picture with its cleaned one


whole = tiff_directory(6)
DAMAGED = {
    "no such orientation": tiff_directory(9),
    "zero": tiff_directory(0),
    "not a short": tiff_directory(6, kind=4),
    "several values": tiff_directory(6, count=2),
    "directory beyond the end": tiff_directory(6, offset=2**32 - 1),
    "directory at the end": tiff_directory(6, offset=len(whole) - 6 - 1),
    "byte order unknown": whole.replace(b"II", b"XX"),
    "not EXIF": whole.replace(b"Exif", b"http"),
} | {f"cut after {n} bytes": whole[:n] for n in range(len(whole) - 4 - 1)}


def app1(content):
    return b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content


@pytest.mark.parametrize("exif", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_ignored(riata, exif):
    picture().save(riata.folder / "plain.jpg", quality=95)
    plain = (riata.folder / "plain.jpg").read_bytes()
    (riata.folder / "x.jpg").write_bytes(plain[:2] + app1(exif) + plain[2:])
    np.testing.assert_array_equal(pixels_that_riata_reads(riata, "x.jpg"), pixels_that_riata_reads(riata, "plain.jpg"))


def test_a_record_that_promises_more_entries_than_it_holds_is_read_as_far_as_it_goes(riata):
    picture().save(riata.folder / "phone.jpg", quality=95, exif=tiff_directory(3, n_entries=65535))
    _, pixels = upright(riata.folder / "phone.jpg", 3)
    assert np.abs(pixels_that_riata_reads(riata, "phone.jpg") - pixels).max() <= 2


def test_other_records_are_skipped_and_need_no_memory(riata):
    picture().save(riata.folder / "phone.jpg", quality=95, exif=tiff_directory(6))
    phone = (riata.folder / "phone.jpg").read_bytes()
    records = app1(b"") + app1(b"Exif") + app1(b"http" + bytes(65529)) * 600
    late_records = app1(tiff_directory(3)) + app1(whole + bytes(65000)) * 200
    at = phone.index(app1(whole)) + len(app1(whole))
    (riata.folder / "many.jpg").write_bytes(phone[:2] + records + phone[2:at] + late_records + phone[at:])
    np.testing.assert_array_equal(pixels_that_riata_reads(riata, "many.jpg"), pixels_that_riata_reads(riata, "phone.jpg"))
    few, many = (riata.peak_megabytes("encode", "one.npy", name, "-o", "z.npy", "--reg", 1) for name in ("phone.jpg", "many.jpg"))
    assert many < few + 10
