"""The prox of total variation in one dimension: riata.prox_tv beside proxTV, whose interface is one call per signal.

Signals: blocks of random heights, ten in 250 samples, and white noise of standard deviation 0.5; 10 000 of 250 samples, and one of a million.
proxTV's time is that of its fastest method for each weight (hybrid taut string, Condat's, dynamic programming). Both in double, riata on
--threads threads; the results agree to 1e-9 of the largest value. Claims: 3 times as fast on many signals; the ratio on the long one, which is below one, is
told.
"""

import argparse
import statistics
import sys
import time

import numpy as np

CLAIM = 3
METHODS = ("hybridtautstring", "condat", "dp")


def signals(n, length, seed):
    rng = np.random.default_rng(seed)
    heights = rng.standard_normal((n, max(1, length // 25)))
    return np.repeat(heights, -(-length // heights.shape[1]), axis=1)[:, :length] + 0.5 * rng.standard_normal((n, length))


def seconds(run, rounds):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def main():
    import prox_tv

    import riata

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    holds = True
    for n, length in ((10_000, 250), (1, 1_000_000)):
        Y = signals(n, length, args.seed)
        for weight in (0.1, 0.5, 2.0, 20.0):
            best = {}
            for method in METHODS:
                best[method] = min(seconds(lambda: [prox_tv.tv1_1d(y, weight, method=method) for y in Y], 1))
            method = min(best, key=best.get)
            theirs, ours = [], []
            for _ in range(args.rounds):
                theirs += seconds(lambda: [prox_tv.tv1_1d(y, weight, method=method) for y in Y], 1)
                ours += seconds(lambda: riata.prox_tv(Y, weight, n_threads=args.threads), 1)
            one = min(seconds(lambda: riata.prox_tv(Y, weight, n_threads=1), args.rounds))
            off = np.abs(riata.prox_tv(Y[:100], weight) - [prox_tv.tv1_1d(y, weight, method="dp") for y in Y[:100]]).max()
            ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
            print(f"{n} x {length}, weight {weight}: proxTV ({method}) {statistics.median(theirs) / Y.size * 1e9:.1f} ns a sample, riata "
                  f"{statistics.median(ours) / Y.size * 1e9:.1f} on {args.threads} threads and {one / Y.size * 1e9:.1f} on one: "
                  f"{statistics.median(ratios):.1f} times [{min(ratios):.1f}, {max(ratios):.1f}], differ by {off:.1e}", flush=True)  # fmt: skip
            holds &= off <= 1e-9 * np.abs(Y).max() and (n == 1 or statistics.median(ratios) >= CLAIM)
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
