"""One contender in one process of its own, commanded over a pipe: memory, thread pools and allocators of two libraries never
meet, each gets the environment that suits it, and the clock runs inside, around the call alone."""

import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection, Pipe

ENOUGH = 0.2  # seconds that one timing lasts at least
WARM_UP = 64  # signals of the first call, which loads code and starts threads


class Failed(Exception):
    """A contender that could not be run, with the reason."""


class Worker:
    """The commanding end."""

    def __init__(self, environment, patience=300):
        here, there = Pipe()
        self._patience, self._pipe, self._complaints = patience, here, tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(there.fileno())], pass_fds=[there.fileno()], env=os.environ | environment,
            stdout=subprocess.DEVNULL, stderr=self._complaints)
        there.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.close()
        self._process.kill()
        self._process.wait()

    def ask(self, command, **arguments):
        """What the worker's function of that name returns; raises Failed."""
        try:
            self._pipe.send((command, arguments))
            if not self._pipe.poll(self._patience):
                raise Failed(f"{command}: no answer within {self._patience} s")
            good, reply = self._pipe.recv()
        except (EOFError, OSError):
            self._complaints.seek(0)
            last = ([line.strip() for line in self._complaints if line.strip()] or ["nothing said"])[-1]
            raise Failed(f"{command}: the process ended with {self._process.wait()}: {last}") from None
        if not good:
            raise Failed(f"{command}: {reply}")
        return reply


class Runner:
    """The obeying end: each public method is a command."""

    def prepare(self, case, contender, threads, options, seconds_allowed):
        """Loads the library, lays out the data, calls once on a few signals. Returns how it went."""
        from cases import case_named
        from peers import contender_named
        from ours import OURS

        self.case = case_named(case)
        self.contender = OURS[self.case.task] if contender is None else contender_named(contender)
        self.problem = self.case.problem()
        start = time.perf_counter()
        call = lambda problem: self.contender.prepare(problem, threads, **options)  # noqa: E731
        if self.contender.compiles:
            self.call = call(self.problem)
            self.call()
        else:
            call(self.problem.head(WARM_UP))()
            if self.contender.by_signal:
                self.problem = self.problem.head(self._affordable(call(self.problem.head(WARM_UP)), seconds_allowed))
            self.call = call(self.problem)
        return {"setup_s": time.perf_counter() - start, "n_signals": len(self.problem.X), "blas": blas_in_use()}

    def _affordable(self, call, seconds_allowed):
        start = time.perf_counter()
        call()
        return max(WARM_UP, int(seconds_allowed * WARM_UP / (time.perf_counter() - start)))

    def answer(self, reference, n_signals):
        """Calls once; returns the growth of anonymous memory meanwhile, in MB, the seconds, and how good the answer is on the
        first n_signals."""
        from tasks import TASKS

        before = start_of_peak()
        start = time.perf_counter()
        result = self.call()
        seconds = time.perf_counter() - start
        growth = (status("VmHWM") - before) / 1024
        answer = self.contender.answer(result)[:n_signals] if self.case.task == "encode" else self.contender.answer(result)
        return {"rss_mb": growth, "seconds": seconds, **TASKS[self.case.task].errors(self.problem.head(n_signals), answer, reference)}

    def seconds(self, repeats):
        """Seconds per call."""
        start = time.perf_counter()
        for _ in range(repeats):
            self.call()
        return (time.perf_counter() - start) / repeats


def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field))


def start_of_peak():
    """Resident memory now, where the kernel's peak counter starts again."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return status("VmRSS")


def blas_in_use():
    """Which BLAS libraries are loaded, and the kernels they chose for this processor."""
    from threadpoolctl import threadpool_info

    return sorted({f"{i['internal_api']} {i['version']} {i.get('architecture', '')}".strip()
                   for i in threadpool_info() if i["user_api"] == "blas"})


def main():
    pipe, runner = Connection(int(sys.argv[1])), Runner()
    while True:
        try:
            command, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, getattr(runner, command)(**arguments)))
        except Exception as error:  # whatever a peer throws is its row's reason
            pipe.send((False, f"{type(error).__name__}: {error}".strip().splitlines()[0]))


if __name__ == "__main__":
    main()
