"""The installed C++ package, seen by a project that knows nothing else: find_package(riata), compile, link, run."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CMAKE = "/usr/bin/cmake" if os.path.exists("/usr/bin/cmake") else "cmake"


def run(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def configure(prefix, build, version="", *more):
    return run(CMAKE, "-G", "Ninja", "-S", Path(__file__).parent / "consumer", "-B", build,
               f"-DCMAKE_PREFIX_PATH={prefix}", f"-DWANTED_VERSION={version}",
               "-DCMAKE_BUILD_TYPE=Debug", *more)


@pytest.fixture(scope="module")
def version():
    return re.search(r"VERSION (\d+\.\d+\.\d+)", (ROOT / "CMakeLists.txt").read_text())[1]


def test_a_consumer_compiles_and_runs(prefix, version, tmp_path):
    for done in (configure(prefix, tmp_path, version), run(CMAKE, "--build", tmp_path), run(tmp_path / "consumer")):
        assert done.returncode == 0, done.stdout + done.stderr


def test_examples_of_ones_own_parts_compile_against_it_and_run(prefix, version, tmp_path):
    examples = f"-DRIATA_EXAMPLES={ROOT / 'examples'}"
    for done in (configure(prefix, tmp_path, version, examples), run(CMAKE, "--build", tmp_path)):
        assert done.returncode == 0, done.stdout + done.stderr
    names = sorted(source.stem for source in (ROOT / "examples").glob("own_*.cpp"))
    assert {"own_dictionary", "own_learner", "own_network", "own_penalty"} <= set(names)
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
    assert "riata/core/check.hpp" not in installed
