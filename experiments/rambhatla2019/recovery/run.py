"""Dictionary and codes recovered exactly, at a geometric rate: NOODL (Rambhatla, Li and Haupt, ICLR 2019), the problem of main.m.

Noiseless signals x = z D~ with unit Gaussian atoms; a code has 1 to k entries, each 1 or -1. The start is D~ with noise of norm 2 /
ln(n) on every atom, n the features. Each update of NOODL takes a batch of new signals. The method is given signals, start, the
threshold 0.1 and the lower bound 1 of the codes' sizes, never D~. Size paper is the published code's: 200 features, 250 atoms, k =
8, batches of 500; the others have fewer of everything and a start twice as near.

Drawn over the updates: ||D - D~||_F / ||D~||_F, and ||Z - Z~||_F / ||Z~||_F over 500 signals that nothing was learned from, coded
by hard thresholding (``riata.encode(penalty="l0")``). Beside it plain shrinkage with reg 0.1: least squares through layers of ISTA,
by Adam (pudle_ls), from the same start and from D~ itself.

Claims checked: NOODL's error falls by about the same factor with each update, and ends below 1e-6 (paper size: 1e-8), as that of
the codes does; then all supports and signs are the true ones, which at the start they are not. Plain shrinkage stops short: it ends
more than 1 000 times as far away, the last half of its updates brings it no nearer than by a factor of 2, and it leaves even D~ for
about that distance, which is so a bias and no lack of updates.

Where the documents differ: the published code ends its codes by their distance from the true ones; here they end where they change
no more, or after so many layers, which is what ends the fall. Its step of the dictionary is 50 (15 in its parallel version); in
riata's learning rate, which is relative to the mean of |z|, that is 0.9 (0.27). Here it is 0.5.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction, column  # noqa: E402

import riata  # noqa: E402

THRESHOLD, LEAST_CODE, N_HELD_OUT = 0.1, 1.0, 500
# Features, atoms, most entries of a code, signals of a batch, noise ln(n); updates, then layers, of NOODL and of plain shrinkage.
SIZES = {
    "tiny": (60, 80, 2, 200, 1, (30, 90), (120, 20)),
    "small": (100, 130, 4, 400, 1, (40, 150), (200, 50)),
    "paper": (200, 250, 8, 500, 2, (50, 200), (400, 50)),
}
NOODL, PLAIN, LEFT = METHODS = ("NOODL", "plain shrinkage", "plain shrinkage from the truth")
OPTIONS = {
    "noodl": {"reg": THRESHOLD, "method_options": {"step": 0.2, "least_code": LEAST_CODE, "learning_rate": 0.5}},
    "pudle_ls": {"reg": THRESHOLD, "method_options": {"learning_rate": 5e-3}},
}
COLOURS = dict(zip(METHODS, ("C3", "C0", "C2")))


def unit_atoms(D: np.ndarray) -> np.ndarray:
    return D / np.linalg.norm(D, axis=1, keepdims=True)


def sparse_codes(n_signals: int, n_atoms: int, most: int, rng: np.random.Generator) -> np.ndarray:
    support = rng.random((n_signals, n_atoms)).argsort(axis=1)[:, :most]
    is_used = np.arange(most) < rng.integers(1, most + 1, (n_signals, 1))
    codes = np.zeros((n_signals, n_atoms))
    np.put_along_axis(codes, support, rng.choice([-1.0, 1.0], support.shape) * is_used, axis=1)
    return codes


def hard_codes(X: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Codes by iterative hard thresholding, which keeps what is beyond 0.1, from the correlations beyond half the least code."""
    first = X @ D.T
    first[np.abs(first) <= LEAST_CODE / 2] = 0
    # Steps 1 / L keep what is beyond sqrt(2 reg / L).
    return riata.encode(X, D, THRESHOLD**2 / 2 * np.linalg.norm(D, 2) ** 2, penalty="l0", init=first, tol=1e-12).codes


def relative_error(A: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(A - truth) / np.linalg.norm(truth))


