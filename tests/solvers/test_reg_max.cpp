// At reg_max and above every code is exactly zero, whatever batch the signal comes in.
#include <gtest/gtest.h>

#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "support/lasso_oracle.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

constexpr Solver rescaled_methods[] = {Solver::ista, Solver::fista, Solver::coordinate_descent};

template <class T>
class RegMax : public ::testing::Test {
 protected:
  void SetUp() override {
    Draw draw(91);
    X_ = draw.normal_matrix(50, 200).template cast<T>();
    X_.col(7).setZero();
    D_ = draw.atoms(50, 120).template cast<T>();
    for (Index j = 0; j < 60; ++j) D_.col(2 * j + 1) *= static_cast<T>(draw.log_uniform(0.5, 2));
    D_.col(11) = -D_.col(10);  // a tie for the largest correlation
    const std::vector<double> weights = draw.weights(120);
    penalties_ = {{.positive = false, .weights = {}},
                  {.positive = true, .weights = {}},
                  {.positive = false, .weights = weights},
                  {.positive = true, .weights = weights}};
  }

  EncodeResult<T> solve(const Matrix<T>& X, const Reg& reg, Solver method, const PenaltyOptions& penalty) const {
    return encode<T>(X, DenseDictionary(D_), reg,
                     {.method = method, .tol = 0, .max_iter = 30, .penalty = penalty, .execution = {}});
  }
  static Reg as_reg(const Vector<T>& values) { return Reg(std::vector<double>(values.data(), values.data() + values.size())); }

  Matrix<T> X_, D_;
  std::vector<PenaltyOptions> penalties_;
};
TYPED_TEST_SUITE(RegMax, BothPrecisions, PrecisionName);

TYPED_TEST(RegMax, HasTheSameBits_WhateverTheBatch) {
  using T = TypeParam;
  for (const PenaltyOptions& penalty : this->penalties_) {
    const Vector<T> all = reg_max<T>(this->X_, DenseDictionary(this->D_), penalty);
    for (const Index size : {1, 3, 128, 199})
      for (Index first = 0; first + size <= 200; first += size) {
        const Vector<T> some = reg_max<T>(this->X_.middleCols(first, size), DenseDictionary(this->D_), penalty);
        EXPECT_TRUE(some == all.segment(first, size)) << "batch of " << size << " from " << first;
      }
  }
}

TYPED_TEST(RegMax, HasTheSameBits_WhateverTheRoundingOfTheProductThatFoundTheAtom) {
  using T = TypeParam;
  Draw draw(92);
  for (const PenaltyOptions& penalty : this->penalties_) {
    const L1<T> l1(penalty, 120);
    const DenseDictionary<T> D(this->D_);
    const SignalRegMax<L1<T>> signal_reg_max(D, nullptr, l1);
    const Vector<T> all = reg_max<T>(this->X_, DenseDictionary(this->D_), penalty);
    for (Index i = 0; i < 200; ++i) {
      Vector<T> correlations = this->D_.transpose() * this->X_.col(i);
      for (T& c : correlations) c *= static_cast<T>(1 + 4 * epsilon<T> * draw.normal());
      EXPECT_EQ(signal_reg_max(this->X_.col(i), correlations), all(i)) << "signal " << i;
    }
  }
}

TEST(RegMaxOfLargeNumbers, IsSummedInDouble_WhereAProductInFloatOverflows) {
  Matrix<float> D(2, 2), X(2, 1);
  D << 2e19F, 1e18F, -1.5e19F, 0;
  X << 3e19F, 3e19F;
  EXPECT_NEAR(static_cast<double>(reg_max<float>(X, DenseDictionary(D))(0)) / 1.5e38, 1, 1e-6);
}

TYPED_TEST(RegMax, GivesExactlyZeroCodes_WithEveryMethodAndBatch) {
  using T = TypeParam;
  for (const PenaltyOptions& penalty : this->penalties_) {
    const Vector<T> all = reg_max<T>(this->X_, DenseDictionary(this->D_), penalty);
    for (const Solver method : rescaled_methods) {
      for (const Index size : {1, 3, 128, 200})
        for (Index first = 0; first + size <= 200; first += size) {
          const Matrix<T> X = this->X_.middleCols(first, size);
          const auto result = this->solve(X, this->as_reg(all.segment(first, size)), method, penalty);
          EXPECT_TRUE(result.codes.isZero(0)) << "batch of " << size << " from " << first;
          for (const Status status : result.status)  // at tol = 0 the gap of a zero code is only zero up to rounding
            EXPECT_TRUE(status == Status::converged || status == Status::max_iter_reached);
        }
      const auto fraction = this->solve(this->X_, Reg::fraction_of_max(1), method, penalty);
      EXPECT_TRUE(fraction.codes.isZero(0));
    }
  }
}

TYPED_TEST(RegMax, GivesExactlyZeroCodes_AboveTheTrueMaximum_AndOthersBelow) {
  using T = TypeParam;
  for (const PenaltyOptions& penalty : this->penalties_) {
    const LassoOracle oracle(this->D_, penalty.weights, penalty.positive);
    Vector<T> above(200), below(200);
    for (Index i = 0; i < 200; ++i) {
      const double largest = oracle.reg_max(this->X_.col(i));
      above(i) = static_cast<T>(largest * (1 + 8 * epsilon<T>));
      below(i) = static_cast<T>(largest * 0.99);
    }
    for (const Solver method : rescaled_methods) {
      EXPECT_TRUE(this->solve(this->X_, this->as_reg(above), method, penalty).codes.isZero(0));
      const auto result = this->solve(this->X_, this->as_reg(below), method, penalty);
      for (Index i = 0; i < 200; ++i) EXPECT_EQ(result.codes.col(i).isZero(0), this->X_.col(i).isZero(0)) << i;
    }
  }
}

TYPED_TEST(RegMax, IgnoresTheStart_WhereZeroIsTheSolution) {
  using T = TypeParam;
  const Matrix<T> init = Matrix<T>::Ones(120, 200);
  const auto result = encode<T>(this->X_, DenseDictionary(this->D_), Reg::fraction_of_max(1.0), {}, init);
  EXPECT_TRUE(result.codes.isZero(0));
  EXPECT_TRUE((result.n_iter.array() == 0).all());
}

TYPED_TEST(RegMax, ResolvesAFractionPerSignal_AndForTheBatch) {
  using T = TypeParam;
  const Vector<T> all = reg_max<T>(this->X_, DenseDictionary(this->D_));
  EXPECT_TRUE(resolve_reg<T>(Reg::fraction_of_max(0.5), this->X_, DenseDictionary(this->D_), {}, {}) == (all * T(0.5)).eval());
  EXPECT_TRUE(resolve_reg<T>(0.25, this->X_, DenseDictionary(this->D_), {}, {}) == Vector<T>::Constant(200, T(0.25)));
  EXPECT_EQ(resolve_batch_reg<T>(Reg::fraction_of_max(0.5), this->X_, DenseDictionary(this->D_), {}, {}),
            0.5 * static_cast<double>(all.maxCoeff()));
  EXPECT_EQ(resolve_batch_reg<T>(0.25, this->X_, DenseDictionary(this->D_), {}, {}), 0.25);
}

}  // namespace
}  // namespace riata::testing
