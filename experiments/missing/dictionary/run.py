"""A dictionary learned from signals of which 30 % of the entries are missing at random.

The problem of Malezieux, Moreau and Kowalski (ICLR 2022), Figure 4: a Gaussian dictionary 30 x 50, Bernoulli(0.3)-Gaussian codes,
noise of standard deviation 0.1, reg 0.1, start = truth + 0.5 std(D) * noise; N = 30 layers. The data fit is that of the entries
seen: ``riata.learn_dictionary(X, ..., mask=seen)``. The small size has the paper's 1 000 signals, of which too little is seen, the
paper size 5 000 too; the tiny one is smaller and sparser.

Claims checked: recovery to 0.95 from 5 000 signals; and more from what is seen than from zeros in the place of what is missing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction, column  # noqa: E402

import riata  # noqa: E402

MISSING, LAYERS, REG = 0.3, 30, 0.1
SIZES = {  # features, atoms, density, numbers of signals, iterations
    "tiny": (12, 16, 0.12, (300, 600), 20),
    "small": (30, 50, 0.3, (300, 1000), 40),
    "paper": (30, 50, 0.3, (1000, 5000), 60),
}


def learn(n_signals: int, seed: int, size: str) -> list[dict]:
    n_features, n_atoms, density, _, max_iter = SIZES[size]
    problem = riata.datasets.planted(n_features=n_features, n_atoms=n_atoms, n_signals=n_signals, density=density, noise_std=0.1,
                                     random_state=seed)
    start = riata.datasets.perturbed(problem.dictionary, 0.5, random_state=seed)
    seen = np.random.default_rng(seed).random(problem.signals.shape) >= MISSING
    zeros = np.where(seen, problem.signals, 0)
    rows = []
    for way, signals, mask in (("all entries", problem.signals, None), ("seen alone", zeros, seen), ("zeros", zeros, None)):
        result = riata.learn_dictionary(signals, n_atoms, REG, n_layers=LAYERS, init=start, max_iter=max_iter, mask=mask)
        rows.append({"way": way, "signals": n_signals, "start": riata.recovery_score(start, problem.dictionary),
                     "score": riata.recovery_score(result.dictionary, problem.dictionary),
                     "iterations": len(result.history.value), "seconds": result.history.seconds[-1]})
        print("  ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{value}" for key, value in rows[-1].items()),
              flush=True)
    return rows


def main() -> None:
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    rows = [row for n_signals in SIZES[experiment.size][3] for row in learn(n_signals, experiment.seed, experiment.size)]
    experiment.write_rows("recovery.csv", rows)
    score = {(row["way"], row["signals"]): row["score"] for row in rows}
    most = max(row["signals"] for row in rows)
    seen = score["seen alone", most]
    if experiment.paper_size:
        experiment.claim(f"the score from {most} signals is {seen:.3f} >= 0.95", seen >= 0.95)
    gain = seen - score["zeros", most]
    experiment.claim(f"what is seen alone scores {gain:.3f} > 0 above zeros for what is missing", gain > 0)
    experiment.claim(f"and above the start's {rows[0]['start']:.3f}", seen > rows[0]["start"])
    figure, axis = experiment.subplots(figsize=(4.5, 3.5))
    for way, marker in (("all entries", "o"), ("seen alone", "s"), ("zeros", "^")):
        chosen = [row for row in rows if row["way"] == way]
        axis.plot(column(chosen, "signals"), column(chosen, "score"), f"{marker}-", label=way)
    axis.axhline(rows[0]["start"], color="grey", lw=1, ls=":", label="start")
    axis.set_xlabel("signals, 30 % of their entries missing")
    axis.set_ylabel("recovery score")
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    experiment.save_figure(figure, "recovery.png")
    experiment.finish()


if __name__ == "__main__":
    main()
