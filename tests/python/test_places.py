"""What is no number is named by its place, in the words of the array: NaN at X[38, 17] is signal 38, feature 17 at every door."""

import numpy as np
import pytest
import riata

N_FEATURES, N_ATOMS, N_SIGNALS = 20, 30, 500
D = riata.datasets.gaussian_dictionary(N_FEATURES, N_ATOMS)
X = np.random.default_rng(0).standard_normal((N_SIGNALS, N_FEATURES))
Z = np.zeros((N_SIGNALS, N_ATOMS))
net = riata.Network("step", D, 2)


def with_nan(A):
    A = A.copy()
    A[(38, 17) if len(A) > 38 else (8, 17)] = np.nan
    return A


BAD_X, BAD_Z, BAD_D = with_nan(X), with_nan(Z), with_nan(D)

OF_SIGNALS = {
    "encode": lambda: riata.encode(BAD_X, D, 0.1),
    "encode, masked": lambda: riata.encode(BAD_X, D, 0.1, mask=np.ones(X.shape)),
    "encode_stream": lambda: riata.encode_stream(BAD_X, D, 0.1, lambda block: None, block_size=16),
    "omp": lambda: riata.omp(BAD_X, D, 2),
    "joint_encode": lambda: riata.joint_encode(BAD_X, D, 0.1),
    "duality_gap": lambda: riata.duality_gap(BAD_X, D, Z, 0.1),
    "reg_max": lambda: riata.reg_max(BAD_X, D),
    "implicit_gradient": lambda: riata.implicit_gradient(BAD_X, D, 0.1, Z),
    "hypergradient": lambda: riata.hypergradient(X, D, 0.1, X_held_out=BAD_X),
    "unrolled_encode": lambda: riata.unrolled_encode(BAD_X, D, 0.1, 3),
    "unrolled_gradient": lambda: riata.unrolled_gradient(BAD_X, D, 0.1, 3),
    "unrolled_stability": lambda: riata.unrolled_stability(BAD_X, D, 0.1, 3),
    "learn_dictionary": lambda: riata.learn_dictionary(BAD_X, N_ATOMS, 0.1),
    "Network.encode": lambda: net.encode(BAD_X, 0.1),
    "Network.fit": lambda: net.fit(BAD_X, 0.1),
}
OF_CODES = {
    "encode": lambda: riata.encode(X, D, 0.1, init=BAD_Z),
    "duality_gap": lambda: riata.duality_gap(X, D, BAD_Z, 0.1),
    "implicit_gradient": lambda: riata.implicit_gradient(X, D, 0.1, BAD_Z),
    "unrolled_encode": lambda: riata.unrolled_encode(X, D, 0.1, 3, init=BAD_Z),
    "Network.encode": lambda: net.encode(X, 0.1, init=BAD_Z),
    "Network.fit": lambda: net.fit(X, 0.1, loss="supervised", targets=BAD_Z),
}
OF_ATOMS = {
    "encode": lambda: riata.encode(X, BAD_D, 0.1),
    "learn_dictionary": lambda: riata.learn_dictionary(X, N_ATOMS, 0.1, init=BAD_D),
    "Network": lambda: riata.Network("step", BAD_D, 2),
    "recovery_score": lambda: riata.recovery_score(D, BAD_D),
}


@pytest.mark.parametrize("name", OF_SIGNALS)
def test_of_signals(name):
    with pytest.raises(ValueError, match="holds nan at signal 38, feature 17; expected finite numbers"):
        OF_SIGNALS[name]()


@pytest.mark.parametrize("name", OF_CODES)
def test_of_codes(name):
    with pytest.raises(ValueError, match="holds nan at signal 38, atom 17; expected finite numbers"):
        OF_CODES[name]()


@pytest.mark.parametrize("name", OF_ATOMS)
def test_of_atoms(name):
    with pytest.raises(ValueError, match="holds nan at atom 8, feature 17; expected finite numbers"):
        OF_ATOMS[name]()
