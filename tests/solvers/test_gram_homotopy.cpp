// LARS on the Gram matrix: batches large enough for it keep the promises of the exact path, in both precisions; and it does the work
// itself where atoms are in general position.
#include "riata/solvers/gram_homotopy.hpp"

#include <gtest/gtest.h>

#include "riata/solvers/encode.hpp"
#include "riata/solvers/lars.hpp"
#include "support/dependent_atoms.hpp"
#include "support/lasso_oracle.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

struct Paths {
  Matrix<double> D, X;
  PenaltyOptions penalty;
  std::string kind;

  LassoOracle oracle() const { return {D, penalty.weights, penalty.positive}; }
};

/// The numbers run through all kinds.
Paths some_paths(int seed) {
  Draw draw(7000 + static_cast<std::uint64_t>(seed));
  const Index n = draw.integer(1, 40), m = draw.integer(1, 150), n_signals = draw.integer(5, 40);
  const char* kinds[] = {"ordinary", "correlated", "repeated", "dependent", "nearly collinear", "integers", "unequal norms"};
  Paths paths{.D = draw.atoms(n, m, seed % 7 == 1 ? 0.95 : 0),
              .X = draw.normal_matrix(n, n_signals),
              .penalty = {},
              .kind = kinds[seed % 7]};
  Matrix<double>& D = paths.D;
  make_dependent(D, seed % 7, draw);
  if (seed % 7 == 5) {  // many exact ties
    for (double& entry : D.reshaped()) entry = draw.integer(-1, 1);
    for (double& entry : paths.X.reshaped()) entry = draw.integer(-2, 2);
  }
  if (seed % 7 == 6)
    for (Index j = 0; j < m; ++j) D.col(j) *= draw.log_uniform(1e-3, 1e3);
  if (seed % 11 == 1) D.col(draw.integer(0, static_cast<int>(m) - 1)).setZero();
  if (seed % 4 == 1) paths.penalty.positive = true;
  if (seed % 5 == 2) paths.penalty.weights = draw.weights(m);
  return paths;
}

Reg per_signal(const Vector<double>& regs) { return Reg(std::vector<double>(regs.begin(), regs.end())); }

TEST(GramHomotopy, SatisfiesTheOptimalityConditions_AndEqualsThePathOfEachSignal) {
  for (int seed = 0; seed < 210; ++seed) {
    const Paths paths = some_paths(seed);
    const LassoOracle oracle = paths.oracle();
    const double fraction = seed % 2 == 0 ? 0.3 : 0.05;
    Vector<double> regs(paths.X.cols());
    for (Index i = 0; i < regs.size(); ++i) regs(i) = std::max(1e-3, fraction * oracle.reg_max(paths.X.col(i)));
    const auto result =
        encode<double>(paths.X, DenseDictionary(paths.D), per_signal(regs), {.method = Solver::lars, .penalty = paths.penalty});
    for (Index i = 0; i < regs.size(); ++i) {
      const Vector<double> x = paths.X.col(i), z = result.codes.col(i);
      const double largest = oracle.reg_max(x);
      if (regs(i) >= largest) continue;
      EXPECT_LE(oracle.kkt_violation(x, z, regs(i)), 1e-12 * largest) << paths.kind << ", problem " << seed << ", signal " << i;
      EXPECT_LE(result.gap(i), 1e-12 * x.squaredNorm()) << paths.kind << ' ' << seed;
      EXPECT_EQ(result.status[static_cast<std::size_t>(i)], Status::converged);
      if (i % 5 != 0) continue;
      const auto path = lasso_path<double>(x, paths.D, {.reg_min = regs(i), .penalty = paths.penalty});
      const Vector<double> end = path.codes.col(path.codes.cols() - 1);
      EXPECT_LE((paths.D * (z - end)).norm(), 1e-10 * x.norm()) << paths.kind << ' ' << seed;
      if (paths.kind == "ordinary") {
        EXPECT_EQ(result.n_iter(i), path.regs.size() - 1) << seed;
      }
    }
  }
}

TEST(GramHomotopy, InSinglePrecisionGivesTheRoundedCodes) {
  for (int seed = 0; seed < 70; ++seed) {
    const Paths paths = some_paths(seed);
    const Matrix<float> D = paths.D.cast<float>(), X = paths.X.cast<float>();
    const LassoOracle oracle(D, paths.penalty.weights, paths.penalty.positive);
    Vector<float> regs(X.cols());
    for (Index i = 0; i < regs.size(); ++i) regs(i) = static_cast<float>(std::max(1e-3, 0.2 * oracle.reg_max(X.col(i))));
    const auto rounded =
        encode<float>(X, DenseDictionary(D), per_signal(regs.cast<double>()), {.method = Solver::lars, .penalty = paths.penalty});
    const Matrix<double> D_double = D.cast<double>(), X_double = X.cast<double>();
    const auto exact = encode<double>(X_double, DenseDictionary(D_double), per_signal(regs.cast<double>()),
                                      {.method = Solver::lars, .penalty = paths.penalty});
    for (Index i = 0; i < regs.size(); ++i) {
      const Vector<double> difference = rounded.codes.col(i).cast<double>() - exact.codes.col(i);
      EXPECT_LE((D_double * difference).norm(), 1e-5 * X_double.col(i).norm()) << paths.kind << ' ' << seed;
      EXPECT_LE(rounded.gap(i), 1e-5 * X_double.col(i).squaredNorm()) << paths.kind << ' ' << seed;
    }
  }
}

