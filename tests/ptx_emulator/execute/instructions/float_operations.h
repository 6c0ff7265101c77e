// Scalar semantics of f32 and f64 arithmetic, shared by the families that
// compute in them.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace ptx_emulator {

// f32 results that are no number all have these bits (PTX ISA, "Floating
// Point Instructions"); f64 keeps the payloads of its operands.
inline constexpr std::uint32_t kCanonicalNan = 0x7fffffff;

template <class T>
inline T canonical(T x) {
  if constexpr (std::is_same_v<T, float>) {
    return x != x ? std::bit_cast<float>(kCanonicalNan) : x;
  } else {
    return x;
  }
}

// .ftz: subnormal numbers become zeros of their sign.
inline float flush(float x) {
  return std::fabs(x) < std::numeric_limits<float>::min()
             ? std::copysign(0.0f, x)
             : x;
}
inline double flush(double x) { return x; }

// .sat: clamped to [0, 1], NaN to 0.
template <class T>
inline T saturate(T x) {
  const T above = x > T{0} ? x : T{0};
  return above < T{1} ? above : T{1};
}

// Op with .ftz on operands and result, and .sat.
template <class Op, bool kFtz, bool kSat>
struct Modified {
  template <class T, class... Rest>
  static T apply(T a, Rest... rest) {
    if constexpr (kFtz) {
      const T result = flush(Op::apply(flush(a), flush(rest)...));
      return kSat ? saturate(result) : result;
    } else {
      const T result = Op::apply(a, rest...);
      return kSat ? saturate(result) : result;
    }
  }
};

// min and max: -0 is below +0; a NaN gives the other operand, or with
// kPropagateNan a NaN.
template <bool kMinimum, bool kPropagateNan>
struct Extremum {
  template <class T>
  static T apply(T a, T b) {
    using Bits =
        std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    const Bits x = std::bit_cast<Bits>(a), y = std::bit_cast<Bits>(b);
    // Of equal numbers only zeros can differ, in their sign.
    const T equal = std::bit_cast<T>(kMinimum ? x | y : x & y);
    const T number = a == b ? equal : ((a < b) == kMinimum ? a : b);
    if constexpr (kPropagateNan) {
      return a != a || b != b ? canonical(a + b) : number;
    } else {
      const T other = a != a ? b : a;
      return a != a || b != b ? canonical(other) : number;
    }
  }
};

}  // namespace ptx_emulator
