"""Artefacts and responses as patterns of rank one: Malezieux, Moreau and Kowalski (ICLR 2022), Figure 7.

The paper learns 40 patterns of 1 s on the MNE sample recording, gradiometers after notches at 60, 120 and 180 Hz, a high-pass at 2 Hz
and resampling to 150 Hz, by 100 updates on 20 windows of 1 000 samples, and shows a heartbeat, a blink and an auditory response. Where
$MNE_DATA holds MEG/sample/sample_audvis_raw.fif (or MNE-sample-data/MEG/...) and MNE-Python is installed, this is done. Otherwise the
same on an EEG of 30 channels and 2 of the eyes' movements at 128 Hz (4 minutes, 1 Hz high-pass): 20 patterns of 1 s (8 in the tiny size) by the defaults
of `riata.learn_patterns`, from $RIATA_DATA (default ../shared/data), folder eeg. Without either the experiment says that it skips.

A pattern's share of blinks: of the squares of its activations, those within 0.25 s of a blink, where it has its largest sample.
Blinks are peaks above 90 uV of the frontal channel between 1 and 10 Hz; on the MNE sample recording those of its EOG channel.

Claims checked, for every seed: one pattern has at least 95 % of its activity at blinks and is active at 80 % of them. On the EEG its map is
largest at the frontal pole, and falls to less than a third at the back of the head.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from recordings.data import FOLDER, high_passed, recording  # noqa: E402
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

SIZES = {"tiny": (1, 8, 30), "small": (5, 20, 60), "paper": (20, 20, 60)}  # seeds; of the EEG, patterns and mini-batches
AT_BLINKS, OF_BLINKS = 0.95, 0.8
BACK = ("O1", "Oz", "O2", "PO7", "PO8", "POz")


class Eeg:
    """The EEG of ../shared/data."""

    name, rate = "eeg", 128

    def __init__(self, n_atoms: int, n_batches: int) -> None:
        self.n_atoms, self.options = n_atoms, {"max_iter": n_batches}
        x = recording("eeg/eeglab_sample_32ch_128Hz")
        about = json.loads((FOLDER / "eeg" / "eeglab_sample_32ch_128Hz.json").read_text())
        self.channels = about["channels"]
        self.X = high_passed(x, 1, self.rate)
        band = butter(2, (1, 10), "bandpass", fs=self.rate, output="sos")
        self.blinks = find_peaks(sosfiltfilt(band, x[self.channels.index("FPz")]), height=90, distance=64)[0]

    def info(self):
        """Where the electrodes lie, if MNE-Python is there to draw it; and which channels they are."""
        try:
            import mne
        except ImportError:
            return None, slice(None)
        names = {"FPz": "Fpz"}
        info = mne.create_info([names.get(c, c) for c in self.channels if not c.startswith("EOG")], self.rate, "eeg")
        info.set_montage("standard_1020")
        return info, [i for i, c in enumerate(self.channels) if not c.startswith("EOG")]


class Meg:
    """The MNE sample recording, as the paper takes it."""

    name, rate, n_atoms = "meg", 150, 40
    options = {"method": "stochastic", "reg": "0.3max", "window": True, "batch_size": 20, "n_times_window": 1000, "max_iter": 100}

    def __init__(self, path: Path) -> None:
        import mne

        raw = mne.io.read_raw_fif(path, preload=True, verbose="error")
        blinks = mne.preprocessing.find_eog_events(raw, verbose="error")[:, 0] - raw.first_samp
        self.blinks = (blinks * self.rate / raw.info["sfreq"]).round().astype(int)
        raw.pick(mne.pick_types(raw.info, meg="grad"))
        raw.notch_filter((60, 120, 180), verbose="error").filter(2, None, verbose="error").resample(self.rate, verbose="error")
        self.raw_info, self.channels = raw.info, raw.ch_names
        self.X = raw.get_data()

    def info(self):
        return self.raw_info, slice(None)


def sample_recording() -> Path | None:
    if "MNE_DATA" not in os.environ:
        return None
    for folder in ("", "MNE-sample-data"):
        path = Path(os.environ["MNE_DATA"]) / folder / "MEG" / "sample" / "sample_audvis_raw.fif"
        if path.exists():
            return path
    return None


def at_blinks(z: np.ndarray, peak: int, blinks: np.ndarray, rate: float) -> tuple[float, float]:
    """Of the activations' squares those near a blink, and of the blinks those with one near."""
    places = np.flatnonzero(z)
    if len(places) == 0:
        return 0.0, 0.0
    near = np.abs(places[:, None] + peak - blinks) <= 0.25 * rate
    return float((z[places] ** 2)[near.any(axis=1)].sum() / (z**2).sum()), float(near.any(axis=0).mean())


