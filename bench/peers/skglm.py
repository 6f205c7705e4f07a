"""skglm: celer's successor on numba, called in the same way. Its compilation falls into the warm-up."""

from peers.celer import contenders

REQUIREMENT = "skglm"


def lasso():
    import skglm

    return skglm.Lasso


CONTENDERS = contenders("skglm", lasso, REQUIREMENT)
