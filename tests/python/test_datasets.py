"""The seeded generators have the properties that their names promise."""

import numpy as np
import pytest

import riata
from riata import datasets


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dictionaries_have_unit_atoms_in_the_precision_asked_for(dtype):
    for D in (
        datasets.gaussian_dictionary(16, 30, dtype=dtype),
        datasets.dct_dictionary(16, 30, dtype=dtype),
        datasets.dct_dictionary(15, 40, dtype=dtype),
        datasets.planted(dtype=dtype).dictionary,
    ):
        assert D.dtype == dtype
        np.testing.assert_allclose(np.linalg.norm(D, axis=1), 1, rtol=10 * np.finfo(dtype).eps)


def test_only_the_first_cosine_has_a_mean():
    D = datasets.dct_dictionary(64, 256)
    np.testing.assert_allclose(D[0], 1 / 8)
    np.testing.assert_allclose(D[1:].sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("law", ["gaussian", "coding", "sphere"])
def test_signals_lie_on_b_infinity(law):
    D = datasets.gaussian_dictionary(10, 25)
    X = datasets.signals_on_b_infinity(D, 50, law=law)
    np.testing.assert_allclose(np.abs(X @ D.T).max(axis=1), 1, rtol=1e-13)
    np.testing.assert_allclose(datasets.scale_to_b_infinity(3 * X, D=D), X, rtol=1e-13)
    np.testing.assert_allclose(riata.reg_max(X, D), 1, rtol=1e-13)


def test_a_planted_problem_is_what_it_says():
    problem = datasets.planted(
        n_features=20, n_atoms=40, n_signals=3000, density=0.25, noise_std=0.2, random_state=1
    )
    noise = problem.signals - problem.codes @ problem.dictionary
    assert noise.std() == pytest.approx(0.2, rel=0.02)
    assert (problem.codes != 0).mean() == pytest.approx(0.25, abs=0.01)
    assert problem.codes[problem.codes != 0].std() == pytest.approx(1, rel=0.02)


def test_a_perturbed_dictionary_starts_near_the_truth():
    D = datasets.gaussian_dictionary(30, 50)
    scores = [riata.recovery_score(datasets.perturbed(D, random_state=seed), D) for seed in range(5)]
    assert np.mean(scores) == pytest.approx(0.90, abs=0.02)
    assert riata.recovery_score(datasets.perturbed(D, relative=0.0), D) == pytest.approx(1, abs=1e-14)


def test_seeds_decide_and_generators_advance():
    same = [datasets.gaussian_dictionary(5, 6, seed) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(same[0], same[1])
    assert not np.array_equal(same[0], same[2])
    rng = np.random.default_rng(0)
    assert not np.array_equal(
        datasets.gaussian_dictionary(5, 6, rng), datasets.gaussian_dictionary(5, 6, rng)
    )
    assert not np.array_equal(
        datasets.gaussian_dictionary(5, 6, None), datasets.gaussian_dictionary(5, 6, None)
    )
