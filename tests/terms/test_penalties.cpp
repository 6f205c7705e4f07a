// Elastic net, group and l0: prox against its definition, values, pulls.
#include <gtest/gtest.h>

#include "riata/terms/penalty.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

constexpr Index code_size = 6;
const std::vector<std::int64_t> groups = {5, 2, 5, 9, 2, 5};

const PenaltyOptions weighted_group{.weights = {0.5, 2, 3}, .kind = PenaltyKind::group, .groups = groups},  // of labels 2, 5, 9
    positive_group{.positive = true, .weights = {0.5, 2, 3}, .kind = PenaltyKind::group, .groups = groups};

PenaltyOptions options_of(PenaltyKind kind) {
  PenaltyOptions options{.kind = kind};
  if (kind == PenaltyKind::group) options.groups = groups;
  if (kind == PenaltyKind::elastic_net) {
    options.l1_ratio = 0.25;
    options.weights = {1, 2, 0.5, 1, 1, 3};
  }
  return options;
}

/// g from its definition.
double penalty_of(const Eigen::VectorXd& z, const PenaltyOptions& options) {
  double sum = 0;
  if (options.positive && z.minCoeff() < 0) return INFINITY;
  for (Index j = 0; j < code_size; ++j) {
    if (options.kind == PenaltyKind::l0) sum += z(j) != 0;
    if (options.kind == PenaltyKind::elastic_net)
      sum += 0.25 * options.weights[static_cast<std::size_t>(j)] * std::abs(z(j)) + 0.375 * z(j) * z(j);
  }
  if (options.kind == PenaltyKind::group) {
    const std::vector<double> w = options.weights.empty() ? std::vector<double>(3, 1) : options.weights;
    sum = w[1] * Eigen::Vector3d(z(0), z(2), z(5)).norm() + w[0] * Eigen::Vector2d(z(1), z(4)).norm() + w[2] * std::abs(z(3));
  }
  return sum;
}

template <class T>
class OtherPenalties : public ::testing::Test {
 protected:
  /// visit(penalty, its options) for each.
  template <class Visit>
  static void for_each(const Visit& visit) {
    const DenseDictionary<T> D(Matrix<T>(Draw(1).atoms(4, code_size).template cast<T>()));
    for (const PenaltyOptions& options : {options_of(PenaltyKind::elastic_net), options_of(PenaltyKind::group), weighted_group,
                                          positive_group, options_of(PenaltyKind::l0)})
      with_penalty<T>(options, D, [&](const auto& penalty) { visit(penalty, options); });
  }
};
TYPED_TEST_SUITE(OtherPenalties, BothPrecisions, PrecisionName);

TYPED_TEST(OtherPenalties, ValueIsItsDefinition) {
  using T = TypeParam;
  const Vector<T> drawn = Draw(2).sparse_matrix(code_size, 1, 0.6).template cast<T>();
  this->for_each([&](const auto& penalty, const PenaltyOptions& options) {
    const Vector<T> z = options.positive ? Vector<T>(drawn.cwiseAbs()) : drawn;
    EXPECT_NEAR(penalty.value(z), penalty_of(z.template cast<double>(), options), 1e-14) << to_string(options.kind);
  });
}

TYPED_TEST(OtherPenalties, ProxIsBelowEveryOtherPoint) {
  using T = TypeParam;
  Draw draw(3);
  this->for_each([&](const auto& penalty, const PenaltyOptions& options) {
    for (int trial = 0; trial < 50; ++trial) {
      const double threshold = draw.log_uniform(0.01, 2);
      Matrix<T> U = draw.normal_matrix(code_size, 1).template cast<T>();
      const Eigen::VectorXd v = U.template cast<double>();
      penalty.prox(U, Vector<T>::Constant(1, static_cast<T>(threshold)));
      const Eigen::VectorXd u = U.template cast<double>();
      const auto objective = [&](const Eigen::VectorXd& point) {
        return 0.5 * (point - v).squaredNorm() + threshold * penalty_of(point, options);
      };
      for (int k = 0; k < 200; ++k) {
        Eigen::VectorXd other = k % 2 == 0 ? draw.normal_vector(code_size) : (u + 0.01 * draw.normal_vector(code_size)).eval();
        for (Index j = 0; j < code_size; ++j)
          if (draw.coin(0.3)) other(j) = 0;
        EXPECT_LE(objective(u), objective(other) + 20 * epsilon<T>) << to_string(options.kind);
      }
      // Beside the prox along each axis and along itself: the optimum is a stationary point.
      for (const double h : {1e-3, -1e-3}) {
        EXPECT_LE(objective(u), objective((1 + h) * u) + 20 * epsilon<T>) << to_string(options.kind);
        for (Index j = 0; j < code_size; ++j)
          EXPECT_LE(objective(u), objective(u + h * Eigen::VectorXd::Unit(code_size, j)) + 20 * epsilon<T>);
      }
    }
  });
}

