"""Measures riata beside its peers, case by case, in turns, and writes one JSON line per case and peer.

Times mean nothing without accuracy: every answer is judged by our own evaluator, and riata is set to the peer's accuracy or
better before the clock starts. docs/benchmarks.md tells how it is measured.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np

import report
from cases import CASES
from install import not_installed
from load import OtherLoad
from ours import OURS
from peers import CONTENDERS
from provenance import provenance, version_of
from ratios import summarise, verdict
from tasks import TASKS
from worker import ENOUGH, Failed, Worker

HERE = Path(__file__).resolve().parent
PAUSE = 0.05  # seconds in which threads that wait actively, the other side's, go to sleep
NOT_MEASURED = dict.fromkeys(
    ("ours_s", "peer_s", "ratio", "ratio_low", "ratio_high", "ours_rss_mb", "peer_rss_mb", "ours_error", "peer_error"))


def calibrated(ours, peer, case, threads, reference, n_signals):
    """riata set to its cheapest options whose answer is as good as the peer's, or to the tightest that there are."""
    task = TASKS[case.task]
    for options in task.options(case.dtype, peer):
        ready = ours.ask("prepare", case=case, contender=None, threads=threads, options=options, seconds_allowed=None)
        answer = ours.ask("answer", reference=reference, n_signals=n_signals)
        if task.matched(case.dtype, answer, peer):
            return ready, answer, True
    return ready, answer, False


def duel(workers, first, seconds_allowed):
    """Seconds per call, (rounds, 2): an even number of rounds, who begins alternates."""
    repeats = [max(1, math.ceil(ENOUGH / seconds)) for seconds in first]
    per_round = sum(r * s for r, s in zip(repeats, first))
    fewest = 2 if per_round < 2 * seconds_allowed else 1
    rounds = 2 * min(max(round(seconds_allowed / per_round / 2), fewest), 8)
    times = np.empty((rounds, 2))
    for k in range(rounds):
        for side in (0, 1) if k % 2 == 0 else (1, 0):
            time.sleep(PAUSE)
            times[k, side] = workers[side].ask("seconds", repeats=repeats[side])
    return times


def measure(case, contender, ours, reference, args):
    """What was measured of one case and peer. `ours` is riata's worker."""
    with Worker(contender.environment) as peer:
        ready = peer.ask("prepare", case=case, contender=contender.name, threads=args.threads, options={},
                         seconds_allowed=args.seconds / 8)
        theirs = peer.ask("answer", reference=reference, n_signals=case.n_signals)
        part = ready["n_signals"]
        set_up, answer, matched = calibrated(ours, theirs, case, args.threads, reference, part)
        load = OtherLoad([ours.pid, peer.pid])
        times = duel((ours, peer), (answer["seconds"], theirs["seconds"]), args.seconds)
        others = load.cores()
    row = summarise(times, scale=case.n_signals / part)
    row |= {"ours_options": set_up["options"], "ours_blas": set_up["blas"], "matched": matched,
            "extrapolated_from": part if part < case.n_signals else None, "peer_options": ready["options"],
            "peer_setup_s": ready["setup_s"], "peer_blas": ready["blas"], "other_load": others}
    for name in answer.keys() - {"seconds"}:
        row |= {f"ours_{name}": answer[name], f"peer_{name}": theirs[name]}
    return row


def rows_of(case, contenders, args):
    problem, origin, absent = case.problem(), provenance(), not_installed()
    reference = TASKS[case.task].reference(problem)
    common = {"case": case.name, **NOT_MEASURED, "threads": args.threads, "dtype": case.dtype, "seed": case.seed,
              "data": problem.digest()} | origin
    with Worker(OURS[case.task].environment) as ours:
        for contender in contenders:
            row = common | {"peer": contender.name, "peer_version": version_of(contender.package), "reason": None}
            try:
                if row["peer_version"] is None or contender.package in absent:
                    raise Failed(absent.get(contender.package, "not installed"))
                row |= measure(case, contender, ours, reference, args)
            except Failed as failure:
                row["reason"] = str(failure)
            yield row | {"verdict": verdict(row)}


def selected(args):
    for case in CASES:
        contenders = [c for c in CONTENDERS if c.task == case.task and case.dtype in c.dtypes
                      and (not args.peer or any(word.lower() in c.name.lower() for word in args.peer))]
        if contenders and (not args.case or any(word in case.name for word in args.case)):
            yield case, contenders


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", metavar="PART", help="only cases whose name holds PART; may be repeated")
    parser.add_argument("--peer", action="append", metavar="PART", help="only peers whose name holds PART; may be repeated")
    parser.add_argument("--list", action="store_true", help="the cases and peers, without running them")
    parser.add_argument("--seconds", type=float, default=3.0, help="that the rounds of one row last, about (default 3)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both sides (default: all cores)")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results/latest.jsonl")
    return parser.parse_args()


def main():
    args = arguments()
    if args.list:
        for case, contenders in selected(args):
            print(case.name, *(f"    {contender.name}" for contender in contenders), sep="\n")
        return
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with args.output.open("w") as file:
        for case, contenders in selected(args):
            for row in rows_of(case, contenders, args):
                file.write(json.dumps(row) + "\n")
                file.flush()
                print(report.sentence(row), flush=True)
    for path in (args.output, *report.write(args.output)):
        print(path)


if __name__ == "__main__":
    main()
