"""Total variation in Python: the same numbers as by definition, shapes, precisions, sentences."""

import numpy as np
import pytest

import riata

RNG = np.random.default_rng(0)
Y = np.cumsum(RNG.standard_normal((6, 40)) * (RNG.random((6, 40)) < 0.2), axis=1) + 0.2 * RNG.standard_normal((6, 40))


def tv(u, factors=1.0):
    return (factors * np.abs(np.diff(u))).sum(-1)


@pytest.mark.parametrize("jump_weights", [None, np.linspace(0.2, 2, 39)])
def test_prox_lies_below_all_neighbours(jump_weights):
    factors = 1.0 if jump_weights is None else jump_weights
    u = riata.prox_tv(Y, 0.7, jump_weights=jump_weights)

    def objective(v):
        return 0.5 * ((Y - v) ** 2).sum(-1) + 0.7 * tv(v, factors)

    least = objective(u)
    for scale in (1e-3, 1e-1, 1.0):
        for _ in range(50):
            step = scale * RNG.standard_normal(Y.shape)
            # 1/2 ||.||^2 grows by 1/2 ||step||^2 at least beyond the minimiser
            assert (objective(u + step) >= least + 0.499 * (step**2).sum(-1) - 1e-12).all()


def test_one_signal_is_a_row_of_many():
    weights = np.linspace(0, 2, 6)
    together = riata.prox_tv(Y, weights)
    for y, weight, u in zip(Y, weights, together):
        alone = riata.prox_tv(y, weight)
        assert alone.shape == y.shape
        assert np.array_equal(alone, u)
    assert np.array_equal(riata.prox_tv(Y, weights, n_threads=1), riata.prox_tv(Y, weights, n_threads=3))


def test_vjp_is_the_derivative():
    weights, jumps = np.linspace(0.1, 2, 6), np.linspace(0.5, 1.5, 39)
    h, dy, dw, dj = RNG.standard_normal(Y.shape), RNG.standard_normal(Y.shape), RNG.standard_normal(6), RNG.standard_normal(39)
    dY, dweight, djumps = riata.prox_tv_vjp(Y, weights, h, jump_weights=jumps)
    assert dY.shape == Y.shape and dweight.shape == (6,) and djumps.shape == (39,)

    def value(s):
        return (h * riata.prox_tv(Y + s * dy, weights + s * dw, jump_weights=jumps + s * dj)).sum()

    step = 1e-7
    expected = (value(step) - value(-step)) / (2 * step)
    assert (dY * dy).sum() + dweight @ dw + djumps @ dj == pytest.approx(expected, abs=1e-6)
    _, shared = riata.prox_tv_vjp(Y, 0.7, h)
    _, each = riata.prox_tv_vjp(Y, np.full(6, 0.7), h)
    assert isinstance(shared, float) and shared == pytest.approx(each.sum(), rel=1e-12)


def test_float32_stays_float32():
    single = Y.astype(np.float32)
    u = riata.prox_tv(single, 0.5)
    assert u.dtype == np.float32
    assert np.array_equal(u, riata.prox_tv(single.astype(np.float64), 0.5).astype(np.float32))
    assert riata.prox_tv_vjp(single, 0.5, single)[0].dtype == np.float32
    with pytest.raises(TypeError, match="prox_tv_vjp: Y is float32 but cotangent is float64"):
        riata.prox_tv_vjp(single, 0.5, Y)


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: riata.prox_tv(Y[None], 1.0), r"prox_tv: Y has shape \(1, 6, 40\), expected \(n_signals, n_times\) or \(n_times,\)"),
        (lambda: riata.prox_tv(Y, -1), "prox_tv: weight = -1, must be >= 0 and finite"),
        (lambda: riata.prox_tv(Y, [1, 2]), "prox_tv: weight has 2 entries for 6 signals; expected one number or one per signal"),
        (lambda: riata.prox_tv(Y, 1, jump_weights=[1.0]), "jump_weights has 1 entries, expected 39, one between two of 40 samples"),
        (lambda: riata.prox_tv(np.full(5, np.nan), 1), "prox_tv: Y holds nan at signal 0, sample 0; expected finite numbers"),
        (lambda: riata.prox_tv(np.zeros((3, 0)), 1), "prox_tv: Y has no samples"),
        (lambda: riata.prox_tv_vjp(Y, 1, Y[0]), r"cotangent has shape \(40,\), expected that of Y, \(6, 40\)"),
    ],
)
def test_bad_inputs_get_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        call()
    assert "\n" not in str(refused.value)
