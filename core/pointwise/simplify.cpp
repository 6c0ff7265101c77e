#include "core/pointwise/rebuild.h"

namespace jacquard::pointwise {
namespace {

std::vector<bool> live_instrs(const Code& code) {
  std::vector<bool> live(code.instrs.size(), false);
  for (const Output& o : code.outputs) live[o.value] = true;
  for (std::size_t i = code.instrs.size(); i-- > 0;) {
    if (!live[i]) continue;
    const Instr& instr = code.instrs[i];
    for (int k = 0; k < info(instr.op).arity; ++k) live[instr.args[k]] = true;
  }
  return live;
}

// One pass of the builder over the live instructions.
Code rebuilt(const Code& code) {
  const std::vector<bool> live = live_instrs(code);
  std::vector<Ref> map(code.instrs.size(), kNoRef);
  Builder b(code.leaves, code.slots);
  for (std::size_t i = 0; i < code.instrs.size(); ++i)
    if (live[i]) map[i] = rebuild(b, code, code.instrs[i], map);
  for (const Output& o : code.outputs)
    b.output({map[o.value], o.reduction, o.once_a_row});
  return b.take();
}

}  // namespace

Ref rebuild(Builder& b, const Code& code, const Instr& instr,
            const std::vector<Ref>& map) {
  const auto arg = [&](int k) {
    return instr.args[k] == kNoRef ? kNoRef : map[instr.args[k]];
  };
  switch (instr.op) {
    case Op::load:
    case Op::index:
    case Op::uniform:
    case Op::normal:
      return b.read_leaf(instr.imm);
    case Op::slot:
      return b.read_slot(instr.imm);
    case Op::constant: {
      const Literal l = code.constants[instr.imm];
      return is_floating(instr.dtype) ? b.constant(l.f, instr.dtype)
                                      : b.constant_int(l.i, instr.dtype);
    }
    case Op::row_index:
      return b.row_index();
    case Op::row_length:
      return b.row_length(instr.dtype);
    case Op::cast:
      return b.cast(arg(0), instr.dtype);
    default:
      return b.apply(instr.op, arg(0), arg(1), arg(2));
  }
}

Code simplify(const Code& code) {
  // What a rewrite leaves unread goes with the next pass; a pass that removes
  // nothing was the last.
  Code out = rebuilt(code);
  for (;;) {
    Code next = rebuilt(out);
    if (next == out) return out;
    out = std::move(next);
  }
}

}  // namespace jacquard::pointwise
