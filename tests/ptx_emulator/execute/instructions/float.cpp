// f32 and f64 arithmetic, rounded to nearest: add, sub, mul, fma, mad, div,
// rcp.rn, sqrt.rn, min, max, abs, neg, copysign, testp.
#include <cmath>
#include <cstdint>

#include "execute/instruction_table.h"
#include "execute/instructions/float_operations.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

struct Add {
  template <class T>
  static T apply(T a, T b) {
    return canonical(a + b);
  }
};
struct Subtract {
  template <class T>
  static T apply(T a, T b) {
    return canonical(a - b);
  }
};
struct Multiply {
  template <class T>
  static T apply(T a, T b) {
    return canonical(a * b);
  }
};
struct FusedMultiplyAdd {
  template <class T>
  static T apply(T a, T b, T c) {
    return canonical(std::fma(a, b, c));
  }
};
struct Divide {
  template <class T>
  static T apply(T a, T b) {
    return canonical(a / b);
  }
};
// a * (1 / b), whose reciprocal is flushed for large divisors (PTX ISA,
// div.approx.f32).
struct DivideApproximate {
  static float apply(float a, float b) {
    const float size = std::fabs(b);
    if (size > 0x1p126f && size < std::numeric_limits<float>::infinity()) {
      return canonical(a * std::copysign(0.0f, b));
    }
    return canonical(a / b);
  }
};
struct Reciprocal {
  template <class T>
  static T apply(T a) {
    return canonical(T{1} / a);
  }
};
struct SquareRoot {
  template <class T>
  static T apply(T a) {
    return canonical(std::sqrt(a));
  }
};
struct Absolute {
  template <class T>
  static T apply(T a) {
    return std::fabs(a);
  }
};
struct Negate {
  template <class T>
  static T apply(T a) {
    return -a;
  }
};
// The first operand gives the sign.
struct CopySign {
  template <class T>
  static T apply(T a, T b) {
    return std::copysign(b, a);
  }
};
// .xorsign.abs: the extremum of the sizes with the product's sign.
template <bool kMinimum, bool kPropagateNan>
struct SignedExtremum {
  static float apply(float a, float b) {
    const float size =
        Extremum<kMinimum, kPropagateNan>::apply(std::fabs(a), std::fabs(b));
    const std::uint32_t sign =
        (std::bit_cast<std::uint32_t>(a) ^ std::bit_cast<std::uint32_t>(b)) &
        0x80000000u;
    return std::bit_cast<float>(
        (std::bit_cast<std::uint32_t>(size) & 0x7fffffffu) | sign);
  }
};

template <class T, class Op>
constexpr Handler one() {
  return unary<T, T, Op>;
}
template <class T, class Op>
constexpr Handler two() {
  return binary<T, T, T, Op>;
}
template <class T, class Op>
constexpr Handler three() {
  return ternary<T, T, T, T, Op>;
}

// The handler of Op for f32 with its modifiers, or f64, which has none.
template <class Op>
Handler binary_handler(Type type, bool ftz, bool sat) {
  if (type == Type::kF64) return two<double, Op>();
  const Handler handlers[2][2] = {
      {two<float, Op>(), two<float, Modified<Op, false, true>>()},
      {two<float, Modified<Op, true, false>>(),
       two<float, Modified<Op, true, true>>()}};
  return handlers[ftz][sat];
}

template <class Op>
Handler unary_handler(Type type, bool ftz) {
  if (type == Type::kF64) return one<double, Op>();
  return ftz ? one<float, Modified<Op, true, false>>() : one<float, Op>();
}

bool is_single_or_double(Type type) {
  return type == Type::kF32 || type == Type::kF64;
}

// Modifiers that only f32 has.
bool take_f32(Decoder& decoder, Type type, const char* modifier) {
  if (!decoder.take(modifier)) return false;
  if (type != Type::kF32) decoder.refuse("." + std::string(modifier));
  return true;
}

bool sources(Decoder& decoder, Instruction& i, Type type, int count) {
  i.cls = class_of(type);
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  if (count > 1) i.b = decoder.source(2, type);
  if (count > 2) i.c = decoder.source(3, type);
  return true;
}

template <class Op>
bool decode_binary(Decoder& decoder, Instruction& i) {
  if (!is_single_or_double(decoder.type())) return false;
  const Type type = decoder.take_type();
  decoder.take("rn");
  const bool ftz = take_f32(decoder, type, "ftz");
  const bool sat = take_f32(decoder, type, "sat");
  i.handler = binary_handler<Op>(type, ftz, sat);
  return sources(decoder, i, type, 2);
}

bool decode_fma(Decoder& decoder, Instruction& i) {
  if (!is_single_or_double(decoder.type())) return false;
  const Type type = decoder.take_type();
  decoder.take("rn");
  const bool ftz = take_f32(decoder, type, "ftz");
  const bool sat = take_f32(decoder, type, "sat");
  using Op = FusedMultiplyAdd;
  const Handler handlers[2][2] = {
      {three<float, Op>(), three<float, Modified<Op, false, true>>()},
      {three<float, Modified<Op, true, false>>(),
       three<float, Modified<Op, true, true>>()}};
  i.handler = type == Type::kF64 ? three<double, Op>() : handlers[ftz][sat];
  return sources(decoder, i, type, 3);
}

