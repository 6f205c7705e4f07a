"""How good an answer is: recomputed from the definitions, in double, by code that shares nothing with riata or a peer.

Lasso, per signal: primal F(z) = 1/2 ||x - z D||^2 + reg ||z||_1 with residual r; dual point theta = s r with
s = min(1, reg / ||D r||_inf); dual value 1/2 ||x||^2 - 1/2 ||x - theta||^2 <= min F; gap = primal - dual.
"""

import numpy as np

CHUNK = 10_000  # signals at a time, so that the evaluation stays small beside what it evaluates


def lasso_certificate(X, D, Z, reg):
    """(objective, gap) per signal. The smallest objective possible lies in [objective - gap, objective]."""
    D = np.asarray(D, dtype=np.float64)
    parts = [_certificate(X[i:i + CHUNK], D, Z[i:i + CHUNK], reg) for i in range(0, len(X), CHUNK)]
    return tuple(np.concatenate(part) for part in zip(*parts))


def _certificate(X, D, Z, reg):
    X, Z = np.asarray(X, dtype=np.float64), np.asarray(Z, dtype=np.float64)
    R = X - Z @ D
    primal = 0.5 * np.sum(R**2, axis=1) + reg * np.abs(Z).sum(axis=1)
    scale = np.minimum(1.0, reg / np.maximum(np.abs(R @ D.T).max(axis=1), np.finfo(float).tiny))
    dual = 0.5 * np.sum(X**2, axis=1) - 0.5 * np.sum((X - scale[:, None] * R) ** 2, axis=1)
    return primal, primal - dual


def relative_gap(X, gap):
    """Largest duality gap over the signals, each relative to its 1/2 ||x||^2."""
    return float(np.max(gap / (0.5 * np.sum(np.asarray(X, dtype=np.float64) ** 2, axis=1))))


def suboptimality(objective, lower_bound):
    """(mean F - mean F*) / mean F*, with F* replaced by a lower bound, so that it is never understated."""
    return float((np.mean(objective) - np.mean(lower_bound)) / np.mean(lower_bound))


def relative_difference(A, reference):
    """||A - reference|| / ||reference||."""
    return float(np.linalg.norm(np.asarray(A, dtype=np.float64) - reference) / np.linalg.norm(reference))
