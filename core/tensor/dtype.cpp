#include "jacquard/dtype.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <string>

#include "jacquard/error.h"

namespace jacquard {
namespace {

std::atomic<DType> default_type{DType::float32};

ScalarKind category(DType t) {
  if (is_floating(t)) return ScalarKind::floating;
  return is_integer(t) ? ScalarKind::integer : ScalarKind::boolean;
}

// value / 2^shift to nearest, ties to even; 0 < shift < 32.
std::uint32_t shift_to_even(std::uint32_t value, int shift) {
  const std::uint32_t half = 1u << (shift - 1);
  const std::uint32_t rest = value & ((1u << shift) - 1);
  const std::uint32_t quotient = value >> shift;
  const bool up = rest > half || (rest == half && (quotient & 1) != 0);
  return quotient + (up ? 1 : 0);
}

}  // namespace

std::string_view name_of(DType t) {
  constexpr std::string_view names[] = {
      "bool", "int32", "int64", "float16", "bfloat16", "float32", "float64"};
  return names[static_cast<int>(t)];
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (is_half(a) && is_half(b)) return DType::float32;
  return std::max(a, b);  // the enum is in the order of promotion
}

DType promote(DType tensor, ScalarKind scalar) {
  if (scalar <= category(tensor)) return tensor;
  return scalar == ScalarKind::integer ? DType::int64 : default_dtype();
}

DType default_dtype() { return default_type.load(std::memory_order_relaxed); }

void set_default_dtype(DType t) {
  if (!is_floating(t))
    throw DTypeError("set_default_dtype: " + std::string(name_of(t)) +
                     " is not a floating type; use float16, bfloat16, float32 "
                     "or float64");
  default_type.store(t, std::memory_order_relaxed);
}

std::uint16_t float_to_half(float x) {
  constexpr std::uint32_t kInf = 0x7f800000;
  constexpr std::uint32_t kOverflow = 0x477ff000;     // 65520
  constexpr std::uint32_t kSmallNormal = 0x38800000;  // 2⁻¹⁴
  constexpr std::uint32_t kUnderflow = 0x33000000;    // 2⁻²⁵, a tie with 0
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = (bits >> 16) & 0x8000;
  const std::uint32_t magnitude = bits & 0x7fffffff;

  std::uint32_t half = 0;
  if (magnitude > kInf) {
    half = 0x7e00 | ((magnitude >> 13) & 0x3ff);
  } else if (magnitude >= kOverflow) {
    half = 0x7c00;
  } else if (magnitude >= kSmallNormal) {
    // The exponent is rebiased by 112; a carry of the rounding flows into it.
    half = shift_to_even(magnitude - (112u << 23), 13);
  } else if (magnitude > kUnderflow) {
    const std::uint32_t significand = (magnitude & 0x7fffff) | 0x800000;
    half = shift_to_even(significand, 126 - static_cast<int>(magnitude >> 23));
  }
  return static_cast<std::uint16_t>(sign | half);
}

float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1f;
  const std::uint32_t fraction = bits & 0x3ff;
  std::uint32_t magnitude = 0;
  if (exponent == 0) {
    magnitude =
        std::bit_cast<std::uint32_t>(static_cast<float>(fraction) * 0x1p-24f);
  } else if (exponent == 31) {
    magnitude = 0x7f800000 | (fraction << 13);
  } else {
    magnitude = ((exponent + 112) << 23) | (fraction << 13);
  }
  return std::bit_cast<float>(sign | magnitude);
}

std::uint16_t float_to_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return static_cast<std::uint16_t>((bits >> 16) | 0x40);
  return static_cast<std::uint16_t>(shift_to_even(bits, 16));
}

float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace jacquard
