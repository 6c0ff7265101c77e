#include "core/pointwise/derivatives.h"
#include "core/pointwise/levels.h"
#include "core/pointwise/rebuild.h"
#include "core/pointwise/reverse.h"

namespace jacquard::pointwise {
namespace {

// The forward sweep: beside each instruction, its tangent.
class ForwardSweep {
 public:
  ForwardSweep(const Code& forward, const Reverse& reverse, std::uint64_t with)
      : forward_(forward),
        active_(active_instrs(forward, with)),
        builder_(forward.leaves, forward.slots),
        tangents_(forward.instrs.size()) {
    for (std::size_t i = 0; i < forward.leaves.size(); ++i)
      sources_.push_back(static_cast<int>(i));
    const Output& out = forward.outputs[0];
    if (!active_[out.value]) return;
    recompute(reverse.sources);
    for (std::size_t i = 0; i < forward.instrs.size(); ++i)
      if (active_[i]) visit(i);
    builder_.output(
        {tangents_[out.value].ref, Reduction::store, out.once_a_row});
  }

  Pushforward take() {
    Pushforward out;
    if (builder_.code().outputs.empty()) return out;
    out.program = Program::intern(without_unread_leaves(
        simplify(builder_.code()), sources_, out.sources));
    return out;
  }

 private:
  // What the reverse reads instead of recomputing it is read here, too.
  void recompute(const std::vector<int>& read) {
    const auto& outputs = forward_.outputs;
    for (std::size_t i = 0; i < forward_.instrs.size(); ++i) {
      int saved = -1;
      for (const int source : read) {
        const int j = Reverse::kOutput - source;
        if (source < 0 && source > Reverse::kCotangent &&
            outputs[static_cast<std::size_t>(j)].value == i)
          saved = j;
      }
      if (saved < 0) {
        primal_.push_back(
            rebuild(builder_, forward_, forward_.instrs[i], primal_));
        continue;
      }
      Leaf leaf{Op::load, forward_.instrs[i].dtype};
      leaf.per_row = outputs[static_cast<std::size_t>(saved)].once_a_row;
      primal_.push_back(builder_.leaf(leaf));
      sources_.push_back(Reverse::kOutput - saved);
    }
  }

  Expr computed(Ref r) {
    return Expr{&builder_, r}.cast(compute_type(builder_.dtype(r)));
  }

  void visit(std::size_t i) {
    const Instr& instr = forward_.instrs[i];
    if (instr.op == Op::load) {
      Leaf leaf = forward_.leaves[instr.imm];
      leaf.dtype = compute_type(leaf.dtype);
      tangents_[i] = {&builder_, builder_.leaf(leaf)};
      sources_.push_back(Pushforward::kTangent - static_cast<int>(instr.imm));
      return;
    }
    Differential d{instr.op, {}, computed(primal_[i]), {}};
    for (int k = 0; k < info(instr.op).arity; ++k)
      d.args[k] = computed(primal_[instr.args[k]]);
    for (int k = 0; k < info(instr.op).arity; ++k) {
      const Ref arg = instr.args[k];
      if (!active_[arg] || !has_derivative(instr.op, k)) continue;
      d.cotangent = tangents_[arg];
      const Expr term = jvp(d, k);
      tangents_[i] = tangents_[i] ? tangents_[i] + term : term;
    }
  }

  const Code& forward_;
  std::vector<bool> active_;
  Builder builder_;
  std::vector<Ref> primal_;
  std::vector<Expr> tangents_;
  std::vector<int> sources_;
};

}  // namespace

Pushforward pushforward_of(const Code& forward, const Reverse& reverse,
                           std::uint64_t tracked, std::uint64_t with) {
  const Code code = expanded(forward, tracked);
  return ForwardSweep(code, reverse, with).take();
}

const Pushforward& Program::pushforward(std::uint64_t tracked,
                                        std::uint64_t with) const {
  const Reverse& full = reverse(tracked, tracked);
  ReverseCache& cache = *reverse_;
  std::lock_guard lock(cache.mutex);
  auto& pushed = cache.pushed[{tracked, with}];
  if (!pushed)
    pushed = std::make_unique<Pushforward>(
        pushforward_of(code_, full, tracked, with));
  return *pushed;
}

}  // namespace jacquard::pointwise
