// Integer arithmetic: add, sub, mul, mul24, mad, div, rem, abs, neg, min, max,
// sad.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "execute/instruction_table.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

template <class T>
using Unsigned = std::make_unsigned_t<T>;

// Arithmetic is done on unsigned numbers that are at least as wide as int, so
// that it wraps.
template <class T>
using Wrapping =
    std::conditional_t<(sizeof(T) < 4), std::uint32_t, Unsigned<T>>;

template <class T>
struct Add {
  static T apply(T a, T b) {
    return static_cast<T>(static_cast<Wrapping<T>>(a) +
                          static_cast<Wrapping<T>>(b));
  }
};

template <class T>
struct Subtract {
  static T apply(T a, T b) {
    return static_cast<T>(static_cast<Wrapping<T>>(a) -
                          static_cast<Wrapping<T>>(b));
  }
};

template <class T>
struct MultiplyLow {
  static T apply(T a, T b) {
    return static_cast<T>(static_cast<Wrapping<T>>(a) *
                          static_cast<Wrapping<T>>(b));
  }
};

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UInt128;

// The type of a full product.
template <class T>
struct Product;
template <>
struct Product<std::uint16_t> {
  using type = std::uint32_t;
};
template <>
struct Product<std::int16_t> {
  using type = std::int32_t;
};
template <>
struct Product<std::uint32_t> {
  using type = std::uint64_t;
};
template <>
struct Product<std::int32_t> {
  using type = std::int64_t;
};
template <>
struct Product<std::uint64_t> {
  using type = UInt128;
};
template <>
struct Product<std::int64_t> {
  using type = Int128;
};

template <class T>
struct MultiplyHigh {
  static T apply(T a, T b) {
    using P = typename Product<T>::type;
    return static_cast<T>(static_cast<P>(a) * static_cast<P>(b) >>
                          (8 * sizeof(T)));
  }
};

template <class T>
struct MultiplyWide {
  using Result = typename Product<T>::type;
  static Result apply(T a, T b) {
    return static_cast<Result>(a) * static_cast<Result>(b);
  }
};

// Of 24-bit operands the low 32 bits of the product are the same signed or
// not, once the operands are cut to 24 bits.
template <class T>
struct Multiply24Low {
  static T apply(T a, T b) {
    const auto cut = [](T x) {
      if constexpr (std::is_signed_v<T>) {
        return static_cast<T>(static_cast<std::uint32_t>(x) << 8) >> 8;
      } else {
        return static_cast<T>(x & 0xffffff);
      }
    };
    return MultiplyLow<T>::apply(cut(a), cut(b));
  }
};

template <class T>
struct MadLow {
  static T apply(T a, T b, T c) {
    return Add<T>::apply(MultiplyLow<T>::apply(a, b), c);
  }
};

template <class T>
struct MadHigh {
  static T apply(T a, T b, T c) {
    return Add<T>::apply(MultiplyHigh<T>::apply(a, b), c);
  }
};

template <class T>
struct MadWide {
  using Result = typename Product<T>::type;
  static Result apply(T a, T b, Result c) {
    return Add<Result>::apply(MultiplyWide<T>::apply(a, b), c);
  }
};

struct MadHighSaturating {
  static std::int32_t apply(std::int32_t a, std::int32_t b, std::int32_t c) {
    const std::int64_t sum =
        static_cast<std::int64_t>(MultiplyHigh<std::int32_t>::apply(a, b)) + c;
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(sum, std::numeric_limits<std::int32_t>::min(),
                                 std::numeric_limits<std::int32_t>::max()));
  }
};

template <bool kSubtract>
struct AddSaturating {
  static std::int32_t apply(std::int32_t a, std::int32_t b) {
    const std::int64_t sum =
        kSubtract ? std::int64_t{a} - b : std::int64_t{a} + b;
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(sum, std::numeric_limits<std::int32_t>::min(),
                                 std::numeric_limits<std::int32_t>::max()));
  }
};

// Division by zero gives all ones; its result is unspecified in PTX.
template <class T>
struct Divide {
  static T apply(T a, T b) {
    if (b == 0) return static_cast<T>(-1);
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return Subtract<T>::apply(0, a);
    }
    return static_cast<T>(a / b);
  }
};

template <class T>
struct Remainder {
  static T apply(T a, T b) {
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>) {
      if (b == T{-1}) return 0;
    }
    return static_cast<T>(a % b);
  }
};

template <class T>
struct Absolute {
  static T apply(T a) { return a < 0 ? Subtract<T>::apply(0, a) : a; }
};

template <class T>
struct Negate {
  static T apply(T a) { return Subtract<T>::apply(0, a); }
};

template <class T>
struct Minimum {
  static T apply(T a, T b) { return b < a ? b : a; }
};

template <class T>
struct Maximum {
  static T apply(T a, T b) { return a < b ? b : a; }
};

