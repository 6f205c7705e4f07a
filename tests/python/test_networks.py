"""Network: training, files, and the theory of the step-size paper (Ablin et al. 2019) as tests."""

import copy
import pickle
import sys
import threading
import time

import numpy as np
import pytest

import riata

KINDS = "lista coupled tied alista step hessian first_step facnet iht lamp group fista".split()
STARTS_AS_ISTA = "lista coupled tied step hessian first_step facnet".split()
GROUPS = np.arange(20) // 4


@pytest.fixture(scope="module")
def problem():
    return riata.datasets.planted(n_features=10, n_atoms=20, n_signals=300, density=0.2, noise_std=0.01)


def network(kind, problem, n_layers=4, **options):
    if kind == "group":
        options["groups"] = GROUPS
    return riata.Network(kind, problem.dictionary, n_layers, **options)


def soft(v, threshold):
    return np.sign(v) * np.maximum(np.abs(v) - threshold, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["oneshot", "recursive", "greedy"])
def test_training_falls_at_every_step_and_never_ends_above_ista(problem, kind, mode):
    net = network(kind, problem)
    before = net.loss(problem.signals, 0.1)
    result = net.fit(problem.signals, 0.1, mode=mode, max_iter=20)
    history = result.history
    same_stage = np.diff(history.phase) == 0
    assert (np.diff(history.value)[same_stage] < 0).all()
    assert result.value == net.loss(problem.signals) <= before
    assert net.reg == 0.1
    if kind in STARTS_AS_ISTA:
        ista = riata.unrolled_encode(problem.signals, problem.dictionary, 0.1, 4, "ista")
        objective = riata.lasso_objective(problem.signals, problem.dictionary, ista, 0.1).mean()
        assert result.value < objective


@pytest.mark.parametrize("kind", STARTS_AS_ISTA)
def test_a_network_starts_as_ista(problem, kind):
    net = network(kind, problem)
    for depth, codes in enumerate(net.layer_outputs(problem.signals, 0.2), start=1):
        expected = riata.unrolled_encode(problem.signals, problem.dictionary, 0.2, depth, "ista")
        np.testing.assert_allclose(codes, expected, atol=1e-12)
        np.testing.assert_array_equal(codes, net.encode(problem.signals, 0.2, depth))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_files_and_pickles_keep_every_bit(problem, kind, dtype, tmp_path):
    groups = GROUPS if kind == "group" else None
    signals = problem.signals.astype(dtype)
    net = riata.Network(kind, problem.dictionary.astype(dtype), 3, groups=groups)
    net.fit(signals, 0.1, max_iter=3)
    net.metadata["note"] = "a test"
    net.save(tmp_path / "net.safetensors")
    net.save_parameters(tmp_path / "net.npz")
    loaded = riata.load_network(tmp_path / "net.safetensors")
    filled = riata.Network(kind, problem.dictionary.astype(dtype), 3, groups=groups)
    filled.load_parameters(tmp_path / "net.npz")
    for other in (loaded, pickle.loads(pickle.dumps(net)), filled):
        assert other.kind == kind
        for name, array in net.parameters().items():
            np.testing.assert_array_equal(other.parameters()[name], array)
        assert other.encode(signals, 0.1).tobytes() == net.encode(signals, 0.1).tobytes()
    assert loaded.reg == net.reg and loaded.metadata["note"] == "a test"
    assert loaded.encode(signals).dtype == dtype
    with np.load(tmp_path / "net.npz") as arrays:
        assert set(arrays) == set(net.parameters())


def test_parameters_are_what_the_formulas_say(problem):
    D, X = problem.dictionary, problem.signals
    net = network("lista", problem, 2, threshold="atom")
    z = np.zeros((len(X), 20))
    for layer in range(2):
        p = {name: net.parameters()[f"layer.{layer}.{name}"] for name in ("weight_z", "weight_x", "threshold")}
        z = soft(z @ p["weight_z"] + X @ p["weight_x"], p["threshold"] * 0.1)
    np.testing.assert_allclose(net.encode(X, 0.1), z, atol=1e-12)
    parameters = net.parameters()
    parameters["layer.1.threshold"] *= 2
    net.set_parameters({"layer.1.threshold": parameters["layer.1.threshold"]})
    np.testing.assert_array_equal(net.parameters()["layer.1.threshold"], parameters["layer.1.threshold"])
    assert network("coupled", problem).parameters()["layer.0.weight"].shape == D.shape
    assert network("step", problem).parameters()["layer.0.step"].shape == (1,)