static_assert(DifferentiablePenalty<L1<float>> && DifferentiablePenalty<GroupL1<float>> && DifferentiablePenalty<L0<float>>);

/// Of prox, at thresholds theta_j rho_i, and of g, by differences.
template <class P>
void expect_derivatives(const P& penalty, const Matrix<double>& theta, const char* what) {
  Draw draw(6);
  constexpr Index n = 5;
  constexpr double step = 1e-6;
  const Matrix<double> V = draw.normal_matrix(code_size, n), y = draw.normal_matrix(code_size, n);
  const Vector<double> rho{{0.1, 0.3, 0.6, 1.0, 1.4}};
  const auto paired = [&](const Matrix<double>& at, const Vector<double>& r, const Matrix<double>& t) {
    Matrix<double> U = at;
    penalty.prox(U, Thresholds<double>(r, &t));
    return U.cwiseProduct(y).sum();
  };
  Matrix<double> Z = V, h = y, theta_cotangent = Matrix<double>::Zero(theta.rows(), 1);
  Vector<double> rho_cotangent(n);
  penalty.prox(Z, Thresholds<double>(rho, &theta));
  penalty.prox_vjp(Z, Thresholds<double>(rho, &theta), h, {.rho = {rho_cotangent.data(), n}, .theta = &theta_cotangent});
  const auto expect = [&](double found, const auto& at) {
    EXPECT_NEAR(found, (at(step) - at(-step)) / (2 * step), 2e-8) << what;
  };
  for (Index i = 0; i < n; ++i) {
    expect(rho_cotangent(i), [&](double s) { return paired(V, rho + s * Vector<double>::Unit(n, i), theta); });
    for (Index j = 0; j < code_size; ++j)
      expect(h(j, i), [&](double s) {
        Matrix<double> at = V;
        at(j, i) += s;
        return paired(at, rho, theta);
      });
  }
  for (Index j = 0; j < theta.rows(); ++j)
    expect(theta_cotangent(j), [&](double s) { return paired(V, rho, theta + s * Vector<double>::Unit(theta.rows(), j)); });

  Matrix<double> slope = y;
  penalty.add_subgradient(V, rho, slope);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < code_size; ++j)
      expect(slope(j, i) - y(j, i),
             [&](double s) { return rho(i) * penalty.value(V.col(i) + s * Vector<double>::Unit(code_size, j)); });
}

TEST(PenaltyDerivatives, EqualDifferences) {
  const Matrix<double> number = Matrix<double>::Constant(1, 1, 0.8), each = Vector<double>{{0.8, 0.4, 1.2, 0.1, 0.9, 0.5}};
  PenaltyOptions positive = options_of(PenaltyKind::elastic_net);
  positive.positive = true;
  const PenaltyOptions weighted{.weights = positive.weights}, uniform_net{.kind = PenaltyKind::elastic_net, .l1_ratio = 0.6};
  for (const Matrix<double>& theta : {number, each}) {
    expect_derivatives(L1<double>({}, code_size), theta, "l1");
    expect_derivatives(L1<double>(weighted, code_size), theta, "l1, weighted");
    expect_derivatives(L1<double>(options_of(PenaltyKind::elastic_net), code_size), theta, "elastic net, weighted");
    expect_derivatives(L1<double>(uniform_net, code_size), theta, "elastic net");
    expect_derivatives(L1<double>(positive, code_size), theta, "elastic net, positive");
  }
  expect_derivatives(GroupL1<double>(options_of(PenaltyKind::group), code_size), number, "group");
  expect_derivatives(GroupL1<double>(weighted_group, code_size), number, "group, weighted");
  expect_derivatives(GroupL1<double>(positive_group, code_size), number, "group, positive");
  const Matrix<double> negative = Matrix<double>::Constant(1, 1, -0.3);  // training may pass zero
  for (const PenaltyOptions& options : {PenaltyOptions{}, weighted, uniform_net, options_of(PenaltyKind::elastic_net)})
    expect_derivatives(L1<double>(options, code_size), negative, "a negative threshold");
  expect_derivatives(GroupL1<double>(options_of(PenaltyKind::group), code_size), negative, "group, a negative threshold");
}

