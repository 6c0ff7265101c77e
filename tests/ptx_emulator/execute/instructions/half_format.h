// The 16-bit floating-point formats f16 and bf16: conversions with exactly one
// rounding, and fused multiply-add.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "execute/decoder.h"

namespace ptx_emulator {

inline constexpr std::uint16_t kHalfNan = 0x7fff;  // of both formats

// Rounding to odd: an inexact result takes the neighbour whose last bit is 1.
// A later rounding to a format with at least two bits fewer then gives what
// one rounding of the exact value gives (Boldo and Melquiond, 2008).
inline float round_to_odd(double x) {
  const auto nearest = static_cast<float>(x);
  const double back = nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  const bool outwards = std::fabs(back) < std::fabs(x);
  const std::uint32_t odd = outwards ? bits + 1 : bits - 1;
  const bool adjust = back != x && x == x && (bits & 1) == 0;
  return std::bit_cast<float>(adjust ? odd : bits);
}

// a + b in double, rounded to odd; the error is exact (Knuth's TwoSum).
inline double add_to_odd(double a, double b) {
  const double sum = a + b;
  const double part = sum - a;
  const double error = (a - (sum - part)) + (b - part);
  const auto bits = std::bit_cast<std::uint64_t>(sum);
  const bool outwards = (error > 0) == (sum > 0);
  const std::uint64_t odd = outwards ? bits + 1 : bits - 1;
  const bool adjust = error != 0 && error == error && (bits & 1) == 0;
  return std::bit_cast<double>(adjust ? odd : bits);
}

// The bits of |x| rounded to `kMantissa` bits of mantissa and an exponent of
// `kExponent` bits, in any mode; subnormal results included.
template <int kMantissa, int kExponent>
inline std::uint16_t round_to_format(float x, Rounding rounding) {
  constexpr int kBias = (1 << (kExponent - 1)) - 1;
  constexpr int kDrop = 23 - kMantissa;
  constexpr std::uint32_t kInfinity = ((1u << kExponent) - 1) << kMantissa;
  const auto all = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint16_t>(all >> 16 & 0x8000);
  const std::uint32_t size = all & 0x7fffffff;
  if (size > 0x7f800000) return kHalfNan;
  if (size == 0x7f800000) return static_cast<std::uint16_t>(sign | kInfinity);
  const int exponent =
      static_cast<int>(size >> 23) - 127 + (size >> 23 == 0 ? 1 : 0);
  const std::uint64_t mantissa =
      (size & 0x7fffff) | (size >> 23 == 0 ? 0 : 0x800000);
  int drop = kDrop;
  if (exponent < 1 - kBias) drop += 1 - kBias - exponent;
  drop = drop > 40 ? 40 : drop;
  std::uint64_t kept = mantissa >> drop;
  const std::uint64_t rest = mantissa & ((std::uint64_t{1} << drop) - 1);
  const std::uint64_t half = std::uint64_t{1} << (drop - 1);
  bool up = false;
  switch (rounding) {
    case Rounding::kNearest:
      up = rest > half || (rest == half && (kept & 1) != 0);
      break;
    case Rounding::kZero:
      break;
    case Rounding::kDown:
      up = rest != 0 && sign != 0;
      break;
    case Rounding::kUp:
      up = rest != 0 && sign == 0;
      break;
  }
  kept += up;
  // The implicit bit carries into the exponent by itself.
  const int biased = exponent < 1 - kBias ? 1 : exponent + kBias;
  std::uint64_t result =
      kept + (static_cast<std::uint64_t>(biased - 1) << kMantissa);
  if (result >= kInfinity) {
    const bool away = rounding == Rounding::kNearest ||
                      (rounding == Rounding::kUp && sign == 0) ||
                      (rounding == Rounding::kDown && sign != 0);
    result = away ? kInfinity : kInfinity - 1;
  }
  return static_cast<std::uint16_t>(sign | result);
}

// f16: 5 bits of exponent, 10 of mantissa.
struct Half {
  static constexpr std::uint16_t kOne = 0x3c00;
  static constexpr float kSmallestNormal = 0x1p-14f;

  static float to_float(std::uint16_t h) {
#if defined(__F16C__)
    return _cvtsh_ss(h);
#else
    const std::uint32_t sign = std::uint32_t{h} >> 15 << 31;
    const std::uint32_t size = h & 0x7fff;
    if (size >= 0x7c00) {
      return std::bit_cast<float>(sign | 0x7f800000 | (size & 0x3ff) << 13);
    }
    // Scaling by a power of two also makes subnormal numbers right.
    const float value = std::bit_cast<float>(size << 13) * 0x1p112f;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
#endif
  }
  static std::uint16_t from_float(float x,
                                  Rounding rounding = Rounding::kNearest) {
    return round_to_format<10, 5>(x, rounding);
  }
  static void to_floats(const std::uint16_t* h, float* x, int count) {
#if defined(__F16C__)
    for (int k = 0; k < count; k += 8) {
      _mm256_storeu_ps(x + k, _mm256_cvtph_ps(_mm_loadu_si128(
                                  reinterpret_cast<const __m128i*>(h + k))));
    }
#else
    for (int k = 0; k < count; ++k) x[k] = to_float(h[k]);
#endif
  }
  static void from_floats(const float* x, std::uint16_t* h, int count) {
#if defined(__F16C__)
    for (int k = 0; k < count; k += 8) {
      const __m256 value = _mm256_loadu_ps(x + k);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(h + k),
                       _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
    }
    for (int k = 0; k < count; ++k) h[k] = x[k] != x[k] ? kHalfNan : h[k];
#else
    for (int k = 0; k < count; ++k) h[k] = from_float(x[k]);
#endif
  }
  // Products of two 11-bit mantissas are exact in f32.
  static float multiply(float a, float b) { return a * b; }
  static float fma(float a, float b, float c) {
    return round_to_odd(add_to_odd(static_cast<double>(a) * b, c));
  }
};

// bf16: the upper half of an f32.
struct Brain {
  static constexpr std::uint16_t kOne = 0x3f80;
  static constexpr float kSmallestNormal = 0x1p-126f;

  static float to_float(std::uint16_t b) {
    return std::bit_cast<float>(std::uint32_t{b} << 16);
  }
  static std::uint16_t from_float(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
    return x != x ? kHalfNan : static_cast<std::uint16_t>(rounded >> 16);
  }
  static std::uint16_t from_float(float x, Rounding rounding) {
    return round_to_format<7, 8>(x, rounding);
  }
  static void to_floats(const std::uint16_t* b, float* x, int count) {
    for (int k = 0; k < count; ++k) x[k] = to_float(b[k]);
  }
  static void from_floats(const float* x, std::uint16_t* b, int count) {
    for (int k = 0; k < count; ++k) b[k] = from_float(x[k]);
  }
  // Exact in f64; an f32 could lose bits of a subnormal product.
  static float multiply(float a, float b) {
    return round_to_odd(static_cast<double>(a) * b);
  }
  static float fma(float a, float b, float c) {
    return round_to_odd(add_to_odd(static_cast<double>(a) * b, c));
  }
};

}  // namespace ptx_emulator
