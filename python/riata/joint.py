"""Codes that share their support."""

from __future__ import annotations

from typing import Any

from . import _riata
from ._arguments import as_float, as_matrices, as_options, as_reg, as_size
from ._results import JointResult


def joint_encode(
    X: Any, D: Any, reg: Any, tol: float = 1e-6, max_iter: int = 100000, *, group_size: int = 1
) -> JointResult:
    """Codes of a batch in which an atom is used by all signals or by none.

    Minimises 1/2 ||X - Z D||^2 + reg * sum_j ||Z_j||, where Z_j holds the codes of all signals for atom j (or for
    the j-th group of atoms): the group Lasso over signals, also known as multi-task Lasso. Computed in float64.

    Parameters
    ----------
    X : array (n_signals, n_features)
        Signals, float32 or float64.
    D : array (n_atoms, n_features)
        Dictionary, in the precision of X.
    reg : float or str
        One weight for the batch, or a fraction such as "0.1max" of the smallest weight whose codes are zero.
    tol : float
        Done when the duality gap is at most tol * 1/2 ||X||^2.
    max_iter : int
        Sweeps over the working set.
    group_size : int
        So many atoms in a row form a group; it divides n_atoms.

    Returns
    -------
    JointResult
        codes, the atoms in use, and the certificate.

    Examples
    --------
    >>> import riata
    >>> problem = riata.datasets.planted(n_features=20, n_atoms=40, n_signals=10)
    >>> result = riata.joint_encode(problem.signals, problem.dictionary, "0.5max", tol=1e-10)
    >>> bool(result.gap <= 1e-10 * 0.5 * (problem.signals**2).sum())
    True
    >>> used = abs(result.codes).max(axis=0) > 0
    >>> used.nonzero()[0].tolist() == result.support.tolist()
    True
    """
    where = "joint_encode"
    X, D = as_matrices(where, X=X, D=D)
    return JointResult(
        **_riata.joint_encode(
            X,
            D,
            as_reg(where, reg),
            as_options(where, where, locals()),
        )
    )


def joint_reg_max(X: Any, D: Any, group_size: int = 1) -> float:
    """The smallest weight at which all joint codes are zero.

    Parameters
    ----------
    X, D, group_size
        As in `joint_encode`.

    Returns
    -------
    float
    """
    where = "joint_reg_max"
    X, D = as_matrices(where, X=X, D=D)
    return _riata.joint_reg_max(X, D, as_size(where, "group_size", group_size))


def joint_certificate(X: Any, D: Any, Z: Any, reg: float, group_size: int = 1) -> tuple[float, float]:
    """Objective and duality gap of joint codes, in float64, from X, D and Z alone.

    Parameters
    ----------
    X, D, group_size
        As in `joint_encode`.
    Z : array (n_signals, n_atoms)
        Codes.
    reg : float
        The weight.

    Returns
    -------
    objective, gap : float
        The gap bounds the distance of the objective from its minimum.
    """
    where = "joint_certificate"
    X, D, Z = as_matrices(where, X=X, D=D, Z=Z)
    return _riata.joint_certificate(
        X, D, Z, as_float(where, "reg", reg), as_size(where, "group_size", group_size)
    )