TEST(PenaltyDerivatives, OfTheHardThresholdAreThoseOfWhatItKeeps) {
  const Matrix<double> Z = Vector<double>{{3, -3, 0, 0, 0, 0}};
  Matrix<double> h = Vector<double>{{1, 2, 3, 4, 5, 6}};
  double rho = 7;
  L0<double>(options_of(PenaltyKind::l0), code_size, 1.0).prox_vjp(Z, Vector<double>::Constant(1, 2.0), h, {.rho = {&rho, 1}});
  EXPECT_EQ(h, (Vector<double>{{1, 2, 0, 0, 0, 0}}));
  EXPECT_EQ(rho, 0);
}

TYPED_TEST(OtherPenalties, NanStaysNan) {
  using T = TypeParam;
  this->for_each([&](const auto& penalty, const PenaltyOptions& options) {
    if (options.kind == PenaltyKind::l0) return;  // |NaN| exceeds nothing and is exceeded by nothing
    for (const T threshold : {T(0.5), T(-0.5)}) {
      Matrix<T> V = Matrix<T>::Ones(code_size, 1);
      V(0, 0) = std::numeric_limits<T>::quiet_NaN();
      penalty.prox(V, Vector<T>::Constant(1, threshold));
      EXPECT_TRUE(std::isnan(V(0, 0))) << to_string(options.kind) << threshold;
    }
  });
}

TYPED_TEST(OtherPenalties, ScalarProxOfTheElasticNetIsThatOfTheTile) {
  using T = TypeParam;
  const L1<T> penalty(options_of(PenaltyKind::elastic_net), code_size);
  Matrix<T> U = Draw(4).normal_matrix(code_size, 1).template cast<T>();
  const Matrix<T> V = U;
  penalty.prox(U, Vector<T>::Constant(1, T(0.7)));
  for (Index j = 0; j < code_size; ++j) EXPECT_EQ(penalty.prox(V(j, 0), T(0.7), j), U(j, 0));
}

TYPED_TEST(OtherPenalties, HardThresholdKeepsWhatExceedsIt) {
  using T = TypeParam;
  const L0<T> penalty(options_of(PenaltyKind::l0), code_size, 1.0);
  Matrix<T> U = Vector<T>{{T(3), T(-3), T(2), T(-2), T(1), T(0)}};
  penalty.prox(U, Vector<T>::Constant(1, T(2)));  // sqrt(2 * 2) = 2
  EXPECT_EQ(U, (Vector<T>{{T(3), T(-3), T(0), T(0), T(0), T(0)}}));
}

TYPED_TEST(OtherPenalties, GroupPullsAreTheirClosedForms) {
  using T = TypeParam;
  const GroupL1<T> penalty(options_of(PenaltyKind::group), code_size);
  const Eigen::VectorXd c{{3, 1, 0, -4.5, 1, 4}};  // norms: {0, 2, 5}: 5, {1, 4}: sqrt 2, {3}: 4.5
  EXPECT_DOUBLE_EQ(penalty.largest_pull(code_size, c.data()), 5);
  std::vector<Index> pulled;
  penalty.for_each_pulled(code_size, c.data(), 4.6, [&](Index j) { pulled.push_back(j); });
  EXPECT_EQ(pulled, (std::vector<Index>{0, 2, 5}));
  EXPECT_DOUBLE_EQ(penalty.largest_pull_above(code_size, c.data(), 4.6, [](Index) { return 1.0; }), std::sqrt(3.0));
  EXPECT_DOUBLE_EQ(GroupL1<T>(weighted_group, code_size).largest_pull(code_size, c.data()), std::sqrt(2.0) / 0.5);
  const Eigen::VectorXd negative{{3, -1, 0, -9, -1, 4}};  // positive parts: 5, 0, 0
  EXPECT_DOUBLE_EQ(GroupL1<T>(positive_group, code_size).largest_pull(code_size, negative.data()), 5.0 / 2);
}

}  // namespace
}  // namespace riata::testing
