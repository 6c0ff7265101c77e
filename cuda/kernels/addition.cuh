// Sums of two elements as the array's dtype holds them: the half types add in
// float32 and round, integers wrap, bools are or-ed.
#pragma once

#include <cstdint>

namespace jacquard::cuda_backend {

template <class T>
struct Addition {  // float, double and unsigned integers
  using Element = T;
  static __device__ T add(T a, T b) { return a + b; }
};

struct Float16;
template <>
struct Addition<Float16> {
  using Element = std::uint16_t;
  static __device__ float widen(std::uint16_t bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
  }
  static __device__ std::uint16_t add(std::uint16_t a, std::uint16_t b) {
    std::uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(widen(a) + widen(b)));
    return bits;
  }
};

struct BFloat16;
template <>
struct Addition<BFloat16> {
  using Element = std::uint16_t;
  static __device__ float widen(std::uint16_t bits) {
    return __uint_as_float(static_cast<std::uint32_t>(bits) << 16);
  }
  // By bits: the instruction that rounds to bfloat16 needs sm_80.
  static __device__ std::uint16_t add(std::uint16_t a, std::uint16_t b) {
    const std::uint32_t sum = __float_as_uint(widen(a) + widen(b));
    if ((sum & 0x7fffffff) > 0x7f800000)
      return static_cast<std::uint16_t>((sum >> 16) | 0x40);
    return static_cast<std::uint16_t>((sum + 0x7fff + ((sum >> 16) & 1)) >> 16);
  }
};

struct Bool;
template <>
struct Addition<Bool> {
  using Element = std::uint8_t;
  static __device__ std::uint8_t add(std::uint8_t a, std::uint8_t b) {
    return a | b;
  }
};

}  // namespace jacquard::cuda_backend
