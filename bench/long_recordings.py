"""Recordings of hours: time and anonymous memory of `riata learn` and `riata encode` against the length.

64 channels at 256 Hz, 20 planted patterns of rank one and 1 s, 30 activations of each in a minute, noise of standard deviation 0.1, in float32
files of 59 MB for a quarter of an hour; learning by 100 mini-batches of the default method reads windows, coding to a gap of 1e-3 of 1/2 ||x||^2
holds the recording. Claims: learning takes the same memory for all lengths, to a tenth; coding is linear in the length, to a quarter;
an hour is coded in less than 1 GB.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RIATA = Path(__file__).resolve().parents[1] / "build" / "release" / "riata"
N_CHANNELS, RATE, N_ATOMS = 64, 256, 20


def record(path, minutes):
    rng = np.random.default_rng(0)
    out = np.lib.format.open_memmap(path, "w+", np.float32, (N_CHANNELS, minutes * 60 * RATE))
    u = rng.standard_normal((N_ATOMS, N_CHANNELS))
    v = np.sin(2 * np.pi * rng.uniform(2, 12, (N_ATOMS, 1)) * np.arange(RATE) / RATE) * np.hanning(RATE)
    u, v = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (u, v))
    minute = 60 * RATE
    for first in range(0, minutes * minute, minute):
        z = np.zeros((N_ATOMS, minute))
        for row in z:
            row[rng.choice(minute - RATE, 30)] = rng.uniform(0.5, 1.5, 30)
        courses = np.array([np.convolve(row, w)[:minute] for row, w in zip(z, v, strict=True)])
        out[:, first : first + minute] = u.T @ courses + 0.1 * rng.standard_normal((N_CHANNELS, minute))
    out.flush()


def run(*arguments):
    """Seconds, and the largest anonymous memory in MB."""
    start, peak = time.perf_counter(), 0.0
    process = subprocess.Popen([RIATA, *arguments, "--quiet"], env=os.environ | {"OMP_WAIT_POLICY": "passive"})
    while process.poll() is None:
        try:
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    peak = max(peak, int(line.split()[1]) / 1024)
        except OSError:
            pass
        time.sleep(0.02)
    if process.returncode:
        sys.exit(process.returncode)
    return time.perf_counter() - start, peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, nargs="+", default=[15, 60])
    parser.add_argument("--learn-only", type=int, nargs="*", default=[300], help="minutes, of files that are not coded")
    parser.add_argument("--threads", default="1")
    args = parser.parse_args()
    learned, coded = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/patterns.safetensors"
        for minutes in (*args.minutes, *args.learn_only):
            path = f"{folder}/recording.npy"
            record(path, minutes)
            same = ("--rate", str(RATE), "--n-threads", args.threads)
            learned[minutes] = run("learn", path, "--n-atoms", str(N_ATOMS), "--duration", "1s", "--max-iter", "100", "-o", model, *same)
            print("{} minutes, {:.0f} MB: learned in {:.1f} s and {:.0f} MB".format(minutes, os.path.getsize(path) / 1e6, *learned[minutes]), flush=True)
            if minutes in args.minutes:
                coded[minutes] = run("encode", path, "--model", model, "-o", f"{folder}/z.npz", "--tol", "1e-3", *same)
                print("    coded in {:.1f} s and {:.0f} MB".format(*coded[minutes]), flush=True)
    memory = [peak for _, peak in learned.values()]
    rates = [seconds / minutes for minutes, (seconds, _) in coded.items()]
    holds = max(memory) <= 1.1 * min(memory) and max(rates) <= 1.25 * min(rates) and all(peak < 1000 for minutes, (_, peak) in coded.items() if minutes <= 60)
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
