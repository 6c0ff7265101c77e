// cvt: the frequent conversions as vector loops, all others by convert_any;
// and cvt.pack.
#include "execute/instructions/conversion.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "execute/instruction_table.h"
#include "execute/instructions/float_operations.h"
#include "execute/instructions/half_format.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

template <class D>
struct Cast {
  template <class S>
  static D apply(S a) {
    return static_cast<D>(a);
  }
};

struct ToFloat {
  static float apply(double a) { return canonical(static_cast<float>(a)); }
};

template <Rounding kRounding>
struct RoundIntegral {
  template <class T>
  static T apply(T a) {
    switch (kRounding) {
      case Rounding::kNearest:
        return canonical(std::nearbyint(a));
      case Rounding::kZero:
        return canonical(std::trunc(a));
      case Rounding::kDown:
        return canonical(std::floor(a));
      case Rounding::kUp:
        return canonical(std::ceil(a));
    }
  }
};

// f32 to a 32-bit integer, saturating; all limits are exact in f64.
template <class D, Rounding kRounding>
struct ToInteger {
  static D apply(float a) {
    constexpr double kLow = std::numeric_limits<D>::min();
    constexpr double kHigh = std::numeric_limits<D>::max();
    double x = RoundIntegral<kRounding>::apply(a);
    x = x > kLow ? x : kLow;
    x = x < kHigh ? x : kHigh;
    return a != a ? D{0} : static_cast<D>(x);
  }
};

struct SaturateFloat {
  static float apply(float a) { return saturate(a); }
};

template <class Format>
void from_half(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  alignas(64) float x[kWarpSize];
  Format::to_floats(warp.row<std::uint16_t>(i.a), x, kWarpSize);
  write_lanes(warp.row<float>(i.d), lanes,
              [&](int l) { return canonical(x[l]); });
}

template <class Format>
void to_half(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  alignas(64) std::uint16_t h[kWarpSize];
  Format::from_floats(warp.row<float>(i.a), h, kWarpSize);
  write_lanes(warp.row<std::uint16_t>(i.d), lanes, [&](int l) { return h[l]; });
}

// d = {b, a}: a becomes the upper half. option: Rounding; element: .relu.
template <class Format>
void to_packed(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  alignas(64) std::uint16_t high[kWarpSize], low[kWarpSize];
  const auto convert = [&](Row row, std::uint16_t* out) {
    const auto* x = warp.row<float>(row);
    if (i.option == 0 && i.element == 0) {
      Format::from_floats(x, out, kWarpSize);
      return;
    }
    for (int l = 0; l < kWarpSize; ++l) {
      const float value = i.element != 0 && x[l] <= 0 ? 0.0f : x[l];
      out[l] = Format::from_float(value, static_cast<Rounding>(i.option));
    }
  };
  convert(i.a, high);
  convert(i.b, low);
  write_lanes(warp.row<std::uint32_t>(i.d), lanes, [&](int l) {
    return static_cast<std::uint32_t>(high[l]) << 16 | low[l];
  });
}

// f32 to the 19 bits of tf32, ties away from zero.
struct ToTf32 {
  static std::uint32_t apply(std::uint32_t a) {
    const bool is_nan = (a & 0x7fffffff) > 0x7f800000;
    return is_nan ? kCanonicalNan : (a + 0x1000) & ~0x1fffu;
  }
};

// Casts between integers that fill their registers.
template <class D, class S>
constexpr Handler cast() {
  return unary<D, S, Cast<D>>;
}

template <class D>
Handler cast_from(Type from) {
  switch (from) {
    case Type::kU16:
      return cast<D, std::uint16_t>();
    case Type::kS16:
      return cast<D, std::int16_t>();
    case Type::kU32:
      return cast<D, std::uint32_t>();
    case Type::kS32:
      return cast<D, std::int32_t>();
    case Type::kU64:
      return cast<D, std::uint64_t>();
    case Type::kS64:
      return cast<D, std::int64_t>();
    default:
      return nullptr;
  }
}

