"""Sparse coding and dictionary learning by unrolled optimisation.

Signals are rows: X (n_signals, n_features), dictionary D (n_atoms, n_features), codes Z (n_signals,
n_atoms), and the objective per signal is 1/2 ||x - z D||^2 + reg ||z||_1. float32 stays float32, integers
become float64, and arrays in C order are read in place.

Estimators with scikit-learn's interface: `SparseCoder`, `DictionaryLearning`, `MiniBatchDictionaryLearning`, `LISTA`, and for
recordings `ConvolutionalDictionaryLearning`, for pictures `ConvolutionalDictionaryLearning2D`. Plots: `riata.plot`.
Inside PyTorch models: `riata.torch`. With MNE-Python's objects: `riata.mne`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import datasets
from ._results import (
    CodeBlock,
    ConvEncodeResult,
    EncodeResult,
    ExplainedVariance,
    History,
    HyperGradient,
    ImplicitGradient,
    JointResult,
    KernelsResult,
    LarsResult,
    LassoPath,
    LearnResult,
    Model,
    NetworkGradient,
    OmpResult,
    PatternModel,
    PatternsResult,
    SparseInverseResult,
    StepTrace,
    StreamResult,
    TrainingResult,
    TvResult,
    UnrolledGradient,
    UnrolledStability,
    ValidationCurve,
)
from ._riata import version as __version__
from .coding import duality_gap, encode, encode_stream, kkt_violation, lars, lasso_objective, lasso_path, omp, reg_max
from .convolution import conv_decode, conv_encode, conv_reg_max
from .derivatives import code_jacobian, hypergradient, implicit_gradient, implicit_jvp, unrolled_stability
from .imaging import DenoiseResult, average_patches, denoise, extract_patches, psnr
from .joint import joint_certificate, joint_encode, joint_reg_max
from .kernels import learn_kernels
from .learning import learn_dictionary, load_model, recovery_score, save_model, validation_curve
from .networks import Network, analytic_weight, load_network
from .neuro import hrf, sparse_inverse, whitener
from .patterns import explained_variance, learn_patterns, load_patterns, pattern_events, save_patterns
from .total_variation import prox_tv, prox_tv_vjp, tv_reg_max, tv_solve
from .unrolling import UnrolledEncoder, unrolled_encode, unrolled_gradient

if TYPE_CHECKING:
    from . import plot
    from .estimators import LISTA, DictionaryLearning, MiniBatchDictionaryLearning, SparseCoder
    from .image_estimators import ConvDenoiser
    from .kernel_estimators import ConvolutionalDictionaryLearning2D
    from .pattern_estimators import ConvolutionalDictionaryLearning

__all__ = [
    "LISTA",
    "CodeBlock",
    "ConvDenoiser",
    "ConvEncodeResult",
    "ConvolutionalDictionaryLearning",
    "ConvolutionalDictionaryLearning2D",
    "DenoiseResult",
    "DictionaryLearning",
    "EncodeResult",
    "ExplainedVariance",
    "History",
    "HyperGradient",
    "ImplicitGradient",
    "JointResult",
    "KernelsResult",
    "LarsResult",
    "LassoPath",
    "LearnResult",
    "MiniBatchDictionaryLearning",
    "Model",
    "Network",
    "NetworkGradient",
    "OmpResult",
    "PatternModel",
    "PatternsResult",
    "SparseCoder",
    "SparseInverseResult",
    "StepTrace",
    "StreamResult",
    "TrainingResult",
    "TvResult",
    "UnrolledEncoder",
    "UnrolledGradient",
    "UnrolledStability",
    "ValidationCurve",
    "__version__",
    "analytic_weight",
    "average_patches",
    "code_jacobian",
    "conv_decode",
    "conv_encode",
    "conv_reg_max",
    "datasets",
    "denoise",
    "duality_gap",
    "encode",
    "encode_stream",
    "explained_variance",
    "extract_patches",
    "hrf",
    "hypergradient",
    "implicit_gradient",
    "implicit_jvp",
    "joint_certificate",
    "joint_encode",
    "joint_reg_max",
    "kkt_violation",
    "lars",
    "lasso_objective",
    "lasso_path",
    "learn_dictionary",
    "learn_kernels",
    "learn_patterns",
    "load_model",
    "load_network",
    "load_patterns",
    "omp",
    "pattern_events",
    "plot",
    "prox_tv",
    "prox_tv_vjp",
    "psnr",
    "recovery_score",
    "reg_max",
    "save_model",
    "save_patterns",
    "sparse_inverse",
    "tv_reg_max",
    "tv_solve",
    "unrolled_encode",
    "unrolled_gradient",
    "unrolled_stability",
    "validation_curve",
    "whitener",
]

# scikit-learn takes a second to import and matplotlib may be absent, so what needs them comes when asked for.
_LAZY = {
    "ConvDenoiser": ".image_estimators",
    "ConvolutionalDictionaryLearning": ".pattern_estimators",
    "ConvolutionalDictionaryLearning2D": ".kernel_estimators",
    "LISTA": ".estimators",
    "DictionaryLearning": ".estimators",
    "MiniBatchDictionaryLearning": ".estimators",
    "SparseCoder": ".estimators",
    "mne": ".mne",
    "plot": ".plot",
    "torch": ".torch",
}


def __getattr__(name: str) -> Any:
    if name == "TrainingHistory":
        raise AttributeError("module 'riata' has no TrainingHistory; it is called History since riata 0.2")
    if name not in _LAZY:
        raise AttributeError(f"module 'riata' has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name], __name__)
    globals()[name] = value = module if name in ("mne", "plot", "torch") else getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
