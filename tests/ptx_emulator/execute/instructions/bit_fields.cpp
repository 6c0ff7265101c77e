// Bit fields: bfe, bfi, bfind, fns, bmsk, szext.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "execute/instruction_table.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

// As in the PTX ISA's pseudo code of bfe: bits above the field's top take its
// sign, or the word's last bit where the field runs past it.
template <class T>
void extract_field(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  using U = std::make_unsigned_t<T>;
  constexpr std::uint32_t kBits = 8 * sizeof(T);
  const T* a = warp.row<T>(i.a);
  const auto* position = warp.row<std::uint32_t>(i.b);
  const auto* length = warp.row<std::uint32_t>(i.c);
  write_lanes(warp.row<T>(i.d), lanes, [=](int l) -> T {
    const std::uint32_t start = position[l] & 255, count = length[l] & 255;
    const U value = static_cast<U>(a[l]);
    bool sign = false;
    if constexpr (std::is_signed_v<T>) {
      const std::uint32_t top = std::min(start + count - 1, kBits - 1);
      sign = count != 0 && (value >> top & 1) != 0;
    }
    const U moved = start >= kBits ? U{0} : value >> start;
    // How many bits come from the value; the sign fills what is above.
    std::uint32_t taken = start >= kBits ? 0 : std::min(count, kBits - start);
    const U mask = taken >= kBits ? ~U{0} : (U{1} << taken) - 1;
    return static_cast<T>((moved & mask) | (sign ? ~mask : U{0}));
  });
}

template <class T>
void insert_field(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  constexpr std::uint32_t kBits = 8 * sizeof(T);
  const T* a = warp.row<T>(i.a);
  const T* b = warp.row<T>(i.b);
  const auto* position = warp.row<std::uint32_t>(i.c);
  const auto* length = warp.row<std::uint32_t>(i.e);
  write_lanes(warp.row<T>(i.d), lanes, [=](int l) -> T {
    const std::uint32_t start = position[l] & 255, count = length[l] & 255;
    if (start >= kBits) return b[l];
    const T field = count >= kBits ? ~T{0} : (T{1} << count) - 1;
    return (b[l] & ~(field << start)) | (a[l] & field) << start;
  });
}

// option: whether the result is the shift that brings the bit to the top.
template <class T>
void find_leading(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  using U = std::make_unsigned_t<T>;
  constexpr int kBits = 8 * sizeof(T);
  const T* a = warp.row<T>(i.a);
  const bool shift = i.option != 0;
  write_lanes(warp.row<std::uint32_t>(i.d), lanes, [=](int l) {
    U value = static_cast<U>(a[l]);
    if (std::is_signed_v<T> && a[l] < 0) value = static_cast<U>(~value);
    if (value == 0) return ~0u;
    const int zeros = std::countl_zero(value);
    return static_cast<std::uint32_t>(shift ? zeros : kBits - 1 - zeros);
  });
}

// The n-th set bit from a position on, downwards for negative n.
struct FindNthSet {
  static std::uint32_t apply(std::uint32_t mask, std::uint32_t base,
                             std::int32_t offset) {
    if (offset == 0) {
      return (mask >> (base & 31) & 1) != 0 ? base : ~0u;
    }
    const int step = offset < 0 ? -1 : 1;
    int left = offset < 0 ? -offset : offset;
    for (auto at = static_cast<int>(base); at >= 0 && at < 32; at += step) {
      if ((mask >> at & 1) != 0 && --left == 0) {
        return static_cast<std::uint32_t>(at);
      }
    }
    return ~0u;
  }
};

// A mask of b ones from bit a on; .wrap takes both modulo 32.
template <bool kWrap>
struct BitMask {
  static std::uint32_t apply(std::uint32_t a, std::uint32_t b) {
    if (kWrap) {
      a &= 31;
      b &= 31;
    }
    if (a >= 32) return 0;
    return (b >= 32 ? ~0u : (1u << b) - 1) << a;
  }
};

