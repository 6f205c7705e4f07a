"""unrolled_gradient against an independent automatic differentiation of the same network (HIPS autograd)."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

import riata

LAYERS = 7


@pytest.fixture(scope="module")
def problem():
    problem = riata.datasets.planted(n_features=9, n_atoms=14, n_signals=11, density=0.3, random_state=5)
    rng = np.random.default_rng(1)
    return dict(
        X=problem.signals,
        D=problem.dictionary,
        s=rng.uniform(0.7, 1.2, LAYERS),
        weights=rng.uniform(0.5, 1.5, len(problem.dictionary)),
        target=problem.signals + 0.1 * rng.standard_normal(problem.signals.shape),
        reg=rng.uniform(0.05, 0.2, len(problem.signals)),
        L=np.linalg.norm(problem.dictionary, 2) ** 2,
    )


def shrink(V, threshold, positive):
    return anp.maximum(V - threshold, 0) if positive else anp.sign(V) * anp.maximum(anp.abs(V) - threshold, 0)


def momentum(k, method):
    t = 1.0
    for _ in range(k):
        t = (1 + np.sqrt(1 + 4 * t * t)) / 2
    return (t - 1) / ((1 + np.sqrt(1 + 4 * t * t)) / 2) if method == "fista" else 0.0


def layer(k, z, y, X, D, s, reg, L, method, weights, positive):
    """(z_k, y_k) -> (z_{k+1}, y_{k+1})"""
    threshold = anp.reshape(s[k] / L * reg * anp.ones(len(X)), (-1, 1)) * weights
    z_next = shrink(y - s[k] / L * anp.dot(anp.dot(y, D) - X, D.T), threshold, positive)
    return z_next, z_next + momentum(k, method) * (z_next - z)


def loss_through(
    start,
    X,
    D,
    s,
    reg,
    L,
    method="fista",
    loss="lasso",
    weights=1.0,
    positive=False,
    target=None,
    extrapolated=False,
    reduction="mean",
    held=None,
):
    """The loss after the layers from `start` on; the state before them is `held`, a constant."""
    z = y = anp.zeros((len(X), len(D)))
    if held is not None:
        z, y = held
    for k in range(start, LAYERS):
        z, y = layer(k, z, y, X, D, s, reg, L, method, weights, positive)
    Z = y if extrapolated else z
    value = 0.5 * anp.sum((anp.dot(Z, D) - (X if target is None else target)) ** 2)
    if loss == "lasso":
        value = value + anp.sum(anp.reshape(reg * anp.ones(len(X)), (-1, 1)) * weights * anp.abs(Z))
    return value / len(X) if reduction == "mean" else value


def expected(problem, reg, backprop, **options):
    """Value and the four gradients by autograd, the first LAYERS - backprop iterates held."""
    X, D, s, L = problem["X"], problem["D"], problem["s"], problem["L"]
    start = LAYERS - (LAYERS if backprop is None else backprop)
    z = y = np.zeros((len(X), len(D)))
    for k in range(start):
        z, y = layer(
            k,
            z,
            y,
            X,
            D,
            s,
            reg,
            L,
            options.get("method", "fista"),
            options.get("weights", 1.0),
            options.get("positive", False),
        )
    arguments = dict(X=X, D=D, s=s, reg=reg)

    def gradient(name):
        return autograd.grad(
            lambda v: loss_through(start, **(arguments | {name: v}), L=L, held=(z, y), **options)
        )(arguments[name])

    return (
        loss_through(start, **arguments, L=L, held=(z, y), **options),
        {name: gradient(name) for name in ("X", "D", "s", "reg")},
    )


def check(
    problem,
    reg,
    backprop=None,
    method="fista",
    loss="lasso",
    positive=False,
    weights=None,
    target=None,
    extrapolated=False,
    reduction="mean",
):
    value, gradients = expected(
        problem,
        reg,
        backprop,
        method=method,
        loss=loss,
        positive=positive,
        weights=1.0 if weights is None else weights,
        target=target,
        extrapolated=extrapolated,
        reduction=reduction,
    )
    result = riata.unrolled_gradient(
        problem["X"],
        problem["D"],
        reg,
        LAYERS,
        algorithm=method,
        loss=loss,
        backprop=backprop,
        steps=problem["s"],
        targets=target,
        wrt=("dictionary", "steps", "reg", "signals"),
        return_extrapolated=extrapolated,
        reduction=reduction,
        positive=positive,
        weights=weights,
    )
    assert abs(result.value - value) <= 1e-12 * abs(value)
    found = {
        "D": result.dictionary,
        "s": result.steps,
        "reg": result.reg,
        "X": result.signals,
    }
    for name, g in gradients.items():
        scale = max(np.abs(g).max(), 1e-3)
        assert np.shape(found[name]) == np.shape(g), name
        assert np.abs(found[name] - g).max() <= 1e-10 * scale, (
            f"{name}: {np.abs(found[name] - g).max() / scale:.2g}"
        )
    assert isinstance(result.reg, float) == (np.ndim(reg) == 0)


@pytest.mark.parametrize("method", ["fista", "ista"])
@pytest.mark.parametrize("loss", ["lasso", "least_squares"])
@pytest.mark.parametrize("backprop", [None, 0, 1, 3, LAYERS])
@pytest.mark.parametrize("per_signal", [False, True])
def test_gradients_equal_autograd(problem, method, loss, backprop, per_signal):
    check(problem, problem["reg"] if per_signal else 0.1, backprop, method, loss)


@pytest.mark.parametrize("loss", ["lasso", "least_squares"])
@pytest.mark.parametrize("backprop", [None, 0, 3])
def test_gradients_at_the_extrapolated_output_equal_autograd(problem, loss, backprop):
    check(problem, 0.1, backprop, "fista", loss, extrapolated=True)


@pytest.mark.parametrize("method", ["fista", "ista"])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("backprop", [None, 2])
def test_gradients_of_other_penalties_equal_autograd(problem, method, positive, backprop):
    check(problem, 0.1, backprop, method, positive=positive, weights=problem["weights"])


@pytest.mark.parametrize("loss", ["lasso", "least_squares"])
def test_gradients_of_a_supervised_loss_and_a_sum_equal_autograd(problem, loss):
    check(problem, problem["reg"], loss=loss, target=problem["target"], reduction="sum")


def test_the_forward_pass_equals_its_formula(problem):
    X, D, s = problem["X"], problem["D"], problem["s"]
    init = np.random.default_rng(2).standard_normal((len(X), len(D)))
    for method in ("fista", "ista"):
        z = y = init
        for k in range(LAYERS):
            z, y = layer(k, z, y, X, D, s, 0.1, problem["L"], method, 1.0, False)
        options = dict(algorithm=method, steps=s, init=init)
        np.testing.assert_allclose(riata.unrolled_encode(X, D, 0.1, LAYERS, **options), z, atol=1e-13)
        np.testing.assert_allclose(
            riata.unrolled_encode(X, D, 0.1, LAYERS, return_extrapolated=True, **options), y, atol=1e-13
        )


def test_codes_are_those_of_the_forward_pass(problem):
    result = riata.unrolled_gradient(problem["X"], problem["D"], 0.1, LAYERS)
    np.testing.assert_array_equal(
        result.codes, riata.unrolled_encode(problem["X"], problem["D"], 0.1, LAYERS)
    )


def test_a_given_lipschitz_constant_is_used(problem):
    X, D = problem["X"], problem["D"]
    np.testing.assert_allclose(
        riata.unrolled_encode(X, D, 0.1, 5, lipschitz=problem["L"]),
        riata.unrolled_encode(X, D, 0.1, 5),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        riata.unrolled_encode(X, D, 0.1, 5, lipschitz=2 * problem["L"]),
        riata.unrolled_encode(X, D, 0.1, 5, steps=np.full(5, 0.5)),
        rtol=1e-11,
        atol=1e-14,
    )


def test_what_is_not_asked_for_is_none(problem):
    names = ("dictionary", "steps", "reg", "signals")
    for wrt in names:
        result = riata.unrolled_gradient(problem["X"], problem["D"], 0.1, 5, wrt=(wrt,), return_codes=False)
        assert [n for n in (*names, "codes") if getattr(result, n) is not None] == [wrt]
    result = riata.unrolled_gradient(problem["X"], problem["D"], 0.1, 5, wrt=(), return_codes=False)
    assert result.dictionary is result.codes is result.reg is None and result.value > 0


def test_a_fraction_of_reg_max_gives_one_reg_gradient(problem):
    X, D = problem["X"], problem["D"]
    fraction = riata.unrolled_gradient(X, D, "0.1max", 5)
    array = riata.unrolled_gradient(X, D, 0.1 * riata.reg_max(X, D), 5)
    assert isinstance(fraction.reg, float)
    assert fraction.reg == pytest.approx(array.reg.sum(), rel=1e-12)
    np.testing.assert_array_equal(fraction.dictionary, array.dictionary)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_bit_depends_on_the_threads(dtype):
    problem = riata.datasets.planted(n_signals=3000, dtype=dtype)
    one, two = (
        riata.unrolled_gradient(
            problem.signals,
            problem.dictionary,
            0.1,
            15,
            n_threads=n,
            wrt=("dictionary", "steps", "reg", "signals"),
        )
        for n in (1, 2)
    )
    assert one.value == two.value and one.reg == two.reg
    for name in ("dictionary", "codes", "steps", "signals"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
