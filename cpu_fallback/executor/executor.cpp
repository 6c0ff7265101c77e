#include "cpu_fallback/executor/executor.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "cpu_fallback/executor/launch.h"
#include "cpu_fallback/executor/tiny.h"
#include "cpu_fallback/runtime/threads.h"

namespace jacquard::cpu_fallback {
namespace {

using backend::Binding;
using backend::OutputBinding;
using backend::ProgramLaunch;
using backend::Scalar;

// Below this a launch stays on the calling thread.
constexpr double kParallelNs = 8000;

// Launches of this thread, reused so that their vectors keep their memory. A
// launch inside a launch (row buffers) takes the next one.
class LaunchStack {
 public:
  class Use {
   public:
    explicit Use(LaunchStack& stack) : stack_(stack) {
      if (stack.depth_ == stack.launches_.size())
        stack.launches_.push_back(std::make_unique<Launch>());
      launch_ = stack.launches_[stack.depth_++].get();
    }
    ~Use() {
      launch_->buffers.clear();
      --stack_.depth_;
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    Launch& operator*() const { return *launch_; }

   private:
    LaunchStack& stack_;
    Launch* launch_;
  };

 private:
  std::vector<std::unique_ptr<Launch>> launches_;
  std::size_t depth_ = 0;
};

LaunchStack& launch_stack() {
  thread_local LaunchStack stack;
  return stack;
}

void execute(const Plan& plan, const Shape& space,
             std::span<const Binding> leaves, std::span<const Scalar> slots,
             std::span<const OutputBinding> outputs);

// An empty space: reduced outputs get their neutral element.
void write_neutral(const Plan& plan, const Shape& space,
                   std::span<const OutputBinding> outputs) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const OutputPlan& p = plan.outputs[i];
    if (p.reduction == Reduction::store) continue;
    OutputState out{};
    out.plan = &p;
    out.dtype = outputs[i].dtype;
    out.accumulate = outputs[i].accumulate;
    out.reducer.divisor = 0;  // a mean of nothing is 0 / 0
    PerAxis extent, stride;
    int rank = 0;
    std::int64_t kept = 1;
    for (int a = 0; a < space.rank(); ++a) {
      if (outputs[i].strides[a] == 0) continue;
      extent[rank] = space[a];
      stride[rank++] = outputs[i].strides[a];
      kept *= space[a];
    }
    if (kept == 0) continue;
    alignas(8) char neutral[8];
    fill_neutral(p.reduction, compute_type(p.dtype), neutral, 1);
    Walk w;
    w.begin(rank, extent, stride, 0);
    w.runs(kept, [&](std::int64_t, std::int64_t offset, std::int64_t step,
                     std::int64_t count) {
      for (std::int64_t j = 0; j < count; ++j)
        write_results(out, neutral, 1,
                      static_cast<char*>(outputs[i].data) +
                          (offset + j * step) *
                              static_cast<std::int64_t>(size_of(out.dtype)),
                      1);
    });
  }
}

// Outputs that reduce one value a row are written to a buffer of the rows, and
// that is reduced as an array would be.
struct RowBuffer {
  std::size_t output;
  OutputBinding target;
  Buffer buffer;
};

bool has_row_buffers(const Plan& plan) {
  return std::any_of(plan.outputs.begin(), plan.outputs.end(),
                     [](const OutputPlan& o) {
                       return o.once_a_row && o.reduction != Reduction::store;
                     });
}

void execute_with_row_buffers(const Plan& plan, const Shape& space,
                              std::span<const Binding> leaves,
                              std::span<const Scalar> slots,
                              std::span<const OutputBinding> outputs) {
  Shape rows = space;
  if (rows.rank() > 0) rows.erase(rows.rank() - 1);
  const Strides dense = contiguous_strides(rows);
  std::vector<OutputBinding> redirected(outputs.begin(), outputs.end());
  std::vector<RowBuffer> buffers;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const OutputPlan& p = plan.outputs[i];
    if (!p.once_a_row || p.reduction == Reduction::store) continue;
    buffers.push_back({i, outputs[i],
                       Buffer(static_cast<std::size_t>(rows.numel()) *
                              size_of(compute_type(p.dtype)))});
    redirected[i].data = buffers.back().buffer.data();
    redirected[i].dtype = compute_type(p.dtype);
    redirected[i].strides = dense;
    if (space.rank() > 0) redirected[i].strides.push_back(0);
    redirected[i].accumulate = false;
  }
  {
    LaunchStack::Use use(launch_stack());
    Launch& l = *use;
    l.prepare(plan, space, leaves, slots, redirected);
    const bool parallel = l.estimated_ns() > kParallelNs;
    l.cut(parallel);
    parallel_for(l.boxes, [&](std::int64_t box) { run_box(l, box); });
    finish_reductions(l);
  }
  for (RowBuffer& b : buffers) {
    const OutputPlan& p = plan.outputs[b.output];
    const DType dtype = compute_type(p.dtype);
    if (b.target.strides.rank() > 0)
      b.target.strides.erase(b.target.strides.rank() - 1);
    const Binding source{b.buffer.data(), dtype, dense};
    execute(Plan::reduction(dtype, p.reduction), rows, {&source, 1}, {},
            {&b.target, 1});
  }
}