Handler integer_cast(const Conversion& how) {
  if (how.saturate || how.to_bytes != ptx::type_size(how.to) ||
      how.from_bytes != ptx::type_size(how.from)) {
    return nullptr;
  }
  switch (ptx::type_size(how.to)) {
    case 2:
      return cast_from<std::uint16_t>(how.from);
    case 4:
      return cast_from<std::uint32_t>(how.from);
    case 8:
      return cast_from<std::uint64_t>(how.from);
    default:
      return nullptr;
  }
}

template <class D>
Handler to_integer(Rounding rounding) {
  const Handler handlers[] = {unary<D, float, ToInteger<D, Rounding::kNearest>>,
                              unary<D, float, ToInteger<D, Rounding::kZero>>,
                              unary<D, float, ToInteger<D, Rounding::kDown>>,
                              unary<D, float, ToInteger<D, Rounding::kUp>>};
  return handlers[static_cast<int>(rounding)];
}

template <class T>
Handler round_integral(Rounding rounding) {
  const Handler handlers[] = {unary<T, T, RoundIntegral<Rounding::kNearest>>,
                              unary<T, T, RoundIntegral<Rounding::kZero>>,
                              unary<T, T, RoundIntegral<Rounding::kDown>>,
                              unary<T, T, RoundIntegral<Rounding::kUp>>};
  return handlers[static_cast<int>(rounding)];
}

Handler float_result(const Conversion& how) {
  if (how.rounding != Rounding::kNearest) return nullptr;
  if (how.to == Type::kF16 || how.to == Type::kBF16) {
    if (how.from != Type::kF32) return nullptr;
    return how.to == Type::kF16 ? to_half<Half> : to_half<Brain>;
  }
  const bool wide = how.to == Type::kF64;
  switch (how.from) {
    case Type::kF32:
      return wide ? unary<double, float, Cast<double>> : nullptr;
    case Type::kF64:
      return wide ? nullptr : unary<float, double, ToFloat>;
    case Type::kF16:
      return wide ? nullptr : from_half<Half>;
    case Type::kBF16:
      return wide ? nullptr : from_half<Brain>;
    default:
      return wide ? cast_from<double>(how.from) : cast_from<float>(how.from);
  }
}

// A vector loop for the conversion, or null.
Handler fast_handler(const Conversion& how) {
  if (ptx::is_integer(how.to) && ptx::is_integer(how.from)) {
    return integer_cast(how);
  }
  if (how.to_bytes != ptx::type_size(how.to) ||
      how.from_bytes != ptx::type_size(how.from) || how.ftz || how.relu) {
    return nullptr;
  }
  if (how.saturate) {
    const bool only_clamps = how.to == Type::kF32 && how.from == Type::kF32 &&
                             !how.to_integral &&
                             how.rounding == Rounding::kNearest;
    return only_clamps ? unary<float, float, SaturateFloat> : nullptr;
  }
  if (how.to == how.from && how.to_integral) {
    if (how.to == Type::kF32) return round_integral<float>(how.rounding);
    if (how.to == Type::kF64) return round_integral<double>(how.rounding);
    return nullptr;
  }
  if (ptx::is_float(how.to)) {
    return how.to_integral ? nullptr : float_result(how);
  }
  if (how.from == Type::kF32 && how.to == Type::kS32) {
    return to_integer<std::int32_t>(how.rounding);
  }
  if (how.from == Type::kF32 && how.to == Type::kU32) {
    return to_integer<std::uint32_t>(how.rounding);
  }
  return nullptr;
}

bool decode_packed(Decoder& decoder, Instruction& i, Type to) {
  if (decoder.take_type() != Type::kF32) return false;
  i.option = static_cast<std::uint8_t>(decoder.take_rounding());
  i.element = decoder.take("relu");
  i.handler = to == Type::kF16x2 ? to_packed<Half> : to_packed<Brain>;
  i.cls = InstructionClass::kConversion;
  i.d = decoder.destination(0, to);
  i.a = decoder.source(1, Type::kF32);
  i.b = decoder.source(2, Type::kF32);
  return true;
}

bool decode_tf32(Decoder& decoder, Instruction& i) {
  if (!decoder.take("rna") || decoder.take_type() != Type::kF32) return false;
  i.handler = unary<std::uint32_t, std::uint32_t, ToTf32>;
  i.cls = InstructionClass::kConversion;
  i.d = decoder.destination(0, Type::kB32);
  i.a = decoder.source(1, Type::kF32);
  return true;
}

