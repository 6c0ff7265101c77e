// Elementary functions for the approximate instructions: without branches,
// so that loops over lanes become vector code. All work in f64 inside and
// differ from the exact value by less than one f32 unit in the last place
// after rounding.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace ptx_emulator {

// 2^f for f in [-1/2, 1/2], by its Taylor series to the ninth power: relative
// error below 1e-11.
inline double exp2_fraction(double f) {
  const double x = f * 0x1.62e42fefa39efp-1;  // ln 2
  double p = 1.0 / 362880;
  p = p * x + 1.0 / 40320;
  p = p * x + 1.0 / 5040;
  p = p * x + 1.0 / 720;
  p = p * x + 1.0 / 120;
  p = p * x + 1.0 / 24;
  p = p * x + 1.0 / 6;
  p = p * x + 0.5;
  p = p * x + 1.0;
  return p * x + 1.0;
}

// Adding and subtracting it rounds a double of moderate size to an integer.
inline constexpr double kRoundingShift = 0x1.8p52;

inline float exp2_of(float a) {
  // Beyond these the result is infinite or zero; NaN passes both.
  double x = a;
  x = x > 160.0 ? 160.0 : x;
  x = x < -200.0 ? -200.0 : x;
  const double whole = (x + kRoundingShift) - kRoundingShift;
  const double scale = std::bit_cast<double>(
      (std::bit_cast<std::uint64_t>(x + kRoundingShift) + 1023) << 52);
  const auto result = static_cast<float>(exp2_fraction(x - whole) * scale);
  return a != a ? a : result;
}

inline float log2_of(float a) {
  // As a double every positive float is normal.
  const auto bits = std::bit_cast<std::uint64_t>(static_cast<double>(a));
  // Split so that the mantissa lies in [sqrt(1/2), sqrt(2)).
  constexpr std::uint64_t kRootHalf = 0x3fe6a09e667f3bcd;
  const std::int64_t shifted =
      static_cast<std::int64_t>(bits - kRootHalf) >> 52;
  const double mantissa =
      std::bit_cast<double>(bits - (static_cast<std::uint64_t>(shifted) << 52));
  // 2 artanh(s) / ln 2 by its series; s is at most 0.172.
  const double s = (mantissa - 1.0) / (mantissa + 1.0), t = s * s;
  double p = 1.0 / 13;
  p = p * t + 1.0 / 11;
  p = p * t + 1.0 / 9;
  p = p * t + 1.0 / 7;
  p = p * t + 1.0 / 5;
  p = p * t + 1.0 / 3;
  p = p * t + 1.0;
  const auto exponent = static_cast<double>(static_cast<std::int32_t>(shifted));
  auto result =
      static_cast<float>(exponent + p * s * 0x1.71547652b82fep1);  // 2 / ln 2
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  result = a == 0.0f ? -kInfinity : result;
  result = a == kInfinity ? kInfinity : result;
  return a < 0.0f || a != a ? std::numeric_limits<float>::quiet_NaN() : result;
}

// sin(x) for kQuarter 0 and cos(x) for kQuarter 1. The reduction is good to
// 1e-8 up to |x| = 1e7 and without meaning far beyond, like the hardware's.
template <int kQuarter>
inline float sin_quarter(float a) {
  const double x = a;
  const double scaled = x * 0x1.45f306dc9c883p-1 + kRoundingShift;  // 2 / pi
  const double whole = scaled - kRoundingShift;
  double r = (x - whole * 0x1.921fb54442d18p0) - whole * 0x1.1a62633145c07p-54;
  r = r > 1.0 ? 1.0 : r;
  r = r < -1.0 ? -1.0 : r;
  const std::uint64_t quarter = std::bit_cast<std::uint64_t>(scaled) + kQuarter;
  const double t = r * r;
  double s = -1.0 / 39916800;
  s = s * t + 1.0 / 362880;
  s = s * t - 1.0 / 5040;
  s = s * t + 1.0 / 120;
  s = s * t - 1.0 / 6;
  s = (s * t + 1.0) * r;
  double c = -1.0 / 3628800;
  c = c * t + 1.0 / 40320;
  c = c * t - 1.0 / 720;
  c = c * t + 1.0 / 24;
  c = c * t - 0.5;
  c = c * t + 1.0;
  const double value = (quarter & 1) != 0 ? c : s;
  const auto result = static_cast<float>((quarter & 2) != 0 ? -value : value);
  return std::fabs(a) < std::numeric_limits<float>::infinity()
             ? result
             : std::numeric_limits<float>::quiet_NaN();
}
inline float sin_of(float a) { return sin_quarter<0>(a); }
inline float cos_of(float a) { return sin_quarter<1>(a); }

inline float tanh_of(float a) {
  // tanh(x) = 1 - 2 / (exp(2 x) + 1); near 0 its series, where that cancels.
  double x = a;
  x = x > 20.0 ? 20.0 : x;
  x = x < -20.0 ? -20.0 : x;
  const double y = 2.0 * x * 0x1.71547652b82fep0;  // 1 / ln 2
  const double whole = (y + kRoundingShift) - kRoundingShift;
  const double scale = std::bit_cast<double>(
      (std::bit_cast<std::uint64_t>(y + kRoundingShift) + 1023) << 52);
  const double e = exp2_fraction(y - whole) * scale;
  const double t = x * x;
  const double near_zero =
      x * (1.0 + t * (-1.0 / 3 + t * (2.0 / 15 - t * (17.0 / 315))));
  const double value = t < 0.01 ? near_zero : 1.0 - 2.0 / (e + 1.0);
  const auto result = static_cast<float>(value);
  return a != a ? a : result;
}

}  // namespace ptx_emulator