// min and max of the 16-bit halves of a word.
template <class Half, template <class> class Op>
struct Packed {
  static std::uint32_t apply(std::uint32_t a, std::uint32_t b) {
    const auto low = static_cast<std::uint16_t>(
        Op<Half>::apply(static_cast<Half>(a), static_cast<Half>(b)));
    const auto high = static_cast<std::uint16_t>(Op<Half>::apply(
        static_cast<Half>(a >> 16), static_cast<Half>(b >> 16)));
    return low | static_cast<std::uint32_t>(high) << 16;
  }
};

template <class T>
struct SumOfDifferences {
  static T apply(T a, T b, T c) {
    return Add<T>::apply(
        c, a < b ? Subtract<T>::apply(b, a) : Subtract<T>::apply(a, b));
  }
};

template <class T, template <class> class Op>
Handler binary_of() {
  return binary<T, T, T, Op<T>>;
}

// The handler of Op for an integer type of 2, 4 or 8 bytes.
template <template <class> class Op>
Handler by_type(Type type) {
  switch (type) {
    case Type::kU16:
      return binary_of<std::uint16_t, Op>();
    case Type::kS16:
      return binary_of<std::int16_t, Op>();
    case Type::kU32:
      return binary_of<std::uint32_t, Op>();
    case Type::kS32:
      return binary_of<std::int32_t, Op>();
    case Type::kU64:
      return binary_of<std::uint64_t, Op>();
    case Type::kS64:
      return binary_of<std::int64_t, Op>();
    default:
      return nullptr;
  }
}

template <template <class> class Op>
Handler ternary_by_type(Type type) {
#define PTX_EMULATOR_CASE(name, T) \
  case Type::name:                 \
    return ternary<T, T, T, T, Op<T>>;
  switch (type) {
    PTX_EMULATOR_CASE(kU16, std::uint16_t)
    PTX_EMULATOR_CASE(kS16, std::int16_t)
    PTX_EMULATOR_CASE(kU32, std::uint32_t)
    PTX_EMULATOR_CASE(kS32, std::int32_t)
    PTX_EMULATOR_CASE(kU64, std::uint64_t)
    PTX_EMULATOR_CASE(kS64, std::int64_t)
    default:
      return nullptr;
  }
#undef PTX_EMULATOR_CASE
}

Type wider(Type type) {
  switch (type) {
    case Type::kU16:
      return Type::kU32;
    case Type::kS16:
      return Type::kS32;
    case Type::kU32:
      return Type::kU64;
    default:
      return Type::kS64;
  }
}

bool is_arithmetic(Type type) {
  return type == Type::kU16 || type == Type::kS16 || type == Type::kU32 ||
         type == Type::kS32 || type == Type::kU64 || type == Type::kS64;
}

bool decode_binary(Decoder& decoder, Instruction& i, Handler handler,
                   Type type) {
  if (handler == nullptr) return false;
  i.handler = handler;
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, type);
  return true;
}

bool decode_add(Decoder& decoder, Instruction& i) {
  if (!is_arithmetic(decoder.type()) || decoder.has("cc")) return false;
  const Type type = decoder.take_type();
  const bool subtract = decoder.opcode() == "sub";
  if (decoder.take("sat")) {
    if (type != Type::kS32) decoder.refuse(".sat of this type");
    return decode_binary(
        decoder, i,
        subtract ? Handler{binary<std::int32_t, std::int32_t, std::int32_t,
                                  AddSaturating<true>>}
                 : Handler{binary<std::int32_t, std::int32_t, std::int32_t,
                                  AddSaturating<false>>},
        type);
  }
  return decode_binary(decoder, i,
                       subtract ? by_type<Subtract>(type) : by_type<Add>(type),
                       type);
}

bool decode_wide_multiply(Decoder& decoder, Instruction& i, Type type) {
#define PTX_EMULATOR_CASE(name, T)                                      \
  case Type::name:                                                      \
    i.handler = binary<MultiplyWide<T>::Result, T, T, MultiplyWide<T>>; \
    break;
  switch (type) {
    PTX_EMULATOR_CASE(kU16, std::uint16_t)
    PTX_EMULATOR_CASE(kS16, std::int16_t)
    PTX_EMULATOR_CASE(kU32, std::uint32_t)
    PTX_EMULATOR_CASE(kS32, std::int32_t)
    default:
      return false;
  }
#undef PTX_EMULATOR_CASE
  i.d = decoder.destination(0, wider(type));
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, type);
  return true;
}

bool decode_multiply(Decoder& decoder, Instruction& i) {
  if (!is_arithmetic(decoder.type())) return false;
  const Type type = decoder.take_type();
  if (decoder.take("wide")) return decode_wide_multiply(decoder, i, type);
  if (decoder.take("hi")) {
    return decode_binary(decoder, i, by_type<MultiplyHigh>(type), type);
  }
  if (!decoder.take("lo")) return false;
  return decode_binary(decoder, i, by_type<MultiplyLow>(type), type);
}

