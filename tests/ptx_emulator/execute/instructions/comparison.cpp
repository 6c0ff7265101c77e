// Comparisons and selections: setp, set, selp, slct.
#include <cstdint>

#include "execute/instruction_table.h"
#include "execute/instructions/float_operations.h"
#include "execute/instructions/half_format.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

// Those without "u" are false if an operand is NaN, those with it true.
enum class Compare : std::uint8_t {
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kEqu,
  kNeu,
  kLtu,
  kLeu,
  kGtu,
  kGeu,
  kNum,
  kNan,
};
constexpr int kIntegerCompares = 6;
constexpr int kCompares = 14;

// Combines a comparison with a predicate.
enum class Combine : std::uint8_t { kNone, kAnd, kOr, kXor };

template <Compare kCompare, class T>
bool holds(T a, T b) {
  switch (kCompare) {
    case Compare::kEq:
      return a == b;
    case Compare::kNe:
      return a < b || a > b;
    case Compare::kLt:
      return a < b;
    case Compare::kLe:
      return a <= b;
    case Compare::kGt:
      return a > b;
    case Compare::kGe:
      return a >= b;
    case Compare::kEqu:
      return !(a < b || a > b);
    case Compare::kNeu:
      return !(a == b);
    case Compare::kLtu:
      return !(a >= b);
    case Compare::kLeu:
      return !(a > b);
    case Compare::kGtu:
      return !(a <= b);
    case Compare::kGeu:
      return !(a < b);
    case Compare::kNum:
      return a == a && b == b;
    case Compare::kNan:
      return a != a || b != b;
  }
}

template <class T, Compare kCompare>
LaneMask compare_rows(const T* a, const T* b) {
  alignas(64) std::uint32_t flags[kWarpSize];
  for (int l = 0; l < kWarpSize; ++l) {
    flags[l] = holds<kCompare>(a[l], b[l]) ? ~0u : 0u;
  }
  return mask_of(flags);
}

LaneMask combine(Warp& warp, const Instruction& i, LaneMask value) {
  const auto how = static_cast<Combine>(i.option);
  if (how == Combine::kNone) return value;
  LaneMask other = *warp.row<LaneMask>(i.c);
  if (i.option2 != 0) other = ~other;
  if (how == Combine::kAnd) return value & other;
  if (how == Combine::kOr) return value | other;
  return value ^ other;
}

// option: Combine; option2: c is negated; e: the second destination, which
// receives the negated comparison.
void store_comparison(Warp& warp, const Instruction& i, LaneMask lanes,
                      LaneMask value) {
  const LaneMask first = combine(warp, i, value);
  if (i.e != kNoRow) {
    write_predicate(warp, i.e, lanes, combine(warp, i, ~value));
  }
  write_predicate(warp, i.d, lanes, first);
}

template <class T, Compare kCompare>
void set_predicate(Warp& warp, const Instruction& i, LaneMask lanes) {
  store_comparison(
      warp, i, lanes,
      compare_rows<T, kCompare>(warp.row<T>(i.a), warp.row<T>(i.b)));
}

template <class T, int... kIndex>
constexpr auto handlers(std::integer_sequence<int, kIndex...>) {
  return std::array<Handler, sizeof...(kIndex)>{
      set_predicate<T, static_cast<Compare>(kIndex)>...};
}

template <class T, int... kIndex>
constexpr auto functions(std::integer_sequence<int, kIndex...>) {
  using Function = LaneMask (*)(const T*, const T*);
  return std::array<Function, sizeof...(kIndex)>{
      compare_rows<T, static_cast<Compare>(kIndex)>...};
}

template <class T>
Handler handler_of(Compare compare) {
  constexpr int kCount = std::is_integral_v<T> ? kIntegerCompares : kCompares;
  static constexpr auto kHandlers =
      handlers<T>(std::make_integer_sequence<int, kCount>());
  const auto index = static_cast<std::size_t>(compare);
  return index < kHandlers.size() ? kHandlers[index] : nullptr;
}

