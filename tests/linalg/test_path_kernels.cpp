// The kernels of the homotopy on the Gram matrix against plain loops, for every instruction set that this processor has.
#include "riata/linalg/path_kernels.hpp"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <limits>
#include <vector>

#include "riata/core/types.hpp"
#include "support/instruction_sets.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

template <class T>
class PathKernelsOf : public ::testing::Test {};
using PathPrecisions = ::testing::Types<float, double>;
TYPED_TEST_SUITE(PathKernelsOf, PathPrecisions);

TYPED_TEST(PathKernelsOf, TheStepIsThatOfPlainLoops_AndItsEventTheNearest) {
  using T = TypeParam;
  const double rounding = 1e3 * static_cast<double>(std::numeric_limits<T>::epsilon());
  Draw draw(61);
  for (int round = 0; round < 200; ++round) {
    const Index m = draw.integer(1, 400), rows = round_up_to_block<T>(m);
    const bool positive = draw.coin();
    Matrix<T> G = Matrix<T>::Zero(rows, m);
    G.topRows(m) = draw.normal_matrix(m, m).cast<T>();
    Vector<T> a = Vector<T>::Zero(rows), c = a, bound = Vector<T>::Constant(rows, static_cast<T>(far_bound));
    a.head(m) = draw.normal_vector(m).cast<T>();
    c.head(m) = 0.3 * draw.normal_vector(m).cast<T>();
    for (Index j = 0; j < m; ++j) bound(j) = static_cast<T>(draw.uniform(0.5, 2));
    std::vector<int> places;
    std::vector<T> w;
    for (int k = draw.integer(0, 5); k > 0; --k) {
      places.push_back(draw.integer(0, static_cast<int>(m) - 1));
      bound(places.back()) = static_cast<T>(far_bound);
      w.push_back(static_cast<T>(0.1 * draw.normal()));
    }
    const T moved = static_cast<T>(0.1), reg = 2, parallel = static_cast<T>(0.01);
    const T farthest = static_cast<T>(draw.log_uniform(0.1, 2));
    const Vector<T> expected_c = c - moved * a;
    Vector<T> expected_a = Vector<T>::Zero(rows);
    for (std::size_t k = 0; k < w.size(); ++k) expected_a += w[k] * G.col(places[k]);
    double nearest = static_cast<double>(farthest);
    for (Index j = 0; j < m; ++j)
      for (const T s : {T(1), T(-1)}) {
        const T d = bound(j) - s * expected_a(j);
        if ((positive && s < 0) || !(d > parallel * bound(j))) continue;
        nearest = std::min(nearest, static_cast<double>(std::max(reg * bound(j) - s * expected_c(j), T(0)) / d));
      }
    for (const InstructionSet set : available_sets()) {
      Vector<T> a_here = a, c_here = c;
      const PathEvent<T> event = path_kernels<T>(set).step({.rows = rows,
                                                            .G = G.data(),
                                                            .count = std::ssize(places),
                                                            .places = places.data(),
                                                            .w = w.data(),
                                                            .moved = moved,
                                                            .reg = reg,
                                                            .farthest = farthest,
                                                            .parallel = parallel,
                                                            .positive = positive,
                                                            .bound = bound.data(),
                                                            .a = a_here.data(),
                                                            .c = c_here.data()});
      EXPECT_LE((a_here - expected_a).norm(), rounding) << to_string(set);
      EXPECT_LE((c_here - expected_c).norm(), rounding) << to_string(set);
      EXPECT_NEAR(static_cast<double>(event.delta), nearest, rounding * nearest) << to_string(set);
      EXPECT_EQ(event.atom < 0, nearest == static_cast<double>(farthest));
      if (event.atom < 0) continue;
      ASSERT_LT(event.atom, m);
      const T left = std::max(reg * bound(event.atom) - event.sign * c_here(event.atom), T(0));
      EXPECT_NEAR(left, event.delta * (bound(event.atom) - event.sign * a_here(event.atom)), 10 * rounding);
    }
  }
}

/// U with U U^T = M^-1 for the Gram matrix M of random atoms, laid out for the kernels.
struct RandomFactor {
  explicit RandomFactor(Draw& draw, Index n) : n(n), U(Matrix<double>::Zero(round_up_to_factor_block(n) + factor_block, n)) {
    const Matrix<double> D = draw.normal_matrix(n + 5, n);
    gram = D.transpose() * D;
    const Matrix<double> R = gram.llt().matrixU();
    U.topRows(n) = R.triangularView<Eigen::Upper>().solve(Matrix<double>::Identity(n, n));
  }
  InverseFactor view() { return {n, U.rows(), U.data()}; }

  Index n;
  Matrix<double> gram, U;
};

TEST(InverseFactorKernels, ApplyTheInverse) {
  Draw draw(62);
  for (Index n = 0; n < 40; ++n) {
    RandomFactor factor(draw, n);
    Vector<double> g = Vector<double>::Zero(round_up_to_factor_block(n));
    g.head(n) = draw.normal_vector(n);
    const Vector<double> expected = factor.gram.ldlt().solve(g.head(n));
    for (const InstructionSet set : available_sets()) {
      Vector<double> out = Vector<double>::Constant(g.size(), NAN);
      const double product = inverse_factor_kernels(set).apply(factor.view(), g.data(), out.data());
      EXPECT_LE((out.head(n) - expected).norm(), 1e-10 * (1 + expected.norm())) << n << ' ' << to_string(set);
      EXPECT_NEAR(product, g.head(n).dot(expected), 1e-10 * (1 + expected.norm() * g.norm()));
    }
  }
}

TEST(InverseFactorKernels, RemoveAnyAtom_AndLeaveTheLayout) {
  Draw draw(63);
  for (Index n = 1; n < 30; ++n)
    for (Index k = 0; k < n; ++k)
      for (const InstructionSet set : available_sets()) {
        RandomFactor factor(draw, n);
        const Matrix<double> before = factor.U.topRows(n);
        Vector<double> column(round_up_to_factor_block(n));
        inverse_factor_kernels(set).remove(factor.view(), k, column.data());
        EXPECT_LE((column.head(n) - (before * before.transpose()).col(k)).norm(), 1e-10 * column.norm());
        std::vector<Index> others;
        for (Index j = 0; j < n; ++j)
          if (j != k) others.push_back(j);
        const Matrix<double> rest = factor.gram(others, others), U = factor.U.topLeftCorner(n - 1, n - 1);
        EXPECT_LE((U.transpose() * rest * U - Matrix<double>::Identity(n - 1, n - 1)).norm(), 1e-10) << n << ' ' << k;
        for (Index j = 0; j + 1 < n; ++j)
          EXPECT_TRUE(factor.U.col(j).segment(j + 1, round_up_to_factor_block(j + 1) - j - 1).isZero(0));
      }
}

}  // namespace
}  // namespace riata::testing
