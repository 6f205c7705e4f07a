"""The kinds of pictures of docs/pictures.md: each is made here by Pillow or tifffile, read by the command, and compared pixel by
pixel; what a library would repair or make up is refused in a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

RANDOM = np.random.default_rng(3)
GREY = RANDOM.integers(0, 256, (13, 22), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (13, 22, 3), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (13, 22), dtype=np.uint16)
DEEP_COLOUR = RANDOM.integers(0, 65536, (13, 22, 3), dtype=np.uint16)
FLOAT = RANDOM.normal(0.5, 0.2, (13, 22)).astype(np.float32)
FLOAT_COLOUR = RANDOM.normal(0.5, 0.2, (13, 22, 3)).astype(np.float32)
SMOOTH = (np.add.outer(np.arange(32), np.arange(48)) * 3).astype(np.uint8)


@pytest.fixture
def pixels(riata, tmp_path):
    """pixels(name, *options): what the command reads, (height, width[, 3]) in 8-bit grey levels, or in a float TIFF's unit.

    A dictionary of one atom of one pixel codes each pixel by itself: its code is the pixel less reg."""
    reg = 1e-9
    np.save(tmp_path / "one.npy", np.ones((1, 1)))

    def read(name, *options):
        height, width, channels = (riata.json("info", name, *options)["files"][0][key] for key in ("height", "width", "channels"))
        alpha = riata.json("info", name, *options)["files"][0]["alpha"]
        riata("encode", "one.npy", name, "-o", "z.npy", "--reg", reg, *options)
        codes = np.load(tmp_path / "z.npy")[:, 0]
        planes = np.where(codes == 0, 0, codes + reg * np.sign(codes)).reshape(channels - alpha, height, width)
        return planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1)

    return read


def save(path, picture, **options):
    Image.fromarray(picture).save(path, **options) if not isinstance(picture, Image.Image) else picture.save(path, **options)


def palette(n_colours):
    picture = Image.fromarray(GREY % n_colours)
    picture.putpalette(list(RANDOM.integers(0, 256, 3 * n_colours, dtype=np.uint8)))
    return picture


PILLOW = [
    ("grey.png", GREY, {}), ("colour.png", COLOUR, {}), ("deep.png", DEEP, {}), ("bilevel.png", GREY > 100, {}),
    ("palette.png", palette(200), {}), ("palette4.png", palette(11), {"bits": 4}), ("palette2.png", palette(4), {"bits": 2}),
    ("palette1.png", palette(2), {"bits": 1}), ("palette_alpha.png", palette(5), {"transparency": 3}),
    ("grey_alpha.png", Image.fromarray(GREY).convert("LA"), {}), ("colour_alpha.png", Image.fromarray(COLOUR).convert("RGBA"), {}),
    ("grey.tif", GREY, {}), ("colour.tif", COLOUR, {}), ("deep.tif", DEEP, {}), ("bilevel.tif", GREY > 100, {}),
    ("group3.tif", GREY > 100, {"compression": "group3"}), ("group4.tif", GREY > 100, {"compression": "group4"}),
    ("lzw.tif", COLOUR, {"compression": "tiff_lzw"}), ("deflate.tif", COLOUR, {"compression": "tiff_adobe_deflate"}),
    ("packbits.tif", COLOUR, {"compression": "packbits"}), ("palette.tif", palette(200), {}),
    ("palette_lzw.tif", palette(200), {"compression": "tiff_lzw"}), ("float.tif", FLOAT, {}),
    ("cmyk.tif", Image.fromarray(COLOUR).convert("CMYK"), {}), ("alpha.tif", Image.fromarray(COLOUR).convert("RGBA"), {}),
]


@pytest.mark.parametrize("name, picture, options", PILLOW, ids=[row[0] for row in PILLOW])
def test_pictures_of_pillow_are_read_pixel_by_pixel(pixels, tmp_path, name, picture, options):
    save(tmp_path / name, picture, **options)
    with Image.open(tmp_path / name) as image:
        if image.mode in ("P", "CMYK", "RGBA"):
            image = image.convert("RGB")
        wanted = np.asarray(image.convert("L") if image.mode in ("1", "LA") else image).astype(float)
    if wanted.max() > 255:
        wanted /= 257
    np.testing.assert_allclose(pixels(name), wanted, atol=2e-5)


TIFFFILE = {
    "strips": (GREY, {"rowsperstrip": 3}), "tiles": (GREY, {"tile": (16, 16)}), "tiles_colour": (COLOUR, {"tile": (16, 32)}),
    "tiles_deep": (DEEP_COLOUR, {"tile": (16, 16), "compression": "zlib"}),
    "tiles_planar": (np.moveaxis(COLOUR, -1, 0), {"tile": (16, 16), "planarconfig": "separate"}),
    "planar": (np.moveaxis(DEEP_COLOUR, -1, 0), {"planarconfig": "separate", "rowsperstrip": 4}),
    "white_is_zero": (255 - GREY, {"photometric": "miniswhite"}), "big": (COLOUR, {"bigtiff": True}),
    "big_endian": (DEEP_COLOUR, {"byteorder": ">"}), "bilevel": (GREY > 100, {}),
    "palette16": (GREY, {"photometric": "palette", "colormap": RANDOM.integers(0, 256, (3, 256)).astype(np.uint16) * 257}),
    "float": (FLOAT, {}), "float_colour": (FLOAT_COLOUR, {}), "float_tiles": (FLOAT, {"tile": (16, 16)}),
    "double": (FLOAT.astype(np.float64), {}), "half": (FLOAT.astype(np.float16), {}), "negative": (FLOAT - 1, {}),
    "float_big_endian": (FLOAT, {"byteorder": ">"}),
}


@pytest.mark.parametrize("kind", TIFFFILE)
def test_pictures_of_tifffile_are_read_pixel_by_pixel(pixels, tmp_path, kind):
    picture, options = TIFFFILE[kind]
    colour = 3 in (picture.shape[0], picture.shape[-1]) and picture.ndim == 3
    options = {"photometric": "rgb" if colour else "minisblack", "metadata": None} | options
    tifffile.imwrite(tmp_path / "x.tif", picture, **options)
    wanted = tifffile.imread(tmp_path / "x.tif")
    np.testing.assert_array_equal(wanted, picture)
    wanted = np.moveaxis(wanted, 0, -1) if options.get("planarconfig") == "separate" else wanted
    wanted = 255 - wanted if options["photometric"] == "miniswhite" else wanted
    if options["photometric"] == "palette":
        wanted = np.moveaxis(options["colormap"] // 257, 0, -1)[wanted].astype(np.uint8)
    scale = {"b": 255, "f": 1}.get(wanted.dtype.kind, 1 if wanted.dtype == np.uint8 else 1 / 257)
    np.testing.assert_allclose(pixels("x.tif"), wanted.astype(float) * scale, atol=2e-5)


def packed_tiff(samples, n_bits, big_endian=False):
    """Grey samples of a few bits: neither Pillow nor tifffile writes them."""
    order = ">" if big_endian else "<"
    rows = b"".join(np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - n_bits :].ravel()).tobytes() for row in samples)
    height, width = samples.shape
    entries = [(256, width), (257, height), (258, n_bits), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, len(rows))]
    directory = struct.pack(order + "H", 9) + b"".join(
        struct.pack(order + "HHI", tag, 4, 1) + struct.pack(order + "I", value) for tag, value in entries) + bytes(4)
    return (b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "I", 8 + len(rows)) + rows + directory


@pytest.mark.parametrize("n_bits", [1, 2, 4])
@pytest.mark.parametrize("big_endian", [False, True])
def test_packed_tiffs_are_spread_over_eight_bits(pixels, tmp_path, n_bits, big_endian):
    samples = GREY >> (8 - n_bits)
    (tmp_path / "x.tif").write_bytes(packed_tiff(samples, n_bits, big_endian))
    with Image.open(tmp_path / "x.tif") as image:
        np.testing.assert_array_equal(np.asarray(image.convert("L")), samples * (255 // (2**n_bits - 1)))
    np.testing.assert_allclose(pixels("x.tif"), samples * (255 // (2**n_bits - 1)), atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}], ids=["baseline", "progressive", "subsampled"])
def test_jpegs_are_read_as_pillow_reads_them(pixels, tmp_path, mode, options):
    picture = np.dstack([SMOOTH, 255 - SMOOTH, SMOOTH // 2])
    Image.fromarray(picture).convert(mode).save(tmp_path / "x.jpg", quality=95, **options)
    with Image.open(tmp_path / "x.jpg") as image:
        assert image.mode == mode
        wanted = np.asarray(image.convert("RGB") if mode == "CMYK" else image).astype(float)
    np.testing.assert_allclose(pixels("x.jpg"), wanted, atol=1 if options.get("subsampling") else 2e-5)


# How the stored rows and columns lie in the upright picture (EXIF 2.3, 4.6.4).
UPRIGHT = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose, 6: lambda a: np.rot90(a, -1),
           7: lambda a: np.rot90(a, 2).T, 8: np.rot90}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["png", "jpg", "tif"])
def test_pictures_are_turned_upright(pixels, tmp_path, orientation, extension):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = SMOOTH[:, :20]
    Image.fromarray(picture).save(tmp_path / f"x.{extension}", exif=exif)
    if extension == "jpg":
        Image.fromarray(picture).save(tmp_path / "plain.jpg")
        with Image.open(tmp_path / "plain.jpg") as image:
            picture = np.asarray(image)
    if extension != "tif":  # where Pillow agrees with the standard
        with Image.open(tmp_path / f"x.{extension}") as image:
            np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(image)), UPRIGHT[orientation](picture))
    np.testing.assert_allclose(pixels(f"x.{extension}"), UPRIGHT[orientation](picture), atol=1e-6)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, bits, colour_type, interlaced, *chunks):
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def test_exif_behind_the_pixels_of_a_png_counts_too(pixels, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in SMOOTH))
    data = png(48, 32, 8, 0, 0, chunk(b"IDAT", rows), chunk(b"eXIf", exif.tobytes()[6:]))
    (tmp_path / "x.png").write_bytes(data)
    np.testing.assert_allclose(pixels("x.png"), np.rot90(SMOOTH, -1), atol=1e-6)


# Several pages

PAGES = [GREY, COLOUR[:9], DEEP, FLOAT]


@pytest.fixture
def stack(tmp_path):
    with tifffile.TiffWriter(tmp_path / "stack.tif") as file:
        for page in PAGES:
            file.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None)
    return "stack.tif"


def test_each_page_can_be_chosen(pixels, stack):
    for number, page in enumerate(PAGES, 1):
        scale = 1 / 257 if page.dtype == np.uint16 else 1
        np.testing.assert_allclose(pixels(stack, "--page", number), page * scale, atol=2e-5)


def test_info_describes_every_page(riata, stack):
    pages = riata.json("info", stack)["files"][0]["pages"]
    assert [(page["height"], page["channels"], page["bits"]) for page in pages] == [(13, 1, 8), (9, 3, 8), (13, 1, 16), (13, 1, 32)]
    assert "4 pages\n  page 1: 13 x 22 pixels, 1 channel of 8 bits" in riata("info", stack)
    assert riata.json("info", stack, "--page", 2)["files"][0]["height"] == 9


def test_all_pages_are_signals_unless_one_is_chosen(riata, tmp_path, stack):
    np.save(tmp_path / "D.npy", np.eye(4, dtype=np.float32))
    patches = [(page.shape[0] - 1) * (page.shape[1] - 1) * (3 if page.ndim == 3 else 1) for page in PAGES]
    assert riata.json("encode", "D.npy", stack, "-o", "Z.npy", "--reg", 1)["n_signals"] == sum(patches)
    assert riata.json("encode", "D.npy", stack, "-o", "Z.npy", "--reg", 1, "--page", 2)["n_signals"] == patches[1]
    learn = ("learn", stack, "-o", "m.safetensors", "--n-atoms", 4, "--reg", "0.1max", "--patch", 2, "--max-iter", 1)
    assert riata.json(*learn)["n_signals"] == sum(patches)
    assert riata.json(*learn, "--page", 3)["n_signals"] == patches[2]
    train = ("train", "--kind", "step", "--n-layers", 1, "--reg", 1, "--dictionary", "D.npy", "--data", stack, "-o", "n.safetensors",
             "--max-iter", 1)
    assert riata.json(*train, "--page", 1)["n_signals"] == patches[0]
    assert riata.json("infer", "n.safetensors", stack, "-o", "Z.npy", "--page", 4)["n_signals"] == patches[3]


def test_denoise_cleans_every_page_and_keeps_their_kinds(riata, tmp_path, noisy):
    small = noisy[:24, :24]
    pages = [small, np.dstack([small] * 3), small.astype(np.uint16) * 257, small.astype(np.float32) / 255,
             small.astype(np.float64)]
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        for page in pages:
            file.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None)
    report = riata.json("denoise", "in.tif", "-o", "out.tif", "--n-atoms", 64, "--dct", "--reference", "in.tif")
    assert len(report["pages"]) == 5 and all(page["psnr_in"] is None for page in report["pages"])  # infinity
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        cleaned = [page.asarray() for page in file.pages]
    assert [(page.shape, page.dtype) for page in cleaned] == [(page.shape, page.dtype) for page in pages]
    for number in (1, 4):  # as if it stood alone
        riata("denoise", "in.tif", "-o", "one.tif", "--n-atoms", 64, "--dct", "--page", number)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "one.tif"), cleaned[number - 1])


def test_a_floating_point_picture_is_cleaned_in_its_own_unit(riata, tmp_path, photograph, noisy):
    tifffile.imwrite(tmp_path / "in.tif", noisy.astype(np.float32) / 255, metadata=None)
    tifffile.imwrite(tmp_path / "clean.tif", photograph.astype(np.float32) / 255, metadata=None)
    options = ("--n-atoms", 64, "--dct", "--reference")
    report = riata.json("denoise", "in.tif", "-o", "out.tif", "--sigma", 25 / 255, *options, "clean.tif", "--peak", 1)
    eight = riata.json("denoise", "noisy.png", "-o", "out.png", "--sigma", 25, *options, "clean.png")
    assert report["psnr_in"] == pytest.approx(eight["psnr_in"], abs=1e-3)
    assert report["psnr_out"] == pytest.approx(eight["psnr_out"], abs=0.05)
    out = tifffile.imread(tmp_path / "out.tif")
    assert out.dtype == np.float32 and len(np.unique(out)) > 1000


@pytest.fixture(autouse=True)
def pictures(tmp_path, photograph, noisy):
    Image.fromarray(photograph).save(tmp_path / "clean.png")
    Image.fromarray(noisy).save(tmp_path / "noisy.png")


def test_what_a_format_cannot_hold_is_refused_before_the_work(riata, tmp_path, stack):
    def sentence(*arguments):
        done = riata.run(*arguments)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        return done.stderr.removesuffix("\n")

    tifffile.imwrite(tmp_path / "float.tif", FLOAT, metadata=None)
    assert sentence("denoise", stack, "-o", "out.png", "--page", 9) == "riata denoise: stack.tif has 4 pages; there is no page 9"
    assert sentence("denoise", "noisy.png", "-o", "o.png", "--page", 2) == "riata denoise: noisy.png has one page; there is no page 2"
    assert sentence("denoise", stack, "-o", "o.png", "--page", 0) == "riata denoise: page = 0, must be >= 1"
    assert sentence("denoise", "float.tif", "-o", "out.png") == (
        "riata denoise: out.png: only a TIFF holds floating-point samples; write .tif")
    riata("denoise", stack, "-o", "grey2.tif", "--page", 1, "--sigma", 1, "--dct", "--patch", 4, "--n-atoms", 16)
    tifffile.imwrite(tmp_path / "two.tif", np.stack([GREY, GREY]), photometric="minisblack", metadata=None)
    assert sentence("denoise", "two.tif", "-o", "out.png") == (
        "riata denoise: out.png: only a TIFF holds several pages (2); write .tif, or choose one page")
    assert sentence("denoise", "two.tif", "-o", "out.tif", "--model-out", "m.safetensors") == (
        "riata denoise: --model-out holds one dictionary, and two.tif has 2 pages; choose one with --page")
    assert sentence("denoise", "two.tif", "-o", "out.tif", "--reference", "clean.png") == (
        "riata denoise: clean.png has 1 pages but two.tif has 2; they must be equal")
    FLOAT_NAN = FLOAT.copy()
    FLOAT_NAN[3, 3] = np.nan
    tifffile.imwrite(tmp_path / "nan.tif", FLOAT_NAN, metadata=None)
    np.save(tmp_path / "D.npy", np.eye(4, dtype=np.float32))
    assert sentence("encode", "D.npy", "nan.tif", "-o", "Z.npy", "--reg", 1) == (
        "riata encode: nan.tif holds NaN or infinity; expected finite numbers")
    assert riata.json("info", "nan.tif")["files"][0]["n_not_finite"] == 1
    assert sentence("encode", "D.npy", "D.npy", "-o", "Z.npy", "--reg", 1, "--page", 1) == (
        "riata encode: --page chooses a page of a picture, and D.npy is an array")


# Headers that lie

def tiff(entries, data=b""):
    """A little-endian TIFF: pixels at byte 8, then one directory of (tag, type, count, value)."""
    fields = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries)) + fields + bytes(4)


def grey_tiff(width, height, data, **changed):
    tags = {"width": (256, 4, 1, width), "height": (257, 4, 1, height), "bits": (258, 3, 1, 8), "compression": (259, 3, 1, 1),
            "photometric": (262, 3, 1, 1), "offsets": (273, 4, 1, 8), "samples": (277, 3, 1, 1), "rows": (278, 4, 1, height),
            "bytes": (279, 4, 1, len(data))} | changed
    return tiff([entry for entry in tags.values() if entry], data)


EMPTY = zlib.compress(b"")
HEADERS_THAT_LIE = {
    "interlaced.png": png(60000, 65535, 8, 0, 1, chunk(b"IDAT", EMPTY)),
    "plain.png": png(30000, 2000, 16, 6, 0, chunk(b"IDAT", EMPTY)),
    "raw.tif": grey_tiff(60000, 65535, bytes(12)),
    "deflated.tif": grey_tiff(9000, 9000, EMPTY, compression=(259, 3, 1, 8)),
    "planar.tif": grey_tiff(9000, 9000, EMPTY, compression=(259, 3, 1, 8), samples=(277, 3, 1, 3), photometric=(262, 3, 1, 2),
                            planar=(284, 3, 1, 2)),
    "tiles.tif": grey_tiff(16, 16, EMPTY, compression=(259, 3, 1, 8), offsets=(324, 4, 1, 8), bytes=(325, 4, 1, 8), rows=None,
                           tile_width=(322, 4, 1, 65536), tile_height=(323, 4, 1, 65536)),
    "fax.tif": grey_tiff(60000, 65535, bytes(12), compression=(259, 3, 1, 4), bits=(258, 3, 1, 1)),
}


def jpeg_with_height(height, width, **options):
    file = io.BytesIO()
    Image.fromarray(SMOOTH).save(file, "jpeg", **options)
    data = file.getvalue()
    at = data.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


@pytest.mark.parametrize("name", [*HEADERS_THAT_LIE, "baseline.jpg", "progressive.jpg"])
def test_sizes_that_the_bytes_cannot_hold_are_refused_before_memory_is_taken(riata, tmp_path, name):
    made = HEADERS_THAT_LIE.get(name) or jpeg_with_height(9000, 9000, progressive=name.startswith("p"))
    (tmp_path / name).write_bytes(made)
    done = riata.run("info", name)
    assert done.returncode == 2 and name + " claims " in done.stderr and done.stderr.count("\n") == 1
    peak = riata.peak_megabytes_of_refusal("info", name)
    assert peak < 200


def test_pixels_are_limited_as_in_pillow(riata, tmp_path, stack):
    zeros = chunk(b"IDAT", zlib.compress(bytes(2000 * 50001)))  # black is black, deflated to nothing
    (tmp_path / "large.png").write_bytes(png(400000 - 8, 2000, 1, 0, 0, zeros))
    done = riata.run("info", "large.png")
    assert done.stderr == ("riata info: large.png claims 2000 x 399992 pixels; at most 89478485 are read (max_pixels; raise it if "
                           "you trust the file)\n") and done.returncode == 2
    assert Image.MAX_IMAGE_PIXELS == 89478485
    np.save(tmp_path / "D.npy", np.eye(4, dtype=np.float32))
    refusal = "noisy.png claims 48 x 48 pixels; at most 2303 are read"
    for arguments in (("denoise", "noisy.png", "-o", "o.png"), ("info", "noisy.png"),
                      ("learn", "noisy.png", "-o", "m.safetensors", "--n-atoms", 4, "--reg", 1),
                      ("encode", "D.npy", "noisy.png", "-o", "z.npy", "--reg", 1),
                      ("train", "--kind", "step", "--n-layers", 1, "--reg", 1, "--dictionary", "D.npy", "--data", "noisy.png", "-o",
                       "n.safetensors")):
        done = riata.run(*arguments, "--max-pixels", 2303)
        assert done.returncode == 2 and refusal in done.stderr
    riata("info", "noisy.png", "--max-pixels", 48 * 48)
    for too_few in (0, -1):
        assert riata.run("info", "noisy.png", "--max-pixels", too_few).stderr == (
            f"riata info: max_pixels = {too_few}, must be >= 1\n")
    total = sum(page.shape[0] * page.shape[1] for page in PAGES)
    riata("info", stack, "--max-pixels", total)
    assert riata.run("info", stack, "--max-pixels", total - 1).returncode == 2


# What libraries repair

TWELVE = bytes(range(1, 13))
MADE_UP = {
    "one byte short": grey_tiff(4, 3, TWELVE, bytes=(279, 4, 1, 11)),
    "no byte counts": grey_tiff(4, 3, TWELVE, bytes=None),
    "far too long": grey_tiff(4, 3, TWELVE, bytes=(279, 4, 1, 100000)),
    "behind the end": grey_tiff(4, 3, TWELVE, offsets=(273, 4, 1, 100000)),
    "empty strip": grey_tiff(4, 3, TWELVE, bytes=(279, 4, 1, 0)),
    "tag twice as long": grey_tiff(4, 3, TWELVE, bytes=(279, 4, 2, 8)),
    "no compression known": grey_tiff(4, 3, TWELVE, compression=(259, 3, 1, 999)),
}


@pytest.mark.parametrize("what", MADE_UP)
def test_what_libtiff_would_repair_is_refused(riata, tmp_path, what):
    (tmp_path / "good.tif").write_bytes(grey_tiff(4, 3, TWELVE))
    assert riata.json("info", "good.tif")["files"][0]["max"] == 12
    (tmp_path / "x.tif").write_bytes(MADE_UP[what])
    done = riata.run("info", "x.tif")
    assert done.returncode == 2 and done.stderr.startswith("riata info: x.tif ") and done.stderr.count("\n") == 1
    assert "4294967295" not in done.stderr


def test_a_strip_one_byte_short_is_refused_among_others(riata, tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", GREY, rowsperstrip=3, metadata=None)
    data = (tmp_path / "x.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        counts, where = file.pages[0].databytecounts, file.pages[0].tags["StripByteCounts"].valueoffset
    for i, count in enumerate(counts):
        changed = bytearray(data)
        kind = "<H" if count < 65536 and len(counts) > 0 and struct.unpack_from("<H", data, where + 2 * i)[0] == count else "<I"
        struct.pack_into(kind, changed, where + struct.calcsize(kind) * i, count - 1)
        (tmp_path / "x.tif").write_bytes(changed)
        assert riata.run("info", "x.tif").returncode == 2, i


def test_truncated_pixels_are_named_and_no_tag_is_blamed(riata, tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", GREY, metadata=None, extratags=[(65000, "I", 1, 77, True), (65001, "s", 0, "text", True)])
    data = (tmp_path / "x.tif").read_bytes()
    np.testing.assert_equal(riata.json("info", "x.tif")["files"][0]["max"], GREY.max())  # private tags are nobody's business
    (tmp_path / "x.tif").write_bytes(data[:-5])
    begin = len(data) - GREY.size
    assert riata.run("info", "x.tif").stderr == (
        f"riata info: x.tif is truncated: its strip 1 claims {GREY.size} bytes from byte {begin} on, the file holds {len(data) - 5}\n")


def test_damaged_data_is_refused_in_one_line(riata, tmp_path):
    for compression in ("jpeg", "tiff_lzw", "tiff_adobe_deflate", "group4", "packbits"):
        picture = SMOOTH > 70 if compression == "group4" else np.dstack([SMOOTH] * 3)
        Image.fromarray(picture).save(tmp_path / "good.tif", compression=compression)
        data = (tmp_path / "good.tif").read_bytes()
        with tifffile.TiffFile(tmp_path / "good.tif") as file:
            at, n = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
        for begin in (at + n // 3, at + n // 2):
            (tmp_path / "x.tif").write_bytes(data[:begin] + b"\xff" * 20 + data[begin + 20 :])
            done = riata.run("info", "x.tif")
            assert done.returncode in ((0, 2) if compression == "packbits" else (2,)), (compression, begin)
            assert done.stderr.count("\n") <= 1 and len(done.stderr) <= 501


def test_lost_pages_are_refused(riata, tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.stack([GREY] * 3), photometric="minisblack", metadata=None)
    data = (tmp_path / "x.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        second, third = file.pages[1].offset, file.pages[2].offset
    (tmp_path / "x.tif").write_bytes(data.replace(struct.pack("<I", third), struct.pack("<I", 10**8)))
    assert riata.run("info", "x.tif").returncode == 2
    riata("info", "x.tif", "--page", 1)
    assert second < third


def test_jpegs_and_pngs_with_made_up_pixels_are_refused(riata, tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.dstack([SMOOTH] * 3)).save(file, "jpeg", quality=95)
    good = file.getvalue()
    cut = good[: len(good) * 2 // 3]
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in SMOOTH))
    adler = pixels[:-4] + bytes(4)
    files = {"cut.jpg": cut, "ended.jpg": cut + b"\xff\xd9",
             "adler.png": png(48, 32, 8, 0, 0, chunk(b"IDAT", adler)),
             "palette.png": png(48, 32, 8, 3, 0, chunk(b"PLTE", bytes(30)), chunk(b"IDAT", pixels))}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        done = riata.run("info", name)
        assert done.returncode == 2 and done.stderr.startswith(f"riata info: {name} "), name
    for name, extra in {"text": chunk(b"tEXt", b"no keyword"), "wrong profile": chunk(b"iCCP", b"x\0\0damaged")}.items():
        (tmp_path / "x.png").write_bytes(png(48, 32, 8, 0, 0, extra, chunk(b"IDAT", pixels)))
        assert riata.json("info", "x.png")["files"][0]["height"] == 32, name


def test_text_chunks_that_unpack_to_gigabytes_are_not_unpacked(riata, tmp_path):
    bomb = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(7_900_000), 9))
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in SMOOTH))
    (tmp_path / "x.png").write_bytes(png(48, 32, 8, 0, 0, *[bomb] * 40, chunk(b"IDAT", pixels)))
    assert riata.peak_megabytes("info", "x.png") < 150
