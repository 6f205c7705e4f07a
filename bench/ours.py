"""riata's side of every task."""

from contender import Contender


def encode(problem, threads, tol=1e-6):
    import riata

    return lambda: riata.encode(problem.X, problem.D, problem.reg, tol=tol, n_threads=threads).codes


OURS = {contender.task: contender for contender in (
    Contender("riata encode", "encode", encode, "riata"),
)}
