"""Gradients of unrolled coding against the exact one, shared by Figures 3 and C of Malezieux et al. (ICLR 2022).

With Z_N the codes after N layers of FISTA: g1_N = (D Z_N - X) Z_N^T (alternating minimisation, K = 0), g2_N the derivative of
the loss through the last K layers, g* = (D Z* - X) Z*^T at the exact codes (Danskin); all summed over the signals. g* comes
from coordinate descent with a duality gap <= 1e-14 of 1/2 ||x||^2 per signal.

Synthetic: 1000 signals, problems.perturbed_gaussian. Image: 1000 patches 10 x 10 of a photograph of 128 x 128 pixels in [0, 1]
with noise of standard deviation 0.1, in a dictionary of 128 other patches; reg 0.1.

Variants, where the documents differ: "riata" takes random patches as atoms (the paper) of unit norm (its constraint); "code",
the published one, takes the first 128 patches as they are, which are also among the 1000 first patches that it codes, and
stops "full" back-propagation at 100 layers. The paper's photograph of flowers is not ours to ship: here it is ascent.png.

The claims of the figures are those of "riata". With "code" some fail on the image: through all layers the gradient is back at
AM's level only after more than 400 layers, beyond the small size, and K = 20 is at times 1 % behind K = 50 or AM.
"""

from __future__ import annotations

import numpy as np

import riata
from malezieux2022.problems import PATCH, REG, perturbed_gaussian, photograph, unit_atoms
from reproduction import Reproduction

VARIANTS = ("riata", "code")
SETTINGS = {"tiny": (2.6, 8, 200), "small": (2.5, 16, 1000), "paper": (3, 100, 1000)}  # log10 of the last layer, points, signals
AM, FULL = "AM (K = 0)", "full"
DEPTHS = {AM: 0, "K = 20": 20, "K = 50": 50, FULL: None}
COLOURS = dict(zip(DEPTHS, ("black", "tab:blue", "tab:green", "tab:red")))


def image_patches(variant: str, seed: int, n_signals: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    picture = photograph("ascent.png")
    patches = riata.extract_patches(picture + 0.1 * rng.standard_normal(picture.shape), PATCH)
    if variant == "code":
        return patches[:n_signals], patches[:128]
    chosen = rng.permutation(len(patches))
    return patches[chosen[128:128 + n_signals]], unit_atoms(patches[chosen[:128]])


def exact_gradient(X: np.ndarray, D: np.ndarray) -> np.ndarray:
    exact = riata.encode(X, D, REG, method="cd", tol=1e-14, max_iter=1_000_000)
    if not (exact.status == "converged").all():
        raise RuntimeError(f"the exact codes were not found: {exact}")
    return exact.codes.T @ (exact.codes @ D - X)


def one_minus_cosine(g: np.ndarray, h: np.ndarray) -> float:
    """1/2 ||g / ||g|| - h / ||h|| ||^2, which does not cancel where the angle is small."""
    return float(np.square(g / np.linalg.norm(g) - h / np.linalg.norm(h)).sum() / 2)


def curves(data: str, X: np.ndarray, D: np.ndarray, all_layers: np.ndarray, cap: int | None) -> list[dict]:
    """One row per number of layers and depth of back-propagation."""
    exact, rows = exact_gradient(X, D), []
    for layers in map(int, all_layers):
        for depth, K in DEPTHS.items():
            backprop = layers if depth == FULL else min(K, layers)
            g = riata.unrolled_gradient(X, D, REG, layers, backprop=min(backprop, cap or layers), wrt="dictionary",
                                        return_codes=False, reduction="sum").dictionary
            rows.append({"data": data, "layers": layers, "depth": depth, "one_minus_cosine": one_minus_cosine(g, exact),
                         "distance": float(np.linalg.norm(g - exact)), "norm_of_exact": float(np.linalg.norm(exact))})
    return rows


def measure(experiment: Reproduction) -> list[dict]:
    last, points, n_signals = SETTINGS[experiment.size]
    all_layers = np.unique(np.logspace(0, last, points, dtype=int))
    problems = {"synthetic": perturbed_gaussian(n_signals, experiment.seed),
                "image": image_patches(experiment.variant, experiment.seed, n_signals)}
    cap = 100 if experiment.variant == "code" else None
    return [row for data, (X, D) in problems.items() for row in curves(data, X, D, all_layers, cap)]


def select(rows: list[dict], data: str, depth: str, key: str) -> np.ndarray:
    """That column, in the order of the layers."""
    return np.array([row[key] for row in rows if (row["data"], row["depth"]) == (data, depth)])
