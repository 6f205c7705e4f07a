"""Optimisation dynamics of dictionary learning: Malezieux, Moreau and Kowalski (ICLR 2022), Figure 4.

Gaussian dictionaries 30 x 50, 1 000 signals with Bernoulli(0.3)-Gaussian codes, noise of standard deviation 0.1 (the
published code; the paper writes variance 0.1), reg 0.1, start = truth + 0.5 std(D) * noise. Learned by alternating
minimisation (AM, K = 0), by unrolling (DDL), and by unrolling with learned steps, for several depths N.

Two variants: riata's (L = spectral norm, prox output) and the documents' literal one (L = Frobenius norm of the Gram
matrix, FISTA's extrapolated output), of which the paper's figure is made.

The small size has one dictionary and computes what the claims compare: recovery within 20 steps from all 1 000
signals, counts of steps from 300, with which unrolling and alternating differ most.

Claims checked: both methods recover the dictionary at N = 30; unrolling needs fewer accepted steps at small N (N = 5; in
the literal variant also N = 10, with a higher score); learning the steps as well never ends above.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

REG, METHODS = 0.1, ("AM", "DDL", "DDL + steps")
VARIANTS = {
    "riata": {},
    "literal": {"lipschitz_bound": "frobenius", "return_extrapolated": True},
}


def learn(problem, start, method: str, layers: int, max_iter: int, options: dict) -> dict:
    result = riata.learn_dictionary(
        problem.signals, start.shape[0], REG, n_layers=layers, init=start,
        method="alternating" if method == "AM" else "unrolled", learn_steps=method == "DDL + steps",
        reduction="sum", max_iter=max_iter, replace_atoms=False, **options)
    value, phase = np.asarray(result.history["value"]), np.asarray(result.history["phase"])
    return {"steps": len(value), "value": value[-1], "value_phase_0": value[phase == 0][-1],
            "score": riata.recovery_score(result.dictionary, problem.dictionary)}


def run(experiment: Reproduction) -> list[dict]:
    is_small = not experiment.paper_size
    n_dictionaries, depths = (1, (5, 10, 30)) if is_small else (50, np.unique(np.logspace(np.log10(5), 3, 50, dtype=int)))
    rows = []
    for k in range(n_dictionaries):
        seed = experiment.seed + k
        for variant, options in VARIANTS.items():
            for layers in depths:
                if is_small and layers == {"riata": 10, "literal": 30}[variant]:
                    continue
                signals = 300 if is_small and layers < 30 else 1000
                max_iter = (12 if experiment.size == "tiny" else 20) if is_small and layers == 30 else 5000
                problem = riata.datasets.planted(n_features=30, n_atoms=50, n_signals=signals, density=0.3, noise_std=0.1,
                                                 random_state=seed)
                start = riata.datasets.perturbed(problem.dictionary, 0.5, random_state=seed)
                start_score = riata.recovery_score(start, problem.dictionary)
                for method in METHODS:
                    if method == "DDL + steps" and (layers > 100 or is_small and (variant, layers) != ("riata", 5)):
                        continue
                    rows.append({"dictionary": k, "variant": variant, "layers": int(layers), "signals": signals, "method": method,
                                 "start_score": start_score, **learn(problem, start, method, int(layers), max_iter, options)})
        print(f"dictionary {k + 1} of {n_dictionaries}", flush=True)
    return rows


def select(rows: list[dict], variant: str, method: str, layers: int, key: str) -> np.ndarray:
    return np.array([row[key] for row in rows
                     if (row["variant"], row["method"], row["layers"]) == (variant, method, layers)])


def nearest(rows: list[dict], layers: int) -> int:
    return min({row["layers"] for row in rows}, key=lambda depth: abs(depth - layers))


def check(experiment: Reproduction, rows: list[dict]) -> None:
    n5, n10, n30 = (nearest(rows, n) for n in (5, 10, 30))
    start = np.mean([row["start_score"] for row in rows])
    experiment.claim(f"the start scores about 0.90 ({start:.3f})", 0.87 < start < 0.93)
    for method in ("AM", "DDL"):
        score = select(rows, "riata", method, n30, "score").mean()
        experiment.claim(f"{method} recovers at N = {n30}: mean score {score:.3f} >= 0.97", score >= 0.97)
    for variant, depth in (("riata", n5), ("literal", n5), ("literal", n10)):
        am, ddl = (select(rows, variant, method, depth, "steps").mean() for method in ("AM", "DDL"))
        experiment.claim(f"{variant}, N = {depth}: DDL takes fewer accepted steps ({ddl:.1f}) than AM ({am:.1f})", ddl < am)
    am, ddl = (select(rows, "literal", method, n10, "score").mean() for method in ("AM", "DDL"))
    experiment.claim(f"literal, N = {n10}: DDL scores {ddl:.3f}, AM {am:.3f}, higher by >= 0.015", ddl - am >= 0.015)
    with_steps = [row for row in rows if row["method"] == "DDL + steps"]
    experiment.claim("learning the steps as well ends at or below where the dictionary alone ended",
                     all(row["value"] <= row["value_phase_0"] for row in with_steps))


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    panels = [("steps", "accepted gradient steps", "log"), ("value", "loss above the best", "log"), ("score", "recovery score", "linear")]
    figure, axes = experiment.subplots(2, 3, figsize=(12, 6.5), sharex=True)
    best = {}
    for row in rows:
        key = row["dictionary"], row["signals"]
        best[key] = min(row["value"], best.get(key, np.inf))
    for line, variant in zip(axes, VARIANTS):
        for axis, (key, label, scale) in zip(line, panels):
            for method, colour in zip(METHODS, ("tab:blue", "tab:orange", "tab:green")):
                depths = sorted({row["layers"] for row in rows if row["method"] == method and row["variant"] == variant})
                if not depths:
                    continue
                data = []
                for depth in depths:
                    values = select(rows, variant, method, depth, key).astype(float)
                    if key == "value":
                        keys = zip(*(select(rows, variant, method, depth, name) for name in ("dictionary", "signals")))
                        values = values - [best[key] for key in keys] + 1e-3
                    data.append(np.quantile(values, [0.1, 0.9]).tolist() + [values.mean()])
                low, high, mean = np.array(data).T
                axis.plot(depths, mean, "o-", ms=3, color=colour, label=method)
                axis.fill_between(depths, low, high, color=colour, alpha=0.2, lw=0)
            axis.set(xscale="log", yscale=scale, ylabel=label, title=variant if key == "steps" else "")
            axis.grid(alpha=0.3)
    axes[0, 0].legend(frameon=False)
    for axis in axes[1]:
        axis.set_xlabel("layers N")
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xticks([5, 10, 30, 100, 1000] if experiment.paper_size else [5, 10, 30])
    experiment.save_figure(figure, "figure4.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    rows = run(experiment)
    experiment.write_rows("figure4.csv", rows)
    draw(experiment, rows)
    check(experiment, rows)
    experiment.finish()
