"""Sparse codes inside PyTorch models, differentiable by signals, dictionary and weight. Needs PyTorch >= 2.0."""

from __future__ import annotations

from typing import Any

try:
    import torch
except ImportError as error:
    raise ImportError("riata.torch needs PyTorch: pip install 'riata[torch]'") from error

from . import _riata
from ._arguments import (
    Array,
    as_matrices,
    as_optional_int,
    as_options,
    as_reg,
    as_vector,
    renamed,
    require_plain_weights,
)
from .coding import encode as _encode
from .derivatives import implicit_gradient
from .unrolling import unrolled_encode


@renamed(layers="n_layers", method="algorithm")
def encode(
    X: torch.Tensor,
    D: torch.Tensor,
    reg: Any,
    n_layers: int | None = None,
    algorithm: str = "fista",
    *,
    backprop: int | None = None,
    lipschitz: float | None = None,
    tol: float = 1e-12,
    positive: bool = False,
    weights: Any = None,
    n_threads: int | None = None,
) -> torch.Tensor:
    """Sparse codes as a differentiable function of tensors on the CPU; they are read in place if contiguous.

    Parameters
    ----------
    X : tensor (n_signals, n_features)
        Signals, float32 or float64.
    D : tensor (n_atoms, n_features)
        Dictionary, in the precision of X.
    reg : float, tensor () or (n_signals,), or str
        Weight of the penalty, as in `riata.encode`; a tensor may require a gradient.
    n_layers : int, optional
        None: the exact codes, differentiated implicitly (`riata.implicit_gradient`). A number N: the output
        of N layers, differentiated through them.
    algorithm : {"fista", "ista"}
        Layers with or without momentum.
    backprop : int, optional
        The last layers that are differentiated; all by default.
    lipschitz : float, optional
        L of the layers, a constant in derivatives; by default ||D||_2^2.
    tol : float
        Of the exact codes, as in `riata.encode`.
    positive, weights, n_threads
        As in `riata.encode`; the weights are constants, finite and positive, one per atom.

    Returns
    -------
    tensor (n_signals, n_atoms)
        It can be differentiated once.
    """
    for name, value in {"X": X, "D": D}.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"riata.torch.encode: {name} is {type(value).__name__}, expected a tensor")
        if value.dtype in (torch.float16, torch.bfloat16):  # gradients have the precision of the codes, and these are single
            raise TypeError(f"riata.torch.encode: {name} holds {value.dtype}, expected float32 or float64 (convert it with .float())")
    for name, value in {"X": X, "D": D, "reg": reg}.items():
        if isinstance(value, torch.Tensor) and value.device.type != "cpu":
            raise ValueError(f"riata.torch.encode: {name} is on {value.device}, expected the CPU (move it with .cpu())")
    if torch._C._are_functorch_transforms_active():
        raise RuntimeError(
            "riata.torch.encode does not run inside torch.func (vmap, grad, jvp, jacrev and the like); signals are a batch "
            "already, and torch.autograd differentiates it"
        )
    weights = as_vector("riata.torch.encode", "weights", weights)
    require_plain_weights(weights)
    shared = dict(positive=positive, weights=weights, n_threads=n_threads)
    backprop = as_optional_int("riata.torch.encode", "backprop", backprop)
    network = dict(n_layers=n_layers, algorithm=algorithm, backprop=backprop, lipschitz=lipschitz)
    return _Codes.apply(X, D, reg, network, tol, shared)


class _Codes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, X: Any, D: Any, reg: Any, network: dict, tol: float, shared: dict) -> torch.Tensor:
        x, d, r = _numpy(X), _numpy(D), _numpy(reg)
        if network["n_layers"] is None:
            codes = _encode(x, d, r, tol=tol, **shared).codes
        else:
            arguments = {name: network[name] for name in ("n_layers", "algorithm", "lipschitz")}
            codes = unrolled_encode(x, d, r, **arguments, **shared)
        result = torch.from_numpy(codes)
        ctx.options = network, shared
        ctx.reg = None if isinstance(reg, torch.Tensor) else reg
        ctx.save_for_backward(X, D, result, *([reg] if ctx.reg is None else []))
        return result

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple:
        X, D, codes, *reg = ctx.saved_tensors
        gradients = _Pullback.apply(cotangent, X, D, reg[0] if reg else ctx.reg, codes, ctx.options)
        wanted = ctx.needs_input_grad
        return *(g if needed else None for g, needed in zip(gradients, wanted)), None, None, None


class _Pullback(torch.autograd.Function):
    """The backward pass as a function of its own, so that a second one meets a clear refusal."""

    @staticmethod
    def forward(ctx: Any, cotangent: Any, X: Any, D: Any, reg: Any, codes: Any, options: tuple) -> tuple:
        network, shared = options
        x, d, r, c = _numpy(X), _numpy(D), _numpy(reg), _numpy(cotangent)
        if network["n_layers"] is None:
            found = vars(implicit_gradient(x, d, r, c, _numpy(codes), **shared))
        else:
            found = _unrolled_vjp(x, d, r, c, network, shared)
        by_reg = torch.as_tensor(found["reg"])
        if isinstance(reg, torch.Tensor):
            by_reg = by_reg.to(reg.dtype).reshape(reg.shape)
        return torch.from_numpy(found["signals"]), torch.from_numpy(found["dictionary"]), by_reg

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple:
        raise RuntimeError("riata.torch.encode can be differentiated once: it has no second derivatives")


def _unrolled_vjp(X: Array, D: Array, reg: Any, cotangent: Array, network: dict, shared: dict) -> dict:
    where = "riata.torch.encode"
    X, D, cotangent = as_matrices(where, X=X, D=D, Z=cotangent)
    options = as_options(where, "unrolled_encode", network | shared) | {"backprop": network["backprop"]}
    return _riata.unrolled_vjp(X, D, as_reg(where, reg), cotangent, options)


def _numpy(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value
