// A dictionary that the library does not know, a convolution by direct sums, in every place that takes any. Held against the
// matrix that is the same map: single evaluations to rounding, gradients pulled back, runs by their certificates.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/unrolled/unrolled.hpp"
#include "support/convolution.hpp"
#include "support/lasso_oracle.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

std::vector<std::int64_t> blocks_of_four(Index n_atoms) {
  std::vector<std::int64_t> groups;
  for (Index j = 0; j < n_atoms; ++j) groups.push_back(j / 4);
  return groups;
}

template <class T>
class AnyDictionary : public ::testing::Test {
 protected:
  Draw draw_{4711};
  Convolution<T> D_{Matrix<T>(draw_.atoms(5, 3).template cast<T>()), 24};
  DenseDictionary<T> A_{D_.dense()};
  Matrix<T> X_ = draw_.normal_matrix(24, 150).template cast<T>();  // more than one tile
  double tol_ = std::same_as<T, float> ? 1e-5 : 1e-12;
  std::vector<PenaltyOptions> penalties_ = {{},
                                            {.positive = true},
                                            {.kind = PenaltyKind::elastic_net, .l1_ratio = 0.7},
                                            {.kind = PenaltyKind::group, .groups = blocks_of_four(D_.code_size())}};
};
TYPED_TEST_SUITE(AnyDictionary, BothPrecisions, PrecisionName);

TYPED_TEST(AnyDictionary, HasTheCertificatesOfItsMatrix) {
  using T = TypeParam;
  const Matrix<T> Z = (this->draw_.normal_matrix(this->D_.code_size(), 150).array().max(1) - 1).matrix().template cast<T>();
  for (const PenaltyOptions& penalty : this->penalties_) {
    const auto own = lasso_certificate<T>(this->X_, this->D_, Z, 0.3, penalty),
               dense = lasso_certificate<T>(this->X_, this->A_, Z, 0.3, penalty);
    EXPECT_LE((own.objective - dense.objective).norm(), 1e-12 * dense.objective.norm());
    EXPECT_LE((own.gap - dense.gap).norm(), 1e-12 * dense.gap.norm());
    const Vector<T> most = reg_max<T>(this->X_, this->D_, penalty), expected = reg_max<T>(this->X_, this->A_, penalty);
    EXPECT_LE((most - expected).norm(), 2 * epsilon<T> * expected.norm());
    EXPECT_LE(
        (kkt_violation<T>(this->X_, this->D_, Z, 0.3, penalty) - kkt_violation<T>(this->X_, this->A_, Z, 0.3, penalty)).norm(),
        1e-10);
  }
}

TYPED_TEST(AnyDictionary, IsCodedToACertifiedGap) {
  using T = TypeParam;
  for (const PenaltyOptions& penalty : this->penalties_)
    for (const Solver method : {Solver::automatic, Solver::ista, Solver::fista, Solver::backtracking}) {
      const EncodeOptions options{.method = method, .tol = 1e-6, .penalty = penalty};
      const auto found = encode<T>(this->X_, this->D_, Reg::fraction_of_max(0.3), options);
      const Vector<double> gap = duality_gap<T>(this->X_, this->A_, found.codes, Reg::fraction_of_max(0.3), penalty);
      for (Index i = 0; i < 150; ++i) {
        EXPECT_EQ(found.status[static_cast<std::size_t>(i)], Status::converged);
        EXPECT_LE(gap(i), 1.01e-6 * 0.5 * this->X_.col(i).template cast<double>().squaredNorm()) << to_string(method);
      }
      EXPECT_EQ(found.method, method == Solver::automatic ? Solver::fista : method);
    }
}

TYPED_TEST(AnyDictionary, GivesZeroAtItsLargestReg) {
  using T = TypeParam;
  const Vector<T> most = reg_max<T>(this->X_, this->D_);
  const Reg reg(std::vector<double>(most.begin(), most.end()));
  EXPECT_TRUE(encode<T>(this->X_, this->D_, reg).codes.isZero(0));
  EXPECT_EQ(encode<T>(this->X_, this->D_, Reg::fraction_of_max(0.99)).codes.isZero(0), false);
}

