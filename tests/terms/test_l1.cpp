#include "riata/terms/l1.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

constexpr Index n_atoms = 6;

/// The four penalties: two-sided or non-negative, with equal or unequal weights.
std::vector<PenaltyOptions> all_penalties() {
  Draw draw(51);
  const std::vector<double> weights = draw.weights(n_atoms);
  return {{.positive = false, .weights = {}},
          {.positive = true, .weights = {}},
          {.positive = false, .weights = weights},
          {.positive = true, .weights = weights}};
}

std::string describe(const PenaltyOptions& options) {
  return std::string(options.positive ? "non-negative" : "two-sided") + (options.weights.empty() ? "" : ", weighted");
}

double weight_of(const PenaltyOptions& options, Index j) {
  return options.weights.empty() ? 1 : options.weights[static_cast<std::size_t>(j)];
}

/// reg_g(u) = threshold w |u|, infinite where it must not be.
double penalty_of(const PenaltyOptions& options, double u, double threshold, Index j) {
  if (options.positive && u < 0) return std::numeric_limits<double>::infinity();
  return threshold * weight_of(options, j) * std::abs(u);
}

template <class T>
class L1Penalty : public ::testing::Test {
 protected:
  /// Every column of V through the prox.
  static Matrix<T> prox(const L1<T>& penalty, const Matrix<T>& V, const Vector<T>& thresholds) {
    Matrix<T> U = V;
    penalty.prox(U, thresholds);
    return U;
  }
};
TYPED_TEST_SUITE(L1Penalty, BothPrecisions, PrecisionName);

TYPED_TEST(L1Penalty, ValueIsTheWeightedSumOfMagnitudes) {
  using T = TypeParam;
  Draw draw(52);
  for (const PenaltyOptions& options : all_penalties()) {
    Vector<T> z = draw.normal_vector(n_atoms).cast<T>();
    if (options.positive) z = z.cwiseAbs();
    double expected = 0;
    for (Index j = 0; j < n_atoms; ++j) expected += penalty_of(options, static_cast<double>(z(j)), 1, j);
    EXPECT_NEAR(L1<T>(options, n_atoms).value(z), expected, 1e-14 * expected) << describe(options);
  }
}

TYPED_TEST(L1Penalty, ProxBeatsAGridAndRandomPoints) {
  using T = TypeParam;
  Draw draw(53);
  for (const PenaltyOptions& options : all_penalties()) {
    const L1<T> penalty(options, n_atoms);
    const Matrix<T> V = (2 * draw.normal_matrix(n_atoms, 5)).template cast<T>();
    Vector<T> thresholds(5);
    thresholds << T(0), T(0.1), T(0.5), T(1), T(100);
    const Matrix<T> U = this->prox(penalty, V, thresholds);
    for (Index i = 0; i < V.cols(); ++i)
      for (Index j = 0; j < n_atoms; ++j) {
        const auto v = static_cast<double>(V(j, i)), u = static_cast<double>(U(j, i));
        const auto threshold = static_cast<double>(thresholds(i));
        const auto objective = [&](double at) { return 0.5 * (at - v) * (at - v) + penalty_of(options, at, threshold, j); };
        const double best = objective(u), slack = 8 * epsilon<T> * (1 + v * v);
        for (double at = -6; at <= 6; at += 0.01) EXPECT_LE(best, objective(at) + slack) << describe(options);
        for (int k = 0; k < 100; ++k) EXPECT_LE(best, objective(u + 1e-3 * draw.normal()) + slack);
        EXPECT_EQ(penalty.prox(V(j, i), thresholds(i), j), U(j, i));  // one coordinate and whole columns agree
      }
  }
}

TYPED_TEST(L1Penalty, ProxIsFirmlyNonexpansive) {
  using T = TypeParam;
  Draw draw(54);
  for (const PenaltyOptions& options : all_penalties()) {
    const L1<T> penalty(options, n_atoms);
    const Matrix<T> A = draw.normal_matrix(n_atoms, 200).template cast<T>(),
                    B = draw.normal_matrix(n_atoms, 200).template cast<T>();
    const Vector<T> thresholds = Vector<T>::Constant(200, T(0.4));
    const Eigen::MatrixXd p = (this->prox(penalty, A, thresholds) - this->prox(penalty, B, thresholds)).template cast<double>();
    const Eigen::MatrixXd d = (A - B).template cast<double>();
    for (Index i = 0; i < 200; ++i)
      EXPECT_LE(p.col(i).squaredNorm(), p.col(i).dot(d.col(i)) + 8 * epsilon<T> * d.col(i).squaredNorm()) << describe(options);
  }
}

