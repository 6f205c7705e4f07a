#include "riata/linalg/kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/precision.hpp"
#include "support/random_arrays.hpp"

namespace riata::testing {
namespace {

template <class T>
class Kernels : public ::testing::Test {
 protected:
  static std::vector<T> random(Index n) {
    std::vector<T> v(static_cast<std::size_t>(n));
    for (T& value : v) value = static_cast<T>(draw_.normal());
    return v;
  }
  static inline Draw draw_{21};
};
TYPED_TEST_SUITE(Kernels, BothPrecisions, PrecisionName);

constexpr Index lengths[] = {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100, 1001};

/// The store to memory keeps the compiler from fusing what the library promises not to fuse.
template <class T>
T product(T a, T b) {
  volatile T p = a * b;
  return p;
}

TYPED_TEST(Kernels, Shrinkages_KeepWhatIsNotFinite) {
  using T = TypeParam;
  const T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
  for (const Index n : lengths) {
    for (Index at = 0; at < n; at += 1 + n / 7)
      for (const T broken : {nan, inf, -inf}) {
        std::vector<T> v = this->random(n), w = v;
        const std::vector<T> thresholds = this->random(n);
        v[static_cast<std::size_t>(at)] = w[static_cast<std::size_t>(at)] = broken;
        soft_threshold(n, T(0.5), v.data());
        soft_threshold_each(n, T(0.5), thresholds.data(), w.data());
        for (Index i = 0; i < n; ++i) {
          ASSERT_EQ(std::isfinite(v[static_cast<std::size_t>(i)]), i != at) << n;
          ASSERT_EQ(std::isfinite(w[static_cast<std::size_t>(i)]), i != at) << n;
        }
      }
    std::vector<T> v = this->random(n);
    soft_threshold_each(n, nan, std::vector<T>(static_cast<std::size_t>(n), T(1)).data(), v.data());
    for (const T value : v) ASSERT_TRUE(std::isnan(value));
  }
}

TYPED_TEST(Kernels, EqualPlainLoopsBitForBit) {
  using T = TypeParam;
  for (const Index n : lengths) {
    const std::vector<T> a = this->random(n), b = this->random(n);
    const T s = T(0.3);
    std::vector<T> step(a.size()), in_place_y = a, in_place_g = b, shrunk = a, extrapolated(a.size()), sum = b;
    gradient_step(n, a.data(), s, b.data(), step.data());
    gradient_step(n, in_place_y.data(), s, b.data(), in_place_y.data());
    gradient_step(n, a.data(), s, in_place_g.data(), in_place_g.data());
    soft_threshold(n, s, shrunk.data());
    extrapolate(n, a.data(), b.data(), s, extrapolated.data());
    add_scaled(n, s, a.data(), sum.data());
    for (std::size_t i = 0; i < a.size(); ++i) {
      const T expected_step = a[i] - product(s, b[i]);
      EXPECT_EQ(step[i], expected_step) << "entry " << i << " of " << n;
      EXPECT_EQ(in_place_y[i], expected_step);
      EXPECT_EQ(in_place_g[i], expected_step);
      EXPECT_EQ(shrunk[i], std::abs(a[i]) > s ? (a[i] > 0 ? a[i] - s : a[i] + s) : T(0));
      EXPECT_EQ(extrapolated[i], a[i] + product(s, a[i] - b[i]));
      EXPECT_EQ(sum[i], b[i] + product(s, a[i]));
    }
  }
}

TYPED_TEST(Kernels, ShrinkToZeroExactly_AtTheThreshold) {
  using T = TypeParam;
  std::vector<T> v = {T(0.5), T(-0.5), T(0), T(-0.0), T(0.25), std::nextafter(T(0.5), T(1))};
  soft_threshold(std::ssize(v), T(0.5), v.data());
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(v[i], T(0)) << i;
  EXPECT_GT(v[5], T(0));
  std::vector<T> untouched = {T(-2), T(0), T(3)};
  soft_threshold(3, T(0), untouched.data());
  EXPECT_EQ(untouched, (std::vector<T>{T(-2), T(0), T(3)}));
}

TYPED_TEST(Kernels, SumDotProductsInOneOrder_WhateverTheAlignment) {
  using T = TypeParam;
  for (const Index n : lengths) {
    const std::vector<T> a = this->random(n), b = this->random(n);
    const double dot = fixed_order_dot(n, a.data(), b.data());
    long double exact = 0, scale = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const long double term = static_cast<long double>(a[i]) * b[i];
      exact += term;
      scale += std::abs(term);
    }
    EXPECT_NEAR(dot, static_cast<double>(exact), rounding<double>(static_cast<double>(n), static_cast<double>(scale)));
    for (std::size_t offset = 1; offset < 16; ++offset) {
      std::vector<T> moved_a(offset), moved_b(16 - offset);
      moved_a.insert(moved_a.end(), a.begin(), a.end());
      moved_b.insert(moved_b.end(), b.begin(), b.end());
      EXPECT_EQ(fixed_order_dot(n, moved_a.data() + offset, moved_b.data() + 16 - offset), dot) << n << ' ' << offset;
    }
  }
}

TYPED_TEST(Kernels, FindTheFirstEntryOutsideAnInterval) {
  using T = TypeParam;
  for (const Index n : lengths) {
    std::vector<T> v(static_cast<std::size_t>(n), T(1));  // the bounds themselves are inside
    EXPECT_EQ(first_outside(n, v.data(), T(-1), T(1)), n);
    for (Index at = 0; at < n; ++at) {
      v[static_cast<std::size_t>(at)] = at % 2 ? T(1.5) : T(-1.5);
      EXPECT_EQ(first_outside(n, v.data(), T(-1), T(1)), at);
      if (at + 1 < n) v.back() = T(2);  // a later one does not hide it
      EXPECT_EQ(first_outside(n, v.data(), T(-1), T(1)), at);
      v[static_cast<std::size_t>(at)] = v.back() = T(1);
    }
  }
}

TYPED_TEST(Kernels, CountWhatIsOutsideAnInterval) {
  using T = TypeParam;
  for (const Index n : lengths) {
    const std::vector<T> v = this->random(n);
    const T low = n > 0 ? v[0] : T(0), high = low + T(0.7);  // the bounds themselves are inside
    Index count = 0;
    for (const T value : v) count += value < low || value > high;
    EXPECT_EQ(count_outside(n, v.data(), low, high), count) << n;
    EXPECT_EQ(count_outside(n, v.data(), -std::numeric_limits<T>::infinity(), std::numeric_limits<T>::infinity()), 0);
  }
}

TYPED_TEST(Kernels, MaskBySigns_AndAddThem) {
  using T = TypeParam;
  for (const Index n : lengths)
    for (const bool weighted : {false, true}) {
      std::vector<T> z = this->random(n), h = this->random(n), w = this->random(n);
      for (std::size_t i = 0; i < z.size(); i += 3) {
        z[i] = i % 2 == 0 ? T(0) : T(-0.0);
        h[i] = std::numeric_limits<T>::infinity();  // and yet masked
      }
      std::vector<T> masked = h, added = w, plain_added = w;
      double sum = 0, magnitudes = 0;
      for (std::size_t i = 0; i < z.size(); ++i) {
        const T sign = static_cast<T>((z[i] > T(0)) - (z[i] < T(0))), w_i = weighted ? w[i] : T(1);
        if (sign != T(0)) plain_added[i] += weighted ? sign * product(T(0.3), w_i) : sign * T(0.3);
        if (sign == T(0)) h[i] = T(0);
        sum += static_cast<double>(w_i) * static_cast<double>(sign) * static_cast<double>(h[i]);
        magnitudes += std::abs(static_cast<double>(w_i) * static_cast<double>(h[i]));
      }
      EXPECT_NEAR(masked_sign_sum(n, z.data(), weighted ? w.data() : nullptr, masked.data()), sum, 1e-14 * magnitudes) << n;
      EXPECT_EQ(masked, h) << n;
      add_signs(n, z.data(), T(0.3), weighted ? w.data() : nullptr, added.data());
      EXPECT_EQ(added, plain_added) << n;
    }
}

TYPED_TEST(Kernels, FindTheLargestTheSumAndTheNonzeros) {
  using T = TypeParam;
  for (const Index n : lengths) {
    std::vector<T> v = this->random(n);
    for (std::size_t i = 0; i < v.size(); i += 3) v[i] = i % 2 == 0 ? T(0) : T(-0.0);
    double magnitude = 0, positive = 0;
    long double sum = 0;
    std::vector<Index> places;
    for (Index i = 0; i < n; ++i) {
      const auto value = static_cast<double>(v[static_cast<std::size_t>(i)]);
      magnitude = std::max(magnitude, std::abs(value));
      positive = std::max(positive, value);
      sum += std::abs(value);
      if (value != 0) places.push_back(i);
    }
    EXPECT_EQ(static_cast<double>(largest_magnitude(n, v.data())), magnitude);
    EXPECT_EQ(static_cast<double>(largest_positive(n, v.data())), positive);
    EXPECT_NEAR(absolute_sum(n, v.data()), static_cast<double>(sum), 1e-14 * static_cast<double>(sum));
    std::vector<Index> found(static_cast<std::size_t>(n));
    found.resize(static_cast<std::size_t>(find_nonzeros(n, v.data(), found.data())));
    EXPECT_EQ(found, places);
  }
}

TYPED_TEST(Kernels, SubtractColumns) {
  using T = TypeParam;
  for (const Index n : lengths)
    for (const Index count : {0, 1, 3, 4, 5, 9}) {
      std::vector<T> y = this->random(n), before = y;
      const std::vector<T> a = this->random(count);
      std::vector<std::vector<T>> columns;
      std::vector<const T*> pointers;
      for (Index k = 0; k < count; ++k) columns.push_back(this->random(n));
      for (const std::vector<T>& column : columns) pointers.push_back(column.data());
      subtract_columns(n, count, pointers.data(), a.data(), y.data());
      for (std::size_t i = 0; i < y.size(); ++i) {
        double expected = static_cast<double>(before[i]), scale = std::abs(expected);
        for (std::size_t k = 0; k < a.size(); ++k) {
          expected -= static_cast<double>(a[k]) * static_cast<double>(columns[k][i]);
          scale += std::abs(static_cast<double>(a[k]) * static_cast<double>(columns[k][i]));
        }
        EXPECT_NEAR(static_cast<double>(y[i]), expected, static_cast<double>(rounding<T>(10, scale)));
      }
    }
}

/// Each coordinate lands on the minimiser of a parabola plus bound |z|, and q stays b - H z.
TYPED_TEST(Kernels, SweepCoordinates) {
  using T = TypeParam;
  Draw draw(5);
  for (const Index n : {1, 2, 7, 8, 20})
    for (const bool positive : {false, true}) {
      const Index padded = (n + 7) / 8 * 8;
      const Matrix<double> A = draw.normal_matrix(n + 4, n), H = A.transpose() * A;
      const Vector<double> b = draw.normal_matrix(n, 1) * 3;
      Matrix<T> H_padded = Matrix<T>::Zero(padded + 8, n);
      H_padded.topRows(n) = H.cast<T>();
      Vector<T> q = Vector<T>::Zero(padded), z = Vector<T>::Zero(padded);
      q.head(n) = b.cast<T>();
      const Vector<T> inverse = H.diagonal().cwiseInverse().cast<T>(), bound = Vector<T>::Constant(n, T(0.5));
      Vector<double> expected = Vector<double>::Zero(n);
      for (int sweep = 0; sweep < 3; ++sweep) {
        const Vector<double> before = expected;
        double fall = 0;
        for (Index k = 0; k < n; ++k) {
          const double gradient = b(k) - H.row(k).dot(expected), v = expected(k) + gradient / H(k, k), t = 0.5 / H(k, k);
          const double moved = v > t ? v - t : (v < -t && !positive ? v + t : 0);
          fall += 0.5 * H(k, k) * (moved - expected(k)) * (moved - expected(k));
          expected(k) = moved;
        }
        const SweepResult result = sweep_coordinates(CoordinateProblem<T>{n, H_padded.rows(), H_padded.data(), inverse.data(),
                                                                          bound.data(), positive, q.data(), z.data()});
        const double tolerance = 1e3 * static_cast<double>(epsilon<T>) * (1 + expected.norm());
        EXPECT_LE((z.head(n).template cast<double>() - expected).norm(), tolerance) << n;
        EXPECT_LE((q.head(n).template cast<double>() - (b - H * expected)).norm(), tolerance * H.norm()) << n;
        EXPECT_NEAR(result.decrease, fall, tolerance * (1 + fall) * H.norm());
        bool changed = false;
        for (Index k = 0; k < n; ++k) changed |= (before(k) == 0) != (expected(k) == 0);
        EXPECT_EQ(result.support_changed, changed);
      }
    }
}

TEST(SolvePositiveDefinite, LeavesNoResidual_AndRefusesWhatIsNotDefinite) {
  Draw draw(3);
  for (const Index n : {1, 2, 5, 16, 53}) {
    const Matrix<double> R = draw.normal_matrix(n + 3, n);
    const Matrix<double> A = R.transpose() * R;
    const Vector<double> b = draw.normal_matrix(n, 1);
    Matrix<double> factor = A;
    Vector<double> x = b;
    ASSERT_TRUE(solve_positive_definite(n, factor.data(), x.data()));
    EXPECT_LE((A * x - b).norm(), 1e-12 * A.norm() * x.norm()) << n;
  }
  Matrix<double> indefinite(2, 2);
  indefinite << 1, 2, 2, 1;
  Vector<double> b = Vector<double>::Ones(2);
  EXPECT_FALSE(solve_positive_definite(2, indefinite.data(), b.data()));
}

}  // namespace
}  // namespace riata::testing
