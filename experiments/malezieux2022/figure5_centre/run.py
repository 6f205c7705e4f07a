"""Convolutional dictionaries from many starts: Malezieux, Moreau and Kowalski (ICLR 2022), Figure 5, centre.

A photograph of 128 x 128 pixels in [0, 1], with noise of variance var(picture) / 10^(SNR/10), clipped; 50 kernels of 8 x 8, which lie
within the picture, learned through N = 20 layers of FISTA, reg 0.1, from kernels that are uniform in [0, 1) and normalised, 50 times at
each SNR. PSNR (peak 1) of the clipped picture that the layers' codes make, and the mean recovery score of each run's kernels against
those of all runs, its own included: the best sum over pairs of the largest |cross-correlation| at any shift. The small size is a crop of
40 x 40 pixels, 10 kernels and 10 starts, the tiny one of 28 x 28, 6 kernels of 5 x 5 and 4 starts.

The paper's photograph is not ours to ship: here it is ascent.png. Departure: the score takes absolute values, as the sign of a kernel means nothing.

Claims checked, from the lowest SNR to the highest: the scores rise and, but at the tiny size, the spread of PSNR over starts shrinks.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from malezieux2022.problems import REG, photograph  # noqa: E402
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

LAYERS = 20
# side of the picture, kernels and their side, starts, iterations, decibels
SETTINGS = {"tiny": (28, 6, 5, 4, 60, (2, 20)), "small": (40, 10, 8, 10, 150, (2, 8, 14, 20)),
            "paper": (128, 50, 8, 50, 1000, tuple(range(2, 21, 2)))}


def scores(runs: list[np.ndarray]) -> np.ndarray:
    """Of each run's kernels, the mean recovery score against those of all runs."""
    side = 2 * runs[0].shape[-1] - 1
    spectra = [np.fft.rfft2(atoms[:, 0], (side, side)) for atoms in runs]

    def score(a: np.ndarray, b: np.ndarray) -> float:
        C = np.abs(np.fft.irfft2(a[:, None] * b[None].conj(), (side, side))).max(axis=(2, 3))
        return float(C[linear_sum_assignment(C, maximize=True)].mean())

    return np.array([np.mean([score(a, b) for b in spectra]) for a in spectra])


def fit(noisy: np.ndarray, n_atoms: int, size: int, max_iter: int, rng: np.random.Generator):
    start = rng.random((n_atoms, 1, size, size))
    start /= np.sqrt((start**2).sum(axis=(1, 2, 3), keepdims=True))
    learned = riata.learn_kernels(noisy, n_atoms, size, REG, n_layers=LAYERS, boundary="valid", init=start, max_iter=max_iter, tol=1e-5,
                                  replace_atoms=False)
    model = riata.ConvolutionalDictionaryLearning2D(n_atoms, size, boundary="valid", transform_tol=0.0, transform_max_iter=LAYERS)
    vars(model).update(atoms_=learned.atoms, reg_=REG)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as many iterations as layers are what is wanted
        return learned, np.clip(model.inverse_transform(model.transform(noisy)), 0, 1)


def measure(experiment: Reproduction) -> list[dict]:
    side, n_atoms, size, n_starts, max_iter, decibels = SETTINGS[experiment.size]
    truth = photograph("ascent.png")
    if side < 128:
        truth = truth[30 : 30 + side, 30 : 30 + side]
    rows = []
    for snr in decibels:
        rng = np.random.default_rng([experiment.seed, snr])
        noisy = np.clip(truth + np.sqrt(truth.var() / 10 ** (snr / 10)) * rng.standard_normal(truth.shape), 0, 1)
        runs, some = [], []
        for start in range(n_starts):
            began = time.perf_counter()
            learned, picture = fit(noisy, n_atoms, size, max_iter, rng)
            runs.append(learned.atoms)
            some.append({"snr": snr, "start": start, "psnr": riata.psnr(picture, truth, peak=1.0),
                         "psnr_noisy": riata.psnr(noisy, truth, peak=1.0), "loss": learned.history.value[-1],
                         "iterations": len(learned.history.value), "status": learned.status, "seconds": time.perf_counter() - began})
        for row, score in zip(some, scores(runs), strict=True):
            rows.append(row | {"score": score})
            print("  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in rows[-1].items()),
                  flush=True)
    return rows


def of(rows: list[dict], snr: float, name: str) -> np.ndarray:
    return np.array([row[name] for row in rows if row["snr"] == snr])


def check(experiment: Reproduction, rows: list[dict]) -> None:
    low, high = min(row["snr"] for row in rows), max(row["snr"] for row in rows)
    spreads = [np.ptp(of(rows, snr, "psnr")) for snr in (low, high)]
    means = [of(rows, snr, "score").mean() for snr in (low, high)]
    experiment.claim(f"from {low} to {high} dB the mean score rises: {means[0]:.3f} to {means[1]:.3f}", means[1] > means[0])
    if experiment.size != "tiny":
        experiment.claim(f"and the spread of PSNR over starts shrinks: {spreads[0]:.2f} to {spreads[1]:.2f} dB",
                         spreads[1] < spreads[0])


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    figure, axis = experiment.subplots(figsize=(5.5, 4))
    decibels = sorted({row["snr"] for row in rows})
    for name, colour, shown in (("psnr", "tab:blue", axis), ("score", "tab:orange", axis.twinx())):
        values = [of(rows, snr, name) for snr in decibels]
        shown.fill_between(decibels, [v.min() for v in values], [v.max() for v in values], color=colour, alpha=0.25)
        shown.plot(decibels, [v.mean() for v in values], "o-", color=colour)
        shown.set_ylabel({"psnr": "PSNR (dB)", "score": "recovery score"}[name], color=colour)
    axis.set(xlabel="SNR (dB)", title=f"{len(of(rows, decibels[0], 'psnr'))} starts: mean, least and most")
    axis.grid(alpha=0.3)
    experiment.save_figure(figure, "figure5_centre.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    rows = measure(experiment)
    experiment.write_rows("figure5_centre.csv", rows)
    draw(experiment, rows)
    check(experiment, rows)
    experiment.finish()