bool decode_multiply24(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  if (!decoder.take("lo")) return false;
  if (type == Type::kU32) {
    return decode_binary(decoder, i, binary_of<std::uint32_t, Multiply24Low>(),
                         type);
  }
  if (type != Type::kS32) return false;
  return decode_binary(decoder, i, binary_of<std::int32_t, Multiply24Low>(),
                       type);
}

bool decode_wide_mad(Decoder& decoder, Instruction& i, Type type) {
#define PTX_EMULATOR_CASE(name, T)                                         \
  case Type::name:                                                         \
    i.handler =                                                            \
        ternary<MadWide<T>::Result, T, T, MadWide<T>::Result, MadWide<T>>; \
    break;
  switch (type) {
    PTX_EMULATOR_CASE(kU16, std::uint16_t)
    PTX_EMULATOR_CASE(kS16, std::int16_t)
    PTX_EMULATOR_CASE(kU32, std::uint32_t)
    PTX_EMULATOR_CASE(kS32, std::int32_t)
    default:
      return false;
  }
#undef PTX_EMULATOR_CASE
  i.d = decoder.destination(0, wider(type));
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, type);
  i.c = decoder.source(3, wider(type));
  return true;
}

bool decode_ternary(Decoder& decoder, Instruction& i, Handler handler,
                    Type type) {
  if (handler == nullptr) return false;
  i.handler = handler;
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, type);
  i.c = decoder.source(3, type);
  return true;
}

bool decode_mad(Decoder& decoder, Instruction& i) {
  if (!is_arithmetic(decoder.type()) || decoder.has("cc")) return false;
  const Type type = decoder.take_type();
  if (decoder.take("wide")) return decode_wide_mad(decoder, i, type);
  if (decoder.take("hi")) {
    if (decoder.take("sat")) {
      if (type != Type::kS32) return false;
      return decode_ternary(decoder, i,
                            ternary<std::int32_t, std::int32_t, std::int32_t,
                                    std::int32_t, MadHighSaturating>,
                            type);
    }
    return decode_ternary(decoder, i, ternary_by_type<MadHigh>(type), type);
  }
  if (!decoder.take("lo")) return false;
  return decode_ternary(decoder, i, ternary_by_type<MadLow>(type), type);
}

bool decode_divide(Decoder& decoder, Instruction& i) {
  if (!is_arithmetic(decoder.type())) return false;
  const Type type = decoder.take_type();
  return decode_binary(decoder, i,
                       decoder.opcode() == "div" ? by_type<Divide>(type)
                                                 : by_type<Remainder>(type),
                       type);
}

template <template <class> class Op>
bool decode_unary(Decoder& decoder, Instruction& i) {
  const Type type = decoder.type();
  switch (type) {
    case Type::kS16:
      i.handler = unary<std::int16_t, std::int16_t, Op<std::int16_t>>;
      break;
    case Type::kS32:
      i.handler = unary<std::int32_t, std::int32_t, Op<std::int32_t>>;
      break;
    case Type::kS64:
      i.handler = unary<std::int64_t, std::int64_t, Op<std::int64_t>>;
      break;
    default:
      return false;
  }
  decoder.take_type();
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  return true;
}

template <template <class> class Op>
bool decode_extremum(Decoder& decoder, Instruction& i) {
  const std::string& last = decoder.statement().modifiers.empty()
                                ? decoder.opcode()
                                : decoder.statement().modifiers.back();
  if (last == "u16x2" || last == "s16x2") {
    decoder.take(last);
    const Handler handler =
        last == "u16x2"
            ? Handler{binary<std::uint32_t, std::uint32_t, std::uint32_t,
                             Packed<std::uint16_t, Op>>}
            : Handler{binary<std::uint32_t, std::uint32_t, std::uint32_t,
                             Packed<std::int16_t, Op>>};
    return decode_binary(decoder, i, handler, Type::kB32);
  }
  if (!is_arithmetic(decoder.type())) return false;
  const Type type = decoder.take_type();
  return decode_binary(decoder, i, by_type<Op>(type), type);
}

bool decode_sad(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  return decode_ternary(decoder, i, ternary_by_type<SumOfDifferences>(type),
                        type);
}

}  // namespace

void add_integer_instructions(InstructionTable* table) {
  (*table)["add"].push_back(decode_add);
  (*table)["sub"].push_back(decode_add);
  (*table)["mul"].push_back(decode_multiply);
  (*table)["mul24"].push_back(decode_multiply24);
  (*table)["mad"].push_back(decode_mad);
  (*table)["div"].push_back(decode_divide);
  (*table)["rem"].push_back(decode_divide);
  (*table)["abs"].push_back(decode_unary<Absolute>);
  (*table)["neg"].push_back(decode_unary<Negate>);
  (*table)["min"].push_back(decode_extremum<Minimum>);
  (*table)["max"].push_back(decode_extremum<Maximum>);
  (*table)["sad"].push_back(decode_sad);
}

}  // namespace ptx_emulator
