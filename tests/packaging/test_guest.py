"""riata as a guest: matrices of programs and libraries with other settings of Eigen go through it, with the same numbers.

What a library and a program of different settings do to each other without riata is theirs: where they disagree, the
library keeps its Eigen code to itself (hidden, shared) and shows its matrices; where they agree, it is static and hands them
over by value too.
"""

import functools
import itertools
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).parent / "guest"
EIGEN = "/usr/include/eigen3"
FOREIGN = ["", "-march=native", *(f"-DEIGEN_MAX_ALIGN_BYTES={n}" for n in (0, 16, 64))]
BUILDS = {"Release": "-O2 -DNDEBUG", "Debug": "-O0 -g"}
ASAN = "-O0 -fsanitize=address"
LIBRARIES = "-lriata -lpng -ljpeg -ltiff -lz -ldl".split()

X86 = platform.machine() in ("x86_64", "AMD64")
pytestmark = pytest.mark.skipif(not X86, reason="-mavx2 and the widths of -march=native are those of x86")


def run(*command, **how):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **how)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


@functools.cache
def alignment(flags):
    """The bytes to which Eigen aligns what it allocates."""
    if given := re.search(r"EIGEN_MAX_ALIGN_BYTES=(\d+)", flags):
        return int(given[1])
    macros = run("g++", *flags.split(), "-dM", "-E", "-x", "c++", "/dev/null")
    return 64 if "__AVX512F__" in macros else 32 if "__AVX__" in macros else 16


@pytest.fixture(scope="session")
def guest(prefix, tmp_path_factory):
    return Guest(prefix, tmp_path_factory.mktemp("guest"))


class Guest:
    """Compiles each piece once, links and runs any of them together."""

    def __init__(self, prefix, folder):
        self.prefix, self.folder = prefix, folder
        self.names = map(str, itertools.count())
        self.compile = functools.cache(self._compile)
        self.foreign = functools.cache(self._foreign)
        self.shared = functools.cache(self._shared)

    def _compile(self, source, compiler, flags):
        made = self.folder / f"{next(self.names)}.o"
        run(compiler, "-std=c++20", "-fPIC", *flags.split(), "-isystem", EIGEN, "-isystem", self.prefix / "include",
            "-c", SOURCES / source, "-o", made)  # fmt: skip
        return made

    def _foreign(self, compiler, flags, agrees):
        """What a program links for the library."""
        if agrees:
            return [self.compile("foreign.cpp", compiler, flags)]
        made = self.folder / f"lib{next(self.names)}.so"
        run(compiler, "-shared", *re.findall(r"-fsanitize=\w+", flags), "-o", made,
            self.compile("foreign.cpp", compiler, flags + " -fvisibility=hidden"))  # fmt: skip
        return [made, f"-Wl,-rpath,{made.parent}"]

    def _shared(self):
        folder = self.folder / "shared"
        folder.mkdir()
        run("cp", "-P", *(ROOT / "build/release/shared").glob("libriata.so*"), folder)
        return folder

    def riata(self, kind):
        folder = self.prefix / "lib" if kind == "static" else self.shared()
        return [f"-L{folder}", f"-Wl,-rpath,{folder}", *(LIBRARIES if kind == "static" else ["-lriata"]), "-lgomp"]

    def numbers(self, compiler, build, consumer, foreign, kind):
        """What the program prints. Both pieces of it are of one build."""
        agrees = alignment(consumer) == alignment(foreign)
        program = self.folder / next(self.names)
        run(compiler, *re.findall(r"-fsanitize=\w+", build), "-o", program,
            self.compile("main.cpp", compiler, f"{build} {consumer}"),
            *self.foreign(compiler, f"{build} {foreign}", agrees), *self.riata(kind))  # fmt: skip
        printed = run(program, *(["by-value"] if agrees else []), env={"OMP_WAIT_POLICY": "passive"})
        program.unlink()
        return printed

    @functools.cached_property
    def expected(self):
        return self.numbers("g++", BUILDS["Release"], "", "", "static")


def check(guest, compiler, build, consumer, foreigns, kinds):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    assert guest.expected.count("\n") > 60
    for foreign, kind in itertools.product(foreigns, kinds):
        printed = guest.numbers(compiler, build, consumer, foreign, kind)
        # The program's own numbers come twice where matrices go by value too.
        assert set(printed.splitlines()) == set(guest.expected.splitlines()), (foreign, kind)


@pytest.mark.parametrize(
    ("compiler", "build", "consumer"),
    [("g++", BUILDS["Release"], ""), ("g++", ASAN, "-march=native"), ("clang++", BUILDS["Debug"], "-mavx2")],
)
def test_foreign_matrices_go_through_riata(guest, compiler, build, consumer):
    check(guest, compiler, build, consumer, ["", "-march=native", "-DEIGEN_MAX_ALIGN_BYTES=64"], ["static"])
    check(guest, compiler, build, consumer, ["-DEIGEN_MAX_ALIGN_BYTES=0"], ["shared"])


@pytest.mark.long
@pytest.mark.parametrize("consumer", ["", "-march=native", "-mavx2"])
@pytest.mark.parametrize("build", [*BUILDS.values(), ASAN])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_all_combinations(guest, compiler, build, consumer):
    check(guest, compiler, build, consumer, FOREIGN, ["static", "shared"])


@pytest.mark.parametrize(
    ("header", "flags", "sentence"),
    [
        ("", "-DEIGEN_DEFAULT_DENSE_INDEX_TYPE=int", "without EIGEN_DEFAULT_DENSE_INDEX_TYPE"),
        ("#include <Eigen/Core>\n#undef EIGEN_MAJOR_VERSION\n#define EIGEN_MAJOR_VERSION 5\n", "", "with Eigen 3.4"),
    ],
)
def test_what_riata_cannot_be_used_with_is_said_by_the_compiler(prefix, header, flags, sentence):
    command = ["g++", "-std=c++20", "-fsyntax-only", *flags.split(), "-isystem", EIGEN, f"-I{prefix}/include"]
    source = header + "#include <riata/core/types.hpp>\n"
    done = subprocess.run([*command, "-x", "c++", "-"], input=source, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"riata is built {sentence}" in done.stderr


def test_only_riata_is_seen(prefix):
    """Its static library shares no code of Eigen's, fmt's or anybody's with a program."""
    names = [line.split()[-1] for line in run("nm", "-g", "--defined-only", prefix / "lib/libriata.a").splitlines()
             if re.search(r" [A-Za-z] ", line)]  # fmt: skip
    assert len(names) > 500
    assert [name for name in names if "5riata" not in name] == []
