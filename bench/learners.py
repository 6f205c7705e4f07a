"""Learning from mini-batches against the clock: riata beside SPAMS' trainDL, scikit-learn's and dictlearn's
MiniBatchDictionaryLearning, and the unrolled layers of FISTA under PyTorch's Adam.

planted: 100 000 signals of 50 features in 100 Gaussian atoms, noise of standard deviation 0.1; seconds to a score (mean |cosine| to
the true atoms) of 0.95. patches: 100 000 of 8 x 8 in 128 atoms, reg 0.1 of the median reg_max; seconds until the objective of 2 000
others, with exact codes, is within 0.5 % of the best that anybody found for that seed.

All start from the same signals as atoms, have the same reg and threads, and float32 where they know it (dictlearn does not). A
process for each learner; imports, layout and compilation come before its clock, which stands while the dictionary is looked at.
SPAMS learns in one call: its runs grow by a third, from an eighth of the cap on they double, and each is counted from its call to
its return. Between two looks the time is interpolated. Each learner has the best of its variants; one ends when it takes longer
than an earlier one that got there, and with --give-up N after N times what riata took. Curves go to a CSV, where they take the place of older ones of the same question, so that parts
of the whole add up. Claim: riata is the first wherever anybody gets there. Exits with 1 if it does not hold.
"""

import argparse
import csv
import inspect
import itertools
import math
import operator
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from peers import scikit_learn
from peers import torch as layers
from provenance import version_of
from signals import in_unit, normalised, picture_patches

ENOUGH, NEAR, N_HELD_OUT, LOOK_EVERY = 0.95, 1.005, 2_000, 1.15
CAPS = {"0.1,0.1": 60, "0.1,0.3": 60, "0.1,0.6": 60, "0.3,0.1": 150, "0.3,0.3": 60, "0.3,0.6": 60, "patches": 60}  # by density,reg
COLUMNS = ("setting", "seed", "learner", "variant", "version", "signals", "threads", "cap", "seconds", "value")


@dataclass
class Problem:
    X: np.ndarray
    start: np.ndarray
    reg: float
    value: Callable  # of a dictionary: the score, or minus the objective
    enough: float = math.inf


def planted(density, reg, n_signals, seed):
    import riata

    made = riata.datasets.planted(n_features=50, n_atoms=100, n_signals=n_signals, density=density, noise_std=0.1,
                                  random_state=seed)  # fmt: skip
    some = np.random.default_rng(seed).choice(n_signals, 100, replace=False)
    return Problem(made.signals, normalised(made.signals[some]), reg, lambda D: riata.recovery_score(D, made.dictionary), ENOUGH)


def patches(n_signals, seed):
    import riata

    P = picture_patches(n_signals + N_HELD_OUT + 128, 64, ("ascent", "camera", "coins"), seed)
    P, start = in_unit(P, normalised(P[:128]))
    held_out, X = np.split(P[128:], [N_HELD_OUT])
    return Problem(X, start, 0.1, lambda D: -riata.encode(held_out, D, 0.1, tol=1e-6).objective.mean())


def problem(setting, n_signals, seed):
    return patches(n_signals, seed) if setting == "patches" else planted(*map(float, setting.split(",")), n_signals, seed)


def batches(X, size):
    rng = np.random.default_rng(0)
    while True:
        order = rng.permutation(len(X))
        for k in range(0, len(X) - size + 1, size):
            yield X[order[k:k + size]]


# What learns by batches is a generator: of its start when it is ready, then of the dictionary after every batch.
def by_riata(X, start, reg, threads, size, method):
    import riata

    model = riata.MiniBatchDictionaryLearning(len(start), alpha=reg, fit_algorithm=method, dict_init=start, n_jobs=threads,
                                              random_state=0)  # fmt: skip
    drawn = batches(X, size)
    yield start
    while True:
        yield model.partial_fit(next(drawn)).components_


def by_scikit_learn(X, start, reg, threads, size):
    from joblib.externals.loky import get_reusable_executor
    from sklearn.decomposition import MiniBatchDictionaryLearning

    scikit_learn.unwarned()

    def model(n_jobs):
        return MiniBatchDictionaryLearning(len(start), alpha=reg, fit_algorithm="cd", dict_init=start, n_jobs=n_jobs,
                                           random_state=0)  # fmt: skip

    def second_batch(n_jobs):
        return elapsed(model(n_jobs).partial_fit(X[:size]).partial_fit, X[:size])[0]

    chosen, drawn = model(min((1, threads), key=second_batch)), batches(X, size)  # joblib's processes do not always pay
    try:
        yield start
        while True:
            yield chosen.partial_fit(next(drawn)).components_
    finally:
        get_reusable_executor().shutdown()


