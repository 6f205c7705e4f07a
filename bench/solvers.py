"""Coordinate descent against the path: where method="auto" of encode() has its rule from (docs/choosing_a_solver.md).

CPU seconds per signal on one thread, over dictionaries, sizes, reg and tolerances, and what the rule loses.
"""

import argparse
import csv
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402: after the number of threads

import riata  # noqa: E402
import signals  # noqa: E402

WHERE_EQUAL = 26  # of src/riata/solvers/batch_encoder.cpp
SHAPES = [("gaussian", 64, 256), ("gaussian", 64, 1024), ("gaussian", 100, 200), ("gaussian", 128, 512), ("gaussian", 200, 1000),
          ("gaussian", 256, 512), ("gaussian", 400, 400), ("patches", 64, 256), ("patches", 144, 512), ("patches", 256, 1024),
          ("learned", 64, 256), ("learned", 144, 288), ("digits", 64, 256), ("nonnegative", 64, 128), ("nonnegative", 128, 256),
          ("nonnegative", 256, 512), ("cumulative_sum", 128, 128), ("cumulative_sum", 512, 512)]
FRACTIONS, TOLERANCES = (0.6, 0.3, 0.1, 0.05, 0.01), (1e-3, 1e-6)
COLUMNS = ("signals", "n_features", "n_atoms", "coherence", "fraction", "tol", "nonzeros", "cd_ms", "lars_ms", "ratio", "loss")


def milliseconds(call, n_signals):
    """Per signal, the quickest of three calls."""
    times = []
    for _ in range(3):
        start = time.process_time()
        result = call()
        times.append(time.process_time() - start)
    return 1e3 * min(times) / n_signals, result


def coherence(D):
    """The square root of the mean squared cosine between two atoms."""
    D = D / np.linalg.norm(D, axis=1, keepdims=True)
    return float(np.sqrt(np.mean((D @ D.T) ** 2)))


def rows(n_signals):
    for name, n_features, n_atoms in SHAPES:
        X, D = (np.ascontiguousarray(A, dtype=float) for A in getattr(signals, name)(n_signals, n_features, n_atoms, 0))
        X, mu = X[:n_signals], coherence(D)
        for fraction in FRACTIONS:
            reg = f"{fraction}max"
            lars, path = milliseconds(lambda: riata.encode(X, D, reg, method="lars", n_threads=1), len(X))
            for tol in TOLERANCES:
                cd, _ = milliseconds(lambda: riata.encode(X, D, reg, method="cd", tol=tol, n_threads=1), len(X))
                chosen = lars if fraction * np.sqrt(n_atoms) < WHERE_EQUAL * mu else cd
                yield dict(zip(COLUMNS, (name, n_features, n_atoms, mu, fraction, tol, np.count_nonzero(path.codes) / len(X),
                                         cd, lars, cd / lars, chosen / min(cd, lars))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-signals", type=int, default=200, help="of each shape (default 200)")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "results/solvers.csv")
    args = parser.parse_args()
    measured = []
    with args.output.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for row in rows(args.n_signals):
            measured.append(row["loss"])
            row = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()}
            table.writerow(row)
            print("{signals} {n_features} in {n_atoms}, reg {fraction} reg_max, tol {tol}: cd {cd_ms} ms, lars {lars_ms} ms, "
                  "{ratio}".format(**row), flush=True)
    loss = np.array(measured)
    print(f"the rule costs {loss.mean():.3f} times the better of the two in the mean, {loss.max():.2f} at worst, more than 1.25 in "
          f"{np.sum(loss > 1.25)} of {len(loss)}\n{args.output}")


if __name__ == "__main__":
    sys.exit(main())