def test_gradients_are_those_of_differences(problem):
    X = problem.signals[:5]
    net = network("tied", problem, 3)
    gradient = net.gradient(X, 0.1, ["weight", "layer.1.step", "reg", "signals", "codes"])
    assert set(gradient.parameters) == {"weight", "layer.1.step"}
    assert gradient.codes.shape == (5, 20) and gradient.signals.shape == X.shape
    h = 1e-5
    difference = (net.loss(X, 0.1 + h) - net.loss(X, 0.1 - h)) / (2 * h)
    np.testing.assert_allclose(gradient.reg, difference, rtol=1e-6)
    step = net.parameters()["layer.1.step"]
    values = []
    for moved in (step + h, step - h):
        net.set_parameters({"layer.1.step": moved})
        values.append(net.loss(X, 0.1))
    np.testing.assert_allclose(gradient.parameters["layer.1.step"], (values[0] - values[1]) / (2 * h), rtol=1e-6)
    by_cotangent = net.gradient(X, 0.1, "codes", cotangent=np.ones((5, 20)))
    np.testing.assert_allclose(by_cotangent.value, by_cotangent.codes.sum())


def test_supervised_training_takes_targets_and_semi_finds_them(problem):
    net = network("coupled", problem)
    before = net.loss(problem.signals, 0.1, problem.codes)
    assert net.fit(problem.signals, 0.1, "supervised", problem.codes, max_iter=10).value < before
    semi, by_hand = network("coupled", problem), network("coupled", problem)
    exact = riata.encode(problem.signals, problem.dictionary, 0.1, tol=1e-10, max_iter=100000).codes
    a = semi.fit(problem.signals, 0.1, "semi", max_iter=5)
    b = by_hand.fit(problem.signals, 0.1, "supervised", exact, max_iter=5)
    np.testing.assert_array_equal(a.history.value, b.history.value)


def test_a_resumed_run_ends_where_the_whole_one_does(problem, tmp_path):
    whole, cut, resumed = (network("coupled", problem) for _ in range(3))
    options = {"mode": "recursive", "max_iter": 12}
    expected = whole.fit(problem.signals, 0.1, **options)
    options["checkpoint"] = tmp_path / "run.safetensors"
    assert cut.fit(problem.signals, 0.1, callback=lambda info: info.iteration == 7, **options).status == "interrupted"
    result = resumed.fit(problem.signals, 0.1, resume=True, **options)
    np.testing.assert_array_equal(result.history.value, expected.history.value)
    for name, array in whole.parameters().items():
        np.testing.assert_array_equal(resumed.parameters()[name], array)


def test_progress_tells_ista_and_the_optimum(problem):
    seen = []
    network("step", problem).fit(problem.signals, 0.1, max_iter=3, callback=seen.append)
    optimum = riata.encode(problem.signals, problem.dictionary, 0.1, tol=1e-9).objective.mean()
    assert [info.iteration for info in seen] == [1, 2, 3]
    for info in seen:
        assert optimum * (1 - 1e-6) <= info.value <= info.ista
        np.testing.assert_allclose(info.optimum, optimum, rtol=1e-5)


def test_what_raises_in_the_callback_leaves_the_call(problem):
    def fail(info):
        raise KeyError("mine")

    net = network("step", problem)
    before = net.loss(problem.signals, 0.1)
    with pytest.raises(KeyError, match="mine"):
        net.fit(problem.signals, 0.1, max_iter=3, callback=fail)
    assert net.loss(problem.signals, 0.1) < before  # its first step is kept


def test_ctrl_c_in_the_callback_stops_the_run_and_keeps_its_steps(problem):
    def interrupt(info):
        raise KeyboardInterrupt

    net = network("step", problem)
    result = net.fit(problem.signals, 0.1, max_iter=3, callback=interrupt)
    assert result.status == "interrupted" and result.history.value == pytest.approx([net.loss(problem.signals)], rel=1e-14)


def test_after_an_exception_reg_and_metadata_are_those_of_the_steps_that_were_kept(problem):
    def fail(info):
        if info.iteration == 2:
            raise KeyError

    net = network("step", problem)
    net.fit(problem.signals, "0.1max", max_iter=1)
    before = net.reg
    with pytest.raises(ValueError, match="targets"):
        net.fit(problem.signals, "0.5max", "supervised", problem.codes[:2], max_iter=5)
    assert net.reg == before and net.metadata["status"] == "max_iter"  # nothing was trained
    with pytest.raises(KeyError):
        net.fit(problem.signals, "0.5max", max_iter=5, callback=fail)
    assert net.reg == pytest.approx(5 * before, rel=1e-14) and net.metadata["status"] == "interrupted"
    assert "n_iter" not in net.metadata


def test_what_a_network_does_not_take_is_refused_before_anything_is_trained(problem):
    net = riata.Network("step", problem.dictionary, 2)
    with pytest.raises(TypeError, match="Network: metadata = 5, must be a mapping of names to texts"):
        net.metadata = 5
    with pytest.raises(TypeError, match="Network: reg = 'large', must be a number"):
        net.reg = "large"
    net.metadata = None
    net.fit(problem.signals, 0.1, max_iter=1)
    assert net.metadata["n_iter"] == "1"


