// Pack<T>: the vector of native width that the shared scalar functions compute
// on, and what they ask of it (see core/pointwise/scalar_functions.h).
//
// Everything is in an unnamed namespace within the level's: internal linkage.
#pragma once

#include <math.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu_fallback/isa/level.h"

#if defined(JACQUARD_ISA_GENERIC) || !defined(__x86_64__)
#define JACQUARD_PACK_BYTES 16
#elif defined(__AVX512F__)
#define JACQUARD_PACK_BYTES 64
#elif defined(__AVX2__)
#define JACQUARD_PACK_BYTES 32
#else
#define JACQUARD_PACK_BYTES 16
#endif

#define JACQUARD_INLINE inline __attribute__((always_inline))

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

#include "core/pointwise/scalar_basics.h"

inline constexpr int kPackBytes = JACQUARD_PACK_BYTES;

template <class T, int N>
struct RawVector {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};
template <class T, int N = kPackBytes / static_cast<int>(sizeof(T))>
using Raw = typename RawVector<T, N>::type;

template <class T>
struct Element;  // signed: integer of the same width; wrap: wraps on overflow
template <>
struct Element<float> {
  using Signed = std::int32_t;
  using Wrap = float;
};
template <>
struct Element<double> {
  using Signed = std::int64_t;
  using Wrap = double;
};
template <>
struct Element<std::int32_t> {
  using Signed = std::int32_t;
  using Wrap = std::uint32_t;
};
template <>
struct Element<std::int64_t> {
  using Signed = std::int64_t;
  using Wrap = std::uint64_t;
};
template <>
struct Element<std::uint8_t> {
  using Signed = std::int8_t;
  using Wrap = std::uint8_t;
};
template <>
struct Element<std::uint32_t> {
  using Signed = std::int32_t;
  using Wrap = std::uint32_t;
};
template <>
struct Element<std::uint64_t> {
  using Signed = std::int64_t;
  using Wrap = std::uint64_t;
};

// The result of a comparison: all ones or all zeros in each lane. S is the
// signed integer of the compared type's width.
template <class S>
struct Mask {
  Raw<S> v;

  JACQUARD_INLINE friend Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
  JACQUARD_INLINE friend Mask operator|(Mask a, Mask b) { return {a.v | b.v}; }
  JACQUARD_INLINE friend Mask operator^(Mask a, Mask b) { return {a.v ^ b.v}; }
  JACQUARD_INLINE friend Mask operator!(Mask a) { return {~a.v}; }
};

template <class T>
struct Pack {
  using Value = T;
  using R = Raw<T>;
  using W = Raw<typename Element<T>::Wrap>;
  using S = typename Element<T>::Signed;
  using M = Mask<S>;
  static constexpr int lanes = kPackBytes / static_cast<int>(sizeof(T));

  R v;

  Pack() = default;
  JACQUARD_INLINE Pack(R raw) : v(raw) {}
  // The same value in each lane; x − 0 keeps −0.
  JACQUARD_INLINE explicit Pack(T x) : v(x - R{}) {}

  JACQUARD_INLINE static Pack load(const T* from) {
    Pack p;
    __builtin_memcpy(&p.v, from, sizeof p.v);
    return p;
  }
  JACQUARD_INLINE void store(T* to) const {
    __builtin_memcpy(to, &v, sizeof v);
  }

