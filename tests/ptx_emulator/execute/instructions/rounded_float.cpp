// f32 and f64 arithmetic in the directed rounding modes .rz, .rm and .rp. The
// processor's rounding mode is set for the lanes of one instruction; this file
// is compiled so that the compiler respects that (-frounding-math).
#include <cfenv>
#include <cmath>
#include <cstdint>

#include "execute/instruction_table.h"
#include "execute/instructions/float_operations.h"
#include "execute/instructions/rounding_mode.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

enum class Operation : std::uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kFma,
  kDivide,
  kReciprocal,
  kSquareRoot,
};

template <class T, Operation kOperation>
T compute(T a, T b, T c) {
  switch (kOperation) {
    case Operation::kAdd:
      return a + b;
    case Operation::kSubtract:
      return a - b;
    case Operation::kMultiply:
      return a * b;
    case Operation::kFma:
      return std::fma(a, b, c);
    case Operation::kDivide:
      return a / b;
    case Operation::kReciprocal:
      return T{1} / a;
    case Operation::kSquareRoot:
      return std::sqrt(a);
  }
}

// option: Rounding; option2: .ftz; element: .sat. Missing operands repeat a.
template <class T, Operation kOperation>
void rounded(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  T* d = warp.row<T>(i.d);
  const T* a = warp.row<T>(i.a);
  const T* b = warp.row<T>(i.b);
  const T* c = warp.row<T>(i.c);
  const RoundingMode mode(static_cast<Rounding>(i.option));
  for_each_lane(lanes, [&](int l) {
    // Volatile: computed here, between the changes of the mode.
    volatile T x = i.option2 != 0 ? flush(a[l]) : a[l];
    volatile T y = i.option2 != 0 ? flush(b[l]) : b[l];
    volatile T z = i.option2 != 0 ? flush(c[l]) : c[l];
    volatile T result = compute<T, kOperation>(x, y, z);
    T value = canonical(T{result});
    if (i.option2 != 0) value = flush(value);
    d[l] = i.element != 0 ? saturate(value) : value;
  });
}

template <Operation kOperation>
bool decode(Decoder& decoder, Instruction& i) {
  const Type type = decoder.type();
  if (type != Type::kF32 && type != Type::kF64) return false;
  if (decoder.has("approx") || decoder.has("full")) return false;
  const Rounding rounding = decoder.take_rounding();
  if (rounding == Rounding::kNearest) return false;
  decoder.take_type();
  i.option = static_cast<std::uint8_t>(rounding);
  if (type == Type::kF32) {
    i.option2 = decoder.take("ftz");
    i.element = decoder.take("sat");
  }
  i.handler = type == Type::kF64 ? rounded<double, kOperation>
                                 : rounded<float, kOperation>;
  i.cls = class_of(type);
  i.d = decoder.destination(0, type);
  i.a = i.b = i.c = decoder.source(1, type);
  if (decoder.operands() > 2) i.b = decoder.source(2, type);
  if (decoder.operands() > 3) i.c = decoder.source(3, type);
  return true;
}

}  // namespace

void add_rounded_float_instructions(InstructionTable* table) {
  (*table)["add"].push_back(decode<Operation::kAdd>);
  (*table)["sub"].push_back(decode<Operation::kSubtract>);
  (*table)["mul"].push_back(decode<Operation::kMultiply>);
  (*table)["fma"].push_back(decode<Operation::kFma>);
  (*table)["mad"].push_back(decode<Operation::kFma>);
  (*table)["div"].push_back(decode<Operation::kDivide>);
  (*table)["rcp"].push_back(decode<Operation::kReciprocal>);
  (*table)["sqrt"].push_back(decode<Operation::kSquareRoot>);
}

}  // namespace ptx_emulator