def main() -> None:
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    path = sample_recording()
    n_seeds, n_atoms, n_batches = SIZES[experiment.size]
    data = Meg(path) if path else Eeg(n_atoms, n_batches)
    X = data.X[np.newaxis] / data.X.std()
    rows, shown = [], None
    for seed in range(experiment.seed, experiment.seed + n_seeds):
        learned = riata.learn_patterns(X, data.n_atoms, data.rate, random_state=seed, **data.options)
        atoms = (learned.u, learned.v)
        Z = riata.conv_encode(X, atoms, learned.reg, tol=1e-3).codes
        found = [at_blinks(z, int(np.argmax(np.abs(v))), data.blinks, data.rate) for z, v in zip(Z[0], learned.v, strict=True)]
        best = int(np.argmax([sum(shares) for shares in found]))
        strength = np.abs(learned.u[best])
        rows.append({"seed": seed, "pattern": best, "at_blinks": round(found[best][0], 4), "of_blinks": round(found[best][1], 4),
                     "largest_at": data.channels[int(np.argmax(strength))],
                     "back": round(max((strength[data.channels.index(c)] for c in BACK if c in data.channels), default=0) / strength.max(), 3),
                     "explained": round(riata.explained_variance(X, atoms, Z).total, 4)})  # fmt: skip
        print("seed {seed}: pattern {pattern}, {at_blinks:.3f} of it at blinks, {of_blinks:.2f} of {n} blinks, largest at {largest_at}, back {back:.2f}; all patterns {explained:.3f} of the variance".format(n=len(data.blinks), **rows[-1]))  # fmt: skip
        shown = shown or (learned, Z, best)
    experiment.write_rows(f"figure7_{data.name}.csv", rows)
    draw(experiment, data, *shown)
    experiment.claim(f"one pattern is the blink with every seed: {AT_BLINKS:.0%} of it at blinks, at {OF_BLINKS:.0%} of them",
                     all(row["at_blinks"] >= AT_BLINKS and row["of_blinks"] >= OF_BLINKS for row in rows))  # fmt: skip
    if data.name == "eeg":
        experiment.claim("its map is frontal: largest at FPz or beside the eyes, less than a third of that at the back",
                         all(row["largest_at"] in ("FPz", "EOG1", "EOG2") and row["back"] < 1 / 3 for row in rows))  # fmt: skip
    experiment.finish()


def draw(experiment: Reproduction, data: Eeg | Meg, learned: riata.PatternsResult, Z: np.ndarray, blink: int) -> None:
    """The blink and the three others that explain most."""
    shares = riata.explained_variance(data.X[np.newaxis] / data.X.std(), (learned.u, learned.v), Z).per_atom
    others = [int(k) for k in np.argsort(-shares) if k != blink][:3]
    info, channels = data.info()
    chosen = [blink, *others]
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(10, 3.6), layout="constrained")
    u, v = learned.u[chosen][:, channels], learned.v[chosen]
    names = None if info is not None else data.channels
    axes = riata.plot.patterns((np.ascontiguousarray(u), np.ascontiguousarray(v)), sfreq=data.rate, ch_names=names, info=info, figure=figure)
    for ax, k in zip(axes[0], chosen, strict=True):
        ax.set_title("blink" if k == blink else f"pattern {k}")
    experiment.save_figure(figure, "figure7.png")


if __name__ == "__main__":
    main()
