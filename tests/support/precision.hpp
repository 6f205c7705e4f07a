// Both precisions, and tolerances as multiples of their rounding.
#pragma once

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <type_traits>

namespace riata::testing {

using BothPrecisions = ::testing::Types<float, double>;

struct PrecisionName {
  template <class T>
  static std::string GetName(int) {
    return std::is_same_v<T, float> ? "float" : "double";
  }
};

template <class T>
inline constexpr double epsilon = std::numeric_limits<T>::epsilon();

/// The tolerance that tests ask of certified solvers, relative to ||x||^2 / 2.
template <class T>
inline constexpr double promised_gap = std::is_same_v<T, double> ? 1e-10 : 1e-4;

/// Rounding of a sum of `n` terms whose absolute values add up to `scale`.
template <class T>
double rounding(double n, double scale) {
  return (n + 4) * epsilon<T> * scale;
}

}  // namespace riata::testing
