"""encode and its certificates against plain NumPy formulas."""

import numpy as np
import pytest

import riata

METHODS = ["auto", "cd", "fista", "ista", "oista", "backtracking", "lars"]


@pytest.fixture
def problem():
    return riata.datasets.planted(n_features=20, n_atoms=30, n_signals=150, random_state=3)


def objective(X, D, Z, reg, weights=1.0):
    return 0.5 * ((X - Z @ D) ** 2).sum(axis=1) + reg * (np.abs(Z) * weights).sum(axis=1)


def gap(X, D, Z, reg, weights=1.0, positive=False):
    R = X - Z @ D
    pull = (R @ D.T if positive else np.abs(R @ D.T)) / weights
    s = np.minimum(1, reg / np.maximum(pull.max(axis=1), 1e-300))
    theta = s[:, None] * R
    dual = 0.5 * (X**2).sum(axis=1) - 0.5 * ((X - theta) ** 2).sum(axis=1)
    return objective(X, D, Z, reg, weights) - dual


def violation(X, D, Z, reg, weights=1.0, positive=False):
    C, bound = (X - Z @ D) @ D.T, reg * np.broadcast_to(weights, Z.shape)
    at_zero = np.maximum((C if positive else np.abs(C)) - bound, 0)
    return np.where(Z != 0, np.abs(C - bound * np.sign(Z)), at_zero).max(axis=1)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_certificates_equal_their_formulas(problem, positive, weighted):
    rng = np.random.default_rng(0)
    X, D = problem.signals, problem.dictionary
    weights = rng.uniform(0.5, 2, len(D)) if weighted else None
    Z = rng.standard_normal((len(X), len(D))) * (rng.random((len(X), len(D))) < 0.2)
    Z = np.abs(Z) if positive else Z
    w = 1.0 if weights is None else weights
    options = dict(positive=positive, weights=weights)
    np.testing.assert_allclose(
        riata.lasso_objective(X, D, Z, 0.2, **options), objective(X, D, Z, 0.2, w), rtol=1e-12
    )
    np.testing.assert_allclose(
        riata.duality_gap(X, D, Z, 0.2, **options), gap(X, D, Z, 0.2, w, positive), rtol=1e-10
    )
    np.testing.assert_allclose(
        riata.kkt_violation(X, D, Z, 0.2, **options), violation(X, D, Z, 0.2, w, positive), rtol=1e-12
    )
    C = X @ D.T
    np.testing.assert_allclose(
        riata.reg_max(X, D, **options), ((C if positive else np.abs(C)) / w).max(axis=1), rtol=1e-14
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("positive", [False, True])
def test_codes_are_certified_by_the_formula_of_the_test(problem, method, positive):
    X, D = problem.signals, problem.dictionary
    weights = np.linspace(0.5, 1.5, len(D))
    result = riata.encode(X, D, 0.3, method=method, tol=1e-8, positive=positive, weights=weights)
    half_norms = 0.5 * (X**2).sum(axis=1)
    assert (result.status == "converged").all()
    assert (gap(X, D, result.codes, 0.3, weights, positive) <= 1.01e-8 * half_norms).all()
    np.testing.assert_allclose(result.objective, objective(X, D, result.codes, 0.3, weights), rtol=1e-12)
    assert result.codes.shape == (150, 30) and result.n_iter.shape == result.gap.shape == (150,)
    assert not positive or result.codes.min() >= 0
    assert result.method == {"auto": "lars"}.get(method, method)


def test_reg_is_a_number_one_per_signal_or_a_fraction(problem):
    X, D = problem.signals, problem.dictionary
    largest = riata.reg_max(X, D)
    same = [riata.encode(X, D, reg).codes for reg in ("0.25max", "0.25*max", 0.25 * largest)]
    np.testing.assert_array_equal(same[0], same[1])
    np.testing.assert_array_equal(same[0], same[2])
    np.testing.assert_array_equal(
        riata.encode(X, D, np.float32(0.5)).codes, riata.encode(X, D, np.full(len(X), 0.5)).codes
    )
    assert not riata.encode(X, D, largest).codes.any()
    assert not riata.encode(X, D, "max").codes.any()
    np.testing.assert_array_equal(
        riata.lasso_objective(X, D, same[0], "0.25max"), riata.lasso_objective(X, D, same[0], 0.25 * largest)
    )


def test_a_signal_that_does_not_converge_says_so(problem):
    result = riata.encode(
        problem.signals, problem.dictionary, "0.01max", method="ista", tol=1e-12, max_iter=3
    )
    assert set(result.status) == {"max_iter"}
    assert (result.n_iter == 3).all()


def test_a_warm_start_at_the_solution_is_done_at_once(problem):
    X, D = problem.signals, problem.dictionary
    first = riata.encode(X, D, 0.3, method="fista", tol=1e-8)
    again = riata.encode(X, D, 0.3, method="fista", tol=1e-6, init=first.codes)
    assert again.n_iter.sum() < first.n_iter.sum() / 4
    assert (again.status == "converged").all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_bit_depends_on_the_threads(dtype):
    problem = riata.datasets.planted(n_signals=2000, dtype=dtype)
    X, D = problem.signals, problem.dictionary
    one, two = (riata.encode(X, D, 0.1, tol=1e-4, n_threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one.codes, two.codes)
    np.testing.assert_array_equal(one.gap, two.gap)


def test_a_trace_has_an_entry_per_iteration(problem):
    X, D = problem.signals, problem.dictionary
    for method in ("ista", "fista", "oista", "backtracking"):
        result = riata.encode(X[:5], D, 0.3, method=method, max_iter=30, tol=0.0, record=True)
        for trace, last in zip(result.trace, result.objective):
            assert trace.objective.shape == trace.step.shape == trace.accepted.shape == (30,)
            assert trace.accepted.dtype == bool
            assert trace.objective[-1] == pytest.approx(last, rel=1e-14)
    assert riata.encode(X[:5], D, 0.3, method="ista").trace is None


def test_fista_and_oista_and_backtracking_reach_the_same_codes_with_any_option(problem):
    X, D = problem.signals, problem.dictionary
    reference = riata.encode(X, D, 0.3, tol=1e-12).objective
    for method, options in [
        ("fista", dict(momentum="chambolle_dossal", momentum_delay=4)),
        ("fista", dict(momentum="greedy", restart="objective")),
        ("fista", dict(restart="never")),
        ("oista", dict(support_norm="exact")),
        ("backtracking", dict(shrink=0.9, first_step=1000.0)),
    ]:
        result = riata.encode(X, D, 0.3, method=method, tol=1e-9, **options)
        assert (result.status == "converged").all(), (method, options)
        np.testing.assert_allclose(result.objective, reference, rtol=1e-8)


@pytest.mark.parametrize("positive", [False, True])
def test_a_path_is_optimal_at_its_knots(problem, positive):
    x, D = problem.signals[0], problem.dictionary
    path = riata.lasso_path(x, D, positive=positive)
    largest = riata.reg_max(x[None], D, positive=positive)[0]
    assert path.regs[0] == pytest.approx(largest, rel=1e-14) and path.regs[-1] == 0
    assert (np.diff(path.regs) <= 0).all() and not path.codes[0].any()
    for reg, z in zip(path.regs, path.codes):
        assert violation(x[None], D, z[None], reg, positive=positive)[0] <= 1e-12 * largest
    reg = 0.37 * largest
    middle = [np.interp(reg, path.regs[::-1], column[::-1]) for column in path.codes.T]
    codes = riata.encode(x[None], D, reg, method="lars", positive=positive).codes[0]
    np.testing.assert_allclose(middle, codes, atol=1e-12)
    assert riata.lasso_path(x.astype(np.float32), D.astype(np.float32)).codes.dtype == np.float32


def test_a_path_says_what_its_knots_are_worth(problem):
    x, D = problem.signals[0], problem.dictionary
    path = riata.lasso_path(x, D)
    assert path.status == "converged" and "converged" in repr(path)
    assert path.gap.dtype == np.float64 and path.gap.shape == path.regs.shape
    assert (path.gap[:-1] <= 1e-9 * 0.5 * x @ x).all()
    assert path.gap[-1] == pytest.approx(0.5 * ((x - path.codes[-1] @ D) ** 2).sum(), abs=1e-12)
    assert riata.lasso_path(x, D, max_knots=3).status == "max_iter"
    scales = 10.0 ** np.random.default_rng(5).uniform(-25, 25, len(D))
    wild = riata.lasso_path(x, D * scales[:, None])
    assert wild.status == "stalled" or (wild.gap[:-1] <= 1e-9 * 0.5 * x @ x).all()


@pytest.mark.parametrize("weight", [1e-12, 1e-6, 1e6])
def test_one_weight_unlike_the_others_is_no_matter_to_the_path(problem, weight):
    X, D = problem.signals[:5], problem.dictionary
    weights = np.ones(len(D))
    weights[2] = weight
    coded = riata.encode(X, D, 0.2, "lars", weights=weights)
    reference = riata.encode(X, D, 0.2, "cd", weights=weights, tol=1e-9)
    assert (coded.status == "converged").all()
    np.testing.assert_allclose(coded.objective, reference.objective, rtol=1e-5)


@pytest.mark.parametrize("method", ["ista", "fista", "oista", "backtracking"])
def test_an_optimal_start_costs_no_iteration(problem, method):
    X, D = problem.signals, problem.dictionary
    start = riata.encode(X, D, 0.3, tol=1e-9).codes
    again = riata.encode(X, D, 0.3, method, init=start)
    assert (again.n_iter == 0).all() and (again.status == "converged").all()
    np.testing.assert_array_equal(again.codes, start)


def test_converged_means_a_gap_that_rounding_does_not_hide():
    rng = np.random.default_rng(6)
    for n, m in ((30, 12), (12, 30)):
        D = rng.standard_normal((m, n))
        D /= np.linalg.norm(D, axis=1, keepdims=True)
        X = rng.standard_normal((100, n))
        coded = riata.encode(X, D, "1e-12max", tol=1e-11, max_iter=500)
        reg = riata.reg_max(X, D) * 1e-12
        for x, z, r, status, said in zip(X, coded.codes, reg, coded.status, coded.gap):
            long = x.astype(np.longdouble) - z.astype(np.longdouble) @ D.astype(np.longdouble)
            c = D.astype(np.longdouble) @ long
            s = min(1, np.longdouble(r) / np.abs(c).max())
            gap = r * np.abs(z).sum() - s * (z @ c) + (1 - s) ** 2 / 2 * (long @ long)
            assert gap <= said * (1 + 1e-6) + 1e-17 * (x @ x)
            assert status != "converged" or gap <= 1e-11 * 0.5 * (x @ x) * (1 + 1e-6)


def test_pursuit_agrees_with_scikit_learn(problem):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, D = problem.signals, problem.dictionary
    result = riata.omp(X, D, n_nonzero=4)
    expected = linear_model.orthogonal_mp(D.T, X.T, n_nonzero_coefs=4).T
    np.testing.assert_allclose(result.codes, expected, atol=1e-10)
    np.testing.assert_allclose(result.error, ((X - result.codes @ D) ** 2).sum(axis=1), rtol=1e-10)
    assert (result.n_nonzero == 4).all() and (result.status == "converged").all()
    from_products = riata.omp(X, D, n_nonzero=4, gram=D @ D.T, covariance=X @ D.T)
    np.testing.assert_allclose(from_products.codes, result.codes, atol=1e-12)
    for max_error in (0.5, np.linspace(0.1, 1, len(X))):
        expected = linear_model.orthogonal_mp(D.T, X.T, tol=max_error).T if np.ndim(max_error) == 0 else [
            linear_model.orthogonal_mp(D.T, x, tol=error) for x, error in zip(X, max_error)]
        np.testing.assert_allclose(riata.omp(X, D, max_error=max_error).codes, expected, atol=1e-10)
    by_error = riata.omp(X, D, tol=0.1)
    assert (by_error.error <= 0.1 * (X**2).sum(axis=1)).all()
    assert set(riata.omp(X, D, n_nonzero=1, tol=1e-3).status) == {"max_iter"}


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("options", [dict(n_nonzero=4), dict(tol=0.1), dict(n_nonzero=3, selection="ols"),
                                     dict(max_error=0.5, selection="ols"), dict(n_nonzero=4, gram=True)])
def test_pursuit_returns_sparse_rows_of_the_same_numbers(problem, precision, options):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    X, D = problem.signals.astype(precision), problem.dictionary.astype(precision)
    options = {name: D @ D.T if name == "gram" else value for name, value in options.items()}
    X[3] = 0
    dense, sparse = riata.omp(X, D, **options), riata.omp(X, D, **options, output="csr")
    assert isinstance(sparse.codes, scipy_sparse.csr_matrix) and sparse.codes.dtype == precision
    sparse.codes.check_format(full_check=True)
    assert sparse.codes.has_sorted_indices and (sparse.codes.data != 0).all()
    np.testing.assert_array_equal(sparse.codes.toarray(), dense.codes)
    for name in ("n_nonzero", "status"):
        np.testing.assert_array_equal(getattr(sparse, name), getattr(dense, name))
    np.testing.assert_allclose(sparse.error, dense.error, rtol=1e-13)  # atoms are summed in another order


def test_codes_that_do_not_fit_are_named_with_their_shape_and_a_way_around():
    X, D = np.broadcast_to(np.ones((1, 2)), (1 << 22, 2)).copy(), np.ones((1 << 12, 2))
    for call, words in ((lambda: riata.encode(X, D, 0.1), "encode_stream"), (lambda: riata.omp(X, D, n_nonzero=1), "fewer")):
        resource = pytest.importorskip("resource")
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 34, before[1]))
        try:
            with pytest.raises(MemoryError, match=rf"codes of shape \(4194304, 4096\), 128 GiB; .*{words}"):
                call()
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
