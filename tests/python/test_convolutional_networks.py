"""Networks over patterns of recordings."""

import pickle

import numpy as np
import pytest

import riata

N_CHANNELS, N_TIMES, LENGTH, N_ATOMS = 2, 30, 6, 3
KINDS = ("step", "fista", "coupled", "tied", "alista", "first_step")


@pytest.fixture(scope="module")
def problem():
    random = np.random.default_rng(5)
    u, v = random.standard_normal((N_ATOMS, N_CHANNELS)), random.standard_normal((N_ATOMS, LENGTH))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    Z = np.where(random.random((40, N_ATOMS, N_TIMES - LENGTH + 1)) < 0.05, random.uniform(0.5, 2, (40, N_ATOMS, N_TIMES - LENGTH + 1)), 0)
    X = riata.conv_decode(Z, (u, v)) + 0.02 * random.standard_normal((40, N_CHANNELS, N_TIMES))
    return (u, v), X


def as_matrix(atoms, n_times, boundary="valid"):
    """The atoms at all positions, (n_codes, n_channels n_times)."""
    length = atoms[1].shape[1] if isinstance(atoms, tuple) else atoms.shape[2]
    more = {"valid": 1 - length, "full": length - 1, "circular": 0}[boundary]
    n = len(atoms[0]) if isinstance(atoms, tuple) else len(atoms)
    n_positions = n_times + more
    Z = np.eye(n * n_positions).reshape(-1, n, n_positions)
    return riata.conv_decode(Z, atoms, boundary=boundary).reshape(len(Z), -1)


@pytest.mark.parametrize("boundary", ["valid", "full", "circular"])
@pytest.mark.parametrize("kind", ["step", "fista"])
def test_codes_are_those_of_the_matrix(problem, kind, boundary):
    atoms, X = problem
    net = riata.Network(kind, atoms, 6, boundary=boundary)
    for trials in (X, X[:, :, :17]):  # trials of any length
        dense = riata.Network(kind, as_matrix(atoms, trials.shape[2], boundary), 6, lipschitz=net.lipschitz)
        codes = net.encode(trials, 0.1)
        np.testing.assert_allclose(codes.reshape(len(X), -1), dense.encode(trials.reshape(len(X), -1), 0.1), atol=1e-12)
    assert codes.shape == (40, N_ATOMS, 17 + {"valid": 1 - LENGTH, "full": LENGTH - 1, "circular": 0}[boundary])


@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_below_ista_and_is_kept_in_files(problem, kind, tmp_path):
    atoms, X = problem
    net = riata.Network(kind, atoms, 5, positive=True)
    result = net.fit(X, "0.1max", max_iter=30)
    assert result.value < result.initial_value
    ista = riata.Network("step", atoms, 5, positive=True).loss(X, result.reg)
    assert net.loss(X) == pytest.approx(result.value, rel=1e-12) and result.value < ista
    codes = net.encode(X, certify=True)
    assert codes.codes.min() >= 0 and codes.codes.max() > 0
    exact = riata.conv_encode(X, atoms, result.reg, tol=1e-9)
    assert (codes.objective >= exact.objective - 1e-9).all()
    assert (codes.objective - codes.gap <= exact.objective + 1e-9).all()

    net.save(tmp_path / "net.safetensors")
    for other in (riata.load_network(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(net))):
        assert repr(other) == repr(net) and other.positive and other.boundary == "valid" and other.reg == net.reg
        np.testing.assert_array_equal(other.dictionary, net.dictionary)
        for trials in (X, X[:, :, :19]):
            np.testing.assert_array_equal(other.encode(trials), net.encode(trials))


def test_finish_reaches_the_gap(problem):
    atoms, X = problem
    net = riata.Network("step", atoms, 3, positive=True)
    codes = net.encode(X, 0.1, finish=1e-8, certify=True)
    assert codes.codes.shape == (40, N_ATOMS, N_TIMES - LENGTH + 1)
    assert (codes.gap <= 1.01e-8 * (X**2).sum(axis=(1, 2)) / 2).all() and (codes.status == "converged").all()


def test_arrays_have_the_shapes_of_trials(problem):
    (u, v), X = problem
    net = riata.Network("coupled", (u, v), 3, "atom")
    assert net.dictionary.shape == (N_ATOMS, N_CHANNELS, LENGTH)
    np.testing.assert_allclose(net.dictionary, u[:, :, None] * v[:, None])
    parameters = net.parameters()
    assert parameters["layer.0.weight"].shape == (N_ATOMS, N_CHANNELS * LENGTH)
    assert parameters["layer.0.threshold"].shape == (N_ATOMS,)
    codes = net.encode(X, 0.1)
    gradient = net.gradient(X, 0.1, ["signals", "codes", "reg"], cotangent=np.ones_like(codes))
    assert gradient.signals.shape == X.shape and gradient.codes.shape == codes.shape
    assert [Z.shape for Z in net.layer_outputs(X, 0.1)] == [codes.shape] * 3
    first = net.encode(X, 0.1, n_layers=1)
    np.testing.assert_allclose(net.encode(X, 0.1, n_layers=2, init=first), codes, atol=1e-12)  # all layers are ISTA's
    mask = np.ones_like(X)
    mask[:, :, 3:9] = 0
    seen = X.copy()
    seen[:, :, 3:9] = np.nan
    np.testing.assert_array_equal(net.encode(seen, 0.1, mask=mask), net.encode(np.where(mask, X, 0), 0.1, mask=mask))
    one = riata.Network("step", v[:, None], 2)  # of one channel
    np.testing.assert_array_equal(one.encode(X[:, 0], 0.1), one.encode(X[:, :1], 0.1))
    assert repr(one) == "Network('step', 2 layers, 3 patterns of 6 samples in 1 channels)"


