// Logic and shifts: and, or, xor, not, cnot, lop3, shl, shr, shf, prmt, brev,
// popc, clz.
#include <bit>
#include <cstdint>
#include <type_traits>

#include "execute/instruction_table.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

template <class T>
struct And {
  static T apply(T a, T b) { return a & b; }
};
template <class T>
struct Or {
  static T apply(T a, T b) { return a | b; }
};
template <class T>
struct Xor {
  static T apply(T a, T b) { return a ^ b; }
};
template <class T>
struct Not {
  static T apply(T a) { return static_cast<T>(~a); }
};
template <class T>
struct LogicalNot {
  static T apply(T a) { return a == 0; }
};

// Shifts by the width and more leave zeros, or copies of the sign.
template <class T>
struct ShiftLeft {
  static T apply(T a, std::uint32_t n) {
    return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << n);
  }
};
template <class T>
struct ShiftRight {
  static T apply(T a, std::uint32_t n) {
    constexpr std::uint32_t kBits = 8 * sizeof(T);
    if constexpr (std::is_signed_v<T>) {
      return static_cast<T>(a >> (n >= kBits ? kBits - 1 : n));
    } else {
      return n >= kBits ? T{0} : static_cast<T>(a >> n);
    }
  }
};

template <bool kLeft, bool kWrap>
struct FunnelShift {
  static std::uint32_t apply(std::uint32_t a, std::uint32_t b,
                             std::uint32_t c) {
    const std::uint32_t n = kWrap ? c & 31 : std::min(c, 32u);
    const std::uint64_t both = std::uint64_t{b} << 32 | a;
    return static_cast<std::uint32_t>(kLeft ? both << n >> 32 : both >> n);
  }
};

struct Permute {
  static std::uint32_t apply(std::uint32_t a, std::uint32_t b,
                             std::uint32_t selector) {
    const std::uint64_t both = std::uint64_t{b} << 32 | a;
    std::uint32_t result = 0;
    for (int k = 0; k < 4; ++k) {
      const std::uint32_t select = selector >> (4 * k) & 15;
      auto byte = static_cast<std::uint32_t>(both >> (8 * (select & 7)) & 255);
      // The selector's top bit spreads the byte's sign.
      if ((select & 8) != 0) byte = (byte & 0x80) != 0 ? 255 : 0;
      result |= byte << (8 * k);
    }
    return result;
  }
};

// The modes of prmt other than the generic one take the byte number from the
// low bits of c (PTX ISA, table of prmt modes).
struct PermuteMode {
  const char* name;
  std::uint16_t selectors[4];  // generic selectors for c = 0 to 3
};
constexpr PermuteMode kPermuteModes[] = {
    {"f4e", {0x3210, 0x4321, 0x5432, 0x6543}},
    {"b4e", {0x5670, 0x6701, 0x7012, 0x0123}},
    {"rc8", {0x0000, 0x1111, 0x2222, 0x3333}},
    {"ecl", {0x3210, 0x3211, 0x3222, 0x3333}},
    {"ecr", {0x0000, 0x1110, 0x2210, 0x3210}},
    {"rc16", {0x1010, 0x3232, 0x1010, 0x3232}},
};

void permute_mode(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const auto* a = warp.row<std::uint32_t>(i.a);
  const auto* b = warp.row<std::uint32_t>(i.b);
  const auto* c = warp.row<std::uint32_t>(i.c);
  const auto& selectors = kPermuteModes[i.option].selectors;
  write_lanes(warp.row<std::uint32_t>(i.d), lanes, [&](int l) {
    return Permute::apply(a[l], b[l], selectors[c[l] & 3]);
  });
}

void lop3(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const auto* a = warp.row<std::uint32_t>(i.a);
  const auto* b = warp.row<std::uint32_t>(i.b);
  const auto* c = warp.row<std::uint32_t>(i.c);
  // One mask for each row of the truth table.
  std::uint32_t rows[8];
  for (int k = 0; k < 8; ++k) rows[k] = (i.option >> k & 1) != 0 ? ~0u : 0;
  write_lanes(warp.row<std::uint32_t>(i.d), lanes, [&](int l) {
    const std::uint32_t x = a[l], y = b[l], z = c[l];
    return (rows[0] & ~x & ~y & ~z) | (rows[1] & ~x & ~y & z) |
           (rows[2] & ~x & y & ~z) | (rows[3] & ~x & y & z) |
           (rows[4] & x & ~y & ~z) | (rows[5] & x & ~y & z) |
           (rows[6] & x & y & ~z) | (rows[7] & x & y & z);
  });
}

template <class T>
struct Reverse {
  static T apply(T a) {
    T result = 0;
    for (unsigned k = 0; k < 8 * sizeof(T); ++k) {
      result |= (a >> k & 1) << (8 * sizeof(T) - 1 - k);
    }
    return result;
  }
};
template <class T>
struct Population {
  static std::uint32_t apply(T a) {
    return static_cast<std::uint32_t>(std::popcount(a));
  }
};
template <class T>
struct LeadingZeros {
  static std::uint32_t apply(T a) {
    return static_cast<std::uint32_t>(std::countl_zero(a));
  }
};

template <template <class> class Op>
bool decode_logic(Decoder& decoder, Instruction& i) {
  const Type type = decoder.type();
  switch (type) {
    case Type::kB16:
      i.handler = binary<std::uint16_t, std::uint16_t, std::uint16_t,
                         Op<std::uint16_t>>;
      break;
    case Type::kB32:
      i.handler = binary<std::uint32_t, std::uint32_t, std::uint32_t,
                         Op<std::uint32_t>>;
      break;
    case Type::kB64:
      i.handler = binary<std::uint64_t, std::uint64_t, std::uint64_t,
                         Op<std::uint64_t>>;
      break;
    default:
      return false;
  }
  decoder.take_type();
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, type);
  return true;
}