template <class T>
LaneMask compare_by(std::uint8_t compare, const T* a, const T* b) {
  constexpr int kCount = std::is_integral_v<T> ? kIntegerCompares : kCompares;
  static constexpr auto kFunctions =
      functions<T>(std::make_integer_sequence<int, kCount>());
  return kFunctions[compare](a, b);
}

// count: Compare; list[0]: .ftz. With .ftz, f32 rows are flushed first.
void set_predicate_ftz(Warp& warp, const Instruction& i, LaneMask lanes) {
  alignas(64) float a[kWarpSize], b[kWarpSize];
  for (int l = 0; l < kWarpSize; ++l) {
    a[l] = flush(warp.row<float>(i.a)[l]);
    b[l] = flush(warp.row<float>(i.b)[l]);
  }
  store_comparison(warp, i, lanes, compare_by<float>(i.count, a, b));
}

// The values of 16-bit rows as f32: of a packed row the lower or upper ones.
template <class Format>
void half_row(Warp& warp, const Instruction& i, Row row, int part, int parts,
              float* out) {
  const auto* values = warp.row<std::uint16_t>(row);
  for (int l = 0; l < kWarpSize; ++l) {
    out[l] = Format::to_float(values[l * parts + part]);
    const bool subnormal = std::fabs(out[l]) < Format::kSmallestNormal;
    if (i.list[0] != kNoRow && subnormal) out[l] = std::copysign(0.f, out[l]);
  }
}

template <class Format>
LaneMask compare_halves(Warp& warp, const Instruction& i, int part, int parts) {
  float a[kWarpSize], b[kWarpSize];
  half_row<Format>(warp, i, i.a, part, parts, a);
  half_row<Format>(warp, i, i.b, part, parts, b);
  return compare_by<float>(i.count, a, b);
}

template <class Format>
void set_predicate_half(Warp& warp, const Instruction& i, LaneMask lanes) {
  store_comparison(warp, i, lanes, compare_halves<Format>(warp, i, 0, 1));
}

// The two destinations receive the comparisons of the two halves.
template <class Format>
void set_predicate_packed(Warp& warp, const Instruction& i, LaneMask lanes) {
  const LaneMask low = combine(warp, i, compare_halves<Format>(warp, i, 0, 2));
  const LaneMask high = combine(warp, i, compare_halves<Format>(warp, i, 1, 2));
  write_predicate(warp, i.d, lanes, low);
  if (i.e != kNoRow) write_predicate(warp, i.e, lanes, high);
}

bool take_compare(Decoder& decoder, Type type, Compare* compare) {
  constexpr std::pair<const char*, Compare> kNames[] = {
      {"eq", Compare::kEq},   {"ne", Compare::kNe},   {"lt", Compare::kLt},
      {"le", Compare::kLe},   {"gt", Compare::kGt},   {"ge", Compare::kGe},
      {"lo", Compare::kLt},   {"ls", Compare::kLe},   {"hi", Compare::kGt},
      {"hs", Compare::kGe},   {"equ", Compare::kEqu}, {"neu", Compare::kNeu},
      {"ltu", Compare::kLtu}, {"leu", Compare::kLeu}, {"gtu", Compare::kGtu},
      {"geu", Compare::kGeu}, {"num", Compare::kNum}, {"nan", Compare::kNan}};
  for (const auto& [name, value] : kNames) {
    if (!decoder.take(name)) continue;
    *compare = value;
    return !ptx::is_integer(type) || static_cast<int>(value) < kIntegerCompares;
  }
  return false;
}

// The combining predicate, if there is one, is operand 3.
void take_combine(Decoder& decoder, Instruction& i) {
  Combine how = Combine::kNone;
  if (decoder.take("and")) how = Combine::kAnd;
  if (decoder.take("or")) how = Combine::kOr;
  if (decoder.take("xor")) how = Combine::kXor;
  i.option = static_cast<std::uint8_t>(how);
  if (how != Combine::kNone) i.c = decoder.predicate(3, &i.option2);
}