def test_a_training_that_ends_while_parameters_are_put_in_is_not_undone(problem):
    net = riata.Network("tied", problem.dictionary, 2)

    class Trains:
        def __array__(self, dtype=None, copy=None):
            net.fit(problem.signals, 0.1, max_iter=1)
            return trained.setdefault("steps", net.parameters()["layer.0.step"])

    trained = {}
    net.set_parameters({"layer.1.threshold": [0.5], "layer.0.step": Trains()})
    assert net.parameters()["layer.1.threshold"] == 0.5
    assert not np.array_equal(net.parameters()["weight"], problem.dictionary)


def test_what_is_set_while_another_thread_trains_undoes_no_training(problem):
    net, n_set, done = riata.Network("coupled", problem.dictionary, 2), 0, threading.Event()

    def slowly(frame, event, arg):  # others may run between any two operations of a setter
        if frame.f_code.co_name not in ("reg", "metadata"):
            return None
        frame.f_trace_opcodes = True
        time.sleep(2e-4)
        return slowly

    def write():
        nonlocal n_set
        sys.settrace(slowly)
        while not done.is_set():
            net.reg = 0.2
            net.metadata = {"note": "set"}
            n_set += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(10):
            value, before = net.fit(problem.signals, 0.1, max_iter=1).value, n_set
            while n_set < before + 2:
                time.sleep(1e-3)
            assert net.loss(problem.signals, 0.1) == value
    finally:
        done.set()
        writer.join()


def test_a_copy_has_its_own_metadata(problem):
    net = network("step", problem)
    net.fit(problem.signals, 0.1, max_iter=1)
    other = copy.copy(net)
    other.metadata["note"] = "the copy's"
    other.fit(problem.signals, 0.1, max_iter=2)
    assert "note" not in net.metadata and net.metadata["n_iter"] == "1"


class Mine(riata.Network):
    """A subclass with something of its own."""

    def __init__(self, name, dictionary):
        super().__init__("step", dictionary, 2)
        self.name = name

    def set_parameters(self, parameters):
        super().set_parameters(parameters)
        self.who = f"{self.name}'s"


def test_a_subclass_keeps_what_it_added_when_pickled(problem):
    net = pickle.loads(pickle.dumps(Mine("ours", problem.dictionary)))
    assert isinstance(net, Mine) and net.name == "ours" and net.n_layers == 2


@pytest.mark.parametrize("mode", ["oneshot", "recursive", "greedy"])
def test_adam_learns_codes_from_mini_batches(problem, mode):
    nets = [network("alista", problem, 3, support_selection=(5, 20)) for _ in range(2)]
    before = nets[0].loss(problem.signals, 0.05, problem.codes)
    options = {"optimizer": "adam", "batch_size": 32, "learning_rate": 3e-3, "max_iter": 300, "validation": 0.2}
    for net in nets:
        result = net.fit(problem.signals, 0.05, "supervised", problem.codes, mode, **options)
        assert result.value < before
    np.testing.assert_array_equal(*(net.encode(problem.signals) for net in nets))


# The theory of the step-size paper, section 4.


def test_the_analytic_weight_of_256_digits_whose_rank_is_not_full():
    digits = pytest.importorskip("sklearn.datasets").load_digits().data
    D = digits[np.random.default_rng(0).choice(len(digits), 256, replace=False)]
    D = D / np.linalg.norm(D, axis=1, keepdims=True)
    assert np.linalg.matrix_rank(D) < 64
    W = riata.analytic_weight(D)
    np.testing.assert_allclose((W * D).sum(axis=1), 1, rtol=0, atol=1e-12)
    left, values, _ = np.linalg.svd(D, full_matrices=False)
    leverage = (left[:, values > 1e-10 * values[0]] ** 2).sum(axis=1)  # D_j^T (D D^T)^+ D_j
    assert np.isclose(np.sum((W @ D.T) ** 2), np.sum(1 / leverage), rtol=1e-10)


def lemma_4_2(dictionary, reg, rng):
    """Signals D_j + eps, eps orthogonal to D_j and small, and what the lemma says their solutions are."""
    coherence = np.abs(dictionary @ dictionary.T - np.eye(len(dictionary))).max(axis=1)
    signals, codes = [], []
    for j, atom in enumerate(dictionary):
        for _ in range(dictionary.shape[1] + 2):
            eps = rng.standard_normal(len(atom))
            eps -= (eps @ atom) * atom
            signals.append(atom + 0.9 * reg * (1 - coherence[j]) * eps / np.linalg.norm(eps))
            codes.append((1 - reg) * np.eye(len(dictionary))[j])
    return np.array(signals), np.array(codes)


