// Oracle-ISTA: the lemmas of Ablin, Moreau, Massias and Gramfort (2019), section 3, and the safety of estimated norms.
#include <gtest/gtest.h>

#include "riata/solvers/encode.hpp"
#include "support/decompositions.hpp"
#include "support/lasso_iterates.hpp"
#include "support/lasso_problems.hpp"
#include "support/precision.hpp"
#include "support/unrolled_oracle.hpp"

namespace riata::testing {
namespace {

/// Eigenvalues of D_S^T D_S, S = supp z, ascending.
template <class Z>
Eigen::VectorXd spectrum_on_support(const Matrix<double>& D, const Z& z) {
  std::vector<Index> S;
  for (Index j = 0; j < z.size(); ++j)
    if (z(j) != 0) S.push_back(j);
  const Matrix<double> D_S = D(Eigen::all, S);
  return eigenvalues_of(D_S.transpose() * D_S);
}

class OistaModes : public ::testing::TestWithParam<SupportNorm> {
 protected:
  const Matrix<double> D = Draw(201).atoms(20, 40), X = Draw(202).normal_matrix(20, 6);
  const double reg = 0.8, L = lipschitz_of(D);
  const LassoOracle oracle{D, {}, false};
  EncodeOptions options{.method = Solver::oista, .support_norm = GetParam()};
  Matrix<double> solution() const {
    return encode<double>(X, DenseDictionary(D), reg, {.method = Solver::coordinate_descent, .tol = 1e-15, .max_iter = 100'000})
        .codes;
  }
};
INSTANTIATE_TEST_SUITE_P(Norms, OistaModes, ::testing::Values(SupportNorm::exact, SupportNorm::estimated),
                         [](const auto& mode) { return mode.param == SupportNorm::exact ? "exact" : "estimated"; });

TEST_P(OistaModes, DecreaseTheObjectiveByTheLemma) {
  const Iterates run = iterates_of(X, D, reg, options, 120);
  for (Index i = 0; i < X.cols(); ++i)
    for (std::size_t k = 0; k < 120; ++k) {
      const StepTrace& trace = run.trace[static_cast<std::size_t>(i)];
      const Vector<double> before = run.codes[k].col(i), after = run.codes[k + 1].col(i);
      const double F = oracle.objective(X.col(i), before, reg), gamma = 1 / trace.step[k];
      EXPECT_LE(oracle.objective(X.col(i), after, reg) - F, -gamma / 2 * (after - before).squaredNorm() + 1e-14 * F)
          << "signal " << i << ", iteration " << k;
      EXPECT_GE(trace.step[k], (1 - 1e-13) / L);
      for (Index j = 0; j < D.cols(); ++j)
        EXPECT_TRUE(!trace.accepted[k] || before(j) != 0 || after(j) == 0) << "accepted beyond the support";
      if (!trace.accepted[k]) {
        EXPECT_NEAR(trace.step[k] * L, 1, 1e-13);
      }
      EXPECT_NEAR(trace.objective[k], oracle.objective(X.col(i), after, reg), 1e-14 * F);
    }
}

TEST_P(OistaModes, AcceptEveryStepOnceOnTheSupportOfTheSolution_AtItsRate) {
  const Iterates run = iterates_of(X, D, reg, options, 400);
  const Matrix<double> best = solution();
  for (Index i = 0; i < X.cols(); ++i) {
    const StepTrace& trace = run.trace[static_cast<std::size_t>(i)];
    std::size_t settled = 400;  // T*: from here on the support is S*
    while (settled > 0 && same_support(run.codes[settled - 1].col(i), best.col(i))) --settled;
    ASSERT_LT(settled, 300u) << "signal " << i;
    const Eigen::VectorXd spectrum = spectrum_on_support(D, best.col(i));
    const double L_S = spectrum(spectrum.size() - 1), mu = spectrum(0), least = oracle.objective(X.col(i), best.col(i), reg);
    ASSERT_LT(L_S, 0.9 * L);
    int refused = 0;
    for (std::size_t k = settled; k < 400; ++k) {
      refused += trace.accepted[k] ? 0 : 1;
      if (GetParam() == SupportNorm::exact) {
        EXPECT_TRUE(trace.accepted[k]) << "signal " << i << ", iteration " << k;
        EXPECT_NEAR(trace.step[k] * L_S, 1, 1e-12);
        const double start = oracle.objective(X.col(i), run.codes[settled].col(i), reg) - least;
        EXPECT_LE(oracle.objective(X.col(i), run.codes[k].col(i), reg) - least,
                  start * std::pow(1 - mu / L_S, double(k - settled)) + 1e-14);
      } else if (trace.accepted[k]) {
        EXPECT_GE(trace.step[k] * L_S, 0.98);  // the margin
        EXPECT_LE(trace.step[k] * L_S, 1.1);
      }
    }
    EXPECT_LE(refused, GetParam() == SupportNorm::exact ? 0 : 3) << "signal " << i;
  }
}

TEST_P(OistaModes, NeverRaiseTheObjective_OnAnyProblem) {
  for (int seed = 0; seed < n_random_problems(); ++seed) {
    const auto problem = random_lasso<double>(seed);
    options.tol = 0;
    options.max_iter = 60;
    options.record = true;
    options.penalty = problem.penalty;
    const auto result = encode<double>(problem.X, DenseDictionary(problem.D), Reg(problem.regs), options);
    for (Index i = 0; i < problem.X.cols(); ++i) {
      double before = problem.half_norm_sq(i);
      for (const double objective : result.trace[static_cast<std::size_t>(i)].objective) {
        EXPECT_LE(objective, before + 1e-14 * problem.half_norm_sq(i)) << problem.describe();
        before = objective;
      }
    }
  }
}

TEST_P(OistaModes, NeedFewerIterationsThanIsta) {
  for (int seed = 0; seed < 10; ++seed) {
    const Matrix<double> atoms = Draw(static_cast<std::uint64_t>(210 + seed)).atoms(30, 60), x = Draw(220).normal_matrix(30, 5);
    const EncodeOptions ista{.method = Solver::ista, .tol = 1e-12, .max_iter = 100'000, .check_every = 1};
    EncodeOptions oista = ista;
    oista.method = Solver::oista;
    oista.support_norm = GetParam();
    const auto slow = encode<double>(x, DenseDictionary(atoms), Reg::fraction_of_max(0.3), ista);
    const auto fast = encode<double>(x, DenseDictionary(atoms), Reg::fraction_of_max(0.3), oista);
    EXPECT_LT(fast.n_iter.sum(), slow.n_iter.sum()) << "seed " << seed;
  }
}

TEST(Oista, IsDoneInOneStep_WhereTheSupportsGramMatrixIsAMultipleOfTheIdentity) {
  const Matrix<double> Q = orthogonal_factor(Draw(203).normal_matrix(12, 12));
  Matrix<double> D = Q;
  D.rightCols(6) *= 3;  // L = 9, but 1 on the first six atoms
  const Matrix<double> X = Q.leftCols(6) * Draw(204).normal_matrix(6, 4);
  const auto result =
      encode<double>(X, DenseDictionary(D), 0.1,
                     {.method = Solver::oista, .tol = 0, .max_iter = 2, .support_norm = SupportNorm::exact, .record = true});
  for (Index i = 0; i < X.cols(); ++i) {
    EXPECT_LE(result.gap(i), 1e-15 * X.col(i).squaredNorm());
    EXPECT_NEAR(result.trace[static_cast<std::size_t>(i)].step[0], 1.0 / 9, 1e-15);  // the empty support's L
    EXPECT_NEAR(result.trace[static_cast<std::size_t>(i)].step[1], 1, 1e-14);
  }
}

TEST(Oista, KeepsNoTraceOfSignalsThatAreZero_NorWithoutBeingAsked) {
  Matrix<double> X = Draw(205).normal_matrix(10, 2);
  X.col(1).setZero();
  const Matrix<double> D = Draw(206).atoms(10, 20);
  const auto result = encode<double>(X, DenseDictionary(D), 0.1, {.method = Solver::oista, .max_iter = 7, .record = true});
  EXPECT_EQ(result.trace[0].step.size(), static_cast<std::size_t>(result.n_iter(0)));
  EXPECT_TRUE(result.trace[1].step.empty());
  EXPECT_TRUE(encode<double>(X, DenseDictionary(D), 0.1, {.method = Solver::oista}).trace.empty());
}

}  // namespace
}  // namespace riata::testing