bool decode(Decoder& decoder, Instruction& i) {
  if (decoder.take("tf32")) return decode_tf32(decoder, i);
  if (decoder.has("pack")) return false;
  Conversion how;
  how.to = decoder.take_type();
  if (ptx::is_packed(how.to)) return decode_packed(decoder, i, how.to);
  how.from = decoder.take_type();
  if (ptx::is_packed(how.from)) return false;
  how.to_integral = decoder.take_integer_rounding(&how.rounding);
  if (!how.to_integral) how.rounding = decoder.take_rounding();
  how.saturate = decoder.take("sat");
  how.ftz = decoder.take("ftz");
  how.relu = decoder.take("relu");
  if (ptx::is_float(how.from) && !ptx::is_float(how.to) && !how.to_integral) {
    decoder.refuse("a conversion to an integer needs a rounding mode");
  }
  i.d = decoder.wide_destination(decoder.operand(0), how.to, &how.to_bytes);
  if (i.d == kNoRow) return false;
  i.a = decoder.wide_source(decoder.operand(1), how.from, &how.from_bytes);
  const bool wide_float =
      (ptx::is_float(how.to) && how.to_bytes != ptx::type_size(how.to)) ||
      (ptx::is_float(how.from) && how.from_bytes != ptx::type_size(how.from));
  if (wide_float || how.to_bytes < ptx::type_size(how.to) ||
      how.from_bytes < ptx::type_size(how.from)) {
    decoder.refuse("registers that do not fit the types");
  }
  how.store(&i);
  i.handler = fast_handler(how);
  if (i.handler == nullptr) i.handler = convert_any;
  const bool is_double = how.to == Type::kF64 || how.from == Type::kF64;
  i.cls = is_double ? InstructionClass::kF64 : InstructionClass::kConversion;
  return true;
}

// cvt.pack.sat.T.s32{.b32} d, a, b{, c}: a and b saturated to T; the result
// has a above b, and above them the low bits of c.
void pack_saturated(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const auto* a = warp.row<std::int32_t>(i.a);
  const auto* b = warp.row<std::int32_t>(i.b);
  const auto* c = warp.row<std::uint32_t>(i.c);
  const int bits = i.count;
  const std::int32_t low = i.option != 0 ? -(1 << (bits - 1)) : 0;
  const std::int32_t high =
      i.option != 0 ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
  const std::uint32_t mask = (1u << bits) - 1;
  write_lanes(warp.row<std::uint32_t>(i.d), lanes, [&](int l) {
    const auto part = [&](std::int32_t x) {
      x = x < low ? low : x > high ? high : x;
      return static_cast<std::uint32_t>(x) & mask;
    };
    const std::uint32_t two = part(a[l]) << bits | part(b[l]);
    return bits == 16 ? two : c[l] << (2 * bits) | two;
  });
}

bool decode_pack(Decoder& decoder, Instruction& i) {
  if (!decoder.take("pack") || !decoder.take("sat")) return false;
  const Type to = decoder.take_type();
  if (to != Type::kU8 && to != Type::kS8 && to != Type::kU16 &&
      to != Type::kS16) {
    return false;
  }
  if (decoder.take_type() != Type::kS32) return false;
  i.handler = pack_saturated;
  i.cls = InstructionClass::kConversion;
  i.count = static_cast<std::uint8_t>(8 * ptx::type_size(to));
  i.option = ptx::is_signed(to);
  i.d = decoder.destination(0, Type::kB32);
  i.a = decoder.source(1, Type::kS32);
  i.b = decoder.source(2, Type::kS32);
  i.c = kZero;
  if (ptx::type_size(to) == 1) {
    if (decoder.take_type() != Type::kB32) return false;
    i.c = decoder.source(3, Type::kB32);
  }
  return true;
}

}  // namespace

void add_conversion_instructions(InstructionTable* table) {
  (*table)["cvt"].push_back(decode);
  (*table)["cvt"].push_back(decode_pack);
}

}  // namespace ptx_emulator