  JACQUARD_INLINE friend Pack operator+(Pack a, Pack b) {
    return Pack((R)((W)a.v + (W)b.v));
  }
  JACQUARD_INLINE friend Pack operator-(Pack a, Pack b) {
    return Pack((R)((W)a.v - (W)b.v));
  }
  JACQUARD_INLINE friend Pack operator*(Pack a, Pack b) {
    return Pack((R)((W)a.v * (W)b.v));
  }
  JACQUARD_INLINE friend Pack operator/(Pack a, Pack b) {
    return Pack(a.v / b.v);
  }
  JACQUARD_INLINE friend Pack operator%(Pack a, Pack b) {
    return Pack(a.v % b.v);
  }
  JACQUARD_INLINE friend Pack operator-(Pack a) { return Pack((R)(-(W)a.v)); }
  JACQUARD_INLINE friend Pack operator&(Pack a, Pack b) {
    return Pack(a.v & b.v);
  }
  JACQUARD_INLINE friend Pack operator|(Pack a, Pack b) {
    return Pack(a.v | b.v);
  }
  JACQUARD_INLINE friend Pack operator^(Pack a, Pack b) {
    return Pack(a.v ^ b.v);
  }
  JACQUARD_INLINE friend Pack operator<<(Pack a, int n) {
    return Pack((R)((W)a.v << n));
  }
  JACQUARD_INLINE friend Pack operator>>(Pack a, int n) {
    return Pack(a.v >> n);
  }

  JACQUARD_INLINE friend M operator==(Pack a, Pack b) {
    return {(Raw<S>)(a.v == b.v)};
  }
  JACQUARD_INLINE friend M operator!=(Pack a, Pack b) {
    return {(Raw<S>)(a.v != b.v)};
  }
  JACQUARD_INLINE friend M operator<(Pack a, Pack b) {
    return {(Raw<S>)(a.v < b.v)};
  }
  JACQUARD_INLINE friend M operator<=(Pack a, Pack b) {
    return {(Raw<S>)(a.v <= b.v)};
  }
  JACQUARD_INLINE friend M operator>(Pack a, Pack b) {
    return {(Raw<S>)(a.v > b.v)};
  }
  JACQUARD_INLINE friend M operator>=(Pack a, Pack b) {
    return {(Raw<S>)(a.v >= b.v)};
  }
};

using F32 = Pack<float>;
using F64 = Pack<double>;
using I32 = Pack<std::int32_t>;
using I64 = Pack<std::int64_t>;
using U8 = Pack<std::uint8_t>;
using U64 = Pack<std::uint64_t>;

template <class T>
JACQUARD_INLINE Pack<T> select(Mask<typename Element<T>::Signed> m, Pack<T> a,
                               Pack<T> b) {
  return Pack<T>(m.v ? a.v : b.v);
}

template <class T>
struct Traits<Pack<T>> {
  using Scalar = T;
  using Int = Pack<typename Element<T>::Signed>;
};

JACQUARD_INLINE I32 bits_of(F32 x) { return I32((Raw<std::int32_t>)x.v); }
JACQUARD_INLINE I64 bits_of(F64 x) { return I64((Raw<std::int64_t>)x.v); }
JACQUARD_INLINE F32 float_of_bits(I32 x) { return F32((Raw<float>)x.v); }
JACQUARD_INLINE F64 float_of_bits(I64 x) { return F64((Raw<double>)x.v); }

// Lane by lane.
template <class F, class T>
JACQUARD_INLINE Pack<T> lanewise(F f, Pack<T> a) {
  T x[Pack<T>::lanes];
  a.store(x);
  for (T& e : x) e = f(e);
  return Pack<T>::load(x);
}
template <class F, class T>
JACQUARD_INLINE Pack<T> lanewise(F f, Pack<T> a, Pack<T> b) {
  T x[Pack<T>::lanes], y[Pack<T>::lanes];
  a.store(x);
  b.store(y);
  for (int i = 0; i < Pack<T>::lanes; ++i) x[i] = f(x[i], y[i]);
  return Pack<T>::load(x);
}

