"""Signals, targets and gradients of the theory experiments of PUDLE: Tolooshams and Ba, arXiv 2106.00058 (2021), Figures 2 to 4.

x = z D~ with 100 Gaussian atoms of 50 features and unit norm, exactly 5 entries of z not zero, their sizes uniform in (1, 2); reg
and step 0.2. The start is D~ with noise on every entry, scaled to unit atoms. Arrays are as everywhere in riata: one signal, one
code, one atom per row.

Where the documents differ:
- the published code gives all entries of a code one common random sign, which the paper does not mention. It is kept, and changes
  nothing: codes and layers are odd in the signal, so that every gradient is even in it.
- the paper draws the noise of the start from N(0, 1/m), the code with standard deviations of its own (0.02, 0.1), as here.
- a step of 0.2 is the code's. The paper asks for less than 1 / ||D||_2^2, which is about 0.19; the layers converge all the same.

How D* was found is not published. Here it is where classical alternating minimisation ends that starts from D~, on exact codes:
the mean objective is stationary to 1e-6 along the spheres of the atoms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import riata

N_FEATURES, N_ATOMS, N_NONZERO = 50, 100, 5
REG = STEP = 0.2
STATIONARY = 1e-6


class Problem(NamedTuple):
    signals: np.ndarray  # n_signals, 50
    dictionary: np.ndarray  # D~: 100, 50
    codes: np.ndarray  # z~: n_signals, 100
    start: np.ndarray  # 100, 50


def unit_atoms(D: np.ndarray) -> np.ndarray:
    return D / np.linalg.norm(D, axis=1, keepdims=True)


def problem(n_signals: int, start_std: float, seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    D = unit_atoms(rng.standard_normal((N_ATOMS, N_FEATURES)))
    support = rng.random((n_signals, N_ATOMS)).argsort(axis=1)[:, :N_NONZERO]
    sign = rng.choice([-1.0, 1.0], (n_signals, 1))
    codes = np.zeros((n_signals, N_ATOMS))
    np.put_along_axis(codes, support, sign * rng.uniform(1, 2, support.shape), axis=1)
    return Problem(codes @ D, D, codes, unit_atoms(D + start_std * rng.standard_normal(D.shape)))


def exact_codes(X: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Codes by the exact path, each with a duality gap <= 1e-12 of 1/2 ||x||^2."""
    exact = riata.encode(X, D, REG, method="lars", tol=1e-12)
    if not (exact.status == "converged").all():
        raise RuntimeError(f"the exact codes were not found: {exact}")
    return exact.codes


def gradient(codes: np.ndarray, X: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Mean over the signals of z^T (z D - x): by the dictionary, with the codes held constant."""
    return codes.T @ (codes @ D - X) / len(X)


def learned_dictionary(given: Problem) -> np.ndarray:
    """D*: the stationary point of the mean Lasso objective that alternating minimisation reaches from D~."""
    D = riata.learn_dictionary(given.signals, N_ATOMS, REG, method="alternating_exact", init=given.dictionary, tol=0,
                               coder_tol=1e-12, max_iter=10_000, replace_atoms=False).dictionary
    g = gradient(exact_codes(given.signals, D), given.signals, D)
    along_spheres = np.linalg.norm(g - (g * D).sum(axis=1, keepdims=True) * D)
    if along_spheres > STATIONARY:
        raise RuntimeError(f"D* was not found: the gradient along the spheres is {along_spheres:.1e}, not <= {STATIONARY:g}")
    return D
