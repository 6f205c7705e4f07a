"""The command under test: $RIATA_CLI, or build/release/riata."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(os.environ.get("RIATA_CLI", ROOT / "build/release/riata")).resolve()
# Threads that wait passively: tests share their machine.
ENVIRONMENT = os.environ | {"OMP_WAIT_POLICY": "passive"}


# In a small process of its own: a child's peak counts what its parent held.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


class Riata:
    """Runs the command in one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {}  # besides that of all tests

    def start(self, *arguments):
        def hear():  # what these tests run under may be `nohup`, or in the background of a shell
            for how in (signal.SIGHUP, signal.SIGINT):
                signal.signal(how, signal.SIG_DFL)

        return subprocess.Popen([COMMAND, *map(str, arguments)], cwd=self.folder, env=ENVIRONMENT | self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear)

    def run(self, *arguments, stdout=subprocess.PIPE):
        return subprocess.run([COMMAND, *map(str, arguments)], cwd=self.folder, env=ENVIRONMENT | self.environment,
                              text=True, timeout=300, stdout=stdout, stderr=subprocess.PIPE)

    def __call__(self, *arguments):
        """Runs it, expects success, gives stdout."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def peak_megabytes(self, *arguments):
        """Runs it, expects success, gives the largest memory it had."""
        done = subprocess.run([sys.executable, "-S", "-c", MEASURE, COMMAND, *map(str, arguments)], cwd=self.folder,
                              env=ENVIRONMENT, text=True, timeout=300, capture_output=True)
        assert done.returncode == 0, done.stderr
        return float(done.stdout)

    def peak_megabytes_of_refusal(self, *arguments):
        """Runs it, expects exit code 2, gives the largest memory it had."""
        done = subprocess.run([sys.executable, "-S", "-c", MEASURE.replace("check=True", "stderr=subprocess.DEVNULL"), COMMAND,
                               *map(str, arguments)], cwd=self.folder, env=ENVIRONMENT, text=True, timeout=300, capture_output=True)
        return float(done.stdout)

    def interrupt_five_times(self, arguments, how, duration):
        """Starts it, and sends the signal at random fractions of the seconds that it lasts; how often it hit."""
        random = np.random.default_rng(7)
        stopped = 0
        for _ in range(5):
            run = self.start(*arguments)
            try:
                run.wait(0.02 + random.uniform(0, 0.35) * duration)
            except subprocess.TimeoutExpired:
                run.send_signal(how)
            _, errors = run.communicate(timeout=60)
            if run.returncode == 0:  # done before its moment came
                break
            stopped += 1
            assert run.returncode in (-how, 130 if how == signal.SIGINT else -how)  # -2: before the command watched
            if run.returncode == 130:
                assert errors.startswith(f"riata {arguments[0]}: interrupted")
        return stopped

    def json(self, *arguments):
        """Runs it with --json: exactly one line, one object."""
        lines = self(*arguments, "--json").splitlines()
        assert len(lines) == 1
        return json.loads(lines[0])


@pytest.fixture
def riata(tmp_path):
    return Riata(tmp_path)


@pytest.fixture(scope="session")
def riata_in():
    """riata_in(folder): the command in another folder than tmp_path."""
    return Riata


@pytest.fixture(scope="session")
def planted():
    """600 signals of 16 features with sparse codes in 24 unit atoms, and noise: (X, D)."""
    random = np.random.default_rng(0)
    D = random.standard_normal((24, 16))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    Z = random.standard_normal((600, 24)) * (random.random((600, 24)) < 0.2)
    return Z @ D + 0.05 * random.standard_normal((600, 16)), D


@pytest.fixture(scope="session")
def photograph():
    """48 x 48 grey pixels, uint8, clean."""
    with Image.open(ROOT / "examples/images/camera.png") as image:
        return np.array(image.convert("L"))[80:128, 200:248].copy()


@pytest.fixture(scope="session")
def noisy(photograph):
    noise = 25 * np.random.default_rng(1).standard_normal(photograph.shape)
    return np.clip(np.rint(photograph + noise), 0, 255).astype(np.uint8)
