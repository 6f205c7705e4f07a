"""The learned weights become the dictionary's: Ablin, Moreau, Massias and Gramfort (NeurIPS 2019), Figure 5.

Coupled LISTA of 40 layers on a 10 x 20 Gaussian dictionary, 1 000 signals on B_inf, trained layer after layer by 10 000 accepted
steps in all. Drawn by layer: ||alpha W - D diag(theta)||_F, which Theorem 4.4 sends to 0; how far alpha W went from its start,
D / L; and how far the objective at the layer's output is from its least possible value. Only all three together say something:
a layer that training does not move has a difference of 0, too. reg is 0.1 as in the text, and 0.05 as in the appendix and code.
A threshold per atom as in the code, or one per layer as in the text (``--variant scalar``).

Claims checked: the mean difference of the last quarter of the layers is under 5 % of the largest (10 % at smaller sizes);
the last layers did move, or what they left to gain is under 1 % of what the first had.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction, column  # noqa: E402

import riata  # noqa: E402

REGS = (0.1, 0.05)
SETTINGS = {"tiny": (12, 150, 300), "small": (20, 500, 2000), "paper": (40, 1000, 10_000)}  # layers, signals, steps


def layers_of(experiment: Reproduction, reg: float) -> list[dict]:
    n_layers, n_signals, max_iter = SETTINGS[experiment.size]
    D = riata.datasets.gaussian_dictionary(10, 20, random_state=experiment.seed)
    X = riata.datasets.signals_on_b_infinity(D, n_signals, random_state=experiment.seed)
    net = riata.Network("coupled", D, n_layers, "scalar" if experiment.variant == "scalar" else "atom")
    net.fit(X, reg, mode="recursive", max_iter=max_iter)
    optimum = riata.encode(X, D, reg, tol=1e-13, max_iter=100_000).objective.mean()
    parameters, rows = net.parameters(), []
    for t in range(n_layers):
        W, theta = parameters[f"layer.{t}.weight"], parameters[f"layer.{t}.threshold"]
        rows.append({"reg": reg, "layer": t + 1, "difference": np.linalg.norm(W - D * theta.reshape(-1, 1)),
                     "moved": np.linalg.norm(W - D / net.lipschitz), "weight": np.linalg.norm(W),
                     "excess": net.loss(X, reg, n_layers=t + 1) - optimum,
                     "ista_excess": riata.Network("step", D, t + 1).loss(X, reg) - optimum})
    return rows


def check(experiment: Reproduction, rows: list[dict]) -> None:
    last = len(rows) // 4
    difference, moved, excess = (column(rows, name) for name in ("difference", "moved", "excess"))
    reg, bound = rows[0]["reg"], 0.05 if experiment.paper_size else 0.1
    share = difference[-last:].mean() / difference.max()
    experiment.claim(f"reg {reg}: ||alpha W - D diag(theta)|| of the last {last} layers is {share:.2%} of the largest in the "
                     "mean", share < bound)
    left = excess[-last - 1] / excess[0]
    experiment.claim(f"reg {reg}: they moved by {moved[-last:].mean():.3f} in the mean, the first by {moved[0]:.3f}; before them "
                     f"{left:.2%} of the excess of the first was left", moved[-last:].mean() > 1e-3 * moved[0] or left < 0.01)
    experiment.claim(f"reg {reg}: excess {excess[-1]:.1e} at the last layer, ISTA's {rows[-1]['ista_excess']:.1e}",
                     excess[-1] < rows[-1]["ista_excess"])


def draw(experiment: Reproduction, runs: list[list[dict]]) -> None:
    figure, axes = experiment.subplots(1, 3, figsize=(10, 3.2), sharex=True)
    for rows, colour in zip(runs, ("tab:blue", "tab:orange")):
        layers, label = column(rows, "layer"), f"reg {rows[0]['reg']}"
        for axis, name in zip(axes, ("difference", "moved", "excess")):
            axis.plot(layers, column(rows, name), color=colour, label=label)
        axes[2].plot(layers, column(rows, "ista_excess"), "--", color=colour, label=f"{label}, ISTA")
    axes[0].set_title(r"$\|\alpha W - D\,\mathrm{diag}(\theta)\|_F$")
    axes[1].set_title(r"moved: $\|\alpha W - D / L\|_F$")
    axes[2].set_title(r"training loss $- F^\star$")
    axes[2].set_yscale("log")
    for axis in axes:
        axis.set_xlabel("layer")
        axis.legend(frameon=False, fontsize="small")
    for axis in axes[:2]:
        axis.set_ylim(0, None)
    experiment.save_figure(figure, "figure5.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0], variants=("code", "scalar"))
    runs = [layers_of(experiment, reg) for reg in REGS]
    experiment.write_rows("figure5.csv", [row for rows in runs for row in rows])
    draw(experiment, runs)
    for rows in runs:
        check(experiment, rows)
    experiment.finish()
