#include "riata/linalg/blas.hpp"

#include <cblas.h>
#include <gtest/gtest.h>
#include <omp.h>

#include "riata/core/threads.hpp"
#include "riata/linalg/gram_matrix.hpp"
#include "support/precision.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

template <class T>
class Products : public ::testing::Test {
 protected:
  static Matrix<T> random(Index rows, Index cols) { return draw_.normal_matrix(rows, cols).template cast<T>(); }

  /// max |A - B|, both computed from entries of size one and `n_terms` terms.
  static void expect_near(const Matrix<T>& A, const Eigen::MatrixXd& exact, Index n_terms) {
    ASSERT_EQ(A.rows(), exact.rows());
    ASSERT_EQ(A.cols(), exact.cols());
    if (A.size() == 0) return;
    const double error = (A.template cast<double>() - exact).cwiseAbs().maxCoeff();
    EXPECT_LE(error, rounding<T>(static_cast<double>(n_terms), 4 + 4 * static_cast<double>(n_terms)));
  }

  static inline Draw draw_{11};
};
TYPED_TEST_SUITE(Products, BothPrecisions, PrecisionName);

constexpr Index sides[] = {0, 1, 2, 7, 33};

TYPED_TEST(Products, EqualThoseOfTheirDefinition) {
  using T = TypeParam;
  for (const Index n : sides)
    for (const Index k : sides)
      for (const Index m : sides) {
        const Matrix<T> A = this->random(n, k), B = this->random(k, m), C = this->random(m, k);
        Matrix<T> out = Matrix<T>::Constant(n, m, T(NAN));
        multiply<T>(A, B, out);
        this->expect_near(out, A.template cast<double>() * B.template cast<double>(), k);
        const Matrix<T> At = A.transpose();
        out.setConstant(T(NAN));
        multiply_transposed<T>(At, B, out);
        this->expect_near(out, A.template cast<double>() * B.template cast<double>(), k);
        const Matrix<T> start = this->random(n, m);
        out = start;
        add_outer<T>(T(-0.5), A, C, out);
        this->expect_near(
            out, start.template cast<double>() - 0.5 * A.template cast<double>() * C.transpose().template cast<double>(), k);
      }
}

TYPED_TEST(Products, GoOverManyColumnsBlockByBlock) {
  using T = TypeParam;
  const Matrix<T> A = this->random(33, 40), B = this->random(40, 1601);
  Matrix<T> out = Matrix<T>::Constant(33, 1601, T(NAN));
  multiply<T>(A, B, out);
  this->expect_near(out, A.template cast<double>() * B.template cast<double>(), 40);
  out.setConstant(T(NAN));
  multiply_transposed<T>(Matrix<T>(A.transpose()), B, out);
  this->expect_near(out, A.template cast<double>() * B.template cast<double>(), 40);
}

TYPED_TEST(Products, ReadAndWriteBlocksOfColumns) {
  using T = TypeParam;
  const Matrix<T> A = this->random(9, 12), B = this->random(8, 10);
  Matrix<T> out = Matrix<T>::Constant(11, 7, T(5));
  multiply<T>(A.block(1, 2, 6, 4), B.block(3, 1, 4, 5), out.block(2, 1, 6, 5));
  this->expect_near(out.block(2, 1, 6, 5),
                    A.block(1, 2, 6, 4).template cast<double>() * B.block(3, 1, 4, 5).template cast<double>(), 4);
  out.block(2, 1, 6, 5).setConstant(T(5));
  EXPECT_EQ(out, Matrix<T>::Constant(11, 7, T(5)));  // nothing beside the block was written
}

TYPED_TEST(Products, LeaveTheCallersThreadsAsTheyWere) {
  using T = TypeParam;
  const int threads = omp_get_max_threads(), blas_threads = openblas_get_num_threads();
  omp_set_num_threads(3);
  const Matrix<T> A = this->random(300, 300);
  Matrix<T> out(300, 300);
  multiply<T>(A, A, out);
  multiply_transposed<T>(A, A, out);
  add_outer<T>(T(1), A, A, out);
  EXPECT_EQ(omp_get_max_threads(), 3);
  EXPECT_EQ(openblas_get_num_threads(), blas_threads);  // of the pthread build, too
  omp_set_num_threads(threads);
}

TEST(Blas, GivesBackThePoolOfThePthreadBuild_AlsoAfterProductsSideBySide) {
  if (openblas_get_parallel() != OPENBLAS_THREAD) GTEST_SKIP() << "not the pthread build of OpenBLAS";
  const int before = openblas_get_num_threads();
  openblas_set_num_threads(3);
  const Matrix<double> A = Matrix<double>::Ones(60, 60);
  parallel_for(500, {.n_threads = 4}, [&](Index, int) {
    Matrix<double> out(60, 60);
    multiply<double>(A, A, out);
  });
  EXPECT_EQ(openblas_get_num_threads(), 3);
  openblas_set_num_threads(before);
}

TYPED_TEST(Products, GramMatrixIsThatOfItsDefinition_Symmetric_ForAnyNumberOfThreads) {
  using T = TypeParam;
  for (const Index m : {1, 2, 127, 128, 300}) {
    const Matrix<T> A = this->random(20, m);
    Matrix<T> G = Matrix<T>::Constant(m, m, T(NAN)), by_three = G;
    gram_matrix<T>(A, G, {.n_threads = 1});
    gram_matrix<T>(A, by_three, {.n_threads = 3});
    this->expect_near(G, A.template cast<double>().transpose() * A.template cast<double>(), 20);
    EXPECT_EQ(G, G.transpose());
    EXPECT_EQ(G, by_three);
  }
}

}  // namespace
}  // namespace riata::testing
