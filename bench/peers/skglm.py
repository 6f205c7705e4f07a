"""skglm: celer's successor on numba, called in the same way. Its compilation falls into the warm-up."""

from contender import Contender
from peers.celer import by_signal

REQUIREMENT = "skglm"


def lasso():
    import skglm

    return skglm.Lasso


CONTENDERS = [Contender("skglm Lasso tol 1e-6", "encode", by_signal(lasso), REQUIREMENT, dtypes=("float64",), by_signal=True)]
