"""Denoising by dictionaries of few layers: Malezieux, Moreau and Kowalski (ICLR 2022), Figure 5, left.

A photograph of 128 x 128 pixels in [0, 1], noise of standard deviation 0.1, clipped (the published code). All its 10 x 10
patches are coded by N layers of FISTA, reg 0.1, in 128 atoms that start from random patches and are learned from these same
patches in single precision: by alternating minimisation (AM), by unrolling (DDL), and by unrolling with learned steps. PSNR
(peak 1) of the average of the coded patches, against the oracle: AM with N = 1000. The small size is a crop of 32 x 32
pixels, 48 atoms and an oracle with N = 100, the tiny one of 24 x 24, 30 and 40.

Variants: riata's (L = spectral norm, prox output) and the documents' "literal" one (L = Frobenius norm of the Gram matrix,
FISTA's extrapolated output). The paper's photograph of flowers is not ours to ship: here it is ascent.png.

Claims checked: for N <= 5 DDL cleans better than AM, and learned steps help; then a plateau: from N = 10 on (literal: 20) all
methods are within 1.2 dB of the oracle, AM and DDL within 0.5 dB of each other. Not a claim of the paper: the best N lies below
the plateau's end, where layers too few to fit the noise clean better than the oracle.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from malezieux2022.problems import PATCH, REG, photograph, unit_atoms  # noqa: E402
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

METHODS = {"AM": dict(method="alternating"), "DDL": dict(method="unrolled"),
           "DDL + steps": dict(method="unrolled", learn_steps=True)}
ORACLE = "oracle (AM)"
COLOURS = dict(zip(METHODS, ("tab:blue", "tab:orange", "tab:green")))
SETTINGS = {"tiny": (24, 30, 40, 1e-4), "small": (32, 48, 100, 1e-5), "paper": (128, 128, 1000, 1e-6)}
VARIANTS = {"riata": {}, "literal": {"lipschitz_bound": "frobenius", "return_extrapolated": True}}


def clean(X: np.ndarray, start: np.ndarray, layers: int, shape: tuple[int, int], tol: float, **options) -> tuple:
    """The picture made of the patches X, coded in the dictionary learned from them; and how that was learned."""
    result = riata.learn_dictionary(X, len(start), REG, n_layers=layers, init=start, tol=tol, max_iter=1000, replace_atoms=False,
                                    **options)
    D = result.dictionary
    lipschitz = float(np.linalg.norm(D @ D.T)) if options.get("lipschitz_bound") == "frobenius" else None
    codes = riata.unrolled_encode(X, D, REG, layers, steps=result.steps, lipschitz=lipschitz,
                                  return_extrapolated=options.get("return_extrapolated", False))
    return riata.average_patches(codes @ D, shape), result


def measure(experiment: Reproduction) -> list[dict]:
    side, n_atoms, oracle_layers, tol = SETTINGS[experiment.size]
    depths = {"tiny": [1, 5, 20], "small": [1, 2, 5, 10, 20],
              "paper": np.unique(np.logspace(0, 2, 50, dtype=int)).tolist()}[experiment.size]
    rng = np.random.default_rng(experiment.seed)
    corner = slice(30, 30 + side) if side < 128 else slice(None)
    truth = photograph("ascent.png")[corner, corner]
    noisy = np.clip(truth + 0.1 * rng.standard_normal(truth.shape), 0, 1)
    X = riata.extract_patches(noisy, PATCH).astype(np.float32)
    start = unit_atoms(X[rng.permutation(len(X))[:n_atoms]])
    rows = []
    for name, layers in [(name, layers) for layers in depths for name in METHODS] + [(ORACLE, oracle_layers)]:
        began = time.perf_counter()
        picture, result = clean(X, start, layers, truth.shape, tol, **METHODS.get(name, METHODS["AM"]),
                                **VARIANTS[experiment.variant])
        rows.append({"method": name, "layers": layers, "psnr": riata.psnr(picture, truth, peak=1.0),
                     "psnr_noisy": riata.psnr(noisy, truth, peak=1.0), "loss": float(result.history.value[-1]),
                     "accepted": len(result.history.value), "status": result.status, "seconds": time.perf_counter() - began})
        print("  ".join(f"{key} {value:.4g}" if isinstance(value, float) else str(value) for key, value in rows[-1].items()),
              flush=True)
    return rows


def psnr(rows: list[dict], name: str) -> np.ndarray:
    return np.array([row["psnr"] for row in rows if row["method"] == name])


def check(experiment: Reproduction, rows: list[dict]) -> None:
    layers = np.array([row["layers"] for row in rows if row["method"] == "AM"])
    am, ddl, steps, (oracle,) = (psnr(rows, name) for name in (*METHODS, ORACLE))
    few, plateau = layers <= 5, layers >= (10 if experiment.variant == "riata" else 20)
    gain = (ddl - am)[few]
    experiment.claim(f"N <= 5: DDL cleans better than AM, by {gain.min():.1f} to {gain.max():.1f} dB", gain.min() > 0)
    gain = (steps - ddl)[few]
    experiment.claim(f"N <= 5: learned steps never cost more than 0.1 dB, and gain up to {gain.max():.1f} dB, >= 0.3",
                     gain.min() > -0.1 and gain.max() >= 0.3)
    first = int(layers[plateau][0])
    off = np.concatenate([np.abs(curve[plateau] - oracle) for curve in (am, ddl, steps)])
    experiment.claim(f"N >= {first}: all are within {off.max():.2f} dB of the oracle, <= 1.2", off.max() <= 1.2)
    apart = np.abs(ddl - am)[plateau].max()
    experiment.claim(f"N >= {first}: AM and DDL are within {apart:.2f} dB of each other, <= 0.5", apart <= 0.5)
    noisy = rows[0]["psnr_noisy"]
    experiment.claim(f"the oracle cleans: {noisy:.2f} to {oracle:.2f} dB, >= 4 dB more", oracle >= noisy + 4)


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    figure, axis = experiment.subplots(figsize=(5.5, 4))
    for name, colour in COLOURS.items():
        layers = [row["layers"] for row in rows if row["method"] == name]
        axis.plot(layers, psnr(rows, name), "o-", ms=3, color=colour, label=name)
    oracle = rows[-1]
    axis.axhline(oracle["psnr"], color="black", ls="--", lw=1.2, label=f"oracle: AM, N = {oracle['layers']}")
    axis.axhline(oracle["psnr_noisy"], color="grey", ls=":", lw=1.2, label="noisy picture")
    axis.set(xscale="log", xlabel="layers N of FISTA", ylabel="PSNR (dB)", title="denoising by number of layers")
    ticks = [1, 2, 5, 10, 20] + [50, 100] * experiment.paper_size
    axis.set_xticks(ticks, list(map(str, ticks)))
    axis.minorticks_off()
    axis.legend(frameon=False, loc=(0.53, 0.1))
    axis.grid(alpha=0.3)
    experiment.save_figure(figure, "figure5.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0], tuple(VARIANTS))
    rows = measure(experiment)
    experiment.write_rows("figure5.csv", rows)
    draw(experiment, rows)
    check(experiment, rows)
    experiment.finish()
