"""Networks outside their training: certified, finished by the solver, safeguarded by ISTA; and those that diverge."""

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest

import riata

KINDS = "lista coupled tied alista step hessian first_step facnet iht lamp group fista".split()
N_ATOMS = 48
GROUPS = np.arange(N_ATOMS) // 4


def unit(atoms):
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def planted():
    p = riata.datasets.planted(n_features=24, n_atoms=N_ATOMS, n_signals=200, density=0.1, noise_std=0.01)
    return p.dictionary, p.signals


def gaussian():
    rng = np.random.default_rng(1)
    return unit(rng.standard_normal((N_ATOMS, 24))), rng.standard_normal((200, 24))


def digits():
    pictures = pytest.importorskip("sklearn.datasets").load_digits().data
    pictures = pictures[np.random.default_rng(2).permutation(len(pictures))]
    pictures = pictures - pictures.mean(axis=1, keepdims=True)
    return unit(pictures[:N_ATOMS]), pictures[N_ATOMS : N_ATOMS + 200]


DATA = {data.__name__: data for data in (planted, gaussian, digits)}


def network(kind, D, n_layers, **options):
    return riata.Network(kind, D, n_layers, groups=GROUPS if kind == "group" else None, **options)


def penalty_of(kind):
    return {"penalty": "group", "groups": GROUPS} if kind == "group" else {}


def objective(kind, X, D, Z, reg):
    X, D, Z = (A.astype(np.float64) for A in (X, D, Z))
    penalty = np.linalg.norm(Z.reshape(len(Z), -1, 4), axis=2) if kind == "group" else np.abs(Z)
    return 0.5 * np.sum((X - Z @ D) ** 2, axis=1) + reg * penalty.sum(axis=1)


def ista(kind, X, D, reg, depth, init=None):
    """ISTA with step 1 / ||D||^2, by a code of its own."""
    X, D = X.astype(np.float64), D.astype(np.float64)
    L = np.linalg.norm(D, 2) ** 2
    Z = np.zeros((len(X), len(D))) if init is None else init
    threshold = np.broadcast_to(reg, len(X))[:, None] / L
    for _ in range(depth):
        A = Z - (Z @ D - X) @ D.T / L
        if kind == "group":
            G = A.reshape(len(A), -1, 4)
            length = np.maximum(np.linalg.norm(G, axis=2, keepdims=True), 1e-300)
            Z = (G * np.maximum(0, 1 - threshold[:, :, None] / length)).reshape(A.shape)
        else:
            Z = np.sign(A) * np.maximum(np.abs(A) - threshold, 0)
    return Z


