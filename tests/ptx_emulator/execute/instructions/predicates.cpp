// Logic and moves of predicates: and, or, xor, not, mov with .pred. A
// predicate of all lanes is one mask.
#include "execute/instruction_table.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

enum Operation : std::uint8_t { kAnd, kOr, kXor, kMove, kNot };

// option, option2: whether a and b are negated; element: Operation.
void predicate_logic(Warp& warp, const Instruction& i, LaneMask lanes) {
  LaneMask a = *warp.row<LaneMask>(i.a), b = *warp.row<LaneMask>(i.b);
  if (i.option != 0) a = ~a;
  if (i.option2 != 0) b = ~b;
  LaneMask result = a;
  switch (i.element) {
    case kAnd:
      result = a & b;
      break;
    case kOr:
      result = a | b;
      break;
    case kXor:
      result = a ^ b;
      break;
    case kNot:
      result = ~a;
      break;
    default:
      break;
  }
  write_predicate(warp, i.d, lanes, result);
}

template <Operation kOperation>
bool decode(Decoder& decoder, Instruction& i) {
  if (decoder.type() != Type::kPred) return false;
  decoder.take_type();
  i.handler = predicate_logic;
  i.element = kOperation;
  i.cls = kOperation == kMove ? InstructionClass::kMove
                              : InstructionClass::kInteger;
  i.d = decoder.destination(0, Type::kPred);
  i.a = i.b = decoder.predicate(1, &i.option);
  if (kOperation <= kXor) i.b = decoder.predicate(2, &i.option2);
  return true;
}

}  // namespace

void add_predicate_instructions(InstructionTable* table) {
  (*table)["and"].push_back(decode<kAnd>);
  (*table)["or"].push_back(decode<kOr>);
  (*table)["xor"].push_back(decode<kXor>);
  (*table)["mov"].push_back(decode<kMove>);
  (*table)["not"].push_back(decode<kNot>);
}

}  // namespace ptx_emulator
