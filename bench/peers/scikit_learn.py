"""scikit-learn's sparse_encode, signal by signal inside. BLAS threads only slow such small products down, so it has one;
whether n_jobs pays, which starts processes, is tried out."""

import warnings

from contender import Contender

REQUIREMENT = "scikit-learn"


def coder(algorithm):
    def prepare(problem, threads, processes=False):
        from sklearn.decomposition import sparse_encode
        from sklearn.exceptions import ConvergenceWarning

        warnings.simplefilter("ignore", ConvergenceWarning)  # its accuracy is measured, not believed
        return lambda: sparse_encode(problem.X, problem.D, algorithm=algorithm, alpha=problem.reg, max_iter=1000,
                                     n_jobs=threads if processes else 1, check_input=False)

    return prepare


CONTENDERS = [
    Contender(f"scikit-learn {algorithm}", "encode", coder(algorithm), REQUIREMENT, dtypes=dtypes, by_signal=True,
              environment={"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": None, "OPENBLAS_L2_SIZE": None},
              variants=({"processes": False}, {"processes": True}))
    for algorithm, dtypes in (("lasso_cd", ("float32", "float64")), ("lasso_lars", ("float64",)))
]