TYPED_TEST(L1Penalty, ProxWithThresholdZeroIsTheIdentityOrTheProjection) {
  using T = TypeParam;
  Draw draw(55);
  const Matrix<T> V = draw.normal_matrix(n_atoms, 3).template cast<T>();
  for (const PenaltyOptions& options : all_penalties())
    EXPECT_EQ(this->prox(L1<T>(options, n_atoms), V, Vector<T>::Zero(3)), options.positive ? Matrix<T>(V.cwiseMax(T(0))) : V)
        << describe(options);
}

TEST(L1PenaltyDerivatives, EqualFiniteDifferencesOfTheProx_AwayFromKinks) {
  Draw draw(56);
  for (const PenaltyOptions& options : all_penalties()) {
    const L1<double> penalty(options, n_atoms);
    Matrix<double> V = draw.normal_matrix(n_atoms, 4);
    Vector<double> thresholds(4);
    thresholds << 0.2, 0.5, 0.7, 1.1;
    for (Index i = 0; i < 4; ++i)  // step aside from the kink
      for (Index j = 0; j < n_atoms; ++j)
        if (std::abs(std::abs(V(j, i)) - thresholds(i) * weight_of(options, j)) < 1e-3) V(j, i) += 0.01;
    const Matrix<double> cotangent = draw.normal_matrix(n_atoms, 4);
    const auto paired = [&](Index i, const Matrix<double>& at, const Vector<double>& t) {
      Matrix<double> U = at;
      penalty.prox(U, t);
      return U.col(i).dot(cotangent.col(i));
    };
    Matrix<double> Z = V, h = cotangent;
    penalty.prox(Z, thresholds);
    Vector<double> threshold_cotangents(4);
    penalty.prox_vjp(Z, thresholds, h, {.rho = {threshold_cotangents.data(), 4}});
    const double step = 1e-6;
    for (Index i = 0; i < 4; ++i) {
      Vector<double> above = thresholds, below = thresholds;
      above(i) += step;
      below(i) -= step;
      EXPECT_NEAR(threshold_cotangents(i), (paired(i, V, above) - paired(i, V, below)) / (2 * step), 1e-8) << describe(options);
      for (Index j = 0; j < n_atoms; ++j) {
        Matrix<double> up = V, down = V;
        up(j, i) += step;
        down(j, i) -= step;
        EXPECT_NEAR(h(j, i), (paired(i, up, thresholds) - paired(i, down, thresholds)) / (2 * step), 1e-8) << describe(options);
      }
    }
  }
}

TYPED_TEST(L1Penalty, SubgradientIsTheSign_AndZeroAtZero) {
  using T = TypeParam;
  for (const PenaltyOptions& options : all_penalties()) {
    Matrix<T> Z(n_atoms, 2), cotangents = Matrix<T>::Ones(n_atoms, 2);
    Z << 1, 0, 0, 2, T(-0.0), 0, 3, 0, 0, 5, 0, 1;
    if (!options.positive) Z(0, 0) = T(-1);
    Vector<T> scales(2);
    scales << T(0.5), T(2);
    L1<T>(options, n_atoms).add_subgradient(Z, scales, cotangents);
    for (Index i = 0; i < 2; ++i)
      for (Index j = 0; j < n_atoms; ++j) {
        const int sign = (Z(j, i) > T(0)) - (Z(j, i) < T(0));
        EXPECT_EQ(cotangents(j, i), T(1) + T(sign) * scales(i) * static_cast<T>(weight_of(options, j)));
      }
  }
}

