import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CMAKE = "/usr/bin/cmake" if os.path.exists("/usr/bin/cmake") else "cmake"


@pytest.fixture(scope="session")
def prefix(tmp_path_factory):
    """Where riata is installed."""
    prefix = tmp_path_factory.mktemp("prefix")
    done = subprocess.run(
        [CMAKE, "--install", ROOT / "build/release", "--prefix", prefix], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return prefix
