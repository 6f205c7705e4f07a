// Every method on hundreds of random problems, judged by a gap that shares no code with the library.
// 200 problems per precision; `make test-long` 2000, RIATA_TEST_PROBLEMS as many as it says.
#include <gtest/gtest.h>

#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "support/lasso_problems.hpp"
#include "support/precision.hpp"

namespace riata::testing {
namespace {

constexpr double smallest_fraction_in_float = 0.05;  // below, rounding alone can exceed 1e-4

template <class T>
class RandomProblems : public ::testing::Test {
 protected:
  static EncodeResult<T> solve(const LassoProblem<T>& problem, Solver method, int max_iter, Restart restart = Restart::gradient) {
    return encode<T>(problem.X, DenseDictionary(problem.D), Reg(problem.regs),
                     {.method = method,
                      .tol = promised_gap<T>,
                      .max_iter = max_iter,
                      .check_every = 20,
                      .restart = restart,
                      .penalty = problem.penalty,
                      .execution = {}});
  }

  /// What holds however the run ended: objective and gap are those of the code, and the status follows from
  /// the gap.
  static void expect_honest(const LassoProblem<T>& problem, const EncodeResult<T>& result, int max_iter) {
    const LassoOracle oracle = problem.oracle();
    for (Index i = 0; i < problem.X.cols(); ++i) {
      const Vector<T> x = problem.X.col(i), z = result.codes.col(i);
      const double scale = problem.half_norm_sq(i), objective = oracle.objective(x, z, problem.reg(i));
      const double gap = oracle.gap(x, z, problem.reg(i));
      const Status status = result.status[static_cast<std::size_t>(i)];
      EXPECT_NEAR(result.objective(i), objective, 1e-12 * (scale + objective)) << problem.describe();
      EXPECT_NEAR(result.gap(i), gap, 1e-12 * (scale + objective) + 1e-9 * gap) << problem.describe();
      EXPECT_GE(gap, -1e-15 * (scale + objective)) << problem.describe();
      EXPECT_TRUE(!problem.penalty.positive || z.minCoeff() >= T(0)) << problem.describe();
      EXPECT_LE(result.n_iter(i), max_iter) << problem.describe();
      EXPECT_EQ(status, result.gap(i) <= promised_gap<T> * scale ? Status::converged : Status::max_iter_reached)
          << problem.describe();
    }
  }

  static void expect_converged(const LassoProblem<T>& problem, const EncodeResult<T>& result) {
    const LassoOracle oracle = problem.oracle();
    for (Index i = 0; i < problem.X.cols(); ++i) {
      const Vector<T> x = problem.X.col(i), z = result.codes.col(i);
      const double gap = oracle.gap(x, z, problem.reg(i)), scale = problem.half_norm_sq(i);
      EXPECT_LE(gap, promised_gap<T> * (1 + 1e-4) * scale)
          << problem.describe() << ", signal " << i << " after " << result.n_iter(i) << " iterations";
    }
  }

