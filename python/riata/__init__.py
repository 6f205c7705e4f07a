"""Sparse coding and dictionary learning by unrolled optimisation.

Signals are rows: X (n_signals, n_features), dictionary D (n_atoms, n_features), codes Z (n_signals,
n_atoms), and the objective per signal is 1/2 ||x - z D||^2 + reg ||z||_1. float32 stays float32, integers
become float64, and arrays in C order are read in place.

Estimators with scikit-learn's interface: `SparseCoder`, `DictionaryLearning`. Pictures: `riata.plot`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import datasets
from ._results import (
    EncodeResult,
    History,
    LassoPath,
    LearnResult,
    Model,
    OmpResult,
    StepTrace,
    UnrolledGradient,
)
from ._riata import version as __version__
from .coding import duality_gap, encode, kkt_violation, lasso_objective, lasso_path, omp, reg_max
from .imaging import DenoiseResult, average_patches, denoise, extract_patches, psnr
from .learning import learn_dictionary, load_model, recovery_score, save_model
from .unrolling import unrolled_encode, unrolled_gradient

if TYPE_CHECKING:
    from . import plot
    from .estimators import DictionaryLearning, SparseCoder

__all__ = [
    "DenoiseResult",
    "DictionaryLearning",
    "EncodeResult",
    "History",
    "LassoPath",
    "LearnResult",
    "Model",
    "OmpResult",
    "SparseCoder",
    "StepTrace",
    "UnrolledGradient",
    "__version__",
    "average_patches",
    "datasets",
    "denoise",
    "duality_gap",
    "encode",
    "extract_patches",
    "kkt_violation",
    "lasso_objective",
    "lasso_path",
    "learn_dictionary",
    "load_model",
    "omp",
    "plot",
    "psnr",
    "recovery_score",
    "reg_max",
    "save_model",
    "unrolled_encode",
    "unrolled_gradient",
]

# scikit-learn takes a second to import and matplotlib may be absent, so what needs them comes when asked for.
_LAZY = {"DictionaryLearning": ".estimators", "SparseCoder": ".estimators", "plot": ".plot"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'riata' has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name], __name__)
    return module if name == "plot" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
