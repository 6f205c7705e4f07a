"""Rhythms are not sinusoids: beta of the human motor cortex, theta of the rat's hippocampus.

Cole et al. (J. Neurosci. 2017) showed that beta in Parkinson's disease is a sawtooth: 10 s of the motor cortex of one patient (1 000 Hz)
and three patterns of 150 ms. 60 s of a rat's CA1 and entorhinal cortex (1 250 Hz, taken at 250 Hz): two patterns of 300 ms. Both by the
defaults of `riata.learn_patterns` at reg 0.1 of its largest value.

The frequency of a pattern is where the spectrum of its course is largest; of all patterns, the mean weighted by the energy of their
activations. Asymmetry: the ratio of the steepest descent to the steepest rise of the course, or its inverse, whichever is above 1, in
the sign in which it acts on the first channel; the direction of all patterns of a seed must be the same. A sinusoid has 1.

Claims checked, for every seed: beta at 15 to 21 Hz, whose steeper flank is at least 1.5 times as steep as the other in the strongest
pattern, in the same direction throughout; theta at 7 to 9 Hz. Patterns explain 75 % of the variance above 5 and 2 Hz.

The data are looked for in $RIATA_DATA (default ../shared/data), folder lfp. Without them the experiment says that it skips.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.signal import decimate

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from recordings.data import high_passed, recording  # noqa: E402
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

RECORDINGS = {  # file, rate (Hz), taken every so many samples, above (Hz), patterns, seconds of a pattern, band (Hz)
    "beta": ("lfp/human_m1_beta_1000Hz", 1000, 1, 5, 3, 0.15, (15, 21)),
    "theta": ("lfp/rat_ca1_ec3_theta_1250Hz", 1250, 5, 2, 2, 0.3, (7, 9)),
}
N_SEEDS = {"tiny": 2, "small": 5, "paper": 20}
STEEPER, EXPLAINED = 1.5, 0.75


def frequency(course: np.ndarray, rate: float) -> float:
    power = np.abs(np.fft.rfft(course * np.hanning(len(course)), 16 * len(course))) ** 2
    return np.fft.rfftfreq(16 * len(course), 1 / rate)[np.argmax(power)]


def flanks(course: np.ndarray) -> float:
    """The steepest descent over the steepest rise."""
    slopes = np.diff(course)
    return -slopes.min() / slopes.max()


def main() -> None:
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    rows, shown = [], {}
    for name, (file, rate, every, above, n_atoms, seconds, _) in RECORDINGS.items():
        x = high_passed(recording(file), above, rate)
        x = decimate(x, every, axis=1, zero_phase=True) if every > 1 else x
        rate /= every
        for seed in range(experiment.seed, experiment.seed + N_SEEDS[experiment.size]):
            learned = riata.learn_patterns(x[np.newaxis], n_atoms, round(seconds * rate), max_iter=60, random_state=seed)
            atoms = (learned.u, learned.v)
            Z = riata.conv_encode(x[np.newaxis], atoms, learned.reg, tol=1e-4).codes
            energy = (Z[0] ** 2).sum(axis=1)
            courses = learned.v * np.sign(learned.u[:, :1])
            strongest = int(np.argmax(energy))
            rows.append({"recording": name, "seed": seed, "Hz": round(float(np.average([frequency(v, rate) for v in courses], weights=energy)), 2),
                         "flanks": round(flanks(courses[strongest]), 3), "least_flanks": round(min(flanks(v) for v in courses), 3),
                         "explained": round(riata.explained_variance(x[np.newaxis], atoms, Z).total, 4)})  # fmt: skip
            print("{recording}, seed {seed}: {Hz:.1f} Hz, descent over rise {flanks:.2f} (least {least_flanks:.2f}), {explained:.3f} of the variance".format(**rows[-1]))  # fmt: skip
            shown.setdefault(name, (courses[np.argsort(-energy)], rate))
    experiment.write_rows("oscillations.csv", rows)
    draw(experiment, shown)
    for name, (*_, band) in RECORDINGS.items():
        of_it = [row for row in rows if row["recording"] == name]
        experiment.claim(f"{name}: {band[0]} to {band[1]} Hz with every seed", all(band[0] <= row["Hz"] <= band[1] for row in of_it))
        experiment.claim(f"{name}: {EXPLAINED:.0%} of the variance", all(row["explained"] >= EXPLAINED for row in of_it))
        if name == "beta":
            experiment.claim(f"beta: the descent of the strongest pattern is {STEEPER} times as steep as its rise, steeper than it in all",
                             all(row["flanks"] >= STEEPER and row["least_flanks"] > 1 for row in of_it))  # fmt: skip
    experiment.finish()


def draw(experiment: Reproduction, shown: dict) -> None:
    figure, axes = experiment.subplots(1, len(shown), figsize=(9, 2.8))
    for ax, (name, (courses, rate)) in zip(axes, shown.items(), strict=True):
        for course in courses:
            ax.plot(1e3 * np.arange(len(course)) / rate, course, lw=1.2)
        ax.axhline(0, color="0.85", lw=0.8, zorder=0)
        ax.set(title=name, xlabel="time (ms)", yticks=[])
    experiment.save_figure(figure, "oscillations.png")


if __name__ == "__main__":
    main()
