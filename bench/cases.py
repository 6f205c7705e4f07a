"""The cases, as data: a problem, a precision, a task."""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

import signals


@dataclass(frozen=True)
class Problem:
    X: np.ndarray  # signals, one a row
    D: np.ndarray  # atoms, one a row
    reg: float
    layers: int = 0  # of the unrolled tasks
    steps: np.ndarray | None = None  # factors s_k of their steps 1 / lipschitz
    lipschitz: float | None = None

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
    task: str  # what is asked, see tasks.py
    data: Callable
    n_signals: int
    n_features: int
    n_atoms: int
    reg: float
    dtype: str
    layers: int = 0
    last_step: float = 1.0  # step factors rise evenly from 1 to this, as learned ones do
    seed: int = 0
    gap: float | None = None  # relative, that is asked of both sides

    @property
    def name(self):
        if self.gap is not None:
            return (f"{self.task}-{self.data.__name__}-{self.n_signals}x{self.n_features}-{self.n_atoms}atoms-reg{self.reg}"
                    f"-gap{self.gap:.0e}-{self.dtype}")
        depth = f"-{self.layers}layers" if self.layers else ""
        return f"{self.task}-{self.n_signals}x{self.n_features}-{self.n_atoms}atoms-reg{self.reg}{depth}-{self.dtype}"

    @functools.lru_cache(maxsize=1)
    def problem(self):
        X, D = (A.astype(self.dtype) for A in self.data(self.n_signals, self.n_features, self.n_atoms, self.seed))
        X, D = map(np.ascontiguousarray, (X, D))
        if not self.layers:
            return Problem(X, D, self.reg)
        return Problem(X, D, self.reg, self.layers, steps=np.linspace(1.0, self.last_step, self.layers),
                       lipschitz=float(np.linalg.norm(D.astype(np.float64), 2)) ** 2)


CASES = [
    *(Case("encode", unit_reg_max, 10_000, 64, 256, reg, dtype) for dtype in ("float32", "float64") for reg in (0.1, 0.5, 0.8)),
    *(Case("encode", unit_norm, 100_000, 100, 200, 0.15, dtype) for dtype in ("float32", "float64")),
    *(Case("gradient", unit_reg_max, 10_000, 64, 256, reg, "float32", layers=30) for reg in (0.1, 0.5, 0.8)),
    *(Case("inference", unit_reg_max, n, 64, 256, 0.5, "float32", layers=20, last_step=1.5) for n in (10_000, 1)),
    *(Case(kind, unit_reg_max, 10_000, 64, 256, reg, "float64", layers=10, last_step=1.5)
      for kind in ("step_lista", "coupled_lista") for reg in (0.1, 0.5)),
    *(Case("coders", data, n_signals, n_features, n_atoms, reg, dtype, gap=gap)
      for data, n_signals, n_features, n_atoms, reg, gap, dtype in [
          (signals.patches, 10_000, 64, 256, 0.1, 1e-3, "float64"),
          (signals.patches, 10_000, 64, 256, 0.3, 1e-6, "float64"),
          (signals.patches, 10_000, 64, 256, 0.1, 1e-3, "float32"),
          (signals.nonnegative, 5_000, 64, 128, 0.1, 1e-6, "float64"),
          (signals.nonnegative, 5_000, 64, 128, 0.3, 1e-3, "float32"),
          (signals.gaussian, 500, 512, 512, 0.1, 1e-3, "float64"),
          (signals.gaussian, 2_000, 512, 512, 0.3, 1e-6, "float64"),
          (signals.gaussian, 500, 256, 1_024, 0.1, 1e-3, "float64"),
          (signals.gaussian, 1_000, 256, 1_024, 0.3, 1e-3, "float32"),
          (signals.learned, 10_000, 64, 256, 0.1, 1e-6, "float64"),
          (signals.learned, 10_000, 64, 256, 0.3, 1e-3, "float32"),
          (signals.learned, 3_000, 144, 288, 0.1, 1e-9, "float64"),
          (signals.digits, 1_400, 64, 256, 0.1, 1e-6, "float64"),
          (signals.digits, 1_400, 64, 256, 0.5, 1e-9, "float64"),
          (signals.cumulative_sum, 1_000, 128, 128, 0.1, 1e-6, "float64"),
          (signals.cumulative_sum, 1_000, 128, 128, 0.5, 1e-3, "float32"),
          (signals.duplicated, 2_000, 64, 256, 0.1, 1e-9, "float64"),
          (signals.uneven_norms, 2_000, 64, 256, 0.1, 1e-6, "float64"),
          (signals.gaussian, 1_000_000, 16, 32, 0.3, 1e-3, "float32"),
          (signals.gaussian, 100_000, 30, 50, 0.3, 1e-6, "float32"),
          (signals.gaussian, 100, 1_000, 1_500, 0.3, 1e-6, "float64"),
          (signals.gaussian, 1, 1_000, 1_500, 0.1, 1e-6, "float64"),
          (signals.gaussian, 10, 256, 1_024, 0.3, 1e-9, "float64"),
          (signals.gaussian, 1, 100, 10_000, 0.5, 1e-6, "float64"),
      ]),
]
