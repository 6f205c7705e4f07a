"""Errors of unrolled gradients: Malezieux, Moreau and Kowalski (ICLR 2022), Figure C.

||g_N - g*|| over the layers N, relative to ||g*||, for alternating minimisation (AM) and for back-propagation through the last
20, 50 or all layers; the data, g_N, g* and ``--variant`` are those of Figure 3, explained in gradients.py beside this folder.

Claims checked: all are nearer at the last N than at the first by a factor; on the synthetic data unrolled gradients are longer
than g* at N <= 10, farther than AM although closer in angle, and nearer from N = 20 on; on the image K = 20 is nearer from
N = 15 on, and full back-propagation is unstable, at its worst more than twice as far as AM.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from malezieux2022.gradients import AM, COLOURS, DEPTHS, FULL, VARIANTS, measure, select  # noqa: E402
from reproduction import Reproduction  # noqa: E402


def check(experiment: Reproduction, rows: list[dict]) -> None:
    N = select(rows, "image", AM, "layers")
    ratio = {(data, depth): select(rows, data, depth, "distance") / select(rows, data, AM, "distance")
             for data in ("synthetic", "image") for depth in DEPTHS}
    for data in ("synthetic", "image"):
        fall = min(d[0] / d[-1] for d in (select(rows, data, depth, "distance") for depth in DEPTHS))
        experiment.claim(f"{data}: errors at N = {N[-1]} are at least {fall:.0f} times below those at N = {N[0]}", fall > 50)
    few, more = ratio["synthetic", FULL][(N >= 2) & (N <= 10)], ratio["synthetic", "K = 20"][N >= 20]
    experiment.claim(f"synthetic, 2 <= N <= 10: unrolled gradients are {few.min():.2f} to {few.max():.2f} times as far as AM's",
                     few.min() > 1)
    experiment.claim(f"synthetic, N >= 20: K = 20 is nearer, {more.min():.2f} to {more.max():.2f} times AM's", more.max() < 1)
    more = ratio["image", "K = 20"][N >= 15]
    experiment.claim(f"image, N >= 15: K = 20 is nearer, {more.min():.2f} to {more.max():.2f} times AM's", more.max() < 1)
    worst = int(ratio["image", FULL].argmax())
    experiment.claim(f"image: full back-propagation is {ratio['image', FULL][worst]:.1f} times as far as AM at N = {N[worst]}",
                     ratio["image", FULL][worst] > 2)


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    figure, axes = experiment.subplots(1, 2, figsize=(9.5, 4))
    for axis, data in zip(axes, ("synthetic", "image")):
        for depth, colour in COLOURS.items():
            error = select(rows, data, depth, "distance") / select(rows, data, depth, "norm_of_exact")
            axis.plot(select(rows, data, depth, "layers"), error, color=colour, label=depth)
        axis.set(xscale="log", yscale="log", xlabel="layers N of FISTA", title=f"distance to the exact gradient: {data}")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(r"$\|g_N - g^*\| \,/\, \|g^*\|$")
    axes[0].legend(frameon=False)
    experiment.save_figure(figure, "figureC.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0], VARIANTS)
    rows = measure(experiment)
    experiment.write_rows("figureC.csv", rows)
    draw(experiment, rows)
    check(experiment, rows)
    experiment.finish()
