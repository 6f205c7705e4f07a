"""SPAMS: signals and atoms are columns in Fortran order, which our rows already are; codes come as a sparse matrix.

Its loop over signals is threaded by OpenMP and calls BLAS, so BLAS must have one thread: with a threaded OpenBLAS of pthreads
it is up to ten times slower. `lasso` is the exact path (LARS); `cd` is coordinate descent with a tolerance of its own.
"""

from contender import Contender, tolerances

REQUIREMENT = "spams-bin"


def lasso(problem, threads):
    import spams

    X, D = problem.X.T, problem.D.T
    return lambda: spams.lasso(X, D=D, lambda1=problem.reg, mode=spams.PENALTY, numThreads=threads)


def descent(tol):
    def prepare(problem, threads):
        import scipy.sparse
        import spams

        X, D = problem.X.T, problem.D.T
        start = scipy.sparse.csc_matrix((D.shape[1], X.shape[1]), dtype=X.dtype)
        return lambda: spams.cd(X, D, start, lambda1=problem.reg, mode=spams.PENALTY, itermax=10_000, tol=tol,
                                numThreads=threads)

    return prepare


def tuned_descent(problem, threads, tol):
    return descent(tol)(problem, threads)


CONTENDERS = [
    Contender(f"SPAMS {name}", "encode", prepare, REQUIREMENT, answer=lambda codes: codes.T.toarray(),
              environment={"OPENBLAS_NUM_THREADS": "1"})
    for name, prepare in (("lasso", lasso), ("cd tol 1e-3", descent(1e-3)), ("cd tol 1e-6", descent(1e-6)))
] + [
    Contender(f"SPAMS {name}", "coders", prepare, REQUIREMENT, answer=lambda codes: codes.T.toarray(),
              environment={"OPENBLAS_NUM_THREADS": "1"}, by_signal=True, **settings)
    for name, prepare, settings in (("lasso", lasso, {}), ("cd", tuned_descent, {"settings": tolerances}))
]