def test_analytic_weight_is_that_of_the_translates(problem):
    (u, v), _ = problem
    atoms = u[:, :, None] * v[:, None]
    W = riata.analytic_weight((u, v))
    assert W.shape == atoms.shape
    np.testing.assert_allclose(W, riata.analytic_weight(atoms), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose((W * atoms).sum(axis=(1, 2)), 1)
    translates = [atoms]
    for lag in range(1, LENGTH):
        for part, whole in ((np.s_[lag:], np.s_[:-lag]), (np.s_[:-lag], np.s_[lag:])):
            translates.append(np.zeros_like(atoms))
            translates[-1][:, :, part] = atoms[:, :, whole]
    translates = np.concatenate(translates).reshape(-1, N_CHANNELS * LENGTH)
    ridge = np.sqrt(0.01 * np.linalg.eigvalsh(translates.T @ translates)[-1]) * np.eye(N_CHANNELS * LENGTH)
    expected = riata.analytic_weight(np.concatenate([translates, ridge]))[:N_ATOMS]
    np.testing.assert_allclose(W.reshape(N_ATOMS, -1), expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(
        riata.Network("alista", (u, v), 2).parameters()["weight"], W.reshape(N_ATOMS, -1), rtol=1e-8, atol=1e-12
    )


def test_alista_of_smooth_patterns_starts_near_ista():
    random, t = np.random.default_rng(2), np.arange(50) / 50
    v = np.stack([np.sin(2 * np.pi * f * t + p) * np.exp(-(((t - 0.5) / 0.2) ** 2)) for f, p in ((2, 0.3), (4, 1.0), (1, 0.0))])
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    u = random.standard_normal((3, 4))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    Z = np.where(random.random((20, 3, 351)) < 0.01, 1.5, 0)
    X = riata.conv_decode(Z, (u, v))
    X += 0.1 * X.std() * random.standard_normal(X.shape)
    alista, ista = riata.Network("alista", (u, v), 10), riata.Network("step", (u, v), 10)
    reg = 0.1 * float(riata.conv_reg_max(X, (u, v)).max())
    assert alista.loss(X, reg) < 1.5 * ista.loss(X, reg)
    assert alista.fit(X, reg, max_iter=60).value < ista.loss(X, reg)


def test_training_does_not_resume_over_another_boundary(problem, tmp_path):
    atoms, X = problem
    few = dict(max_iter=4, checkpoint=tmp_path / "c.safetensors", checkpoint_every=1, resume=True)
    riata.Network("coupled", atoms, 3).fit(X, 0.1, **few)
    with pytest.raises(ValueError, match="map_hash"):
        riata.Network("coupled", atoms, 3, boundary="full").fit(X, 0.1, **few)


def test_bad_inputs_get_a_sentence(problem):
    atoms, X = problem
    net = riata.Network("step", atoms, 2)
    for call, sentence in (
        (lambda: net.encode(X[:, :1], 0.1), "Network.encode: X has 1 channels, expected 2, as the patterns have"),
        (lambda: net.encode(X[:, :, :5], 0.1), "Network.encode: X has 5 samples, must have at least 6, as patterns have"),
        (lambda: net.encode(X, 0.1, init=np.zeros((40, 3))), "Network.encode: init has shape (40, 3), expected (40, 3, n_positions)"),
        (lambda: riata.Network("lista", atoms, 2), "Network: the kind 'lista' needs a dictionary that is a matrix"),
        (lambda: riata.Network("facnet", atoms, 2), "Network: the parameters of the kind 'facnet' are those of one length of signals"),
        (lambda: riata.Network("step", atoms, 2, boundary="open"), "boundary = 'open', must be 'valid', 'full' or 'circular'"),
        (lambda: riata.Network("step", np.eye(3), 2, boundary="full"), "Network: boundary = 'full', but the dictionary is a matrix"),
        (lambda: riata.Network("iht", np.eye(3), 2, positive=True), "positive = true, but the kind 'iht' does not keep codes"),
        (lambda: riata.Network("coupled", np.eye(3), 2, support_selection=(1, 5), positive=True), "support_selection leaves"),
    ):
        with pytest.raises(ValueError) as refused:
            call()
        assert sentence in str(refused.value)
    with pytest.raises(TypeError, match="float32"):
        net.encode(X.astype(np.float32), 0.1)
