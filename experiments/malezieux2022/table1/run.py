"""Patterns of rank one in magnetoencephalography: Malezieux, Moreau and Kowalski (ICLR 2022), Figure 7 and Table 1.

The paper learns 40 patterns of 1 s on the MNE sample recording (203 gradiometers at 150 Hz, 4.6 minutes) in 100 updates on windows
and holds 12 of alphacsc's against them: mean correlations of u and v 0.80 to 0.85. Here the patterns are planted, so that what is
right is known: topographies of dipoles below a hemisphere of sensors, waveforms of 2 to 15 Hz that decay within 1 s, activations at
random times, each of its own strength in [0.5, 1.5], and white noise as strong as all of it together. The rows of the table are
those of the paper: windows in a mini-batch, samples of a window, and whether the layers' steps are learned in 50 more updates. Scores:
the mean over planted patterns of |u^T u'| and of the largest cross-correlation of v and v', for the assignment that is best for their mean.

Claims checked: the mean of both is at least 0.85 in every row (tiny: 0.7), by no more updates than the paper's. Departures: the
paper's windows are "10 s" and "20 s", its code's 1 000 and 2 000 samples, 6.7 and 13.3 s, which are taken here; its code runs ISTA where
the paper says FISTA, which is taken here.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from recordings.scores import pattern_scores  # noqa: E402
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

RATE = 150  # Hz
SIZES = {  # channels, samples, samples of a pattern, planted, learned, updates, rows of the table: windows, samples, learned steps
    "tiny": (20, 4000, 30, 4, 8, 60, ((5, 400, True), (5, 400, False))),
    "small": (60, 15_000, 75, 6, 15, 100, ((5, 1000, True), (5, 1000, False), (20, 500, True))),
    "paper": (203, 41_655, 150, 12, 40, 100, ((5, 2000, True), (5, 2000, False), (5, 1000, True), (20, 1000, True))),
}
REG, N_LAYERS = 0.3, 30


def topographies(n_channels: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Radial fields of tangential dipoles in a sphere, at sensors that are spread evenly over its upper half."""
    i = np.arange(n_channels) + 0.5
    z, angle = 1 - i / n_channels, np.pi * (1 + 5**0.5) * i
    sensors = 1.2 * np.c_[np.sqrt(1 - z**2) * np.cos(angle), np.sqrt(1 - z**2) * np.sin(angle), z]
    u = np.empty((n, n_channels))
    for field in u:
        place = rng.standard_normal(3)
        place[2] = abs(place[2]) + 0.3
        place *= rng.uniform(0.6, 0.9) / np.linalg.norm(place)
        moment = np.cross(place, rng.standard_normal(3))
        away = sensors - place
        field[:] = np.einsum("ij,ij->i", np.cross(moment, away), sensors) / np.linalg.norm(away, axis=1) ** 3
    return u / np.linalg.norm(u, axis=1, keepdims=True)


def waveforms(length: int, n: int, rng: np.random.Generator) -> np.ndarray:
    t = (np.arange(length) + 0.5) / length
    cycles, phase = rng.uniform(2, 15, (n, 1)) * length / RATE, rng.uniform(0, 2 * np.pi, (n, 1))
    v = np.sin(2 * np.pi * cycles * t + phase) * np.exp(-0.5 * ((t - 0.5) / rng.uniform(0.08, 0.18, (n, 1))) ** 2)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def recording(n_channels: int, n_times: int, length: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    u, v = topographies(n_channels, n, rng), waveforms(length, n, rng)
    z = np.zeros((n, n_times - length + 1))
    for row in z:
        places = rng.choice(len(row), n_times // (2 * length), replace=False)
        row[places] = rng.uniform(0.5, 1.5, len(places))
    X = u.T @ fftconvolve(z, v, axes=1)
    return X + X.std() * rng.standard_normal(X.shape), u, v


def main() -> None:
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    n_channels, n_times, length, n_planted, n_atoms, updates, table = SIZES[experiment.size]
    X, u, v = recording(n_channels, n_times, length, n_planted, experiment.seed)
    rows, learned = [], None
    for batch, window, steps in table:
        allowed = updates + updates // 2 * steps
        began = time.perf_counter()
        learned = riata.learn_patterns(X[np.newaxis], n_atoms, length, f"{REG}max", window=True, method="stochastic", n_layers=N_LAYERS,
                                       batch_size=batch, n_times_window=window, max_iter=allowed, learn_steps=steps, random_state=experiment.seed)  # fmt: skip
        of_u, of_v = pattern_scores(learned.u, learned.v, u, v)
        rows.append({"windows": batch, "samples": window, "steps": steps, "updates": len(learned.history.value), "u": round(of_u, 4), "v": round(of_v, 4),
                     "mean": round((of_u + of_v) / 2, 4), "seconds": round(time.perf_counter() - began, 2)})  # fmt: skip
        print("windows {windows} of {samples} samples, steps {steps}, {updates} updates: u {u:.3f}, v {v:.3f}, mean {mean:.3f}, {seconds:.1f} s".format(**rows[-1]))  # fmt: skip
    experiment.write_rows("table1.csv", rows)
    draw(experiment, learned.u, learned.v, u, v)
    least = 0.7 if experiment.size == "tiny" else 0.85
    for row in rows:
        experiment.claim(f"windows {row['windows']} of {row['samples']}, steps {'learned' if row['steps'] else 'kept'}: mean correlation of u and v {row['mean']:.3f} >= {least}",
                         row["mean"] >= least and row["updates"] <= updates + updates // 2 * row["steps"])  # fmt: skip
    experiment.finish()


def draw(experiment: Reproduction, u: np.ndarray, v: np.ndarray, u_ref: np.ndarray, v_ref: np.ndarray) -> None:
    shown = min(4, len(u_ref))
    figure, axes = experiment.subplots(shown, 2, figsize=(8, 1.6 * shown), squeeze=False)
    for k, (left, right) in enumerate(axes):
        of_u, of_v = np.abs(u_ref[k] @ u.T), np.array([np.abs(np.correlate(v_ref[k], b, "full")).max() for b in v])
        best = int(np.argmax(of_u + of_v))
        lag = int(np.argmax(np.abs(np.correlate(v[best], v_ref[k], "full")))) - len(v_ref[k]) + 1
        sign = np.sign(u[best] @ u_ref[k]) or 1.0
        t = np.arange(len(v_ref[k])) / RATE
        left.plot(u_ref[k], label="planted", lw=2, color="0.7")
        left.plot(sign * u[best], label="learned", lw=0.8)
        right.plot(t, v_ref[k], lw=2, color="0.7")
        right.plot(t - lag / RATE, sign * v[best], lw=0.8)
        left.set_ylabel(f"pattern {k}")
    axes[0, 0].legend(fontsize=7)
    axes[0, 0].set_title("u, over channels")
    axes[0, 1].set_title("v, in time (s)")
    experiment.save_figure(figure, "table1.png")


if __name__ == "__main__":
    main()
