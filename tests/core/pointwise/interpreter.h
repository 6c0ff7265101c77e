// A reference interpreter of programs: plain loops in double.
#pragma once

#include <vector>

#include "core/pointwise/program.h"

namespace jacquard::pointwise {

// A space of `rows` rows of `cols` elements. leaves[i] holds one value for each
// element. Slots are read as doubles.
struct Inputs {
  int rows = 1;
  int cols = 1;
  std::vector<std::vector<double>> leaves;
  std::vector<double> slots;
};

// The value of each output at each element, no reduction done. Every
// instruction is rounded to its dtype.
std::vector<std::vector<double>> evaluate(const Code& code, const Inputs& in);

}  // namespace jacquard::pointwise
