// Quotient and remainder by a number that is the same for a whole launch.
#pragma once

#include <cstdint>

namespace jacquard::cuda_backend {

template <class Int>
struct Divider;

// For dividends below 2³¹, by a multiplication (Granlund and Montgomery,
// "Division by invariant integers using multiplication", figure 4.1).
template <>
struct Divider<std::uint32_t> {
  std::uint32_t divisor, magic, shift;

  explicit Divider(std::uint32_t d) : divisor(d), magic(0), shift(0) {
    while ((1ull << shift) < d) ++shift;
    magic = static_cast<std::uint32_t>((((1ull << shift) - d) << 32) / d + 1);
  }
  __device__ std::uint32_t quotient(std::uint32_t n) const {
    return (__umulhi(n, magic) + n) >> shift;
  }
};

template <>
struct Divider<std::uint64_t> {
  std::uint64_t divisor;

  explicit Divider(std::uint64_t d) : divisor(d) {}
  __device__ std::uint64_t quotient(std::uint64_t n) const {
    return n / divisor;
  }
};

}  // namespace jacquard::cuda_backend
