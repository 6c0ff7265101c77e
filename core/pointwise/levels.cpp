#include "core/pointwise/levels.h"

#include <algorithm>

namespace jacquard::pointwise {

bool has_rows(const Code& code) {
  return std::ranges::any_of(code.instrs,
                             [](const Instr& i) { return is_row(i.op); }) ||
         std::ranges::any_of(code.outputs,
                             [](const Output& o) { return o.once_a_row; });
}

std::vector<Level> levels(const Code& code) {
  std::vector<Level> out(code.instrs.size(), Level::full);
  if (!has_rows(code)) return out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Instr& instr = code.instrs[i];
    switch (instr.op) {
      case Op::slot:
      case Op::constant:
      case Op::row_length:
        out[i] = Level::neutral;
        continue;
      case Op::load:
      case Op::index:
      case Op::uniform:
      case Op::normal:
        if (code.leaves[instr.imm].per_row) out[i] = Level::row;
        continue;
      default:
        break;
    }
    if (is_row(instr.op)) {
      if (is_row_constant(instr.op)) out[i] = Level::row;
      continue;
    }
    out[i] = Level::neutral;
    for (int k = 0; k < info(instr.op).arity; ++k)
      out[i] = std::max(out[i], out[instr.args[k]]);
  }
  return out;
}

}  // namespace jacquard::pointwise
