// Arithmetic of several words: add.cc, addc, sub.cc, subc, mad.cc, madc. The
// carry of each lane is one bit of the warp's condition code.
#include <cstdint>

#include "execute/instruction_table.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

enum Operation : std::uint8_t { kAdd, kSubtract, kMadLow, kMadHigh };
enum Carry : std::uint8_t { kCarryIn = 1, kCarryOut = 2 };

__extension__ typedef unsigned __int128 UInt128;

// option: Operation; option2: Carry bits.
template <class T>
void with_carry(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  constexpr int kBits = 8 * sizeof(T);
  T* d = warp.row<T>(i.d);
  const T* a = warp.row<T>(i.a);
  const T* b = warp.row<T>(i.b);
  const T* c = warp.row<T>(i.c);
  std::uint32_t carries = warp.carry();
  for_each_lane(lanes, [&](int l) {
    const unsigned in = (i.option2 & kCarryIn) != 0 ? warp.carry() >> l & 1 : 0;
    UInt128 result = 0;
    if (i.option == kSubtract) {
      // The borrow is the bit above those of a difference that wraps.
      result = UInt128{a[l]} - b[l] - in;
    } else if (i.option == kAdd) {
      result = UInt128{a[l]} + b[l] + in;
    } else {
      const UInt128 product = UInt128{a[l]} * b[l];
      const T part =
          static_cast<T>(i.option == kMadLow ? product : product >> kBits);
      result = UInt128{part} + c[l] + in;
    }
    d[l] = static_cast<T>(result);
    if ((i.option2 & kCarryOut) != 0) {
      const auto out = static_cast<std::uint32_t>(result >> kBits & 1);
      carries = (carries & ~(1u << l)) | out << l;
    }
  });
  warp.carry() = carries;
}

bool decode_carry(Decoder& decoder, Instruction& i) {
  const std::string& opcode = decoder.opcode();
  const bool carry_in = opcode.back() == 'c';
  if (!carry_in && !decoder.has("cc")) return false;
  const Type type = decoder.take_type();
  if (!ptx::is_integer(type)) return false;
  i.handler = ptx::type_size(type) == 8 ? with_carry<std::uint64_t>
                                        : with_carry<std::uint32_t>;
  i.option2 = static_cast<std::uint8_t>((carry_in ? kCarryIn : 0) |
                                        (decoder.take("cc") ? kCarryOut : 0));
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  i.b = i.c = decoder.source(2, type);
  if (opcode.starts_with("mad")) {
    i.option = decoder.take("hi") ? kMadHigh : kMadLow;
    if (i.option == kMadLow && !decoder.take("lo")) return false;
    i.c = decoder.source(3, type);
  } else {
    i.option = opcode.starts_with("sub") ? kSubtract : kAdd;
  }
  return true;
}

}  // namespace

void add_carry_instructions(InstructionTable* table) {
  for (const char* opcode : {"add", "addc", "sub", "subc", "mad", "madc"}) {
    (*table)[opcode].push_back(decode_carry);
  }
}

}  // namespace ptx_emulator
