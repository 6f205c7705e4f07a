"""Learning curves: Ablin, Moreau, Massias and Gramfort (NeurIPS 2019), Figure D.3.

Step-LISTA and coupled LISTA (a threshold per atom, as in the published code) of 10 layers on 10 x 20 Gaussian dictionaries,
reg 0.3, trained layer after layer by 500 accepted steps on N signals on B_inf; drawn is the mean objective on 20 000 others,
less its least possible value, in the median over 100 draws of dictionary and signals. The published code has one draw of
5 x 10 (``--variant code``).

Claims checked: in the median Step-LISTA is ahead at every N <= 100, and more signals help coupled LISTA more.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

REG, N_LAYERS, MAX_ITER = 0.3, 10, {"tiny": 50, "small": 500, "paper": 500}
N_TEST = {"tiny": 500, "small": 5000, "paper": 20_000}
KINDS = {"Step-LISTA": "step", "coupled LISTA": "coupled"}


def curves(experiment: Reproduction, seed: int, n_train: np.ndarray) -> list[dict]:
    n_features, n_atoms = (5, 10) if experiment.variant == "code" else (10, 20)
    D = riata.datasets.gaussian_dictionary(n_features, n_atoms, random_state=seed)
    X = riata.datasets.signals_on_b_infinity(D, n_train[-1], random_state=seed)
    test = riata.datasets.signals_on_b_infinity(D, N_TEST[experiment.size], random_state=seed + 1_000_000)
    optimum = riata.encode(test, D, REG, tol=1e-12, max_iter=100_000).objective.mean()
    ista = riata.Network("step", D, N_LAYERS).loss(test, REG) - optimum
    rows = []
    for n in n_train:
        for name, kind in KINDS.items():
            net = riata.Network(kind, D, N_LAYERS, "atom" if kind == "coupled" else "scalar")
            result = net.fit(X[:n], REG, mode="recursive", max_iter=MAX_ITER[experiment.size])
            rows.append({"seed": seed, "n_train": int(n), "method": name, "excess": net.loss(test, REG) - optimum,
                         "train_loss": result.value, "ista_excess": ista})
    return rows


def run(experiment: Reproduction, n_draws: int, n_train: np.ndarray) -> list[dict]:
    """The rows of every draw, written as soon as they are known; a run that was stopped goes on after the last whole draw."""
    seeds = range(experiment.seed, experiment.seed + n_draws)
    same = {"size": experiment.size, "variant": experiment.variant}
    rows = [row for row in experiment.read_rows("figureD3.csv") if same.items() <= row.items() and row["seed"] in seeds]
    done = {row["seed"] for row in rows}
    if done:
        print(f"  {len(done)} of {n_draws} draws are those of an earlier run", flush=True)
    for seed in seeds:
        if seed in done:
            continue
        rows += [row | same for row in curves(experiment, seed, n_train)]
        experiment.write_rows("figureD3.csv", rows, quiet=True)
        if experiment.paper_size:
            print(f"{seed - experiment.seed + 1} of {n_draws} draws", flush=True)
    return rows


def medians(rows: list[dict], method: str) -> dict[int, float]:
    sizes = sorted({row["n_train"] for row in rows})
    return {n: float(np.median([row["excess"] for row in rows if row["method"] == method and row["n_train"] == n]))
            for n in sizes}


def check(experiment: Reproduction, rows: list[dict]) -> None:
    step, coupled = (medians(rows, name) for name in KINDS)
    few = [n for n in step if n <= 100]
    for n in few:
        experiment.claim(f"N = {n}: Step-LISTA {step[n]:.2e}, coupled LISTA {coupled[n]:.2e}, medians", step[n] < coupled[n])
    n, most = few[0], max(step)
    experiment.claim(f"from N = {n} to {most} coupled LISTA gains a factor of {coupled[n] / coupled[most]:.3g}, Step-LISTA "
                     f"{step[n] / step[most]:.3g}", coupled[n] / coupled[most] > step[n] / step[most])
    print(f"  found: at N = {most}, {'coupled LISTA' if coupled[most] < step[most] else 'Step-LISTA'} is ahead, "
          f"{coupled[most]:.2e} and {step[most]:.2e}")


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    figure, axis = experiment.subplots(figsize=(5, 3.5))
    for name, colour in zip(KINDS, ("tab:orange", "tab:blue")):
        sizes = list(medians(rows, name))
        for seed in sorted({row["seed"] for row in rows})[:20]:
            axis.plot(sizes, [row["excess"] for row in rows if row["method"] == name and row["seed"] == seed], color=colour,
                      lw=0.5, alpha=0.3)
        axis.plot(sizes, list(medians(rows, name).values()), "o-", color=colour, ms=4, label=name)
    axis.axhline(np.median([row["ista_excess"] for row in rows]), color="k", ls="--", lw=1, label="ISTA")
    axis.set(xscale="log", yscale="log", xlabel="training signals", ylabel=r"test loss $- F^\star$")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    experiment.save_figure(figure, "figureD3.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0], variants=("paper", "code"))
    if experiment.paper_size:
        n_draws, n_train = 100, np.logspace(1, 4, 10).round().astype(int)[2:]
    else:
        n_draws, n_train = 3 if experiment.size == "tiny" else 5, np.array([31, 100, 500 if experiment.size == "tiny" else 1000])
    rows = run(experiment, n_draws, n_train)
    draw(experiment, rows)
    check(experiment, rows)
    experiment.finish()
