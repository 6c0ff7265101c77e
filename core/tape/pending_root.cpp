#include "core/tape/pending_root.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/backend/launch.h"
#include "core/tape/anomaly.h"
#include "core/tape/bindings.h"
#include "core/tape/call.h"
#include "core/tape/region.h"
#include "core/tape/region_pullback.h"
#include "jacquard/error.h"

namespace jacquard::tape {

using pointwise::Code;
using pointwise::Instr;
using pointwise::kNoRef;
using pointwise::ProgramPtr;
using pointwise::Reverse;

namespace {

// The forward program, whose leaves and slots keep their numbers, and the
// reverse after it; its cotangent is one more leaf.
Code joined(const Code& forward, const Reverse& reverse, const Code& back) {
  Code code = forward;
  const auto instrs = static_cast<pointwise::Ref>(code.instrs.size());
  const auto constants = static_cast<std::uint16_t>(code.constants.size());
  const auto cotangent = static_cast<std::uint16_t>(code.leaves.size());
  for (std::size_t i = 0; i < reverse.sources.size(); ++i)
    if (reverse.sources[i] == Reverse::kCotangent)
      code.leaves.push_back(back.leaves[i]);
  code.slots = back.slots;
  code.constants.insert(code.constants.end(), back.constants.begin(),
                        back.constants.end());
  for (Instr instr : back.instrs) {
    for (pointwise::Ref& a : instr.args)
      if (a != kNoRef) a = static_cast<pointwise::Ref>(a + instrs);
    if (instr.op == Op::constant) {
      instr.imm = static_cast<std::uint16_t>(instr.imm + constants);
    } else if (instr.op != Op::slot && pointwise::is_leaf(instr.op)) {
      const int source = reverse.sources[instr.imm];
      instr.imm = source >= 0 ? static_cast<std::uint16_t>(source) : cotangent;
    }
    code.instrs.push_back(instr);
  }
  for (pointwise::Output o : back.outputs) {
    o.value = static_cast<pointwise::Ref>(o.value + instrs);
    code.outputs.push_back(o);
  }
  return code;
}

const ProgramPtr& known_join(const ProgramPtr& forward, const Reverse& reverse,
                             const ProgramPtr& back) {
  thread_local std::map<std::pair<ProgramPtr, ProgramPtr>, ProgramPtr> known;
  ProgramPtr& p = known[{forward, back}];
  if (!p)
    p = pointwise::Program::intern(
        joined(forward->code(), reverse, back->code()));
  return p;
}

}  // namespace

PendingRoot::PendingRoot(const ValuePtr& v) : value_(v) {
  if (v->reduction == Reduction::store || !v->tracked || v->written() ||
      looks_for_anomalies())
    return;
  const StreamScope scope(v->stream);
  Value* const wanted[] = {v.get()};
  Shape over_space;
  if (!gather_reduction(*v, region_, over_space) ||
      region_.leaves.size() >= kMaxMask || !region_.repeated.empty() ||
      !region_.held_inside(wanted, region_).empty())
    return;
  region_.finish();
  program_ = program_of(region_.code);
  result_ = Tensor::empty(v->shape, v->dtype, v->device);
  output_ = bind_output(result_, over_space, region_.space, false);
  for (const Value* leaf : region_.leaves)
    leaves_.push_back(leaf->written() ? bind(leaf->tensor(), region_.space)
                                      : bind_virtual(leaf->shape, leaf->dtype,
                                                     region_.space));
  auto pullback = PullbackPtr::adopt(
      new RegionPullback(program_, region_, over_space, result_));
  static_cast<RegionPullback&>(*pullback).set_root(this);
  node_ = make_intrusive<Node>(v->id, v->name, v->site, v->shape, v->dtype,
                               v->stream);
  node_->set_pullback(pullback);
  pullback_ = std::move(pullback);
}

PendingRoot::~PendingRoot() {
  if (pullback_) static_cast<RegionPullback&>(*pullback_).set_root(nullptr);
}

void PendingRoot::launch(const ProgramPtr& program,
                         std::span<const backend::Binding> leaves,
                         std::span<const Literal> slots,
                         std::span<const backend::OutputBinding> outputs) {
  Value* const written[] = {value_.get()};
  report_computes(region_.inside, written);
  try {
    backend::launch(value_->name,
                    {program.get(), region_.space, leaves, slots, outputs},
                    value_->stream);
  } catch (const Error&) {
    rethrow_with_site(*value_);
  }
}

void PendingRoot::published() {
  static_cast<RegionPullback&>(*pullback_).set_root(nullptr);
  pullback_ = nullptr;
  value_->publish(result_, node_);
  report_written(*value_);
  region_.release();  // what it held counts as a use of nodes
}

void PendingRoot::finish() {
  if (pullback_) {
    launch(program_, leaves_, region_.slots, std::span(&output_, 1));
    published();
  }
  force(*value_);
}

bool PendingRoot::launch_along(
    const Reverse& reverse, const ProgramPtr& summed,
    const backend::Binding& cotangent, std::span<const Literal> slots,
    std::span<const backend::OutputBinding> outputs) {
  const auto reads_output = [](int source) {
    return source < 0 && source != Reverse::kCotangent;
  };
  if (std::ranges::any_of(reverse.sources, reads_output)) return false;
  std::vector<backend::Binding> leaves = leaves_;
  if (std::ranges::find(reverse.sources, Reverse::kCotangent) !=
      reverse.sources.end())
    leaves.push_back(cotangent);
  std::vector<backend::OutputBinding> all{output_};
  all.insert(all.end(), outputs.begin(), outputs.end());
  launch(known_join(program_, reverse, summed), leaves, slots, all);
  published();
  return true;
}

}  // namespace jacquard::tape
