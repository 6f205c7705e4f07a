"""What is asked of both sides, how an answer is judged, and how riata is set to the accuracy of the peer."""

import numpy as np

from evaluate import (
    coupled_gradient, fista_gradient, ista_codes, lasso_certificate, relative_difference, relative_gap, step_gradient, suboptimality)


class Encode:
    """Lasso codes. error: largest relative duality gap; suboptimality: of the mean objective. Both are matched."""

    # Below these nobody is asked to be: rounding of the evaluation (double) or of the codes themselves (float).
    FLOORS = {"float64": {"error": 1e-12, "suboptimality": 1e-12}, "float32": {"error": 1e-6, "suboptimality": 1e-10}}

    def reference(self, problem):
        """Lower bounds of the optimal objectives, certified by the evaluator: dual values at very exact codes."""
        import riata

        X, D = problem.X.astype(np.float64), problem.D.astype(np.float64)
        objective, gap = lasso_certificate(X, D, riata.encode(X, D, problem.reg, tol=1e-13).codes, problem.reg)
        if relative_gap(X, gap) > 1e-11:
            raise RuntimeError(f"the reference has a relative gap of {relative_gap(X, gap):.0e}: no certificate")
        return objective - gap

    def errors(self, problem, codes, reference, n_signals):
        """Of the first n_signals."""
        X, codes = problem.X[:n_signals], codes[:n_signals]
        objective, gap = lasso_certificate(X, problem.D, codes, problem.reg)
        return {"error": relative_gap(X, gap), "suboptimality": suboptimality(objective, reference[:len(X)])}

    def matched(self, dtype, ours, peer):
        return all(ours[name] <= max(peer[name], floor) for name, floor in self.FLOORS[dtype].items())

    def options(self, dtype, peer):
        """Tolerances to try, from loose to tight, until the answer matches."""
        floor = self.FLOORS[dtype]["error"]
        tol = min(max(peer["error"], floor), 1e-2)
        while tol >= floor / 10:
            yield {"tol": tol}
            tol /= 4


class Coders(Encode):
    """Lasso codes whose largest relative duality gap is at most the one that is asked. Where the peer's is larger, because it
    cannot do better, both are compared there."""

    def __init__(self, gap):
        self.FLOORS = dict.fromkeys(("float32", "float64"), {"error": gap})

    def reference(self, problem):
        return None  # the gap is a certificate by itself

    def errors(self, problem, codes, reference, n_signals):
        X = problem.X[:n_signals]
        return {"error": relative_gap(X, lasso_certificate(X, problem.D, codes[:n_signals], problem.reg)[1])}


class Unrolled:
    """What N layers give, or its gradient by D. error: relative difference to the same in double. Nothing to tune: both
    round the same sums in another order, so riata's may be twice the peer's (kinks magnify rounding) or as the floor."""

    FLOORS = {"float64": 1e-12, "float32": 1e-5}

    def __init__(self, reference):
        self.reference = reference

    def errors(self, problem, answer, reference, n_signals):
        return {"error": relative_difference(answer, reference)}

    def matched(self, dtype, ours, peer):
        return ours["error"] <= max(2 * peer["error"], self.FLOORS[dtype])

    def options(self, dtype, peer):
        yield {}


TASKS = {"encode": Encode(), "gradient": Unrolled(fista_gradient), "inference": Unrolled(ista_codes),
         "step_lista": Unrolled(step_gradient), "coupled_lista": Unrolled(coupled_gradient)}


def task_of(case):
    return Coders(case.gap) if case.task == "coders" else TASKS[case.task]
