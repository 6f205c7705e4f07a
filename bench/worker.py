"""One contender in one process of its own, commanded over a pipe: memory, thread pools and allocators of two libraries never
meet, each gets the environment that suits it, and the clock runs inside, around the call alone."""

import ctypes
import functools
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
        self._pipe, there = Pipe()
        self._patience, self._complaints = patience, tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(there.fileno())], pass_fds=[there.fileno()], start_new_session=True,
            env={name: value for name, value in (os.environ | environment).items() if value is not None},
            stdout=subprocess.DEVNULL, stderr=self._complaints)
        there.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.close()
        try:
            self._process.wait(timeout=10)  # it may have processes of its own to end
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self):
        return self._process.pid

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

    def load(self, case, problem):
        """Takes the data: both sides get the same bits, and none need load what made them."""
        self.case, self.whole = case, problem

    def prepare(self, contender, threads, options, seconds_allowed):
        """Loads the library, lays out the data, calls once on a few signals. Returns how it went."""
        from ours import OURS
        from peers import contender_named

        start = time.perf_counter()
        self.contender = OURS[self.case.task] if contender is None else contender_named(self.case.task, contender)
        self.problem, few_seconds = self.whole, None
        make = functools.partial(self.contender.prepare, threads=threads, **options)
        if not self.contender.compiles:
            few = self.whole.head(WARM_UP)
            warm_up = make(few, **self.contender.variants[0])
            warm_up()
            if self.contender.by_signal:
                self.problem = self.whole.head(max(WARM_UP, int(WARM_UP * seconds_allowed / timed(warm_up)[0])))
        self.call, variant = self._fastest(make)
        if len(self.problem.X) < len(self.whole.X):
            few_seconds = timed(make(few, **variant))[0]
        return {"setup_s": time.perf_counter() - start, "n_signals": len(self.problem.X), "options": options | variant,
                "few": WARM_UP, "few_seconds": few_seconds, "blas": blas_in_use()}

    def gap_of_few(self, contender, threads, options):
        """Of the answer to a few signals."""
        from peers import contender_named
        from tasks import task_of

        few, contender = self.whole.head(WARM_UP), contender_named(self.case.task, contender)
        codes = contender.answer(contender.prepare(few, threads=threads, **options)())
        return task_of(self.case).errors(few, codes, None, len(few.X))["error"]

    def _fastest(self, make):
        """The call, and the variant that made it."""
        calls = [(make(self.problem, **variant), variant) for variant in self.contender.variants]
        if self.contender.compiles or len(calls) > 1:
            for call, _ in calls:
                call()  # compiles, starts processes
        return min(calls, key=lambda pair: timed(pair[0])[0]) if len(calls) > 1 else calls[0]

    def answer(self, reference, n_signals):
        """Calls once: seconds, growth of memory in MB, and how good the answer is on the first n_signals."""
        from tasks import task_of

        before = start_of_peak()
        seconds, result = timed(self.call)
        growth = (status("VmHWM") - before) / 1024
        errors = task_of(self.case).errors(self.problem, self.contender.answer(result), reference, n_signals)
        return {"seconds": seconds, "rss_mb": growth, **errors}

    def seconds(self, repeats):
        """Seconds per call."""
        start = time.perf_counter()
        for _ in range(repeats):
            self.call()
        return (time.perf_counter() - start) / repeats


def timed(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field))


def start_of_peak():
    """Resident memory now, where the kernel's peak counter starts again; pages that an allocator kept do not count."""
    ctypes.CDLL(None).malloc_trim(0)
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
