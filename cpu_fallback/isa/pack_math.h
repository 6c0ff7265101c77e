// The mathematics of packs: rounding, fma and square root by the level's
// instructions, elementary functions by libmvec's vector entry points where
// glibc ≥ 2.35 has them, else lane by lane; float32's exp and tanh in line from
// AVX2 on.
//
// Where libmvec of glibc 2.36 was measured to be off (isa_float_test.cpp) the
// result is put right by select.
#pragma once

#include "cpu_fallback/isa/pack.h"

#if !defined(JACQUARD_ISA_GENERIC) && defined(__x86_64__) && \
    defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 35)
#define JACQUARD_LIBMVEC 1
#endif
#endif

#ifdef JACQUARD_LIBMVEC
#if JACQUARD_PACK_BYTES == 64
#define JACQUARD_MV_F32(name) _ZGVeN16v_##name##f
#define JACQUARD_MV_F64(name) _ZGVeN8v_##name
#define JACQUARD_MV2_F32(name) _ZGVeN16vv_##name##f
#define JACQUARD_MV2_F64(name) _ZGVeN8vv_##name
#elif JACQUARD_PACK_BYTES == 32
#define JACQUARD_MV_F32(name) _ZGVdN8v_##name##f
#define JACQUARD_MV_F64(name) _ZGVdN4v_##name
#define JACQUARD_MV2_F32(name) _ZGVdN8vv_##name##f
#define JACQUARD_MV2_F64(name) _ZGVdN4vv_##name
#else
#define JACQUARD_MV_F32(name) _ZGVbN4v_##name##f
#define JACQUARD_MV_F64(name) _ZGVbN2v_##name
#define JACQUARD_MV2_F32(name) _ZGVbN4vv_##name##f
#define JACQUARD_MV2_F64(name) _ZGVbN2vv_##name
#endif

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
typedef float MvF32 __attribute__((vector_size(JACQUARD_PACK_BYTES)));
typedef double MvF64 __attribute__((vector_size(JACQUARD_PACK_BYTES)));
#define JACQUARD_DECLARE(name)        \
  MvF32 JACQUARD_MV_F32(name)(MvF32); \
  MvF64 JACQUARD_MV_F64(name)(MvF64);
#define JACQUARD_DECLARE2(name)               \
  MvF32 JACQUARD_MV2_F32(name)(MvF32, MvF32); \
  MvF64 JACQUARD_MV2_F64(name)(MvF64, MvF64);
extern "C" {
JACQUARD_ELEMENTARY(JACQUARD_DECLARE, JACQUARD_DECLARE2)
}
#undef JACQUARD_DECLARE
#undef JACQUARD_DECLARE2
}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
#endif

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

#if JACQUARD_PACK_BYTES == 64
#define JACQUARD_ROUND(ours, lib, mode)                              \
  JACQUARD_INLINE F32 ours(F32 x) {                                  \
    return F32(_mm512_roundscale_ps(x.v, mode | _MM_FROUND_NO_EXC)); \
  }                                                                  \
  JACQUARD_INLINE F64 ours(F64 x) {                                  \
    return F64(_mm512_roundscale_pd(x.v, mode | _MM_FROUND_NO_EXC)); \
  }
JACQUARD_INLINE F32 sqrt_(F32 x) { return F32(_mm512_sqrt_ps(x.v)); }
JACQUARD_INLINE F64 sqrt_(F64 x) { return F64(_mm512_sqrt_pd(x.v)); }
JACQUARD_INLINE F32 fma_(F32 a, F32 b, F32 c) {
  return F32(_mm512_fmadd_ps(a.v, b.v, c.v));
}
JACQUARD_INLINE F64 fma_(F64 a, F64 b, F64 c) {
  return F64(_mm512_fmadd_pd(a.v, b.v, c.v));
}
#elif JACQUARD_PACK_BYTES == 32
#define JACQUARD_ROUND(ours, lib, mode)                         \
  JACQUARD_INLINE F32 ours(F32 x) {                             \
    return F32(_mm256_round_ps(x.v, mode | _MM_FROUND_NO_EXC)); \
  }                                                             \
  JACQUARD_INLINE F64 ours(F64 x) {                             \
    return F64(_mm256_round_pd(x.v, mode | _MM_FROUND_NO_EXC)); \
  }