template <template <class> class Op>
bool decode_not(Decoder& decoder, Instruction& i) {
  const Type type = decoder.type();
  switch (type) {
    case Type::kB16:
      i.handler = unary<std::uint16_t, std::uint16_t, Op<std::uint16_t>>;
      break;
    case Type::kB32:
      i.handler = unary<std::uint32_t, std::uint32_t, Op<std::uint32_t>>;
      break;
    case Type::kB64:
      i.handler = unary<std::uint64_t, std::uint64_t, Op<std::uint64_t>>;
      break;
    default:
      return false;
  }
  decoder.take_type();
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  return true;
}

template <class T, template <class> class Op>
constexpr Handler shift_of() {
  return binary<T, T, std::uint32_t, Op<T>>;
}

bool decode_shift(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  const bool left = decoder.opcode() == "shl";
#define PTX_EMULATOR_CASE(name, T)                                           \
  case Type::name:                                                           \
    i.handler = left ? shift_of<T, ShiftLeft>() : shift_of<T, ShiftRight>(); \
    break;
  switch (type) {
    PTX_EMULATOR_CASE(kB16, std::uint16_t)
    PTX_EMULATOR_CASE(kU16, std::uint16_t)
    PTX_EMULATOR_CASE(kS16, std::int16_t)
    PTX_EMULATOR_CASE(kB32, std::uint32_t)
    PTX_EMULATOR_CASE(kU32, std::uint32_t)
    PTX_EMULATOR_CASE(kS32, std::int32_t)
    PTX_EMULATOR_CASE(kB64, std::uint64_t)
    PTX_EMULATOR_CASE(kU64, std::uint64_t)
    PTX_EMULATOR_CASE(kS64, std::int64_t)
    default:
      return false;
  }
#undef PTX_EMULATOR_CASE
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, Type::kU32);
  return true;
}

bool decode_words(Decoder& decoder, Instruction& i, Handler handler) {
  i.handler = handler;
  i.d = decoder.destination(0, Type::kB32);
  i.a = decoder.source(1, Type::kB32);
  i.b = decoder.source(2, Type::kB32);
  if (decoder.operands() > 3) i.c = decoder.source(3, Type::kB32);
  return true;
}

template <class Op>
constexpr Handler words() {
  using U = std::uint32_t;
  return ternary<U, U, U, U, Op>;
}

bool decode_funnel_shift(Decoder& decoder, Instruction& i) {
  if (decoder.take_type() != Type::kB32) return false;
  const bool left = decoder.take("l");
  if (!left && !decoder.take("r")) return false;
  const bool wrap = decoder.take("wrap");
  if (!wrap && !decoder.take("clamp")) return false;
  const Handler handlers[2][2] = {
      {words<FunnelShift<false, false>>(), words<FunnelShift<false, true>>()},
      {words<FunnelShift<true, false>>(), words<FunnelShift<true, true>>()}};
  return decode_words(decoder, i, handlers[left][wrap]);
}

bool decode_permute(Decoder& decoder, Instruction& i) {
  if (decoder.take_type() != Type::kB32) return false;
  for (std::uint8_t k = 0; k < std::size(kPermuteModes); ++k) {
    if (!decoder.take(kPermuteModes[k].name)) continue;
    i.option = k;
    return decode_words(decoder, i, permute_mode);
  }
  return decode_words(decoder, i, words<Permute>());
}

bool decode_lop3(Decoder& decoder, Instruction& i) {
  if (decoder.take_type() != Type::kB32) return false;
  i.option = static_cast<std::uint8_t>(decoder.immediate(4));
  return decode_words(decoder, i, lop3);
}

bool decode_reverse(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  if (type != Type::kB32 && type != Type::kB64) return false;
  i.handler = type == Type::kB64
                  ? unary<std::uint64_t, std::uint64_t, Reverse<std::uint64_t>>
                  : unary<std::uint32_t, std::uint32_t, Reverse<std::uint32_t>>;
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  return true;
}

template <template <class> class Op>
bool decode_count(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  if (type != Type::kB32 && type != Type::kB64) return false;
  i.handler = type == Type::kB64
                  ? unary<std::uint32_t, std::uint64_t, Op<std::uint64_t>>
                  : unary<std::uint32_t, std::uint32_t, Op<std::uint32_t>>;
  i.d = decoder.destination(0, Type::kU32);
  i.a = decoder.source(1, type);
  return true;
}

}  // namespace

void add_bit_instructions(InstructionTable* table) {
  (*table)["and"].push_back(decode_logic<And>);
  (*table)["or"].push_back(decode_logic<Or>);
  (*table)["xor"].push_back(decode_logic<Xor>);
  (*table)["not"].push_back(decode_not<Not>);
  (*table)["cnot"].push_back(decode_not<LogicalNot>);
  (*table)["shl"].push_back(decode_shift);
  (*table)["shr"].push_back(decode_shift);
  (*table)["shf"].push_back(decode_funnel_shift);
  (*table)["prmt"].push_back(decode_permute);
  (*table)["lop3"].push_back(decode_lop3);
  (*table)["brev"].push_back(decode_reverse);
  (*table)["popc"].push_back(decode_count<Population>);
  (*table)["clz"].push_back(decode_count<LeadingZeros>);
}

}  // namespace ptx_emulator
