"""riata's side of every task."""

import numpy as np

from contender import Contender


def encode(problem, threads, tol=1e-6):
    import riata

    return lambda: riata.encode(problem.X, problem.D, problem.reg, tol=tol, n_threads=threads).codes


def gradient(problem, threads):
    import riata

    return lambda: riata.unrolled_gradient(problem.X, problem.D, problem.reg, problem.layers, lipschitz=problem.lipschitz,
                                           wrt="dictionary", return_codes=False, n_threads=threads).gradient


def inference(problem, threads):
    import riata

    if len(problem.X) == 1:  # as PyTorch's weights, prepared before the clock
        encoder = riata.UnrolledEncoder(problem.D, problem.layers, method="ista", steps=problem.steps, lipschitz=problem.lipschitz)
        return lambda: encoder.encode(problem.X[0], problem.reg)[np.newaxis]
    return lambda: riata.unrolled_encode(problem.X, problem.D, problem.reg, problem.layers, method="ista", steps=problem.steps,
                                         lipschitz=problem.lipschitz, n_threads=threads)


OURS = {prepare.__name__: Contender(f"riata {prepare.__name__}", prepare.__name__, prepare, "riata")
        for prepare in (encode, gradient, inference)}