def test_lemma_4_2_solutions_at_perturbed_atoms(problem):
    signals, codes = lemma_4_2(problem.dictionary, 0.1, np.random.default_rng(0))
    assert riata.kkt_violation(signals, problem.dictionary, codes, 0.1).max() < 1e-14
    solved = riata.encode(signals, problem.dictionary, 0.1, tol=1e-14, max_iter=100000).codes
    np.testing.assert_allclose(solved, codes, atol=1e-6)


@pytest.mark.parametrize("alpha", [1e-3, 0.3, 1.0, 5.0])
def test_lemma_4_3_solutions_are_fixed_points_of_a_step_layer(problem, alpha):
    signals, codes = lemma_4_2(problem.dictionary, 0.1, np.random.default_rng(1))
    net = network("step", problem, 1)
    net.set_parameters({"layer.0.step": [alpha]})
    np.testing.assert_allclose(net.encode(signals, 0.1, init=codes), codes, atol=1e-14)


def test_lemma_4_3_only_weights_proportional_to_the_dictionary_leave_them_fixed(problem):
    """Where the code is (1 - reg) e_j the layer's fixed point says <alpha W_j - beta D_j, x - z D> = 0 on its residual, so
    residuals that span the space leave alpha W_j = beta D_j alone. And a W that is not proportional moves them."""
    D, reg = problem.dictionary, 0.1
    signals, codes = lemma_4_2(D, reg, np.random.default_rng(2))
    residuals = signals - codes @ D
    per_atom = residuals.reshape(len(D), -1, D.shape[1])
    assert np.linalg.svd(per_atom, compute_uv=False).min() > 1e-4  # the null space is {0}
    net = network("coupled", problem, 1)
    beta = 0.3
    for weight, is_fixed in [(beta * D, True), (beta * D + 1e-3 * np.random.default_rng(3).standard_normal(D.shape), False)]:
        net.set_parameters({"layer.0.weight": weight, "layer.0.threshold": [beta]})
        distance = np.abs(net.encode(signals, reg, init=codes) - codes).max()
        assert (distance < 1e-14) == is_fixed
        assert is_fixed or distance > 1e-6


def test_bad_arguments_are_refused_in_a_sentence(problem, tmp_path):
    D, X = problem.dictionary, problem.signals
    net, codes = riata.Network("coupled", D, 2), problem.codes
    rows = [
        (ValueError, "kind = 'lasso', must be one of", lambda: riata.Network("lasso", D, 2)),
        (TypeError, "Network: kind = 3, must be a string", lambda: riata.Network(3, D, 2)),
        (TypeError, "Network: n_layers = 2.5, must be an integer", lambda: riata.Network("step", D, 2.5)),
        (TypeError, "support_selection = 3, must be None or", lambda: riata.Network("coupled", D, 2, support_selection=3)),
        (ValueError, "threshold = 'vector'", lambda: riata.Network("coupled", D, 2, threshold="vector")),
        (ValueError, "reg = None, but the network was not trained", lambda: net.encode(X)),
        (TypeError, "the dictionary is float64 but X is float32", lambda: net.encode(X.astype(np.float32), 0.1)),
        (ValueError, "X has shape", lambda: net.encode(X[0], 0.1)),
        (ValueError, "n_layers = 3, must be between 1 and", lambda: net.encode(X, 0.1, 3)),
        (ValueError, "optimizer = 'sgd', must be", lambda: net.fit(X, 0.1, optimizer="sgd")),
        (ValueError, "loss = 'supervised' needs targets", lambda: net.fit(X, 0.1, "supervised")),
        (ValueError, "batch_size is for optimizer = 'adam' alone", lambda: net.fit(X, 0.1, batch_size=10)),
        (TypeError, "callback = 3, must be callable", lambda: net.fit(X, 0.1, callback=3)),
        (ValueError, "has no 'bias'", lambda: net.set_parameters({"bias": [1.0]})),
        (ValueError, "'layer.0.weight' has shape", lambda: net.set_parameters({"layer.0.weight": X})),
        (ValueError, "has no 'weights'", lambda: net.gradient(X, 0.1, ["weights"])),
        (ValueError, "targets and cotangent are both given", lambda: net.gradient(X, 0.1, targets=codes, cotangent=codes)),
        (OSError, "missing", lambda: riata.load_network(tmp_path / "missing.safetensors")),
        (ValueError, "analytic_weight: dictionary holds nan", lambda: riata.analytic_weight(np.full((2, 2), np.nan))),
    ]
    for error, sentence, call in rows:
        with pytest.raises(error) as refused:
            call()
        assert sentence in str(refused.value), refused.value
