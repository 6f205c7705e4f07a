"""The judge of the benchmarks against closed forms and finite differences."""

import numpy as np
import pytest
import riata
from cases import Problem, unit_norm, unit_reg_max
from evaluate import (
    CHUNK,
    fista_gradient,
    ista_codes,
    lasso_certificate,
    relative_difference,
    relative_gap,
    suboptimality,
)


def soft(x, threshold):
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def network(n_signals=7, layers=5, last_step=1.0, reg=0.2):
    X, D = unit_reg_max(n_signals, 6, 9, seed=3)
    return Problem(X, D, reg, layers, np.linspace(1, last_step, layers), np.linalg.norm(D, 2) ** 2)


def test_the_gap_of_zero_codes_has_a_closed_form():
    # theta = s x with s = reg / reg_max, so the gap is 1/2 (1 - s)^2 ||x||^2; here reg_max = 1
    X, D = unit_reg_max(20, 8, 12, seed=0)
    objective, gap = lasso_certificate(X, D, np.zeros((20, 12)), 0.3)
    half = 0.5 * np.sum(X**2, axis=1)
    np.testing.assert_allclose(objective, half, rtol=1e-14)
    np.testing.assert_allclose(gap, 0.7**2 * half, rtol=1e-13)
    assert relative_gap(X, gap) == pytest.approx(0.49, rel=1e-13)


def test_the_gap_vanishes_at_the_solution_for_orthonormal_atoms():
    X, D = np.random.default_rng(1).standard_normal((10, 5)), np.eye(5)
    objective, gap = lasso_certificate(X, D, soft(X, 0.4), 0.4)
    np.testing.assert_allclose(gap, 0, atol=1e-15)
    np.testing.assert_allclose(objective, np.sum(np.where(abs(X) > 0.4, 0.4 * abs(X) - 0.08, 0.5 * X**2), axis=1), rtol=1e-14)


def test_the_gap_bounds_the_distance_to_the_optimum_of_any_codes():
    X, D = unit_norm(30, 6, 10, seed=2)
    best, best_gap = lasso_certificate(X, D, riata.encode(X, D, 0.1, tol=1e-13).codes, 0.1)
    objective, gap = lasso_certificate(X, D, np.random.default_rng(0).standard_normal((30, 10)), 0.1)
    assert np.all(best_gap < 1e-12)
    assert np.all(objective - gap <= best)
    assert suboptimality(best, best - best_gap) < 1e-11


def test_float_answers_are_judged_in_double_and_chunks_leave_no_seam():
    X, D = unit_reg_max(CHUNK + 3, 4, 6, seed=5)
    Z = np.random.default_rng(5).standard_normal((CHUNK + 3, 6)).astype(np.float32)
    objective, gap = lasso_certificate(X.astype(np.float32), D.astype(np.float32), Z, 0.2)
    assert objective.dtype == gap.dtype == np.float64
    last = lasso_certificate(X[-5:].astype(np.float32), D.astype(np.float32), Z[-5:], 0.2)
    np.testing.assert_allclose([objective[-5:], gap[-5:]], last, rtol=1e-13)


def test_suboptimality_refuses_bounds_of_other_signals():
    with pytest.raises(ValueError):
        suboptimality(np.ones(3), np.ones(4))


def test_one_layer_with_orthonormal_atoms_is_soft_thresholding():
    X = np.random.default_rng(1).standard_normal((10, 5))
    np.testing.assert_allclose(ista_codes(Problem(X, np.eye(5), 0.4, 1, np.ones(1), 1.0)), soft(X, 0.4), rtol=1e-14)


def test_the_gradient_agrees_with_finite_differences_of_the_unrolled_loss():
    problem = network()
    direction = np.random.default_rng(8).standard_normal(problem.D.shape)

    def loss(t):
        D = problem.D + t * direction
        Z = riata.unrolled_encode(problem.X, D, problem.reg, problem.layers, lipschitz=problem.lipschitz)
        return lasso_certificate(problem.X, D, Z, problem.reg)[0].mean()

    h = 1e-6
    slope = (loss(h) - loss(-h)) / (2 * h)
    assert np.vdot(fista_gradient(problem), direction) == pytest.approx(slope, rel=1e-7)


def test_riata_answers_the_very_question_that_is_asked():
    from ours import gradient, inference

    problem = network(n_signals=CHUNK + 2)
    assert relative_difference(gradient(problem, 1)(), fista_gradient(problem)) < 1e-12
    problem = network(last_step=1.5)
    assert relative_difference(inference(problem, 1)(), ista_codes(problem)) < 1e-13
