// The 16-bit floating-point formats and TF32 on the host, rounded to nearest
// even.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace ptx_emulator {

inline float bf16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

// Keeps the highest bits of a float: `dropped` low bits are rounded away.
inline float round_mantissa(float value, int dropped) {
  std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return value;  // infinite or NaN
  const std::uint32_t odd = (bits >> dropped) & 1;
  bits += (std::uint32_t{1} << (dropped - 1)) - 1 + odd;
  return std::bit_cast<float>(bits & ~((std::uint32_t{1} << dropped) - 1));
}

inline std::uint16_t float_to_bf16(float value) {
  if (std::isnan(value)) return 0x7fff;
  return static_cast<std::uint16_t>(
      std::bit_cast<std::uint32_t>(round_mantissa(value, 16)) >> 16);
}

inline float round_to_tf32(float value) { return round_mantissa(value, 13); }

inline float f16_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1f;
  const std::uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0x1f)
    return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0)
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  return sign != 0 ? -magnitude : magnitude;
}

inline std::uint16_t float_to_f16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
  if (std::isnan(value)) return 0x7fff;
  const float magnitude = std::fabs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 0x1p-14f) {  // subnormal: units of 2^-24
    const float units = std::nearbyint(std::ldexp(magnitude, 24));
    return sign | static_cast<std::uint16_t>(units);
  }
  const std::uint32_t rounded =
      std::bit_cast<std::uint32_t>(round_mantissa(magnitude, 13));
  return sign | static_cast<std::uint16_t>((rounded >> 13) - (112u << 10));
}

}  // namespace ptx_emulator
