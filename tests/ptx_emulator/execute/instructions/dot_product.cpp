// Dot products of bytes: dp4a, dp2a.
#include <cstdint>

#include "execute/instruction_table.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

// option, option2: whether a and b are signed; element: bits of a's parts.
// dp2a multiplies the 16-bit halves of a by two bytes of b, from `count` on.
void dot_product(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const auto* a = warp.row<std::uint32_t>(i.a);
  const auto* b = warp.row<std::uint32_t>(i.b);
  const auto* c = warp.row<std::uint32_t>(i.c);
  const int bits = i.element, parts = 32 / i.element, first = i.count;
  const auto part = [](std::uint32_t word, int k, int width, bool is_signed) {
    const std::uint32_t moved = word << (32 - width * (k + 1));
    return is_signed ? static_cast<std::int64_t>(
                           static_cast<std::int32_t>(moved) >> (32 - width))
                     : static_cast<std::int64_t>(moved >> (32 - width));
  };
  write_lanes(warp.row<std::uint32_t>(i.d), lanes, [&](int l) {
    std::int64_t sum = c[l];
    for (int k = 0; k < parts; ++k) {
      sum += part(a[l], k, bits, i.option != 0) *
             part(b[l], first + k, 8, i.option2 != 0);
    }
    return static_cast<std::uint32_t>(sum);
  });
}

bool decode_dot_product(Decoder& decoder, Instruction& i) {
  i.handler = dot_product;
  const bool quad = decoder.opcode() == "dp4a";
  if (!quad) {
    i.count = decoder.take("hi") ? 2 : 0;
    if (i.count == 0 && !decoder.take("lo")) return false;
  }
  i.element = quad ? 8 : 16;
  const Type a = decoder.take_type(), b = decoder.take_type();
  i.option = a == Type::kS32;
  i.option2 = b == Type::kS32;
  i.d = decoder.destination(0, Type::kB32);
  i.a = decoder.source(1, Type::kB32);
  i.b = decoder.source(2, Type::kB32);
  i.c = decoder.source(3, Type::kB32);
  return true;
}

}  // namespace

void add_dot_product_instructions(InstructionTable* table) {
  (*table)["dp4a"].push_back(decode_dot_product);
  (*table)["dp2a"].push_back(decode_dot_product);
}

}  // namespace ptx_emulator
