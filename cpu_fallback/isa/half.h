// float16 and bfloat16 in packs of float: rounding to nearest even, and the
// forms in memory.
#pragma once

#include "cpu_fallback/isa/pack_math.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

using HalfBits = Raw<std::uint16_t, F32::lanes>;

JACQUARD_INLINE F32 round_to_bfloat16(F32 x) {
  const I32 bits = bits_of(x);
  const I32 odd = (bits >> 16) & I32(1);
  const I32 rounded = (bits + I32(0x7fff) + odd) & I32(~0xffff);
  return select(x == x, float_of_bits(rounded), x);
}

// From 2^-14 up the last 13 bits of the fraction go; below, adding 1/2 leaves
// multiples of 2^-24.
JACQUARD_INLINE F32 round_to_float16(F32 x) {
  const F32 a = abs_(x);
  const I32 bits = bits_of(a);
  const I32 odd = (bits >> 13) & I32(1);
  const F32 normal = float_of_bits((bits + I32(0xfff) + odd) & I32(~0x1fff));
  const F32 tiny = (a + F32(0.5f)) - F32(0.5f);
  F32 r = select(a < F32(0x1p-14f), tiny, normal);
  r = select(r > F32(65504.0f), F32(__builtin_inff()), r);
  return copysign_(select(x == x, r, x), x);
}

JACQUARD_INLINE F32 from_bfloat16(HalfBits h) {
  return float_of_bits(I32(__builtin_convertvector(h, Raw<std::int32_t>))
                       << 16);
}
JACQUARD_INLINE HalfBits to_bfloat16(F32 x) {
  const I32 bits = bits_of(round_to_bfloat16(x));
  // A NaN whose payload is all in the lower half must not become infinite.
  const I32 quiet = select(x == x, bits, bits | I32(0x400000));
  return __builtin_convertvector((quiet >> 16).v, HalfBits);
}

#if defined(__F16C__) && JACQUARD_PACK_BYTES == 64
JACQUARD_INLINE F32 from_float16(HalfBits h) {
  return F32(_mm512_cvtph_ps((__m256i)h));
}
JACQUARD_INLINE HalfBits to_float16(F32 x) {
  return (HalfBits)_mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT);
}
#elif defined(__F16C__) && JACQUARD_PACK_BYTES == 32
JACQUARD_INLINE F32 from_float16(HalfBits h) {
  return F32(_mm256_cvtph_ps((__m128i)h));
}
JACQUARD_INLINE HalfBits to_float16(F32 x) {
  return (HalfBits)_mm256_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT);
}
#else
// The exponent is moved by 112 by a multiplication, which is right for
// denormals too.
JACQUARD_INLINE F32 from_float16(HalfBits h) {
  const I32 bits(__builtin_convertvector(h, Raw<std::int32_t>));
  const I32 magnitude = (bits & I32(0x7fff)) << 13;
  const I32 sign = (bits & I32(0x8000)) << 16;
  const I32 finite = bits_of(float_of_bits(magnitude) * F32(0x1p112f));
  const I32 special = magnitude | I32(0x7f800000);
  return float_of_bits(select(magnitude >= I32(0x0f800000), special, finite) |
                       sign);
}
JACQUARD_INLINE HalfBits to_float16(F32 x) {
  const F32 a = abs_(round_to_float16(x));
  const I32 finite = bits_of(a * F32(0x1p-112f)) >> 13;
  I32 bits = select(a == F32(__builtin_inff()), I32(0x7c00), finite);
  bits = select(a == a, bits, I32(0x7e00));
  bits = bits | ((bits_of(x) >> 16) & I32(0x8000));
  return __builtin_convertvector(bits.v, HalfBits);
}
#endif

}  // namespace
}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
