"""celer: working sets with dual extrapolation, one signal and one thread at a time. Its loss is divided by the number of
features, so its alpha is reg / n_features. It computes in double, also for signals in float: in float its stopping rule may
never hold."""

from contender import Contender, tolerances

REQUIREMENT = "celer"


def by_signal(estimator):
    """Codes by an estimator with scikit-learn's Lasso interface, which sees a signal as targets and atoms as columns."""
    import numpy as np

    def prepare(problem, threads, tol=1e-6):
        X, atoms = problem.X.astype(np.float64), np.asfortranarray(problem.D.T, dtype=np.float64)
        lasso = estimator()(alpha=problem.reg / atoms.shape[0], fit_intercept=False, tol=tol)
        return lambda: np.array([lasso.fit(atoms, x).coef_.copy() for x in X])

    return prepare


def contenders(library, estimator, package):
    return [Contender(f"{library} Lasso tol 1e-6", "encode", by_signal(estimator), package, dtypes=("float64",),
                      by_signal=True),
            Contender(f"{library} Lasso", "coders", by_signal(estimator), package, settings=tolerances, by_signal=True)]


def lasso():
    import celer

    return celer.Lasso


CONTENDERS = contenders("celer", lasso, REQUIREMENT)
