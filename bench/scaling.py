"""Time and memory of the gradient through 30 layers of FISTA against the number of signals, and two threads against one.

Claims: time ~ signals^p with p <= 1.05 from 10^3 signals to 10^6; memory beyond the inputs as flat as 64 MB; two threads at
least 1.8 times one. Exits with 1 if one of them does not hold. Every size runs in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys

import numpy as np

from ratios import summarise

N_FEATURES, N_ATOMS, LAYERS = 64, 256, 30


def call_of(n_signals, reg):
    """The gradient as a function of the number of threads."""
    import riata

    D = riata.datasets.gaussian_dictionary(N_FEATURES, N_ATOMS, dtype=np.float32)
    X = np.random.default_rng(0).standard_normal((n_signals, N_FEATURES), dtype=np.float32)
    X /= riata.reg_max(X, D)[:, np.newaxis]
    return lambda threads: riata.unrolled_gradient(X, D, reg, LAYERS, return_codes=False, n_threads=threads)


def child(n_signals, reg, threads, rounds):
    from worker import start_of_peak, status, timed

    call = call_of(n_signals, reg)
    if n_signals <= 100_000:
        call(threads[0])
    before = start_of_peak()
    call(threads[0])
    growth = (status("VmHWM") - before) / 1024
    orders = [threads if k % 2 == 0 else threads[::-1] for k in range(rounds)]
    seconds = [{t: timed(lambda t=t: call(t))[0] for t in order} for order in orders]
    print(json.dumps({"growth_mb": growth, "seconds": [[one[t] for t in threads] for one in seconds]}))


def measured(n_signals, reg, threads, rounds):
    """(growth of memory in MB, seconds of (rounds, threads))."""
    command = [sys.executable, __file__, "--child", json.dumps([n_signals, reg, threads, rounds])]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer["growth_mb"], np.array(answer["seconds"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=1_000_000, help="number of signals (default 10^6)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(*json.loads(args.child))

    cores, good = len(os.sched_getaffinity(0)), True
    sizes = [n for n in (1_000, 10_000, 100_000, 1_000_000) if n <= args.largest]
    print("| reg / reg_max | signals | microseconds per signal | growth of memory, MB |\n|---|---|---|---|")
    for reg in (0.1, 0.5):
        seconds, growths = [], []
        for n in sizes:
            growth, times = measured(n, reg, [cores], max(1, min(9, 300_000 // n)))
            seconds.append(np.median(times))
            growths.append(growth)
            print(f"| {reg} | {n} | {1e6 * seconds[-1] / n:.1f} | {growth:.1f} |", flush=True)
        power = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        both = summarise(measured(min(30_000, args.largest), reg, [cores, 1], 8)[1])
        print(f"\nreg {reg}: time ~ signals^{power:.3f}; {cores} threads are {both['ratio']:.2f} "
              f"[{both['ratio_low']:.2f}, {both['ratio_high']:.2f}] times as fast as one.\n", flush=True)
        good &= power <= 1.05 and max(growths) <= 64 and (cores != 2 or both["ratio"] >= 1.8)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