void execute(const Plan& plan, const Shape& space,
             std::span<const Binding> leaves, std::span<const Scalar> slots,
             std::span<const OutputBinding> outputs) {
  if (space.numel() == 0) return write_neutral(plan, space, outputs);
  if (has_row_buffers(plan))
    return execute_with_row_buffers(plan, space, leaves, slots, outputs);
  LaunchStack::Use use(launch_stack());
  Launch& l = *use;
  l.prepare(plan, space, leaves, slots, outputs);
  const bool parallel = l.estimated_ns() > kParallelNs;
  l.cut(parallel);
  if (parallel) {
    parallel_for(l.boxes, [&](std::int64_t box) { run_box(l, box); });
  } else {
    for (std::int64_t box = 0; box < l.boxes; ++box) run_box(l, box);
  }
  finish_reductions(l);
}

}  // namespace

void run_program(const ProgramLaunch& launch) {
  const Plan& plan = Plan::of(*launch.program);
  if (run_tiny(plan, launch)) return;
  execute(plan, launch.space, launch.leaves, launch.slots, launch.outputs);
}

void run_program_list(std::span<const ProgramLaunch> launches) {
  if (launches.size() == 1) return run_program(launches[0]);
  double ns = 0;
  for (const ProgramLaunch& e : launches)
    ns += static_cast<double>(e.space.numel()) * Plan::of(*e.program).cost;
  const bool parallel = ns > kParallelNs;

  // The first task of each entry that is not run at once.
  thread_local std::vector<std::unique_ptr<Launch>> prepared;
  thread_local std::vector<std::int64_t> first;
  first.assign(1, 0);
  for (const ProgramLaunch& e : launches) {
    const Plan& plan = Plan::of(*e.program);
    if (e.space.numel() == 0 || run_tiny(plan, e)) continue;
    const std::size_t used = first.size() - 1;
    if (used == prepared.size()) prepared.push_back(std::make_unique<Launch>());
    Launch& l = *prepared[used];
    l.prepare(plan, e.space, e.leaves, e.slots, e.outputs);
    l.cut(parallel && l.estimated_ns() > kParallelNs / 4);
    first.push_back(first.back() + l.boxes);
  }
  const auto* starts = &first;
  const auto* entries = &prepared;
  const auto task = [&](std::int64_t i) {
    const auto next = std::upper_bound(starts->begin(), starts->end(), i);
    const std::size_t entry =
        static_cast<std::size_t>(next - starts->begin()) - 1;
    run_box(*(*entries)[entry], i - (*starts)[entry]);
  };
  if (parallel) {
    parallel_for(first.back(), task);
  } else {
    for (std::int64_t i = 0; i < first.back(); ++i) task(i);
  }
}

}  // namespace jacquard::cpu_fallback
