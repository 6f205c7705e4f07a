"""Masks and weights of the data fit: each signal by itself, on the features that were seen, is the reference."""

import numpy as np
import pytest

import riata

RNG = np.random.default_rng(0)
PROBLEM = riata.datasets.planted(n_features=20, n_atoms=30, n_signals=25, density=0.1)
X, D = PROBLEM.signals, PROBLEM.dictionary
SEEN = RNG.random(X.shape) > 0.3
HIDDEN = np.where(SEEN, X, np.nan)
Z = np.maximum(RNG.standard_normal((25, 30)) - 1, 0)


def alone(i):
    return X[i : i + 1, SEEN[i]], np.ascontiguousarray(D[:, SEEN[i]])


@pytest.mark.parametrize("mask", [SEEN, SEEN.astype(int), SEEN.astype("f4"), SEEN.tolist()], ids=lambda m: str(getattr(m, "dtype", "list")))
def test_codes_are_certified_on_what_was_seen(mask):
    result = riata.encode(HIDDEN, D, 0.05, tol=1e-9, mask=mask)
    assert (result.status == "converged").all() and result.method == "fista"
    for i in range(len(X)):
        gap = riata.duality_gap(*alone(i), result.codes[i : i + 1], 0.05)
        np.testing.assert_allclose(result.gap[i], gap, atol=1e-12)


@pytest.mark.parametrize("certificate", [riata.lasso_objective, riata.duality_gap, riata.kkt_violation])
def test_certificates_are_those_of_what_was_seen(certificate):
    found = certificate(HIDDEN, D, Z, 0.05, mask=SEEN)
    expected = [certificate(*alone(i), Z[i : i + 1], 0.05)[0] for i in range(len(X))]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert np.abs(found - certificate(X, D, Z, 0.05)).max() > 1e-3  # the mask matters


def test_fractions_are_of_the_reg_max_of_what_was_seen():
    most = riata.reg_max(HIDDEN, D, mask=SEEN)
    np.testing.assert_allclose(most, [riata.reg_max(*alone(i))[0] for i in range(len(X))], rtol=1e-12)
    assert not riata.encode(HIDDEN, D, most, mask=SEEN).codes.any()
    half = riata.encode(HIDDEN, D, "0.5max", mask=SEEN).codes
    np.testing.assert_array_equal(half, riata.encode(HIDDEN, D, 0.5 * most, mask=SEEN).codes)


def test_weights_scale_rows():
    w = RNG.random(X.shape)
    result = riata.unrolled_gradient(X, D, 0.05, 8, lipschitz=5.0, wrt=("dictionary", "signals"), reduction="sum", mask=w)
    gradient = np.zeros_like(D)
    for i in range(len(X)):
        root = np.sqrt(w[i])
        one = riata.unrolled_gradient(
            root * X[i : i + 1], root * D, 0.05, 8, lipschitz=5.0, wrt=("dictionary", "signals"), reduction="sum"
        )
        gradient += root * one.dictionary
        np.testing.assert_allclose(result.codes[i], one.codes[0], atol=1e-12)
        np.testing.assert_allclose(result.signals[i], root * one.signals[0], atol=1e-12)
    np.testing.assert_allclose(result.dictionary, gradient, atol=1e-11)
    codes = riata.unrolled_encode(X, D, 0.05, 8, lipschitz=5.0, mask=w)
    np.testing.assert_array_equal(codes, result.codes)


def test_what_is_hidden_may_be_anything():
    reference = riata.unrolled_gradient(X, D, 0.05, 8, targets=X, mask=SEEN)
    hidden = riata.unrolled_gradient(HIDDEN, D, 0.05, 8, targets=HIDDEN, mask=SEEN)
    np.testing.assert_array_equal(reference.dictionary, hidden.dictionary)
    assert np.isfinite(hidden.value) and hidden.value == reference.value


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (SEEN[:, :5], "encode: mask has shape (25, 5), expected the signals' (25, 20)"),
        (SEEN[0], "encode: mask has shape (20,), expected the signals' (25, 20)"),
        (2.0 * SEEN, "encode: mask holds 2 at signal "),
        (np.where(SEEN, 1, np.nan), "encode: mask holds nan at signal "),
    ],
)
def test_bad_masks_are_refused(mask, sentence):
    with pytest.raises(ValueError) as refused:
        riata.encode(X, D, 0.1, mask=mask)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("method", ["cd", "oista", "lars"])
def test_methods_without_masks_say_so(method):
    with pytest.raises(ValueError, match=f"method = '{method}' takes no mask; choose one of 'ista', 'fista', 'backtracking'"):
        riata.encode(X, D, 0.1, method=method, mask=SEEN)


def test_csr_takes_no_mask():
    with pytest.raises(ValueError, match="mask is for output = 'dense'"):
        riata.encode(X, D, 0.1, mask=SEEN, output="csr")


def test_a_dictionary_is_learned_from_what_was_seen(tmp_path):
    truth = riata.datasets.planted(n_features=12, n_atoms=16, n_signals=800, density=0.12)
    seen = np.random.default_rng(1).random(truth.signals.shape) > 0.3
    gaps = np.where(seen, truth.signals, np.nan)
    start = riata.datasets.perturbed(truth.dictionary, 0.5)
    options = dict(init=start, max_iter=60, mask=seen)
    learned = riata.learn_dictionary(gaps, 16, "0.1max", **options)
    blind = riata.learn_dictionary(np.where(seen, truth.signals, 0), 16, "0.1max", init=start, max_iter=60)
    score = riata.recovery_score(learned.dictionary, truth.dictionary)
    assert score > riata.recovery_score(start, truth.dictionary) + 0.05
    missed = 1 - riata.recovery_score(blind.dictionary, truth.dictionary)  # zeros for gaps are another problem
    assert 1 - score < 0.5 * missed
    half = riata.learn_dictionary(gaps, 16, "0.1max", **{**options, "max_iter": 5}, checkpoint=tmp_path / "c.safetensors")
    assert len(half.history.value) == 5
    resumed = riata.learn_dictionary(gaps, 16, "0.1max", **options, checkpoint=tmp_path / "c.safetensors", resume=True)
    np.testing.assert_array_equal(resumed.dictionary, learned.dictionary)
    with pytest.raises(ValueError, match="another run"):
        riata.learn_dictionary(
            gaps, 16, "0.1max", **{**options, "mask": seen & (np.arange(12) > 0)}, checkpoint=tmp_path / "c.safetensors", resume=True
        )
