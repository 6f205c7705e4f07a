"""Measures riata beside its peers, in one process, in turns, and writes JSON lines.

For now one case: sparse codes by coordinate descent, riata.encode against scikit-learn's sparse_encode
(algorithm "lasso_cd"). The two take turns and the ratio of each round (peer's time / riata's) is what counts, so a machine that
slows down slows both. Times mean nothing without accuracy: the gap of both answers is recomputed here by the same code.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.decomposition import sparse_encode
from sklearn.exceptions import ConvergenceWarning

import riata

HERE = Path(__file__).resolve().parent


def relative_gap(X, D, Z, reg):
    """Largest duality gap over the signals, relative to 1/2 ||x||^2; from the definition, in double."""
    X, D, Z = (np.asarray(A, dtype=np.float64) for A in (X, D, Z))
    R = X - Z @ D
    primal = 0.5 * np.sum(R**2, axis=1) + reg * np.abs(Z).sum(axis=1)
    scale = np.minimum(1.0, reg / np.maximum(np.abs(R @ D.T).max(axis=1), 1e-300))
    theta = scale[:, None] * R
    half = 0.5 * np.sum(X**2, axis=1)
    dual = half - 0.5 * np.sum((X - theta) ** 2, axis=1)
    return float(np.max((primal - dual) / half))


def problem(n_signals, n_features, n_atoms, fraction, dtype, seed=0):
    """Unit-norm Gaussian atoms, Gaussian signals; reg is a fraction of the largest reg_max."""
    rng = np.random.default_rng(seed)
    D = rng.standard_normal((n_atoms, n_features))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    X = rng.standard_normal((n_signals, n_features))
    reg = fraction * float(np.median(np.abs(X @ D.T).max(axis=1)))
    return X.astype(dtype), D.astype(dtype), reg


def timed(function):
    start = time.perf_counter()
    codes = function()
    return time.perf_counter() - start, codes


def scikit_learn_codes(X, D, reg, max_iter, n_threads):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its accuracy is measured, not believed
        return sparse_encode(X, D, algorithm="lasso_cd", alpha=reg, max_iter=max_iter, n_jobs=n_threads, check_input=False)


def measure(case, rounds, n_threads):
    """Both in turns. riata is asked for the accuracy that the peer's answer turned out to have."""
    X, D, reg = problem(**case)
    peer = lambda: scikit_learn_codes(X, D, reg, 10_000, n_threads)  # noqa: E731
    peer_error = relative_gap(X, D, peer(), reg)
    tol = min(max(peer_error, 1e-12), 1e-4)
    ours = lambda: riata.encode(X, D, reg, tol=tol, n_threads=n_threads).codes  # noqa: E731
    ours()  # threads, pages and code are warm for both
    times = np.empty((rounds, 2))
    codes = {}
    for k in range(rounds):
        order = [(0, ours), (1, peer)] if k % 2 == 0 else [(1, peer), (0, ours)]
        for column, function in order:
            times[k, column], codes[column] = timed(function)
    ratio = times[:, 1] / times[:, 0]
    low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9])
    name = f"encode {case['n_signals']} x {case['n_features']}, {case['n_atoms']} atoms, reg {case['fraction']} of the median reg_max"
    return {
        "case": name, "peer": "scikit-learn sparse_encode lasso_cd", "peer_version": importlib.metadata.version("scikit-learn"),
        "ours_s": float(np.median(times[:, 0])), "peer_s": float(np.median(times[:, 1])), "ratio": float(middle),
        "ratio_low": float(low), "ratio_high": float(high), "ours_error": relative_gap(X, D, codes[0], reg),
        "peer_error": peer_error, "threads": n_threads, "dtype": case["dtype"], "rounds": rounds,
    }


def provenance():
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")] \
        if cpuinfo.exists() else []
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "scikit-learn")}
    return {"commit": commit.stdout.strip() or None, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "processor": names[0] if names else platform.processor(), "python": platform.python_version(), **versions}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results/latest.jsonl")
    args = parser.parse_args()

    cases = [dict(n_signals=n, n_features=64, n_atoms=256, fraction=fraction, dtype=dtype)
             for dtype in ("float64", "float32") for fraction, n in ((0.1, 1000), (0.5, 4000))]
    args.output.parent.mkdir(parents=True, exist_ok=True)
    origin = provenance()
    with args.output.open("w") as file:
        for case in cases:
            r = measure(case, args.rounds, args.threads)
            file.write(json.dumps(r | origin) + "\n")
            print(f"{r['case']}, {r['dtype']}, {r['threads']} threads: riata {r['ours_s']:.3f} s, scikit-learn "
                  f"{r['peer_s']:.3f} s, ratio {r['ratio']:.1f} [{r['ratio_low']:.1f}, {r['ratio_high']:.1f}], "
                  f"largest relative gap {r['ours_error']:.0e} / {r['peer_error']:.0e}", flush=True)
    print(args.output)


if __name__ == "__main__":
    main()
