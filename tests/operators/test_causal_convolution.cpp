#include "riata/operators/causal_convolution.hpp"

#include <gtest/gtest.h>

#include "support/decompositions.hpp"
#include "support/random_arrays.hpp"
#include "support/sentences.hpp"

namespace riata::testing {
namespace {

/// x_t = sum_l h_l u_{t - l}, as it is written.
Matrix<double> toeplitz(const Vector<double>& h, Index n) {
  Matrix<double> A = Matrix<double>::Zero(n, n);
  for (Index t = 0; t < n; ++t)
    for (Index l = 0; l <= t && l < h.size(); ++l) A(t, t - l) = h(l);
  return A;
}

TEST(CausalConvolution, IsItsMatrix_AndTheAdjointItsTranspose) {
  Draw draw(7101);
  for (const Index length : {1, 3, 20, 35}) {
    const Vector<double> h = draw.normal_vector(length);
    const CausalConvolution<double> A(h, 20);
    const Matrix<double> M = toeplitz(h, 20), Z = draw.normal_matrix(20, 4);
    Matrix<double> X(20, 4);
    A.apply(Z, X);
    EXPECT_LE((X - M * Z).cwiseAbs().maxCoeff(), 1e-13) << length;
    A.adjoint(Z, X);
    EXPECT_LE((X - M.transpose() * Z).cwiseAbs().maxCoeff(), 1e-13) << length;
    const double norm = largest_singular_value(M);
    EXPECT_GE(A.squared_norm(), norm * norm) << length;
    EXPECT_LE(A.squared_norm(), 1.05 * std::pow(h.cwiseAbs().sum(), 2)) << length;
  }
}

TEST(CausalConvolution, NormIsThatOfLongSignals) {
  Draw draw(7102);
  const Vector<double> h = draw.normal_vector(5);
  const double norm = largest_singular_value(toeplitz(h, 150));
  EXPECT_NEAR(CausalConvolution<double>(h, 150).squared_norm() / (norm * norm), 1.025, 0.03);
}

TEST(CausalConvolution, BadKernelsAreRefused) {
  EXPECT_EQ(refusal_of([] { CausalConvolution<double>(Vector<double>(0), 5); }),
            "kernel: 0 entries for signals of 5 samples; expected at least one of both");
  EXPECT_EQ(refusal_of([] { CausalConvolution<double>(Vector<double>::Constant(2, std::nan("")), 5); }),
            "operator: the kernel holds nan at entry 0; expected finite numbers");
}

}  // namespace
}  // namespace riata::testing