def gap_of(kind, X, D, Z, reg):
    return riata.duality_gap(X, D, Z, reg, **penalty_of(kind)) / (0.5 * np.sum(X.astype(np.float64) ** 2, axis=1))


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kind", KINDS)
def test_no_signal_is_above_ista_with_the_safeguard_nor_above_the_gap_that_finish_asks_for(kind, data):
    D, signals = DATA[data]()
    trained_on = np.random.default_rng(3).standard_normal(signals.shape)
    trained_on /= np.abs(trained_on @ D.T).max(axis=1, keepdims=True)
    for dtype in (np.float64, np.float32):
        for trained in (False, True):
            net = network(kind, D.astype(dtype), 8)
            if trained:
                net.fit(trained_on.astype(dtype), 0.3, max_iter=10, loss="semi" if kind == "iht" else "unsupervised")
            for scale in (1e-3, 1.0, 1e3):
                X = (scale * signals).astype(dtype)
                regs = np.float64(np.float32(0.2) * riata.reg_max(X, net.dictionary, **penalty_of(kind)).astype(np.float32))
                init = (scale * np.random.default_rng(4).standard_normal((len(X), N_ATOMS))).astype(dtype)
                for reg, depth, start in ((regs, 8, None), (float(np.median(regs)), 5, init)):
                    Z = net.encode(X, reg, depth, init=start, safeguard=True)
                    bound = objective(kind, X, D.astype(dtype), ista(kind, X, D.astype(dtype), reg, depth, start), reg)
                    rounding = 1e-12 if dtype == np.float64 else 1e-5
                    assert (objective(kind, X, D.astype(dtype), Z, reg) <= bound * (1 + rounding)).all(), (trained, scale)
                    Z = net.encode(X, reg, depth, init=start, finish=1e-6)
                    finest = 2e-6 if (kind, dtype) == ("group", np.float32) else 1e-6  # that codes of 24 bits have
                    assert gap_of(kind, X, net.dictionary, Z, reg).max() <= finest * (1 + 1e-9), (trained, scale, dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_certified_codes_say_what_they_are_worth(kind):
    D, X = planted()
    net = network(kind, D, 5)
    net.fit(X, 0.1, max_iter=3)
    found = net.encode(X, certify=True)
    np.testing.assert_array_equal(found.codes, net.encode(X))
    np.testing.assert_allclose(found.objective, objective(kind, X, D, found.codes, 0.1), rtol=1e-12)
    np.testing.assert_allclose(found.gap, riata.duality_gap(X, D, found.codes, 0.1, **penalty_of(kind)), rtol=1e-9, atol=1e-15)
    assert found.method == kind and not found.n_iter.any() and set(found.status) <= {"max_iter", "converged"}
    finished = net.encode(X, "0.3max", 3, certify=True, finish=1e-7, safeguard=True)
    assert (finished.status == "converged").all() and finished.n_iter.any() and finished.trace is None
    assert repr(pickle.loads(pickle.dumps(finished))) == repr(finished)
    exact = riata.encode(X, D, "0.3max", tol=1e-9, max_iter=100000, **penalty_of(kind))
    assert (finished.objective - exact.objective <= 1e-7 * 0.5 * np.sum(X**2, axis=1)).all()
    np.testing.assert_array_equal(net.encode(X, "0.3max", 3, finish=1e-7, safeguard=True), finished.codes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_diverges_is_refused_or_its_codes_are_replaced(kind, dtype):
    D, X = (A.astype(dtype) for A in gaussian())
    net = network(kind, D, 12)
    large = 1e30 if dtype == np.float64 else 1e6
    net.set_parameters({
        name: values / large if name.endswith("scales") else values * dtype(large)
        for name, values in net.parameters().items() if not name.endswith("threshold")
    })  # fmt: skip
    for call in (net.encode, net.layer_outputs, lambda *a: net.encode(*a, certify=True)):
        with pytest.raises(ValueError, match="the network diverges on signal 0: what it gives after 12 layers is not finite"):
            call(X, 0.1)
    Z = net.encode(X, 0.1, safeguard=True)
    expected = ista(kind, X, D, 0.1, 12)
    np.testing.assert_allclose(Z, expected, atol=1e-12 if dtype == np.float64 else 1e-4)
    found = net.encode(X, 0.1, finish=1e-6, certify=True)
    assert np.isfinite(found.codes).all() and (found.status == "converged").all()


def test_a_gap_that_rounding_forbids_is_told():
    D, X = (A.astype(np.float32) for A in gaussian())
    found = riata.Network("step", D, 3).encode(X, "0.01max", certify=True, finish=1e-15)
    assert (found.status != "converged").any() and found.gap.max() > 0
    with pytest.warns(Warning, match="signals did not reach finish = 1e-15; the largest duality gap is"):
        riata.LISTA(D, kind="step", n_layers=3, reg="0.1max", max_iter=1, finish=1e-15).fit_transform(X)


def test_lista_takes_the_guards():
    D, X = gaussian()
    plain = riata.LISTA(D, kind="step", n_layers=4, reg="0.5max", transform_reg="0.1max", max_iter=2).fit(X)
    reg = "0.1max"
    for options in ({"safeguard": True}, {"finish": 1e-6}, {"certify": True}, {"certify": True, "finish": 1e-6, "safeguard": True}):
        model = copy.deepcopy(plain).set_params(**options)
        before = set(vars(model))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            codes = model.transform(X)
        guards = {name: value for name, value in options.items() if name != "certify"}
        np.testing.assert_array_equal(codes, plain.network_.encode(X, reg, **guards))
        assert set(vars(model)) - before == ({"objective_", "gap_"} if "certify" in options else set())
        if "certify" in options:
            np.testing.assert_allclose(model.gap_, riata.duality_gap(X, D, codes, reg), atol=1e-12)
            np.testing.assert_allclose(model.objective_, riata.lasso_objective(X, D, codes, reg))


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"finish": -1.0}, ValueError, "finish = -1, must be >= 0 and finite"),
        ({"finish": np.nan}, ValueError, "finish = nan, must be >= 0 and finite"),
        ({"finish": "1e-6"}, TypeError, "Network.encode: finish = '1e-6', must be a number"),
    ],
)
def test_bad_guards_are_refused(options, error, sentence):
    D, X = gaussian()
    with pytest.raises(error) as refused:
        riata.Network("step", D, 2).encode(X, 0.1, **options)
    assert str(refused.value) == sentence


