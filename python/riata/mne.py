"""Sparse sources and patterns of MNE-Python's objects. Needs MNE-Python >= 1.5."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np

try:
    import mne
    from mne.io.constants import FIFF
except ImportError as error:
    raise ImportError("riata.mne needs MNE-Python: pip install 'riata[mne]'") from error

from ._arguments import as_bool, one_line, shown
from ._mne_patterns import ConvolutionalDictionary, read_convolutional_dictionary
from ._results import SparseInverseResult
from .neuro import sparse_inverse as _sparse_inverse

__all__ = ["ConvolutionalDictionary", "read_convolutional_dictionary", "sparse_inverse"]

_WHERE = "riata.mne.sparse_inverse"
_ESTIMATES = {
    "surface": mne.SourceEstimate,
    "volume": mne.VolSourceEstimate,
    "discrete": mne.VolSourceEstimate,
    "mixed": mne.MixedSourceEstimate,
}


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
    """The few sources that explain an evoked response, as a source estimate of MNE's.

    `riata.sparse_inverse` on the good channels that evoked, forward and noise_cov share. Surfaces have one source per
    vertex, along the cortex's normal. Volume and mixed source spaces have three per vertex, and so have discrete ones
    unless their forward is of fixed orientation; the estimate then holds the norm of the three, and penalty="group" alone
    is possible. The projections of `evoked` and `noise_cov` are applied to the noise, and so take effect on data and leadfield
    too, whether or not they were applied before; the noise of single trials is divided by evoked.nave.

    Refused is what MNE's own inverse functions refuse: EEG that has no average reference as a projection
    (evoked.set_eeg_reference(projection=True)) or a custom one, and fields compensated otherwise than the forward's.

    With penalty="group", "0.3max" gives the sources of mne.inverse_sparse.mixed_norm(evoked, forward, noise_cov,
    alpha=30, loose=0, depth=0.8, n_mxne_iter=1, debias=False) where both whiten alike (full rank, or projections
    alone): its alpha is 100 times the fraction, and nave, by which it does not divide, changes no fraction. With three
    sources per vertex it is loose=1.

    Parameters
    ----------
    evoked : mne.Evoked
        Crop it to the window in question.
    forward : mne.Forward
        A free-orientation one of surfaces is converted to their normals.
    noise_cov : mne.Covariance
        Of single trials.
    reg, depth, penalty, rank_tol, tol, max_iter, n_threads
        As in `riata.sparse_inverse`.
    return_result : bool
        Also return the `riata.SparseInverseResult`, with the certificate; its sources are all those of the forward.

    Returns
    -------
    mne.SourceEstimate, mne.VolSourceEstimate or mne.MixedSourceEstimate; or (estimate, SparseInverseResult)
        In ampere metres, of the vertices that are active.
    """
    for name, value, kind in (
        ("evoked", evoked, mne.Evoked),
        ("forward", forward, mne.Forward),
        ("noise_cov", noise_cov, mne.Covariance),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{_WHERE}: {name} is {type(value).__name__}, expected mne.{kind.__name__}")
    return_result = as_bool(_WHERE, "return_result", return_result)
    kind = _source_kind(forward)
    if kind == "surface":
        forward = mne.convert_forward_solution(forward, surf_ori=True, force_fixed=True, use_cps=True, verbose=False)
    n_orient = 1 if forward["source_ori"] == FIFF.FIFFV_MNE_FIXED_ORI else 3
    if n_orient == 3 and penalty == "l1":
        raise ValueError(
            f"{_WHERE}: penalty = 'l1' needs one orientation per source, but the forward of this {kind} source space has "
            "three; expected 'group'"
        )
    names = _shared_channels(evoked, forward, noise_cov)
    evoked = evoked.copy().pick(names, verbose=False)
    fields = mne.pick_info(forward["info"], _places(names, forward["info"]["ch_names"]))
    _require_same_channels(evoked.info, fields)
    _require_average_reference(evoked.info)
    result = _sparse_inverse(
        evoked.data,
        forward["sol"]["data"][_places(names, forward["sol"]["row_names"])],
        _noise_of(evoked, noise_cov, names),
        reg,
        depth,
        penalty,
        n_orient=n_orient,
        channel_types=evoked.get_channel_types(),
        rank_tol=rank_tol,
        tol=tol,
        max_iter=max_iter,
        n_threads=n_threads,
    )
    estimate = _estimate(result, evoked, forward, _ESTIMATES[kind], n_orient)
    return (estimate, result) if return_result else estimate


def _source_kind(forward: mne.Forward) -> str:
    try:
        kind = forward["src"].kind
    except RuntimeError as error:
        raise ValueError(f"{_WHERE}: {one_line(str(error), 300)}") from None
    if kind == "mixed" and len(forward["src"]) < 2:
        raise ValueError(f"{_WHERE}: the source space is one surface, expected both hemispheres")
    return kind


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


def _require_same_channels(measured: mne.Info, modelled: mne.Info) -> None:
    """Same unit, same compensation: two infos with the same channels in the same order."""
    types = ([mne.channel_type(info, i) for i in range(len(info["chs"]))] for info in (measured, modelled))
    for name, ours, theirs in zip(measured["ch_names"], *types):
        if ours != theirs:
            raise ValueError(
                f"{_WHERE}: channel {one_line(name)} is of type '{ours}' in evoked but '{theirs}' in forward; they must be equal"
            )
    ours, theirs = (_compensation(info) for info in (measured, modelled))
    if ours != theirs:
        raise ValueError(
            f"{_WHERE}: evoked has compensation grade {ours} but forward {theirs}; they must be equal "
            "(evoked.apply_gradient_compensation changes it)"
        )


def _compensation(info: mne.Info) -> str:
    """The grade of the MEG channels, 0 without any."""
    meg = [channel for channel in info["chs"] if channel["kind"] == FIFF.FIFFV_MEG_CH]
    return " and ".join(map(str, sorted({int(channel["coil_type"]) >> 16 for channel in meg}))) or "0"


def _require_average_reference(info: mne.Info) -> None:
    """Potentials have no zero of their own: that of the forward model is their mean."""
    types = dict(zip(info["ch_names"], info.get_channel_types()))
    electrodes = {name for name, kind in types.items() if kind in ("eeg", "seeg", "ecog", "dbs")}
    if not electrodes:
        return
    if info["custom_ref_applied"]:
        raise ValueError(
            f"{_WHERE}: evoked has a custom EEG reference, expected the average reference as a projection "
            "(evoked.set_eeg_reference(projection=True) on data as recorded)"
        )
    covered: set[str] = set()
    for projection in info["projs"]:
        if projection["kind"] == FIFF.FIFFV_PROJ_ITEM_EEG_AVREF or re.match("^Average .* reference$", projection["desc"]):
            covered.update(projection["data"]["col_names"])
    if not electrodes <= covered:
        raise ValueError(
            f"{_WHERE}: evoked holds EEG without an average reference, expected one as a projection "
            "(evoked.set_eeg_reference(projection=True))"
        )


def _noise_of(evoked: mne.Evoked, noise_cov: mne.Covariance, names: list[str]) -> np.ndarray:
    """P C P^T / nave, with the projector P of `evoked` and `noise_cov` as MNE itself applies it."""
    if not evoked.nave > 0:
        raise ValueError(f"{_WHERE}: evoked.nave = {shown(evoked.nave)}, must be > 0: trials that were averaged")
    chosen = _places(names, noise_cov["names"])
    data = noise_cov["data"]
    C = np.diag(data[chosen]) if data.ndim == 1 else data[np.ix_(chosen, chosen)]
    projections = copy.deepcopy([*evoked.info["projs"], *noise_cov["projs"]])
    if projections:
        for projection in projections:
            projection["active"] = False
        info = evoked.info.copy()
        for projection in info["projs"]:
            projection["active"] = False
        unit = mne.EvokedArray(np.eye(len(names)), info, verbose=False)
        P = unit.add_proj(projections, remove_existing=True, verbose=False).apply_proj(verbose=False).data
        C = P @ C @ P.T
    return C / evoked.nave


def _estimate(
    result: SparseInverseResult, evoked: mne.Evoked, forward: mne.Forward, kind: Any, n_orient: int
) -> mne.SourceEstimate:
    vertices, first = [], 0
    for space in forward["src"]:
        inside = result.active[(result.active >= first) & (result.active < first + space["nuse"])]
        vertices.append(space["vertno"][inside - first])
        first += space["nuse"]
    currents = result.sources.reshape(-1, n_orient, result.sources.shape[1])[result.active]
    return kind(
        currents[:, 0] if n_orient == 1 else np.linalg.norm(currents, axis=1),
        vertices,
        tmin=evoked.times[0],
        tstep=1 / evoked.info["sfreq"],
        subject=forward["src"]._subject,
    )
