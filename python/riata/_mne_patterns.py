"""Patterns of MNE-Python's recordings; the public address is riata.mne.ConvolutionalDictionary."""

from __future__ import annotations

import base64
import copy
import html
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mne
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.linalg import solve_toeplitz
from scipy.signal import correlate, fftconvolve
from scipy.sparse import csc_matrix, hstack

from . import _riata
from ._arguments import Array, as_bool, as_float, as_int, as_path, as_text, one_line, shown
from ._mne_recordings import (
    PIECE,
    EpochSegments,
    Recording,
    Segments,
    Trials,
    good_spans,
    kind_of,
    picked,
    range_of,
    require_finite,
)
from ._results import History
from .convolution import conv_decode, conv_encode
from .patterns import learn_patterns, pattern_events

_NAME = "ConvolutionalDictionary"
_KIND = "riata.mne.ConvolutionalDictionary"
_HALO = 4  # atoms on either side of a piece that is encoded
_ORDERING = 50  # windows by which atoms are put in order


class ConvolutionalDictionary:
    """Patterns that recur in a recording, and when they do; used as mne.preprocessing.ICA is.

    A recording x is a sum of atoms, each a field over the channels that follows a course of some duration, and begins where its
    activation is not zero: x = sum_k d_k * z_k + noise. `fit` learns the atoms with `riata.learn_patterns`; `get_sources`,
    `apply`, `to_annotations` and the rest find the activations with `riata.conv_encode`, at the weight `reg_`, each to the duality
    gap `tol`.

    Channels are brought to one scale by the standard deviation of their type, as ICA does, so that nothing depends on units.
    Recordings are read in pieces, also those that are not loaded. Activations of long ones are found piece by piece, each with
    four atoms more on either side; the pieces depend on the recording's length alone, and so do the numbers. High-pass filter
    first: slow drifts are patterns too.

    Parameters
    ----------
    n_components : int
        Number of atoms.
    atom_duration : float
        In seconds.
    rank1 : bool
        Atoms are u v^T: a field of fixed shape with one course in time. Otherwise each channel has its own course, and
        `get_components` and `v_` are the nearest of rank one.
    reg : float or str
        Weight of the activations, a number on the common scale; "0.1max" is a tenth of the smallest weight at which a typical
        window has none, at the initial atoms. Where one artefact is far larger than what else is looked for, take less,
        "0.03max".
    method, n_layers, positive, batch_size, max_iter, max_time, random_state
        As in `riata.learn_patterns`.
    n_jobs : int, optional
        Threads; all cores by default. No result depends on it.
    tol : float
        Relative duality gap of the activations.
    fit_params : dict, optional
        Further arguments of `riata.learn_patterns`.

    Attributes
    ----------
    info : mne.Info
        Of the channels fitted.
    u_ : ndarray (n_components, n_channels)
        Fields on the common scale, of norm one.
    v_ : ndarray (n_components, n_times_atom)
        Courses, of norm one; their largest deflection is positive.
    atoms_ : ndarray (n_components, n_channels, n_times_atom)
        On the common scale, of norm one, in the order of the energy that they make.
    pre_whitener_ : ndarray (n_channels, 1)
        Unit of each channel: the standard deviation of the good samples of its type, about each channel's mean.
    mean_ : ndarray (n_channels, 1)
        Means of the channels, which are subtracted before.
    reg_ : float
        The weight as a number, on the common scale.
    history_, status_, n_iter_
        Of `riata.learn_patterns`.
    n_samples_ : int
        Good samples that it was fitted on.
    drop_inds_ : list of tuple
        Of each segment that `reject` or `flat` dropped, its first sample and the one after its last.
    exclude : list of int
        Atoms that `apply` removes.
    labels_ : dict
        What `find_bads_eog` and `find_bads_ecg` found.

    Examples
    --------
    >>> cdl = riata.mne.ConvolutionalDictionary(n_components=10, atom_duration=0.5, reg="0.05max")  # doctest: +SKIP
    >>> cdl.fit(raw)  # doctest: +SKIP
    >>> cdl.exclude, scores = cdl.find_bads_eog(raw)  # doctest: +SKIP
    >>> cdl.apply(raw)  # doctest: +SKIP
    """

    def __init__(
        self,
        n_components: int,
        atom_duration: float,
        *,
        rank1: bool = True,
        reg: Any = "0.1max",
        method: str = "online",
        n_layers: int = 30,
        positive: bool = True,
        batch_size: int | None = None,
        max_iter: int = 300,
        max_time: float | None = None,
        random_state: Any = 0,
        n_jobs: int | None = None,
        tol: float = 1e-4,
        fit_params: Mapping[str, Any] | None = None,
    ) -> None:
        self.n_components = as_int(_NAME, "n_components", n_components)
        self.atom_duration = as_float(_NAME, "atom_duration", atom_duration)
        if self.n_components < 1:
            raise ValueError(f"{_NAME}: n_components = {n_components}, must be >= 1")
        if not 0 < self.atom_duration < np.inf:
            raise ValueError(f"{_NAME}: atom_duration = {shown(atom_duration)}, must be > 0 and finite, in seconds")
        self.rank1, self.positive = as_bool(_NAME, "rank1", rank1), as_bool(_NAME, "positive", positive)
        self.reg, self.method, self.n_layers, self.batch_size = reg, method, n_layers, batch_size
        self.max_iter, self.max_time, self.random_state, self.n_jobs = max_iter, max_time, random_state, n_jobs
        self.tol = as_float(_NAME, "tol", tol)
        self.fit_params = dict(fit_params or {})
        self.info: Any = None
        self.current_fit = "unfitted"
        self.exclude: list[int] = []
        self.labels_: dict[str, list[int]] = {}

    # ---- learning

    def fit(
        self,
        inst: Any,
        picks: Any = None,
        start: float | None = None,
        stop: float | None = None,
        decim: int | None = None,
        reject: Mapping[str, float] | None = None,
        flat: Mapping[str, float] | None = None,
        tstep: float = 2.0,
        reject_by_annotation: bool = True,
        verbose: Any = None,
    ) -> ConvolutionalDictionary:
        """Learn the atoms of a recording, as `mne.preprocessing.ICA.fit` does.

        Samples in annotations that begin with "bad", segments beyond `reject` or `flat`, and seams between recordings that were
        joined lie in no window that is learned from: the good spans between them are cut into trials of one length, which
        overlap so that they cover their span. That is at most twice the ten atoms of a window, and less where spans are so short
        that a tenth of the good samples would be lost; a recording without any is one trial. Each epoch is a trial.

        Parameters
        ----------
        inst : mne.io.Raw or mne.Epochs
            Loaded or not.
        picks : str, list, slice or None
            Channels; the good data channels by default.
        start, stop : int, float or None
            First sample and the one after the last, of Raw; floats are seconds.
        decim : int, optional
            Learn from each decim-th sample. The data are not filtered, as for ICA: their low-pass must be lower. The atoms are then
            interpolated to the sampling rate of `inst`.
        reject, flat : dict, optional
            Largest and smallest peak-to-peak amplitudes by channel type, of segments of Raw.
        tstep : float
            Duration of these segments, in seconds.
        reject_by_annotation : bool
            Leave out what is annotated as bad.
        verbose : bool, str or int, optional
            As of MNE's functions.

        Returns
        -------
        ConvolutionalDictionary
            This object.
        """
        where = f"{_NAME}.fit"
        kind = kind_of(where, inst)
        decim = 1 if decim is None else as_int(where, "decim", decim)
        if decim < 1:
            raise ValueError(f"{where}: decim = {decim}, must be >= 1")
        channels = picked(where, inst, picks)
        info = mne.pick_info(inst.info, channels)
        with info._unlock():
            info["comps"] = []
        if np.isclose(info["highpass"], 0.0):
            warnings.warn(
                f"{where}: the data were not high-pass filtered, and slow drifts will be among the patterns; filter them first "
                "(inst.filter(1.0, None))",
                RuntimeWarning,
                stacklevel=2,
            )
        rate = float(info["sfreq"])
        n_times_atom = max(2, round((self.atom_duration * rate - 1) / decim) + 1)
        bad_spans = as_bool(where, "reject_by_annotation", reject_by_annotation)
        dropped: list[tuple[int, int]] = []
        if kind == "raw":
            first, last = range_of(where, inst, start, stop)
            spans = good_spans(inst, first, last) if bad_spans else [(first, last)]
            segments = Segments(inst, channels, spans)
            if reject or flat:
                length = max(1, round(as_float(where, "tstep", tstep) * rate))
                segments, dropped = segments.within(where, reject, flat, length)
        else:
            given = [
                name for name, value in zip(("start", "stop", "reject", "flat"), (start, stop, reject, flat)) if value is not None
            ]
            if given:
                warnings.warn(
                    f"{where}: {', '.join(given)} are of Raw, not of Epochs, and are ignored", RuntimeWarning, stacklevel=2
                )
            segments = EpochSegments(inst, channels)
        longest = max((-(-length // decim) for length in segments.lengths), default=0)
        if longest < n_times_atom:
            good = sum(segments.lengths) / rate
            raise ValueError(
                f"{where}: the longest good span has {longest} samples{f' at decim = {decim}' * (decim > 1)}, must have at least "
                f"{n_times_atom}, as atoms of {self.atom_duration:g} s have ({good:g} s are good)"
            )
        mean, scale, n_samples = segments.scales(where, info, decim)
        trials = Trials(segments, mean, scale, n_times_atom, decim, self.fit_params.get("n_times_window"))
        options = dict(
            rank_one=self.rank1, method=self.method, n_layers=self.n_layers, positive=self.positive, batch_size=self.batch_size,
            max_iter=self.max_iter, max_time=self.max_time, random_state=self.random_state, n_threads=_threads(self.n_jobs),
        )  # fmt: skip
        if "n_times_window" not in self.fit_params and trials.is_cut_short:
            options["n_times_window"] = trials.shape[2]
        with mne.use_log_level(verbose):
            mne.utils.logger.info(f"Learning {self.n_components} atoms of {len(channels)} channels, {n_samples} samples")
            # Of every decim-th sample, correlations with atoms of norm one are smaller by the square root of decim.
            reg = self.reg if isinstance(self.reg, str) else as_float(_NAME, "reg", self.reg) / np.sqrt(decim)
            result = learn_patterns(trials, self.n_components, n_times_atom, reg, **(options | self.fit_params))
        self._forget()
        self.info, self.current_fit = info, kind
        self.pre_whitener_, self.mean_ = scale, mean
        self.n_samples_, self.drop_inds_, self.reject_ = n_samples, dropped, copy.deepcopy(reject)
        self.history_, self.status_, self.n_iter_ = result.history, result.status, len(result.history.value)
        order = _by_energy(trials, (result.u, result.v) if self.rank1 else result.atoms, result.reg, self)
        if self.rank1:
            self._take((result.u[order], _interpolated(result.v[order], decim)), result.reg * np.sqrt(decim))
        else:
            self._take(_interpolated(result.atoms[order], decim), result.reg * np.sqrt(decim))
        return self

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_") and name != "labels_"]:
            delattr(self, name)
        self.exclude, self.labels_, self.current_fit = [], {}, "unfitted"

    def _take(self, dictionary: Any, reg: float) -> None:
        """Fields and courses of norm one, the largest deflection positive; or free atoms of norm one, and their nearest such."""
        self.reg_ = float(reg)
        if not self.rank1:
            atoms = np.ascontiguousarray(dictionary / np.linalg.norm(dictionary, axis=(1, 2), keepdims=True))
            self._put(*_nearest_of_rank_one(atoms), atoms)
            return
        u, v = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in dictionary)
        self._put(*_upright(u, v), None)

    def _put(self, u: Array, v: Array, atoms: Array | None) -> None:
        self.u_, self.v_, self.n_components_ = np.ascontiguousarray(u), np.ascontiguousarray(v), len(u)
        self.atoms_ = self.u_[:, :, np.newaxis] * self.v_[:, np.newaxis] if atoms is None else atoms

    # ---- what was learned

    @property
    def ch_names(self) -> list[str]:
        self._require_fit("ch_names")
        return list(self.info["ch_names"])

    @property
    def component_names(self) -> list[str]:
        """CDL000, CDL001, ..."""
        return [f"CDL{k:03d}" for k in range(getattr(self, "n_components_", 0))]

    @property
    def times(self) -> Array:
        """Of the samples of an atom, in seconds from its beginning."""
        self._require_fit("times")
        return np.arange(self.v_.shape[1]) / self.info["sfreq"]

    def get_components(self) -> Array:
        """The atoms' fields, in the units of the channels.

        Of rank one, an atom with activation one is the product of its field and its course `v_`.

        Returns
        -------
        ndarray (n_channels, n_components)
        """
        self._require_fit("get_components")
        return self.u_.T * self.pre_whitener_

    def get_patterns_in_time(self) -> Array:
        """The atoms themselves, in the units of the channels, as an activation of one makes them.

        Returns
        -------
        ndarray (n_components, n_channels, n_times_atom)
        """
        self._require_fit("get_patterns_in_time")
        return self.atoms_ * self.pre_whitener_

    def get_sources(
        self, inst: Any, add_channels: Sequence[str] | None = None, start: float | None = None, stop: float | None = None
    ) -> Any:
        """Activations, one channel per atom: CDL000, CDL001, ...

        An activation stands at the sample where its atom begins, and there are none in the last samples, where an atom would not
        fit in. They have no unit.

        Parameters
        ----------
        inst : mne.io.Raw or mne.Epochs
            With the channels and the sampling rate that were fitted.
        add_channels : list of str, optional
            Channels of `inst` to add.
        start, stop : int, float or None
            As in `fit`.

        Returns
        -------
        mne.io.RawArray or mne.EpochsArray
            As long as the input; channels of the atoms in `exclude` are marked as bad.
        """
        where = f"{_NAME}.get_sources"
        data = self._data_of(where, inst, start, stop)
        codes = np.zeros((len(data), self.n_components_, data.n_times))
        for segment in range(len(data)):
            z = self._codes(where, data, segment)
            codes[segment, :, : z.shape[1]] = z.toarray()
        added = [] if add_channels is None else list(add_channels)
        if added:
            picks = picked(where, inst, added)
            more = (
                inst.get_data(picks, data.first, data.first + data.n_times)[np.newaxis]
                if data.is_raw
                else inst.get_data(picks=picks)
            )
            codes = np.concatenate([codes, more], axis=1)
        info = mne.create_info(self.component_names, inst.info["sfreq"], "misc")
        if added:
            types = mne.pick_info(inst.info, picks).get_channel_types()
            info = mne.create_info(self.component_names + added, inst.info["sfreq"], ["misc"] * self.n_components_ + types)
        info["bads"] = [self.component_names[k] for k in self.exclude]
        if not data.is_raw:
            return mne.EpochsArray(
                codes, info, inst.events, inst.tmin, inst.event_id, metadata=inst.metadata, proj=False, verbose=False
            )
        out = mne.io.RawArray(codes[0], info, first_samp=inst.first_samp + data.first, verbose=False)
        out.set_meas_date(inst.info["meas_date"])
        annotations = inst.annotations.copy()
        if annotations.orig_time is None:  # then counted from the first sample where they are set
            annotations.onset -= out.first_time
        return out.set_annotations(annotations, emit_warning=False, verbose=False)

    def get_explained_variance_ratio(
        self, inst: Any, *, components: Any = None, ch_type: Any = None, start: float | None = None, stop: float | None = None
    ) -> dict[str, float]:
        """The share of the variance that atoms explain together, by channel type.

        1 - sum (x - x')^2 / sum x^2 over channels and samples, x' being what the atoms make and x the recording about the means of
        its channels over `inst`. It can be negative.

        Parameters
        ----------
        inst : mne.io.Raw or mne.Epochs
        components : int or list of int, optional
            All of them by default.
        ch_type : str or list of str, optional
            All of the types fitted by default.
        start, stop : int, float or None
            As in `fit`.

        Returns
        -------
        dict of float
        """
        where = f"{_NAME}.get_explained_variance_ratio"
        data = self._data_of(where, inst, start, stop)
        chosen = self._components(where, "components", components)
        types = np.array(self.info.get_channel_types())
        wanted = list(dict.fromkeys(types)) if ch_type is None else [ch_type] if isinstance(ch_type, str) else list(ch_type)
        for name in wanted:
            if name not in types:
                raise ValueError(f"{where}: ch_type = {shown(name)}, must be among those fitted: {', '.join(dict.fromkeys(types))}")
        n_channels = len(types)
        total, total2, left, left2, n = *np.zeros((4, n_channels)), 0
        for segment in range(len(data)):
            for begin, made in self._made(data, self._codes(where, data, segment), chosen):
                x = data.read(where, segment, begin, begin + made.shape[1])
                r = x - made
                n += x.shape[1]
                total, total2, left, left2 = total + x.sum(1), total2 + (x * x).sum(1), left + r.sum(1), left2 + (r * r).sum(1)
        variance, rest = total2 - total**2 / n, left2 - total**2 / n + 2 * total / n * (total - left)
        return {str(name): float(1 - rest[types == name].sum() / variance[types == name].sum()) for name in wanted}

    # ---- artefacts

    def find_bads_eog(
        self,
        inst: Any,
        ch_name: str | Sequence[str] | None = None,
        threshold: float = 0.4,
        start: float | None = None,
        stop: float | None = None,
        l_freq: float | None = 1,
        h_freq: float | None = 10,
        reject_by_annotation: bool = True,
        verbose: Any = None,
    ) -> tuple[list[int], Any]:
        """The atoms that come with eye movements and blinks.

        An atom's score is how well its activations alone tell the EOG channel, filtered to l_freq to h_freq: some course, of twice
        the atom's length and fitted by least squares on every other tenth of the recording, is put where the atom is active in
        the other tenths; and the score is the correlation of this with the channel, 1 at most. So the course in the EOG needs not
        be that in the atom, nor at the same time, and an atom that is active at other times scores about 0.

        Parameters
        ----------
        inst : mne.io.Raw or mne.Epochs
        ch_name : str or list of str, optional
            Channels to compare with, also EEG ones near the eyes; all of type "eog" by default.
        threshold : float
            Atoms with larger scores are found.
        start, stop
            As in `fit`.
        l_freq, h_freq : float or None
            Band of the channel, in Hz.
        reject_by_annotation : bool
            Leave out what is annotated as bad.
        verbose : bool, str or int, optional
            As of MNE's functions.

        Returns
        -------
        indices : list of int
            By decreasing score; also in labels_["eog"].
        scores : ndarray (n_components,), or a list of one for each channel
        """
        where = f"{_NAME}.find_bads_eog"
        self._require_fit("find_bads_eog")
        kind_of(where, inst)
        names = _channels_named(where, inst, ch_name, "eog")
        targets = {name: _target(inst, [inst.ch_names.index(name)]) for name in names}
        return self._find(where, "eog", inst, targets, threshold, start, stop, l_freq, h_freq, reject_by_annotation)

    def find_bads_ecg(
        self,
        inst: Any,
        ch_name: str | None = None,
        threshold: float = 0.4,
        start: float | None = None,
        stop: float | None = None,
        l_freq: float | None = 8,
        h_freq: float | None = 16,
        reject_by_annotation: bool = True,
        verbose: Any = None,
    ) -> tuple[list[int], Any]:
        """The atoms that come with heartbeats; their scores are those of `find_bads_eog`.

        Without an ECG channel, the mean of the good magnetometers, or else gradiometers, is compared with, as ICA does.

        Parameters
        ----------
        inst : mne.io.Raw or mne.Epochs
        ch_name : str, optional
            The channel to compare with; that of type "ecg" by default.
        threshold, start, stop, l_freq, h_freq, reject_by_annotation, verbose
            As in `find_bads_eog`.

        Returns
        -------
        indices : list of int
            By decreasing score; also in labels_["ecg"].
        scores : ndarray (n_components,)
        """
        where = f"{_NAME}.find_bads_ecg"
        self._require_fit("find_bads_ecg")
        kind_of(where, inst)
        kinds = np.array(inst.get_channel_types())
        magnetic = next((kind for kind in ("mag", "grad") if kind in kinds), None)
        if ch_name is None and "ecg" not in kinds and magnetic is not None:
            good = [c for c in np.flatnonzero(kinds == magnetic) if inst.ch_names[c] not in inst.info["bads"]]
            targets = {"ECG-MAG": _target(inst, good)}
        else:
            names = _channels_named(where, inst, ch_name, "ecg")[:1]
            targets = {name: _target(inst, [inst.ch_names.index(name)]) for name in names}
        return self._find(where, "ecg", inst, targets, threshold, start, stop, l_freq, h_freq, reject_by_annotation)

    def _find(
        self, where: str, prefix: str, inst: Any, targets: dict[str, Array], threshold: float, start: Any, stop: Any,
        l_freq: float | None, h_freq: float | None, reject_by_annotation: bool,
    ) -> tuple[list[int], Any]:  # fmt: skip
        threshold = as_float(where, "threshold", threshold)
        data = self._data_of(where, inst, start, stop)
        spans = [(segment, 0, data.n_times) for segment in range(len(data))]
        if data.is_raw and as_bool(where, "reject_by_annotation", reject_by_annotation):
            good = good_spans(inst, data.first, data.first + data.n_times)
            spans = [(0, begin - data.first, end - data.first) for begin, end in good]
        if not spans:
            raise ValueError(f"{where}: inst has no good samples to compare")
        codes = [self._codes(where, data, segment) for segment in range(len(data))]
        # About 100 samples per second tell events apart.
        step = max(1, int(data.rate // 100))
        length = -(-self.v_.shape[1] // step)
        scores = []
        for number, (name, target) in enumerate(targets.items()):
            target = target[:, data.first : data.first + data.n_times]
            for segment, begin, end in spans:
                place = ("", data.first) if data.is_raw else (f" of epoch {segment}", 0)
                require_finite(where, target[segment : segment + 1, begin:end], [name], begin, 1, place)
            y = _filtered(np.where(np.isfinite(target), target, 0.0), data.rate, l_freq, h_freq)
            score = np.zeros(self.n_components_)
            for k in range(self.n_components_):
                active = [np.pad(np.ravel(z[k].toarray()), (0, data.n_times - z.shape[1])) for z in codes]
                pairs = [(_binned(active[s][a:b], step), _binned(y[s, a:b], step)) for s, a, b in spans]
                score[k] = _predictability(pairs, length)
            scores.append(score)
            self.labels_[f"{prefix}/{number}/{name}"] = _above(score, threshold)
        found = _above(np.max(scores, axis=0), threshold)
        self.labels_[prefix] = found
        return list(found), scores[0] if len(scores) == 1 else scores

    def apply(
        self,
        inst: Any,
        include: Sequence[int] | None = None,
        exclude: Sequence[int] | None = None,
        start: float | None = None,
        stop: float | None = None,
        verbose: Any = None,
        *,
        min_amplitude: float | None = 0.3,
    ) -> Any:
        """Remove atoms from a recording, in place: what they make is subtracted, and what no atom explains stays.

        What they make is made of their events (see `to_annotations`); each is d_k * z_k of the activations within it, times the
        factor that is best by least squares on the recording without the other atoms, since the weight `reg_` shrinks activations.
        Small activations that make no event, by which an atom of an artefact also fits a bit of all else, are left in.

        Parameters
        ----------
        inst : mne.io.Raw or mne.Epochs
            Loaded.
        include : list of int, optional
            Keep these atoms and remove all others.
        exclude : list of int, optional
            Remove these atoms and those in the attribute `exclude`. Has no effect with `include`, as of ICA.
        start, stop : int, float or None
            As in `fit`.
        verbose : bool, str or int, optional
            As of MNE's functions.
        min_amplitude : float or None
            As of `riata.pattern_events`. With None, what is subtracted is sum_k d_k * z_k of all activations as they are.

        Returns
        -------
        mne.io.Raw or mne.Epochs
            `inst`.
        """
        where = f"{_NAME}.apply"
        data = self._data_of(where, inst, start, stop)
        if not inst.preload:
            raise RuntimeError(f"{where}: inst is not loaded and cannot be changed; call inst.load_data() first")
        if include is not None and len(np.atleast_1d(include)):
            removed = np.setdiff1d(np.arange(self.n_components_), self._components(where, "include", include))
        else:
            removed = np.sort(
                self._components(where, "exclude", [*self.exclude, *([] if exclude is None else np.atleast_1d(exclude))])
            )
        with mne.use_log_level(verbose):
            mne.utils.logger.info(f"Removing {len(removed)} atom{'' if len(removed) == 1 else 's'}")
        if not len(removed):
            return inst
        codes = [self._codes(where, data, segment) for segment in range(len(data))]
        if min_amplitude is not None:
            codes = self._refitted(where, data, codes, removed, as_float(where, "min_amplitude", min_amplitude))
        for segment in range(len(data)):
            for begin, made in self._made(data, codes[segment], removed):
                data.subtract(segment, begin, made * self.pre_whitener_)
        return inst

    def to_annotations(
        self,
        inst: Any,
        components: Any = None,
        *,
        min_amplitude: float = 0.3,
        start: float | None = None,
        stop: float | None = None,
    ) -> mne.Annotations:
        """The atoms' events: where each begins, for its duration, by its name.

        Parameters
        ----------
        inst : mne.io.Raw
        components : int or list of int, optional
            All of them by default.
        min_amplitude : float
            As of `riata.pattern_events`, which joins activations that make one event.
        start, stop : int, float or None
            As in `fit`.

        Returns
        -------
        mne.Annotations
            For inst.set_annotations(inst.annotations + these).
        """
        where = f"{_NAME}.to_annotations"
        if isinstance(inst, mne.BaseEpochs):
            raise TypeError(f"{where}: inst is {type(inst).__name__}, expected Raw: the time of epochs is no one line")
        data = self._data_of(where, inst, start, stop)
        chosen = self._components(where, "components", components)
        events = self._events(where, data, min_amplitude)
        peaks = self._peaks()
        onsets, names = [], []
        for k in chosen:
            onsets += list((events[k].sample - peaks[k] + data.first) / data.rate)
            names += [self.component_names[k]] * len(events[k].sample)
        onset = np.array(onsets, float)
        # Times are counted from the recording's first sample where no date is known, from the date elsewhere.
        if inst.info["meas_date"] is not None:
            onset = onset + inst.first_time
        return mne.Annotations(onset, self.v_.shape[1] / data.rate, names, orig_time=inst.info["meas_date"])

    # ---- pictures

    def plot_components(self, picks: Any = None, ch_type: str | None = None, *, title: str | None = None, show: bool = True) -> Any:
        """The atoms: field over the head, and course in time.

        Parameters
        ----------
        picks : int or list of int, optional
            Atoms; all by default.
        ch_type : str, optional
            Of the field; the first of those fitted by default. Without sensor positions the field is drawn channel by channel.
        title : str, optional
            Above the figure.
        show : bool
            Show it.

        Returns
        -------
        matplotlib.figure.Figure
        """
        where = f"{_NAME}.plot_components"
        self._require_fit("plot_components")
        import matplotlib.pyplot as plt

        chosen = self._components(where, "picks", picks)
        n_rows = -(-len(chosen) // 5)
        n_columns = -(-len(chosen) // n_rows)
        figure, axes = plt.subplots(
            2 * n_rows, n_columns, figsize=(2.2 * n_columns, 3.0 * n_rows), squeeze=False, layout="constrained",
            gridspec_kw=dict(height_ratios=[2.2, 1] * n_rows),
        )  # fmt: skip
        for ax in axes.flat:
            ax.set_axis_off()
        for place, k in enumerate(chosen):
            row, column = divmod(place, n_columns)
            self._draw_field(where, axes[2 * row, column], k, ch_type)
            axes[2 * row, column].set_title(self._title_of(k), fontsize="medium")
            self._draw_course(axes[2 * row + 1, column], k, row == n_rows - 1)
        if title:
            figure.suptitle(title)
        _show(show)
        return figure

    def plot_sources(
        self, inst: Any, picks: Any = None, start: float | None = None, stop: float | None = None, *, title: str | None = None,
        show: bool = True,
    ) -> Any:  # fmt: skip
        """Activations in time, one row per atom; of Epochs, all epochs in one row.

        Parameters
        ----------
        inst : mne.io.Raw or mne.Epochs
        picks : int or list of int, optional
            Atoms; all by default.
        start, stop : int, float or None
            As in `fit`. For a window to scroll in: get_sources(inst).plot().
        title : str, optional
            Above the figure.
        show : bool
            Show it.

        Returns
        -------
        matplotlib.figure.Figure
        """
        where = f"{_NAME}.plot_sources"
        data = self._data_of(where, inst, start, stop)
        import matplotlib.pyplot as plt

        chosen = self._components(where, "picks", picks)
        codes = hstack([self._codes(where, data, s, pad=True) for s in range(len(data))], "csr")
        figure, axes = plt.subplots(
            len(chosen), 1, figsize=(9, 0.5 * len(chosen) + 1), sharex=True, squeeze=False, layout="constrained"
        )
        for ax, k in zip(axes[:, 0], chosen):
            at, size = codes[k].indices, codes[k].data
            ax.vlines((data.first + at) / data.rate, 0, size, color="tab:red" if k in self.exclude else "tab:blue", linewidth=1)
            ax.axhline(0, color="0.7", linewidth=0.5, zorder=0)
            ax.set_ylabel(self.component_names[k], rotation=0, ha="right", va="center")
            ax.set_yticks([])
            ax.spines[["top", "right", "left"]].set_visible(False)
        axes[-1, 0].set_xlim(data.first / data.rate, (data.first + len(data) * data.n_times) / data.rate)
        axes[-1, 0].set_xlabel("time in s" if data.is_raw else "epochs, one after the other, in s")
        figure.suptitle("Activations" if title is None else title)
        _show(show)
        return figure

    def plot_properties(
        self, inst: Any, picks: Any = None, start: float | None = None, stop: float | None = None, *, ch_type: str | None = None,
        show: bool = True,
    ) -> list[Any]:  # fmt: skip
        """Of each atom its field, its course, the recording around its events, their sizes, and the time between them.

        Parameters
        ----------
        inst : mne.io.Raw or mne.Epochs
        picks : int or list of int, optional
            Atoms; the first five by default.
        start, stop : int, float or None
            As in `fit`.
        ch_type : str, optional
            As of `plot_components`.
        show : bool
            Show them.

        Returns
        -------
        list of matplotlib.figure.Figure
        """
        where = f"{_NAME}.plot_properties"
        data = self._data_of(where, inst, start, stop)
        import matplotlib.pyplot as plt

        chosen = self._components(where, "picks", range(min(5, self.n_components_)) if picks is None else picks)
        events = self._events(where, data, 0.3)
        figures = []
        for k in chosen:
            figure, axes = plt.subplot_mosaic(
                [["field", "course", "course"], ["field", "around", "around"], ["between", "size", "size"]],
                figsize=(9, 6), layout="constrained",
            )  # fmt: skip
            figure.suptitle(f"{self._title_of(k)}: {len(events[k].sample)} events")
            self._draw_field(where, axes["field"], k, ch_type)
            self._draw_course(axes["course"], k, True)
            axes["course"].set_title("course of the atom", fontsize="medium")
            self._draw_around(where, axes["around"], data, k, events[k])
            segment, sample, size = events[k]
            axes["size"].plot((data.first + segment * data.n_times + sample) / data.rate, size, ".", markersize=4)
            axes["size"].axhline(0, color="0.7", linewidth=0.5)
            axes["size"].set(xlabel="time in s")
            axes["size"].set_title("size of the events", fontsize="medium")
            gaps = np.diff(sample)[np.diff(segment) == 0]
            if len(gaps):
                axes["between"].hist(gaps / data.rate, bins=20)
            axes["between"].set(xlabel="time between events in s", yticks=[])
            figures.append(figure)
        _show(show)
        return figures

    def _draw_field(self, where: str, ax: Any, k: int, ch_type: str | None) -> None:
        types = np.array(self.info.get_channel_types())
        kind = types[0] if ch_type is None else ch_type
        inside = np.flatnonzero(types == kind)
        if not len(inside):
            raise ValueError(f"{where}: ch_type = {shown(ch_type)}, must be among those fitted: {', '.join(dict.fromkeys(types))}")
        values = self.get_components()[inside, k]
        part = mne.pick_info(self.info, inside)
        placed = all(np.isfinite(c["loc"][:3]).all() and np.any(c["loc"][:3]) for c in part["chs"])
        if placed and len(inside) >= 4 and kind in ("eeg", "mag", "grad", "planar1", "planar2", "hbo", "hbr"):
            mne.viz.plot_topomap(values, part, axes=ax, show=False, sensors=len(inside) <= 128)
        else:
            ax.set_axis_on()
            ax.stem(values, basefmt="0.7")
            ax.set(xticks=range(len(values)) if len(values) <= 8 else [], yticks=[])
            if len(values) <= 8:
                ax.set_xticklabels(part["ch_names"], rotation=90, fontsize="small")

    def _draw_course(self, ax: Any, k: int, labelled: bool) -> None:
        ax.set_axis_on()
        ax.axhline(0, color="0.7", linewidth=0.5)
        ax.plot(self.times, self.v_[k], color="tab:red" if k in self.exclude else "tab:blue")
        ax.set(yticks=[], xlim=(0, self.times[-1]))
        ax.spines[["top", "right", "left"]].set_visible(False)
        if labelled:
            ax.set_xlabel("time in s")

    def _draw_around(self, where: str, ax: Any, data: Recording, k: int, events: _Events) -> None:
        """The atom's strongest channel, on average over events, and half of them about it."""
        channel = int(np.argmax(np.abs(self.u_[k])))
        half = self.v_.shape[1]
        pieces = [
            (data.read(where, s, t - half, t + half + 1, [channel])[0] + self.mean_[channel, 0] / self.pre_whitener_[channel, 0])
            for s, t in _some(list(zip(events.segment, events.sample)), 200)
            if half <= t < data.n_times - half
        ]
        unit = {"eeg": (1e6, "µV"), "mag": (1e15, "fT"), "grad": (1e13, "fT/cm")}
        factor, name = unit.get(self.info.get_channel_types()[channel], (1.0, "SI"))
        if pieces:
            stack = factor * self.pre_whitener_[channel, 0] * np.array(pieces)
            around = np.arange(-half, half + 1) / data.rate
            low, high = np.percentile(stack, [25, 75], axis=0)
            ax.fill_between(around, low, high, alpha=0.3, linewidth=0)
            ax.plot(around, stack.mean(0))
        ax.axvline(0, color="0.7", linewidth=0.5)
        ax.set(xlabel="time from the event in s", ylabel=name)
        ax.set_title(f"{self.info['ch_names'][channel]} around events: mean and quartiles", fontsize="medium")

    def _title_of(self, k: int) -> str:
        kinds = [name for name, found in self.labels_.items() if "/" not in name and k in found]
        kinds += ["excluded"] * (k in self.exclude)
        return self.component_names[k] + (f" ({', '.join(kinds)})" if kinds else "")

    def add_to_report(
        self, report: Any, inst: Any, title: str = "Convolutional dictionary", *, picks: Any = None,
        tags: Sequence[str] = ("cdl",), replace: bool = False,
    ) -> Any:  # fmt: skip
        """A section of a mne.Report: summary, atoms, activations, and the properties of each atom.

        Parameters
        ----------
        report : mne.Report
        inst : mne.io.Raw, mne.Epochs or None
            With None the summary and the atoms alone.
        title : str
            Of the section.
        picks : int or list of int, optional
            Atoms; all by default.
        tags, replace
            As of mne.Report's methods.

        Returns
        -------
        mne.Report
            `report`.
        """
        where = f"{_NAME}.add_to_report"
        self._require_fit("add_to_report")
        import matplotlib.pyplot as plt

        chosen = [int(k) for k in self._components(where, "picks", picks)]
        options: dict[str, Any] = dict(tags=tuple(tags), section=title, replace=as_bool(where, "replace", replace))
        report.add_html(self._repr_html_(), "Summary", **options)
        figures = [self.plot_components(chosen, show=False)]
        report.add_figure(figures[0], "Atoms", caption="Field over the head, and course in time.", **options)
        if inst is not None:
            figures.append(self.plot_sources(inst, chosen, title="", show=False))
            report.add_figure(figures[-1], "Activations", caption="Where the atoms begin.", **options)
            each = self.plot_properties(inst, chosen, show=False)
            figures += each
            captions = [self._title_of(k) for k in chosen]
            report.add_figure(each if len(each) > 1 else each[0], "Atoms and their events",
                              caption=captions if len(each) > 1 else captions[0], **options)  # fmt: skip
        for figure in figures:
            plt.close(figure)
        return report

    # ---- files

    def save(self, fname: Any, *, overwrite: bool = False, verbose: Any = None) -> ConvolutionalDictionary:
        """Write everything to one file, for `read_convolutional_dictionary`.

        It is a file of patterns, as `riata info` reads it; they are on the common scale, and the channels' units are beside them.

        Parameters
        ----------
        fname : path-like
            By custom it ends with -cdl.safetensors.
        overwrite : bool
            Replace a file that is there; otherwise that is refused.
        verbose : bool, str or int, optional
            As of MNE's functions.

        Returns
        -------
        ConvolutionalDictionary
            This object.
        """
        self._require_fit("save")
        where = f"{_NAME}.save"
        path = _path(where, fname)
        if path.exists() and not as_bool(where, "overwrite", overwrite):
            raise FileExistsError(f"{where}: {one_line(str(path), 200)} is there already; to replace it pass overwrite=True")
        fields = {name: getattr(self, name) for name in _SAVED}
        fields |= {name: np.asarray(getattr(self, name)).ravel().tolist() for name in ("pre_whitener_", "mean_")}
        fields["fit_params"] = {key: value for key, value in self.fit_params.items() if isinstance(value, (bool, int, float, str))}
        fields["labels_"] = {name: [int(k) for k in found] for name, found in self.labels_.items()}
        fields["random_state"] = self.random_state if isinstance(self.random_state, (int, type(None))) else 0
        fields["exclude"] = [int(k) for k in self.exclude]
        fields["history"] = {name: np.asarray(value).tolist() for name, value in vars(self.history_).items() if np.ndim(value) == 1}
        metadata = {
            "rate": repr(float(self.info["sfreq"])),
            "channel_names": json.dumps(self.info["ch_names"]),
            "unit": "pre-whitened",
            "reg": repr(self.reg_),
            "positive": "true" if self.positive else "false",
            "writer": _KIND,
            "fields": json.dumps(fields, default=_plain),
            "mne_info": _packed(self.info),
        }
        _save_patterns(path, (self.u_, self.v_) if self.rank1 else self.atoms_, metadata)
        return self

    def copy(self) -> ConvolutionalDictionary:
        """One that changes independently."""
        return copy.deepcopy(self)

    # ---- how it looks

    def _summary(self) -> list[tuple[str, str]]:
        rows = [
            ("Method", f"{self.method}, atoms of rank one" if self.rank1 else f"{self.method}, free atoms"),
            ("Atoms", f"{self.n_components} of {self.atom_duration:g} s"),
            ("Weight of activations", f"{self.reg}"),
        ]
        if self.current_fit == "unfitted":
            return [("Fit", "no"), *rows]
        types = self.info.get_channel_types()
        kinds = ", ".join(f"{types.count(kind)} {kind}" for kind in dict.fromkeys(types))
        rows[2] = ("Weight of activations", f"{self.reg} = {self.reg_:.4g}" if isinstance(self.reg, str) else f"{self.reg_:.4g}")
        fit = f"{self.n_iter_} iterations on {'raw data' if self.current_fit == 'raw' else 'epochs'} ({self.n_samples_} samples)"
        rows = [("Fit", fit + ("" if self.status_ != "interrupted" else ", interrupted")), *rows, ("Channels", kinds)]
        rows.append(("Marked for exclusion", ", ".join(self.component_names[k] for k in self.exclude) or "none"))
        return rows

    def __repr__(self) -> str:
        return f"<{_NAME} | " + ", ".join(f"{name.lower()}: {value}" for name, value in self._summary()) + ">"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in self._summary())
        return f'<table class="table table-hover table-striped table-sm"><tbody>{rows}</tbody></table>'

    # ---- within

    def _require_fit(self, method: str) -> None:
        if self.current_fit == "unfitted":
            raise RuntimeError(f"{_NAME}.{method}: nothing was learned yet; call fit first")

    def _components(self, where: str, name: str, given: Any) -> Array:
        """Each once, in the order given."""
        if given is None:
            return np.arange(self.n_components_)
        chosen = []
        try:
            entries = [given] if np.ndim(given) == 0 else list(given)
        except Exception:
            raise TypeError(f"{where}: {name} = {shown(given)}, must be atoms as integers") from None
        for entry in entries:
            k = as_int(where, name, entry)
            if not 0 <= k < self.n_components_:
                raise ValueError(f"{where}: {name} holds {k}, must be >= 0 and < {self.n_components_}, as atoms are")
            chosen.append(k)
        return np.array(list(dict.fromkeys(chosen)), int)

    def _data_of(self, where: str, inst: Any, start: Any, stop: Any) -> Recording:
        self._require_fit(where.rpartition(".")[2])
        kind = kind_of(where, inst)
        missing = [name for name in self.info["ch_names"] if name not in inst.ch_names]
        if missing:
            some = ", ".join(one_line(name) for name in missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise ValueError(f"{where}: inst lacks {len(missing)} of the {len(self.info['ch_names'])} channels fitted: {some}")
        channels = [inst.ch_names.index(name) for name in self.info["ch_names"]]
        types = mne.pick_info(inst.info, channels).get_channel_types()
        for name, ours, theirs in zip(self.info["ch_names"], self.info.get_channel_types(), types):
            if ours != theirs:
                raise ValueError(f"{where}: channel {one_line(name)} is of type '{theirs}' in inst, it was '{ours}' when fitted")
        rate, fitted = float(inst.info["sfreq"]), float(self.info["sfreq"])
        if abs(rate - fitted) > 1e-6 * fitted:
            raise ValueError(f"{where}: inst has {rate:g} samples per second, the atoms have {fitted:g}; resample it first")
        first, last = range_of(where, inst, start, stop) if kind == "raw" else (0, len(inst.times))
        if last - first < self.v_.shape[1]:
            raise ValueError(f"{where}: inst has {last - first} samples, must have at least {self.v_.shape[1]}, as atoms have")
        return Recording(inst, channels, first, last, self.mean_, self.pre_whitener_)

    def _dictionary(self) -> Any:
        return (self.u_, self.v_) if self.rank1 else self.atoms_

    def _codes(self, where: str, data: Recording, segment: int, pad: bool = False) -> csc_matrix:
        """Activations (n_components, n_positions), sparse; with `pad` as long as the data."""
        L, n = self.v_.shape[1], data.n_times
        n_positions = n - L + 1
        core = max(20 * L, min(100 * L, PIECE // len(data.channels)))
        found = []
        for begin in range(0, n_positions, core):
            end = min(begin + core, n_positions)
            low, high = max(0, begin - _HALO * L), min(n_positions, end + _HALO * L)
            x = data.read(where, segment, low, high + L - 1)
            result = conv_encode(
                x[np.newaxis],
                self._dictionary(),
                self.reg_,
                self.positive,
                tol=self.tol,
                output="csr",
                n_threads=_threads(self.n_jobs),
            )
            found.append(csc_matrix(result.codes)[:, begin - low : end - low])
        if pad:
            found.append(csc_matrix((self.n_components_, L - 1)))
        return csc_matrix(hstack(found))

    def _made(self, data: Recording, codes: csc_matrix, chosen: Array) -> Iterator[tuple[int, Array]]:
        """What these atoms make, on the common scale: the first sample of a piece, and the piece (n_channels, n_times)."""
        size = max(self.v_.shape[1], PIECE // len(data.channels))
        for begin in range(0, data.n_times, size):
            end = min(begin + size, data.n_times)
            yield begin, self._sum(codes, chosen, begin, end)

    def _sum(self, codes: csc_matrix, chosen: Array, begin: int, end: int) -> Array:
        """What these atoms make in samples begin to end."""
        low, high = max(0, begin - self.v_.shape[1] + 1), min(codes.shape[1], end)
        if not len(chosen) or not codes[:, low:high].nnz:
            return np.zeros((len(self.u_[0]), end - begin))
        z = np.ascontiguousarray(codes[:, low:high].toarray()[chosen])
        made = conv_decode(z[np.newaxis], _only(self._dictionary(), chosen))[0]
        whole = np.zeros((len(made), end - begin))
        part = made[:, begin - low : end - low]
        whole[:, : part.shape[1]] = part
        return whole

    def _refitted(
        self, where: str, data: Recording, codes: list[csc_matrix], chosen: Array, min_amplitude: float
    ) -> list[csc_matrix]:
        """Activations of these atoms within events, each event times its factor."""
        events, peaks, L = self._events_of(codes, min_amplitude), self._peaks(), self.v_.shape[1]
        others = np.setdiff1d(np.arange(self.n_components_), chosen)
        size = max(20 * L, PIECE // len(data.channels))
        refitted = []
        for segment, z in enumerate(codes):
            rows = z.tocsr()
            groups: list[tuple[int, Array, Array]] = []  # atom, positions and activations of an event
            for k in chosen:
                at, values = rows[k].indices, rows[k].data
                order = np.argsort(at)
                at, values = at[order], values[order]
                centres = events[k].sample[events[k].segment == segment] - peaks[k]
                if not len(centres) or not len(at):
                    continue
                right = (
                    np.clip(np.searchsorted(centres, at), 1, max(1, len(centres) - 1))
                    if len(centres) > 1
                    else np.ones(len(at), int)
                )
                nearest = np.minimum(right, len(centres) - 1)
                nearest = np.where(np.abs(at - centres[right - 1]) <= np.abs(at - centres[nearest]), right - 1, nearest)
                inside = np.abs(at - centres[nearest]) <= self._width(k)
                for event in np.unique(nearest[inside]):
                    of = inside & (nearest == event)
                    groups.append((int(k), at[of], values[of]))
            groups.sort(key=lambda group: (group[1][0], group[0]))
            first = np.array([group[1][0] for group in groups])
            new_rows, new_columns, new_values = [], [], []
            for begin in range(0, data.n_times, size):
                inside = np.flatnonzero((first >= begin) & (first < begin + size)) if len(groups) else []
                if not len(inside):
                    continue
                low, high = begin, min(data.n_times, begin + size + 3 * L)
                left = data.read(where, segment, low, high) - self._sum(z, others, low, high)
                made = []
                for g in inside:
                    k, at, values = groups[g]
                    patch = np.zeros((1, 1, at[-1] - at[0] + 1))
                    patch[0, 0, at - at[0]] = values
                    made.append((at[0] - low, conv_decode(patch, _only(self._dictionary(), [k]))[0]))
                factors = _factors(left, made)
                for g, factor in zip(inside, factors):
                    k, at, values = groups[g]
                    new_rows += [k] * len(at)
                    new_columns += list(at)
                    new_values += list(factor * values)
            refitted.append(csc_matrix((new_values, (new_rows, new_columns)), shape=z.shape))
        return refitted

    def _width(self, k: int) -> int:
        """Samples to which the atom's autocorrelation stays at a half or more: no more than one event."""
        spectrum = np.abs(np.fft.rfft(self.atoms_[k], 2 * self.v_.shape[1], axis=1)) ** 2
        own = np.fft.irfft(spectrum.sum(axis=0))[: self.v_.shape[1]]
        below = np.flatnonzero(own < 0.5 * own[0])
        return int(below[0]) - 1 if len(below) else len(own) - 1

    def _peaks(self) -> Array:
        """Of each atom the sample where it has most energy."""
        return np.argmax(np.sum(self.atoms_**2, axis=1), axis=1)

    def _events(self, where: str, data: Recording, min_amplitude: float) -> list[_Events]:
        return self._events_of([self._codes(where, data, s) for s in range(len(data))], min_amplitude)

    def _events_of(self, codes: list[csc_matrix], min_amplitude: float) -> list[_Events]:
        dense = np.stack([z.toarray() for z in codes])
        found, sizes = pattern_events(dense, self._dictionary(), min_amplitude, return_amplitudes=True)
        return [_Events(*(np.zeros_like(at), at) if at.ndim == 1 else at.T, size) for at, size in zip(found, sizes)]


class _Events(NamedTuple):
    """Of one atom, in the order of time."""

    segment: Array
    sample: Array  # of the peak
    size: Array


_SAVED = (
    "n_components", "atom_duration", "rank1", "reg", "method", "n_layers", "positive", "batch_size", "max_iter", "max_time",
    "n_jobs", "tol", "current_fit", "reg_", "n_samples_", "drop_inds_", "reject_", "status_", "n_iter_",
)  # fmt: skip


def read_convolutional_dictionary(fname: Any, verbose: Any = None) -> ConvolutionalDictionary:
    """What ConvolutionalDictionary.save has written.

    Parameters
    ----------
    fname : path-like
    verbose : bool, str or int, optional
        As of MNE's functions.

    Returns
    -------
    ConvolutionalDictionary
    """
    where = "read_convolutional_dictionary"
    path = _path(where, fname)
    stored = _load_patterns(path)
    metadata = stored["metadata"]
    if metadata.get("writer") != _KIND:
        raise ValueError(f"{where}: {one_line(str(path), 200)} holds patterns, but not those of a {_KIND}")
    try:
        fields = json.loads(metadata["fields"])
        model = ConvolutionalDictionary(fields["n_components"], fields["atom_duration"])
        for name in _SAVED:
            setattr(model, name, fields[name])
        model.random_state = fields["random_state"]
        model.fit_params, model.exclude, model.labels_ = fields["fit_params"], fields["exclude"], fields["labels_"]
        model.drop_inds_ = [tuple(span) for span in fields["drop_inds_"]]
        model.info = _unpacked(metadata["mne_info"])
        model.pre_whitener_, model.mean_ = (np.array(fields[name], float)[:, np.newaxis] for name in ("pre_whitener_", "mean_"))
        model.history_ = History(**{name: np.array(value) for name, value in fields["history"].items()})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: {one_line(str(path), 200)} is damaged: {one_line(repr(error), 200)}") from None
    n_channels = len(model.info["ch_names"])
    if len(model.pre_whitener_) != n_channels or len(model.mean_) != n_channels or stored["n_channels"] != n_channels:
        raise ValueError(f"{where}: {one_line(str(path), 200)} is damaged: its parts are of different numbers of channels")
    if model.rank1:
        model._put(stored["u"], stored["v"], None)
    else:
        atoms = np.ascontiguousarray(stored["atoms"].reshape(len(stored["atoms"]), n_channels, -1))
        model._put(*_nearest_of_rank_one(atoms), atoms)
    return model


# ---- numbers


def _threads(n_jobs: Any) -> int | None:
    """-1 and None are all cores, -2 all but one."""
    number = -1 if n_jobs is None else as_int(_NAME, "n_jobs", n_jobs)
    if number == 0:
        raise ValueError(f"{_NAME}: n_jobs = 0, must be >= 1, negative or None")
    if number == -1:
        return None
    return number if number > 0 else max(1, len(os.sched_getaffinity(0)) + 1 + number)


def _nearest_of_rank_one(atoms: Array) -> tuple[Array, Array]:
    left, _, right = np.linalg.svd(atoms, full_matrices=False)
    return _upright(left[:, :, 0], right[:, 0])


def _upright(u: Array, v: Array) -> tuple[Array, Array]:
    sign = np.sign(v[np.arange(len(v)), np.argmax(np.abs(v), axis=1)])[:, np.newaxis]
    return u * sign, v * sign


def _interpolated(atoms: Array, decim: int) -> Array:
    if decim == 1:
        return atoms
    n_times = atoms.shape[-1]
    fine = np.arange((n_times - 1) * decim + 1)
    return CubicSpline(decim * np.arange(n_times), atoms, axis=-1)(fine)


def _by_energy(trials: Trials, dictionary: Any, reg: float, model: ConvolutionalDictionary) -> Array:
    """Atoms by what they make in some windows, most first."""
    length = min(trials.shape[2], 20 * (dictionary[1] if isinstance(dictionary, tuple) else dictionary).shape[-1])
    places = [(trial, first) for trial in range(trials.shape[0]) for first in range(0, trials.shape[2] - length + 1, length)]
    energy: Any = 0.0
    for trial, first in _some(places, _ORDERING):
        x = trials.read(trial, first, length)[np.newaxis]
        codes = conv_encode(x, dictionary, reg, model.positive, tol=1e-3, n_threads=_threads(model.n_jobs)).codes
        alone = codes[0][:, np.newaxis]
        parts = [_only(dictionary, [k]) for k in range(len(alone))]
        energy = energy + np.array([np.sum(conv_decode(z[np.newaxis], part) ** 2) for z, part in zip(alone, parts)])
    return np.argsort(-energy, kind="stable")


def _only(dictionary: Any, chosen: Any) -> Any:
    return tuple(part[chosen] for part in dictionary) if isinstance(dictionary, tuple) else dictionary[chosen]


def _factors(x: Array, made: list[tuple[int, Array]]) -> Array:
    """Of what begins at samples of x, the factors >= 0 that are best by least squares, up to overlaps, in three rounds."""
    left, factors = x.copy(), np.zeros(len(made))
    for _ in range(3):
        for event, (begin, part) in enumerate(made):
            piece = left[:, begin : begin + part.shape[1]]
            change = max(-factors[event], float(np.sum(piece * part)) / float(np.sum(part * part)))
            piece -= change * part
            factors[event] += change
    return factors


def _some(entries: list[Any], most: int) -> list[Any]:
    """At most so many, evenly spread."""
    if len(entries) <= most:
        return entries
    return [entries[i] for i in np.linspace(0, len(entries) - 1, most).round().astype(int)]


# ---- comparison with channels


def _channels_named(where: str, inst: Any, given: Any, kind: str) -> list[str]:
    if given is None:
        names = [name for name, of in zip(inst.ch_names, inst.get_channel_types()) if of == kind]
        if not names:
            raise ValueError(f"{where}: inst has no channel of type '{kind}'; name one to compare with (ch_name)")
        return names
    names = [given] if isinstance(given, str) else list(given)
    for name in names:
        if as_text(where, "ch_name", name) not in inst.ch_names:
            raise ValueError(f"{where}: ch_name = {shown(name)} is no channel of inst")
    return names


def _target(inst: Any, channels: list[int]) -> Array:
    """The mean of channels: of Raw (1, n_times), of Epochs (n_epochs, n_times)."""
    if not isinstance(inst, mne.io.BaseRaw):
        return inst.get_data(picks=channels).mean(axis=1)
    size = PIECE // len(channels)
    return np.concatenate(
        [inst[channels, begin : begin + size][0].mean(axis=0, keepdims=True) for begin in range(0, inst.n_times, size)], axis=1
    )


def _filtered(y: Array, rate: float, low: float | None, high: float | None) -> Array:
    high = None if high is not None and high >= rate / 2 else high
    if low is None and high is None:
        return y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of filters longer than short data
        return mne.filter.filter_data(np.array(y, float), rate, low, high, verbose=False)


def _binned(x: Array, step: int) -> Array:
    """Sums of `step` samples."""
    n = len(x) // step * step
    return x[:n].reshape(-1, step).sum(axis=1)


def _predictability(pairs: list[tuple[Array, Array]], length: int) -> float:
    """The correlation of y with w * z, w of 2 `length` samples being fitted where it is not compared.

    Spans are laid behind each other with zeros between them, and each in tenths.
    """
    lags = 2 * length
    lead = length // 2  # w begins before the activation
    z = np.concatenate([np.pad(a, (lags, lags)) for a, _ in pairs])
    y = np.concatenate([np.pad(b - b.mean() if len(b) else b, (lags, lags)) for _, b in pairs])
    inside = np.concatenate([np.pad(np.ones(len(a), bool), (lags, lags)) for a, _ in pairs])
    half = (np.cumsum(inside) - 1) * 10 // max(1, inside.sum()) % 2
    predicted = np.zeros(len(y))
    for train in (0, 1):
        a, b = z * (half == train), y * (half == train)
        if not a.any():
            continue
        mid = len(a) - 1
        own = correlate(a, a, method="fft")[mid : mid + lags]
        other = correlate(b, a, method="fft")[mid - lead : mid - lead + lags]
        own[0] *= 1.01
        w = solve_toeplitz(own, other)
        made = fftconvolve(z, w)[lead : lead + len(z)]
        predicted[half != train] = made[half != train]
    p, q = predicted[inside], y[inside]
    p, q = p - p.mean(), q - q.mean()
    scale = np.linalg.norm(p) * np.linalg.norm(q)
    return float(p @ q / scale) if scale > 0 else 0.0


def _above(scores: Array, threshold: float) -> list[int]:
    order = np.argsort(-scores, kind="stable")
    return [int(k) for k in order if scores[k] > threshold]


# ---- files and figures


def _path(where: str, fname: Any) -> Path:
    return Path(os.fsdecode(as_path(where, "fname", fname)))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


def _packed(info: Any) -> str:
    """MNE's own record of the channels, as text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "channels-info.fif"
        mne.io.write_info(path, info, verbose=False)
        return base64.b64encode(path.read_bytes()).decode()


def _unpacked(text: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "channels-info.fif"
        path.write_bytes(base64.b64decode(text, validate=True))
        return mne.io.read_info(path, verbose=False)


def _save_patterns(path: Path, dictionary: Any, metadata: dict[str, str]) -> None:
    if isinstance(dictionary, tuple):
        u, v = dictionary
        _riata.save_patterns(os.fsencode(path), u, v, None, u.shape[1], metadata)
    else:
        _riata.save_patterns(os.fsencode(path), None, dictionary.reshape(len(dictionary), -1), None, dictionary.shape[1], metadata)


def _load_patterns(path: Path) -> dict[str, Any]:
    return _riata.load_patterns(os.fsencode(path))


def _show(show: bool) -> None:
    import matplotlib.pyplot as plt

    if as_bool(_NAME, "show", show) and plt.isinteractive():
        plt.show(block=False)
    elif show and plt.get_backend().lower() != "agg":
        plt.show()
