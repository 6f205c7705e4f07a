"""Jacobians of ISTA along its layers: Malezieux, Moreau and Kowalski (ICLR 2022), Figure 1.

Error of the Jacobian after N layers, the mean over the rows l of ||J_l^N - J_l*||_F relative to N = 0, for a stable and an
unstable signal of problems.perturbed_gaussian: through all layers, with the distance of the supports (left), and through the
last 200, 50 or 20 layers (right). A signal is unstable if its error exceeds 1.1 at some N >= 10. Shown are the first stable
signal and the one whose error grows most, among those whose support settles so early that the end of the curve shows a rate.

Variants: "riata" has noise of standard deviation 0.1 and the exact L, "paper" noise of variance 0.1, as it writes, and "code"
L from 50 power iterations. At the small size "paper" needs another seed than 0: too few of 20 signals settle in time.

Claims checked: once the support is found, the error falls by 1 - mu/L per layer, mu the smallest eigenvalue of D_S^T D_S; on
the unstable signal full back-propagation exceeds its start, and K = 20 layers lower the largest error.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from malezieux2022.problems import REG, UNSTABLE, perturbed_gaussian, power_iterations, truncated_error  # noqa: E402
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

VARIANTS = {"riata": {}, "paper": {"noise_std": 0.1**0.5}, "code": {}}
# signals, layers, numbers of layers for truncation, and the first seed: of the tiny size one with a stable and an unstable signal
# among so few
SETTINGS = {"tiny": (6, 2500, 6, 7), "small": (20, 2500, 16, 0), "paper": (100, 10_000, 30, 0)}
DEPTHS = {200: "tab:green", 50: "tab:blue", 20: "tab:orange"}
SHOWN_DECADES = 1  # that the error has left to fall when the support has settled


@dataclass
class Signal:
    x: np.ndarray
    rate: float  # 1 - mu/L
    support_distance: np.ndarray  # after 0, 1, ... layers
    settled: int  # from this layer on the support is that of the exact code
    errors: np.ndarray  # after 0, 1, ... layers
    truncated: dict[int, np.ndarray]  # depth -> error at the chosen numbers of layers

    def observed_rate(self) -> float:
        """Fitted to the second half of the layers after the support has settled, above rounding."""
        layers = np.arange(self.settled, len(self.errors))
        layers = layers[self.errors[layers] > 1e-10]
        layers = layers[len(layers) // 2 :]
        return float(np.exp(np.polyfit(layers, np.log(self.errors[layers]), 1)[0]))


def supports(X: np.ndarray, D: np.ndarray, L: float, layers: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance |S_k \\ S*| + |S* \\ S_k| (layers + 1, n_signals), and S* itself (n_signals, n_atoms)."""
    exact = riata.encode(X, D, REG, tol=1e-13, max_iter=1_000_000).codes != 0
    z, distance = np.zeros(exact.shape), [exact.sum(axis=1)]
    for _ in range(layers):
        z = riata.unrolled_encode(X, D, REG, 1, "ista", init=z, lipschitz=L)
        distance.append(((z != 0) != exact).sum(axis=1))
    return np.array(distance), exact


def choose(growth: np.ndarray, decades: np.ndarray) -> tuple[int, int]:
    """The stable and the unstable signal."""
    shown = decades >= SHOWN_DECADES
    if not (shown & (growth <= UNSTABLE)).any() or not (shown & (growth > UNSTABLE)).any():
        raise SystemExit("no signal of either kind; take another --seed")
    return int((shown & (growth <= UNSTABLE)).argmax()), int(np.where(shown, growth, 0).argmax())


def run(experiment: Reproduction) -> tuple[dict[str, Signal], np.ndarray]:
    n_signals, n_layers, n_grid, first_seed = SETTINGS[experiment.size]
    grid = np.unique(np.logspace(0, np.log10(n_layers), n_grid, dtype=int))
    X, D = perturbed_gaussian(n_signals, experiment.seed + first_seed, **VARIANTS[experiment.variant])
    L = power_iterations(D, 50) if experiment.variant == "code" else np.linalg.norm(D, 2) ** 2

    growth = riata.unrolled_stability(X, D, REG, n_layers, lipschitz=L, directions=None).growth
    distance, exact = supports(X, D, L, n_layers)
    settled = np.where(distance.any(axis=0), n_layers + 1 - (distance[::-1] != 0).argmax(axis=0), 0)
    rates = np.array([1 - np.linalg.eigvalsh(D[S] @ D[S].T)[0] / L for S in exact])
    chosen = dict(zip(("stable", "unstable"), choose(growth, -(n_layers - settled) * np.log10(rates))))
    errors = riata.unrolled_stability(X[list(chosen.values())], D, REG, n_layers, lipschitz=L, directions=None,
                                      return_errors=True).errors
    return {name: Signal(x=X[i], rate=rates[i], support_distance=distance[:, i], settled=settled[i], errors=e,
                         truncated={K: np.array([truncated_error(X[i], D, N, K, L) for N in map(int, grid)]) for K in DEPTHS})
            for (name, i), e in zip(chosen.items(), errors)}, grid


