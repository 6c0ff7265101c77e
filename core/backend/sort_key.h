// Numbers as unsigned integers of the same order: what sorts compare.
#pragma once

#include <cstdint>

#include "jacquard/dtype.h"

#ifdef __CUDACC__
#define JACQUARD_BOTH __host__ __device__
#else
#define JACQUARD_BOTH
#endif

namespace jacquard::backend {

// NaN, whatever its sign, is above all; −0 is 0.
class SortKey {
 public:
  SortKey(DType dtype, bool descending)
      : bits_(static_cast<int>(8 * size_of(dtype))),
        flip_(descending ? mask() : 0) {
    switch (dtype) {
      case DType::float16:
        infinity_ = 0x7c00;
        break;
      case DType::bfloat16:
        infinity_ = 0x7f80;
        break;
      case DType::float32:
        infinity_ = 0x7f800000;
        break;
      case DType::float64:
        infinity_ = 0x7ff0000000000000;
        break;
      case DType::bool_:
        signed_ = false;
        break;
      default:
        break;
    }
  }

  int bits() const { return bits_; }

  // `x`: the bits of a number of the dtype.
  JACQUARD_BOTH std::uint64_t of(std::uint64_t x) const {
    const std::uint64_t sign = std::uint64_t{1} << (bits_ - 1);
    std::uint64_t key = x;
    if (infinity_ != 0) {
      const std::uint64_t size = x & (sign - 1);
      if (size > infinity_)
        key = mask();
      else if (size == 0)
        key = sign;
      else
        key = (x & sign) != 0 ? ~x & mask() : x | sign;
    } else if (signed_) {
      key = x ^ sign;
    }
    return key ^ flip_;
  }

 private:
  JACQUARD_BOTH std::uint64_t mask() const {
    return ~std::uint64_t{0} >> (64 - bits_);
  }

  int bits_;
  bool signed_ = true;
  std::uint64_t infinity_ = 0;  // bits of +∞ of a floating dtype
  std::uint64_t flip_;
};

}  // namespace jacquard::backend

#undef JACQUARD_BOTH
