"""SPAMS: signals and atoms are columns in Fortran order, which our rows already are; codes come as a sparse matrix.

Its loop over signals is threaded by OpenMP and calls BLAS: with more than one BLAS thread it is up to ten times slower than it is.
`lasso` is the exact path (LARS); `cd` is coordinate descent whose tolerance is its own, so its accuracy is measured.
"""

from contender import Contender

REQUIREMENT = "spams-bin"


def columns(problem):
    return problem.X.T, problem.D.T


def lasso(problem, threads):
    import spams

    X, D = columns(problem)
    return lambda: spams.lasso(X, D=D, lambda1=problem.reg, mode=spams.PENALTY, numThreads=threads)


def descent(tol):
    def prepare(problem, threads):
        import scipy.sparse
        import spams

        X, D = columns(problem)
        start = scipy.sparse.csc_matrix((D.shape[1], X.shape[1]), dtype=X.dtype)
        return lambda: spams.cd(X, D, start, lambda1=problem.reg, mode=spams.PENALTY, itermax=10_000, tol=tol, numThreads=threads)

    return prepare


def contender(name, prepare):
    return Contender(f"SPAMS {name}", "encode", prepare, REQUIREMENT, answer=lambda codes: codes.T.toarray(),
                     environment={"OPENBLAS_NUM_THREADS": "1"})


CONTENDERS = [
    contender("lasso", lasso),
    contender("cd tol 1e-3", descent(1e-3)),
    contender("cd tol 1e-6", descent(1e-6)),
]
