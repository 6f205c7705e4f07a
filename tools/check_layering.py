#!/usr/bin/env python3
"""Who may include whom (docs/architecture.md): a folder of src/riata includes only what stands to its left.

Prints every offending line as file:line, and exits with 1 if there is one.
"""

import functools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ORDER = "core io linalg operators terms datasets solvers optim unrolled networks learning imaging neuro".split()
PRIVATE_LIBRARIES = ("fmt/", "nlohmann/", "Random123/", "cblas.h", "openblas_config.h", "png.h", "jpeglib.h", "tiff",
                     "zlib.h", "omp.h")
VENDOR_BLAS = ("cblas.h", "openblas_config.h", "mkl")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def sources(*folders):
    return sorted(f for folder in folders for f in (ROOT / folder).rglob("*.[ch]pp") if ".venv" not in f.parts)


@functools.cache
def public_headers():
    """What riata.hpp reaches; CMakeLists.txt installs the same."""
    reached, unread = set(), {ROOT / "src/riata/riata.hpp"}
    while unread:
        header = unread.pop()
        reached.add(header)
        includes = (ROOT / "src" / name for name in INCLUDE.findall(header.read_text(encoding="utf-8")))
        unread |= {file for file in includes if file.exists()} - reached
    return reached


def offences_of(file):
    """Yields (line number, sentence) for one source file."""
    place = file.relative_to(ROOT)
    text = file.read_text(encoding="utf-8")
    in_library = place.parts[:2] == ("src", "riata")
    folder = place.parts[2] if in_library and len(place.parts) > 3 else None
    public_header = file in public_headers()
    outside = place.parts[0] in ("bench", "examples", "experiments")

    if folder and folder not in ORDER:
        yield 1, f"folder {folder} has no place in the order {' '.join(ORDER)}"
        return
    for match in INCLUDE.finditer(text):
        line, target = text.count("\n", 0, match.start(1)) + 1, match.group(1)
        ours = ROOT / "src" / target
        if folder and target.startswith("riata/"):
            other = target.split("/")[1] if target.count("/") > 1 else None
            if other is None and target != "riata/version.hpp":
                yield line, f"{folder} includes {target}, which gives all; include what is meant"
            elif other in ORDER and ORDER.index(other) > ORDER.index(folder):
                yield line, f"{folder} includes {target}, but {other} stands to its right"
        if target.startswith(VENDOR_BLAS) and folder != "linalg" and place.parts[:2] != ("tests", "linalg"):
            yield line, f"{target} is included outside linalg"
        if target.startswith("nanobind/") and place.parts[:2] != ("python", "bindings"):
            yield line, f"{target} is included outside python/bindings"
        if place.parts[0] == "examples" and ours.exists() and ours not in public_headers():
            yield line, f"{target} is internal: riata.hpp does not reach it"
        if public_header and target.startswith(PRIVATE_LIBRARIES):
            yield line, f"{target} is private to the library, but this header is installed"
        if outside and target.startswith(PRIVATE_LIBRARIES):
            yield line, f"{target}: programs outside the library use riata's public headers only"


def main():
    files = sources("src", "cli", "python/bindings", "tests", "bench", "examples", "experiments")
    offences = [f"{f.relative_to(ROOT)}:{line}: {sentence}" for f in files for line, sentence in offences_of(f)]
    print("\n".join(offences) if offences else f"layering: {len(files)} files, all includes point to the left")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
