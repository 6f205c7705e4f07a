"""The cases, as data: a problem, a precision, a task. A worker finds its case here by name."""

import functools
import hashlib
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Problem:
    X: np.ndarray  # signals, one a row
    D: np.ndarray  # atoms, one a row
    reg: float
    layers: int = 0  # of the unrolled cases

    def head(self, n_signals):
        return replace(self, X=np.ascontiguousarray(self.X[:n_signals]))

    def digest(self):
        """Which data these were, to the bit."""
        return hashlib.sha256(self.X.tobytes() + self.D.tobytes()).hexdigest()[:12]


def unit_reg_max(n_signals, n_features, n_atoms, seed):
    """Gaussian signals, scaled so that every one has reg_max = max_j |d_j . x| = 1; Gaussian atoms of norm 1."""
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((n_atoms, n_features))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    X = rng.standard_normal((n_signals, n_features))
    return X / np.abs(X @ D.T).max(axis=1, keepdims=True), D


def unit_norm(n_signals, n_features, n_atoms, seed):
    """Gaussian signals and atoms of norm 1, as in SPAMS' own speed test."""
    rng = np.random.default_rng(seed)
    D, X = rng.standard_normal((n_atoms, n_features)), rng.standard_normal((n_signals, n_features))
    return X / np.linalg.norm(X, axis=1, keepdims=True), D / np.linalg.norm(D, axis=1, keepdims=True)


@dataclass(frozen=True)
class Case:
    task: str  # "encode": what is measured, see tasks.py
    data: object
    n_signals: int
    n_features: int
    n_atoms: int
    reg: float
    dtype: str
    layers: int = 0
    seed: int = 0

    @property
    def name(self):
        shape = f"{self.n_signals}x{self.n_features}-{self.n_atoms}"
        return "-".join([self.task, shape, f"reg{self.reg}", *([f"{self.layers}layers"] if self.layers else []), self.dtype])

    @functools.lru_cache(maxsize=2)
    def problem(self):
        X, D = self.data(self.n_signals, self.n_features, self.n_atoms, self.seed)
        return Problem(X.astype(self.dtype), D.astype(self.dtype), self.reg, self.layers)


CASES = [
    *(Case("encode", unit_reg_max, 10_000, 64, 256, reg, dtype) for dtype in ("float32", "float64") for reg in (0.1, 0.5, 0.8)),
    *(Case("encode", unit_norm, 100_000, 100, 200, 0.15, dtype) for dtype in ("float32", "float64")),
]


def case_named(name):
    return next(case for case in CASES if case.name == name)
