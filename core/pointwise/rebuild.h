// Carrying instructions over from one program to another.
#pragma once

#include <vector>

#include "core/pointwise/program.h"

namespace jacquard::pointwise {

// The instruction, made anew in `b`, which has the leaves and slots of `code`
// under the same numbers. map: where b has the instructions of `code`.
Ref rebuild(Builder& b, const Code& code, const Instr& instr,
            const std::vector<Ref>& map);

}  // namespace jacquard::pointwise
