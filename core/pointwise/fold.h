// Constant folding: the value of an instruction on literals.
#pragma once

#include <optional>
#include <span>

#include "core/pointwise/program.h"

namespace jacquard::pointwise {

// A value rounded to what `dtype` holds: double → float32 → half.
double rounded(double value, DType dtype);

// The value that `instr` has for literal operands of the dtypes given, or
// nothing where a runtime might compute other bits: only + − × ÷ √, sign
// changes, comparisons, logic, `where` and casts in range are folded.
std::optional<Literal> fold(const Instr& instr, std::span<const Literal> args,
                            std::span<const DType> dtypes);

}  // namespace jacquard::pointwise
