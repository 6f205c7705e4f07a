// ISTA with backtracking: the inequality that every step must satisfy, and that no longer trial satisfied it.
#include <gtest/gtest.h>

#include "riata/solvers/encode.hpp"
#include "support/lasso_iterates.hpp"
#include "support/lasso_problems.hpp"
#include "support/precision.hpp"
#include "support/unrolled_oracle.hpp"

namespace riata::testing {
namespace {

/// f(z) + <grad f(z), y - z> + 1/(2 step) ||y - z||^2 - f(y) in 80 bits: the majorisation holds where this is >= 0.
double slack(const LassoOracle& oracle, const Vector<double>& x, const Vector<double>& before, const Vector<double>& after,
             double step) {
  const RealVector d = after.cast<Real>() - before.cast<Real>();
  return static_cast<double>(d.squaredNorm() / (2 * Real(step)) - (oracle.D * d).squaredNorm() / 2) * (x.size() > 0);
}

TEST(Backtracking, TakesStepsThatMajorise_TheFirstThatDo) {
  const Matrix<double> D = Draw(231).atoms(20, 40), X = Draw(232).normal_matrix(20, 5);
  const LassoOracle oracle(D, {}, false);
  const EncodeOptions cases[] = {{.method = Solver::backtracking},
                                 {.method = Solver::backtracking, .shrink = 0.95, .first_step = 1000},
                                 {.method = Solver::backtracking, .shrink = 0.1, .first_step = 1e-3}};
  for (const EncodeOptions& options : cases) {
    const Iterates run = iterates_of(X, D, 0.3, options, 60);
    for (Index i = 0; i < X.cols(); ++i) {
      double F_before = 0.5 * X.col(i).squaredNorm(), step_before = 1.0 / D.colwise().squaredNorm().maxCoeff() * options.shrink;
      for (std::size_t k = 0; k < 60; ++k) {
        const Vector<double> x = X.col(i), before = run.codes[k].col(i), after = run.codes[k + 1].col(i);
        const StepTrace& trace = run.trace[static_cast<std::size_t>(i)];
        const double step = trace.step[k], F = oracle.objective(x, after, 0.3);
        EXPECT_GE(slack(oracle, x, before, after, step), -1e-15 * (after - before).squaredNorm() / step) << k;
        EXPECT_LE(F, F_before + 1e-14) << "signal " << i << ", iteration " << k;
        const double first = options.first_step.value_or(step_before / options.shrink);
        EXPECT_EQ(trace.accepted[k], std::abs(step - first) <= 1e-14 * first);
        if (!trace.accepted[k]) {  // the trial before was refused with reason
          const double longer = step / options.shrink;
          const Vector<double> v = before - longer * D.transpose() * (D * before - x);
          const Vector<double> trial = v.cwiseSign().cwiseProduct((v.cwiseAbs().array() - longer * 0.3).cwiseMax(0).matrix());
          EXPECT_LT(slack(oracle, x, before, trial, longer), 1e-12) << "signal " << i << ", iteration " << k;
        }
        F_before = F;
        step_before = step;
      }
    }
  }
}

TEST(Backtracking, NeedsFewerIterationsThanIsta_ForItsStepsAreLonger) {
  const Matrix<double> D = Draw(233).atoms(30, 60), X = Draw(234).normal_matrix(30, 20);
  EncodeOptions options{.method = Solver::ista, .tol = 1e-10, .max_iter = 100'000, .check_every = 1};
  const auto ista = encode<double>(X, DenseDictionary(D), Reg::fraction_of_max(0.3), options);
  options.method = Solver::backtracking;
  EXPECT_LT(encode<double>(X, DenseDictionary(D), Reg::fraction_of_max(0.3), options).n_iter.sum(), ista.n_iter.sum());
}

TEST(Backtracking, SurvivesAnyFirstStep) {
  const Matrix<float> D = Draw(235).atoms(10, 20).cast<float>(), X = Draw(236).normal_matrix(10, 3).cast<float>();
  for (const double first_step : {1e-30, 1e30, 1e300}) {
    const auto result =
        encode<float>(X, DenseDictionary(D), 0.1, {.method = Solver::backtracking, .max_iter = 5, .first_step = first_step});
    EXPECT_TRUE(result.codes.allFinite()) << first_step;
    EXPECT_LE(result.objective.maxCoeff(), 0.5 * X.cast<double>().colwise().squaredNorm().maxCoeff()) << first_step;
  }
}

}  // namespace
}  // namespace riata::testing
