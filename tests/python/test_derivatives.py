"""Jacobians and implicit derivatives against differences and against each other, through the Python door."""

import numpy as np
import pytest

import riata


@pytest.fixture(scope="module")
def problem():
    data = riata.datasets.planted(n_features=8, n_atoms=12, n_signals=5, random_state=1)
    return data.signals, data.dictionary


def central(f, array, h=1e-5):
    """d f / d entry of `array`, f returning a number or an array; the codes are solved to the last digit."""
    gradient = []
    for index in np.ndindex(array.shape):
        moved = []
        for step in (h, -h):
            other = array.copy()
            other[index] += step
            moved.append(f(other))
        gradient.append((moved[0] - moved[1]) / (2 * h))
    return np.stack(gradient, -1).reshape(*np.shape(gradient[0]), *array.shape)


def exact(X, D, reg=0.1, **options):
    return riata.encode(X, D, reg, tol=0, **options).codes


@pytest.mark.parametrize("method", ["ista", "fista"])
@pytest.mark.parametrize("row", [0, 7])
def test_the_jacobian_after_some_layers_equals_differences(problem, method, row):
    X, D = problem
    L = np.linalg.norm(D, 2) ** 2

    def codes(column):
        moved = D.copy()
        moved[:, row] = column
        return riata.unrolled_encode(X[:1], moved, 0.1, 9, algorithm=method, lipschitz=L)[0]

    J = riata.code_jacobian(X[0], D, 0.1, 9, row, algorithm=method)
    np.testing.assert_allclose(J, central(codes, D[:, row]), atol=1e-8)


def test_the_exact_jacobian_equals_differences(problem):
    X, D = problem

    def codes(column):
        moved = D.copy()
        moved[:, 2] = column
        return exact(X[:1], moved)[0]

    np.testing.assert_allclose(
        riata.code_jacobian(X[0], D, 0.1, None, 2, tol=1e-15), central(codes, D[:, 2]), atol=1e-6
    )


@pytest.mark.parametrize("positive", [False, True])
def test_the_implicit_gradient_equals_differences(problem, positive):
    X, D = problem
    reg, weights = np.linspace(0.1, 0.2, 5), np.linspace(0.8, 1.2, 12)
    c = np.random.default_rng(0).standard_normal((5, 12))

    def value(X=X, D=D, reg=reg, weights=weights):
        return float((c * exact(X, D, reg, positive=positive, weights=weights)).sum())

    options = dict(tol=1e-15, positive=positive, weights=weights)
    result = riata.implicit_gradient(X, D, reg, c, **options)
    for name, array in {"D": D, "X": X, "reg": reg, "weights": weights}.items():
        found = {"D": result.dictionary, "X": result.signals}.get(name, getattr(result, name, None))
        expected = central(lambda a, name=name: value(**{name: a}), array)
        np.testing.assert_allclose(found, expected, atol=1e-6 * max(1, np.abs(expected).max()))
    assert isinstance(riata.implicit_gradient(X, D, 0.1, c).reg, float)
    dX, dD, dreg = (np.random.default_rng(i).standard_normal(a.shape) for i, a in enumerate((X, D, reg)))
    forward = riata.implicit_jvp(X, D, reg, dX, dD, dreg, **options)
    back = (result.signals * dX).sum() + (result.dictionary * dD).sum() + (result.reg * dreg).sum()
    assert (forward * c).sum() == pytest.approx(back, rel=1e-10)


def test_the_hypergradient_equals_differences(problem):
    X, D = problem
    other = X + 0.1 * np.random.default_rng(3).standard_normal(X.shape)
    weights = np.linspace(0.8, 1.2, 12)

    def value(reg=0.2, weights=weights):
        codes = exact(X[:, :6], D[:, :6], float(np.squeeze(reg)), weights=weights)
        return float(((codes @ D[:, 6:] - other[:, 6:]) ** 2).sum() / 10)

    result = riata.hypergradient(
        X[:, :6], D[:, :6], 0.2, "least_squares", other[:, 6:], D[:, 6:], tol=1e-15, weights=weights
    )
    assert result.value == pytest.approx(value(), rel=1e-9)
    assert result.reg == pytest.approx(central(value, np.array([0.2]))[0], abs=1e-6)
    np.testing.assert_allclose(result.weights, central(lambda w: value(weights=w), weights), atol=1e-6)

    def loss(codes):
        residual = codes @ D[:, 6:] - other[:, 6:]
        return 0.5 * (residual**2).sum() / 5, residual @ D[:, 6:].T / 5

    own = riata.hypergradient(X[:, :6], D[:, :6], 0.2, loss, tol=1e-15, weights=weights)
    assert own.value == pytest.approx(result.value, rel=1e-12) and own.reg == pytest.approx(result.reg, rel=1e-9)


def test_descending_the_hypergradient_lowers_the_held_out_loss():
    data = riata.datasets.planted(n_features=20, n_atoms=30, n_signals=200, noise_std=0.3, random_state=2)
    clean = data.codes @ data.dictionary
    reg, values = 0.05, []
    for _ in range(10):
        result = riata.hypergradient(data.signals, data.dictionary, reg, "least_squares", clean)
        values.append(result.value)
        reg -= 0.1 * result.reg
    assert all(after < before for before, after in zip(values, values[1:]))


