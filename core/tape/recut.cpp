#include "core/tape/recut.h"

#include <algorithm>
#include <utility>

#include "core/tape/region.h"
#include "core/tape/region_pullback.h"

namespace jacquard::tape {

using pointwise::Code;
using pointwise::Instr;
using pointwise::kNoRef;
using pointwise::Ref;

namespace {

// Copies what the outputs of a region read, numbered as if it had been
// gathered so.
class Pruning {
 public:
  explicit Pruning(const Region& from)
      : from_(from), refs_(from.code.instrs.size(), kNoRef) {}

  Region run() {
    to_.space = from_.space;
    to_.has_row = from_.has_row;
    mark();
    for (std::size_t r = 0; r < refs_.size(); ++r)
      if (read_[r]) refs_[r] = copy(from_.code.instrs[r]);
    for (pointwise::Output o : from_.code.outputs) {
      o.value = refs_[o.value];
      to_.code.outputs.push_back(o);
    }
    return std::move(to_);
  }
  // kNoRef if it is gone.
  Ref now(Ref before) const { return refs_[before]; }

 private:
  void mark() {
    read_.assign(refs_.size(), false);
    for (const pointwise::Output& o : from_.code.outputs) read_[o.value] = true;
    for (std::size_t r = refs_.size(); r-- > 0;)
      if (read_[r])
        for (const Ref a : from_.code.instrs[r].args)
          if (a != kNoRef) read_[a] = true;
  }

  std::uint16_t slot(std::uint16_t before) {
    to_.slots.push_back(from_.slots[before]);
    to_.code.slots.push_back(from_.code.slots[before]);
    return static_cast<std::uint16_t>(to_.slots.size() - 1);
  }

  Ref copy(Instr instr) {
    for (Ref& a : instr.args)
      if (a != kNoRef) a = refs_[a];
    Code& code = to_.code;
    if (instr.op == Op::slot) {
      instr.imm = slot(instr.imm);
    } else if (instr.op == Op::constant) {
      code.constants.push_back(from_.code.constants[instr.imm]);
      instr.imm = static_cast<std::uint16_t>(code.constants.size() - 1);
    } else if (pointwise::is_leaf(instr.op)) {
      pointwise::Leaf leaf = from_.code.leaves[instr.imm];
      if (leaf.op == Op::uniform || leaf.op == Op::normal) {
        leaf.seed_slot = slot(leaf.seed_slot);
        leaf.offset_slot = slot(leaf.offset_slot);
      }
      code.leaves.push_back(leaf);
      to_.leaves.push_back(from_.leaves[instr.imm]);
      instr.imm = static_cast<std::uint16_t>(code.leaves.size() - 1);
    }
    to_.has_stop = to_.has_stop || pointwise::stops_gradient(instr.op);
    code.instrs.push_back(instr);
    return static_cast<Ref>(code.instrs.size() - 1);
  }

  const Region& from_;
  std::vector<Ref> refs_;
  std::vector<bool> read_;
  Region to_;
};

std::vector<ValuePtr> hold(const std::vector<Value*>& values) {
  std::vector<ValuePtr> held;
  held.reserve(values.size());
  for (Value* v : values) held.emplace_back(v);
  return held;
}

}  // namespace

Recut::Recut(Node& node, const Region& region, std::shared_ptr<const Code> code,
             const Shape& result_over_space, Tensor result,
             std::vector<Inside> inside)
    : node_(&node),
      space_(region.space),
      result_over_space_(result_over_space),
      has_row_(region.has_row),
      kept_{std::move(code), hold(region.leaves), region.slots,
            std::move(result)},
      inside_(std::move(inside)) {}

void Recut::cut_at(Value& value) {
  // Both end after the lock.
  Kept before;
  PullbackPtr gone;
  const std::lock_guard lock(mutex_);
  const auto at = std::ranges::find(inside_, &value, &Inside::value);
  if (!node_ || at == inside_.end()) return;

  Region cut{space_, *kept_.code, {}, kept_.slots, has_row_, false, {}};
  for (const ValuePtr& v : kept_.leaves) cut.leaves.push_back(v.get());
  const auto leaf = static_cast<std::uint16_t>(cut.leaves.size());
  cut.leaves.push_back(&value);
  cut.code.leaves.push_back(
      {Op::load, value.dtype, 0, 0, cut.is_per_row(value.shape)});
  cut.code.instrs[at->ref] = {
      Op::load, value.dtype, leaf, {kNoRef, kNoRef, kNoRef}};
  Pruning pruning(cut);
  const Region rest = pruning.run();
  const Known& code = known(rest.code);
  PullbackPtr pullback = PullbackPtr::adopt(
      new RegionPullback(code.program, rest, result_over_space_, kept_.result));
  Kept after{code.code, hold(rest.leaves), rest.slots, kept_.result};

  gone = std::exchange(node_->pullback_, std::move(pullback));
  inside_.erase(at);
  for (Inside& i : inside_) i.ref = pruning.now(i.ref);
  std::erase_if(inside_, [](const Inside& i) { return i.ref == kNoRef; });
  if (inside_.empty()) after = {};
  before = std::exchange(kept_, std::move(after));
}

void Recut::write_inside() {
  std::vector<ValuePtr> held;
  {
    const std::lock_guard lock(mutex_);
    for (const Inside& i : inside_)
      if (ValuePtr v = ValuePtr::if_held(i.value)) held.push_back(std::move(v));
  }
  std::vector<Value*> values;
  for (const ValuePtr& v : held) values.push_back(v.get());
  force(values);
  for (Value* v : values) v->finish_recuts();
}

void Recut::forget(const Value& value) {
  Kept before;
  const std::lock_guard lock(mutex_);
  std::erase_if(inside_, [&](const Inside& i) { return i.value == &value; });
  if (inside_.empty()) std::swap(before, kept_);
}

void Recut::end() {
  Kept before;
  const std::lock_guard lock(mutex_);
  node_ = nullptr;
  inside_.clear();
  std::swap(before, kept_);
  ended_.store(true, std::memory_order_relaxed);
}

}  // namespace jacquard::tape
