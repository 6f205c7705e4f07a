"""What `status` says of learning and training. "converged" is a certificate: no block of the parameters, moved alone against its
gradient, lowers the loss by 1e-4 of it. The search here is the test's own."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import riata

P = riata.datasets.planted(n_features=8, n_atoms=12, n_signals=100, density=0.2, noise_std=0.02)
STEPS = 2.0 ** np.arange(-40, 20)


def largest_fall(loss, blocks, parameters, gradient):
    """Of the loss, relative, over one block at a time, all its arrays together."""
    before = loss(parameters)
    falls = [0.0]
    for block in blocks:
        size = sum(float(np.sum(gradient[name] ** 2)) for name in block)
        for step in STEPS * before / size if size else []:
            moved = dict(parameters)
            moved.update({name: parameters[name] - step * gradient[name] for name in block})
            with np.errstate(all="ignore"):
                after = loss(moved)
            falls.append((before - after) / before if np.isfinite(after) else 0)
    return max(falls)


def nets_fall(net, reg, targets=None):
    def on_the_set(parameters):
        for name, array in parameters.items():
            if name.endswith("rotation"):
                left, _, right = np.linalg.svd(array)
                parameters[name] = left @ right
            if name.endswith("hessian"):
                parameters[name] = (array + array.T) / 2
            if name.endswith("scales"):
                parameters[name] = np.maximum(array, 1e-6 * np.linalg.norm(P.dictionary, 2) ** 2)
        return parameters

    def loss(parameters):
        other = riata.Network(net.kind, P.dictionary, net.n_layers)
        try:
            other.set_parameters(on_the_set(dict(parameters)))
        except ValueError:
            return np.inf
        return other.loss(P.signals, reg, targets)

    gradient = net.gradient(P.signals, reg, targets=targets).parameters
    blocks = {}
    for name in gradient:
        blocks.setdefault(name.split(".")[-1], []).append(name)
    return largest_fall(loss, blocks.values(), net.parameters(), gradient)


@pytest.mark.parametrize("kind", "lista coupled tied step hessian first_step facnet lamp iht fista".split())
def test_a_network_has_converged_only_where_no_block_lowers_its_loss(kind):
    for loss, options in [("unsupervised", {}), ("unsupervised", {"tol": 1e-3}), ("supervised", {"tol": 1e-2})]:
        net = riata.Network(kind, P.dictionary, 2)
        targets = P.codes if loss == "supervised" else None
        result = net.fit(P.signals, 0.3, loss, targets, max_iter=150, **options)
        assert result.status in ("converged", "stalled", "max_iter")
        if result.status == "converged":
            assert nets_fall(net, 0.3, targets) < 1e-4, (loss, options)


@pytest.mark.parametrize("method", ["unrolled", "alternating_exact"])
def test_learning_has_converged_only_where_the_dictionary_does_not_lower_its_loss(method):
    for tol in (1e-6, 1e-4, 1e-2):
        result = riata.learn_dictionary(P.signals, 12, 0.1, n_layers=5, method=method, tol=tol, replace_atoms=False)
        assert result.status in ("converged", "stalled", "max_iter")
        if result.status != "converged":
            assert tol == 1e-2 or result.status == "max_iter"
            continue

        def loss(parameters):
            D = parameters["dictionary"] / np.linalg.norm(parameters["dictionary"], axis=1, keepdims=True)
            if method == "unrolled":
                return riata.unrolled_gradient(P.signals, D, 0.1, 5, wrt=()).value
            return riata.encode(P.signals, D, 0.1, tol=1e-9).objective.mean()

        D = result.dictionary
        if method == "unrolled":
            gradient = riata.unrolled_gradient(P.signals, D, 0.1, 5, wrt="dictionary").dictionary
        else:
            Z = riata.encode(P.signals, D, 0.1, tol=1e-9).codes
            gradient = Z.T @ (Z @ D - P.signals) / len(Z)
        assert largest_fall(loss, [["dictionary"]], {"dictionary": D}, {"dictionary": gradient}) < 1.01e-4


def test_facnet_leaves_ista():
    q = riata.datasets.planted(n_features=20, n_atoms=30, n_signals=300, density=0.1)
    net = riata.Network("facnet", q.dictionary, 5)
    result = net.fit(q.signals, "0.1max")
    assert result.value < 0.6757  # what its scales alone reach


def test_adam_that_ran_out_of_patience_has_not_converged():
    net = riata.Network("coupled", P.dictionary, 2)
    options = {"optimizer": "adam", "learning_rate": 3, "validation": 0.2, "validate_every": 2, "patience": 6}
    result = net.fit(P.signals, 0.1, max_iter=100, **options)
    assert result.status == "stalled"


def test_a_fit_that_did_not_converge_warns():
    with pytest.warns(ConvergenceWarning, match="max_iter = 2"):
        riata.DictionaryLearning(12, alpha=0.1, n_layers=5, max_iter=2).fit(P.signals)
    with pytest.warns(ConvergenceWarning, match="tol = 0.5"):
        riata.DictionaryLearning(12, alpha=0.1, n_layers=5, tol=0.5).fit(P.signals)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        riata.DictionaryLearning(12, alpha=0.1, n_layers=5, max_iter=2000, tol=1e-4).fit(P.signals)


def published_rule(net, X, reg, max_iter):
    """The recursive stages of Ablin et al. (2019) on a hessian network: the gradient of A is G + G^T, and one step for all."""
    stages = np.diff(np.linspace(0, max_iter, net.n_layers + 1, dtype=int))
    for n_layers, n_steps in enumerate(stages, start=1):
        names = [name for name in net.parameters() if int(name.split(".")[1]) < n_layers]
        step, value = 1.0, net.loss(X, reg, n_layers=n_layers)
        for _ in range(n_steps):
            gradient, start = net.gradient(X, reg, names, n_layers=n_layers).parameters, net.parameters()
            while step >= 1e-20:
                net.set_parameters({n: start[n] - step * g * (2 if n.endswith("hessian") else 1) for n, g in gradient.items()})
                if (moved := net.loss(X, reg, n_layers=n_layers)) < value:
                    value, step = moved, 8 * step
                    break
                step /= 2
            else:
                net.set_parameters(start)
                break
    return net.loss(X, reg)


@pytest.mark.parametrize("threshold", ["scalar", "atom"])
def test_a_recursive_hessian_ends_no_higher_than_by_its_published_rule(threshold):
    D = riata.datasets.gaussian_dictionary(64, 128)
    X = riata.datasets.signals_on_b_infinity(D, 40)
    nets = [riata.Network("hessian", D, 3, threshold=threshold) for _ in range(2)]
    result = nets[0].fit(X, 0.5, mode="recursive", max_iter=45)
    assert result.value <= (1 + 1e-7) * published_rule(nets[1], X, 0.5, 45)


def test_a_run_at_whose_start_nothing_moves_can_be_resumed(tmp_path):
    """No gradient gives no unit of steps, and Adam no moments."""
    problem = riata.datasets.planted(n_features=8, n_atoms=10, n_signals=30, density=0.2)
    learned = [
        riata.learn_dictionary(problem.signals, 10, "2max", checkpoint=tmp_path / "learn", resume=resume)
        for resume in (False, True)
    ]
    assert (learned[0].dictionary == learned[1].dictionary).all()
    for optimizer in ("backtracking", "adam"):
        for resume in (False, True):
            net = riata.Network("step", problem.dictionary, 3)
            net.fit(problem.signals, "2max", optimizer=optimizer, max_iter=20, checkpoint=tmp_path / optimizer, resume=resume)
