"""Dictionaries and signals of the step-size paper: Gaussian ones, and 8 x 8 digits; signals on B_inf (reg_max 1)."""

from __future__ import annotations

import numpy as np

import riata


def digits(n_atoms: int, seed: int, centred: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Atoms, unit norm, and the other pictures: scikit-learn's 1 797 digits in a random order, less their means."""
    from sklearn.datasets import load_digits

    pictures = load_digits().data[np.random.RandomState(seed).permutation(1797)]
    if centred:
        pictures = pictures - pictures.mean(axis=1, keepdims=True)
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    return pictures[:n_atoms], pictures[n_atoms:]


def problem(dictionary: str, n_features: int, n_atoms: int, n_train: int, n_test: int, seed: int,
            variant: str = "paper") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(D, training signals, test signals), where the documents differ by `variant`.

    "paper": x normal, digits centred as in the published code; "raw": not centred. "mixed", all as in the published code:
    x = z D with z normal, but the test signals of the digits are pictures. "lectures": x normal, of the digits pictures. Pictures
    are the 1 541 that are no atoms, the last third for the test, repeated as needed.
    """
    if dictionary == "digits":
        D, pictures = digits(n_atoms, seed, centred=variant != "raw")
    else:
        D, pictures = riata.datasets.gaussian_dictionary(n_features, n_atoms, random_state=seed), None
    law = "coding" if variant == "mixed" else "gaussian"
    train = riata.datasets.signals_on_b_infinity(D, n_train, law, random_state=seed + 1)
    test = riata.datasets.signals_on_b_infinity(D, n_test, law, random_state=seed + 2)
    if pictures is not None and variant in ("mixed", "lectures"):
        first = len(pictures) * 2 // 3
        test = riata.datasets.scale_to_b_infinity(np.resize(pictures[first:], test.shape), D=D)
        if variant == "lectures":
            train = riata.datasets.scale_to_b_infinity(np.resize(pictures[:first], train.shape), D=D)
    return D, train, test
