"""What is asked of both sides, how an answer is judged, and how riata is set to the accuracy of the peer."""

import numpy as np

from evaluate import lasso_certificate, relative_gap, suboptimality

# Below these nobody is asked to be: rounding of the evaluation (double) or of the codes themselves (float).
FLOORS = {"float64": {"error": 1e-12, "suboptimality": 1e-12}, "float32": {"error": 1e-6, "suboptimality": 1e-10}}


class Encode:
    """Lasso codes. error: largest relative duality gap; suboptimality: of the mean objective. Both are matched."""

    def reference(self, problem):
        """Lower bounds of the optimal objectives, certified by the evaluator: dual values at very exact codes."""
        import riata

        X, D = problem.X.astype(np.float64), problem.D.astype(np.float64)
        objective, gap = lasso_certificate(X, D, riata.encode(X, D, problem.reg, tol=1e-13).codes, problem.reg)
        if relative_gap(X, gap) > 1e-11:
            raise RuntimeError(f"the reference has a relative gap of {relative_gap(X, gap):.0e}: no certificate")
        return objective - gap

    def errors(self, problem, codes, reference):
        objective, gap = lasso_certificate(problem.X, problem.D, codes, problem.reg)
        return {"error": relative_gap(problem.X, gap), "suboptimality": suboptimality(objective, reference[:len(codes)])}

    def matched(self, dtype, ours, peer):
        return all(ours[name] <= max(peer[name], floor) for name, floor in FLOORS[dtype].items())

    def options(self, dtype, peer):
        """Tolerances to try, from loose to tight, until the answer matches."""
        tol = min(max(peer["error"], FLOORS[dtype]["error"]), 1e-2)
        while tol >= FLOORS[dtype]["error"] / 10:
            yield {"tol": tol}
            tol /= 4


TASKS = {"encode": Encode()}
