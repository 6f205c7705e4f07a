// Batches with a mask or weights, held against the same signals solved one by one with their rows scaled by the weights' roots
// (for a mask: removed). What is hidden may be anything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/convolution.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

constexpr Index n = 20, m = 35, n_signals = 140;  // more than one tile

enum class Kind { mask, weights };

/// Signals with NaN where nothing was seen.
class Masks : public ::testing::TestWithParam<Kind> {
 protected:
  Masks() {
    for (double& w : W_.reshaped()) {
      w = draw_.coin(0.3) ? 0 : GetParam() == Kind::mask ? 1 : draw_.uniform(0.1, 1);
    }
    W_.col(3).setZero();  // a signal of which nothing is known
    X_ = (W_.array() == 0).select(std::numeric_limits<double>::quiet_NaN(), X_);
  }

  struct Alone {
    Matrix<double> x, D;
  };
  /// Signal i by itself: of a mask the rows that were seen, of weights all, scaled.
  Alone alone(Index i) const {
    std::vector<Index> rows;
    for (Index t = 0; t < n; ++t)
      if (W_(t, i) > 0) rows.push_back(t);
    if (rows.empty()) return {Matrix<double>::Zero(1, 1), Matrix<double>::Zero(1, m)};
    const Vector<double> root = W_.col(i)(rows).cwiseSqrt();
    return {root.cwiseProduct(X_.col(i)(rows)), root.asDiagonal() * D_(rows, Eigen::all)};
  }

  Draw draw_{314};
  Matrix<double> D_ = draw_.atoms(n, m), X_ = draw_.normal_matrix(n, n_signals), W_ = Matrix<double>(n, n_signals);
};

std::vector<PenaltyOptions> penalties() {
  std::vector<std::int64_t> groups;
  for (Index j = 0; j < m; ++j) groups.push_back(j / 5);
  return {{},
          {.positive = true},
          {.kind = PenaltyKind::elastic_net, .l1_ratio = 0.6},
          {.kind = PenaltyKind::group, .groups = groups}};
}

TEST_P(Masks, HaveTheCertificatesOfTheRowsThatWereSeen) {
  const Matrix<double> Z = (draw_.normal_matrix(m, n_signals).array().max(1) - 1).matrix();
  for (const PenaltyOptions& penalty : penalties()) {
    const auto found = lasso_certificate({X_, W_}, DenseDictionary(D_), Z, 0.1, penalty);
    const auto violations = kkt_violation({X_, W_}, DenseDictionary(D_), Z, 0.1, penalty);
    const auto most = reg_max({X_, W_}, DenseDictionary(D_), penalty);
    for (Index i = 0; i < n_signals; ++i) {
      const auto [x, D] = alone(i);
      const auto expected = lasso_certificate(x, DenseDictionary(D), Z.col(i), 0.1, penalty);
      EXPECT_NEAR(found.objective(i), expected.objective(0), 1e-12 * (1 + expected.objective(0)));
      EXPECT_NEAR(found.gap(i), expected.gap(0), 1e-10 * (1 + expected.gap(0)));
      EXPECT_NEAR(violations(i), kkt_violation(x, DenseDictionary(D), Z.col(i), 0.1, penalty)(0), 1e-11);
      EXPECT_NEAR(most(i), reg_max(x, DenseDictionary(D), penalty)(0), 1e-12);
    }
  }
}

TEST_P(Masks, AreCodedToTheGapOfTheRowsThatWereSeen) {
  for (const PenaltyOptions& penalty : penalties())
    for (const Solver method : {Solver::automatic, Solver::ista, Solver::fista, Solver::backtracking})
      for (const Restart restart : {Restart::gradient, Restart::objective}) {
        const EncodeOptions options{.method = method, .tol = 1e-6, .max_iter = 300000, .restart = restart, .penalty = penalty};
        const auto found = encode({X_, W_}, DenseDictionary(D_), 0.1, options);
        for (Index i = 0; i < n_signals; ++i) {
          const auto [x, D] = alone(i);
          EXPECT_EQ(found.status[static_cast<std::size_t>(i)], Status::converged);
          const double gap = duality_gap(x, DenseDictionary(D), found.codes.col(i), 0.1, penalty)(0);
          EXPECT_LE(gap, 1.001e-6 * 0.5 * x.squaredNorm() + 1e-15) << to_string(method) << ", signal " << i;
          EXPECT_NEAR(found.gap(i), gap, 1e-12) << to_string(method) << ", signal " << i;
        }
      }
}

TEST_P(Masks, GiveZeroAtTheirLargestReg) {
  const Vector<double> most = reg_max({X_, W_}, DenseDictionary(D_));
  const Reg reg(std::vector<double>(most.begin(), most.end()));
  EXPECT_TRUE(encode({X_, W_}, DenseDictionary(D_), reg).codes.isZero(0));
}