void take_ftz(Decoder& decoder, Instruction& i) {
  if (decoder.take("ftz")) i.list[0] = 0;
}

Handler set_predicate_handler(Type type, Compare compare, bool ftz) {
  switch (type) {
    case Type::kB16:
    case Type::kU16:
      return handler_of<std::uint16_t>(compare);
    case Type::kS16:
      return handler_of<std::int16_t>(compare);
    case Type::kB32:
    case Type::kU32:
      return handler_of<std::uint32_t>(compare);
    case Type::kS32:
      return handler_of<std::int32_t>(compare);
    case Type::kB64:
    case Type::kU64:
      return handler_of<std::uint64_t>(compare);
    case Type::kS64:
      return handler_of<std::int64_t>(compare);
    case Type::kF32:
      return ftz ? set_predicate_ftz : handler_of<float>(compare);
    case Type::kF64:
      return handler_of<double>(compare);
    case Type::kF16:
      return set_predicate_half<Half>;
    case Type::kBF16:
      return set_predicate_half<Brain>;
    case Type::kF16x2:
      return set_predicate_packed<Half>;
    case Type::kBF16x2:
      return set_predicate_packed<Brain>;
    default:
      return nullptr;
  }
}

bool decode_set_predicate(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  Compare compare{};
  if (!take_compare(decoder, type, &compare)) return false;
  i.count = static_cast<std::uint8_t>(compare);
  take_ftz(decoder, i);
  take_combine(decoder, i);
  i.handler = set_predicate_handler(type, compare, i.list[0] != kNoRow);
  if (i.handler == nullptr) return false;
  i.cls = class_of(type);
  i.d = decoder.destination(0, Type::kPred);
  i.e = decoder.second_destination(0);
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, type);
  return true;
}

LaneMask compare_as(Warp& warp, const Instruction& i, Type type, int part) {
  const auto by = [&]<class T>(T) {
    return compare_by<T>(i.count, warp.row<T>(i.a), warp.row<T>(i.b));
  };
  switch (type) {
    case Type::kB16:
    case Type::kU16:
      return by(std::uint16_t{});
    case Type::kS16:
      return by(std::int16_t{});
    case Type::kB32:
    case Type::kU32:
      return by(std::uint32_t{});
    case Type::kS32:
      return by(std::int32_t{});
    case Type::kB64:
    case Type::kU64:
      return by(std::uint64_t{});
    case Type::kS64:
      return by(std::int64_t{});
    case Type::kF32:
      return by(float{});
    case Type::kF64:
      return by(double{});
    case Type::kF16:
      return compare_halves<Half>(warp, i, 0, 1);
    case Type::kBF16:
      return compare_halves<Brain>(warp, i, 0, 1);
    case Type::kF16x2:
      return compare_halves<Half>(warp, i, part, 2);
    default:
      return compare_halves<Brain>(warp, i, part, 2);
  }
}

// element: the type compared; offset: the bits of "true".
template <class D>
void set_value(Warp& warp, const Instruction& i, LaneMask lanes) {
  const LaneMask result =
      combine(warp, i, compare_as(warp, i, static_cast<Type>(i.element), 0));
  const auto one = static_cast<D>(i.offset);
  write_lanes(warp.row<D>(i.d), lanes,
              [=](int l) -> D { return (result >> l & 1) != 0 ? one : D{0}; });
}

void set_packed(Warp& warp, const Instruction& i, LaneMask lanes) {
  LaneMask result[2];
  for (int part = 0; part < 2; ++part) {
    result[part] = combine(
        warp, i, compare_as(warp, i, static_cast<Type>(i.element), part));
  }
  const auto one = static_cast<std::uint32_t>(i.offset);
  write_lanes(warp.row<std::uint32_t>(i.d), lanes, [&](int l) {
    return ((result[0] >> l & 1) != 0 ? one : 0u) |
           ((result[1] >> l & 1) != 0 ? one << 16 : 0u);
  });
}