// The first n of a pack (0 < n < lanes); the other lanes are `rest`. Reads or
// writes exactly n elements.
template <class T>
JACQUARD_INLINE Pack<T> load_partial(const T* from, int n, Pack<T> rest) {
#if JACQUARD_PACK_BYTES == 64
  if constexpr (sizeof(T) == 4) {
    const __mmask16 m = static_cast<__mmask16>((1u << n) - 1);
    return Pack<T>((Raw<T>)_mm512_mask_loadu_epi32((__m512i)rest.v, m, from));
  } else if constexpr (sizeof(T) == 8) {
    const __mmask8 m = static_cast<__mmask8>((1u << n) - 1);
    return Pack<T>((Raw<T>)_mm512_mask_loadu_epi64((__m512i)rest.v, m, from));
  }
#elif JACQUARD_PACK_BYTES == 32
  if constexpr (sizeof(T) == 4) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i m = _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
    const __m256i x =
        _mm256_maskload_epi32(reinterpret_cast<const int*>(from), m);
    return Pack<T>((Raw<T>)_mm256_blendv_epi8((__m256i)rest.v, x, m));
  } else if constexpr (sizeof(T) == 8) {
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    const __m256i m = _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), lane);
    const __m256i x =
        _mm256_maskload_epi64(reinterpret_cast<const long long*>(from), m);
    return Pack<T>((Raw<T>)_mm256_blendv_epi8((__m256i)rest.v, x, m));
  }
#endif
  T x[Pack<T>::lanes];
  rest.store(x);
  for (int i = 0; i < n; ++i) x[i] = from[i];
  return Pack<T>::load(x);
}

template <class T>
JACQUARD_INLINE void store_partial(Pack<T> p, T* to, int n) {
#if JACQUARD_PACK_BYTES == 64
  if constexpr (sizeof(T) == 4) {
    const __mmask16 m = static_cast<__mmask16>((1u << n) - 1);
    _mm512_mask_storeu_epi32(to, m, (__m512i)p.v);
    return;
  } else if constexpr (sizeof(T) == 8) {
    const __mmask8 m = static_cast<__mmask8>((1u << n) - 1);
    _mm512_mask_storeu_epi64(to, m, (__m512i)p.v);
    return;
  }
#elif JACQUARD_PACK_BYTES == 32
  if constexpr (sizeof(T) == 4) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i m = _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
    _mm256_maskstore_epi32(reinterpret_cast<int*>(to), m, (__m256i)p.v);
    return;
  } else if constexpr (sizeof(T) == 8) {
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    const __m256i m = _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), lane);
    _mm256_maskstore_epi64(reinterpret_cast<long long*>(to), m, (__m256i)p.v);
    return;
  }
#endif
  T x[Pack<T>::lanes];
  p.store(x);
  for (int i = 0; i < n; ++i) to[i] = x[i];
}

// The first n lanes; 0 in the others.
template <class T>
JACQUARD_INLINE Pack<T> keep_first(Pack<T> p, std::size_t n) {
  using S = typename Pack<T>::S;
  Raw<S> lane;
  for (int i = 0; i < Pack<T>::lanes; ++i) lane[i] = i;
  const Mask<S> kept = Pack<S>(lane) < Pack<S>(static_cast<S>(n));
  return select(kept, p, Pack<T>(T(0)));
}

// Bools of as many bytes as a pack has lanes, to a mask and back.
template <class S>
JACQUARD_INLINE Mask<S> load_mask(const std::uint8_t* from) {
  constexpr int lanes = kPackBytes / static_cast<int>(sizeof(S));
  Raw<S> wide;
#if defined(__SSE4_1__) && !defined(JACQUARD_ISA_GENERIC)
  if constexpr (sizeof(S) > 1) {
    __m128i b = _mm_setzero_si128();
    __builtin_memcpy(&b, from, lanes);
#if JACQUARD_PACK_BYTES == 64
    if constexpr (sizeof(S) == 4) wide = (Raw<S>)_mm512_cvtepu8_epi32(b);
    if constexpr (sizeof(S) == 8) wide = (Raw<S>)_mm512_cvtepu8_epi64(b);
#elif JACQUARD_PACK_BYTES == 32
    if constexpr (sizeof(S) == 4) wide = (Raw<S>)_mm256_cvtepu8_epi32(b);
    if constexpr (sizeof(S) == 8) wide = (Raw<S>)_mm256_cvtepu8_epi64(b);
#else
    if constexpr (sizeof(S) == 4) wide = (Raw<S>)_mm_cvtepu8_epi32(b);
    if constexpr (sizeof(S) == 8) wide = (Raw<S>)_mm_cvtepu8_epi64(b);
#endif
    return {(Raw<S>)(wide != 0)};
  }
#endif
  Raw<std::uint8_t, lanes> b;
  __builtin_memcpy(&b, from, sizeof b);
  wide = __builtin_convertvector(b, Raw<S>);
  return {(Raw<S>)(wide != 0)};
}

