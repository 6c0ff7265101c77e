// Row operations that one kernel does better than several.
#pragma once

#include <vector>

#include "core/pointwise/program.h"

namespace jacquard::cpu_fallback {

struct RowFusion {
  enum class Kind : std::uint8_t {
    // row_sum(a · b), the product mul or mulz.
    dot,
    dot_mulz,
    // out = row_normalize_vjp(a, b, c), second = row_normalize(a, c): the
    // moments are the same.
    normalize_both,
    // where(row_index == b, c, 0) + mulz(d, row_softmax(a)): how cross-entropy
    // goes back. b, c and d have one value a row.
    softmax_point,
  };
  Kind kind;
  pointwise::Ref out;
  pointwise::Ref second = pointwise::kNoRef;
  pointwise::Ref args[4] = {pointwise::kNoRef, pointwise::kNoRef,
                            pointwise::kNoRef, pointwise::kNoRef};
  // What nobody else computes any more.
  std::vector<pointwise::Ref> inside;
};

// Those of a program of float32 or float64; they have the bits of the single
// operations. alias: the instruction whose value stands for each; uses: by how
// many operands and outputs each is read.
std::vector<RowFusion> find_row_fusions(
    const pointwise::Code& code, const std::vector<pointwise::Ref>& alias,
    const std::vector<int>& uses);

}  // namespace jacquard::cpu_fallback