def check(experiment: Reproduction, signals: dict[str, Signal], grid: np.ndarray) -> None:
    for name, signal in signals.items():
        share = np.log(signal.observed_rate()) / np.log(signal.rate)
        experiment.claim(f"{name}: the support is found at layer {signal.settled}, then the error falls by "
                         f"{signal.observed_rate():.5f} per layer, 1 - mu/L = {signal.rate:.5f}", 0.8 <= share <= 1.2)
        apart = max(abs(signal.truncated[K][i] / signal.errors[N] - 1) for K in DEPTHS for i, N in enumerate(grid) if N <= K)
        experiment.claim(f"{name}: the Jacobians row by row give the same errors: within {apart:.1e}", apart <= 1e-6)
    unstable, counted = signals["unstable"], grid >= 10
    experiment.claim(f"unstable: full back-propagation exceeds its start {unstable.errors[10:].max():.2f} times, 1.1 or more",
                     unstable.errors[10:].max() > UNSTABLE)
    largest = {K: unstable.truncated[K][counted].max() for K in DEPTHS}
    text = ", ".join(f"{error:.2f} (K = {K})" for K, error in largest.items())
    experiment.claim(f"unstable: K = 20 lowers the largest error: {text}", largest[20] < unstable.errors[10:].max())


def draw(experiment: Reproduction, signals: dict[str, Signal], grid: np.ndarray) -> None:
    figure, axes = experiment.subplots(2, 2, figsize=(10, 6.5), sharex=True, sharey="row")
    for (left, right), (name, signal) in zip(axes, signals.items()):
        layers = np.arange(len(signal.errors))
        left.plot(layers, signal.errors, color="black", label="error, full back-propagation")
        after = layers[signal.settled :]
        left.plot(after, signal.errors[signal.settled] * signal.rate ** (after - signal.settled), color="tab:red", ls="--",
                  label=r"rate $1 - \mu/L$ once the support is found")
        twin = left.twinx()
        twin.plot(layers, signal.support_distance, color="tab:purple", lw=0.8, alpha=0.8)
        twin.set_ylabel(r"support distance $|S_N \triangle S^*|$", color="tab:purple")
        twin.tick_params(axis="y", labelcolor="tab:purple")
        twin.set_ylim(0, None)
        right.plot(layers, signal.errors, color="black", label="full")
        for K, colour in DEPTHS.items():
            right.plot(grid, signal.truncated[K], "o-", ms=3, color=colour, label=f"last {K} layers")
        left.set(ylabel="error of the Jacobian,\nrelative to no layer", title=f"{name} signal: error and support")
        right.set(title=f"{name} signal: truncated back-propagation")
        for axis in (left, right):
            axis.axhline(1, color="grey", lw=0.8, ls=":")
            axis.set(xscale="symlog", yscale="log", xlim=(0, None), ylim=(max(signal.errors.min() / 2, 1e-8), None))
            axis.grid(alpha=0.3)
    for axis in axes[0]:
        axis.legend(frameon=False, loc="lower left", fontsize=9)
    for axis in axes[1]:
        axis.set_xlabel("layers N of ISTA")
    experiment.save_figure(figure, "figure1.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0], tuple(VARIANTS))
    signals, grid = run(experiment)
    experiment.write_rows("figure1.csv", [
        {"signal": name, "layers": int(N), "support_distance": s.support_distance[N], "error": s.errors[N]}
        | {f"error_last_{K}": s.truncated[K][i] for K in DEPTHS} for name, s in signals.items() for i, N in enumerate(grid)])
    draw(experiment, signals, grid)
    check(experiment, signals, grid)
    experiment.finish()
