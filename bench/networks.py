"""What the guards of Network.encode cost beside the plain network, and the certified coder beside a network, in turns.

Claims: with the safeguard at most 2.2 times the plain network, certified at most 1.3 times, from 10 layers on (medians of the
rounds' ratios). Exits with 1 if one of them does not hold.
"""

import argparse
import os
import sys

import numpy as np

from cases import unit_reg_max
from ratios import summarise
from worker import timed

N_FEATURES, N_ATOMS = 64, 256
KINDS = "lista coupled tied alista step hessian first_step facnet iht lamp group fista".split()
MOST = {"safeguard": 2.2, "certify": 1.3}


def in_turns(ours, theirs, rounds):
    """Both called once, then the seconds of `rounds` rounds; who begins alternates."""
    ours(), theirs()
    seconds = np.empty((rounds, 2))
    for k in range(rounds):
        for side in (0, 1) if k % 2 == 0 else (1, 0):
            seconds[k, side] = timed((ours, theirs)[side])[0]
    return summarise(seconds)


def band(row):
    return f"{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--layers", type=int, nargs="+", default=[10, 20])
    parser.add_argument("--regs", type=float, nargs="+", default=[0.1, 0.5, 0.8])
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    import riata

    X, D = (A.astype(args.dtype) for A in unit_reg_max(args.signals, N_FEATURES, N_ATOMS, seed=0))
    threads, good = {"n_threads": args.threads}, True

    print("times the plain network\n\n| kind | layers | reg | safeguard | certify |\n|---|---|---|---|---|")
    for kind in args.kinds:
        for layers in args.layers:
            net = riata.Network(kind, D, layers, groups=np.arange(N_ATOMS) // 4 if kind == "group" else None)
            for reg in args.regs:
                rows = {guard: in_turns(lambda: net.encode(X, reg, **threads), lambda g=guard: net.encode(X, reg, **{g: True}, **threads),
                                        args.rounds) for guard in MOST}  # fmt: skip
                good &= layers < 10 or all(rows[guard]["ratio"] <= most for guard, most in MOST.items())
                print(f"| {kind} | {layers} | {reg} | {band(rows['safeguard'])} | {band(rows['certify'])} |", flush=True)

    print("\ncertified coder (relative gap 1e-6): seconds, and how many times as long the network takes\n")
    print("| reg | kind | layers | coder, ms | network, ms | network / coder |\n|---|---|---|---|---|---|")
    for reg in args.regs:
        for kind in [kind for kind in args.kinds if kind in ("step", "coupled", "lista")]:
            for layers in args.layers:
                net = riata.Network(kind, D, layers)
                row = in_turns(lambda: riata.encode(X, D, reg, **threads), lambda: net.encode(X, reg, **threads), args.rounds)
                print(f"| {reg} | {kind} | {layers} | {1e3 * row['ours_s']:.0f} | {1e3 * row['peer_s']:.0f} | {band(row)} |", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
