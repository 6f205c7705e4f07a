// Floating-point numbers of 16 bits, widened without loss.
#pragma once

#include <bit>
#include <cstdint>

namespace riata {

/// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits.
inline float float_of_half(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16, rest = (bits & 0x7fffu) << 13;
  constexpr std::uint32_t infinity = 0x7f800000, half_infinity = 0x7c00u << 13;
  if (rest >= half_infinity) return std::bit_cast<float>(sign | infinity | (rest & 0x007fffff));  // or NaN
  // rest reads as a float whose exponent is biased by 127 where 15 was meant; so do subnormals.
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest) * 0x1p112f));
}

/// bfloat16: the upper half of a float.
inline float float_of_bfloat16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

}  // namespace riata
