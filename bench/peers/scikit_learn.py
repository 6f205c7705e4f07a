"""scikit-learn's sparse_encode, signal by signal inside. BLAS threads only slow such small products down, so it has one;
whether n_jobs pays, which starts processes, is tried out.

sparse_encode has no tolerance: where a gap is asked, Lasso takes all signals as targets of one fit, with the Gram matrix and
without. Its loss is divided by the number of features, so its alpha is reg / n_features."""

import functools
import warnings

from contender import Contender, tolerances

REQUIREMENT = "scikit-learn"
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": None, "OPENBLAS_L2_SIZE": None}


def unwarned():
    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)  # its accuracy is measured, not believed


def coder(algorithm):
    def prepare(problem, threads, processes=False):
        from sklearn.decomposition import sparse_encode

        unwarned()
        return lambda: sparse_encode(problem.X, problem.D, algorithm=algorithm, alpha=problem.reg, max_iter=1000,
                                     n_jobs=threads if processes else 1, check_input=False)

    return prepare


def lasso(problem, threads, gram, tol):
    import numpy as np
    from sklearn.linear_model import Lasso

    unwarned()
    atoms, targets = np.asfortranarray(problem.D.T), np.asfortranarray(problem.X.T)
    model = Lasso(alpha=problem.reg / len(atoms), fit_intercept=False, precompute=gram, tol=tol, max_iter=10_000, copy_X=False)
    return lambda: model.fit(atoms, targets).coef_.reshape(len(problem.X), -1)


CONTENDERS = [
    Contender(f"scikit-learn {algorithm}", "encode", coder(algorithm), REQUIREMENT, dtypes=dtypes, by_signal=True,
              environment=ENVIRONMENT, variants=({"processes": False}, {"processes": True}))
    for algorithm, dtypes in (("lasso_cd", ("float32", "float64")), ("lasso_lars", ("float64",)))
] + [
    Contender(f"scikit-learn Lasso{name}", "coders", functools.partial(lasso, gram=gram), REQUIREMENT, settings=tolerances,
              environment=ENVIRONMENT, by_signal=True)
    for name, gram in (("", False), (" with Gram matrix", True))
] + [Contender("scikit-learn lasso_lars", "coders", coder("lasso_lars"), REQUIREMENT, environment=ENVIRONMENT, by_signal=True)]
