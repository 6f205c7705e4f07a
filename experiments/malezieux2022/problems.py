"""The signals and dictionaries of Malezieux, Moreau and Kowalski (ICLR 2022), Figures 1, 2, 3, 5, 6 and B to E."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import riata

REG = 0.1
UNSTABLE = 1.1  # largest error of a Jacobian, relative to J = 0, that counts as stable
PATCH = 10  # side
IMAGES = Path(__file__).resolve().parents[2] / "examples" / "images"


def perturbed_gaussian(n_signals: int, seed: int, noise_std: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Signals of a Gaussian dictionary 30 x 50 with Bernoulli(0.3)-Gaussian codes, and the dictionary in which they are
    coded: truth + 0.5 std(D) * noise, atoms not normalised again."""
    problem = riata.datasets.planted(n_features=30, n_atoms=50, n_signals=n_signals, density=0.3, noise_std=noise_std,
                                     random_state=seed)
    noise = np.random.default_rng(seed).standard_normal(problem.dictionary.shape)
    return problem.signals, problem.dictionary + 0.5 * problem.dictionary.std() * noise


def recovery_problem(n_features: int, n_atoms: int, n_signals: int, density: float, seed: int) -> tuple[np.ndarray, ...]:
    """Signals of a Gaussian dictionary with Bernoulli-Gaussian codes and noise of standard deviation 0.1, that dictionary, and a
    start of Gaussian atoms that knows nothing of it, in single precision."""
    problem = riata.datasets.planted(n_features=n_features, n_atoms=n_atoms, n_signals=n_signals, density=density, noise_std=0.1,
                                     random_state=seed, dtype=np.float32)
    start = np.random.default_rng(seed).standard_normal(problem.dictionary.shape)
    return problem.signals, problem.dictionary, unit_atoms(start).astype(np.float32)


def photograph(name: str, reduction: int = 4) -> np.ndarray:
    """A grey picture of examples/images, pixels from 0 to 1, means over squares of side `reduction`."""
    pixels = np.asarray(Image.open(IMAGES / name).convert("L"), dtype=float) / 255
    height, width = (size // reduction for size in pixels.shape)
    blocks = pixels[: height * reduction, : width * reduction].reshape(height, reduction, width, reduction)
    return blocks.mean(axis=(1, 3))


def unit_atoms(D: np.ndarray) -> np.ndarray:
    return D / np.linalg.norm(D, axis=1, keepdims=True)


def power_iterations(D: np.ndarray, n_iterations: int) -> float:
    """||D||_2^2 from so many power iterations: a bound from below."""
    v = np.random.default_rng(0).standard_normal(D.shape[1])
    for _ in range(n_iterations):
        v /= np.linalg.norm(v)
        v = D.T @ (D @ v)
    return float(np.linalg.norm(v))


def truncated_error(x: np.ndarray, D: np.ndarray, layers: int, backprop: int, lipschitz: float) -> float:
    """mean over the rows l of ||J_l - J_l*||_F relative to that of ||J_l*||_F, J from the last `backprop` layers of ISTA."""
    rows = range(D.shape[1])
    exact = [riata.code_jacobian(x, D, REG, n_layers=None, row=l) for l in rows]
    J = [riata.code_jacobian(x, D, REG, layers, l, backprop=min(backprop, layers), lipschitz=lipschitz) for l in rows]
    return float(np.linalg.norm(np.subtract(J, exact), axis=(1, 2)).mean() / np.linalg.norm(exact, axis=(1, 2)).mean())
