"""Elastic net, group Lasso and l0 from Python, against plain NumPy formulas and scikit-learn."""

import re

import numpy as np
import pytest

import riata

GROUPS = np.arange(30) % 7


@pytest.fixture(scope="module")
def problem():
    return riata.datasets.planted(n_features=20, n_atoms=30, n_signals=150, random_state=3)


def elastic_net_gap(x, D, z, reg, l1_ratio, weights=1.0):
    """Of one signal: the Lasso on the dictionary with the ridge's rows appended."""
    D = np.hstack([D, np.sqrt(reg * (1 - l1_ratio)) * np.eye(len(D))])
    x = np.concatenate([x, np.zeros(len(D))])
    r, bound = x - z @ D, reg * l1_ratio * np.broadcast_to(weights, len(z))
    s = min(1, (bound / np.maximum(np.abs(D @ r), 1e-300)).min())
    return 0.5 * r @ r + bound @ np.abs(z) - 0.5 * x @ x + 0.5 * (x - s * r) @ (x - s * r)


def group_gap(x, D, z, reg):
    r = x - z @ D
    c, labels = D @ r, np.unique(GROUPS)
    s = min(1, reg / max(np.linalg.norm(c[GROUPS == g]) for g in labels))
    norms = sum(np.linalg.norm(z[GROUPS == g]) for g in labels)
    return 0.5 * r @ r + reg * norms - 0.5 * x @ x + 0.5 * (x - s * r) @ (x - s * r)


@pytest.mark.parametrize("method", ["auto", "cd", "fista", "ista", "oista", "backtracking"])
@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, 30)])
def test_the_elastic_net_is_certified_by_the_formula_of_the_test(problem, method, weights):
    X, D = problem.signals, problem.dictionary
    options = dict(penalty="elastic_net", l1_ratio=0.3, weights=weights)
    result = riata.encode(X, D, 0.3, method=method, tol=1e-9, **options)
    assert (result.status == "converged").all()
    w = 1.0 if weights is None else weights
    gaps = [elastic_net_gap(x, D, z, 0.3, 0.3, w) for x, z in zip(X, result.codes)]
    assert (gaps <= 1.01e-9 * 0.5 * (X**2).sum(axis=1)).all()
    np.testing.assert_allclose(result.gap, gaps, atol=1e-12)
    np.testing.assert_allclose(riata.duality_gap(X, D, result.codes, 0.3, **options), gaps, atol=1e-12)
    np.testing.assert_allclose(riata.lasso_objective(X, D, result.codes, 0.3, **options), result.objective, rtol=1e-13)
    assert riata.kkt_violation(X, D, result.codes, 0.3, **options).max() < 1e-2


def test_the_elastic_net_is_that_of_scikit_learn(problem):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, D = problem.signals, problem.dictionary
    for reg, l1_ratio, positive in [(0.3, 0.5, False), (0.05, 0.9, True), (2.0, 0.1, False)]:
        peer = linear_model.ElasticNet(
            alpha=reg / X.shape[1], l1_ratio=l1_ratio, positive=positive, fit_intercept=False, tol=1e-12, max_iter=100_000
        )  # it divides the data fit by the number of samples, which are the features here
        expected = peer.fit(D.T, X.T).coef_
        codes = riata.encode(
            X, D, reg, tol=1e-13, penalty="elastic_net", l1_ratio=l1_ratio, positive=positive
        ).codes
        np.testing.assert_allclose(codes, expected, atol=1e-5)


@pytest.mark.parametrize("method", ["auto", "fista", "ista", "backtracking"])
def test_the_group_lasso_is_certified_by_the_formula_of_the_test(problem, method):
    X, D = problem.signals, problem.dictionary
    options = dict(penalty="group", groups=GROUPS)
    result = riata.encode(X, D, 0.5, method=method, tol=1e-8, **options)
    assert (result.status == "converged").all()
    gaps = [group_gap(x, D, z, 0.5) for x, z in zip(X, result.codes)]
    assert (gaps <= 1.01e-8 * 0.5 * (X**2).sum(axis=1)).all()
    np.testing.assert_allclose(result.gap, gaps, atol=1e-12)
    np.testing.assert_allclose(riata.duality_gap(X, D, result.codes, 0.5, **options), gaps, atol=1e-12)
    zero = result.codes == 0
    for g in np.unique(GROUPS):  # a group is in or out as a whole
        assert np.isin(zero[:, GROUPS == g].sum(axis=1), [0, (GROUPS == g).sum()]).all()
    C = X @ D.T
    expected = np.max([np.linalg.norm(C[:, GROUPS == g], axis=1) for g in np.unique(GROUPS)], axis=0)
    np.testing.assert_allclose(riata.reg_max(X, D, **options), expected, rtol=1e-14)


