// Host scalars of a call that is planned.
//
// The compiler numbers them, and a number goes wherever its scalar goes: with
// operands, slots, what is saved for a reverse, launches (Literal::origin). So
// each slot of a launch that holds the scalar is known, and gets another value
// at the next call. Whatever else is computed from a scalar on the host – a
// choice between formulas, a scale – is not known: whoever looks at the number
// behind an operand is reported, and the plan then holds for that value only.
#pragma once

#include <cstdint>
#include <vector>

#include "core/pointwise/program.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::tape {

struct JACQUARD_API PlannedScalar {
  // A scalar has two numbers: of its value as given, and after it of the value
  // as a double.
  static constexpr std::uint32_t kNumbers = 2;

  // What a slot of the dtype holds for the operand.
  static pointwise::Literal slot(const Operand& scalar, DType dtype);
  // The operand's value as it is: in `i` if it is an integer or bool.
  static pointwise::Literal value(const Operand& scalar);
  // A scalar of the same kind and line with another value and its number.
  static Operand with_value(const Operand& scalar, pointwise::Literal value);

  // The numbers of this thread's plan that the host has looked at are added to
  // `seen`, which lives as long as the watch.
  class Watch {
   public:
    explicit Watch(std::vector<std::uint32_t>& seen);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    std::vector<std::uint32_t>* before_;
  };
};

}  // namespace jacquard::tape
