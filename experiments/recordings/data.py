"""Where the recordings lie; riata does not ship them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

FOLDER = Path(os.environ.get("RIATA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def recording(name: str) -> np.ndarray:
    """In double, (n_channels, n_times). Without it, says that the experiment skips and ends it."""
    path = FOLDER / f"{name}.npy"
    if not path.exists():
        print(f"skipped: the recording is not {path} (set RIATA_DATA)")
        sys.exit(0)
    return np.atleast_2d(np.load(path).astype(float))


def high_passed(x: np.ndarray, frequency: float, rate: float) -> np.ndarray:
    return sosfiltfilt(butter(2, frequency, "highpass", fs=rate, output="sos"), x)
