"""Recordings of MNE-Python's, read in pieces and brought to one scale."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import mne
import numpy as np

from ._arguments import Array, as_float, one_line, shown

PIECE = 1 << 23  # numbers that are held at a time
_NOT_DATA = ("stim", "syst", "exci", "ias", "chpi", "gof", "dipole")
_SEAM = "(?i)^(bad|edge)"


class Segments:
    """Good spans of a Raw, which is read where they lie."""

    def __init__(self, raw: Any, channels: list[int], spans: list[tuple[int, int]]) -> None:
        self._raw, self._channels, self.spans = raw, channels, spans

    @property
    def lengths(self) -> list[int]:
        return [end - begin for begin, end in self.spans]

    def read(self, segment: int, first: int, last: int, step: int = 1) -> Array:
        begin = self.spans[segment][0]
        return self._raw[self._channels, begin + first : begin + last][0][:, ::step]

    def within(self, where: str, reject: Any, flat: Any, length: int) -> tuple[Segments, list[tuple[int, int]]]:
        """Without pieces of `length` samples whose amplitudes are beyond these, and those pieces."""
        info = mne.pick_info(self._raw.info, self._channels)
        types = np.array(info.get_channel_types())
        limits = []
        for name, given in (("reject", reject), ("flat", flat)):
            for kind, value in (given or {}).items():
                if kind not in types:
                    raise ValueError(
                        f"{where}: {name} is of {shown(kind)}, must be of the types fitted: {', '.join(dict.fromkeys(types))}"
                    )
                limits.append((types == kind, as_float(where, f"{name}[{kind!r}]", value), name == "reject"))
        kept: list[tuple[int, int]] = []
        dropped = []
        for segment, (begin, end) in enumerate(self.spans):
            for first in range(begin, end, length):
                last = min(first + length, end)
                data = self.read(segment, first - begin, last - begin)
                extent = np.ptp(data, axis=1)
                if any((extent[of] > limit).any() if above else (extent[of] < limit).any() for of, limit, above in limits):
                    dropped.append((first, last))
                elif kept and kept[-1][1] == first and first != begin:
                    kept[-1] = (kept[-1][0], last)
                else:
                    kept.append((first, last))
        return Segments(self._raw, self._channels, kept), dropped

    def name(self, segment: int) -> tuple[str, int]:
        return "", self.spans[segment][0]

    def scales(self, where: str, info: Any, step: int) -> tuple[Array, Array, int]:
        """Of each channel its mean, and the standard deviation of its type about those; the number of samples."""
        n_channels = len(info["ch_names"])
        count, mean, squares = 0, np.zeros(n_channels), np.zeros(n_channels)
        size = max(step, PIECE // n_channels // step * step)
        for segment, length in enumerate(self.lengths):
            for first in range(0, length, size):
                x = self.read(segment, first, min(first + size, length), step)
                require_finite(where, x, info["ch_names"], first, step, self.name(segment))
                n, m = x.shape[1], x.mean(axis=1)
                d = m - mean
                squares += ((x - m[:, np.newaxis]) ** 2).sum(axis=1) + d * d * (count * n / (count + n))
                mean += d * (n / (count + n))
                count += n
        types = np.array(info.get_channel_types())
        scale = np.empty(n_channels)
        for kind in dict.fromkeys(types):
            scale[types == kind] = np.sqrt(np.mean(squares[types == kind]) / count)
            if not scale[types == kind][0] > 0:
                raise ValueError(f"{where}: all channels of type '{kind}' are constant; leave them out (picks)")
        return mean[:, np.newaxis], scale[:, np.newaxis], count


class EpochSegments(Segments):
    def __init__(self, epochs: Any, channels: list[int]) -> None:
        if not epochs.preload:
            epochs.drop_bad(verbose=False)
        super().__init__(epochs, channels, [(0, len(epochs.times))] * len(epochs))
        self._held: tuple[int, Array] | None = None

    def read(self, segment: int, first: int, last: int, step: int = 1) -> Array:
        return _epoch(self._raw, segment)[self._channels, first:last:step]

    def name(self, segment: int) -> tuple[str, int]:
        return f" of epoch {segment}", 0


def _epoch(epochs: Any, number: int) -> Array:
    """All channels of one epoch, read alone where they are not loaded."""
    if epochs.preload:
        return epochs._data[number]
    with mne.use_log_level("warning"):
        return epochs[number].get_data()[0]


class Trials:
    """Pieces of one length of good spans, on the common scale: what learn_patterns reads."""

    dtype = np.dtype(np.float64)

    def __init__(self, segments: Segments, mean: Array, scale: Array, n_times_atom: int, decim: int, window: int | None) -> None:
        self._segments, self._mean, self._scale, self._decim = segments, mean, scale, decim
        lengths = [-(-length // decim) for length in segments.lengths]
        window = max(n_times_atom, 10 * n_times_atom if window is None else int(window))
        n_times = _trial_length(lengths, window, n_times_atom)
        self.is_cut_short = n_times < window
        self.trials: list[tuple[int, int]] = []
        hop = max(1, n_times - window + 1 if n_times > window else n_times)
        for segment, length in enumerate(lengths):
            if length < n_times:
                continue
            n_trials = 1 + -(-(length - n_times) // hop)
            firsts = np.linspace(0, length - n_times, n_trials).round().astype(int)
            self.trials += [(segment, int(first)) for first in firsts]
        self.shape = (len(self.trials), len(scale), n_times)

    def read(self, trial: int, first: int, count: int) -> Array:
        segment, begin = self.trials[trial]
        at = (begin + first) * self._decim
        x = self._segments.read(segment, at, at + (count - 1) * self._decim + 1, self._decim)
        return np.ascontiguousarray((x - self._mean) / self._scale)


def _trial_length(lengths: list[int], window: int, shortest: int) -> int:
    """One trial where there is one span; otherwise the first of 2, 1, 1/2, ... windows by which at most a tenth of the samples is
    lost, of those in spans that hold an atom."""
    if len(set(lengths)) == 1:
        return lengths[0]
    usable = [length for length in lengths if length >= shortest]
    size = min(2 * window, max(usable))
    while size > shortest and sum(length for length in usable if length >= size) < 0.9 * sum(usable):
        size = max(shortest, size // 2)
    return size


class Recording:
    """Samples first to last of channels of a Raw, or of each of some Epochs, on the common scale."""

    def __init__(self, inst: Any, channels: list[int], first: int, last: int, mean: Array, scale: Array) -> None:
        self._inst, self.channels, self.first, self.n_times = inst, channels, first, last - first
        self._mean, self._scale = mean, scale
        self.is_raw = isinstance(inst, mne.io.BaseRaw)
        self.rate = float(inst.info["sfreq"])
        if not self.is_raw and not inst.preload:
            inst.drop_bad(verbose=False)

    def __len__(self) -> int:
        return 1 if self.is_raw else len(self._inst)

    def read(self, where: str, segment: int, begin: int, end: int, among: list[int] | None = None) -> Array:
        inside = slice(None) if among is None else among
        channels = np.array(self.channels)[inside]
        if self.is_raw:
            x = self._inst[channels, self.first + begin : self.first + end][0]
        else:
            x = _epoch(self._inst, segment)[channels, begin:end]
        names = [self._inst.ch_names[c] for c in channels]
        require_finite(where, x, names, begin, 1, ("", self.first) if self.is_raw else (f" of epoch {segment}", 0))
        return np.ascontiguousarray((x - self._mean[inside]) / self._scale[inside])

    def subtract(self, segment: int, begin: int, made: Array) -> None:
        end = begin + made.shape[1]
        if self.is_raw:
            piece = slice(self.first + begin, self.first + end)
            self._inst[self.channels, piece] = self._inst[self.channels, piece][0] - made
        else:
            self._inst._data[segment, self.channels, begin:end] -= made


def require_finite(where: str, x: Array, names: Sequence[str], first: int, step: int, place: tuple[str, int]) -> None:
    if np.isfinite(x).all():
        return
    channel, sample = np.argwhere(~np.isfinite(x))[0]
    of, offset = place
    raise ValueError(
        f"{where}: channel {one_line(names[channel])} is NaN or infinite at sample {offset + first + sample * step}{of}; expected "
        "finite numbers"
    )


def kind_of(where: str, inst: Any) -> str:
    if isinstance(inst, mne.io.BaseRaw):
        return "raw"
    if isinstance(inst, mne.BaseEpochs):
        return "epochs"
    raise TypeError(f"{where}: inst is {type(inst).__name__}, expected Raw or Epochs of MNE-Python")


def picked(where: str, inst: Any, picks: Any) -> list[int]:
    """As MNE reads `picks`: kinds mean good channels, names and numbers those that they name."""
    alone = mne.EvokedArray(np.zeros((len(inst.ch_names), 1)), inst.info.copy(), verbose=False)
    try:
        names = alone.pick("data" if picks is None else picks, exclude="bads", verbose=False).ch_names
    except ValueError as error:
        raise ValueError(f"{where}: picks = {shown(picks)}: {one_line(str(error), 200)}") from None
    kinds = dict(zip(inst.ch_names, inst.get_channel_types()))
    if picks is None:
        names = [name for name in names if kinds[name] != "ref_meg"]
    unfit = sorted({kinds[name] for name in names if kinds[name] in _NOT_DATA})
    if unfit:
        raise ValueError(f"{where}: picks hold channels of type {', '.join(unfit)}, which are no recordings")
    return [inst.ch_names.index(name) for name in names]


def range_of(where: str, raw: Any, start: Any, stop: Any) -> tuple[int, int]:
    found = []
    for name, value, default in (("start", start, 0), ("stop", stop, raw.n_times)):
        if value is None:
            found.append(default)
        elif isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            found.append(int(value))
        else:
            found.append(round(as_float(where, name, value) * raw.info["sfreq"]))
    first, last = max(0, found[0]), min(found[1], raw.n_times)
    if not first < last:
        raise ValueError(f"{where}: start = {shown(start)} and stop = {shown(stop)} leave nothing of {raw.n_times} samples")
    return first, last


def good_spans(raw: Any, first: int, last: int) -> list[tuple[int, int]]:
    """Between what is annotated as bad, and between the seams of recordings that were joined."""
    good = np.zeros(last - first, bool)
    for begin in range(first, last, PIECE):
        _, times = raw.get_data([0], begin, min(begin + PIECE, last), "omit", return_times=True, verbose=False)
        good[np.rint(times * raw.info["sfreq"]).astype(int) - first] = True
    cuts = np.array([], int)
    if any(re.match(_SEAM, str(text)) for text in raw.annotations.description):
        seams, _ = mne.events_from_annotations(raw, regexp=_SEAM, verbose=False)
        cuts = np.unique(seams[:, 0] - raw.first_samp)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(np.int8), [0]])))
    spans = []
    for begin, end in edges.reshape(-1, 2) + first:
        inside = cuts[(cuts > begin) & (cuts < end)]
        bounds = [int(begin), *map(int, inside), int(end)]
        spans += list(zip(bounds, bounds[1:]))
    return spans
