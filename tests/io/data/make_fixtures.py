"""Writes the files of this folder with NumPy, Pillow, tifffile, pyedflib and safetensors.

Run once; the tests read the results."""

import struct
import zlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pyedflib
import tifffile
from PIL import Image
from safetensors.numpy import save_file

here = Path(__file__).parent
counting = np.arange(6, dtype=np.float64).reshape(2, 3)

np.save(here / "double_c.npy", counting)
np.save(here / "float_fortran.npy", np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)))
np.save(here / "double_big_endian.npy", counting.astype(">f8"))
np.save(here / "int16.npy", np.array([-3, 0, 32767], dtype=np.int16))
np.save(here / "uint64.npy", np.array([0, 2**53 + 2, 2**64 - 2048], dtype=np.uint64))
np.save(here / "bool.npy", np.array([True, False, True]))
np.save(here / "scalar.npy", np.float64(2.5))
np.save(here / "empty.npy", np.zeros((0, 3), dtype=np.float32))
np.save(here / "float16.npy", counting.astype(np.float16))
np.save(here / "complex64.npy", counting.astype(np.complex64))
np.save(here / "object.npy", np.array([None, 1], dtype=object), allow_pickle=True)
np.save(here / "structured.npy", np.zeros(2, dtype=[("x", "<f4"), ("y", "<f4", (2,))]))
with open(here / "version2.npy", "wb") as file:
    np.lib.format.write_array(file, counting, version=(2, 0))
with open(here / "version3.npy", "wb") as file:
    np.lib.format.write_array(file, counting, version=(3, 0))
np.savez(here / "stored.npz", a=counting, b=np.arange(3, dtype=np.float32), none=np.zeros((0,)))
np.savez_compressed(here / "deflated.npz", a=counting, zeros=np.zeros((100, 50), dtype=np.float32))

grey = np.array([[0, 17, 34, 51], [68, 85, 102, 119], [136, 153, 170, 255]], dtype=np.uint8)
colour = np.stack([grey, 255 - grey, grey // 2], axis=-1)
alpha = np.dstack([colour, 255 - grey // 3])
Image.fromarray(grey).save(here / "grey.png")
Image.fromarray(alpha).save(here / "alpha.png")
Image.fromarray(grey.astype(np.uint16) * 256 + 3).save(here / "grey16.png")
Image.fromarray((grey > 100)).save(here / "bits1.png")
palette = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8), mode="P")
palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
palette.save(here / "palette.png")
palette.save(here / "palette_alpha.png", transparency=b"\xff\x80\xff")
Image.fromarray(grey).save(here / "grey.jpg", quality=100)
Image.fromarray(np.full((8, 8, 4), 100, dtype=np.uint8), mode="CMYK").save(here / "cmyk.jpg")
smooth = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8
Image.fromarray(smooth).save(here / "progressive.jpg", progressive=True, quality=95)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def interlaced_png(pixels):
    """8-bit grey, Adam7."""
    height, width = pixels.shape
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [row for y, x, dy, dx in passes for row in pixels[y::dy, x::dx] if row.size]
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


(here / "interlaced.png").write_bytes(interlaced_png(np.arange(90, dtype=np.uint8).reshape(9, 10)))

colour16 = colour.astype(np.uint16) * 257
tifffile.imwrite(here / "colour16.tif", colour16, photometric="rgb", metadata=None)
tifffile.imwrite(here / "planar_big_endian.tif", np.moveaxis(colour16, -1, 0), photometric="rgb", planarconfig="separate",
                 byteorder=">", metadata=None)
tifffile.imwrite(here / "bigtiff.tif", grey, bigtiff=True, metadata=None)
tifffile.imwrite(here / "white_is_zero.tif", grey, photometric="miniswhite", metadata=None)
tifffile.imwrite(here / "float.tif", grey.astype(np.float32), metadata=None)
tifffile.imwrite(here / "pages.tif", np.stack([grey, grey, grey]), photometric="minisblack", metadata=None)
tifffile.imwrite(here / "tiled.tif", np.zeros((16, 16), dtype=np.uint8), tile=(16, 16), metadata=None)
Image.fromarray(np.full((3, 4, 4), 9, dtype=np.uint8), mode="CMYK").save(here / "cmyk.tif")
palette.save(here / "palette.tif")
Image.fromarray(grey > 100).save(here / "bits1.tif")
Image.fromarray(colour).save(here / "lzw.tif", compression="tiff_lzw")
Image.fromarray(np.full((8, 8, 3), 128, dtype=np.uint8)).save(here / "ycbcr.tif", compression="jpeg", quality=95)

save_file({"steps": np.array([1.0, 0.5, 0.25], dtype=np.float32), "dictionary": counting,
           "iteration": np.array(7, dtype=np.int64)}, here / "model.safetensors", metadata={"kind": "dense", "name": "é"})
save_file({"half": counting.astype(np.float16)}, here / "half.safetensors")


def write_recording(name, kind, digital_max):
    """Two channels of 16 Hz in two records of a second, two annotations, with pyedflib 0.1.42."""
    with pyedflib.EdfWriter(str(here / name), 2, file_type=kind) as file:
        for c, unit in enumerate(("uV", "mV")):
            file.setSignalHeader(c, {"label": f"EEG C{c}", "dimension": unit, "sample_frequency": 16,
                                     "physical_min": -200 - c, "physical_max": 100.5, "transducer": "",
                                     "digital_min": -digital_max - 1, "digital_max": digital_max, "prefilter": ""})
        file.setStartdatetime(datetime(2002, 3, 2, 13, 36, 5))
        ramp = np.arange(32, dtype=np.int32)
        file.writeSamples([digital_max - 1000 * ramp, 300 * ramp - 9000], digital=True)
        file.writeAnnotation(0.25, -1, "blink")
        file.writeAnnotation(1.5, 0.5, "élan")


write_recording("edf_plus.edf", pyedflib.FILETYPE_EDFPLUS, 32767)
write_recording("bdf_plus.bdf", pyedflib.FILETYPE_BDFPLUS, 8388607)