def by_dictlearn(X, start, reg, threads, size, coder, forgetting):
    """It has no way to pass alpha to its Lasso coder, which is therefore called."""
    import dictlearn

    def fista(X, D, **_):
        return dictlearn.sparse_encode(X, D, algorithm="fista", alpha=reg, max_iter=50)

    coding = {"transform_algorithm": fista} if coder == "fista" else {"transform_algorithm": "omp", "n_nonzero_coefs": 5}
    model = dictlearn.MiniBatchDictionaryLearning(len(start), batch_size=size, forgetting_factor=forgetting, dict_init=start,
                                                  random_state=0, **coding)  # fmt: skip
    drawn = batches(X.astype(np.float64), size)
    yield start
    while True:
        yield model.partial_fit(next(drawn)).components_


def by_pytorch(X, start, reg, threads, size, learning_rate):
    """The lasso after 30 layers, by autograd and Adam."""
    import torch

    torch.set_num_threads(threads)
    X, D = torch.from_numpy(X), torch.from_numpy(start).clone().requires_grad_()
    optimiser, drawn = torch.optim.Adam([D], lr=learning_rate), batches(X, size)
    yield start
    while True:
        lipschitz = float(torch.linalg.matrix_norm(D.detach(), 2)) ** 2
        optimiser.zero_grad()
        layers.lasso_after_fista(next(drawn), torch.nn.functional.normalize(D), reg, lipschitz, 30).backward()
        optimiser.step()
        with torch.no_grad():
            D.copy_(torch.nn.functional.normalize(D))
        yield D.detach().numpy()


def by_spams(X, start, reg, threads, size, every):
    """A call of n batches: one that goes on from the model of another draws the same signals again, and learns less."""
    import spams

    X, start = X.T, start.T
    return lambda n: spams.trainDL(X, D=start, K=start.shape[1], lambda1=reg, mode=spams.PENALTY, iter=n, batchsize=size,
                                   iter_updateD=every, numThreads=threads, verbose=False).T  # fmt: skip


@dataclass
class Learner:
    learn: Callable
    package: str
    variants: list
    environment: dict = field(default_factory=dict)


LEARNERS = {
    "riata online": Learner(by_riata, "riata", [{"method": "online", "size": 500}, {"method": "online", "size": 200}]),
    "riata stochastic": Learner(by_riata, "riata", [{"method": "stochastic", "size": 500}, {"method": "stochastic", "size": 2000}]),
    "SPAMS": Learner(by_spams, "spams-bin", [{"size": 200, "every": 5}, {"size": 2000, "every": 1}], {"OPENBLAS_NUM_THREADS": "1"}),
    "scikit-learn": Learner(by_scikit_learn, "scikit-learn", [{"size": 500}], scikit_learn.ENVIRONMENT),
    "dictlearn": Learner(by_dictlearn, "dictlearn", [{"size": 500, "coder": "omp", "forgetting": 0.9},
                                                     {"size": 500, "coder": "fista", "forgetting": 0.8}]),
    "PyTorch": Learner(by_pytorch, "torch", [{"size": 500, "learning_rate": 0.1}, {"size": 500, "learning_rate": 0.03}],
                       layers.KEEP_PAGES),
}  # fmt: skip


def elapsed(call, *arguments):
    began = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - began, result


def by_batches(steps):
    """(seconds, dictionary) after every batch."""
    next(steps)
    seconds = 0.0
    while True:
        took, D = elapsed(next, steps)
        seconds += took
        yield seconds, D


def by_longer_runs(learn, cap):
    """(seconds, dictionary) of ever longer runs, the last of about the cap."""
    n = 8
    while True:
        seconds, D = elapsed(learn, n)
        yield seconds, D
        n = math.ceil(n * min(4 / 3 if seconds < cap / 8 else 2, max(1.05 * cap / seconds, 1.05)))