bool decode_divide(Decoder& decoder, Instruction& i) {
  if (!is_single_or_double(decoder.type())) return false;
  const Type type = decoder.take_type();
  const bool approximate = take_f32(decoder, type, "approx");
  if (!approximate) take_f32(decoder, type, "full");
  decoder.take("rn");
  const bool ftz = take_f32(decoder, type, "ftz");
  i.handler = approximate
                  ? binary_handler<DivideApproximate>(Type::kF32, ftz, false)
                  : binary_handler<Divide>(type, ftz, false);
  return sources(decoder, i, type, 2);
}

template <class Op>
bool decode_rounded_unary(Decoder& decoder, Instruction& i) {
  if (!is_single_or_double(decoder.type()) || decoder.has("approx")) {
    return false;
  }
  const Type type = decoder.take_type();
  if (!decoder.take("rn")) return false;
  i.handler = unary_handler<Op>(type, take_f32(decoder, type, "ftz"));
  return sources(decoder, i, type, 1);
}

template <class Op>
bool decode_sign(Decoder& decoder, Instruction& i) {
  if (!is_single_or_double(decoder.type())) return false;
  const Type type = decoder.take_type();
  i.handler = unary_handler<Op>(type, take_f32(decoder, type, "ftz"));
  return sources(decoder, i, type, 1);
}

bool decode_copy_sign(Decoder& decoder, Instruction& i) {
  if (!is_single_or_double(decoder.type())) return false;
  const Type type = decoder.take_type();
  i.handler =
      type == Type::kF64 ? two<double, CopySign>() : two<float, CopySign>();
  return sources(decoder, i, type, 2);
}

template <bool kMinimum>
bool decode_extremum(Decoder& decoder, Instruction& i) {
  if (!is_single_or_double(decoder.type())) return false;
  const Type type = decoder.take_type();
  const bool ftz = take_f32(decoder, type, "ftz");
  const bool nan = take_f32(decoder, type, "NaN");
  if (take_f32(decoder, type, "xorsign")) {
    if (!decoder.take("abs")) return false;
    i.handler = nan ? binary_handler<SignedExtremum<kMinimum, true>>(Type::kF32,
                                                                     ftz, false)
                    : binary_handler<SignedExtremum<kMinimum, false>>(
                          Type::kF32, ftz, false);
  } else {
    i.handler =
        nan ? binary_handler<Extremum<kMinimum, true>>(type, ftz, false)
            : binary_handler<Extremum<kMinimum, false>>(type, ftz, false);
  }
  sources(decoder, i, type, 2);
  if (decoder.operands() > 3) {
    // Three operands need sm_100 and are not emulated.
    decoder.refuse("three operands");
  }
  return true;
}

enum class Property : std::uint8_t {
  kFinite,
  kInfinite,
  kNumber,
  kNotANumber,
  kNormal,
  kSubnormal,
};

template <class T>
void test_property(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const T* a = warp.row<T>(i.a);
  std::uint32_t result = 0;
  for_each_lane(lanes, [&](int l) {
    const int kind = std::fpclassify(a[l]);
    bool holds = false;
    switch (static_cast<Property>(i.option)) {
      case Property::kFinite:
        holds = kind != FP_INFINITE && kind != FP_NAN;
        break;
      case Property::kInfinite:
        holds = kind == FP_INFINITE;
        break;
      case Property::kNumber:
        holds = kind != FP_NAN;
        break;
      case Property::kNotANumber:
        holds = kind == FP_NAN;
        break;
      case Property::kNormal:
        holds = kind == FP_NORMAL;
        break;
      case Property::kSubnormal:
        holds = kind == FP_SUBNORMAL;
        break;
    }
    result |= static_cast<std::uint32_t>(holds) << l;
  });
  write_predicate(warp, i.d, lanes, result);
}

bool decode_test(Decoder& decoder, Instruction& i) {
  if (!is_single_or_double(decoder.type())) return false;
  const Type type = decoder.take_type();
  constexpr const char* kNames[] = {"finite",     "infinite", "number",
                                    "notanumber", "normal",   "subnormal"};
  std::uint8_t property = 0;
  while (property < std::size(kNames) && !decoder.take(kNames[property])) {
    ++property;
  }
  if (property == std::size(kNames)) return false;
  i.option = property;
  i.handler = type == Type::kF64 ? test_property<double> : test_property<float>;
  i.cls = class_of(type);
  i.d = decoder.destination(0, Type::kPred);
  i.a = decoder.source(1, type);
  return true;
}

}  // namespace

void add_float_instructions(InstructionTable* table) {
  (*table)["add"].push_back(decode_binary<Add>);
  (*table)["sub"].push_back(decode_binary<Subtract>);
  (*table)["mul"].push_back(decode_binary<Multiply>);
  (*table)["fma"].push_back(decode_fma);
  (*table)["mad"].push_back(decode_fma);
  (*table)["div"].push_back(decode_divide);
  (*table)["rcp"].push_back(decode_rounded_unary<Reciprocal>);
  (*table)["sqrt"].push_back(decode_rounded_unary<SquareRoot>);
  (*table)["min"].push_back(decode_extremum<true>);
  (*table)["max"].push_back(decode_extremum<false>);
  (*table)["abs"].push_back(decode_sign<Absolute>);
  (*table)["neg"].push_back(decode_sign<Negate>);
  (*table)["copysign"].push_back(decode_copy_sign);
  (*table)["testp"].push_back(decode_test);
}

}  // namespace ptx_emulator
