#include "core/pointwise/reverse.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <tuple>

#include "core/pointwise/derivatives.h"
#include "core/pointwise/levels.h"
#include "core/pointwise/rebuild.h"
#include "jacquard/error.h"

namespace jacquard::pointwise {
namespace {

Expr computed(Builder& b, Ref r) {
  return Expr{&b, r}.cast(compute_type(b.dtype(r)));
}

}  // namespace

std::vector<bool> active_instrs(const Code& code, std::uint64_t tracked) {
  std::vector<bool> active(code.instrs.size(), false);
  for (std::size_t i = 0; i < active.size(); ++i) {
    const Instr& instr = code.instrs[i];
    if (!is_floating(instr.dtype)) continue;
    if (instr.op == Op::load)
      active[i] = instr.imm < 64 && (tracked >> instr.imm & 1);
    for (int k = 0; k < info(instr.op).arity; ++k)
      if (active[instr.args[k]] && has_derivative(instr.op, k))
        active[i] = true;
  }
  return active;
}

Code expanded(const Code& code, std::uint64_t tracked) {
  const std::vector<bool> active = active_instrs(code, tracked);
  Builder b(code.leaves, code.slots);
  std::vector<Ref> map;
  for (std::size_t i = 0; i < code.instrs.size(); ++i) {
    const Instr& instr = code.instrs[i];
    if (instr.op != Op::row_normalize_vjp || !active[i]) {
      map.push_back(rebuild(b, code, instr, map));
      continue;
    }
    const Expr value = expanded_row_normalize_vjp(
        computed(b, map[instr.args[0]]), computed(b, map[instr.args[1]]),
        computed(b, map[instr.args[2]]));
    map.push_back(value.cast(instr.dtype).ref);
  }
  for (const Output& o : code.outputs)
    b.output({map[o.value], o.reduction, o.once_a_row});
  return b.take();
}

namespace {

// The reverse sweep over one program, building the reverse program.
class Sweep {
 public:
  // `saved`: outputs that are read instead of recomputed.
  Sweep(const Code& forward, std::uint64_t tracked,
        const std::vector<std::uint16_t>& saved)
      : forward_(forward),
        active_(active_instrs(forward, tracked)),
        levels_(levels(forward)),
        builder_(forward.leaves, forward.slots),
        full_(forward.instrs.size()),
        row_(forward.instrs.size()) {
    for (std::size_t i = 0; i < forward.leaves.size(); ++i)
      result_.sources.push_back(static_cast<int>(i));
    recompute(saved);
    enter_cotangents();
    for (std::size_t i = forward.instrs.size(); i-- > 0;)
      if (active_[i]) visit(i);
    for (auto [leaf, output] : gradients_) {
      result_.wanted.push_back(leaf);
      builder_.output(output);
    }
    result_.code = simplify(builder_.code());
  }

  FullReverse take() { return std::move(result_); }

 private:
  void recompute(const std::vector<std::uint16_t>& saved) {
    for (std::size_t i = 0; i < forward_.instrs.size(); ++i) {
      const Instr& instr = forward_.instrs[i];
      const auto j = std::ranges::find_if(saved, [&](std::uint16_t out) {
        return forward_.outputs[out].value == i;
      });
      if (j == saved.end()) {
        primal_.push_back(rebuild(builder_, forward_, instr, primal_));
        continue;
      }
      Leaf leaf{Op::load, instr.dtype};
      leaf.per_row = forward_.outputs[*j].once_a_row;
      primal_.push_back(builder_.leaf(leaf));
      result_.sources.push_back(Reverse::kOutput - *j);
    }
  }

  void enter_cotangents() {
    for (std::size_t j = 0; j < forward_.outputs.size(); ++j) {
      const Output& out = forward_.outputs[j];
      if (!active_[out.value]) continue;
      if (out.reduction > Reduction::mean)
        throw GraphError(
            "prod, max and min over an axis are not differentiable inside a "
            "fused program");
      const DType dtype = compute_type(forward_.instrs[out.value].dtype);
      Leaf leaf{Op::load, dtype};
      leaf.per_row = out.once_a_row;
      Expr g{&builder_, builder_.leaf(leaf)};
      result_.sources.push_back(Reverse::kCotangent - static_cast<int>(j));
      if (out.reduction == Reduction::mean) {
        g = g * Expr{&builder_, builder_.slot(dtype)};
        result_.means.push_back(static_cast<std::uint16_t>(j));
      }
      accumulate(out.once_a_row ? row_ : full_, out.value, g);
    }
  }

  static void accumulate(std::vector<Expr>& to, std::size_t i, Expr g) {
    to[i] = to[i] ? to[i] + g : g;
  }

  // The cotangent of a row constant is one value a row: what its uses at each
  // place of the row contribute is summed over the row.
  Expr cotangent(std::size_t i) const {
    Expr full = full_[i];
    Expr row = row_[i];
    if (levels_[i] == Level::row) {
      if (full) full = row_sum(full);
    } else if (row) {
      row = row / row_length(row);
    }
    return full && row ? row + full : full ? full : row;
  }

