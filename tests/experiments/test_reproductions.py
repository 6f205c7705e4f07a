"""Every experiment runs at its tiny size, in `make test-long` at its small one, and its claims hold."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*/*/run.py"))
STORED = sorted((ROOT / "experiments").glob("*/*/results"))  # of --size hour
# Threads that sleep while they wait: on a busy machine spinning ones take the cores from those that work.
ENVIRONMENT = os.environ | {"OMP_WAIT_POLICY": "passive"}


def reproduce(script, *options):
    done = subprocess.run([sys.executable, script, *options], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def names(path):
    return "/".join(path.parts[-3:-1])


@pytest.mark.parametrize("script", EXPERIMENTS, ids=names)
@pytest.mark.parametrize("size", ["tiny", pytest.param("small", marks=pytest.mark.long)])
def test_the_claims_hold(script, size, tmp_path):
    done = reproduce(script, "--size", size, "--output", tmp_path)
    if done.stdout.startswith("skipped: "):
        pytest.skip(done.stdout.strip().removeprefix("skipped: "))
    assert list(tmp_path.glob("*.csv")) and list(tmp_path.glob("*.png"))
    assert "holds: " in done.stdout and "FAILS" not in done.stdout


@pytest.mark.parametrize("results", STORED, ids=names)
def test_the_claims_hold_for_the_stored_results(results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    done = reproduce(results.parent / "run.py", "--size", "hour", "--stored", "--output", tmp_path / "results")
    assert "holds" in done.stdout and "FAILS" not in done.stdout
