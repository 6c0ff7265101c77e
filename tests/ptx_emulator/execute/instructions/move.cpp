// mov and its packing forms, cvta, isspacep, and the clocks.
#include <chrono>
#include <cstdint>
#include <cstring>

#include "execute/instruction_table.h"
#include "execute/instructions/memory_operations.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Operand;
using ptx::Type;

struct Identity {
  template <class T>
  static T apply(T a) {
    return a;
  }
};

// list: the parts, lowest first; element: bytes of a part; count: parts.
void pack(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  auto* d = warp.row<std::byte>(i.d);
  const std::size_t bytes = i.element;
  for_each_lane(lanes, [&](int l) {
    const auto lane = static_cast<std::size_t>(l);
    for (std::size_t k = 0; k < i.count; ++k) {
      std::memcpy(d + (lane * i.count + k) * bytes,
                  warp.row<std::byte>(i.list[k]) + lane * bytes, bytes);
    }
  });
}

void unpack(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const auto* a = warp.row<std::byte>(i.a);
  const std::size_t bytes = i.element;
  for_each_lane(lanes, [&](int l) {
    const auto lane = static_cast<std::size_t>(l);
    // A part may be written to the source's own row.
    std::byte value[16];
    std::memcpy(value, a + lane * i.count * bytes, i.count * bytes);
    for (std::size_t k = 0; k < i.count; ++k) {
      if (i.list[k] == kNoRow) continue;
      std::memcpy(warp.row<std::byte>(i.list[k]) + lane * bytes,
                  value + k * bytes, bytes);
    }
  });
}

Type bits_of(int bytes) {
  switch (bytes) {
    case 2:
      return Type::kB16;
    case 4:
      return Type::kB32;
    default:
      return Type::kB64;
  }
}

bool decode_vector(Decoder& decoder, Instruction& i, Type type) {
  const bool packs = decoder.is_vector(1);
  const auto& elements = decoder.operand(packs ? 1 : 0).elements;
  const int bytes = ptx::type_size(type) / static_cast<int>(elements.size());
  if (elements.size() > Instruction::kListSize || bytes < 2 ||
      bytes * static_cast<int>(elements.size()) != ptx::type_size(type)) {
    return false;
  }
  i.handler = packs ? pack : unpack;
  i.count = static_cast<std::uint8_t>(elements.size());
  i.element = static_cast<std::uint8_t>(bytes);
  for (std::size_t k = 0; k < elements.size(); ++k) {
    i.list[k] = packs ? decoder.source_of(elements[k], bits_of(bytes))
                      : decoder.destination_of(elements[k], bits_of(bytes));
  }
  if (packs) {
    i.d = decoder.destination(0, type);
  } else {
    i.a = decoder.source(1, type);
  }
  return true;
}

// option: 0 %clock, 1 %clock64, 2 %globaltimer; 3, 4 their upper halves. A
// clock counts the warp's instructions.
void read_clock(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  std::uint64_t value = warp.executed();
  if (i.option == 2 || i.option == 4) {
    value = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(
            std::chrono::system_clock::now().time_since_epoch())
            .count());
  }
  if (i.option >= 3) value >>= 32;
  if (i.element == 8) {
    write_lanes(warp.row<std::uint64_t>(i.d), lanes,
                [=](int) { return value; });
  } else {
    write_lanes(warp.row<std::uint32_t>(i.d), lanes,
                [=](int) { return static_cast<std::uint32_t>(value); });
  }
}

bool decode_clock(Decoder& decoder, Instruction& i) {
  constexpr std::pair<const char*, std::uint8_t> kClocks[] = {
      {"%clock", 0},          {"%clock64", 1},  {"%globaltimer", 2},
      {"%globaltimer_lo", 2}, {"%clock_hi", 3}, {"%globaltimer_hi", 4}};
  const auto& operands = decoder.statement().operands;
  if (operands.size() != 2) return false;
  for (const auto& [name, option] : kClocks) {
    if (operands[1].name != name) continue;
    const Type type = decoder.take_type();
    decoder.operand(1);
    decoder.take("volatile");
    i.handler = read_clock;
    i.option = option;
    i.element = static_cast<std::uint8_t>(ptx::type_size(type));
    i.d = decoder.destination(0, type);
    return true;
  }
  return false;
}

