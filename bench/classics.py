"""K-SVD, approximate K-SVD and MOD beside dictlearn's, seconds per iteration, in turns, from the same start.

50 000 signals of 256 features, each of 5 of 1 024 Gaussian atoms and noise of standard deviation 0.02; 5 atoms to a code. After as
many iterations both dictionaries code the signals by the same pursuit. The rounds go ours, theirs, theirs, ours, ...; the first is
dropped. Claim: riata is at least ten times faster, and its error at most 1.001 of dictlearn's. Exits with 1 if it does not hold.
"""

import argparse
import os
import statistics
import sys
import time

import numpy as np

from signals import normalised

N_FEATURES, N_ATOMS, N_NONZERO = 256, 1024, 5
METHODS = ("aksvd", "ksvd", "mod")
LEAST_RATIO, MOST_ERROR = 10, 1.001


def problem(n_signals, dtype, seed):
    rng = np.random.default_rng(seed)
    D = normalised(rng.standard_normal((N_ATOMS, N_FEATURES)))
    X = 0.02 * rng.standard_normal((n_signals, N_FEATURES))
    for _ in range(N_NONZERO):
        X += rng.standard_normal((n_signals, 1)) * D[rng.integers(0, N_ATOMS, n_signals)]
    start = normalised(X[rng.choice(n_signals, N_ATOMS, replace=False)])
    return X.astype(dtype), start.astype(dtype)


def by_riata(X, start, method, n_iter, threads):
    import riata

    return riata.learn_dictionary(X, N_ATOMS, method=method, n_nonzero=N_NONZERO, init=start, max_iter=n_iter, replace_atoms=False,
                                  n_threads=threads).dictionary  # fmt: skip


def by_dictlearn(X, start, method, n_iter, threads):
    from dictlearn import DictionaryLearning

    model = DictionaryLearning(N_ATOMS, fit_algorithm=method, n_nonzero_coefs=N_NONZERO, max_iter=n_iter, dict_init=start,
                               replace_unused_atoms="no", random_state=0)  # fmt: skip
    return model.fit(X).components_


def error(X, D):
    import riata

    D = np.ascontiguousarray(D, dtype=X.dtype)
    return float(np.sqrt(np.mean((X - riata.omp(X, D, n_nonzero=N_NONZERO).codes @ D) ** 2)))


def seconds(learn, *arguments):
    began = time.perf_counter()
    D = learn(*arguments)
    return time.perf_counter() - began, D


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", type=int, default=50_000)
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4, help="that count")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--dtypes", nargs="+", default=["float64", "float32"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    by_dictlearn(*problem(1500, "float64", 1), "aksvd", 1, args.threads)  # numba compiles
    good = True
    print("| method | signals | precision | riata, s per iteration | dictlearn | ratio | riata's error over dictlearn's |\n|---|---|---|---|---|---|---|")
    for method in args.methods:
        n_signals, n_iter = args.signals, args.iterations
        for dtype in args.dtypes:
            X, start = problem(n_signals, dtype, 0)
            rounds = []
            for k in range(args.rounds + 1):
                took, found = {}, {}
                for learn in (by_riata, by_dictlearn) if k % 2 == 0 else (by_dictlearn, by_riata):
                    took[learn], found[learn] = seconds(learn, X, start, method, n_iter, args.threads)
                rounds.append((took[by_riata] / n_iter, took[by_dictlearn] / n_iter))
            rounds = rounds[1:]
            ratios, errors = sorted(b / a for a, b in rounds), error(X, found[by_riata]) / error(X, found[by_dictlearn])
            ours, theirs = (statistics.median(times) for times in zip(*rounds))
            ratio = statistics.median(ratios)
            good &= ratio >= LEAST_RATIO and errors <= MOST_ERROR
            print(f"| {method} | {n_signals} | {dtype} | {ours:.3g} | {theirs:.3g} | {ratio:.1f} [{ratios[0]:.1f}, {ratios[-1]:.1f}] | {errors:.6f} |",
                  flush=True)  # fmt: skip
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