TYPED_TEST(AnyDictionary, HasItsMatrixsDerivatives_PulledBack) {
  using T = TypeParam;
  for (const Layers method : {Layers::ista, Layers::fista})
    for (const int backprop : {0, 4, 10}) {
      const UnrolledOptions options{.n_layers = 10, .algorithm = method};
      const GradientOptions wanted{.backprop = backprop, .signals = true, .usage = true};
      const auto own = unrolled_gradient<T>(this->X_, this->D_, 0.2, options, wanted),
                 dense = unrolled_gradient<T>(this->X_, this->A_, 0.2, options, wanted);
      const auto expect_near = [&](const auto& found, const auto& expected, const char* what) {
        EXPECT_LE((found - expected).norm(), this->tol_ * (1 + expected.norm())) << what << ", " << backprop << " layers kept";
      };
      EXPECT_NEAR(own.value, dense.value, this->tol_ * dense.value);
      ASSERT_EQ(own.parameters.size(), 1);
      expect_near(own.parameters.at("kernels"), this->D_.kernels_gradient(dense.parameters.at("dictionary")), "kernels");
      expect_near(own.codes, dense.codes, "codes");
      expect_near(own.steps, dense.steps, "steps");
      expect_near(own.reg, dense.reg, "reg");
      expect_near(own.signals, dense.signals, "signals");
      expect_near(own.usage, dense.usage, "usage");
      expect_near(unrolled_encode<T>(this->X_, this->D_, 0.2, options), dense.codes, "encoded");
      const auto vjp = unrolled_vjp<T>(this->X_, this->D_, 0.2, dense.codes, options, backprop);
      expect_near(vjp.parameters.at("kernels"),
                  this->D_.kernels_gradient(
                      unrolled_vjp<T>(this->X_, this->A_, 0.2, dense.codes, options, backprop).parameters.at("dictionary")),
                  "vjp");
    }
}

TYPED_TEST(AnyDictionary, HasTheSameBits_WhateverTheNumberOfThreads) {
  using T = TypeParam;
  const auto one = unrolled_gradient<T>(this->X_, this->D_, 0.2, {.execution = {.n_threads = 1}});
  for (const int n_threads : {2, 3}) {
    EXPECT_TRUE(unrolled_gradient<T>(this->X_, this->D_, 0.2, {.execution = {.n_threads = n_threads}}).parameters ==
                one.parameters);
    EXPECT_TRUE(encode<T>(this->X_, this->D_, 0.2, {.execution = {.n_threads = n_threads}}).codes ==
                encode<T>(this->X_, this->D_, 0.2, {.execution = {.n_threads = 1}}).codes);
  }
}

TYPED_TEST(AnyDictionary, IsRefusedByWhatNeedsAMatrix) {
  for (const Solver method : {Solver::coordinate_descent, Solver::oista, Solver::lars})
    EXPECT_THAT(refusal_of([&] { encode<TypeParam>(this->X_, this->D_, 0.2, {.method = method}); }),
                ::testing::StartsWith(std::string("method = '") + to_string(method) + "' needs a dictionary that is a matrix"));
}

TYPED_TEST(AnyDictionary, IsRefusedWhereItsSizeWouldNeedAUnit) {
  using T = TypeParam;
  const T size = std::same_as<T, float> ? T(1e20) : T(1e100);
  for (const T scale : {size, 1 / size}) {
    const Convolution<T> D(scale * this->D_.parameters().at("kernels"), 24);
    const auto refused = ::testing::StartsWith("dictionary: its norm is");
    EXPECT_THAT(refusal_of([&] { encode<T>(this->X_, D, 0.2); }), refused);
    EXPECT_THAT(refusal_of([&] { unrolled_gradient<T>(this->X_, D, 0.2); }), refused);
  }
}

}  // namespace
}  // namespace riata::testing