// d = a + offset, where a has 32- or 64-bit lanes.
template <class D, class A>
void add_offset(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const A* a = warp.row<A>(i.a);
  write_lanes(warp.row<D>(i.d), lanes, [&](int l) {
    return static_cast<D>(a[l] + static_cast<std::uint64_t>(i.offset));
  });
}

Handler add_offset_handler(int to_bytes, bool wide_source) {
  using U4 = std::uint32_t;
  using U8 = std::uint64_t;
  if (to_bytes == 8)
    return wide_source ? add_offset<U8, U8> : add_offset<U8, U4>;
  return wide_source ? add_offset<U4, U8> : add_offset<U4, U4>;
}

bool decode_move(Decoder& decoder, Instruction& i) {
  i.cls = InstructionClass::kMove;
  if (decode_clock(decoder, i)) return true;
  const Type type = decoder.take_type();
  if (decoder.is_vector(0) || decoder.is_vector(1)) {
    return decode_vector(decoder, i, type);
  }
  AddressSpace space{};
  if (decoder.launch_address(1, &space, &i)) {
    i.handler = add_offset_handler(ptx::type_size(type), i.option2 != 0);
    i.d = decoder.destination(0, type);
    return true;
  }
  switch (ptx::type_size(type)) {
    case 2:
      i.handler = unary<std::uint16_t, std::uint16_t, Identity>;
      break;
    case 4:
      i.handler = unary<std::uint32_t, std::uint32_t, Identity>;
      break;
    case 8:
      i.handler = unary<std::uint64_t, std::uint64_t, Identity>;
      break;
    default:
      return false;
  }
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  return true;
}

std::uint64_t window_of_modifier(Decoder& decoder) {
  if (decoder.take("shared") || decoder.take("shared::cta")) {
    return kSharedWindow;
  }
  if (decoder.take("local")) return kLocalWindow;
  if (decoder.take("param") || decoder.take("param::entry")) {
    return kParameterWindow;
  }
  if (!decoder.take("global") && !decoder.take("const")) {
    decoder.refuse("an address space that is not emulated");
  }
  return 0;
}

void leave_window(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const auto* a = warp.row<std::uint64_t>(i.a);
  write_lanes(warp.row<std::uint64_t>(i.d), lanes,
              [=](int l) { return a[l] & kWindowOffset; });
}

bool decode_convert_address(Decoder& decoder, Instruction& i) {
  i.cls = InstructionClass::kMove;
  const Type type = decoder.take_type();
  if (ptx::type_size(type) != 8) return false;
  const bool to_space = decoder.take("to");
  const std::uint64_t window = window_of_modifier(decoder);
  AddressSpace space{};
  if (to_space && window != 0) {
    i.handler = leave_window;
    i.a = decoder.source(1, type);
  } else if (decoder.launch_address(1, &space, &i)) {
    i.handler = add_offset_handler(8, i.option2 != 0);
    i.offset += static_cast<std::int64_t>(window);
  } else {
    i.handler = add_offset<std::uint64_t, std::uint64_t>;
    i.a = decoder.source(1, type);
    i.offset = static_cast<std::int64_t>(window);
  }
  i.d = decoder.destination(0, type);
  return true;
}

void is_in_space(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const auto* a = warp.row<std::uint64_t>(i.a);
  std::uint32_t result = 0;
  for (int l = 0; l < kWarpSize; ++l) {
    result |= static_cast<std::uint32_t>(a[l] >> 56 == i.option) << l;
  }
  write_predicate(warp, i.d, lanes, result);
}

bool decode_is_space(Decoder& decoder, Instruction& i) {
  // Constants lie in global memory here: nothing is in a space of their own.
  constexpr std::uint8_t kNowhere = 255;
  i.option = decoder.has("const")
                 ? kNowhere
                 : static_cast<std::uint8_t>(window_of_modifier(decoder) >> 56);
  decoder.take("const");
  i.handler = is_in_space;
  i.d = decoder.destination(0, Type::kPred);
  i.a = decoder.source(1, Type::kB64);
  return true;
}

}  // namespace

void add_move_instructions(InstructionTable* table) {
  (*table)["mov"].push_back(decode_move);
  (*table)["cvta"].push_back(decode_convert_address);
  (*table)["isspacep"].push_back(decode_is_space);
}

}  // namespace ptx_emulator
