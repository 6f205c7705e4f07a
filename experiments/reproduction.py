"""What every experiment shares: its command line, its outputs, and the verdict on its claims."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path

import numpy as np


class Reproduction:
    """One figure: parses ``--size`` and ``--seed``, collects rows and claims, writes them, exits with the verdict.

    Sizes: "tiny" is for `make test`, seconds at most, with the claims that hold there, and "small" again where that is quick; "small"
    is for a look and for `make test-long`; "paper" is the published one.
    `variants` names readings of the figure, where its documents differ, for ``--variant``; the first is the default.
    With ``--stored`` a script is to compute nothing, but to draw and check the rows that an earlier run left in the output.
    """

    def __init__(self, script: str, description: str, variants: tuple[str, ...] = (),
                 sizes: tuple[str, ...] = ("tiny", "small", "paper")) -> None:
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--size", choices=sizes, default="small")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--output", type=Path, help="folder for the CSV and the picture (default: build/experiments/...)")
        if variants:
            parser.add_argument("--variant", choices=variants, default=variants[0],
                                help="whose choices, where the documents differ")
        if "hour" in sizes:
            parser.add_argument("--stored", action="store_true", help="compute nothing, draw and check what the output holds")
        arguments = parser.parse_args()
        here = Path(script).resolve().parent
        self.size = arguments.size
        self.paper_size = arguments.size == "paper"
        self.stored = getattr(arguments, "stored", False)
        self.seed = arguments.seed
        self.variant = arguments.variant if variants else ""
        root = Path(__file__).resolve().parent
        run = arguments.size if self.variant in ("", *variants[:1]) else f"{arguments.size}-{self.variant}"
        self.output = arguments.output or root.parent / "build" / "experiments" / here.relative_to(root) / run
        self.output.mkdir(parents=True, exist_ok=True)
        self._failed: list[str] = []

    def write_rows(self, name: str, rows: list[dict], quiet: bool = False) -> None:
        path = self.output / name
        part = path.with_suffix(".part")
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(part, path)
        if not quiet:
            print(f"wrote {path}")

    def read_rows(self, name: str) -> list[dict]:
        """What `write_rows` wrote, integers and numbers as such; nothing if it did not."""
        path = self.output / name
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return [{key: number(value) for key, value in row.items()} for row in csv.DictReader(file)]

    def subplots(self, *shape: int, **options):
        """Matplotlib's subplots, drawn into files without a display."""
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        return plt.subplots(*shape, **{"layout": "constrained"} | options)

    def save_figure(self, figure, name: str) -> None:
        path = self.output / name
        figure.savefig(path, dpi=150, bbox_inches="tight")
        print(f"wrote {path}")

    def claim(self, sentence: str, holds: bool) -> None:
        print(f"  {'holds' if holds else 'FAILS'}: {sentence}")
        if not holds:
            self._failed.append(sentence)

    def finish(self) -> None:
        """Exit code 0 only if every claim holds."""
        sys.exit(1 if self._failed else 0)


def column(rows: list[dict], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows])


def number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