TYPED_TEST(L1Penalty, LargestPullAndDistanceHaveTheirClosedForms) {
  using T = TypeParam;
  Draw draw(57);
  for (const PenaltyOptions& options : all_penalties()) {
    const L1<T> penalty(options, n_atoms);
    const Eigen::VectorXd c = draw.normal_vector(n_atoms);
    double largest = 0;
    for (Index j = 0; j < n_atoms; ++j)
      largest = std::max(largest, (options.positive ? c(j) : std::abs(c(j))) / weight_of(options, j));
    EXPECT_NEAR(penalty.largest_pull(n_atoms, c.data()), largest, 1e-15) << describe(options);
    for (Index j = 0; j < n_atoms; ++j) {
      const double bound = 0.7 * weight_of(options, j);
      const double outside = std::max(0.0, (options.positive ? c(j) : std::abs(c(j))) - bound);
      EXPECT_NEAR(penalty.subgradient_distance(0, c(j), 0.7, j), outside, 1e-15);
      EXPECT_NEAR(penalty.subgradient_distance(2, c(j), 0.7, j), std::abs(c(j) - bound), 1e-15);
      EXPECT_NEAR(penalty.subgradient_distance(2, bound, 0.7, j), 0, 1e-15);
      const double below_zero = penalty.subgradient_distance(-2, c(j), 0.7, j);
      if (options.positive) {
        EXPECT_EQ(below_zero, INFINITY);
      } else {
        EXPECT_NEAR(below_zero, std::abs(c(j) + bound), 1e-15);
      }
    }
  }
  // Nothing pulls a non-negative code up: zero is optimal at any reg.
  const L1<T> positive({.positive = true, .weights = {}}, 2);
  EXPECT_EQ(positive.largest_pull(2, Eigen::Vector2d(-3, -1).data()), 0);
}

TYPED_TEST(L1Penalty, CountsTheAtomsThatItVisits) {
  using T = TypeParam;
  const Vector<T> c{{T(3), T(-0.5), T(0), T(-4.5), T(1), T(0.75)}};
  std::vector<PenaltyOptions> penalties = all_penalties();
  penalties.push_back({.kind = PenaltyKind::elastic_net, .l1_ratio = 0.25});
  penalties.push_back({.positive = true, .kind = PenaltyKind::elastic_net, .l1_ratio = 0.25});
  for (const PenaltyOptions& options : penalties)
    for (const T least : {T(0.1), T(0.6), T(1.1), T(4), T(20)}) {
      const L1<T> penalty(options, n_atoms);
      Index visited = 0;
      penalty.for_each_pulled(n_atoms, c.data(), least, [&](Index) { ++visited; });
      EXPECT_EQ(penalty.count_pulled(n_atoms, c.data(), least), visited) << describe(options) << ", above " << least;
    }
}

TYPED_TEST(L1Penalty, RefusesWeightsThatDoNotFit) {
  using T = TypeParam;
  const auto make = [](std::vector<double> weights) { return [weights] { L1<T>({.positive = false, .weights = weights}, 3); }; };
  const BadInput table[] = {
      {"weights: 2 entries for 3 atoms; they must be equal", make({1, 1})},
      {"weights: entry 1 is 0, must be > 0 and finite", make({1, 0, 1})},
      {"weights: entry 2 is -1, must be > 0 and finite", make({1, 1, -1})},
      {"weights: entry 0 is nan, must be > 0 and finite", make({NAN, 1, 1})},
      {"weights: entry 0 is inf, must be > 0 and finite", make({INFINITY, 1, 1})},
  };
  for (const BadInput& row : table) EXPECT_EQ(refusal_of(row.call), row.sentence);
}

TYPED_TEST(L1Penalty, ProxAtANegativeThreshold_PushesAwayFromZero) {
  using T = TypeParam;  // what a negative step factor asks for: sign(v) (|v| + |threshold| w)
  for (const std::vector<double>& weights : {std::vector<double>{}, std::vector<double>{1, 1, 1}}) {
    const L1<T> penalty({.positive = false, .weights = weights}, 3);
    const Matrix<T> U = this->prox(penalty, Vector<T>{{T(0.25), T(-2), T(0)}}, Vector<T>::Constant(1, T(-1)));
    EXPECT_EQ(U, (Vector<T>{{T(1.25), T(-3), T(0)}}));
  }
}

}  // namespace
}  // namespace riata::testing
