#include "riata/linalg/norms.hpp"

#include <gtest/gtest.h>

#include "support/decompositions.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

template <class T>
class SpectralNorm : public ::testing::Test {};
TYPED_TEST_SUITE(SpectralNorm, BothPrecisions, PrecisionName);

TYPED_TEST(SpectralNorm, EqualsTheLargestSingularValueSquared) {
  using T = TypeParam;
  Draw draw(31);
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 1}, {1, 9}, {9, 1}, {5, 40}, {40, 5}, {64, 64}}) {
    const Matrix<T> A = draw.normal_matrix(n, m).template cast<T>();
    const double sigma = largest_singular_value(A.template cast<double>());
    EXPECT_NEAR(spectral_norm_squared(A), sigma * sigma, 1e-13 * sigma * sigma) << n << " x " << m;
  }
}

TYPED_TEST(SpectralNorm, StandsRankDeficiencyZerosAndExtremeSizes) {
  using T = TypeParam;
  Draw draw(32);
  const Eigen::VectorXd u = draw.normal_vector(30), v = draw.normal_vector(20);
  const Matrix<T> rank_one = (u * v.transpose()).cast<T>();
  const double expected = u.squaredNorm() * v.squaredNorm();
  EXPECT_NEAR(spectral_norm_squared(rank_one), expected, 10 * epsilon<T> * expected);
  const double tiny = spectral_norm_squared(Matrix<T>(rank_one * T(1e-15)));
  EXPECT_NEAR(tiny, 1e-30 * expected, 10 * epsilon<T> * 1e-30 * expected);
  EXPECT_EQ(spectral_norm_squared(Matrix<T>(Matrix<T>::Zero(4, 6))), 0);
  EXPECT_EQ(spectral_norm_squared(Matrix<T>(0, 6)), 0);
  EXPECT_EQ(frobenius_norm_of_gram(Matrix<T>(0, 6)), 0);
}

TYPED_TEST(SpectralNorm, IsAtMostTheFrobeniusNormOfTheGramMatrix) {
  using T = TypeParam;
  Draw draw(33);
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 7}, {12, 30}, {30, 12}}) {
    const Matrix<T> A = draw.normal_matrix(n, m).template cast<T>();
    const Eigen::MatrixXd A_double = A.template cast<double>();
    const double frobenius = (A_double.transpose() * A_double).norm();
    EXPECT_NEAR(frobenius_norm_of_gram(A), frobenius, 1e-13 * frobenius);
    EXPECT_LE(spectral_norm_squared(A), frobenius * (1 + 1e-14));
  }
}

TEST(SpectralNormOfLargeMatrices, IsBoundedFromAbove_ByAtMostAnEighth) {
  // Beyond side 2000 eigenvalues are not computed. All singular values equal is the bound's worst case.
  const Index n = 2001;
  const Matrix<float> A = 3.0F * Matrix<float>::Identity(n, n);
  const double bound = spectral_norm_squared(A);
  EXPECT_GE(bound, 9.0);
  EXPECT_LE(bound, 9.0 * 1.13);
}

TEST(ColumnNorms, HoldWhereSquaresLeaveTheRange_AndWhereverTheColumnsLie) {
  const Index n = 37;
  const Matrix<double> A = Draw(9).normal_matrix(n, 5);
  const Vector<double> expected = A.colwise().norm();
  for (const double scale : {1.0, 1e-170, 1e170, 1e-300}) {
    const Vector<double> norms = column_norms<double>(Matrix<double>(scale * A));
    for (Index j = 0; j < 5; ++j) EXPECT_NEAR(norms(j) / scale, expected(j), 1e-14 * expected(j));
  }
  EXPECT_EQ(column_norms<float>(Matrix<float>::Zero(n, 2)), Vector<double>::Zero(2));
  Matrix<float> lone = Matrix<float>::Zero(n, 1);
  lone(3) = NAN;
  EXPECT_TRUE(std::isnan(column_norms<float>(lone)(0)));
  lone(3) = INFINITY;
  EXPECT_FALSE(std::isfinite(column_norms<float>(lone)(0)));
  std::vector<double> memory(static_cast<std::size_t>(n) + 8);
  for (std::size_t offset = 0; offset < 8; ++offset) {
    std::copy_n(A.data(), n, memory.data() + offset);
    EXPECT_EQ(column_norms<double>(MatrixView<double>(memory.data() + offset, n, 1))(0), column_norms<double>(A)(0));
  }
}

}  // namespace
}  // namespace riata::testing