def learn(X: np.ndarray, start: np.ndarray, method: str, looks: list[int], batch_size: int, n_layers: int) -> list[np.ndarray]:
    """The dictionary after each of these numbers of updates: one run that is stopped there and resumed."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for updates in looks:
            result = riata.learn_dictionary(X, len(start), method=method, n_layers=n_layers, init=start, batch_size=batch_size,
                                            max_iter=updates, replace_atoms=False, checkpoint=f"{folder}/run",
                                            checkpoint_every=10**6, resume=True, **OPTIONS[method])
            if len(result.history.value) != updates:
                raise RuntimeError(f"{method}: {len(result.history.value)} of {updates} updates were run: {result.status}")
            found.append(result.dictionary)
    return found


def measure(experiment: Reproduction) -> list[dict]:
    n_features, n_atoms, most, batch_size, noise, updates, n_layers = SIZES[experiment.size]
    rng = np.random.default_rng(experiment.seed)
    D = unit_atoms(rng.standard_normal((n_atoms, n_features)))
    X = sparse_codes(batch_size * updates[0], n_atoms, most, rng) @ D
    Z = sparse_codes(N_HELD_OUT, n_atoms, most, rng)
    start = unit_atoms(D + noise / np.log(n_features) * unit_atoms(rng.standard_normal(D.shape)))
    rows = []
    for name, begin in ((NOODL, start), (PLAIN, start), (LEFT, D)):
        is_plain = int(name != NOODL)
        every = updates[is_plain] // (6 if experiment.size == "tiny" else 10)
        looks = list(range(every, updates[is_plain] + 1, every))
        found = learn(X, begin, "pudle_ls" if is_plain else "noodl", looks, batch_size, n_layers[is_plain])
        for k, A in zip((0, *looks), (begin, *found), strict=True):
            codes = hard_codes(Z @ D, A)
            rows.append({"method": name, "updates": k, "dictionary": relative_error(A, D), "codes": relative_error(codes, Z),
                         "wrong": int((np.sign(codes) != np.sign(Z)).any(axis=1).sum())})
        print("  ".join(f"{key} {value:.2g}" if isinstance(value, float) else f"{key} {value}" for key, value in rows[-1].items()),
              flush=True)
    return rows


def of(rows: list[dict], name: str) -> list[dict]:
    return [row for row in rows if row["method"] == name]


def check(experiment: Reproduction, rows: list[dict]) -> None:
    noodl, plain, left = (of(rows, name) for name in METHODS)
    first, last, enough = noodl[0], noodl[-1], 1e-8 if experiment.paper_size else 1e-6
    for key in ("dictionary", "codes"):
        experiment.claim(f"NOODL: the error of the {key} falls from {first[key]:.2f} to {last[key]:.1e}, below {enough:g}",
                         last[key] < enough)
    error, updates = column(noodl, "dictionary"), column(noodl, "updates")
    factors = ((error[1:] / error[:-1]) ** (1 / np.diff(updates)))[error[1:] > enough / 10]
    rates = np.log(factors)
    experiment.claim(f"down to {enough / 10:g} each update multiplies it by {factors.min():.2f} to {factors.max():.2f}, at most "
                     f"0.85, and the greatest rate is {rates.min() / rates.max():.2f} of the least, at most 1.6",
                     factors.max() <= 0.85 and rates.min() / rates.max() <= 1.6)
    experiment.claim(f"of {N_HELD_OUT} codes {first['wrong']} have a wrong support or sign at the start, more than 2, and none at "
                     f"the end ({last['wrong']})", first["wrong"] > 2 and last["wrong"] == 0)
    floor, half, distance = plain[-1]["dictionary"], plain[len(plain) // 2]["dictionary"], left[-1]["dictionary"]
    experiment.claim(f"plain shrinkage ends at {floor:.1e}, nearer than the start, but more than 1 000 times as far away as NOODL",
                     1000 * last["dictionary"] < floor < first["dictionary"])
    experiment.claim(f"the last half of its updates changes that by a factor of {floor / half:.2f}, 0.5 to 2",
                     0.5 <= floor / half <= 2)
    experiment.claim(f"from the true dictionary it goes as far: to {distance:.1e}, {distance / floor:.2f} times that, 0.4 to 2.5",
                     0.4 <= distance / floor <= 2.5)


def draw(experiment: Reproduction, rows: list[dict]) -> None:
    figure, axes = experiment.subplots(1, 2, figsize=(9, 3.8), sharey=True)
    for axis, key, title in zip(axes, ("dictionary", "codes"), ("dictionary", "codes of signals not learned from")):
        for name, colour in COLOURS.items():
            own = of(rows, name)[name == LEFT :]  # no point at 0
            axis.plot(column(own, "updates"), column(own, key), ".-", color=colour, label=name)
        axis.set(yscale="log", xlabel="updates", title=title)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("relative error")
    axes[0].legend(frameon=False)
    experiment.save_figure(figure, "recovery.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    rows = measure(experiment)
    experiment.write_rows("recovery.csv", rows)
    draw(experiment, rows)
    check(experiment, rows)
    experiment.finish()
