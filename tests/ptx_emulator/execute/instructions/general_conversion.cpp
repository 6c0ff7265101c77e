// cvt between any two scalar types in any rounding mode. Compiled with
// -frounding-math.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>

#include "execute/instructions/conversion.h"
#include "execute/instructions/float_operations.h"
#include "execute/instructions/half_format.h"
#include "execute/instructions/rounding_mode.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

__extension__ typedef __int128 Int128;

struct Range {
  Int128 low, high;
};

Range range_of(Type type) {
  const int bits = 8 * ptx::type_size(type);
  if (ptx::is_signed(type)) {
    return {-(Int128{1} << (bits - 1)), (Int128{1} << (bits - 1)) - 1};
  }
  return {0, (Int128{1} << bits) - 1};
}

// The low bits of a register as an integer of the type.
Int128 read_integer(std::uint64_t bits, Type type) {
  const int unused = 64 - 8 * ptx::type_size(type);
  const std::uint64_t top = bits << unused;
  if (ptx::is_signed(type)) {
    return static_cast<std::int64_t>(top) >> unused;
  }
  return top >> unused;
}

double read_float(std::uint64_t bits, Type type) {
  switch (type) {
    case Type::kF16:
      return Half::to_float(static_cast<std::uint16_t>(bits));
    case Type::kBF16:
      return Brain::to_float(static_cast<std::uint16_t>(bits));
    case Type::kF32:
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    default:
      return std::bit_cast<double>(bits);
  }
}

double round_integral(double x, Rounding rounding) {
  switch (rounding) {
    case Rounding::kNearest:
      return std::nearbyint(x);
    case Rounding::kZero:
      return std::trunc(x);
    case Rounding::kDown:
      return std::floor(x);
    default:
      return std::ceil(x);
  }
}

// Halves take their sum to odd first, so that the last rounding is the only
// one: an integer of 64 bits need not fit into a double.
double integer_to_odd(Int128 value) {
  const auto high = static_cast<double>(static_cast<std::int64_t>(value >> 32));
  const auto low =
      static_cast<double>(static_cast<std::uint32_t>(value & 0xffffffff));
  return add_to_odd(high * 0x1p32, low);
}

std::uint64_t float_bits(float x, const Conversion& how) {
  if (how.ftz) x = flush(x);
  if (how.saturate) x = saturate(x);
  return std::bit_cast<std::uint32_t>(canonical(x));
}

std::uint64_t half_bits(double x, const Conversion& how) {
  if (how.saturate) x = saturate(x);
  if (how.relu && x <= 0) x = 0;
  const float odd = round_to_odd(x);
  // An integral result is exact in f32, but perhaps not in 16 bits.
  const Rounding rounding = how.to_integral ? Rounding::kNearest : how.rounding;
  return how.to == Type::kF16 ? Half::from_float(odd, rounding)
                              : Brain::from_float(odd, rounding);
}

std::uint64_t integer_to_float(Int128 value, const Conversion& how) {
  volatile std::int64_t as_signed = static_cast<std::int64_t>(value);
  volatile std::uint64_t as_unsigned = static_cast<std::uint64_t>(value);
  const bool negative = value < 0;
  if (how.to == Type::kF32) {
    volatile float x = negative ? static_cast<float>(as_signed)
                                : static_cast<float>(as_unsigned);
    return float_bits(x, how);
  }
  if (how.to == Type::kF64) {
    volatile double x = negative ? static_cast<double>(as_signed)
                                 : static_cast<double>(as_unsigned);
    return std::bit_cast<std::uint64_t>(how.saturate ? saturate(double{x})
                                                     : double{x});
  }
  return half_bits(integer_to_odd(value), how);
}

std::uint64_t float_to_float(double x, const Conversion& how) {
  if (how.to_integral) x = round_integral(x, how.rounding);
  if (how.to == Type::kF64) {
    return std::bit_cast<std::uint64_t>(how.saturate ? saturate(x) : x);
  }
  if (how.to == Type::kF32) {
    volatile double wide = x;
    volatile float narrow = static_cast<float>(wide);
    return float_bits(narrow, how);
  }
  return half_bits(x, how);
}

// NaN becomes 0, or with 64-bit operands the lowest signed number (PTX ISA,
// cvt, "Integer Notes").
std::uint64_t float_to_integer(double x, const Conversion& how) {
  const Range range = range_of(how.to);
  if (x != x) {
    const bool wide = how.from == Type::kF64 || ptx::type_size(how.to) == 8;
    if (!wide) return 0;
    return std::uint64_t{1} << (8 * ptx::type_size(how.to) - 1);
  }
  x = round_integral(x, how.rounding);
  if (x <= static_cast<double>(range.low)) {
    return static_cast<std::uint64_t>(range.low);
  }
  if (x >= static_cast<double>(range.high)) {
    return static_cast<std::uint64_t>(range.high);
  }
  return static_cast<std::uint64_t>(static_cast<Int128>(x));
}

std::uint64_t convert(std::uint64_t bits, const Conversion& how) {
  if (ptx::is_float(how.from)) {
    double x = read_float(bits, how.from);
    if (how.ftz && how.from == Type::kF32) x = flush(static_cast<float>(x));
    return ptx::is_float(how.to) ? float_to_float(x, how)
                                 : float_to_integer(x, how);
  }
  Int128 value = read_integer(bits, how.from);
  if (ptx::is_float(how.to)) return integer_to_float(value, how);
  if (how.saturate) {
    const Range range = range_of(how.to);
    value = value < range.low ? range.low : value;
    value = value > range.high ? range.high : value;
  }
  return static_cast<std::uint64_t>(value);
}

}  // namespace

void convert_any(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const Conversion how = Conversion::of(i);
  const auto* from = warp.row<std::byte>(i.a);
  auto* to = warp.row<std::byte>(i.d);
  std::optional<RoundingMode> mode;
  if (!how.to_integral && how.rounding != Rounding::kNearest) {
    mode.emplace(how.rounding);
  }
  for_each_lane(lanes, [&](int l) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, from + l * how.from_bytes,
                static_cast<std::size_t>(how.from_bytes));
    std::uint64_t result = convert(bits, how);
    // In a wider register the result is extended.
    if (!ptx::is_float(how.to)) {
      result = static_cast<std::uint64_t>(read_integer(result, how.to));
    }
    std::memcpy(to + l * how.to_bytes, &result,
                static_cast<std::size_t>(how.to_bytes));
  });
}

}  // namespace ptx_emulator