TEST(GramHomotopy, GivesTheSameBitsForAnyNumberOfThreads) {
  for (const int seed : {0, 2, 4, 5}) {
    const Paths paths = some_paths(seed);
    const Matrix<double> X = paths.X.replicate(1, 8);
    EncodeOptions options{.method = Solver::lars, .penalty = paths.penalty, .execution = {.n_threads = 1}};
    const auto one = encode<double>(X, DenseDictionary(paths.D), Reg::fraction_of_max(0.1), options);
    for (const int n_threads : {2, 3}) {
      options.execution.n_threads = n_threads;
      const auto more = encode<double>(X, DenseDictionary(paths.D), Reg::fraction_of_max(0.1), options);
      EXPECT_EQ(more.codes, one.codes) << paths.kind;
      EXPECT_EQ(more.gap, one.gap) << paths.kind;
      EXPECT_EQ(more.n_iter, one.n_iter) << paths.kind;
    }
  }
}

/// Single precision has a narrow range: signals, atoms and weights are in units of their own there.
TEST(GramHomotopy, IsToTheBitTheSameInOtherUnits) {
  for (const int seed : {0, 2, 6}) {
    const Paths paths = some_paths(seed);
    const EncodeOptions options{.method = Solver::lars, .penalty = paths.penalty};
    const auto expected = encode<double>(paths.X, DenseDictionary(paths.D), Reg::fraction_of_max(0.1), options);
    const auto large =
        encode<double>(Matrix<double>(paths.X * 0x1p200), DenseDictionary(paths.D), Reg::fraction_of_max(0.1), options);
    const auto fine =
        encode<double>(paths.X, DenseDictionary(Matrix<double>(paths.D * 0x1p-100)), Reg::fraction_of_max(0.1), options);
    EXPECT_EQ(large.codes, expected.codes * 0x1p200);
    EXPECT_EQ(large.n_iter, expected.n_iter);
    EXPECT_EQ(fine.codes, expected.codes * 0x1p100);
    EXPECT_EQ(fine.n_iter, expected.n_iter);
  }
}

template <class P>
class GramHomotopyIn : public ::testing::Test {};
TYPED_TEST_SUITE(GramHomotopyIn, BothPrecisions, PrecisionName);

/// What arrives is the solution, and with atoms in general position, or repeated ones, nearly all do.
TYPED_TEST(GramHomotopyIn, ArrivesByItself) {
  using P = TypeParam;
  for (const int kind : {0, 1, 2, 6}) {
    int n_paths = 0, n_arrived = 0;
    for (int seed = kind; seed < 280; seed += 7) {
      const Paths paths = some_paths(seed);
      const LassoOracle oracle = paths.oracle();
      Vector<double> weights = Vector<double>::Ones(paths.D.cols());
      for (std::size_t j = 0; j < paths.penalty.weights.size(); ++j) weights(static_cast<Index>(j)) = paths.penalty.weights[j];
      const PathGram gram(view_of(paths.D));
      GramHomotopy<P> path(gram, view_of(paths.D), weights, paths.penalty.positive);
      const Matrix<double> correlations = paths.D.transpose() * paths.X;
      for (Index i = 0; i < paths.X.cols(); ++i) {
        const Vector<double> x = paths.X.col(i);
        const double largest = oracle.reg_max(x), reg = 0.1 * largest;
        if (largest == 0) continue;
        ++n_paths;
        if (!path.template follow<double>(x, correlations.col(i), reg, 10'000)) continue;
        Vector<double> z(paths.D.cols());
        path.template write_code<double>(z);
        if (oracle.kkt_violation(x, z, reg) <= 1e-12 * largest) ++n_arrived;
      }
    }
    EXPECT_GE(n_arrived, 0.95 * n_paths) << some_paths(kind).kind << ": " << n_arrived << " of " << n_paths;
  }
}

TEST(GramHomotopy, EndsWhereMaxIterSays_AsTheExactPath) {
  const Paths paths = some_paths(0);
  const auto few =
      encode<double>(paths.X, DenseDictionary(paths.D), Reg::fraction_of_max(0.01), {.method = Solver::lars, .max_iter = 2});
  for (Index i = 0; i < paths.X.cols(); ++i) {
    EXPECT_LE(few.n_iter(i), 2);
    const Vector<double> x = paths.X.col(i);
    const auto path = lasso_path<double>(x, paths.D, {.max_knots = 3});
    if (path.codes.cols() == 3) {
      EXPECT_EQ(few.codes.col(i), path.codes.col(2));
    }
  }
}

}  // namespace
}  // namespace riata::testing