bool decode_set(Decoder& decoder, Instruction& i) {
  const Type to = decoder.take_type(), from = decoder.take_type();
  Compare compare{};
  if (!take_compare(decoder, from, &compare)) return false;
  i.count = static_cast<std::uint8_t>(compare);
  i.element = static_cast<std::uint8_t>(from);
  take_ftz(decoder, i);
  // Flushing f32 operands of set is not emulated.
  if (i.list[0] != kNoRow && from == Type::kF32) return false;
  take_combine(decoder, i);
  const bool packed = ptx::is_packed(from);
  if (ptx::is_packed(to) && !packed) return false;
  switch (to) {
    case Type::kF32:
      i.offset = 0x3f800000;
      break;
    case Type::kF16:
    case Type::kF16x2:
      i.offset = Half::kOne;
      break;
    case Type::kBF16:
    case Type::kBF16x2:
      i.offset = Brain::kOne;
      break;
    case Type::kU16:
    case Type::kS16:
      i.offset = 0xffff;
      break;
    case Type::kU32:
    case Type::kS32:
      i.offset = packed ? 0xffff : 0xffffffff;
      break;
    default:
      return false;
  }
  if (packed) {
    if (ptx::type_size(to) != 4) return false;
    i.handler = set_packed;
  } else {
    i.handler = ptx::type_size(to) == 2 ? set_value<std::uint16_t>
                                        : set_value<std::uint32_t>;
  }
  i.cls = class_of(from);
  i.d = decoder.destination(0, to);
  i.a = decoder.source(1, from);
  i.b = decoder.source(2, from);
  return true;
}

// option2: the predicate c is negated.
template <class T>
void select(Warp& warp, const Instruction& i, LaneMask lanes) {
  LaneMask which = *warp.row<LaneMask>(i.c);
  if (i.option2 != 0) which = ~which;
  const T* a = warp.row<T>(i.a);
  const T* b = warp.row<T>(i.b);
  write_lanes(warp.row<T>(i.d), lanes,
              [=](int l) { return (which >> l & 1) != 0 ? a[l] : b[l]; });
}

bool decode_select(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  switch (ptx::type_size(type)) {
    case 2:
      i.handler = select<std::uint16_t>;
      break;
    case 4:
      i.handler = select<std::uint32_t>;
      break;
    case 8:
      i.handler = select<std::uint64_t>;
      break;
    default:
      return false;
  }
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, type);
  i.c = decoder.predicate(3, &i.option2);
  return true;
}

// a where c is not negative, else b; a NaN selects b.
template <class T, class C>
struct SelectBySign {
  static T apply(T a, T b, C c) { return c >= C{0} ? a : b; }
};

bool decode_select_by_sign(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type(), by = decoder.take_type();
  if (by != Type::kS32 && by != Type::kF32) return false;
  using U4 = std::uint32_t;
  using U8 = std::uint64_t;
  using S4 = std::int32_t;
  const bool wide = ptx::type_size(type) == 8;
  if (by == Type::kS32) {
    i.handler = wide ? Handler{ternary<U8, U8, U8, S4, SelectBySign<U8, S4>>}
                     : Handler{ternary<U4, U4, U4, S4, SelectBySign<U4, S4>>};
  } else {
    i.handler =
        wide ? Handler{ternary<U8, U8, U8, float, SelectBySign<U8, float>>}
             : Handler{ternary<U4, U4, U4, float, SelectBySign<U4, float>>};
  }
  if (ptx::type_size(type) < 4) return false;
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, type);
  i.c = decoder.source(3, by);
  return true;
}

}  // namespace

void add_comparison_instructions(InstructionTable* table) {
  (*table)["setp"].push_back(decode_set_predicate);
  (*table)["set"].push_back(decode_set);
  (*table)["selp"].push_back(decode_select);
  (*table)["slct"].push_back(decode_select_by_sign);
}

}  // namespace ptx_emulator
