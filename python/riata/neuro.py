"""Sources of magneto- and electroencephalographic fields, and the response that functional MRI sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _riata
from ._arguments import Array, as_float, as_matrix, as_options, as_reg, as_text, shown
from ._results import SparseInverseResult


def sparse_inverse(
    M: Any,
    G: Any,
    noise_cov: Any,
    reg: Any,
    depth: float = 0.8,
    penalty: str = "group",
    *,
    n_orient: int = 1,
    channel_types: Sequence[Any] | None = None,
    rank_tol: float = 1e-6,
    tol: float = 1e-8,
    max_iter: int = 100000,
    n_threads: int | None = None,
) -> SparseInverseResult:
    """The few sources that explain measured magnetic and electric fields.

    With the whitener W of the noise and the depth weights w_s = ||(W G)_s||^depth, minimises

        1/2 ||W M - (W G / w) Z||^2 + reg * g(Z),    sources = Z / w,

    g(Z) = sum of |Z_jt| for "l1", of ||Z_s|| over the sources s for "group" (MxNE: a source is active at all
    instants or at none). Computed in float64.

    Parameters
    ----------
    M : array (n_channels, n_times)
        Measured fields, in the channels' units.
    G : array (n_channels, n_orient * n_sources)
        Leadfield: fields of a unit current at each source.
    noise_cov : array (n_channels, n_channels)
        Covariance of the noise in M: that of single trials divided by their number where M is an average. It may be
        rank-deficient, as after projections; M and G need not be projected.
    reg : float or str
        One weight for all instants, of the whitened problem; or a fraction such as "0.5max" of the smallest weight
        that gives no source.
    depth : float
        Between 0 (superficial sources are preferred) and 1.
    penalty : {"group", "l1"}
        Sources of the whole window, or of each instant by itself.
    n_orient : int
        Columns of G per source: 1 (fixed orientation) or, for "group", 3 (free).
    channel_types : sequence (n_channels,), optional
        Such as "mag", "grad", "eeg": channels of one type share a unit and a scale. All alike by default.
    rank_tol : float
        Directions of the noise, scaled per channel type, with less than this share of the largest variance are
        dropped.
    tol : float
        Done when the duality gap is at most tol * 1/2 ||W M||^2; for "l1" instant by instant.
    max_iter : int
        Sweeps of coordinate descent.
    n_threads : int, optional
        For "l1". All cores by default.

    Returns
    -------
    SparseInverseResult
        sources, which of them are active, the certificate, and the whitener.

    Examples
    --------
    >>> import numpy as np, riata
    >>> rng = np.random.default_rng(0)
    >>> G = rng.standard_normal((20, 50))
    >>> M = np.outer(G[:, 7], [1.0, 2.0, 3.0]) + 0.1 * rng.standard_normal((20, 3))
    >>> result = riata.sparse_inverse(M, G, 0.01 * np.eye(20), reg="0.5max")
    >>> result.active.tolist(), result.rank
    ([7], 20)
    """
    where = "sparse_inverse"
    M = _as_double(where, "M", M, "(n_channels, n_times)")
    G = _as_double(where, "G", G, "(n_channels, n_sources)")
    noise_cov = _as_double(where, "noise_cov", noise_cov, "(n_channels, n_channels)")
    channel_types = _as_types(where, channel_types)
    options = as_options(where, where, locals())
    fields = _riata.sparse_inverse(
        M,
        G,
        noise_cov,
        as_reg(where, reg),
        options,
    )
    return SparseInverseResult(**fields)


def whitener(noise_cov: Any, channel_types: Sequence[Any] | None = None, rank_tol: float = 1e-6) -> Array:
    """W with W C W^T = I: what makes the noise of measured fields white.

    The eigenvectors of the covariance, scaled per channel type, without those of directions that hold no noise. What
    projections took from the noise is so taken from the data too.

    Parameters
    ----------
    noise_cov, channel_types, rank_tol
        As in `sparse_inverse`.

    Returns
    -------
    ndarray (rank, n_channels)

    Examples
    --------
    >>> import numpy as np, riata
    >>> riata.whitener(np.diag([4.0, 4.0, 0.0])).shape
    (2, 3)
    """
    where = "whitener"
    noise_cov = _as_double(where, "noise_cov", noise_cov, "(n_channels, n_channels)")
    return _riata.whitener(noise_cov, _as_types(where, channel_types), as_float(where, "rank_tol", rank_tol))


def hrf(tr: float, model: str = "spm", dilation: float = 1.0) -> Array:
    """The haemodynamic response: what a short burst of activity does to the signal of functional MRI.

    The kernel that `tv_solve` takes.

    Parameters
    ----------
    tr : float
        Seconds between two samples, 0.01 to 10.
    model : {"spm", "glover"}
        SPM's difference of two gamma densities, which peaks at 5 s; or that of Glover (1999), at 5.4 s.
    dilation : float
        0.25 to 4: the response is that of dilation times as late, so above 1 it is faster.

    Returns
    -------
    ndarray (n_times_kernel,)
        Its first 32 / dilation seconds in float64, from 0 on, scaled to a sum of 1: lasting activity of 1 ends as
        a signal of 1.

    Examples
    --------
    >>> import riata
    >>> h = riata.hrf(tr=0.5)
    >>> int(h.argmax()) * 0.5, len(h)
    (5.0, 65)
    """
    where = "hrf"
    return _riata.hrf(
        as_float(where, "tr", tr), as_text(where, "model", model), as_float(where, "dilation", dilation)
    )


def _as_double(where: str, name: str, value: Any, shape: str) -> Array:
    return as_matrix(where, name, value, shape).astype(np.float64, copy=False)


def _as_types(where: str, channel_types: Sequence[Any] | None) -> list[str]:
    """Names of any kind, as text; [] where all channels are alike."""
    if channel_types is None:
        return []
    try:
        names = None if isinstance(channel_types, str) else [str(name) for name in channel_types]
    except Exception:  # of what cannot be iterated or written
        names = None
    if names is None:
        raise TypeError(f"{where}: channel_types = {shown(channel_types)}, must be one name per channel")
    return [as_text(where, "a channel's type", name) for name in names]