def test_groups_take_weights_and_positive_codes(problem):
    X, D = problem.signals, problem.dictionary
    weights = np.linspace(0.5, 2, 7)
    options = dict(penalty="group", groups=GROUPS, weights=weights, positive=True)
    result = riata.encode(X, D, 0.3, tol=1e-9, **options)
    assert (result.status == "converged").all() and result.codes.min() == 0
    for x, z in zip(X, result.codes):
        c = D @ (x - z @ D)
        for g, w in enumerate(weights):
            c_g, z_g, norm = c[GROUPS == g], z[GROUPS == g], np.linalg.norm(z[GROUPS == g])
            if norm > 1e-3:
                np.testing.assert_allclose(c_g[z_g > 0], 0.3 * w * z_g[z_g > 0] / norm, atol=1e-3)
                assert (c_g[z_g == 0] <= 1e-3).all()
            else:
                assert np.linalg.norm(np.maximum(c_g, 0)) <= 0.3 * w + 1e-3
    pulls = np.array([np.linalg.norm(np.maximum(X @ D.T, 0)[:, GROUPS == g], axis=1) / w for g, w in enumerate(weights)])
    np.testing.assert_allclose(riata.reg_max(X, D, **options), pulls.max(axis=0), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_signal_may_have_weights_of_its_own(problem, dtype):
    X, D = problem.signals.astype(dtype), problem.dictionary.astype(dtype)
    weights = np.random.default_rng(0).uniform(0.5, 2, (len(X), len(D)))
    weights[:, ::5] = np.inf
    result = riata.encode(X, D, "0.1max", weights=weights, tol=1e-5)
    assert result.method == "cd" and (result.status == "converged").all() and not result.codes[:, ::5].any()
    gaps = riata.duality_gap(X, D, result.codes, "0.1max", weights=weights)
    for i in range(0, len(X), 10):
        one = slice(i, i + 1)
        for w in (weights[i], weights[one]):
            alone = riata.encode(X[one], D, "0.1max", weights=w, tol=1e-5)
            np.testing.assert_allclose(alone.objective, result.objective[one], rtol=1e-4)
            assert riata.duality_gap(X[one], D, result.codes[one], "0.1max", weights=w)[0] == gaps[i]
    assert (gaps <= 1.001e-5 * 0.5 * (X.astype(float) ** 2).sum(axis=1)).all()
    for shape in ((len(D), len(X)), (len(X), len(D) - 1), (1, len(D))):
        with pytest.raises(ValueError, match=re.escape(f"weights has shape {shape}, expected (n_atoms,) or (n_signals")):
            riata.encode(X, D, 0.1, weights=np.ones(shape))
    with pytest.raises(ValueError, match="weights: 4500 entries for 30 atoms; they must be equal"):
        riata.encode(X, D, 0.1, weights=np.ones(len(X) * len(D)))
    with pytest.raises(ValueError, match="encode: weights per signal is for output = 'dense'"):
        riata.encode(X, D, 0.1, weights=weights, output="csr")


def test_atoms_of_weight_zero_are_fitted_beside_the_others(problem):
    X, D = problem.signals + 3, np.vstack([np.ones(20), problem.dictionary])  # a constant, which has no price
    weights = np.r_[0, np.ones(30)]
    result = riata.encode(X, D, "0.1max", weights=weights, tol=1e-10)
    assert (result.status == "converged").all()
    residual = X - result.codes @ D
    np.testing.assert_allclose(residual.mean(axis=1), 0, atol=1e-13)
    centred = [A - A.mean(axis=1, keepdims=True) for A in (X, D[1:])]
    expected = riata.encode(*centred, "0.1max", tol=1e-10)
    np.testing.assert_allclose(result.codes[:, 1:], expected.codes, atol=1e-4)
    np.testing.assert_allclose(result.objective, expected.objective, rtol=1e-9)
    np.testing.assert_allclose(riata.reg_max(X, D, weights=weights), riata.reg_max(*centred), rtol=1e-12)
    csr = riata.encode(X, D, "0.1max", weights=weights, tol=1e-10, output="csr")
    np.testing.assert_array_equal(csr.codes.toarray(), result.codes)


def test_hard_thresholding_ends_at_a_fixed_point_and_has_no_gap(problem):
    X, D = problem.signals, problem.dictionary
    result = riata.encode(X, D, 0.05, tol=1e-12, max_iter=100_000, penalty="l0", record=True)
    assert result.method == "ista" and (result.status == "converged").all()
    assert np.isnan(result.gap).all()
    assert np.isnan(riata.duality_gap(X, D, result.codes, 0.05, penalty="l0")).all()
    L = np.linalg.norm(D, 2) ** 2
    V = result.codes - (result.codes @ D - X) @ D.T / L
    np.testing.assert_allclose(np.where(np.abs(V) > np.sqrt(2 * 0.05 / L), V, 0), result.codes, atol=1e-9)
    assert riata.kkt_violation(X, D, result.codes, 0.05, penalty="l0").max() < 1e-8
    expected = 0.5 * ((X - result.codes @ D) ** 2).sum(axis=1) + 0.05 * (result.codes != 0).sum(axis=1)
    np.testing.assert_allclose(result.objective, expected, rtol=1e-12)
    for trace in result.trace:
        assert (np.diff(trace.objective) <= 1e-13).all()
    largest = ((X @ D.T) ** 2).max(axis=1) / (2 * L)
    np.testing.assert_allclose(riata.reg_max(X, D, penalty="l0"), largest, rtol=1e-12)


@pytest.mark.parametrize(
    "options",
    [dict(penalty="elastic_net"), dict(penalty="group", groups=GROUPS), dict(penalty="l0")],
    ids=lambda options: options["penalty"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_csr_and_stream_give_the_same_codes(problem, options, dtype):
    X, D = problem.signals.astype(dtype), problem.dictionary.astype(dtype)
    dense = riata.encode(X, D, "0.2max", max_iter=500, **options)
    sparse = riata.encode(X, D, "0.2max", max_iter=500, output="csr", **options)
    np.testing.assert_array_equal(sparse.codes.toarray(), dense.codes)
    np.testing.assert_array_equal(sparse.gap, dense.gap)
    blocks = []
    report = riata.encode_stream(X, D, "0.2max", blocks.append, max_iter=500, block_size=128, **options)
    np.testing.assert_array_equal(np.vstack([block.codes.toarray() for block in blocks]), dense.codes)
    np.testing.assert_equal(report.gap, dense.gap.max())
    assert not riata.encode(X, D, "1max", **options).codes.any()


X, D, Z = np.ones((5, 4)), np.eye(4)[:3], np.zeros((5, 3))
BAD = [
    (dict(penalty="ridge"), ValueError, "penalty = 'ridge', must be 'l1', 'elastic_net', 'group' or 'l0'"),
    (dict(penalty=2), TypeError, "penalty = 2, must be a string"),
    (dict(penalty="elastic_net", l1_ratio="half"), TypeError, "l1_ratio = 'half', must be a number"),
    (dict(penalty="elastic_net", l1_ratio=0), ValueError, "l1_ratio = 0, must be > 0 and <= 1"),
    (dict(l1_ratio=0.5), ValueError, "l1_ratio is for the penalty 'elastic_net', not for 'l1'"),
    (dict(penalty="group"), ValueError, "penalty = 'group' needs groups, one label >= 0 per atom"),
    (dict(penalty="group", groups=[0, 1]), ValueError, "groups: 2 entries for 3 atoms; they must be equal"),
    (dict(penalty="group", groups=[0, 1, -2]), ValueError, "groups: entry 2 is -2, must be >= 0"),
    (dict(penalty="group", groups=[0.0, 1.0, 2.0]), TypeError, "groups holds float64; expected integers"),
    (dict(penalty="group", groups=[[0, 1, 2]]), ValueError, "groups has shape (1, 3), expected one dimension"),
    (dict(groups=[0, 1, 2]), ValueError, "groups are for the penalty 'group', not for 'l1'"),
    (
        dict(penalty="group", groups=[0, 1, 1], weights=[1.0, 1, 1]),
        ValueError,
        "weights: 3 entries for 2 groups; they must be equal",
    ),
    (
        dict(penalty="l0", weights=[1.0, 1, 1]),
        ValueError,
        "weights are for the penalties 'l1', 'elastic_net' and 'group', not for 'l0'",
    ),
]


@pytest.mark.parametrize(("options", "error", "sentence"), BAD)
def test_a_penalty_that_does_not_fit_is_refused(options, error, sentence):
    for call in (
        lambda: riata.encode(X, D, 0.1, **options),
        lambda: riata.encode(X, D, 0.1, output="csr", **options),
        lambda: riata.encode_stream(X, D, 0.1, print, **options),
        lambda: riata.lasso_objective(X, D, Z, 0.1, **options),
        lambda: riata.duality_gap(X, D, Z, 0.1, **options),
        lambda: riata.kkt_violation(X, D, Z, 0.1, **options),
        lambda: riata.reg_max(X, D, **options),
    ):
        with pytest.raises(error, match=re.escape(sentence)):
            call()


@pytest.mark.parametrize(
    ("method", "options", "others"),
    [
        ("lars", dict(penalty="elastic_net"), "'auto', 'ista', 'fista', 'oista', 'backtracking', 'cd'"),
        ("cd", dict(penalty="group", groups=[0, 0, 1]), "'auto', 'ista', 'fista', 'backtracking'"),
        ("fista", dict(penalty="l0"), "'auto', 'ista'"),
    ],
)
def test_a_method_that_does_not_fit_is_refused(method, options, others):
    sentence = f"method = '{method}' does not fit penalty = '{options['penalty']}'; choose one of {others}"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        riata.encode(X, D, 0.1, method=method, **options)
