#include "riata/linalg/sparse_columns.hpp"

#include <gtest/gtest.h>

#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

template <class T>
class SparseColumnsOf : public ::testing::Test {};
using Precisions = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SparseColumnsOf, Precisions);

TYPED_TEST(SparseColumnsOf, ProductsEqualTheDenseOnes) {
  using T = TypeParam;
  Draw draw(41);
  for (const Index n : {1, 5, 64, 67})
    for (const Index m : {1, 30, 257})
      for (const double share : {0.0, 0.1, 1.0}) {
        SparseColumns<T> columns(m, 13);
        for (const Index n_signals : {13, 4, 1}) {  // the workspace is used again
          const Matrix<T> Z = draw.sparse_matrix(m, n_signals, share).template cast<T>();
          const Matrix<T> A = draw.normal_matrix(n, m).template cast<T>(),
                          R = draw.normal_matrix(n, n_signals).template cast<T>();
          const double rounding = 1e3 * static_cast<double>(std::numeric_limits<T>::epsilon());
          columns.assign(Z);
          EXPECT_EQ(columns.count(), (Z.array() != 0).count());
          EXPECT_EQ(columns.sparse(), columns.count() <= 0.45 * static_cast<double>(Z.size()));

          Matrix<T> product = Matrix<T>::Constant(n, n_signals, 7);
          columns.multiply(A, product);
          EXPECT_LE((product - A * Z).cwiseAbs().maxCoeff(), rounding);

          const Matrix<T> start = draw.normal_matrix(n, m).template cast<T>();
          Matrix<T> outer = start;
          columns.add_outer(T(-0.5), R, outer);
          EXPECT_LE((outer - (start - T(0.5) * R * Z.transpose())).cwiseAbs().maxCoeff(), rounding);

          const Matrix<T> before = draw.normal_matrix(m, n_signals).template cast<T>();
          Matrix<T> H = before;
          columns.subtract_adjoint(T(0.3), A, R, H);
          const Matrix<T> all = before - T(0.3) * A.transpose() * R;
          EXPECT_LE((H - (Z.array() != 0).select(all, before)).cwiseAbs().maxCoeff(), rounding);
        }
      }
}

}  // namespace
}  // namespace riata::testing
