"""Sparse sources of MNE-Python's objects. Needs MNE-Python >= 1.5."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import mne
except ImportError as error:
    raise ImportError("riata.mne needs MNE-Python: pip install 'riata[mne]'") from error

from ._results import SparseInverseResult
from .neuro import sparse_inverse as _sparse_inverse

_WHERE = "riata.mne.sparse_inverse"


def sparse_inverse(
    evoked: mne.Evoked,
    forward: mne.Forward,
    noise_cov: mne.Covariance,
    reg: Any,
    depth: float = 0.8,
    penalty: str = "group",
    *,
    rank_tol: float = 1e-6,
    tol: float = 1e-8,
    max_iter: int = 100000,
    n_threads: int | None = None,
    return_result: bool = False,
) -> Any:
    """The few cortical sources that explain an evoked response, as a SourceEstimate.

    `riata.sparse_inverse` on the good channels that evoked, forward and noise_cov share, with one source per vertex
    along the cortex's normal. The projections of `evoked` are applied to the noise, and so take effect on data and
    leadfield too, whether or not they were applied before; the noise of single trials is divided by evoked.nave.

    With penalty="group", "0.3max" gives the sources of mne.inverse_sparse.mixed_norm(evoked, forward, noise_cov,
    alpha=30, loose=0, depth=0.8, n_mxne_iter=1, debias=False) where both whiten alike (full rank, or projections
    alone): its alpha is 100 times the fraction, and nave, by which it does not divide, changes no fraction.

    Parameters
    ----------
    evoked : mne.Evoked
        Crop it to the window in question.
    forward : mne.Forward
        Of a surface source space; a free-orientation one is converted to the normals.
    noise_cov : mne.Covariance
        Of single trials.
    reg, depth, penalty, rank_tol, tol, max_iter, n_threads
        As in `riata.sparse_inverse`.
    return_result : bool
        Also return the `riata.SparseInverseResult`, with the certificate; its sources are all those of the forward.

    Returns
    -------
    mne.SourceEstimate, or (mne.SourceEstimate, SparseInverseResult)
        In ampere metres, of the vertices that are active.
    """
    for name, value, kind in (
        ("evoked", evoked, mne.Evoked),
        ("forward", forward, mne.Forward),
        ("noise_cov", noise_cov, mne.Covariance),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{_WHERE}: {name} is {type(value).__name__}, expected mne.{kind.__name__}")
    if forward["src"].kind != "surface":
        raise ValueError(f"{_WHERE}: the source space is of kind '{forward['src'].kind}', expected 'surface'")
    forward = mne.convert_forward_solution(forward, surf_ori=True, force_fixed=True, use_cps=True, verbose=False)
    names = _shared_channels(evoked, forward, noise_cov)
    evoked = evoked.copy().pick(names)
    leadfield = forward["sol"]["data"][_places(names, forward["sol"]["row_names"])]
    result = _sparse_inverse(
        evoked.data,
        leadfield,
        _noise_of(evoked, noise_cov, names),
        reg,
        depth,
        penalty,
        channel_types=evoked.get_channel_types(),
        rank_tol=rank_tol,
        tol=tol,
        max_iter=max_iter,
        n_threads=n_threads,
    )
    estimate = _estimate(result, evoked, forward)
    return (estimate, result) if return_result else estimate


def _shared_channels(evoked: mne.Evoked, forward: mne.Forward, noise_cov: mne.Covariance) -> list[str]:
    """In the order of `evoked`."""
    there = set(forward["sol"]["row_names"]) & set(noise_cov["names"])
    bad = {*evoked.info["bads"], *noise_cov["bads"], *forward["info"]["bads"]}
    names = [name for name in evoked.ch_names if name in there and name not in bad]
    if not names:
        raise ValueError(f"{_WHERE}: evoked, forward and noise_cov have no good channel in common")
    return names


def _places(names: list[str], among: list[str]) -> list[int]:
    place = {name: i for i, name in enumerate(among)}
    return [place[name] for name in names]


def _noise_of(evoked: mne.Evoked, noise_cov: mne.Covariance, names: list[str]) -> np.ndarray:
    """P C P^T / nave, with the projector P of `evoked` as MNE itself applies it."""
    chosen = _places(names, noise_cov["names"])
    data = noise_cov["data"]
    C = np.diag(data[chosen]) if data.ndim == 1 else data[np.ix_(chosen, chosen)]
    if evoked.info["projs"]:
        unit = mne.EvokedArray(np.eye(len(names)), _with_inactive_projections(evoked.info), verbose=False)
        P = unit.apply_proj(verbose=False).data
        C = P @ C @ P.T
    return C / evoked.nave


def _with_inactive_projections(info: mne.Info) -> mne.Info:
    info = info.copy()
    for projection in info["projs"]:
        projection["active"] = False
    return info


def _estimate(result: SparseInverseResult, evoked: mne.Evoked, forward: mne.Forward) -> mne.SourceEstimate:
    vertices, first = [], 0
    for hemisphere in forward["src"]:
        inside = result.active[(result.active >= first) & (result.active < first + hemisphere["nuse"])]
        vertices.append(hemisphere["vertno"][inside - first])
        first += hemisphere["nuse"]
    return mne.SourceEstimate(
        result.sources[result.active],
        vertices,
        tmin=evoked.times[0],
        tstep=1 / evoked.info["sfreq"],
        subject=forward["src"]._subject,
    )
