"""riata's side of every task."""

import functools

import numpy as np

from contender import Contender


def encode(problem, threads, tol=1e-6, method="auto"):
    import riata

    return lambda: riata.encode(problem.X, problem.D, problem.reg, method=method, tol=tol, n_threads=threads).codes


def gradient(problem, threads):
    import riata

    return lambda: riata.unrolled_gradient(problem.X, problem.D, problem.reg, problem.layers, lipschitz=problem.lipschitz,
                                           wrt="dictionary", return_codes=False, n_threads=threads).dictionary


def inference(problem, threads):
    import riata

    if len(problem.X) == 1:  # as PyTorch's weights, prepared before the clock
        encoder = riata.UnrolledEncoder(problem.D, problem.layers, algorithm="ista", steps=problem.steps, lipschitz=problem.lipschitz)
        return lambda: encoder.encode(problem.X[0], problem.reg)[np.newaxis]
    return lambda: riata.unrolled_encode(problem.X, problem.D, problem.reg, problem.layers, algorithm="ista", steps=problem.steps,
                                         lipschitz=problem.lipschitz, n_threads=threads)


def gradient_of(problem, threads, kind, parameters):
    """By the parameters(D, step / L) of each layer, one name after the other."""
    import riata

    net = riata.Network(kind, problem.D, problem.layers)
    layers = [parameters(problem.D, step / problem.lipschitz) for step in problem.steps]
    net.set_parameters({f"layer.{k}.{name}": value for k, layer in enumerate(layers) for name, value in layer.items()})
    names = [f"layer.{k}.{name}" for name in layers[0] for k in range(problem.layers)]

    def call():
        gradient = net.gradient(problem.X, problem.reg, n_threads=threads).parameters
        return np.concatenate([np.ravel(gradient[name]) for name in names])

    return call


def step_lista(problem, threads):
    return gradient_of(problem, threads, "step", lambda D, alpha: {"step": np.full((1,), alpha, D.dtype)})


def coupled_lista(problem, threads):
    return gradient_of(problem, threads, "coupled",
                       lambda D, alpha: {"weight": alpha * D, "threshold": np.full((1,), alpha, D.dtype)})


OURS = {prepare.__name__: Contender(f"riata {prepare.__name__}", prepare.__name__, prepare, "riata")
        for prepare in (encode, gradient, inference, step_lista, coupled_lista)}
OURS["coders"] = Contender("riata auto", "coders", encode, "riata")

# riata's methods by name, measured as peers are: what "auto" could have chosen.
METHODS = [
    Contender(f"riata {method}", "coders", functools.partial(encode, method=method), "riata", by_signal=True,
              settings=lambda gap: [{"tol": gap / 4**k} for k in range(2)])
    for method in ("cd", "lars", "fista")
]
