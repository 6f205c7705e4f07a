"""Pictures that several experiments look at: Set12, or crops of those that ship with riata."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from reproduction import Reproduction

ROOT = Path(__file__).resolve().parents[1]


def set12_or_crops(experiment: Reproduction, crops: dict[str, tuple[int, int]], side: int) -> list[tuple[str, np.ndarray]]:
    """At paper size the pictures of Set12, and the script ends if they are not there. Else squares of `side` pixels from these top left
    corners; at tiny size the first alone."""
    if experiment.paper_size:
        data = Path(os.environ.get("RIATA_DATA", ROOT.parent / "shared" / "data")) / "images" / "Set12"
        if not data.is_dir():
            print(f"skipped: Set12 not found at {data}")
            sys.exit(0)
        return [(path.stem, np.asarray(Image.open(path))) for path in sorted(data.glob("*.png"))]
    found = []
    for name, (top, left) in list(crops.items())[: 1 if experiment.size == "tiny" else None]:
        picture = np.asarray(Image.open(ROOT / "examples" / "images" / name).convert("L"))
        found.append((name.removesuffix(".png"), picture[top : top + side, left : left + side]))
    return found
