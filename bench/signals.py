"""Signals and dictionaries that people have: functions of (n_signals, n_features, n_atoms, seed) that return X and D.

X is in a unit in which the median of the signals' reg_max = max_j |d_j . x| is 1, so that reg is a fraction of it.
"""

import functools
from pathlib import Path

import numpy as np

PICTURES = Path(__file__).resolve().parent.parent / "examples/images"  # free ones, see LICENCES.md there


def normalised(D):
    return D / np.linalg.norm(D, axis=1, keepdims=True)


def in_unit(X, D):
    return X / np.median(np.abs(X @ D.T).max(axis=1)), D


def gaussian(n_signals, n_features, n_atoms, seed):
    rng = np.random.default_rng(seed)
    D = normalised(rng.standard_normal((n_atoms, n_features)))
    return in_unit(rng.standard_normal((n_signals, n_features)), D)


def nonnegative(n_signals, n_features, n_atoms, seed):
    """Magnitudes of Gaussians: the atoms' cosines are about 2 / pi."""
    rng = np.random.default_rng(seed)
    D = normalised(np.abs(rng.standard_normal((n_atoms, n_features))))
    return in_unit(np.abs(rng.standard_normal((n_signals, n_features))), D)


def picture_patches(n_patches, n_features, pictures, seed):
    """Centred square patches, none of them flat, as many from each picture, in a random order."""
    from matplotlib.image import imread
    from numpy.lib.stride_tricks import sliding_window_view

    rng, side, parts = np.random.default_rng(seed), round(n_features**0.5), []
    for name in pictures:
        windows = sliding_window_view(imread(PICTURES / f"{name}.png").astype(np.float64), (side, side))
        rows, columns = windows.shape[:2]
        number = -(-n_patches // len(pictures))
        drawn = rng.permutation(rows * columns)[:2 * number + 100]
        P = windows[drawn // columns, drawn % columns].reshape(len(drawn), -1)
        P = P - P.mean(axis=1, keepdims=True)
        parts.append(P[np.linalg.norm(P, axis=1) > 0.01 * side][:number])  # one hundredth of the whole range of grey
    return rng.permutation(np.concatenate(parts))[:n_patches]


def patches(n_signals, n_features, n_atoms, seed):
    """Patches of a photograph, and others of it as atoms."""
    P = picture_patches(n_signals + n_atoms, n_features, ["camera"], seed)
    return in_unit(P[n_atoms:], normalised(P[:n_atoms]))


@functools.lru_cache(maxsize=1)
def _learned(n_features, n_atoms, pictures, seed):
    import riata

    training = picture_patches(1_000, n_features, pictures, seed + 1)
    return riata.learn_dictionary(training, n_atoms, "0.1max", method="alternating_exact", max_iter=5,
                                  random_state=seed).dictionary


def learned(n_signals, n_features, n_atoms, seed):
    """Patches of several pictures in a dictionary learned from others of them."""
    pictures = ("camera", "ascent", "coins")
    P = picture_patches(n_signals, n_features, pictures, seed)
    return in_unit(P, normalised(_learned(n_features, n_atoms, pictures, seed)))


def digits(n_signals, n_features, n_atoms, seed):
    """Handwritten digits of 8 x 8, and others of them as atoms."""
    from sklearn.datasets import load_digits

    images = np.random.default_rng(seed).permutation(load_digits().data)
    return in_unit(images[n_atoms:n_atoms + n_signals], normalised(images[:n_atoms]))


def cumulative_sum(n_signals, n_features, n_atoms, seed):
    """Steps and noise, and a step at every place as atoms: neighbours are all but equal."""
    rng = np.random.default_rng(seed)
    jumps = rng.standard_normal((n_signals, n_features)) * (rng.random((n_signals, n_features)) < 0.05)
    X = np.cumsum(jumps, axis=1) + 0.1 * rng.standard_normal((n_signals, n_features))
    return in_unit(X, normalised(np.triu(np.ones((n_features, n_features)))[:n_atoms]))


def duplicated(n_signals, n_features, n_atoms, seed):
    """Every atom twice."""
    X, D = gaussian(n_signals, n_features, -(-n_atoms // 2), seed)
    return X, np.tile(D, (2, 1))[:n_atoms]


def uneven_norms(n_signals, n_features, n_atoms, seed):
    """Norms of the atoms from 10^-3 to 10^3."""
    X, D = gaussian(n_signals, n_features, n_atoms, seed)
    return in_unit(X, D * 10.0 ** np.random.default_rng(seed + 1).uniform(-3, 3, (n_atoms, 1)))