def curve(learn, asked, threads, cap, limit, variant):
    """[(seconds, value), ...] until the value is enough, or the limit, which is at most the cap."""
    X, start = asked.X.astype(np.float32), asked.start.astype(np.float32)
    steps = learn(X, start, asked.reg, threads, **variant)
    steps = by_batches(steps) if inspect.isgenerator(steps) else by_longer_runs(steps, cap)
    points, look = [], 0.0
    for seconds, D in steps:
        if seconds < min(look, limit):
            continue
        D = np.array(D, dtype=np.float64)
        points.append((seconds, asked.value(D / np.maximum(np.linalg.norm(D, axis=1, keepdims=True), 1e-12))))
        look = LOOK_EVERY * seconds
        if points[-1][1] > asked.enough or seconds >= limit:
            return points


def measure(name, setting, n_signals, seed, threads, cap):
    """Rows of the CSV."""
    import riata

    learner, asked, rows = LEARNERS[name], problem(setting, n_signals, seed), []
    limit = cap
    for variant in learner.variants:
        curve(learner.learn, asked, threads, cap, 0, variant)  # what compiles does so now
        points = curve(learner.learn, asked, threads, cap, limit, variant)
        if points[-1][1] > asked.enough:
            limit = min(limit, points[-1][0])
        told = " ".join(f"{key}={value}" for key, value in variant.items())
        question = setting, seed, name, told, version_of(learner.package) or riata.__version__, n_signals, threads, f"{cap:.3g}"
        rows += [dict(zip(COLUMNS, (*question, f"{seconds:.4g}", f"{value:.6g}"))) for seconds, value in points]
    return rows


def process(learner, threads):
    """One in the environment that suits the learner."""
    mine = dict(os.environ)
    theirs = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")} | learner.environment
    for name, value in theirs.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    pool.submit(os.getpid).result()  # it has started
    os.environ.clear()
    os.environ.update(mine)
    return pool


def read(path):
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(rows, path):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def curves_of(rows):
    """setting -> seed -> learner -> curves of its variants."""
    curves = {}
    key = operator.itemgetter("setting", "seed", "learner", "variant")
    for (setting, seed, learner, _), points in itertools.groupby(rows, key=key):
        points = [(float(row["seconds"]), float(row["value"])) for row in points]
        curves.setdefault(setting, {}).setdefault(seed, {}).setdefault(learner, []).append(points)
    return curves


def first(points, level):
    """Seconds to a value of `level`, between two looks by the logarithm of the time; infinity where it is not reached."""
    before = None
    for seconds, value in points:
        if value >= level:
            return seconds if before is None else before[0] * (seconds / before[0]) ** ((level - before[1]) / (value - before[1]))
        before = seconds, value
    return math.inf


def level_of(setting, learners):
    if setting != "patches":
        return ENOUGH
    return NEAR * max(value for variants in learners.values() for points in variants for _, value in points)


def best(variants, level):
    """Of the best variant: seconds to the level, value at the end, seconds there."""
    return min(((first(points, level), points[-1][1], points[-1][0]) for points in variants), key=lambda run: (run[0], -run[1]))


def gave_up(setting, seconds):
    """Was that before the cap?"""
    return seconds < 0.9 * CAPS[setting]


def cell(setting, seconds, value, last):
    if math.isfinite(seconds):
        return f"{seconds:.2g}"
    return f"({abs(value):.3g} at {last:.2g})" if gave_up(setting, last) else f"({abs(value):.3g})"


def is_ours(name):
    return name.startswith("riata")


def seconds_of(runs, ours):
    return min((seconds for name, (seconds, *_) in runs.items() if is_ours(name) == ours), default=math.inf)


def ours_so_far(path, setting, seed):
    """riata's seconds in the file, or infinity."""
    learners = curves_of(read(path)).get(setting, {}).get(str(seed), {})
    return seconds_of({name: best(variants, ENOUGH) for name, variants in learners.items()}, ours=True)


def ratio_of(seeds):
    """Of the fastest peer's time to riata's, the median of the seeds."""
    pairs = [(seconds_of(runs, ours=False), seconds_of(runs, ours=True)) for runs in seeds]
    if all(math.isinf(min(pair)) for pair in pairs):
        return "nobody"
    ratio = statistics.median_low(theirs / ours if math.isfinite(ours) else 0 for theirs, ours in pairs)
    return "only riata" if math.isinf(ratio) else f"{ratio:.3g}"