  static bool within_reach(const LassoProblem<T>& problem) {
    return std::is_same_v<T, double> || problem.fraction >= smallest_fraction_in_float;
  }
};
TYPED_TEST_SUITE(RandomProblems, BothPrecisions, PrecisionName);

TYPED_TEST(RandomProblems, CoordinateDescentReachesThePromisedGapOnAll) {
  for (int seed = 0; seed < n_random_problems(); ++seed) {
    const auto problem = random_lasso<TypeParam>(seed);
    const auto result = this->solve(problem, Solver::coordinate_descent, 200'000);
    this->expect_honest(problem, result, 200'000);
    if (this->within_reach(problem)) this->expect_converged(problem, result);
  }
}

TYPED_TEST(RandomProblems, CoordinateDescentReachesALooseGapOnAll_FromAnyStart) {
  using T = TypeParam;
  for (int seed = 0; seed < n_random_problems(); ++seed) {
    const auto problem = random_lasso<T>(seed);
    if (!this->within_reach(problem)) continue;
    Draw draw(static_cast<std::uint64_t>(seed) + 3000);
    const Matrix<T> start = draw.sparse_matrix(problem.D.cols(), problem.X.cols(), 0.3).template cast<T>();
    const LassoOracle oracle = problem.oracle();
    for (const double tol : {1e-2, 1e-4, std::is_same_v<T, double> ? 1e-6 : 1e-3})
      for (const bool has_start : {false, true}) {
        const auto result =
            encode<T>(problem.X, DenseDictionary(problem.D), Reg(problem.regs),
                      {.method = Solver::coordinate_descent, .tol = tol, .max_iter = 10'000, .penalty = problem.penalty},
                      has_start ? OptionalMatrixRef<T>(start) : std::nullopt);
        for (Index i = 0; i < problem.X.cols(); ++i)
          EXPECT_LE(oracle.gap(problem.X.col(i), result.codes.col(i), problem.reg(i)), tol * (1 + 1e-4) * problem.half_norm_sq(i))
              << problem.describe() << ", signal " << i << ", tol " << tol << (has_start ? ", from a start" : "");
      }
  }
}

TYPED_TEST(RandomProblems, LarsReachesThePromisedGapOnAll) {
  for (int seed = 0; seed < n_random_problems(); ++seed) {
    const auto problem = random_lasso<TypeParam>(seed);
    const auto result = this->solve(problem, Solver::lars, 10'000);
    this->expect_honest(problem, result, 10'000);
    if (this->within_reach(problem)) this->expect_converged(problem, result);
  }
}

TYPED_TEST(RandomProblems, RestartedFistaReachesThePromisedGapOnAll) {
  for (int seed = 0; seed < n_random_problems(); ++seed) {
    const auto problem = random_lasso<TypeParam>(seed);
    const int max_iter = this->within_reach(problem) ? 200'000 : 1000;
    const auto result = this->solve(problem, Solver::fista, max_iter);
    this->expect_honest(problem, result, max_iter);
    if (this->within_reach(problem)) this->expect_converged(problem, result);
  }
}

TYPED_TEST(RandomProblems, PlainMethodsReachItWhereTheyCan_AndAreHonestElsewhere) {
  for (int seed = 0; seed < n_random_problems(); ++seed) {
    const auto problem = random_lasso<TypeParam>(seed);
    const bool promised = problem.fraction >= 0.1 && problem.coherence() < 0.9;
    const int max_iter = promised ? 200'000 : 200;
    for (const Solver method : {Solver::ista, Solver::fista, Solver::oista, Solver::backtracking}) {
      const auto result = this->solve(problem, method, max_iter, Restart::never);
      this->expect_honest(problem, result, max_iter);
      if (promised) this->expect_converged(problem, result);
    }
  }
}

TYPED_TEST(RandomProblems, CertificateFunctionsEqualTheirDefinitions_AtAnyCode) {
  using T = TypeParam;
  for (int seed = 0; seed < n_random_problems() / 2; ++seed) {
    const auto problem = random_lasso<T>(seed);
    Draw draw(static_cast<std::uint64_t>(seed) + 5000);
    Matrix<T> Z = draw.sparse_matrix(problem.D.cols(), problem.X.cols(), 0.2).template cast<T>();
    if (problem.penalty.positive) Z = Z.cwiseAbs();
    const LassoOracle oracle = problem.oracle();
    const double largest_atom = 2 * static_cast<double>(problem.D.colwise().norm().maxCoeff());  // weights >= 1/2
    const Reg reg(problem.regs);
    const auto objective = lasso_objective<T>(problem.X, DenseDictionary(problem.D), Z, reg, problem.penalty);
    const auto gap = duality_gap<T>(problem.X, DenseDictionary(problem.D), Z, reg, problem.penalty);
    const auto both = lasso_certificate<T>(problem.X, DenseDictionary(problem.D), Z, reg, problem.penalty);
    EXPECT_EQ(both.gap, gap);
    EXPECT_EQ(both.objective, objective);
    const auto violation = kkt_violation<T>(problem.X, DenseDictionary(problem.D), Z, reg, problem.penalty);
    const auto largest = reg_max<T>(problem.X, DenseDictionary(problem.D), problem.penalty);
    for (Index i = 0; i < problem.X.cols(); ++i) {
      const double expected = oracle.objective(problem.X.col(i), Z.col(i), problem.reg(i));
      EXPECT_NEAR(objective(i), expected, 1e-13 * expected) << problem.describe();
      EXPECT_NEAR(gap(i), oracle.gap(problem.X.col(i), Z.col(i), problem.reg(i)), 1e-12 * expected) << problem.describe();
      EXPECT_NEAR(violation(i), oracle.kkt_violation(problem.X.col(i), Z.col(i), problem.reg(i)), 1e-12 * (1 + expected))
          << problem.describe();
      const double scale = static_cast<double>(problem.X.col(i).norm()) * largest_atom;
      EXPECT_NEAR(static_cast<double>(largest(i)), oracle.reg_max(problem.X.col(i)),
                  rounding<T>(static_cast<double>(problem.X.rows()), scale))
          << problem.describe();
    }
  }
}

}  // namespace
}  // namespace riata::testing
