"""Loss landscapes of dictionary learning: Malezieux, Moreau and Kowalski (ICLR 2022), Figures 5 (right) and B, for patches.

The loss is G_N(D) = F(Z_N(D), D), N = 20 layers of FISTA, reg 0.1, on 10 x 10 patches of a noisy photograph. Section: S1 and S2
are minima learned from different random patches, D(a) = S1 + v + a v with v = (S2 - S1) / 2, so that they lie at a = -1 and 1.
Plane: S1 + b d + c e for random d and e, every atom of which is as long as the atom that it moves (Li et al., NeurIPS 2018,
filter normalisation). Atoms get unit norm before the loss is taken; losses are rescaled to [0, 1]. The paper's own landscapes,
of 50 convolutional kernels, wait for convolutional operators.

Claims checked, for every pair: at S1 and S2 the losses are those learned, to 1e-12; each minimum is the lowest point of its
half; second differences are positive from 0.4 inside of each minimum outwards as far as drawn: the section looks convex near
each minimum; a barrier lies between them. The plane is lowest at its centre and rises along eight rays from it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from malezieux2022.problems import PATCH, REG, photograph, unit_atoms  # noqa: E402
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

LAYERS, CONVEX = 20, 0.4
# pairs, signals, atoms, points of a section and on a side of the plane
SETTINGS = {"tiny": (1, 80, 20, 31, 9), "small": (2, 150, 30, 31, 13), "paper": (10, 1000, 128, 121, 41)}


def loss(X: np.ndarray, D: np.ndarray) -> float:
    return riata.unrolled_gradient(X, unit_atoms(D), REG, LAYERS, wrt=(), return_codes=False).value


def minimum(X: np.ndarray, n_atoms: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    start = unit_atoms(X[rng.permutation(len(X))[:n_atoms]])
    result = riata.learn_dictionary(X, n_atoms, REG, n_layers=LAYERS, init=start, max_iter=5000, tol=1e-7, replace_atoms=False)
    return result.dictionary, float(result.history.value[-1])


def section(X: np.ndarray, S1: np.ndarray, S2: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    positions, v = np.linspace(-3, 3, points), (S2 - S1) / 2
    return positions, np.array([loss(X, S1 + v + a * v) for a in positions])


def plane(X: np.ndarray, S1: np.ndarray, points: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    positions = np.linspace(-1, 1, points)
    d, e = (unit_atoms(rng.standard_normal(S1.shape)) for _ in range(2))
    return positions, np.array([[loss(X, S1 + b * d + c * e) for b in positions] for c in positions])


def rescaled(losses: np.ndarray) -> np.ndarray:
    return (losses - losses.min()) / np.ptp(losses)


def measure(experiment: Reproduction) -> tuple[list[dict], list[tuple], tuple]:
    n_pairs, n_signals, n_atoms, on_line, on_plane = SETTINGS[experiment.size]
    rng = np.random.default_rng(experiment.seed)
    picture = photograph("ascent.png")
    patches = riata.extract_patches(picture + 0.1 * rng.standard_normal(picture.shape), PATCH)
    X = patches[rng.permutation(len(patches))[:n_signals]]
    rows, sections = [], []
    for k in range(n_pairs):
        (S1, at_S1), (S2, at_S2) = minimum(X, n_atoms, rng), minimum(X, n_atoms, rng)
        positions, losses = section(X, S1, S2, on_line)
        sections.append((positions, losses, (at_S1, at_S2)))
        rows += [{"of": f"section {k}", "a": a, "b": "", "c": "", "loss": value} for a, value in zip(positions, losses)]
        print(f"pair {k + 1} of {n_pairs}", flush=True)
    positions, losses = plane(X, S1, on_plane, rng)
    rows += [{"of": "plane", "a": "", "b": b, "c": c, "loss": losses[j, i]}
             for j, c in enumerate(positions) for i, b in enumerate(positions)]
    return rows, sections, (positions, losses)


def check(experiment: Reproduction, sections: list[tuple], surface: tuple) -> None:
    off, lowest, curvature, barrier = [], [], [], []
    for a, losses, learned in sections:
        second = np.diff(rescaled(losses), 2)
        barrier.append(rescaled(losses)[np.abs(a) < 1].max())
        for side, value in zip((-1, 1), learned):
            half = np.flatnonzero(side * a > 0)
            off.append(abs(losses[np.argmin(np.abs(a - side))] / value - 1))
            lowest.append(a[half[losses[half].argmin()]])
            curvature.append(second[side * a[1:-1] > 1 - CONVEX - 1e-9].min())
    experiment.claim(f"at S1 and S2 the losses are the learned ones, to {max(off):.0e} of them, <= 1e-12", max(off) <= 1e-12)
    experiment.claim("each minimum is the lowest point of its half of the section", np.allclose(np.abs(lowest), 1))
    experiment.claim(f"second differences are positive from {CONVEX} inside of each minimum outwards", min(curvature) > 0)
    experiment.claim(f"a barrier lies between the minima, {min(barrier):.2f} of the section's range, > 0.3", min(barrier) > 0.3)
    middle = len(surface[0]) // 2
    rays = np.array([[surface[1][middle + t * i, middle + t * j] for t in range(middle + 1)]
                     for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)])
    experiment.claim("the plane is lowest at its centre", surface[1].argmin() == surface[1].size // 2)
    experiment.claim("and rises along the eight rays from there", (np.diff(rays, axis=1) > 0).all())


def draw(experiment: Reproduction, sections: list[tuple], surface: tuple) -> None:
    figure, (left, right) = experiment.subplots(1, 2, figsize=(9.5, 4), width_ratios=(1.15, 1))
    for a, losses, _ in sections:
        left.plot(a, rescaled(losses), color="tab:blue", alpha=0.8 if len(sections) < 5 else 0.4)
    for side, label in ((-1, "second differences > 0"), (1, None)):
        left.axvspan(side * (1 - CONVEX), side * 3, color="0.9", zorder=0, label=label)
    left.set(xlabel="a", ylabel="loss, rescaled", title=r"between two minima: $D(a) = S_1 + v + a v$",
             xlim=(-3, 3), ylim=(-0.03, 1.15))
    left.set_xticks(range(-3, 4), ["$-3$", "$-2$", "$S_1$", "0", "$S_2$", "2", "3"])
    left.legend(loc="upper center", framealpha=1)
    left.grid(alpha=0.3)
    positions, losses = surface
    drawn = right.contourf(positions, positions, rescaled(losses), levels=np.linspace(0, 1, 21), cmap="viridis")
    right.contour(positions, positions, rescaled(losses), levels=np.linspace(0, 1, 21)[1:-1:2], colors="white", linewidths=0.5)
    right.plot(0, 0, "o", color="tab:red", ms=6, label="$S_1$")
    right.set(xlabel="along d", ylabel="along e", title="around a minimum: random plane", aspect="equal")
    right.legend()
    figure.colorbar(drawn, ax=right, label="loss, rescaled", ticks=np.linspace(0, 1, 6))
    experiment.save_figure(figure, "landscapes.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    rows, sections, surface = measure(experiment)
    experiment.write_rows("landscapes.csv", rows)
    draw(experiment, sections, surface)
    check(experiment, sections, surface)
    experiment.finish()