template <class S>
JACQUARD_INLINE void store_mask(Mask<S> m, std::uint8_t* to) {
  constexpr int lanes = kPackBytes / static_cast<int>(sizeof(S));
#if defined(__SSE4_1__) && !defined(JACQUARD_ISA_GENERIC) && \
    JACQUARD_PACK_BYTES < 64
  if constexpr (sizeof(S) > 1) {
    // To 32 bits in one 128-bit vector or two, then by saturation.
    __m128i low, high;
#if JACQUARD_PACK_BYTES == 32
    const __m256i v = (__m256i)m.v;
    if constexpr (sizeof(S) == 8) {
      low =
          (__m128i)_mm_shuffle_ps((__m128)_mm256_castsi256_si128(v),
                                  (__m128)_mm256_extracti128_si256(v, 1), 0x88);
      high = low;
    } else {
      low = _mm256_castsi256_si128(v);
      high = _mm256_extracti128_si256(v, 1);
    }
#else
    const __m128i v = (__m128i)m.v;
    low = sizeof(S) == 8 ? _mm_shuffle_epi32(v, 0x08) : v;
    high = low;
#endif
    __m128i b = _mm_packs_epi32(low, high);
    b = _mm_and_si128(_mm_packs_epi16(b, b), _mm_set1_epi8(1));
    __builtin_memcpy(to, &b, lanes);
    return;
  }
#endif
  using Bytes = Raw<std::int8_t, lanes>;
  const Bytes b = __builtin_convertvector(m.v, Bytes) & 1;
  __builtin_memcpy(to, &b, sizeof b);
}

// Two packs shuffled into one: lane i is element index(i) of a followed by b.
template <class R, class Index, int... i>
JACQUARD_INLINE R shuffle(R a, R b, Index, std::integer_sequence<int, i...>) {
  return __builtin_shufflevector(a, b, Index::at(i)...);
}
template <class Index, class T>
JACQUARD_INLINE Pack<T> shuffle(Pack<T> a, Pack<T> b) {
  return Pack<T>(shuffle(a.v, b.v, Index{},
                         std::make_integer_sequence<int, Pack<T>::lanes>{}));
}

template <int lanes, int distance>
struct Rotated {
  static constexpr int at(int i) { return (i + distance) % lanes; }
};
// op over all lanes, halves upon each other.
template <class T, class F, int half = Pack<T>::lanes / 2>
JACQUARD_INLINE T fold_lanes(Pack<T> p, F op) {
  if constexpr (half == 0) {
    return p.v[0];
  } else {
    return fold_lanes<T, F, half / 2>(
        op(p, shuffle<Rotated<Pack<T>::lanes, half>>(p, p)), op);
  }
}

// One bit a lane (4- and 8-byte lanes).
template <class S>
JACQUARD_INLINE unsigned mask_bits(Mask<S> m) {
#if JACQUARD_PACK_BYTES == 64
  if constexpr (sizeof(S) == 4) return _mm512_movepi32_mask((__m512i)m.v);
  if constexpr (sizeof(S) == 8) return _mm512_movepi64_mask((__m512i)m.v);
#elif JACQUARD_PACK_BYTES == 32
  if constexpr (sizeof(S) == 4)
    return static_cast<unsigned>(_mm256_movemask_ps((__m256)m.v));
  if constexpr (sizeof(S) == 8)
    return static_cast<unsigned>(_mm256_movemask_pd((__m256d)m.v));
#else
  unsigned bits = 0;
  for (int i = 0; i < Pack<S>::lanes; ++i)
    bits |= static_cast<unsigned>(m.v[i] & 1) << i;
  return bits;
#endif
}

}  // namespace
}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL

#include "cpu_fallback/isa/pack_math.h"
