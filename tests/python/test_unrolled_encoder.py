import numpy as np
import pytest

import riata

RNG = np.random.default_rng(5)
D, X = RNG.standard_normal((30, 12)), RNG.standard_normal((4, 12))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gives_the_codes_of_the_batch(dtype):
    atoms, signals = D.astype(dtype), X.astype(dtype)
    steps = np.linspace(1, 1.5, 8)
    encoder = riata.UnrolledEncoder(atoms, 8, algorithm="ista", steps=steps)
    codes = riata.unrolled_encode(signals, atoms, 0.5, 8, algorithm="ista", steps=steps)
    for x, code in zip(signals, codes):
        ours = encoder.encode(x, 0.5)
        assert ours.dtype == dtype and ours.shape == (30,)
        np.testing.assert_allclose(ours, code, atol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda e: e.encode(X, 0.1), ValueError, r"UnrolledEncoder: x has shape (4, 12), expected (n_features,)"),
        (lambda e: e.encode(X[0, 1:], 0.1), ValueError, "UnrolledEncoder: x has 11 entries, expected the atoms' 12"),
        (lambda e: e.encode(X[0], 0.0), ValueError, "reg = 0, must be > 0 and finite"),
        (lambda e: e.encode(X[0], "0.1max"), TypeError, "UnrolledEncoder: reg = '0.1max', must be a number"),
        (lambda e: e.encode(X[0].astype("f4"), 0.1), TypeError,
         "UnrolledEncoder: x is float32 but D is float64; they must be equal (convert one with astype)"),
        (lambda e: riata.UnrolledEncoder(D, 0), ValueError, "n_layers = 0, must be between 1 and 1000000"),
    ],
)
def test_refuses_in_one_sentence(call, error, sentence):
    encoder = riata.UnrolledEncoder(D, 5)
    with pytest.raises(error) as refusal:
        call(encoder)
    assert str(refusal.value) == sentence
