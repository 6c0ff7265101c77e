// What core/pointwise/scalar_functions.h asks of its value type, fulfilled for
// V = float and double: on the host by the C library, under nvcc and NVRTC by
// CUDA's functions of the same names. Includes nothing; include it inside a
// namespace, before scalar_functions.h, on the host after <math.h>.
//
// A value type V (and Traits<V>::Int, the signed integer of its width) has
//   V(double), + − * / and comparisons giving a mask with & | ^ !,
//   select(mask, V, V), bits_of(V), float_of_bits(Int), to_float(Int) (exact
//   for |x| < 2^digits), fma_, sqrt_, floor_, ceil_, trunc_, rint_, abs_,
//   copysign_(magnitude, sign), and lib_<name> for the elementary functions.
#pragma once

#if defined(__CUDACC__)
#define JACQUARD_FN __device__ __forceinline__
#define JACQUARD_LIBM(name) ::name
#else
#define JACQUARD_FN inline __attribute__((always_inline))
#define JACQUARD_LIBM(name) __builtin_##name
#endif

template <class V>
struct Traits;
template <>
struct Traits<float> {
  using Scalar = float;
  using Int = int;
};
template <>
struct Traits<double> {
  using Scalar = double;
  using Int = long long;
};
template <>
struct Traits<int> {
  using Scalar = int;
  using Int = int;
};
template <>
struct Traits<long> {
  using Scalar = long;
  using Int = long;
};
template <>
struct Traits<long long> {
  using Scalar = long long;
  using Int = long long;
};
// Whether the compute type is float64.
template <class V>
inline constexpr bool kIsDouble = sizeof(typename Traits<V>::Scalar) == 8;

#define JACQUARD_SELECT(T) \
  JACQUARD_FN T select(bool m, T a, T b) { return m ? a : b; }
JACQUARD_SELECT(bool)
JACQUARD_SELECT(unsigned char)
JACQUARD_SELECT(int)
JACQUARD_SELECT(unsigned)
JACQUARD_SELECT(long)
JACQUARD_SELECT(long long)
JACQUARD_SELECT(unsigned long)
JACQUARD_SELECT(unsigned long long)
JACQUARD_SELECT(float)
JACQUARD_SELECT(double)
#undef JACQUARD_SELECT

#if defined(__CUDACC__)
JACQUARD_FN int bits_of(float x) { return __float_as_int(x); }
JACQUARD_FN long long bits_of(double x) { return __double_as_longlong(x); }
JACQUARD_FN float float_of_bits(int x) { return __int_as_float(x); }
JACQUARD_FN double float_of_bits(long long x) {
  return __longlong_as_double(x);
}
#else
JACQUARD_FN int bits_of(float x) { return __builtin_bit_cast(int, x); }
JACQUARD_FN long long bits_of(double x) {
  return __builtin_bit_cast(long long, x);
}
JACQUARD_FN float float_of_bits(int x) { return __builtin_bit_cast(float, x); }
JACQUARD_FN double float_of_bits(long long x) {
  return __builtin_bit_cast(double, x);
}
#endif
JACQUARD_FN float to_float(int x) { return static_cast<float>(x); }
JACQUARD_FN double to_float(long long x) { return static_cast<double>(x); }

JACQUARD_FN float fma_(float a, float b, float c) {
  return JACQUARD_LIBM(fmaf)(a, b, c);
}
JACQUARD_FN double fma_(double a, double b, double c) {
  return JACQUARD_LIBM(fma)(a, b, c);
}
JACQUARD_FN float copysign_(float a, float b) {
  return JACQUARD_LIBM(copysignf)(a, b);
}
JACQUARD_FN double copysign_(double a, double b) {
  return JACQUARD_LIBM(copysign)(a, b);
}

#define JACQUARD_ROUNDING(ours, name)                                   \
  JACQUARD_FN float ours(float x) { return JACQUARD_LIBM(name##f)(x); } \
  JACQUARD_FN double ours(double x) { return JACQUARD_LIBM(name)(x); }
JACQUARD_ROUNDING(sqrt_, sqrt)
JACQUARD_ROUNDING(floor_, floor)
JACQUARD_ROUNDING(ceil_, ceil)
JACQUARD_ROUNDING(trunc_, trunc)
JACQUARD_ROUNDING(rint_, rint)
JACQUARD_ROUNDING(abs_, fabs)
#undef JACQUARD_ROUNDING

// The elementary functions: U with one operand, B with two.
// clang-format off
#define JACQUARD_ELEMENTARY(U, B)                                         \
  U(exp) U(expm1) U(log) U(log1p) U(cbrt) U(sin) U(cos) U(tan) U(asin)    \
  U(acos) U(atan) U(sinh) U(cosh) U(tanh) U(asinh) U(acosh) U(atanh)      \
  U(erf) U(erfc) B(pow) B(atan2)
// clang-format on

#define JACQUARD_UNARY(name)                                                  \
  JACQUARD_FN float lib_##name(float x) { return JACQUARD_LIBM(name##f)(x); } \
  JACQUARD_FN double lib_##name(double x) { return JACQUARD_LIBM(name)(x); }
#define JACQUARD_BINARY(name)                         \
  JACQUARD_FN float lib_##name(float a, float b) {    \
    return JACQUARD_LIBM(name##f)(a, b);              \
  }                                                   \
  JACQUARD_FN double lib_##name(double a, double b) { \
    return JACQUARD_LIBM(name)(a, b);                 \
  }
JACQUARD_ELEMENTARY(JACQUARD_UNARY, JACQUARD_BINARY)
JACQUARD_BINARY(fmod)
#undef JACQUARD_BINARY

#if defined(__CUDACC__)
JACQUARD_UNARY(lgamma)
#else
// lgamma itself writes a global variable; glibc's lgammaf is 6 ulp off.
JACQUARD_FN double lib_lgamma(double x) {
  int sign;
  return ::lgamma_r(x, &sign);
}
JACQUARD_FN float lib_lgamma(float x) {
  return static_cast<float>(lib_lgamma(static_cast<double>(x)));
}
#endif
#undef JACQUARD_UNARY

// The high and low word of a 32 × 32 bit product.
JACQUARD_FN void mul_wide(unsigned a, unsigned b, unsigned& high,
                          unsigned& low) {
  const unsigned long long p = static_cast<unsigned long long>(a) * b;
  high = static_cast<unsigned>(p >> 32);
  low = static_cast<unsigned>(p);
}