def table(curves):
    """The text, and whether the claim holds."""
    names = [name for name in LEARNERS if any(name in learners for seeds in curves.values() for learners in seeds.values())]
    lines, good, failures = [], True, dict.fromkeys(names, 0)
    for setting in [setting for setting in CAPS if setting in curves]:
        seeds = []
        for _, learners in sorted(curves[setting].items()):
            level = level_of(setting, learners)
            seeds.append({name: best(variants, level) for name, variants in learners.items()})
            ours, theirs = (seconds_of(seeds[-1], ours=side) for side in (True, False))
            good &= ours < theirs or math.isinf(theirs) or not any(map(is_ours, learners))
        cells = {name: [runs[name] for runs in seeds if name in runs] for name in names}
        for name, runs in cells.items():
            failures[name] += sum(math.isinf(seconds) and not gave_up(setting, last) for seconds, _, last in runs)
        told = [", ".join(cell(setting, *run) for run in cells[name]) for name in names]
        lines.append(f"| {setting} | " + " | ".join([*told, ratio_of(seeds)]) + " |")
    head = ["density, reg", *names, "fastest peer / riata"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *lines]
    lines.append("| failures | " + " | ".join(str(failures[name]) for name in names) + " | |")
    return "\n".join(lines), good


def plot(curves, path):
    """Score or objective against time; of the variants the best."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    settings = [setting for setting in CAPS if setting in curves]
    rows, columns = -(-len(settings) // 3), min(3, len(settings))
    figure, axes = plt.subplots(rows, columns, figsize=(12, 1 + 3 * rows), squeeze=False, layout="constrained")
    for panel, setting in itertools.zip_longest(axes.flat, settings):
        if setting is None:
            panel.set_axis_off()
            continue
        sign = -1 if setting == "patches" else 1
        for learners in curves[setting].values():
            level = level_of(setting, learners)
            panel.axhline(sign * level, color="black", lw=0.5, ls=":")
            for name, variants in learners.items():
                points = min(variants, key=lambda points: (first(points, level), -points[-1][1]))
                seconds, values = zip(*points)
                panel.plot(seconds, [sign * value for value in values], lw=1, color=f"C{list(LEARNERS).index(name)}", label=name)
        title = "patches, reg 0.1" if setting == "patches" else "density {}, reg {}".format(*setting.split(","))
        panel.set(xscale="log", xlabel="seconds", title=title,
                  ylabel="held-out objective" if setting == "patches" else "recovery score")  # fmt: skip
        if setting == "patches":
            panel.set_ylim(-level / NEAR * 0.998, -level / NEAR * 1.2)
    by_name = {line.get_label(): line for panel in axes.flat for line in panel.get_lines() if line.get_label() in LEARNERS}
    figure.legend(by_name.values(), by_name.keys(), ncols=len(by_name), loc="outside upper center")
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", nargs="+", default=list(CAPS), choices=list(CAPS), help="density,reg, or patches")
    parser.add_argument("--learners", nargs="+", default=list(LEARNERS), choices=list(LEARNERS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--signals", type=int, default=100_000)
    parser.add_argument("--cap", type=float, help="seconds after which nobody goes on (60, at density 0.3 and reg 0.1 150)")
    parser.add_argument("--give-up", type=float, default=math.inf, help="planted: go on for so many times what riata took at best so far")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only-tell", action="store_true", help="table and picture of what the CSV holds")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "results/latest.learners.csv")
    args = parser.parse_args()
    pools = {} if args.only_tell else {name: process(LEARNERS[name], args.threads) for name in args.learners}
    for setting, seed, name in itertools.product(args.settings, args.seeds, pools):
        cap = args.cap or CAPS[setting]
        if setting != "patches":
            cap = min(cap, max(1, args.give_up * ours_so_far(args.output, setting, seed)))
        try:
            measured = pools[name].submit(measure, name, setting, args.signals, seed, args.threads, cap).result()
        except Exception as failure:  # a peer that is not installed or fails stops nobody
            print(f"{setting}, seed {seed}, {name}: not measured: {failure!r}", file=sys.stderr, flush=True)
            continue
        rows = [row for row in read(args.output) if (row["setting"], row["seed"], row["learner"]) != (setting, str(seed), name)]
        write(rows + measured, args.output)
        print(f"{setting}, seed {seed}, {name}: measured", file=sys.stderr, flush=True)
    curves = curves_of(read(args.output))
    text, good = table(curves)
    print(f"seconds to a score of {ENOUGH}, of patches to within 0.5 % of the best objective, of each seed; in brackets what was "
          f"reached instead, and when, of those who gave up before the cap\n\n{text}")
    plot(curves, args.output.with_suffix(".png"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
