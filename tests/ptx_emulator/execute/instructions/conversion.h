// What the fast and the general conversions share.
#pragma once

#include "execute/decoder.h"
#include "execute/program.h"

namespace ptx_emulator {

// How one cvt converts; kept in the fields of its instruction.
struct Conversion {
  ptx::Type to = ptx::Type::kNone;
  ptx::Type from = ptx::Type::kNone;
  Rounding rounding = Rounding::kNearest;
  bool to_integral = false;  // .rni and so on: the result is an integer
  bool saturate = false;
  bool ftz = false;
  bool relu = false;
  int to_bytes = 0;    // widths of the registers' lanes, which may be larger
  int from_bytes = 0;  // than the types

  static Conversion of(const Instruction& instruction) {
    const auto flags = instruction.count;
    return {static_cast<ptx::Type>(instruction.element),
            static_cast<ptx::Type>(instruction.option2),
            static_cast<Rounding>(instruction.option),
            (flags & 1) != 0,
            (flags & 2) != 0,
            (flags & 4) != 0,
            (flags & 8) != 0,
            instruction.list[0],
            instruction.list[1]};
  }
  void store(Instruction* instruction) const {
    instruction->element = static_cast<std::uint8_t>(to);
    instruction->option2 = static_cast<std::uint8_t>(from);
    instruction->option = static_cast<std::uint8_t>(rounding);
    instruction->count =
        static_cast<std::uint8_t>((to_integral ? 1 : 0) | (saturate ? 2 : 0) |
                                  (ftz ? 4 : 0) | (relu ? 8 : 0));
    instruction->list[0] = to_bytes;
    instruction->list[1] = from_bytes;
  }
};

// Converts any scalar type to any other, one lane after another.
void convert_any(Warp& warp, const Instruction& instruction,
                 std::uint32_t lanes);

}  // namespace ptx_emulator
