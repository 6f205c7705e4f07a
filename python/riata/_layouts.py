"""How the signals and codes that callers have lie in the rows that networks take."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._arguments import Array, as_float_array, as_mask, as_matrix, as_optional_like, require_same_precision
from .convolution import as_trials


class Rows:
    """Of a matrix: a signal and a code are rows already."""

    def __init__(self, core: Any) -> None:
        self._dictionary = core.dictionary()

    def signals(self, where: str, core: Any, X: Any) -> tuple[Any, Array]:
        """The network for such signals, and they as rows."""
        array = as_matrix(where, "X", X)
        require_same_precision(where, "the dictionary", self._dictionary, self._dictionary, "X", X, array)
        return core, array

    def mask(self, where: str, mask: Any, X: Any, rows: Array) -> Array | None:
        return as_mask(where, mask, rows)

    def rows_of_codes(self, where: str, name: str, codes: Any, rows: Array) -> Array | None:
        return as_optional_like(where, name, codes, "X", rows, "(n_signals, n_atoms)")

    def codes(self, rows: Array) -> Array:
        return rows

    def like_signals(self, rows: Array, X: Any) -> Array:
        return rows


class Trials:
    """Of a convolution: a signal is a trial (n_channels, n_times) of any length, a code (n_atoms, n_positions)."""

    def __init__(self, core: Any) -> None:
        self._dtype = core.dictionary().dtype
        self._shape = core.convolution
        self._n_atoms = core.dictionary().shape[0]

    def signals(self, where: str, core: Any, X: Any) -> tuple[Any, Array]:
        rows, n_channels, n_times = as_trials(where, X)
        of_dictionary = np.empty(0, self._dtype)
        require_same_precision(where, "the dictionary", of_dictionary, of_dictionary, "X", X, rows)
        expected, length, boundary = self._shape
        if n_channels != expected:
            raise ValueError(f"{where}: X has {n_channels} channels, expected {expected}, as the patterns have")
        if n_times < length and boundary != "full":
            raise ValueError(f"{where}: X has {n_times} samples, must have at least {length}, as patterns have")
        return core.over(n_times), rows

    def mask(self, where: str, mask: Any, X: Any, rows: Array) -> Array | None:
        as_given = as_mask(where, mask, as_float_array(where, "X", X))
        return None if as_given is None else as_given.reshape(rows.shape)

    def rows_of_codes(self, where: str, name: str, codes: Any, rows: Array) -> Array | None:
        if codes is None:
            return None
        array = as_float_array(where, name, codes)
        if array.ndim != 3 or array.shape[:2] != (len(rows), self._n_atoms):
            raise ValueError(
                f"{where}: {name} has shape {array.shape}, expected ({len(rows)}, {self._n_atoms}, n_positions)"
            )
        return as_optional_like(where, name, array.reshape(len(rows), -1), "X", rows, "(n_trials, n_atoms, n_positions)")

    def codes(self, rows: Array) -> Array:
        return rows.reshape(len(rows), self._n_atoms, -1)

    def like_signals(self, rows: Array, X: Any) -> Array:
        return rows.reshape(np.shape(X))


def layout_of(core: Any) -> Rows | Trials:
    return Rows(core) if core.convolution is None else Trials(core)
