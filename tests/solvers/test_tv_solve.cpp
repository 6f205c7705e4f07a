#include "riata/solvers/tv_solve.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "riata/operators/causal_convolution.hpp"
#include "riata/operators/dense_dictionary.hpp"
#include "riata/terms/total_variation.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"
#include "support/tv_oracle.hpp"

namespace riata::testing {
namespace {

constexpr TvSolver all_solvers[] = {TvSolver::automatic, TvSolver::working_set, TvSolver::synthesis, TvSolver::pgd,
                                    TvSolver::apgd,      TvSolver::condat_vu,   TvSolver::dual,      TvSolver::admm};

/// All but "dual" where columns of A depend on each other.
std::vector<TvSolver> solvers_for(const Matrix<double>& A) {
  std::vector<TvSolver> solvers(std::begin(all_solvers), std::end(all_solvers));
  if (A.rows() < A.cols() || A.rowwise().sum().isZero(0)) std::erase(solvers, TvSolver::dual);
  return solvers;
}

struct TvProblemOfTest {
  Matrix<double> A, X;
};

/// Signals with few jumps, seen through A, with as much noise.
Matrix<double> observe(Draw& draw, const Matrix<double>& A, Index n_signals) {
  Matrix<double> X(A.rows(), n_signals);
  for (Index i = 0; i < n_signals; ++i) {
    Vector<double> u = Vector<double>::Zero(A.cols());
    double level = draw.normal();
    for (double& entry : u) {
      if (draw.coin(0.15)) level = 2 * draw.normal();
      entry = level;
    }
    const Vector<double> x = A * u, noise = draw.normal_vector(A.rows());
    X.col(i) = x + (x.norm() / noise.norm()) * noise;
  }
  return X;
}

TvProblemOfTest draw_tv(Draw& draw, Index n_observed, Index n_times, Index n_signals) {
  TvProblemOfTest p{.A = draw.normal_matrix(n_observed, n_times) / std::sqrt(static_cast<double>(n_observed)), .X = {}};
  p.X = observe(draw, p.A, n_signals);
  return p;
}

/// A hump that rises and falls, as the haemodynamic response does.
Vector<double> hump(Index length) {
  Vector<double> h(length);
  for (Index l = 0; l < length; ++l) h(l) = std::pow(static_cast<double>(l) / 5, 3) * std::exp(-static_cast<double>(l) * 0.7);
  return h / h.norm();
}

using Precise = long double;
using PreciseVector = Eigen::Matrix<Precise, Eigen::Dynamic, 1>;

double tv_of(const Vector<double>& u) { return (u.tail(u.size() - 1) - u.head(u.size() - 1)).cwiseAbs().sum(); }

double tv_objective_of(const Matrix<double>& A, const Vector<double>& x, const Vector<double>& u, double reg) {
  return 0.5 * (x - A * u).squaredNorm() + reg * tv_of(u);
}

/// P(u) - (1/2 ||x||^2 - 1/2 ||x - theta||^2), theta the residual without its part along A 1, scaled until it is feasible.
double tv_gap_of(const Matrix<double>& A, const Vector<double>& x, const Vector<double>& u, double reg) {
  const PreciseVector a = A.cast<Precise>().rowwise().sum(), r = x.cast<Precise>() - A.cast<Precise>() * u.cast<Precise>();
  const PreciseVector orthogonal = r - (a.dot(r) / a.squaredNorm()) * a, c = A.cast<Precise>().transpose() * orthogonal;
  Precise sum = 0, largest = 0, penalty = 0;
  for (Index t = 0; t + 1 < u.size(); ++t) {
    sum += c(t);
    largest = std::max(largest, std::abs(sum));
    penalty += std::abs(Precise(u(t + 1)) - Precise(u(t)));
  }
  const PreciseVector theta = orthogonal * std::min<Precise>(1, reg / largest);
  const Precise dual = 0.5L * x.cast<Precise>().squaredNorm() - 0.5L * (x.cast<Precise>() - theta).squaredNorm();
  return static_cast<double>(0.5L * r.squaredNorm() + reg * penalty - dual);
}

/// The largest violation of the optimality conditions: running sums w of A^T (x - A u) in [-reg, reg], -reg sign(jump) at jumps,
/// and 0 at the end.
double tv_kkt_of(const Matrix<double>& A, const Vector<double>& x, const Vector<double>& u, double reg) {
  const Vector<double> c = A.transpose() * (x - A * u);
  double w = 0, worst = 0;
  for (Index t = 0; t < u.size(); ++t) {
    w += c(t);
    if (t + 1 == u.size())
      worst = std::max(worst, std::abs(w));
    else if (u(t + 1) != u(t))
      worst = std::max(worst, std::abs(w + (u(t + 1) > u(t) ? reg : -reg)));
    else
      worst = std::max(worst, std::abs(w) - reg);
  }
  return worst;
}

TEST(TvSolve, SignalsAreOptimal_AndTheirGapsAreWhatTheySay) {
  Draw draw(7201);
  for (const auto& [m, k] : {std::pair<Index, Index>{5, 8}, {40, 40}, {60, 30}, {30, 80}, {3, 1}, {4, 2}}) {
    const TvProblemOfTest p = draw_tv(draw, m, k, 150);
    const auto result = tv_solve<double>(p.X, DenseDictionary<double>(p.A), Reg::fraction_of_max(0.1), {.tol = 1e-10});
    const Vector<double> largest = tv_reg_max<double>(p.X, DenseDictionary<double>(p.A));
    EXPECT_EQ(result.method, TvSolver::working_set);
    for (Index i = 0; i < 150; ++i) {
      const Vector<double> x = p.X.col(i), u = result.signals.col(i);
      const double size = 0.5 * x.squaredNorm(), reg = 0.1 * largest(i), gap = tv_gap_of(p.A, x, u, reg);
      EXPECT_NEAR(result.reg(i), reg, 1e-14 * reg);
      EXPECT_EQ(result.status[static_cast<std::size_t>(i)], Status::converged) << m << " x " << k << ", " << i;
      EXPECT_LE(gap, 1e-10 * size);
      EXPECT_NEAR(result.gap(i), gap, 1e-13 * size);
      EXPECT_NEAR(result.objective(i), tv_objective_of(p.A, x, u, reg), 1e-13 * size);
      EXPECT_LE(tv_kkt_of(p.A, x, u, reg), 1e-4 * largest(i) + 1e-12) << m << " x " << k << ", " << i;
    }
  }
}

TEST(TvSolve, AllMethodsFindTheSameOptimum) {
  Draw draw(7202);
  for (const auto& [fraction, m] : {std::pair<double, Index>{0.1, 12}, {0.6, 12}, {0.1, 25}}) {
    const TvProblemOfTest p = draw_tv(draw, m, 15, 6);
    const DenseDictionary<double> A(p.A);
    const Vector<double> best = tv_solve<double>(p.X, A, Reg::fraction_of_max(fraction), {.tol = 1e-13}).objective;
    for (const TvSolver method : solvers_for(p.A)) {
      const auto result = tv_solve<double>(p.X, A, Reg::fraction_of_max(fraction), {.method = method, .tol = 1e-10});
      for (Index i = 0; i < p.X.cols(); ++i) {
        const double size = 0.5 * p.X.col(i).squaredNorm();
        EXPECT_EQ(result.status[static_cast<std::size_t>(i)], Status::converged) << to_string(method);
        EXPECT_LE(tv_gap_of(p.A, p.X.col(i), result.signals.col(i), result.reg(i)), 1.001e-10 * size) << to_string(method);
        EXPECT_NEAR(result.objective(i), best(i), 1e-10 * size) << to_string(method);
      }
    }
  }
}

TEST(TvSolve, IdentityIsTheProx) {
  Draw draw(7203);
  const Matrix<double> X = draw.normal_matrix(50, 20), I = Matrix<double>::Identity(50, 50);
  for (const TvSolver method : all_solvers) {
    const auto result = tv_solve<double>(X, DenseDictionary<double>(I), 0.8, {.method = method, .tol = 1e-13});
    EXPECT_LE((result.signals - prox_tv<double>(X, 0.8)).cwiseAbs().maxCoeff(), 1e-5) << to_string(method);
  }
}

TEST(TvSolve, FromRegMaxOnTheSolutionIsTheBestConstant) {
  Draw draw(7204);
  const TvProblemOfTest p = draw_tv(draw, 20, 25, 10);
  const DenseDictionary<double> A(p.A);
  const Vector<double> largest = tv_reg_max<double>(p.X, A), a = p.A.rowwise().sum();
  const auto regs = [&](double factor) {
    std::vector<double> all(10);
    for (std::size_t i = 0; i < 10; ++i) all[i] = factor * largest(static_cast<Index>(i));
    return Reg(all);
  };
  for (const TvSolver method : solvers_for(p.A)) {
    for (const double factor : {1.0, 1.5, 1e6}) {
      const auto result = tv_solve<double>(p.X, A, regs(factor), {.method = method, .tol = 1e-12});
      for (Index i = 0; i < 10; ++i) {
        const double constant = a.dot(p.X.col(i)) / a.squaredNorm();
        EXPECT_EQ(tv_of(result.signals.col(i)), 0.0) << to_string(method) << " " << factor;
        EXPECT_NEAR(result.signals(0, i), constant, 1e-14 * std::abs(constant) + 1e-14);
        EXPECT_EQ(result.status[static_cast<std::size_t>(i)], Status::converged);
      }
    }
    const auto below = tv_solve<double>(p.X, A, regs(1 - 1e-6), {.method = method, .tol = 1e-15, .max_iter = 3000});
    for (Index i = 0; i < 10; ++i) EXPECT_GT(tv_of(below.signals.col(i)), 0.0) << to_string(method);
  }
}

TEST(TvSolve, MaskedFramesAreAsRemovedRows) {
  Draw draw(7205);
  const TvProblemOfTest p = draw_tv(draw, 24, 20, 30);
  Matrix<double> mask = Matrix<double>::Ones(24, 1), hidden = p.X;
  std::vector<Index> seen;
  for (Index t = 0; t < 24; ++t) {
    mask(t) = t % 5 == 2 ? 0 : 1;
    if (mask(t) == 0)
      hidden.row(t).setConstant(std::nan(""));
    else
      seen.push_back(t);
  }
  const DenseDictionary<double> A(p.A), rows(Matrix<double>(p.A(seen, Eigen::all)));
  const Matrix<double> remaining = p.X(seen, Eigen::all), of_each = mask.replicate(1, 30);
  const Vector<double> largest = tv_reg_max<double>(remaining, rows);
  EXPECT_LE((tv_reg_max<double>(hidden, A, mask) - largest).cwiseAbs().maxCoeff(), 1e-12 * largest.maxCoeff());
  for (const TvSolver method : solvers_for(rows.atoms())) {
    const TvOptions options{.method = method, .tol = 1e-11};
    const auto expected = tv_solve<double>(remaining, rows, Reg::fraction_of_max(0.2), options);
    for (const Matrix<double>& given : {mask, of_each}) {
      const auto result = tv_solve<double>(hidden, A, Reg::fraction_of_max(0.2), options, ConstMatrixRef<double>(given));
      EXPECT_LE((result.objective - expected.objective).cwiseAbs().maxCoeff(), 1e-10 * expected.objective.maxCoeff())
          << to_string(method);
      EXPECT_LE((result.signals - expected.signals).cwiseAbs().maxCoeff(), 1e-4 * expected.signals.cwiseAbs().maxCoeff())
          << to_string(method);
    }
  }
}

TEST(TvSolve, MasksPerSignalAndWeightsAreThoseOfTheDataFit) {
  Draw draw(7206);
  const TvProblemOfTest p = draw_tv(draw, 24, 20, 12);
  Matrix<double> W(24, 12);
  for (double& w : W.reshaped()) w = draw.coin(0.3) ? 0 : draw.uniform();
  const DenseDictionary<double> A(p.A);
  const auto together = tv_solve<double>(p.X, A, Reg::fraction_of_max(0.2), {.tol = 1e-11}, ConstMatrixRef<double>(W));
  EXPECT_EQ(together.method, TvSolver::apgd);
  for (Index i = 0; i < 12; ++i) {
    const Vector<double> root = W.col(i).cwiseSqrt();
    const Matrix<double> weighted = root.asDiagonal() * p.A;
    const Vector<double> x = root.cwiseProduct(p.X.col(i)), u = together.signals.col(i);
    EXPECT_LE(tv_gap_of(weighted, x, u, together.reg(i)), 1.01e-11 * 0.5 * x.squaredNorm()) << i;
    const Matrix<double> own = W.col(i);
    const auto alone = tv_solve<double>(p.X.col(i), A, Reg::fraction_of_max(0.2), {.tol = 1e-11}, ConstMatrixRef<double>(own));
    EXPECT_EQ(alone.method, TvSolver::working_set);
    EXPECT_NEAR(alone.objective(0), together.objective(i), 1e-10 * x.squaredNorm()) << i;
  }
}

TEST(TvSolve, ConvolutionIsItsMatrix) {
  Draw draw(7207);
  const Index n = 120;
  const CausalConvolution<double> filter(hump(30), n);
  Matrix<double> M(n, n);
  filter.apply(Matrix<double>::Identity(n, n), M);
  const Matrix<double> X = observe(draw, M, 40);
  const auto filtered = tv_solve<double>(X, filter, Reg::fraction_of_max(0.1), {.tol = 1e-9}),
             multiplied = tv_solve<double>(X, DenseDictionary<double>(M), Reg::fraction_of_max(0.1), {.tol = 1e-9});
  for (Index i = 0; i < 40; ++i) {
    const double size = 0.5 * X.col(i).squaredNorm();
    EXPECT_LE(tv_gap_of(M, X.col(i), filtered.signals.col(i), filtered.reg(i)), 1.001e-9 * size);
    EXPECT_NEAR(filtered.objective(i), multiplied.objective(i), 1e-9 * size);
  }
}

TEST(TvSolve, FloatIsCertifiedInDouble) {
  Draw draw(7208);
  const TvProblemOfTest p = draw_tv(draw, 60, 60, 200);
  const Matrix<float> X = p.X.cast<float>(), A = p.A.cast<float>();
  const Matrix<double> Xd = X.cast<double>(), Ad = A.cast<double>();
  const auto result = tv_solve<float>(X, DenseDictionary<float>(A), Reg::fraction_of_max(0.1), {.tol = 1e-4});
  for (Index i = 0; i < 200; ++i) {
    const double size = 0.5 * Xd.col(i).squaredNorm(),
                 gap = tv_gap_of(Ad, Xd.col(i), result.signals.col(i).cast<double>(), result.reg(i));
    EXPECT_EQ(result.status[static_cast<std::size_t>(i)], Status::converged) << i;
    EXPECT_LE(gap, 1e-4 * size) << i;
    EXPECT_NEAR(result.gap(i), gap, 1e-12 * size) << i;
  }
}

TEST(TvSolve, NoBitDependsOnTheNumberOfThreads) {
  Draw draw(7209);
  const TvProblemOfTest p = draw_tv(draw, 30, 30, 5000);
  const DenseDictionary<double> A(p.A);
  for (const TvSolver method : {TvSolver::working_set, TvSolver::apgd}) {
    const auto solve = [&](int n_threads) {
      return tv_solve<double>(p.X, A, Reg::fraction_of_max(0.3),
                              {.method = method, .tol = 1e-4, .execution = {.n_threads = n_threads}});
    };
    const auto one = solve(1), three = solve(3);
    EXPECT_EQ(one.signals, three.signals) << to_string(method);
    EXPECT_EQ(one.gap, three.gap) << to_string(method);
  }
}

TEST(TvSolve, FollowsTheUnitOfSignalsAndOperator) {
  Draw draw(7210);
  const TvProblemOfTest p = draw_tv(draw, 20, 20, 10);
  for (const TvSolver method : {TvSolver::working_set, TvSolver::apgd, TvSolver::condat_vu}) {
    const TvOptions options{.method = method, .tol = 1e-6};
    const auto plain = tv_solve<double>(p.X, DenseDictionary<double>(p.A), Reg::fraction_of_max(0.2), options);
    for (const auto& [e, f] : {std::pair{30, 0}, {0, -40}, {-20, 10}, {600, 0}, {-500, 450}}) {
      const auto times = [](const Matrix<double>& M, int power) -> Matrix<double> {
        return M.unaryExpr([power](double v) { return std::ldexp(v, power); });
      };
      const auto scaled =
          tv_solve<double>(times(p.X, e), DenseDictionary<double>(times(p.A, f)), Reg::fraction_of_max(0.2), options);
      EXPECT_LE((times(scaled.signals, f - e) - plain.signals).cwiseAbs().maxCoeff(), 1e-9 * plain.signals.cwiseAbs().maxCoeff())
          << to_string(method) << " " << e << " " << f;
    }
  }
}

TEST(TvSolve, OperatorsThatTakeConstantsToZeroAreSolvedToo) {
  Draw draw(7211);
  TvProblemOfTest p = draw_tv(draw, 20, 15, 8);
  p.A.colwise() -= Vector<double>(p.A.rowwise().mean());
  p.A.col(14) -= p.A.rowwise().sum();
  p.A = (p.A * 1024).array().round() / 1024;
  p.A.col(14) -= p.A.rowwise().sum();  // exactly
  for (const TvSolver method : solvers_for(p.A)) {
    const auto result =
        tv_solve<double>(p.X, DenseDictionary<double>(p.A), Reg::fraction_of_max(0.1), {.method = method, .tol = 1e-9});
    for (Index i = 0; i < 8; ++i) {
      EXPECT_EQ(result.status[static_cast<std::size_t>(i)], Status::converged) << to_string(method);
      EXPECT_TRUE(result.signals.col(i).allFinite());
    }
  }
}

TEST(TvCertificate, BoundsTheDistanceToTheOptimum) {
  Draw draw(7212);
  const TvProblemOfTest p = draw_tv(draw, 15, 20, 30);
  const DenseDictionary<double> A(p.A);
  const auto best = tv_solve<double>(p.X, A, Reg::fraction_of_max(0.2), {.tol = 1e-13});
  const Reg regs(std::vector<double>(best.reg.begin(), best.reg.end()));
  for (const double distance : {0.0, 1e-4, 1.0}) {
    const Matrix<double> U = best.signals + distance * draw.normal_matrix(20, 30);
    const TvCertificate certificate = tv_certificate<double>(p.X, A, U, regs);
    for (Index i = 0; i < 30; ++i) {
      const double size = 0.5 * p.X.col(i).squaredNorm(), reg = best.reg(i);
      EXPECT_NEAR(certificate.objective(i), tv_objective_of(p.A, p.X.col(i), U.col(i), reg),
                  1e-12 * (size + certificate.objective(i)));
      EXPECT_NEAR(certificate.gap(i), tv_gap_of(p.A, p.X.col(i), U.col(i), reg), 1e-12 * (size + certificate.objective(i)));
      EXPECT_GE(certificate.gap(i), certificate.objective(i) - best.objective(i) - 1e-13 * size);
    }
  }
}

TEST(TvSolve, BadInputsAreRefused) {
  const Matrix<double> X = Matrix<double>::Ones(4, 3), I = Matrix<double>::Identity(4, 4);
  const DenseDictionary<double> A(I);
  Matrix<double> holed = X;
  holed(1, 2) = INFINITY;
  const Matrix<double> wide = Matrix<double>::Ones(4, 2), beyond = Matrix<double>::Constant(4, 1, 2.0);
  Matrix<double> own = Matrix<double>::Ones(4, 3);
  own(2, 1) = 0;
  const auto masked = [&](const Matrix<double>& mask, const TvOptions& options = {}) {
    return [&, options] { tv_solve<double>(X, A, 0.1, options, ConstMatrixRef<double>(mask)); };
  };
  const std::vector<BadInput> rows{
      {"tv_solve: X has 5 samples per signal but the operator gives 4; they must be equal",
       [&] { tv_solve<double>(Matrix<double>::Ones(5, 3), A, 0.1); }},
      {"tv_solve: X holds inf at signal 2, sample 1; expected finite numbers", [&] { tv_solve<double>(holed, A, 0.1); }},
      {"reg: 2 entries for 3 signals; they must be equal",
       [&] {
         tv_solve<double>(X, A, Reg(std::vector<double>{1, 2}));
       }},
      {"tol = -1, must be >= 0 and finite", [&] { tv_solve<double>(X, A, 0.1, {.tol = -1}); }},
      {"tv_solve: mask has shape (2, 4), expected the signals' (3, 4), or one row for all", masked(wide)},
      {"tv_solve: mask holds 2 at signal 0, sample 0; must be between 0 and 1 (divide by the largest, and reg too)",
       masked(beyond)},
      {"tv_solve: method = 'working-set' takes a mask that all signals share; for masks of their own choose 'apgd', 'pgd' or "
       "'condat-vu'",
       masked(own, {.method = TvSolver::working_set})},
      {"tv_solve: method = 'dual' needs an operator whose columns do not depend on each other; choose 'apgd' or 'admm'",
       [&] { tv_solve<double>(X, DenseDictionary<double>(Matrix<double>::Ones(4, 2)), 0.1, {.method = TvSolver::dual}); }},
      {"tv_certificate: U has shape (3, 5), expected (3, 4)",
       [&] { tv_certificate<double>(X, A, Matrix<double>::Ones(5, 3), 0.1); }},
  };
  for (const BadInput& row : rows) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

}  // namespace
}  // namespace riata::testing