TEST_P(Masks, HaveTheDerivativesOfTheRowsThatWereSeen) {
  Matrix<double> target = draw_.normal_matrix(n, n_signals);
  target = (W_.array() == 0).select(std::numeric_limits<double>::quiet_NaN(), target);
  const double lipschitz = DenseDictionary(D_).squared_norm();
  for (const Layers method : {Layers::ista, Layers::fista})
    for (const OptionalMatrixRef<double>& aim : {OptionalMatrixRef<double>(), OptionalMatrixRef<double>(target)})
      for (const int backprop : {0, 3, 8}) {
        const UnrolledOptions options{.n_layers = 8, .algorithm = method, .lipschitz = lipschitz};
        const GradientOptions wanted{.backprop = backprop, .reduction = Reduction::sum, .signals = true};
        const auto found = unrolled_gradient({X_, W_}, DenseDictionary(D_), 0.1, options, wanted, aim);
        double value = 0, reg = 0;
        Matrix<double> gradient = Matrix<double>::Zero(n, m);
        Vector<double> steps = Vector<double>::Zero(8);
        for (Index i = 0; i < n_signals; ++i) {
          const Vector<double> root = W_.col(i).cwiseSqrt();
          const auto scaled = [&](const Matrix<double>& A) -> Matrix<double> {
            return root.cwiseProduct((root.array() == 0).select(0.0, A.col(i)));
          };
          const Matrix<double> x = scaled(X_), aim_i = scaled(target);
          const auto one = unrolled_gradient(x, DenseDictionary<double>(root.asDiagonal() * D_), 0.1, options, wanted,
                                             aim ? OptionalMatrixRef<double>(aim_i) : std::nullopt);
          value += one.value;
          reg += one.reg(0);
          gradient += root.asDiagonal() * one.parameters.at("dictionary");
          steps += one.steps;
          EXPECT_LE((found.codes.col(i) - one.codes).norm(), 1e-12 * (1 + one.codes.norm()));
          EXPECT_LE((found.signals.col(i) - root.cwiseProduct(one.signals.col(0))).norm(), 1e-12);
        }
        EXPECT_NEAR(found.value, value, 1e-12 * value);
        EXPECT_NEAR(found.reg(0), reg, 1e-10 * std::abs(reg));
        EXPECT_LE((found.parameters.at("dictionary") - gradient).norm(), 1e-11 * gradient.norm());
        EXPECT_LE((found.steps - steps).norm(), 1e-11 * (1 + steps.norm()));
      }
}

TEST_P(Masks, SuitADictionaryThatIsNoMatrix) {
  const Convolution<double> D(draw_.atoms(4, 3), n);
  const DenseDictionary<double> A(D.dense());
  const auto own = encode({X_, W_}, D, 0.1, {.tol = 1e-9});
  const Vector<double> gap = duality_gap({X_, W_}, A, own.codes, 0.1);
  EXPECT_LE((gap - own.gap).cwiseAbs().maxCoeff(), 1e-11);
  EXPECT_TRUE(std::ranges::all_of(own.status, [](Status s) { return s == Status::converged; }));
  const auto g = unrolled_gradient({X_, W_}, D, 0.1), dense = unrolled_gradient({X_, W_}, A, 0.1);
  EXPECT_LE((g.parameters.at("kernels") - D.kernels_gradient(dense.parameters.at("dictionary"))).norm(), 1e-12);
}

TEST_P(Masks, DoNotDependOnTheUnitOfTheSignals) {
  for (const int k : {-100, 100}) {
    const auto base = encode({X_, W_}, DenseDictionary(D_), 0.125);
    const auto scaled = encode({Matrix<double>(std::ldexp(1.0, k) * X_), W_}, DenseDictionary(D_), std::ldexp(0.125, k));
    EXPECT_TRUE(scaled.codes == std::ldexp(1.0, k) * base.codes);
    EXPECT_TRUE(scaled.n_iter == base.n_iter);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, Masks, ::testing::Values(Kind::mask, Kind::weights),
                         [](const auto& kind) { return kind.param == Kind::mask ? "zerosAndOnes" : "weights"; });

TEST(MaskRefusals, SayWhatIsWrong) {
  Draw draw(2);
  const DenseDictionary D(Matrix<double>(draw.atoms(4, 6)));
  const Matrix<double> X = draw.normal_matrix(4, 2), ones = Matrix<double>::Ones(4, 2);
  Matrix<double> heavy = ones, negative = ones, nan = ones;
  heavy(2, 1) = 1.5;
  negative(0, 0) = -1;
  nan(0, 0) = std::numeric_limits<double>::quiet_NaN();
  const auto refusal = [&](const Matrix<double>& W, Solver method = Solver::fista) {
    return refusal_of([&] { encode({X, W}, D, 0.1, {.method = method}); });
  };
  EXPECT_EQ(refusal(Matrix<double>::Ones(3, 2)), "encode: mask has shape (2, 3), expected the signals' (2, 4)");
  EXPECT_THAT(refusal(heavy), ::testing::StartsWith("encode: mask holds 1.5 at signal 1, feature 2; must be between 0 and 1"));
  EXPECT_THAT(refusal(negative), ::testing::StartsWith("encode: mask holds -1 at signal 0, feature 0"));
  EXPECT_THAT(refusal(nan), ::testing::StartsWith("encode: mask holds nan at signal 0, feature 0"));
  for (const Solver method : {Solver::coordinate_descent, Solver::oista, Solver::lars})
    EXPECT_EQ(refusal(ones, method),
              std::string("method = '") + to_string(method) + "' takes no mask; choose one of 'ista', 'fista', 'backtracking'");
  Matrix<double> unseen = X;
  unseen(1, 1) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(refusal_of([&] { encode({unseen, ones}, D, 0.1); }), ::testing::StartsWith("encode: X holds nan"));
}

TEST(MaskOfOnes, ChangesNothing) {
  Draw draw(3);
  const DenseDictionary D(Matrix<double>(draw.atoms(20, 30)));
  const Matrix<double> X = draw.normal_matrix(20, 50), ones = Matrix<double>::Ones(20, 50);
  const auto with = encode({X, ones}, D, 0.1, {.method = Solver::fista}), without = encode(X, D, 0.1, {.method = Solver::fista});
  EXPECT_TRUE(with.codes == without.codes && with.gap == without.gap);
}

}  // namespace
}  // namespace riata::testing
