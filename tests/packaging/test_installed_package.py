"""The installed C++ package, seen by a project that knows nothing else: find_package(riata), compile, link, run."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CMAKE = "/usr/bin/cmake" if os.path.exists("/usr/bin/cmake") else "cmake"
EIGEN = "/usr/include/eigen3"
SHARED = ROOT / "build/release/shared/libriata.so"
STATIC = "-lpng -ljpeg -ltiff -lz -ldl -lgomp".split()

# Functions of fmt's and nlohmann's names that do something else, as those of other versions would.
HOST = """
#include <cstdio>
#include <exception>
#include <riata/riata.hpp>
namespace fmt { inline namespace v9 {
struct string_view { const char* data; std::size_t size; };
template <class> struct basic_format_args { unsigned long long types; const void* values; };
std::string vformat(string_view, basic_format_args<int>) { std::abort(); }
namespace detail { void throw_format_error(const char*) { std::abort(); } void assert_fail(const char*, int, const char*) { std::abort(); } }
} }
int main() {
  const riata::Matrix<double> X = riata::Matrix<double>::Ones(2, 3), D = riata::Matrix<double>::Identity(2, 2);
  try {
    riata::unrolled_encode(X, riata::DenseDictionary(D), 0.1, {.n_layers = 0});
  } catch (const std::exception& e) {
    const std::string said = e.what();
    std::printf("host: %s\\n", said.substr(said.find("n_layers")).c_str());
  }
}
"""
PARENT = """
cmake_minimum_required(VERSION 3.24)
project(parent LANGUAGES C CXX)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
add_subdirectory(${RIATA_FOLDER} riata)
file(WRITE ${CMAKE_BINARY_DIR}/parent.cpp "#include <riata/riata.hpp>\\nint main() {}\\n")
add_executable(parent ${CMAKE_BINARY_DIR}/parent.cpp)
target_link_libraries(parent PRIVATE riata::riata)
set(all "")
foreach(folder . cli python tests examples bench)
  get_property(targets DIRECTORY ${RIATA_FOLDER}/${folder} PROPERTY BUILDSYSTEM_TARGETS)
  list(APPEND all ${targets})