  void visit(std::size_t i) {
    const Instr& instr = forward_.instrs[i];
    const Expr g = cotangent(i);
    if (!g) return;
    if (instr.op == Op::load) {
      Output out{g.ref};
      out.once_a_row = levels_[i] == Level::row;
      gradients_.emplace(instr.imm, out);
      return;
    }
    Differential d{instr.op, {}, computed(builder_, primal_[i]), g};
    for (int k = 0; k < info(instr.op).arity; ++k)
      d.args[k] = computed(builder_, primal_[instr.args[k]]);
    for (int k = 0; k < info(instr.op).arity; ++k) {
      const Ref arg = instr.args[k];
      if (!active_[arg] || !has_derivative(instr.op, k)) continue;
      const bool once_a_row = is_row(instr.op) ? is_row_operand(instr.op, k)
                                               : levels_[i] == Level::row;
      accumulate(once_a_row ? row_ : full_, arg, vjp(d, k));
    }
  }

  const Code& forward_;
  std::vector<bool> active_;
  std::vector<Level> levels_;
  Builder builder_;
  std::vector<Ref> primal_;
  // Contributions to the cotangent of each instruction: one an element, and
  // one a row.
  std::vector<Expr> full_, row_;
  std::map<std::uint16_t, Output> gradients_;  // by leaf
  FullReverse result_;
};

// Outputs that a reverse program could read: stored as they are.
std::vector<std::uint16_t> savable_outputs(const Code& code) {
  const std::vector<Level> level = levels(code);
  std::vector<std::uint16_t> out;
  for (std::size_t j = 0; j < code.outputs.size(); ++j) {
    const Output& o = code.outputs[j];
    const bool repeated = std::ranges::any_of(out, [&](std::uint16_t other) {
      return code.outputs[other].value == o.value;
    });
    if (o.reduction == Reduction::store && !repeated &&
        !is_leaf(code.instrs[o.value].op) &&
        (o.once_a_row || level[o.value] == Level::full))
      out.push_back(static_cast<std::uint16_t>(j));
  }
  return out;
}

// Sets of saved outputs that are tried: all of them if there are few.
std::vector<std::vector<std::uint16_t>> choices(
    const std::vector<std::uint16_t>& outputs) {
  constexpr std::size_t kFew = 4;
  std::vector<std::vector<std::uint16_t>> sets = {{}};
  if (outputs.size() > kFew) {
    for (std::uint16_t j : outputs) sets.push_back({j});
    sets.push_back(outputs);
    return sets;
  }
  for (std::uint16_t j : outputs)
    for (std::size_t s = 0, n = sets.size(); s < n; ++s) {
      sets.push_back(sets[s]);
      sets.back().push_back(j);
    }
  return sets;
}

// Memory leaves read, then instructions.
std::pair<std::size_t, std::size_t> cost(const Code& code) {
  const auto loads = std::ranges::count(code.instrs, Op::load, &Instr::op);
  return {static_cast<std::size_t>(loads), code.instrs.size()};
}

bool names_leaf(const Instr& i) {
  return is_leaf(i.op) && i.op != Op::slot && i.op != Op::constant;
}

}  // namespace

Code without_unread_leaves(Code code, const std::vector<int>& sources,
                           std::vector<int>& read) {
  std::vector<int> number(code.leaves.size(), -1);
  for (const Instr& i : code.instrs)
    if (names_leaf(i)) number[i.imm] = 0;
  std::vector<Leaf> leaves;
  for (std::size_t i = 0; i < number.size(); ++i) {
    if (number[i] < 0) continue;
    number[i] = static_cast<int>(leaves.size());
    leaves.push_back(code.leaves[i]);
    read.push_back(sources[i]);
  }
  for (Instr& i : code.instrs)
    if (names_leaf(i)) i.imm = static_cast<std::uint16_t>(number[i.imm]);
  code.leaves = std::move(leaves);
  return code;
}

FullReverse full_reverse(const Code& forward, std::uint64_t tracked) {
  const Code code = expanded(forward, tracked);
  std::optional<FullReverse> best;
  for (const auto& saved : choices(savable_outputs(code))) {
    FullReverse candidate = Sweep(code, tracked, saved).take();
    if (!best || cost(candidate.code) < cost(best->code))
      best = std::move(candidate);
  }
  return std::move(*best);
}

Reverse reduced_reverse(const FullReverse& full, std::uint64_t wanted) {
  Reverse out;
  out.means = full.means;
  Code code = full.code;
  code.outputs.clear();
  for (std::size_t i = 0; i < full.wanted.size(); ++i) {
    if (!(wanted >> full.wanted[i] & 1)) continue;
    out.wanted.push_back(full.wanted[i]);
    code.outputs.push_back(full.code.outputs[i]);
  }
  out.program = Program::intern(
      without_unread_leaves(simplify(code), full.sources, out.sources));
  return out;
}

const Reverse& Program::reverse(std::uint64_t tracked,
                                std::uint64_t wanted) const {
  ReverseCache& cache = *reverse_;
  std::lock_guard lock(cache.mutex);
  auto& reduced = cache.reduced[{tracked, wanted}];
  if (reduced) return *reduced;
  auto full = cache.full.find(tracked);
  if (full == cache.full.end())
    full = cache.full.emplace(tracked, full_reverse(code_, tracked)).first;
  reduced = std::make_unique<Reverse>(
      reduced_reverse(full->second, wanted & tracked));
  return *reduced;
}

}  // namespace jacquard::pointwise
