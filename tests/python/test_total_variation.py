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


HRF = (np.arange(12) / 3) ** 3 * np.exp(-np.arange(12) / 1.5)
A = np.array([[HRF[t - s] if 0 <= t - s < 12 else 0.0 for s in range(40)] for t in range(40)])
X = Y @ A.T + 0.1 * RNG.standard_normal((6, 40))


def certified_gap(x, A, u, reg):
    """P(u) less the dual objective at the residual without its part along A 1, scaled until it is feasible."""
    a, r = A.sum(1), x - A @ u
    r_hat = r - (a @ r) / (a @ a) * a
    theta = r_hat * min(1.0, reg / np.abs(np.cumsum(A.T @ r_hat)[:-1]).max())
    return 0.5 * r @ r + reg * tv(u) - 0.5 * x @ x + 0.5 * (x - theta) @ (x - theta)


@pytest.mark.parametrize("operator", [A, HRF], ids=["matrix", "kernel"])
@pytest.mark.parametrize("method", ["auto", "working-set", "synthesis", "apgd", "condat-vu", "admm"])
def test_solutions_are_certified(method, operator):
    result = riata.tv_solve(X, operator, "0.1max", method, tol=1e-7)
    assert (result.status == "converged").all() and result.signals.shape == (6, 40)
    assert np.allclose(result.reg, 0.1 * riata.tv_reg_max(X, operator), rtol=1e-12)
    for x, u, reg, gap, objective in zip(X, result.signals, result.reg, result.gap, result.objective):
        assert certified_gap(x, A, u, reg) <= 1.001e-7 * 0.5 * x @ x
        assert gap == pytest.approx(certified_gap(x, A, u, reg), abs=1e-12 * x @ x)
        assert objective == pytest.approx(0.5 * ((x - A @ u) ** 2).sum() + reg * tv(u), rel=1e-12)


def test_from_reg_max_on_solutions_are_constant():
    largest = riata.tv_reg_max(X, HRF)
    assert (np.ptp(riata.tv_solve(X, HRF, largest).signals, axis=1) == 0).all()
    assert (np.ptp(riata.tv_solve(X, HRF, 0.99 * largest, tol=1e-12).signals, axis=1) > 0).all()


def test_masked_samples_are_as_if_removed():
    mask = np.ones(40, bool)
    mask[[3, 17, 18, 30]] = False
    hidden = X.copy()
    hidden[:, ~mask] = np.nan
    expected = riata.tv_solve(X[:, mask], A[mask], "0.2max", tol=1e-10)
    for given in (mask, np.tile(mask, (6, 1))):
        result = riata.tv_solve(hidden, HRF, "0.2max", tol=1e-10, mask=given)
        assert np.allclose(result.objective, expected.objective, rtol=1e-9)
    each = np.tile(mask, (6, 1))
    each[0, 5] = False
    result = riata.tv_solve(hidden, HRF, "0.2max", tol=1e-8, mask=each)
    assert result.method == "apgd" and np.allclose(result.objective[1:], expected.objective[1:], rtol=1e-6)


def test_float32_is_certified_in_float64():
    result = riata.tv_solve(X.astype(np.float32), HRF.astype(np.float32), "0.1max", tol=1e-4)
    assert result.signals.dtype == np.float32 and (result.status == "converged").all()
    assert repr(result).startswith("TvResult(6 signals by 'working-set', 6 converged")


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: riata.prox_tv(Y[None], 1.0), r"prox_tv: Y has shape \(1, 6, 40\), expected \(n_signals, n_times\) or \(n_times,\)"),
        (lambda: riata.prox_tv(Y, -1), "prox_tv: weight = -1, must be >= 0 and finite"),
        (lambda: riata.prox_tv(Y, [1, 2]), "prox_tv: weight has 2 entries for 6 signals; expected one number or one per signal"),
        (lambda: riata.prox_tv(Y, 1, jump_weights=[1.0]), "jump_weights has 1 entries, expected 39, one between two of 40 samples"),
        (lambda: riata.prox_tv(np.full(5, np.nan), 1), "prox_tv: Y holds nan at signal 0, sample 0; expected finite numbers"),
        (lambda: riata.prox_tv(np.zeros((3, 0)), 1), "prox_tv: Y has no samples"),
        (lambda: riata.tv_solve(X, A[:5], 0.1), r"tv_solve: operator has shape \(5, 40\), expected \(40, n_times\), as X has samples"),
        (lambda: riata.tv_solve(X, A[None], 0.1), r"operator has shape \(1, 40, 40\), expected \(n_observed, n_times\), or"),
        (lambda: riata.tv_solve(X, HRF, 0.0), "reg = 0, must be > 0 and finite"),
        (lambda: riata.tv_solve(X, HRF, 1, "fista"), "method = 'fista'"),
        (lambda: riata.tv_solve(X, HRF, 1, mask=np.ones(39)), r"mask has shape \(39,\), expected \(40,\) or the signals' \(6, 40\)"),
        (lambda: riata.tv_solve(X, HRF * np.nan, 1), "operator: the kernel holds nan at entry 0; expected finite numbers"),
        (lambda: riata.prox_tv_vjp(Y, 1, Y[0]), r"cotangent has shape \(40,\), expected that of Y, \(6, 40\)"),
    ],
)
def test_bad_inputs_get_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        call()
    assert "\n" not in str(refused.value)