# Threads.


def beside(read, write, n_threads=8):
    """read() again and again in threads while write() runs here. What any of them raised."""
    done, failures = threading.Event(), []

    def run():
        try:
            while True:
                read()
                if done.is_set():
                    return
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    try:
        write()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    return failures


@pytest.mark.parametrize("kind", ["coupled", "step", "facnet"])
def test_threads_encode_while_one_trains(kind):
    """They find parameters and weight of one training, never of two."""
    D, X = planted()
    net = network(kind, D, 4)
    net.fit(X, 0.1, max_iter=1)
    known = [net.encode(X).tobytes()]
    seen = set()

    def read():
        seen.add(net.encode(X, n_threads=1).tobytes())
        net.encode(X[:20], finish=1e-4, safeguard=True, certify=True, n_threads=1)
        pickle.loads(pickle.dumps(net)).layer_outputs(X[:5])

    def write():
        for reg in (0.05, 0.2, 0.1, 0.3):
            net.fit(X, reg, max_iter=2, n_threads=1)
            known.append(net.encode(X, n_threads=1).tobytes())
            parameters = net.parameters()
            for _ in range(20):
                net.set_parameters(parameters)

    assert beside(read, write) == []
    assert seen <= set(known)


def test_threads_share_one_encoder():
    D, X = gaussian()
    encoder = riata.UnrolledEncoder(D, 10)
    expected = [encoder.encode(x, 0.1).tobytes() for x in X[:8]]

    def read():
        assert [encoder.encode(x, 0.1).tobytes() for x in X[:8]] == expected

    assert beside(read, lambda: [encoder.encode(x, 0.1) for x in X]) == []


def test_threads_transform_while_one_fits_again():
    D, X = planted()
    lista = riata.LISTA(D, kind="step", n_layers=3, reg=0.1, max_iter=1).fit(X)
    learner = riata.DictionaryLearning(10, alpha=0.1, max_iter=2, n_layers=5, learn_steps=True, transform_algorithm="unrolled",
                                       tol=1e-1, random_state=0).fit(X)  # fmt: skip

    def write():
        for _ in range(5):
            lista.fit(X)
            learner.fit(X)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert beside(lambda: (lista.transform(X[:20]), learner.transform(X[:20])), write, 4) == []


# Copies.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make_copy", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy, copy.copy])
def test_an_encoder_is_copied_bit_for_bit(make_copy, dtype):
    D, X = (A.astype(dtype) for A in gaussian())
    steps, weights = np.linspace(1, 1.5, 8), np.linspace(1, 2, N_ATOMS)
    encoders = [
        riata.UnrolledEncoder(D, 8, "ista", steps, positive=True, weights=weights),
        riata.UnrolledEncoder(D, 5, return_extrapolated=True, lipschitz=50.0),
    ]
    expected = [encoder.encode(X[0], 0.1).tobytes() for encoder in encoders]
    for array in (D, steps, weights):
        array *= 2  # they have their own
    copies = [make_copy(encoder) for encoder in encoders]
    assert [encoder.encode(X[0], 0.1).tobytes() for encoder in copies] == expected


class Mine(riata.UnrolledEncoder):
    """A subclass with something of its own."""

    def __init__(self, D):
        super().__init__(D, 4)
        self.name = "ours"


def test_an_encoder_of_a_subclass_keeps_what_it_added():
    D, X = gaussian()
    mine = Mine(D)
    other = pickle.loads(pickle.dumps(mine))
    assert isinstance(other, Mine) and other.name == "ours"
    assert other.encode(X[0], 0.1).tobytes() == mine.encode(X[0], 0.1).tobytes()


def test_what_callbacks_are_told_can_be_kept_and_pickled():
    D, X = planted()
    told = []
    riata.Network("step", D, 2).fit(X, 0.1, max_iter=2, callback=told.append)
    riata.learn_dictionary(X, 10, 0.1, n_layers=3, max_iter=2, callback=told.append)
    assert len(told) == 4
    for info in told:
        for other in (pickle.loads(pickle.dumps(info)), copy.deepcopy(info)):
            assert type(other) is type(info) and repr(other) == repr(info) and other.value == info.value
