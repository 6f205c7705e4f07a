"""Instability of unrolled Jacobians: Malezieux, Moreau and Kowalski (ICLR 2022), Figure 2.

Gaussian dictionaries 30 x 50, signals with Bernoulli(0.3)-Gaussian codes, noise of standard deviation 0.1 (the published
code; the paper writes variance 0.1), coded by ISTA with reg 0.1 in the dictionary truth + 0.5 std(D) * noise, atoms not
normalised again. Error of a signal after k layers: mean over the rows l of ||J_l^k - J_l*||_F, relative to k = 0.

The paper calls a signal unstable if its error ever exceeds that of k = 0, and finds 40 %. A third of the signals lie within
1 % of that line through the first layer alone, so the label here is: above 1.1 times the error of k = 0 at some k >= 10.

Two variants: L = ||D||_2^2, and L from a few power iterations, which bound from below (the published code stops at 50).

Claims checked, per variant: a share of the signals is unstable; riata.unrolled_stability finds them with precision and recall
>= 0.8 (growths between 1.05 and 1.15 left out) at <= 10 % of the cost of the Jacobians; errors fall once supports have settled.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

REG, UNSTABLE, LEFT_OUT, POWER_ITERATIONS = 0.1, 1.1, (1.05, 1.15), 8
VARIANTS = ("spectral", "power iterations")


def lipschitz_of(D: np.ndarray, variant: str) -> float:
    if variant == "spectral":
        return np.linalg.norm(D, 2) ** 2
    v = np.random.default_rng(0).standard_normal(len(D))
    for _ in range(POWER_ITERATIONS):
        v /= np.linalg.norm(v)
        v = D @ (D.T @ v)
    return np.linalg.norm(v)


def timed(*arguments, **options):
    start = time.perf_counter()
    return riata.unrolled_stability(*arguments, **options), time.perf_counter() - start


def run(experiment: Reproduction) -> tuple[list[dict], dict]:
    n_dictionaries, n_signals, layers = (10, 50, 10_000) if experiment.paper_size else (6, 20, 1000)
    rows, curves = [], {}
    for k in range(n_dictionaries):
        seed = experiment.seed + k
        problem = riata.datasets.planted(n_features=30, n_atoms=50, n_signals=n_signals, density=0.3, noise_std=0.1,
                                         random_state=seed)
        noise = np.random.default_rng(seed).standard_normal(problem.dictionary.shape)
        D = problem.dictionary + 0.5 * problem.dictionary.std() * noise
        for variant in VARIANTS:
            arguments = (problem.signals, D, REG, layers)
            L = lipschitz_of(D, variant)
            predicted, predicted_s = timed(*arguments, lipschitz=L)
            exact, exact_s = timed(*arguments, lipschitz=L, directions=None, return_errors=True)
            curves.setdefault(variant, exact.errors)
            rows += [{"dictionary": k, "variant": variant, "signal": i, "growth": exact.growth[i],
                      "last_error": exact.errors[i, -1], "predicted_growth": predicted.growth[i],
                      "safe_backprop": predicted.safe_backprop[i], "seconds": exact_s / n_signals,
                      "predicted_seconds": predicted_s / n_signals} for i in range(n_signals)]
        print(f"dictionary {k + 1} of {n_dictionaries}", flush=True)
    return rows, curves


def check(experiment: Reproduction, rows: list[dict]) -> None:
    for variant in VARIANTS:
        columns = {key: np.array([row[key] for row in rows if row["variant"] == variant]) for key in rows[0]}
        growth = columns["growth"]
        share = (growth > UNSTABLE).mean()
        experiment.claim(f"{variant}: {100 * share:.0f} % of the signals are unstable, between 2 and 40 %", 0.02 <= share <= 0.4)
        clear = (growth < LEFT_OUT[0]) | (growth > LEFT_OUT[1])
        truth, predicted = growth[clear] > UNSTABLE, columns["predicted_growth"][clear] > UNSTABLE
        precision, recall = (truth & predicted).sum() / max(predicted.sum(), 1), (truth & predicted).sum() / max(truth.sum(), 1)
        experiment.claim(f"{variant}: predicted with precision {precision:.2f} and recall {recall:.2f}, both >= 0.8",
                         min(precision, recall) >= 0.8)
        cost = columns["predicted_seconds"].sum() / columns["seconds"].sum()
        experiment.claim(f"{variant}: at {100 * cost:.1f} % of the Jacobians' cost, <= 10 %", cost <= 0.1)
        median = np.median(columns["last_error"])
        experiment.claim(f"{variant}: the last layer's error is below 0.01 for half of the signals ({median:.1g})", median < 0.01)


def draw(experiment: Reproduction, curves: dict) -> None:
    figure, axes = experiment.subplots(1, len(VARIANTS), figsize=(10, 4), sharey=True)
    for axis, variant in zip(axes, VARIANTS):
        for errors in curves[variant]:
            unstable = errors[10:].max() > UNSTABLE
            axis.plot(errors, color="tab:red" if unstable else "black", lw=0.8, alpha=0.9 if unstable else 0.4, zorder=2 + unstable)
        axis.axhline(UNSTABLE, color="grey", lw=0.8, ls="--")
        axis.set(xscale="symlog", yscale="log", xlabel="layers", xlim=(0, None), title=f"L by {variant}" if variant != "spectral" else "L exact",
                 ylim=(1e-3, None))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("error of the Jacobian, relative to no layer")
    experiment.save_figure(figure, "figure2.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    rows, curves = run(experiment)
    experiment.write_rows("figure2.csv", rows)
    draw(experiment, curves)
    check(experiment, rows)
    experiment.finish()