JACQUARD_INLINE F32 sqrt_(F32 x) { return F32(_mm256_sqrt_ps(x.v)); }
JACQUARD_INLINE F64 sqrt_(F64 x) { return F64(_mm256_sqrt_pd(x.v)); }
JACQUARD_INLINE F32 fma_(F32 a, F32 b, F32 c) {
  return F32(_mm256_fmadd_ps(a.v, b.v, c.v));
}
JACQUARD_INLINE F64 fma_(F64 a, F64 b, F64 c) {
  return F64(_mm256_fmadd_pd(a.v, b.v, c.v));
}
#else
#if defined(__SSE4_1__) && !defined(JACQUARD_ISA_GENERIC)
#define JACQUARD_ROUND(ours, lib, mode)                      \
  JACQUARD_INLINE F32 ours(F32 x) {                          \
    return F32(_mm_round_ps(x.v, mode | _MM_FROUND_NO_EXC)); \
  }                                                          \
  JACQUARD_INLINE F64 ours(F64 x) {                          \
    return F64(_mm_round_pd(x.v, mode | _MM_FROUND_NO_EXC)); \
  }
#else
#define JACQUARD_ROUND(ours, lib, mode)                                \
  JACQUARD_INLINE F32 ours(F32 x) {                                    \
    return lanewise([](float e) { return __builtin_##lib##f(e); }, x); \
  }                                                                    \
  JACQUARD_INLINE F64 ours(F64 x) {                                    \
    return lanewise([](double e) { return __builtin_##lib(e); }, x);   \
  }
#endif
JACQUARD_INLINE F64 fma_(F64 a, F64 b, F64 c) {
  for (int i = 0; i < F64::lanes; ++i) a.v[i] = fma_(a.v[i], b.v[i], c.v[i]);
  return a;
}
#if defined(__SSE4_1__) && !defined(JACQUARD_ISA_GENERIC)
JACQUARD_INLINE F32 sqrt_(F32 x) { return F32(_mm_sqrt_ps(x.v)); }
JACQUARD_INLINE F64 sqrt_(F64 x) { return F64(_mm_sqrt_pd(x.v)); }
// In float64 the product is exact, and the sum rounded to odd is then rounded
// to float32 as the exact sum would be (Boldo and Melquiond, "Emulation of FMA
// and correctly rounded sums", 2008).
JACQUARD_INLINE __m128 fma_of_two(__m128 a, __m128 b, __m128 c) {
  const F64 p = F64(_mm_cvtps_pd(a)) * F64(_mm_cvtps_pd(b));
  const F64 d(_mm_cvtps_pd(c));
  const F64 s = p + d;
  const F64 t = s - p;
  const F64 lost = (p - (s - t)) + (d - t);
  const I64 bits = bits_of(s);
  const auto inexact = (lost < F64(0)) | (lost > F64(0));
  const auto even = (bits & I64(1)) == I64(0);
  const auto away = (lost > F64(0)) ^ (s < F64(0));
  const I64 odd = bits + select(away, I64(1), I64(-1));
  return _mm_cvtpd_ps(float_of_bits(select(inexact & even, odd, bits)).v);
}
JACQUARD_INLINE F32 fma_(F32 a, F32 b, F32 c) {
  const __m128 low = fma_of_two(a.v, b.v, c.v);
  const __m128 high =
      fma_of_two(_mm_movehl_ps(a.v, a.v), _mm_movehl_ps(b.v, b.v),
                 _mm_movehl_ps(c.v, c.v));
  return F32(_mm_movelh_ps(low, high));
}
#else
template <class T>
JACQUARD_INLINE Pack<T> sqrt_(Pack<T> x) {
  return lanewise([](T e) { return sqrt_(e); }, x);
}
JACQUARD_INLINE F32 fma_(F32 a, F32 b, F32 c) {
  for (int i = 0; i < F32::lanes; ++i) a.v[i] = fma_(a.v[i], b.v[i], c.v[i]);
  return a;
}
#endif
#endif
JACQUARD_ROUND(rint_, rint, _MM_FROUND_TO_NEAREST_INT)
JACQUARD_ROUND(floor_, floor, _MM_FROUND_TO_NEG_INF)
JACQUARD_ROUND(ceil_, ceil, _MM_FROUND_TO_POS_INF)
JACQUARD_ROUND(trunc_, trunc, _MM_FROUND_TO_ZERO)
#undef JACQUARD_ROUND

// a > b ? a : b and a < b ? a : b by one instruction: b where one is NaN.
#if defined(JACQUARD_ISA_GENERIC) || !defined(__x86_64__)
#define JACQUARD_EXTREME(name, instruction, operation) \
  template <class T>                                   \
  JACQUARD_INLINE Pack<T> name(Pack<T> a, Pack<T> b) { \
    return select(a operation b, a, b);                \
  }
#else
#if JACQUARD_PACK_BYTES == 64
#define JACQUARD_INTRINSIC(name) _mm512_##name
#elif JACQUARD_PACK_BYTES == 32
#define JACQUARD_INTRINSIC(name) _mm256_##name
#else
#define JACQUARD_INTRINSIC(name) _mm_##name
#endif
#define JACQUARD_EXTREME(name, instruction, operation)          \
  template <class T>                                            \
  JACQUARD_INLINE Pack<T> name(Pack<T> a, Pack<T> b) {          \
    return select(a operation b, a, b);                         \
  }                                                             \
  template <>                                                   \
  JACQUARD_INLINE F32 name(F32 a, F32 b) {                      \
    return F32(JACQUARD_INTRINSIC(instruction##_ps)(a.v, b.v)); \
  }                                                             \
  template <>                                                   \
  JACQUARD_INLINE F64 name(F64 a, F64 b) {                      \
    return F64(JACQUARD_INTRINSIC(instruction##_pd)(a.v, b.v)); \
  }
#endif
JACQUARD_EXTREME(greater_, max, >)
JACQUARD_EXTREME(lesser_, min, <)
#undef JACQUARD_EXTREME
#undef JACQUARD_INTRINSIC

// NaN wins. A chain through a waits for two instructions.
#define JACQUARD_NAN_WINS(name, better)     \
  JACQUARD_INLINE F32 name(F32 a, F32 b) {  \
    return select(b != b, b, better(b, a)); \
  }                                         \
  JACQUARD_INLINE F64 name(F64 a, F64 b) {  \
    return select(b != b, b, better(b, a)); \
  }
JACQUARD_NAN_WINS(op_maximum, greater_)
JACQUARD_NAN_WINS(op_minimum, lesser_)
#undef JACQUARD_NAN_WINS

// Whether a or b is NaN.
template <class T>
JACQUARD_INLINE typename Pack<T>::M unordered_(Pack<T> a, Pack<T> b) {
#if JACQUARD_PACK_BYTES == 64
  if constexpr (sizeof(T) == 4 && T(0.5) != T(0))
    return {(Raw<std::int32_t>)_mm512_movm_epi32(
        _mm512_cmp_ps_mask(a.v, b.v, _CMP_UNORD_Q))};
#elif JACQUARD_PACK_BYTES == 32
  if constexpr (sizeof(T) == 4 && T(0.5) != T(0))
    return {(Raw<std::int32_t>)_mm256_cmp_ps(a.v, b.v, _CMP_UNORD_Q)};
#endif
  return (a != a) | (b != b);
}

JACQUARD_INLINE F32 abs_(F32 x) {
  return float_of_bits(bits_of(x) & I32(0x7fffffff));
}
JACQUARD_INLINE F64 abs_(F64 x) {
  return float_of_bits(bits_of(x) & I64(0x7fffffffffffffff));
}
JACQUARD_INLINE F32 copysign_(F32 x, F32 sign) {
  return float_of_bits((bits_of(x) & I32(0x7fffffff)) |
                       (bits_of(sign) & I32(INT32_MIN)));
}
JACQUARD_INLINE F64 copysign_(F64 x, F64 sign) {
  return float_of_bits((bits_of(x) & I64(0x7fffffffffffffff)) |
                       (bits_of(sign) & I64(INT64_MIN)));
}
JACQUARD_INLINE F32 to_float(I32 x) {
  return F32(__builtin_convertvector(x.v, Raw<float>));
}
// |x| < 2^53: 2^52 + the low half, 2^84 + 2^63 + 2^32 · the high half.
JACQUARD_INLINE F64 to_float(I64 x) {
#if defined(__AVX512DQ__)
  return F64(__builtin_convertvector(x.v, Raw<double>));
#else
  const I64 low = (x & I64(0xffffffff)) ^ I64(0x4330000000000000);
  const I64 high = (((x >> 32) + I64(0x80000000)) & I64(0xffffffff)) ^
                   I64(0x4530000000000000);
  return (float_of_bits(high) - F64(0x1.000008p84)) +
         (float_of_bits(low) - F64(0x1p52));
#endif
}

#ifdef JACQUARD_LIBMVEC
#define JACQUARD_UNARY(name)                \
  JACQUARD_INLINE F32 mv_##name(F32 x) {    \
    return F32(JACQUARD_MV_F32(name)(x.v)); \
  }                                         \
  JACQUARD_INLINE F64 mv_##name(F64 x) {    \
    return F64(JACQUARD_MV_F64(name)(x.v)); \
  }
#define JACQUARD_BINARY(name)                     \
  JACQUARD_INLINE F32 mv_##name(F32 a, F32 b) {   \
    return F32(JACQUARD_MV2_F32(name)(a.v, b.v)); \
  }                                               \
  JACQUARD_INLINE F64 mv_##name(F64 a, F64 b) {   \
    return F64(JACQUARD_MV2_F64(name)(a.v, b.v)); \
  }
#else
#define JACQUARD_UNARY(name)                               \
  template <class T>                                       \
  JACQUARD_INLINE Pack<T> mv_##name(Pack<T> x) {           \
    return lanewise([](T e) { return lib_##name(e); }, x); \
  }
#define JACQUARD_BINARY(name)                                         \
  template <class T>                                                  \
  JACQUARD_INLINE Pack<T> mv_##name(Pack<T> a, Pack<T> b) {           \
    return lanewise([](T x, T y) { return lib_##name(x, y); }, a, b); \
  }
#endif
JACQUARD_ELEMENTARY(JACQUARD_UNARY, JACQUARD_BINARY)
#undef JACQUARD_UNARY
#undef JACQUARD_BINARY

#define JACQUARD_UNARY(name)                      \
  template <class T>                              \
  JACQUARD_INLINE Pack<T> lib_##name(Pack<T> x) { \
    return mv_##name(x);                          \
  }
#define JACQUARD_BINARY(name)                                \
  template <class T>                                         \
  JACQUARD_INLINE Pack<T> lib_##name(Pack<T> a, Pack<T> b) { \
    return mv_##name(a, b);                                  \
  }
JACQUARD_ELEMENTARY(JACQUARD_UNARY, JACQUARD_BINARY)
#undef JACQUARD_UNARY
#undef JACQUARD_BINARY

#if JACQUARD_PACK_BYTES >= 32 && !defined(JACQUARD_ISA_GENERIC)
// In line, since a call costs as much as the rest.

// NaN stays.
JACQUARD_INLINE F32 clamp_(F32 x, float low, float high) {
  return greater_(F32(low), lesser_(F32(high), x));
}

// x = t·log(2) + r, t a multiple of 1/16 (1/8) and |r| at most half of that
// step; power is 2 to the fraction of t, rounded, and lost its relative error.
struct ReducedExponent {
  F32 t, r, power, lost;
  I32 steps;
};
template <bool with_lost>
JACQUARD_INLINE ReducedExponent reduce_exponent(F32 x) {
  constexpr float log_2 = 0.693147182f, log_2_rest = -1.90465421e-9f;
#if JACQUARD_PACK_BYTES == 64
  constexpr float ulp_is_a_step = 786432.0f;  // 1.5 · 2¹⁹
  const __m512 powers = _mm512_setr_ps(
      1.0f, 1.04427373f, 1.09050775f, 1.13878858f, 1.18920708f, 1.24185777f,
      1.29683959f, 1.35425556f, 1.41421354f, 1.47682619f, 1.54221082f,
      1.61049032f, 1.68179286f, 1.75625217f, 1.8340081f, 1.91520655f);
  const __m512 losses = _mm512_setr_ps(
      0.0f, 4.62854687e-8f, -1.19921572e-8f, 4.72978214e-8f, 3.19341798e-8f,
      3.62105718e-8f, -3.09907217e-8f, -7.47521322e-9f, 1.7114271e-8f,
      -3.04768352e-8f, 5.23333422e-9f, 6.10759158e-9f, -1.47196057e-8f,
      -5.25879515e-9f, -6.12825986e-9f, 5.14060919e-9f);
  const auto look_up = [](__m512 table, I32 i) {
    return F32(_mm512_permutexvar_ps((__m512i)i.v, table));
  };
#else
  constexpr float ulp_is_a_step = 1572864.0f;  // 1.5 · 2²⁰
  const __m256 powers =
      _mm256_setr_ps(1.0f, 1.09050775f, 1.18920708f, 1.29683959f, 1.41421354f,
                     1.54221082f, 1.68179286f, 1.8340081f);
  const __m256 losses = _mm256_setr_ps(
      0.0f, -1.19921572e-8f, 3.19341798e-8f, -3.09907217e-8f, 1.7114271e-8f,
      5.23333422e-9f, -1.47196057e-8f, -6.12825986e-9f);
  const auto look_up = [](__m256 table, I32 i) {
    return F32(_mm256_permutevar8x32_ps(table, (__m256i)i.v));
  };
#endif
  const F32 shifted = fma_(x, F32(1.44269504f), F32(ulp_is_a_step));
  ReducedExponent e;
  e.steps = bits_of(shifted);
  e.t = shifted - F32(ulp_is_a_step);
  e.r = fma_(e.t, F32(-log_2_rest), fma_(e.t, F32(-log_2), x));
  e.power = look_up(powers, e.steps);
  if constexpr (with_lost) e.lost = look_up(losses, e.steps);
  return e;
}

// At most 1.2 ulp.
JACQUARD_INLINE F32 lib_exp(F32 x) {
  // Beyond these the result is infinite or 0.
  const auto e = reduce_exponent<false>(clamp_(x, -104.0f, 89.0f));
#if JACQUARD_PACK_BYTES == 64
  F32 p = fma_(e.r, F32(1.66666667e-1f), F32(5.0e-1f));
  p = fma_(p, e.r, F32(1.0f)) * e.r;
  return F32(_mm512_scalef_ps(fma_(e.power, p, e.power).v, e.t.v));
#else
  // 2^floor(t) in two factors, so that the second is normal, and only the
  // product with it rounds. The quadratic term takes in part of r⁴.
  const I32 half = (e.steps >> 4) << 23;
  const I32 rest = ((e.steps + I32(8 + 127 * 16)) >> 4) << 23;
  const F32 power = float_of_bits(bits_of(e.power) + half);
  F32 p = fma_(e.r, F32(1.66666667e-1f), F32(5.00064700e-1f));
  p = fma_(p, e.r, F32(1.0f)) * e.r;
  return fma_(power, p, power) * float_of_bits(rest);
#endif
}

// At most 3.5 ulp. −m / (2 + m) with m = exp(−2|x|) − 1.
JACQUARD_INLINE F32 lib_tanh(F32 x) {
  // Beyond this the result is 1.
  const F32 y = lesser_(F32(10.0f), abs_(x)) * F32(-2.0f);
  const auto e = reduce_exponent<true>(y);
#if JACQUARD_PACK_BYTES == 64
  const F32 power(_mm512_scalef_ps(e.power.v, e.t.v));
#else
  const F32 power = float_of_bits(bits_of(e.power) + ((e.steps >> 3) << 23));
#endif
  F32 p = fma_(e.r, F32(4.16666667e-2f), F32(1.66666667e-1f));
  p = fma_(p, e.r, F32(5.0e-1f));
  p = fma_(p, e.r, F32(1.0f));
  p = fma_(p, e.r, e.lost);
  const F32 m = fma_(power, p, power - F32(1.0f));
  return copysign_(m / (m + F32(2.0f)), x);
}
#endif

template <class T>
JACQUARD_INLINE Pack<T> lib_lgamma(Pack<T> x) {
  return lanewise([](T e) { return lib_lgamma(e); }, x);
}
template <class T>
JACQUARD_INLINE Pack<T> lib_fmod(Pack<T> a, Pack<T> b) {
  return lanewise([](T x, T y) { return lib_fmod(x, y); }, a, b);
}

}  // namespace
}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
