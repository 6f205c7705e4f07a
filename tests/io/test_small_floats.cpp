#include "riata/io/small_floats.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace riata::testing {
namespace {

/// From the definition of IEEE 754.
double half(unsigned bits) {
  const double sign = bits & 0x8000 ? -1 : 1, fraction = (bits & 0x3ff) / 1024.0;
  const int exponent = static_cast<int>(bits >> 10 & 31);
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15));
}

TEST(SmallFloats, AreWidenedWithoutLoss) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const float widened = float_of_half(static_cast<std::uint16_t>(bits));
    if (std::isnan(half(bits)))
      ASSERT_TRUE(std::isnan(widened)) << bits;
    else
      ASSERT_EQ(static_cast<double>(widened), half(bits)) << bits;
    ASSERT_EQ(std::signbit(widened), bits >= 0x8000) << bits;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(float_of_bfloat16(static_cast<std::uint16_t>(bits))), bits << 16);
  }
}

}  // namespace
}  // namespace riata::testing
