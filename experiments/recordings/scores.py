"""How well patterns are found."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def pattern_scores(u: np.ndarray, v: np.ndarray, u_ref: np.ndarray, v_ref: np.ndarray) -> tuple[float, float]:
    """Means over the reference patterns, of rank one, of |u^T u'| and of the largest cross-correlation of v and v', for the assignment
    that is best for their sum."""
    of_u = np.abs(u_ref @ u.T)
    of_v = np.array([[np.abs(np.correlate(a, b, "full")).max() for b in v] for a in v_ref])
    pairs = linear_sum_assignment(-(of_u + of_v))
    return float(of_u[pairs].mean()), float(of_v[pairs].mean())
