"""Directions of unrolled gradients: Malezieux, Moreau and Kowalski (ICLR 2022), Figure 3.

1 - cos(g_N, g*) over the layers N, for alternating minimisation (AM) and for back-propagation through the last 20, 50 or all
layers: synthetic data (left), image patches (centre), and by how much of it unrolling lowers that of AM (right). The data,
g_N, g* and ``--variant`` are explained in gradients.py beside this folder.

Claims checked: unrolled gradients are closer in angle early, N <= 50, with K = 20 on both data; on the image a small depth is
best, and full back-propagation is unstable: farther than AM around N = 100, and closer again at the last N.

Not confirmed: that unrolled gradients end at the level of AM. They do in the published figure, whose g* comes from 10^4
iterations and whose g_N is in single precision. Here full back-propagation ends far below AM.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from malezieux2022.gradients import AM, COLOURS, DEPTHS, FULL, VARIANTS, measure, select  # noqa: E402
from reproduction import Reproduction  # noqa: E402


def relative_difference(rows: list[dict], data: str, depth: str) -> np.ndarray:
    """The share of AM's 1 - cos that back-propagation takes away."""
    return 1 - select(rows, data, depth, "one_minus_cosine") / select(rows, data, AM, "one_minus_cosine")


def check(experiment: Reproduction, rows: list[dict]) -> None:
    N = select(rows, "image", AM, "layers")
    early, middle = (N >= 2) & (N <= 50), (N >= 20) & (N <= 150)
    for data in ("synthetic", "image"):
        gain = 100 * relative_difference(rows, data, "K = 20")[early]
        experiment.claim(f"{data}, 2 <= N <= 50: K = 20 lowers AM's 1 - cos by {gain.min():.0f} to {gain.max():.0f} %, always",
                         gain.min() > 0)
    gains = {depth: relative_difference(rows, "image", depth) for depth in DEPTHS if depth != AM}
    ahead = min((gains["K = 20"] - gains[depth])[middle].min() for depth in gains)
    experiment.claim("image, 20 <= N <= 150: no depth is closer than K = 20", ahead >= -1e-12)
    worst = int(gains[FULL].argmin())
    experiment.claim(f"image: full back-propagation is unstable, 1 - cos is {1 - gains[FULL][worst]:.0f} times AM's at "
                     f"N = {N[worst]}", gains[FULL][worst] < -1)
    for data in ("synthetic", "image"):
        am, full = (select(rows, data, depth, "one_minus_cosine")[-1] for depth in (AM, FULL))
        experiment.claim(f"{data}, N = {N[-1]}: full back-propagation ends closer than AM, {full:.1e} against {am:.1e}",
                         full < am)


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    figure, (left, centre, right) = experiment.subplots(1, 3, figsize=(13, 4))
    for axis, data in ((left, "synthetic"), (centre, "image")):
        for depth, colour in COLOURS.items():
            axis.plot(select(rows, data, depth, "layers"), select(rows, data, depth, "one_minus_cosine"), color=colour,
                      label=depth)
        axis.set(yscale="log", ylabel=r"$1 - \cos(g_N, g^*)$", title=f"angle to the exact gradient: {data}")
    for data, style in (("synthetic", "--"), ("image", "-")):
        for depth, colour in list(COLOURS.items())[1:]:
            right.plot(select(rows, data, depth, "layers"), relative_difference(rows, data, depth), style, color=colour)
        right.plot([], [], style, color="grey", label=data)
    right.axhline(0, color="black", lw=1)
    right.set(ylim=(-1, 1), ylabel=r"share of AM's $1 - \cos$ taken away", title="closer (> 0) or farther than AM")
    left.legend(frameon=False)
    right.legend(frameon=False, loc="lower left")
    for axis in (left, centre, right):
        axis.set(xscale="log", xlabel="layers N of FISTA")
        axis.grid(alpha=0.3)
    experiment.save_figure(figure, "figure3.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0], VARIANTS)
    rows = measure(experiment)
    experiment.write_rows("figure3.csv", rows)
    draw(experiment, rows)
    check(experiment, rows)
    experiment.finish()
