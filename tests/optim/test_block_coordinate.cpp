// Block coordinate descent on statistics: no step of one atom over the sphere lowers the residual further than its own.
#include "riata/optim/block_coordinate.hpp"

#include <gtest/gtest.h>

#include "support/precision.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

template <class T>
class BlockCoordinateDescent : public ::testing::Test {
 protected:
  Matrix<T> step(const Matrix<T>& D) {
    const Parameters<T> start{{"dictionary", D}};
    const std::set<std::string> moves{"dictionary"};
    BlockCoordinate<T> update(options_);
    const auto outcome =
        answered<T, Outcome<T>>(update.step({.parameters = start, .moves = moves}), [&](const Question<T>& question) {
          EXPECT_TRUE(question.statistics && question.at.at("dictionary") == D);
          return Sums<T>{.value = 3, .statistics = {{"A", Z_ * Z_.transpose()}, {"B", X_ * Z_.transpose()}}};
        });
    EXPECT_TRUE(outcome.moved && outcome.value == 3 && !outcome.ends_phase);
    return outcome.parameters.at("dictionary");
  }
  double residual(const Matrix<T>& D) const { return (X_ - D * Z_).template cast<double>().squaredNorm(); }

  BlockCoordinateOptions options_;
  Draw draw_{5};
  Matrix<T> Z_ = draw_.sparse_matrix(8, 60, 0.4).template cast<T>();
  Matrix<T> X_ = draw_.normal_matrix(5, 60).template cast<T>();
  Matrix<T> D_ = draw_.normal_matrix(5, 8).colwise().normalized().template cast<T>();
};
TYPED_TEST_SUITE(BlockCoordinateDescent, BothPrecisions, PrecisionName);

TYPED_TEST(BlockCoordinateDescent, LowersTheResidual_ToWhereNoAtomAloneLowersIt) {
  using T = TypeParam;
  Matrix<T> D = this->D_;
  double value = this->residual(D);
  for (int k = 0; k < 60; ++k) {
    D = this->step(D);
    EXPECT_LE((D.colwise().norm().array() - 1).abs().maxCoeff(), T(1e-6));
    EXPECT_LE(this->residual(D), value * (1 + 1e-6));
    value = this->residual(D);
  }
  EXPECT_LT(value, 0.9 * this->residual(this->D_));
  for (Index j = 0; j < D.cols(); ++j)
    for (int k = 0; k < 50; ++k) {
      Matrix<T> other = D;
      other.col(j) = (D.col(j).template cast<double>() + this->draw_.log_uniform(0.01, 1) * this->draw_.normal_vector(5))
                         .normalized()
                         .template cast<T>();
      EXPECT_GE(this->residual(other), value * (1 - 1e-5));
    }
}

TYPED_TEST(BlockCoordinateDescent, KeepsAtomsFromFallingBelowZero_WhereNoNonNegativeAtomIsBetter) {
  using T = TypeParam;
  this->options_.constraint = Constraint::non_negative;
  this->Z_ = this->Z_.cwiseAbs().eval();  // else some are best at zero, and stay
  this->X_ = this->X_.cwiseAbs().eval();
  Matrix<T> D = this->D_.cwiseAbs();
  double value = this->residual(D);
  for (int k = 0; k < 60; ++k) {
    D = this->step(D);
    EXPECT_GE(D.minCoeff(), T(0));
    EXPECT_LE(D.colwise().norm().maxCoeff(), T(1 + 1e-6));
    EXPECT_LE(this->residual(D), value * (1 + 1e-6));
    value = this->residual(D);
  }
  for (Index j = 0; j < D.cols(); ++j)
    for (int k = 0; k < 50; ++k) {
      Matrix<T> other = D;
      other.col(j) += (this->draw_.log_uniform(0.01, 1) * this->draw_.normal_vector(5)).template cast<T>();
      project_atoms(other, Constraint::non_negative);
      EXPECT_GE(this->residual(other), value * (1 - 1e-5));
    }
}

TYPED_TEST(BlockCoordinateDescent, LeavesAtomsWithoutACode) {
  this->Z_.row(2).setZero();
  const Matrix<TypeParam> D = this->step(this->D_);
  EXPECT_EQ(D.col(2), this->D_.col(2));
  EXPECT_GT((D.col(1) - this->D_.col(1)).norm(), 1e-3);
}

}  // namespace
}  // namespace riata::testing
