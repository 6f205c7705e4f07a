"""Learned steps beside 1/L_S: Ablin, Moreau, Massias and Gramfort (NeurIPS 2019), Figure 4.

Step-LISTA of 20 layers on a 10 x 20 Gaussian dictionary, reg 0.2, 1 000 signals on B_inf, all layers trained at once by 100
accepted steps. Beside the steps: quantiles of 1/L_S over the signals, S the support of the layer's output and L_S the largest
eigenvalue of the Gram matrix on S (L where S is empty); 2/L_S too, as in the published code. Drawn is the first of ten draws of
dictionary and signals. ``--variant long`` trains by 3 000 steps, as the published code does in its other plots of steps.

Claims checked: on every draw the steps of the deeper half exceed 1/L; over the layers, the rank correlation of the steps with
the median of 1/L_S is at least 0.8, in the median over the draws (at 100 steps).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction, column  # noqa: E402

import riata  # noqa: E402

REG, N_LAYERS, N_SIGNALS = 0.2, 20, {"tiny": 200, "small": 1000, "paper": 1000}
N_DRAWS = {"tiny": 3, "small": 10, "paper": 10}
QUANTILES = np.linspace(0, 1, 11)


def inverse_norms(D: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """1/L_S for the support of each code."""
    S = codes != 0
    S[~S.any(axis=1)] = True
    return 1 / np.linalg.eigvalsh((D @ D.T) * S[:, :, None] * S[:, None, :])[:, -1]


def steps_and_norms(seed: int, n_signals: int, max_iter: int) -> list[dict]:
    D = riata.datasets.gaussian_dictionary(10, 20, random_state=seed)
    X = riata.datasets.signals_on_b_infinity(D, n_signals, random_state=seed)
    net = riata.Network("step", D, N_LAYERS)
    net.fit(X, REG, max_iter=max_iter)
    parameters = net.parameters()
    rows = []
    for t, codes in enumerate(net.layer_outputs(X)):
        quantiles = np.quantile(inverse_norms(D, codes), QUANTILES)
        rows.append({"seed": seed, "layer": t + 1, "step": parameters[f"layer.{t}.step"].item(), "1/L": 1 / net.lipschitz}
                    | {f"1/L_S q{100 * q:.0f}": value for q, value in zip(QUANTILES, quantiles)})
    return rows


def check(experiment: Reproduction, draws: list[list[dict]]) -> None:
    deep = [(column(rows, "step") / column(rows, "1/L"))[N_LAYERS // 2:] for rows in draws]
    experiment.claim(f"the steps of layers 11 to 20 exceed 1/L on every draw: {np.min(deep):.2f} / L at least, "
                     f"{np.median(deep):.2f} / L in the median", np.min(deep) > 1)
    first = np.median([rows[0]["step"] / rows[0]["1/L"] for rows in draws])
    last = np.median([rows[-1]["step"] / rows[-1]["1/L"] for rows in draws])
    experiment.claim(f"from the first layer to the last they grow from {first:.2f} / L to {last:.2f} / L (medians)", first < last)
    ranks = sorted(float(spearmanr(column(rows, "step"), column(rows, "1/L_S q50")).statistic) for rows in draws)
    sentence = (f"rank correlation with the median of 1/L_S: {np.median(ranks):.2f} in the median, {ranks[0]:.2f} to "
                f"{ranks[-1]:.2f}")
    if experiment.variant == "long":
        print(f"  found: {sentence}")
    else:
        experiment.claim(sentence, np.median(ranks) >= 0.8)


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    figure, axis = experiment.subplots(figsize=(6, 3.8))
    layers, L = column(rows, "layer"), 1 / rows[0]["1/L"]
    for factor, colour in ((1, "tab:blue"), (2, "tab:green")):
        bands = [factor * L * column(rows, f"1/L_S q{100 * q:.0f}") for q in QUANTILES]
        for low, high in zip(bands[1:5], bands[9:5:-1]):
            axis.fill_between(layers, low, high, color=colour, alpha=0.12, lw=0)
        axis.plot(layers, bands[5], color=colour, label=f"${factor}/L_S$, deciles and median")
    axis.plot(layers, L * column(rows, "step"), "k", lw=2.5, label="learned steps")
    axis.axhline(1, color="0.4", ls="--", lw=1)
    axis.set(xlabel="layer", ylabel="step length $\\times\\ L$", xlim=(1, N_LAYERS), xticks=[1, 5, 10, 15, 20], ylim=(0, None))
    axis.legend(frameon=False, loc="upper left", fontsize="small")
    experiment.save_figure(figure, "figure4.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0], variants=("paper", "long"))
    max_iter = 3000 if experiment.variant == "long" else 100
    draws = [steps_and_norms(experiment.seed + k, N_SIGNALS[experiment.size], max_iter) for k in range(N_DRAWS[experiment.size])]
    experiment.write_rows("figure4.csv", [row for rows in draws for row in rows])
    draw(experiment, draws[0])
    check(experiment, draws)
    experiment.finish()
