"""Networks run at a reg that they were not trained at: after the published code of Ablin et al. (NeurIPS 2019), not in the paper.

Step-LISTA and coupled LISTA (a threshold per atom, times reg) of 30 layers on a 10 x 20 Gaussian dictionary, all layers trained
at once at reg 0.05 by 10 000 accepted steps on 1 000 signals on B_inf. Drawn, on other signals and for reg from 0.01 to 1:
(F(network) - F*) / (F(ISTA) - F*), means over the signals; below 1 the network is ahead of ISTA with as many iterations.

Claims checked: at its own reg each network is ahead of ISTA. Reported: the regs around it at which it stays ahead.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

TRAINED_AT = 0.05
SETTINGS = {"tiny": (10, 100, 8), "small": (10, 400, 20), "paper": (30, 10_000, 40)}  # layers, steps, regs
KINDS = {"Step-LISTA": "step", "coupled LISTA": "coupled"}


def run(experiment: Reproduction) -> list[dict]:
    n_layers, max_iter, n_regs = SETTINGS[experiment.size]
    regs = np.sort(np.append(np.logspace(-2, 0, n_regs)[:-1], TRAINED_AT))  # at reg 1 all codes are zero
    D = riata.datasets.gaussian_dictionary(10, 20, random_state=experiment.seed)
    X, test = (riata.datasets.signals_on_b_infinity(D, 1000, random_state=experiment.seed + k) for k in (1, 2))
    ista, rows = riata.Network("step", D, n_layers), []
    for name, kind in KINDS.items():
        net = riata.Network(kind, D, n_layers, "atom" if kind == "coupled" else "scalar")
        net.fit(X, TRAINED_AT, max_iter=max_iter)
        for reg in regs:
            optimum = riata.encode(test, D, reg, tol=1e-13, max_iter=100_000).objective.mean()
            rows.append({"method": name, "reg": reg, "excess": net.loss(test, reg) - optimum,
                         "ista_excess": ista.loss(test, reg) - optimum})
    return rows


def ratios(rows: list[dict], method: str) -> tuple[np.ndarray, np.ndarray]:
    of = [row for row in rows if row["method"] == method]
    return np.array([row["reg"] for row in of]), np.array([row["excess"] / row["ista_excess"] for row in of])


def check(experiment: Reproduction, rows: list[dict]) -> None:
    for method in KINDS:
        regs, ratio = ratios(rows, method)
        own = int(np.abs(regs - TRAINED_AT).argmin())
        experiment.claim(f"{method} at its own reg: {ratio[own]:.3g} of ISTA's excess", ratio[own] < 1)
        behind = np.flatnonzero(ratio >= 1)
        first = max((k + 1 for k in behind if k < own), default=0)
        last = min((k - 1 for k in behind if k > own), default=len(regs) - 1)
        print(f"  found: {method} stays ahead of ISTA from reg {regs[first]:.3g} to {regs[last]:.3g}")


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    figure, axis = experiment.subplots(figsize=(5.5, 3.5))
    for method, colour in zip(KINDS, ("tab:orange", "tab:blue")):
        axis.plot(*ratios(rows, method), color=colour, label=method)
    axis.axhline(1, color="k", ls="--", lw=1, label="ISTA")
    axis.axvline(TRAINED_AT, color="0.6", ls=":", lw=1, label="reg of the training")
    axis.set(xscale="log", yscale="log", xlabel="reg", ylabel=r"$(F - F^\star)\,/\,(F_{\mathrm{ISTA}} - F^\star)$")
    axis.legend(frameon=False, fontsize="small")
    experiment.save_figure(figure, "change_of_reg.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    rows = run(experiment)
    experiment.write_rows("change_of_reg.csv", rows)
    draw(experiment, rows)
    check(experiment, rows)
    experiment.finish()