def test_stability_predicts_the_growth_and_a_safe_depth():
    data = riata.datasets.planted(
        n_features=30, n_atoms=50, n_signals=20, density=0.3, noise_std=0.1, random_state=0
    )
    D = riata.datasets.perturbed(data.dictionary, 0.5)
    result = riata.unrolled_stability(data.signals, D, 0.1, 300, return_errors=True)
    assert result.errors.shape == (20, 301) and np.allclose(result.errors[:, 0], 1)
    np.testing.assert_array_equal(result.growth, result.errors[:, 10:].max(1))
    np.testing.assert_array_equal(result.unstable, result.growth > 1.1)
    np.testing.assert_array_equal(result.safe_backprop == 300, ~result.unstable)
    assert result.unstable.dtype == bool and riata.unrolled_stability(data.signals, D, 0.1, 300).errors is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_bit_depends_on_the_threads(dtype):
    data = riata.datasets.planted(n_features=20, n_atoms=30, n_signals=500, dtype=dtype)
    one, *others = (
        riata.implicit_gradient(data.signals, data.dictionary, 0.1, data.codes, n_threads=n) for n in (1, 2, 3)
    )
    assert one.dictionary.dtype == one.signals.dtype == one.codes.dtype == dtype
    for other in others:
        for name in ("dictionary", "signals", "reg", "weights", "codes"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


X, D, Z = np.ones((5, 4)), np.eye(4)[:3], np.zeros((5, 3))
REFUSED = [
    (lambda: riata.code_jacobian(X, D, 0.1, 5, 0), "code_jacobian: x has shape (5, 4), expected (n_features,)"),
    (lambda: riata.code_jacobian(X[0], D, 0.1, 5, 4), "row = 4, must be between 0 and n_features - 1 = 3"),
    (lambda: riata.code_jacobian(X[0], D, 0.1, None, -1), "row = -1, must be between 0"),
    (lambda: riata.code_jacobian(X[0], D, 0.1, 0, 0), "n_layers = 0, must be between 1"),
    (lambda: riata.code_jacobian(X[0], D, 0.1, 5, 0, backprop=6), "backprop = 6, must be between 0 and n_layers = 5"),
    (lambda: riata.code_jacobian(X[0], D, 0.1, 5, 0, algorithm="cd"), "algorithm = 'cd', must be 'fista' or 'ista'"),
    (
        lambda: riata.code_jacobian(X[0], D, 0.1, None, 0, backprop=3),
        "code_jacobian: backprop = 3, but n_layers is None: the exact code has no layers",
    ),
    (lambda: riata.code_jacobian(X[0] * np.nan, D, 0.1, 5, 0), "code_jacobian: X holds nan at signal 0, feature 0"),
    (lambda: riata.implicit_gradient(X, D, 0.1, Z[:2]), "implicit_gradient: cotangent has shape (2, 3), expected (5, 3)"),
    (lambda: riata.implicit_gradient(X, D, 0.1, Z, Z[:2]), "implicit_gradient: codes has shape (2, 3), expected (5, 3)"),
    (lambda: riata.implicit_gradient(X, D, 0.1, Z, tol=-1), "tol = -1, must be >= 0 and finite"),
    (lambda: riata.implicit_gradient(X, D, 0, Z), "reg = 0, must be > 0 and finite"),
    (lambda: riata.implicit_jvp(X, D, 0.1, dX=X[:2]), "implicit_jvp: the direction of X has shape (2, 4), expected (5, 4)"),
    (lambda: riata.implicit_jvp(X, D, 0.1, dreg=[1, 2]), "implicit_jvp: the direction of reg has 2 entries for 5 signals"),
    (lambda: riata.hypergradient(X, D, 0.1), "hypergradient: X_held_out is missing, expected (n_signals, n_held_out)"),
    (lambda: riata.hypergradient(X, D, 0.1, "lasso", X), "hypergradient: loss = 'lasso', must be 'least_squares' or callable"),
    (
        lambda: riata.hypergradient(X, D, 0.1, "least_squares", X[:, :2]),
        "hypergradient: X_held_out has shape (5, 2), expected (5, 4)",
    ),
    (
        lambda: riata.hypergradient(X, D, 0.1, lambda z: (0.0, z), X),
        "hypergradient: X_held_out and D_held_out are for loss='least_squares', not for a callable",
    ),
    (lambda: riata.unrolled_stability(X, D, 0.1, 5, directions=0), "directions = 0, must be >= 1"),
    (lambda: riata.unrolled_stability(X, D, 0.1, 5, lipschitz=0), "lipschitz = 0, must be > 0 and finite"),
]


@pytest.mark.parametrize("call, sentence", REFUSED, ids=lambda value: value[:50] if isinstance(value, str) else "")
def test_bad_input_gets_its_sentence(call, sentence):
    with pytest.raises(ValueError) as refused:
        call()
    assert str(refused.value).startswith(sentence)
