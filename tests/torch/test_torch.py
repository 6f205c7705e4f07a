"""riata.torch against PyTorch's own finite differences and autograd. `make test-torch` runs it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not in this environment: `make test-torch` runs these")

import riata.torch  # noqa: E402


def problem(dtype="float64", n_signals=4):
    """Away from kinks: seeds at which no code is near zero and no correlation near its bound."""
    data = riata.datasets.planted(n_features=6, n_atoms=8, n_signals=n_signals, dtype=dtype, random_state=3)
    return (torch.from_numpy(a).requires_grad_() for a in (data.signals, data.dictionary))


def reg_of(kind):
    if kind == "number":
        return 0.1
    value = torch.tensor(0.1 if kind == "scalar" else [0.1, 0.2, 0.15, 0.12], dtype=torch.float64)
    return value.requires_grad_()


@pytest.mark.parametrize("kind", ["number", "scalar", "per signal"])
@pytest.mark.parametrize("positive", [False, True])
def test_exact_codes_pass_gradcheck(kind, positive):
    X, D = problem()
    # tol=0: differences of 1e-6 need codes to the last digit.
    assert torch.autograd.gradcheck(
        lambda X, D, reg: riata.torch.encode(X, D, reg, tol=0, positive=positive), (X, D, reg_of(kind))
    )


@pytest.mark.parametrize("kind", ["number", "scalar", "per signal"])
@pytest.mark.parametrize("method", ["fista", "ista"])
def test_layers_pass_gradcheck(kind, method):
    X, D = problem()
    L = float(torch.linalg.matrix_norm(D.detach(), 2) ** 2)  # a constant, in differences too
    weights = np.linspace(0.5, 1.5, 8)
    assert torch.autograd.gradcheck(
        lambda X, D, reg: riata.torch.encode(X, D, reg, 7, method, lipschitz=L, weights=weights), (X, D, reg_of(kind))
    )


@pytest.mark.parametrize("method", ["fista", "ista"])
@pytest.mark.parametrize("backprop", [None, 0, 3])
def test_truncated_layers_equal_torchs_autograd(method, backprop):
    X, D = problem()
    L, N, reg = float(torch.linalg.matrix_norm(D.detach(), 2) ** 2), 9, 0.1
    z, y, t = torch.zeros(4, 8, dtype=X.dtype), torch.zeros(4, 8, dtype=X.dtype), 1.0
    for k in range(N):
        if k == N - (N if backprop is None else backprop):
            z, y = z.detach(), y.detach()
        z_next = torch.nn.functional.softshrink(y - (y @ D - X) @ D.T / L, reg / L)
        t_next = (1 + (1 + 4 * t * t) ** 0.5) / 2
        momentum = (t - 1) / t_next if method == "fista" else 0.0
        z, y, t = z_next, z_next + momentum * (z_next - z), t_next
    if backprop == 0:
        z = z.detach()
    codes = riata.torch.encode(X, D, reg, N, method, backprop=backprop)
    torch.testing.assert_close(codes, z)
    if backprop == 0:
        codes.square().sum().backward()
        assert not X.grad.any() and not D.grad.any()
        return
    expected = torch.autograd.grad(z.square().sum(), (X, D))
    torch.testing.assert_close(torch.autograd.grad(codes.square().sum(), (X, D)), expected)


@pytest.mark.parametrize("layers", [None, 10])
def test_float32_stays_float32_and_follows_float64(layers):
    found = {}
    for dtype in ("float32", "float64"):
        X, D = problem(dtype)
        codes = riata.torch.encode(X, D, 0.1, layers)
        codes.square().sum().backward()
        assert codes.dtype == X.grad.dtype == D.grad.dtype == X.dtype
        found[dtype] = codes.detach(), X.grad, D.grad
    for low, high in zip(*found.values()):
        torch.testing.assert_close(low.double(), high, rtol=1e-3, atol=1e-4)


def test_codes_are_those_of_riata_and_nothing_is_copied():
    X, D = problem()
    seen = []
    original = riata.torch.unrolled_encode
    riata.torch.unrolled_encode = lambda x, d, *rest, **options: seen.append((x, d)) or original(x, d, *rest, **options)
    try:
        codes = riata.torch.encode(X, D, 0.1, 5)
    finally:
        riata.torch.unrolled_encode = original
    assert seen[0][0].ctypes.data == X.data_ptr() and seen[0][1].ctypes.data == D.data_ptr()
    np.testing.assert_array_equal(
        codes.detach().numpy(), riata.unrolled_encode(X.detach().numpy(), D.detach().numpy(), 0.1, 5)
    )


@pytest.mark.parametrize("layers", [None, 5])
def test_a_second_derivative_is_refused(layers):
    X, D = problem()
    (gradient,) = torch.autograd.grad(riata.torch.encode(X, D, 0.1, layers).square().sum(), D, create_graph=True)
    with pytest.raises(RuntimeError, match="riata.torch.encode can be differentiated once"):
        gradient.sum().backward()


@pytest.mark.parametrize("layers", [None, 5])
@pytest.mark.parametrize("transform", ["vmap", "grad", "jacrev"])
def test_transforms_of_functions_are_refused_in_a_sentence(layers, transform):
    X, D = problem()
    transformed = getattr(torch.func, transform)(lambda x: riata.torch.encode(x.reshape(-1, 6), D, 0.1, layers).sum())
    with pytest.raises(RuntimeError, match=r"riata.torch.encode does not run inside torch.func \(vmap, grad"):
        transformed(X)


def test_a_dictionary_is_learned_by_a_torch_optimiser():
    data = riata.datasets.planted(n_features=10, n_atoms=15, n_signals=200)
    X = torch.from_numpy(data.signals)
    start = riata.datasets.perturbed(data.dictionary, 0.5)
    D = torch.from_numpy(start.copy()).requires_grad_()
    optimiser = torch.optim.SGD([D], lr=0.3)
    losses = []
    for _ in range(20):
        codes = riata.torch.encode(X, torch.nn.functional.normalize(D), 0.1, 20)
        loss = (0.5 * (codes @ torch.nn.functional.normalize(D) - X).square().sum(1) + 0.1 * codes.abs().sum(1)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


def test_bad_input_gets_its_sentence():
    X, D = problem()
    with pytest.raises(TypeError, match="riata.torch.encode: X is ndarray, expected a tensor"):
        riata.torch.encode(X.detach().numpy(), D, 0.1)
    with pytest.raises(ValueError, match="riata.torch.encode: D is on meta, expected the CPU"):
        riata.torch.encode(X, D.to("meta"), 0.1)
    with pytest.raises(ValueError, match="reg = -1, must be > 0"):
        riata.torch.encode(X, D, -1.0)
    with pytest.raises(TypeError, match="riata.torch.encode: X holds torch.float16, expected float32 or float64"):
        riata.torch.encode(X.half(), D.half(), 0.1)
    with pytest.raises(TypeError, match="riata.torch.encode: backprop = 'all', must be an integer"):
        riata.torch.encode(X, D, 0.1, 5, backprop="all")
