"""scikit-learn's sparse_encode, as users call it. Its n_jobs starts processes and costs more than it gains on such batches
(measured: both are contenders where it pays), so BLAS alone is threaded."""

import warnings

from contender import Contender

REQUIREMENT = "scikit-learn"


def sparse_encode(algorithm, max_iter=1000):
    def prepare(problem, threads):
        from sklearn.decomposition import sparse_encode
        from sklearn.exceptions import ConvergenceWarning

        warnings.simplefilter("ignore", ConvergenceWarning)  # its accuracy is measured, not believed
        return lambda: sparse_encode(problem.X, problem.D, algorithm=algorithm, alpha=problem.reg, max_iter=max_iter,
                                     n_jobs=1, check_input=False)

    return prepare


CONTENDERS = [
    Contender("scikit-learn lasso_cd", "encode", sparse_encode("lasso_cd"), REQUIREMENT, by_signal=True),
    Contender("scikit-learn lasso_lars", "encode", sparse_encode("lasso_lars"), REQUIREMENT, dtypes=("float64",), by_signal=True),
]
