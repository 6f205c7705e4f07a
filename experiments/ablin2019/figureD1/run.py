"""Norms on random supports: Ablin, Moreau, Massias and Gramfort (NeurIPS 2019), Figure D.1 and Proposition 3.4.

D is Gaussian, n x m with m = 3 n, atoms not normalised; S is uniform of size zeta m. As n grows, L_S / L tends to
((1 + sqrt(3 zeta)) / (1 + sqrt(3)))^2 (Marchenko-Pastur). The paper's n is 200, one draw per zeta.

Claims checked: at n = 200 the ratio is within 0.03 of the limit; the mean deviation shrinks with n.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction  # noqa: E402

GAMMA, ZETAS = 3, np.linspace(0, 1, 11)[1:]


def limit(zeta):
    return ((1 + np.sqrt(zeta * GAMMA)) / (1 + np.sqrt(GAMMA))) ** 2


def squared_norm(A: np.ndarray) -> float:
    return np.linalg.eigvalsh(A @ A.T if A.shape[0] < A.shape[1] else A.T @ A)[-1]


def run(experiment: Reproduction) -> list[dict]:
    sizes = (50, 100, 200, 400, 800) if experiment.paper_size else (50, 100, 200, 400)
    rows = []
    for n in sizes:
        for draw in range(10 if experiment.paper_size else 3):
            rng = np.random.RandomState(experiment.seed + draw)
            D = rng.randn(n, GAMMA * n)
            L = squared_norm(D)
            for zeta in ZETAS:
                S = rng.choice(GAMMA * n, int(zeta * GAMMA * n), replace=False)
                rows.append({"n": n, "draw": draw, "zeta": zeta, "ratio": squared_norm(D[:, S]) / L,
                             "limit": limit(zeta)})
    return rows


def deviations(rows: list[dict], n: int) -> np.ndarray:
    return np.array([abs(row["ratio"] - row["limit"]) for row in rows if row["n"] == n])


def check(experiment: Reproduction, rows: list[dict]) -> None:
    largest = deviations([row for row in rows if row["draw"] == 0], 200).max()
    experiment.claim(f"n = 200: the largest deviation of the first draw is {largest:.4f} <= 0.03", largest <= 0.03)
    sizes = sorted({row["n"] for row in rows})
    means = [deviations(rows, n).mean() for n in sizes]
    text = ", ".join(f"{mean:.4f} at n = {n}" for n, mean in zip(sizes, means))
    experiment.claim(f"the mean deviation shrinks with n: {text}", means[-1] < means[0] / 2 and means[-2] < means[0])


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    figure, axis = experiment.subplots(figsize=(5, 3.5))
    zeta = np.linspace(0, 1, 200)
    shown = [row for row in rows if row["n"] == 200 and row["draw"] == 0]
    axis.plot([row["zeta"] for row in shown], [row["ratio"] for row in shown], "o", label="one draw, n = 200")
    axis.plot(zeta, limit(zeta), label="limit")
    axis.plot(zeta, zeta, "k--", lw=1, label=r"$\zeta$")
    axis.set(xlabel=r"$\zeta = |S| / m$", ylabel=r"$L_S / L$")
    axis.legend(frameon=False)
    experiment.save_figure(figure, "figureD1.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    rows = run(experiment)
    experiment.write_rows("figureD1.csv", rows)
    draw(experiment, rows)
    check(experiment, rows)
    experiment.finish()