endforeach()
message(STATUS "targets: ${all}")
"""
NO_PICTURES = """
#include <cstdio>
#include <exception>
#include <riata/io/images.hpp>
int main(int, char** args) {
  try {
    riata::read_image(args[1]);
  } catch (const std::exception& e) {
    std::puts(e.what());
  }
}
"""


def run(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def configure(prefix, build, version="", *more):
    return run(CMAKE, "-G", "Ninja", "-S", Path(__file__).parent / "consumer", "-B", build,
               f"-DCMAKE_PREFIX_PATH={prefix}", f"-DWANTED_VERSION={version}",
               "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1", *more)  # loops over Eigen take a minute at -O0


def without(*packages):
    return [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=TRUE" for name in packages]


@pytest.fixture(scope="module")
def version():
    return re.search(r"VERSION (\d+\.\d+\.\d+)", (ROOT / "CMakeLists.txt").read_text())[1]


def test_a_consumer_of_the_core_needs_no_library_of_pictures(prefix, version, tmp_path):
    configured = configure(prefix, tmp_path, version, "-DCOMPONENT=core", *without("PNG", "JPEG", "TIFF"))
    for done in (configured, run(CMAKE, "--build", tmp_path), run(tmp_path / "consumer")):
        assert done.returncode == 0, done.stdout + done.stderr
    needed = run("readelf", "-d", tmp_path / "consumer").stdout
    assert "NEEDED" in needed and not re.search("png|jpeg|tiff|fmt|blas", needed), needed


def test_examples_of_ones_own_parts_compile_against_it_and_run(prefix, version, tmp_path):
    names = sorted(source.stem for source in (ROOT / "examples").glob("own_*.cpp"))
    assert {"own_dictionary", "own_learner", "own_network", "own_penalty"} <= set(names)
    examples = f"-DRIATA_EXAMPLES={ROOT / 'examples'}"
    for done in (configure(prefix, tmp_path, version, examples), run(CMAKE, "--build", tmp_path, "--target", *names)):
        assert done.returncode == 0, done.stdout + done.stderr
    for name in names:
        done = run(tmp_path / name)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("wanted", ["0.999", "1.0"])
def test_a_version_that_is_too_high_is_refused(prefix, tmp_path, wanted):
    done = configure(prefix, tmp_path, wanted)
    assert done.returncode != 0
    assert f'compatible with requested version "{wanted}"' in re.sub(r"\s+", " ", done.stderr)


def test_the_installed_command_tells_the_version(prefix, version):
    done = run(prefix / "bin/riata", "--version")
    assert done.returncode == 0, done.stderr
    assert version in done.stdout


def test_internal_headers_stay_home(prefix):
    installed = {p.relative_to(prefix / "include").as_posix() for p in (prefix / "include").rglob("*.hpp")}
    assert "riata/version.hpp" in installed
    assert not {"riata/core/check.hpp", "riata/linalg/blas.hpp", "riata/solvers/tile_solver.hpp"} & installed
    reached = run("g++", "-std=c++20", "-isystem", EIGEN, f"-I{prefix}/include", "-MM", prefix / "include/riata/riata.hpp")
    assert installed == set(re.findall(r"include/(riata/\S+)", reached.stdout)) | {"riata/learning/hdf5_signals.hpp"}


@pytest.mark.parametrize(
    ("missing", "more", "sentence"),
    [
        ("TIFF", ["-DCOMPONENT=images"], "riata needs TIFF; on Debian: apt install libtiff-dev"),
        ("PNG", [], "riata needs PNG; on Debian: apt install libpng-dev"),
        ("HDF5", ["-DCOMPONENT=hdf5"], "riata needs HDF5; on Debian: apt install libhdf5-dev"),
        ("Eigen3", ["-DCOMPONENT=core"], "riata needs Eigen3; on Debian: apt install libeigen3-dev"),
        ("OpenMP", ["-DCMAKE_CXX_COMPILER=clang++"], "riata needs OpenMP; on Debian: apt install libomp-dev"),
    ],
)
def test_what_is_missing_is_named_with_its_package(prefix, tmp_path, missing, more, sentence):
    if any("clang" in option for option in more) and not shutil.which("clang++"):
        pytest.skip("clang++ is not installed")
    done = configure(prefix, tmp_path, "", *more, *without(missing))
    assert done.returncode != 0
    assert sentence in re.sub(r"\s+", " ", done.stderr)


def test_the_component_of_hdf5_is_found(prefix, tmp_path):
    done = configure(prefix, tmp_path, "", "-DCOMPONENT=core;hdf5")
    assert done.returncode == 0, done.stderr


def test_an_unknown_component_is_refused(prefix, tmp_path):
    done = configure(prefix, tmp_path, "", "-DCOMPONENT=imagse")
    assert done.returncode != 0 and "riata has no component 'imagse'; there are core, images and hdf5" in done.stderr


def test_pkg_config(prefix, version, tmp_path):
    """README's program, by one line of g++."""
    (program,) = re.findall(r"```cpp\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "readme.cpp").write_text(program)
    core = "#include <riata/riata.hpp>\nint main() { return riata::to_tensor(riata::Matrix<double>::Ones(2, 2)).shape.size() != 2; }"
    (tmp_path / "core.cpp").write_text(core)
    environment = os.environ | {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    for name, module in ("readme", "riata"), ("core", "riata-core"):
        line = f"g++ -std=c++20 {name}.cpp $(pkg-config --cflags --libs {module}) -o {name} && ./{name}"
        done = subprocess.run(line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    told = subprocess.run(["pkg-config", "--modversion", "riata"], env=environment, capture_output=True, text=True)
    assert told.stdout.strip() == version


def test_a_host_has_its_own_fmt_and_json(prefix, tmp_path):
    """Of fmt and nlohmann_json riata shows nothing: a program with functions of the same names gets its own, riata its own."""
    (tmp_path / "host.cpp").write_text(HOST)
    host = tmp_path / "host.o"
    done = run("g++", "-std=c++20", f"-I{prefix}/include", "-isystem", EIGEN, "-c", tmp_path / "host.cpp", "-o", host)
    assert done.returncode == 0, done.stderr
    for kind, libraries in ("static", [f"-L{prefix}/lib", "-lriata", *STATIC]), ("shared", [SHARED]):
        program = tmp_path / kind
        done = run("g++", host, *libraries, f"-Wl,-rpath,{SHARED.parent}", "-o", program)
        assert done.returncode == 0, done.stderr
        done = run(program)
        assert done.returncode == 0 and done.stdout == "host: n_layers = 0, must be between 1 and 1000000\n", done.stdout + done.stderr


def test_the_libraries_show_namespace_riata_alone(prefix):
    for shown in run("nm", "-D", "--defined-only", SHARED), run("nm", "-g", "--defined-only", prefix / "lib/libriata.a"):
        names = [line.split()[-1] for line in shown.stdout.splitlines() if len(line.split()) == 3]
        assert len(names) > 500
        foreign = [name for name in names if not re.match(r"_Z(N|NK|T.N|T[hv].*N|ZN|ZNK|GVN|GVZN|GVZNK)5riata", name)]
        assert not foreign, foreign[:10]
    assert "SONAME" in (dynamic := run("readelf", "-d", SHARED).stdout) and "libriata.so.0." in dynamic


def test_inside_another_project_riata_sets_nothing_of_the_parents(tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(PARENT)
    done = run(CMAKE, "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "build", f"-DRIATA_FOLDER={ROOT}")
    assert done.returncode == 0, done.stdout + done.stderr
    cache = (tmp_path / "build/CMakeCache.txt").read_text()
    assert re.search(r"^CMAKE_BUILD_TYPE:STRING=$", cache, re.MULTILINE)
    assert "RIATA_INSTALL:BOOL=OFF" in cache
    targets = re.search(r"targets: (.*)", done.stdout + done.stderr)[1].split(";")
    assert "riata" in targets and all(name.startswith("riata") for name in targets), targets
    assert not (tmp_path / "build/riata/riataConfig.cmake").exists()
    commands = (tmp_path / "build/compile_commands.json").read_text()
    parents = next(c["command"] for c in json.loads(commands) if c["file"].endswith("parent.cpp"))
    assert f"-isystem {ROOT}/src" in parents and "-I" + str(ROOT) not in parents


@pytest.mark.long
def test_without_pictures_they_are_refused_in_a_sentence(tmp_path):
    core = ROOT / "build/release/isolated/riata_objects.o"
    sources = [ROOT / f"src/riata/io/{name}.cpp" for name in ("images", "images_absent")]
    (tmp_path / "main.cpp").write_text(NO_PICTURES)
    done = run("g++", "-std=c++20", "-DFMT_HEADER_ONLY", f"-I{ROOT}/src", f"-I{ROOT}/build/release/generated", "-isystem", EIGEN,
               tmp_path / "main.cpp", *sources, core, "-lz", "-ldl", "-lgomp", "-o", tmp_path / "main")  # fmt: skip
    assert done.returncode == 0, done.stderr
    picture = next((ROOT / "examples/images").glob("*.png"))
    done = run(tmp_path / "main", picture)
    assert done.stdout == f"{picture} is a PNG; this riata was built without libpng (RIATA_IMAGES=OFF)\n"
