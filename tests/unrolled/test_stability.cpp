#include "riata/unrolled/stability.hpp"

#include <gtest/gtest.h>

#include "riata/solvers/implicit.hpp"
#include "riata/unrolled/jacobian.hpp"
#include "support/long.hpp"
#include "support/random_arrays.hpp"
#include "support/unrolled_oracle.hpp"

namespace riata::testing {
namespace {

struct Planted {
  Eigen::MatrixXd D, X;
};

/// The setting of Malezieux, Moreau and Kowalski (2022), appendix A.1, at another size.
Planted draw_planted(std::uint64_t seed, Index n_features, Index n_atoms, Index n_signals) {
  Draw draw(seed);
  const Eigen::MatrixXd truth = draw.atoms(n_features, n_atoms);
  const Eigen::MatrixXd noise = draw.normal_matrix(n_features, n_signals);
  Planted problem;
  problem.X = truth * draw.sparse_matrix(n_atoms, n_signals, 0.3) + 0.1 * noise;
  const double deviation = std::sqrt(truth.squaredNorm() / static_cast<double>(truth.size()));
  problem.D = truth + 0.5 * deviation * draw.normal_matrix(n_features, n_atoms);
  return problem;
}

TEST(UnrolledStability, WithAllDirections_IsTheErrorOfTheJacobians) {
  const auto [D, X] = draw_planted(6000, 6, 9, 4);
  const StabilityOptions options{
      .network = {.n_layers = 40, .algorithm = Layers::ista}, .directions = std::nullopt, .tol = 1e-15, .return_errors = true};
  for (const Layers method : {Layers::ista, Layers::fista}) {
    StabilityOptions now = options;
    now.network.algorithm = method;
    const UnrolledStability result = unrolled_stability<double>(X, D, 0.1, now);
    for (Index i = 0; i < 4; ++i) {
      for (const int k : {1, 2, 7, 40}) {
        double error = 0, scale = 0;
        for (Index row = 0; row < 6; ++row) {
          const Eigen::MatrixXd limit = implicit_jacobian<double>(X.col(i), D, 0.1, row, {.tol = 1e-15});
          error += (code_jacobian<double>(X.col(i), D, 0.1, row, {.n_layers = k, .algorithm = method}) - limit).norm();
          scale += limit.norm();
        }
        EXPECT_NEAR(result.errors(k, i), error / scale, 1e-9 * (1 + error / scale)) << "layer " << k;
      }
      EXPECT_EQ(result.errors(0, i), 1);
      EXPECT_EQ(result.growth(i), result.errors.col(i).tail(31).maxCoeff());
    }
  }
}

TEST(UnrolledStability, SafeBackprop_IsWhereTheGrowthOfTheTruncatedRecursionCrosses) {
  const Planted planted = draw_planted(6001, 10, 16, 60);
  const Eigen::MatrixXd &D = planted.D, &X = planted.X;
  const int N = 200;
  const auto result = unrolled_stability<double>(
      X, D, 0.1, {.network = {.n_layers = N, .algorithm = Layers::ista}, .directions = std::nullopt, .tol = 1e-15});
  int n_unstable = 0;
  for (Index i = 0; i < 60; ++i) {
    EXPECT_EQ(result.unstable(i), result.growth(i) > 1.1);
    if (!result.unstable(i)) {
      EXPECT_EQ(result.safe_backprop(i), N);
      continue;
    }
    ++n_unstable;
    const auto growth_of = [&](int K) {  // layers N - K + 1, ..., N of which the first ten of the network do not count
      double largest = 0, scale = 0;
      std::vector<double> error(static_cast<std::size_t>(K + 1), 0.0);
      for (Index row = 0; row < 10; ++row) {
        const Eigen::MatrixXd limit = implicit_jacobian<double>(X.col(i), D, 0.1, row, {.tol = 1e-15});
        scale += limit.norm();
        for (int k = std::max(10 - (N - K), 0); k <= K; ++k)
          error[static_cast<std::size_t>(k)] +=
              (code_jacobian<double>(X.col(i), D, 0.1, row, {.n_layers = N - K + k, .algorithm = Layers::ista}, k) - limit)
                  .norm();
      }
      for (const double e : error) largest = std::max(largest, e / scale);
      return largest;
    };
    if (n_unstable > 2) continue;
    EXPECT_LE(growth_of(result.safe_backprop(i)), 1.1 + 1e-9);
    EXPECT_GT(growth_of(result.safe_backprop(i) + 1), 1.1 - 1e-9);
  }
  EXPECT_GT(n_unstable, 0);
}

TEST(UnrolledStability, RandomDirections_AgreeWithAllOfThem) {
  const Index n_signals = is_long() ? 25 : 12;
  int both = 0, predicted = 0, true_ones = 0;
  for (std::uint64_t seed = 6100; seed < (is_long() ? 6104 : 6102); ++seed) {
    const auto [D, X] = draw_planted(seed, 30, 50, n_signals);
    for (const double factor : {1.0, 0.9}) {
      StabilityOptions options{.network = {.n_layers = 300, .algorithm = Layers::ista}};
      options.network.lipschitz = factor * lipschitz_of(D);
      const auto estimate = unrolled_stability<double>(X, D, 0.1, options);
      options.directions = std::nullopt;
      const auto truth = unrolled_stability<double>(X, D, 0.1, options);
      for (Index i = 0; i < n_signals; ++i) {
        const double growth = truth.growth(i);
        if (growth > 1.05 && growth < 1.15) continue;
        both += estimate.unstable(i) && truth.unstable(i);
        predicted += estimate.unstable(i);
        true_ones += truth.unstable(i);
      }
    }
  }
  EXPECT_GE(true_ones, 3);
  EXPECT_GE(both, 0.8 * predicted) << both << " of " << predicted << " predicted";
  EXPECT_GE(both, 0.8 * true_ones) << both << " of " << true_ones << " true";
}

TEST(UnrolledStability, EndsEarlyOnlyWhereNothingCanChangeAnyMore) {
  for (const Layers method : {Layers::ista, Layers::fista}) {
    const auto [D, X] = draw_planted(6004, 30, 50, 40);
    StabilityOptions options{.network = {.n_layers = 400, .algorithm = method}};
    const auto quick = unrolled_stability<double>(X, D, 0.1, options);
    options.return_errors = true;  // goes through all layers
    const auto whole = unrolled_stability<double>(X, D, 0.1, options);
    EXPECT_EQ(quick.unstable, whole.unstable);
    for (Index i = 0; i < 40; ++i)
      if (whole.growth(i) > 1) {
        EXPECT_EQ(quick.growth(i), whole.growth(i));
      }
  }
}

TEST(UnrolledStability, DependsNeitherOnTheThreadsNorOnTheBatch) {
  const Planted planted = draw_planted(6002, 20, 30, 20);
  const Eigen::MatrixXd &D = planted.D, &X = planted.X;
  const auto run = [&](const Eigen::MatrixXd& signals, int n_threads) {
    return unrolled_stability<double>(
        signals, D, 0.1, {.network = {.n_layers = 100, .algorithm = Layers::ista, .execution = {.n_threads = n_threads}}});
  };
  const auto one = run(X, 1);
  for (const int n_threads : {2, 3}) {
    EXPECT_EQ(run(X, n_threads).growth, one.growth);
    EXPECT_EQ(run(X, n_threads).safe_backprop, one.safe_backprop);
  }
  EXPECT_NEAR(run(X.col(7), 1).growth(0), one.growth(7), 1e-6 * one.growth(7));  // the exact codes differ in rounding
}

TEST(UnrolledStability, ZeroCodesAreStable_AndDivergingOnesAreNot) {
  const auto [D, X] = draw_planted(6003, 20, 30, 5);
  const StabilityOptions options{.network = {.n_layers = 50, .algorithm = Layers::ista}};
  const auto zero = unrolled_stability<double>(X, D, Reg::fraction_of_max(1.01), options);
  EXPECT_TRUE((zero.growth.array() == 1).all());
  EXPECT_TRUE((zero.safe_backprop.array() == 50).all());
  StabilityOptions diverging = options;
  diverging.network.n_layers = 3000;
  diverging.network.lipschitz = 0.2;
  const auto result = unrolled_stability<double>(X, D, 0.1, diverging);
  for (Index i = 0; i < 5; ++i) EXPECT_TRUE(result.unstable(i)) << result.growth(i);
}

}  // namespace
}  // namespace riata::testing
