"""PyTorch: the same layers written with as few operations as it offers, as installed, with an allocator that keeps its pages
(glibc otherwise returns each large temporary to the kernel and faults its pages in again), and compiled.

Inference has two forms, through D twice per layer or through the Gram matrix once; the faster one is kept. So have the learned
networks: PyTorch's softshrink takes no tensor as its threshold, but a - clamp(a, -t, t) does, and s softshrink(a / s).
"""

import itertools

from contender import Contender

REQUIREMENT = "torch"
KEEP_PAGES = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20)}


def tensors(problem, threads):
    import torch

    torch.set_num_threads(threads)
    return torch.from_numpy(problem.X), torch.from_numpy(problem.D)


def lasso_after_fista(X, D, reg, L, layers):
    """Mean Lasso objective after N layers. The first starts from zero, so it is one product, and its momentum is 0."""
    import torch
    from torch.nn.functional import softshrink

    y = z = softshrink(X @ D.T / L, reg / L)
    t = (1 + 5**0.5) / 2
    for _ in range(layers - 1):
        residual = torch.addmm(X, y, D, beta=-1)
        before, z = z, softshrink(torch.addmm(y, residual, D.T, alpha=-1 / L), reg / L)
        t, t_before = (1 + (1 + 4 * t * t) ** 0.5) / 2, t
        y = torch.lerp(before, z, 1 + (t_before - 1) / t)
    return loss_of(X, D, z, reg)


def gradient(problem, threads, compiled=False):
    import torch

    X, D = tensors(problem, threads)
    D.requires_grad_()
    loss = torch.compile(lasso_after_fista, dynamic=False) if compiled else lasso_after_fista
    return lambda: torch.autograd.grad(loss(X, D, problem.reg, problem.lipschitz, problem.layers), D)[0]


def ista_through_atoms(X, D, reg, steps):
    import torch
    from torch.nn.functional import softshrink

    z = softshrink(steps[0] * (X @ D.T), steps[0] * reg)
    for step in steps[1:]:
        z = softshrink(torch.addmm(z, torch.addmm(X, z, D, beta=-1), D.T, alpha=-step), step * reg)
    return z


def ista_through_gram(X, DT, weights, reg, steps):
    import torch
    from torch.nn.functional import softshrink

    b = X @ DT
    z = softshrink(steps[0] * b, steps[0] * reg)
    for step, weight in zip(steps[1:], weights):
        z = softshrink(torch.addmm(b, z, weight, beta=step), step * reg)
    return z


def inference(problem, threads, gram, compiled=False):
    import torch

    X, D = tensors(problem, threads)
    steps = [float(step) / problem.lipschitz for step in problem.steps]
    weights = [torch.eye(len(D), dtype=D.dtype) - step * (D @ D.T) for step in steps[1:]]
    arguments = (X, D.T.contiguous(), weights, problem.reg, steps) if gram else (X, D, problem.reg, steps)
    network = ista_through_gram if gram else ista_through_atoms
    if compiled:
        network = torch.compile(network, dynamic=False)

    @torch.inference_mode()
    def call():
        return network(*arguments)

    return call


def loss_of(X, D, z, reg):
    import torch

    return (0.5 * torch.addmm(X, z, D, beta=-1).square().sum() + reg * z.abs().sum()) / len(X)


def step_loss(X, D, alphas, reg, clamped):
    import torch
    from torch.nn.functional import softshrink

    z = None
    for alpha in alphas:
        r = -X if z is None else torch.addmm(X, z, D, beta=-1)
        if clamped:
            a = -alpha * (r @ D.T) if z is None else z - alpha * (r @ D.T)
            z = a - torch.clamp(a, -alpha * reg, alpha * reg)
        else:
            a = X @ D.T if z is None else torch.addmm(z / alpha, r, D.T, alpha=-1)
            z = alpha * softshrink(a, reg)
    return loss_of(X, D, z, reg)


def coupled_loss(X, D, weights, thetas, reg, clamped):
    import torch
    from torch.nn.functional import softshrink

    z = None
    for W, theta in zip(weights, thetas):
        a = X @ W.T if z is None else torch.addmm(z, torch.addmm(X, z, D, beta=-1), W.T, alpha=-1)
        z = a - torch.clamp(a, -theta * reg, theta * reg) if clamped else theta * softshrink(a / theta, reg)
    return loss_of(X, D, z, reg)


def step_lista(problem, threads, clamped, compiled=False):
    import torch

    X, D = tensors(problem, threads)
    alphas = [torch.tensor(step / problem.lipschitz, dtype=D.dtype, requires_grad=True) for step in problem.steps]
    loss = torch.compile(step_loss, dynamic=False) if compiled else step_loss
    return lambda: torch.autograd.grad(loss(X, D, alphas, problem.reg, clamped), alphas)


def coupled_lista(problem, threads, clamped, compiled=False):
    import torch

    X, D = tensors(problem, threads)
    thetas = [torch.tensor(step / problem.lipschitz, dtype=D.dtype, requires_grad=True) for step in problem.steps]
    weights = [(theta.detach() * D).requires_grad_() for theta in thetas]
    loss = torch.compile(coupled_loss, dynamic=False) if compiled else coupled_loss
    return lambda: torch.autograd.grad(loss(X, D, weights, thetas, problem.reg, clamped), [*weights, *thetas])


def as_array(answer):
    import torch

    return (answer if torch.is_tensor(answer) else torch.cat([part.flatten() for part in answer])).detach().numpy()


def contender(name, task, prepare, dtype, variants, environment, compiled):
    return Contender(f"PyTorch {name}", task, prepare, REQUIREMENT, answer=as_array,
                     dtypes=(dtype,), environment=environment, compiles=compiled,
                     variants=tuple(variant | {"compiled": compiled} for variant in variants))


FORMS = [{"clamped": True}, {"clamped": False}]
CONTENDERS = [
    contender(name, task, prepare, dtype, variants, environment, compiled)
    for (task, prepare, dtype, variants), (name, environment, compiled) in itertools.product(
        [("gradient", gradient, "float32", [{}]), ("inference", inference, "float32", [{"gram": False}, {"gram": True}]),
         ("step_lista", step_lista, "float64", FORMS), ("coupled_lista", coupled_lista, "float64", FORMS)],
        [("eager", {}, False), ("eager, pages kept", KEEP_PAGES, False), ("compiled", {}, True)])
]
