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
from ours import METHODS, OURS
from peers import CONTENDERS
from provenance import provenance, version_of
from ratios import extrapolation, summarise, verdict
from tasks import task_of
from worker import ENOUGH, Failed, Worker

HERE = Path(__file__).resolve().parent
ALLOWED = 8  # calls fit into the time of the rounds, or of the cap where a gap is asked
USELESS = 1e-2  # relative gap above which there is nothing to compare with
PAUSE = 0.05  # seconds in which threads that wait actively, the other side's, go to sleep
NOT_MEASURED = dict.fromkeys(
    ("ours_s", "peer_s", "ratio", "ratio_low", "ratio_high", "ours_rss_mb", "peer_rss_mb", "ours_error", "peer_error"))


class Ours:
    """riata's worker, and what it answered at which options."""

    def __init__(self, worker, case, threads, reference):
        self.worker, self._case, self._threads, self._reference = worker, case, threads, reference
        self._options, self._known = None, {}

    def at(self, options, n_signals):
        """(how it went, answer) of the worker set to these options."""
        if options != self._options:
            self._ready = self.worker.ask("prepare", contender=None, threads=self._threads, options=options,
                                          seconds_allowed=None)
            self._options = options
        key = (*options.items(), n_signals)
        if key not in self._known:
            self._known[key] = self.worker.ask("answer", reference=self._reference, n_signals=n_signals)
        return self._ready, self._known[key]

    def calibrated(self, peer, n_signals):
        """riata set to its cheapest options whose answer is as good as the peer's, or to the tightest that there are."""
        task = task_of(self._case)
        for options in task.options(self._case.dtype, peer):
            ready, answer = self.at(options, n_signals)
            if task.matched(self._case.dtype, answer, peer):
                return ready, answer, True
        return ready, answer, False


def first_that_reaches(gap, settings, gap_of, seconds):
    """Index of the first of the settings, from quick to exact, whose answer has the gap: in steps that double until one has it,
    then by bisection, since far too exact a setting may take forever. If none has it, the first that comes within twice the
    smallest gap; if the seconds are over, the best of those tried."""
    low, high, step, bracketed = 0, len(settings), 1, False
    gaps, deadline = {}, time.monotonic() + seconds
    while low < high and (not gaps or time.monotonic() < deadline):
        k = (low + high) // 2 if bracketed else min(low + step - 1, high - 1)
        gaps[k], step = gap_of(settings[k]), 2 * step
        low, high, bracketed = (low, k, True) if gaps[k] <= gap else (k + 1, high, bracketed)
    if min(gaps.values()) > gap and time.monotonic() < deadline:
        return first_that_reaches(2 * min(gaps.values()), settings, gap_of, deadline - time.monotonic())
    return min(gaps, key=lambda k: (max(gaps[k], gap), k))


def at_its_best(peer, case, contender, args, reference):
    """The peer set to the accuracy that is asked, if one is, or as close as it gets: (how it went, answer)."""
    settings, first = contender.settings(case.gap), 0
    if len(settings) > 1:
        first = first_that_reaches(case.gap, settings, lambda options: peer.ask(
            "gap_of_few", contender=contender.name, threads=args.threads, options=options), args.cap / 4)
    allowed = args.seconds / ALLOWED if case.gap is None else args.cap / 4 / ALLOWED
    deadline = time.monotonic() + args.cap / 2
    for options in settings[first:]:  # the few that were tried may have been easy ones
        ready = peer.ask("prepare", contender=contender.name, threads=args.threads, options=options, seconds_allowed=allowed)
        theirs = peer.ask("answer", reference=reference, n_signals=case.n_signals)
        if case.gap is None or theirs["error"] <= case.gap or time.monotonic() > deadline:
            break
    if case.gap is not None and theirs["error"] > max(case.gap, USELESS):
        raise Failed(f"its relative gap is {theirs['error']:.0e}, {case.gap:.0e} was asked")
    return ready, theirs


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


def measure(case, problem, contender, ours, reference, args):
    """What was measured of one case and peer. `ours` is riata's worker."""
    with Worker(contender.environment, 300 if case.gap is None else 3 * args.cap) as peer:
        peer.ask("load", case=case, problem=problem)
        ready, theirs = at_its_best(peer, case, contender, args, reference)
        part = ready["n_signals"]
        set_up, answer, matched = ours.calibrated(theirs, part if case.gap is None else case.n_signals)
        load = OtherLoad([ours.worker.pid, peer.pid])
        scale = 1.0 if part == case.n_signals else extrapolation(
            case.n_signals, part, theirs["seconds"], ready["few"], ready["few_seconds"])
        hopeless = case.gap is not None and theirs["seconds"] * scale > 8 * answer["seconds"]
        seconds = args.seconds / 4 if hopeless else args.seconds
        times = duel((ours.worker, peer), (answer["seconds"], theirs["seconds"]), seconds)
        others = load.cores()
    row = summarise(times, scale)
    row |= {"ours_options": set_up["options"], "ours_blas": set_up["blas"], "matched": matched,
            "extrapolated_from": part if part < case.n_signals else None, "peer_options": ready["options"],
            "peer_setup_s": ready["setup_s"], "peer_blas": ready["blas"], "other_load": others}
    for name in answer.keys() - {"seconds"}:
        row |= {f"ours_{name}": answer[name], f"peer_{name}": theirs[name]}
    return row


def rows_of(case, contenders, args):
    problem, origin, absent = case.problem(), provenance(), not_installed()
    reference = task_of(case).reference(problem)
    common = {"case": case.name, **NOT_MEASURED, "threads": args.threads, "dtype": case.dtype, "seed": case.seed,
              "gap": case.gap, "data": problem.digest()} | origin
    with Worker(OURS[case.task].environment) as worker:
        worker.ask("load", case=case, problem=problem)
        ours = Ours(worker, case, args.threads, reference)
        for contender in contenders:
            row = common | {"peer": contender.name, "peer_version": version_of(contender.package), "reason": None,
                            "own": contender in METHODS}
            try:
                if not row["own"] and (row["peer_version"] is None or contender.package in absent):
                    raise Failed(absent.get(contender.package, "not installed"))
                row |= measure(case, problem, contender, ours, reference, args)
            except Failed as failure:
                row["reason"] = str(failure)
            yield row | {"verdict": verdict(row)}


def selected(args):
    for case in CASES:
        contenders = [c for c in (*CONTENDERS, *METHODS) if c.task == case.task and case.dtype in c.dtypes
                      and (not args.peer or any(word.lower() in c.name.lower() for word in args.peer))]
        if contenders and (not args.case or any(word in case.name for word in args.case)):
            yield case, contenders


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", metavar="PART", help="only cases whose name holds PART; may be repeated")
    parser.add_argument("--peer", action="append", metavar="PART", help="only peers whose name holds PART; may be repeated")
    parser.add_argument("--list", action="store_true", help="the cases and peers, without running them")
    parser.add_argument("--seconds", type=float, default=3.0, help="that the rounds of one row last, about (default 3)")
    parser.add_argument("--cap", type=float, default=20.0, help="seconds of a peer's calls in a row where a gap is asked, "
                        "about (default 20); it codes a part of the signals then")
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