// Sign- or zero-extends the low n bits.
template <class T, bool kWrap>
struct Extend {
  static T apply(T a, std::uint32_t n) {
    if (kWrap) n &= 31;
    if (n >= 32) return a;
    if (n == 0) return 0;
    const auto moved = static_cast<std::uint32_t>(a) << (32 - n);
    return static_cast<T>(moved) >> (32 - n);
  }
};

bool decode_words(Decoder& decoder, Instruction& i, Handler handler) {
  i.handler = handler;
  i.d = decoder.destination(0, Type::kB32);
  i.a = decoder.source(1, Type::kB32);
  i.b = decoder.source(2, Type::kB32);
  if (decoder.operands() > 3) i.c = decoder.source(3, Type::kB32);
  return true;
}

bool decode_extract(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  switch (type) {
    case Type::kU32:
      i.handler = extract_field<std::uint32_t>;
      break;
    case Type::kS32:
      i.handler = extract_field<std::int32_t>;
      break;
    case Type::kU64:
      i.handler = extract_field<std::uint64_t>;
      break;
    case Type::kS64:
      i.handler = extract_field<std::int64_t>;
      break;
    default:
      return false;
  }
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, Type::kU32);
  i.c = decoder.source(3, Type::kU32);
  return true;
}

bool decode_insert(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  if (type != Type::kB32 && type != Type::kB64) return false;
  i.handler = type == Type::kB64 ? insert_field<std::uint64_t>
                                 : insert_field<std::uint32_t>;
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  i.b = decoder.source(2, type);
  i.c = decoder.source(3, Type::kU32);
  i.e = decoder.source(4, Type::kU32);
  return true;
}

bool decode_find_leading(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  switch (type) {
    case Type::kU32:
      i.handler = find_leading<std::uint32_t>;
      break;
    case Type::kS32:
      i.handler = find_leading<std::int32_t>;
      break;
    case Type::kU64:
      i.handler = find_leading<std::uint64_t>;
      break;
    case Type::kS64:
      i.handler = find_leading<std::int64_t>;
      break;
    default:
      return false;
  }
  i.option = decoder.take("shiftamt");
  i.d = decoder.destination(0, Type::kU32);
  i.a = decoder.source(1, type);
  return true;
}

bool decode_find_nth(Decoder& decoder, Instruction& i) {
  if (decoder.take_type() != Type::kB32) return false;
  return decode_words(decoder, i,
                      ternary<std::uint32_t, std::uint32_t, std::uint32_t,
                              std::int32_t, FindNthSet>);
}

bool decode_mask(Decoder& decoder, Instruction& i) {
  using U = std::uint32_t;
  if (decoder.take_type() != Type::kB32) return false;
  const bool wrap = decoder.take("wrap");
  if (!wrap && !decoder.take("clamp")) return false;
  return decode_words(decoder, i,
                      wrap ? Handler{binary<U, U, U, BitMask<true>>}
                           : Handler{binary<U, U, U, BitMask<false>>});
}

bool decode_extend(Decoder& decoder, Instruction& i) {
  using U = std::uint32_t;
  using S = std::int32_t;
  const Type type = decoder.take_type();
  const bool wrap = decoder.take("wrap");
  if (!wrap && !decoder.take("clamp")) return false;
  if (type == Type::kU32) {
    return decode_words(decoder, i,
                        wrap ? Handler{binary<U, U, U, Extend<U, true>>}
                             : Handler{binary<U, U, U, Extend<U, false>>});
  }
  if (type != Type::kS32) return false;
  return decode_words(decoder, i,
                      wrap ? Handler{binary<S, S, U, Extend<S, true>>}
                           : Handler{binary<S, S, U, Extend<S, false>>});
}

}  // namespace

void add_bit_field_instructions(InstructionTable* table) {
  (*table)["bfe"].push_back(decode_extract);
  (*table)["bfi"].push_back(decode_insert);
  (*table)["bfind"].push_back(decode_find_leading);
  (*table)["fns"].push_back(decode_find_nth);
  (*table)["bmsk"].push_back(decode_mask);
  (*table)["szext"].push_back(decode_extend);
}

}  // namespace ptx_emulator
