#include "cuda/codegen/run_program.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "cuda/codegen/split.h"
#include "cuda/codegen/workspace.h"
#include "cuda/runtime/device.h"

namespace jacquard::cuda_backend {
namespace {

using backend::ProgramLaunch;

struct WorkspaceStack {
  std::vector<std::unique_ptr<Workspace>> all;
  std::size_t depth = 0;
};
WorkspaceStack& workspaces() {
  thread_local WorkspaceStack stack;
  return stack;
}

// Whether an output is stored once a row though the program has no rows.
bool stores_row_values(const ProgramLaunch& launch) {
  const int last = launch.space.rank() - 1;
  if (last < 0 || launch.space[last] == 1) return false;
  for (std::size_t j = 0; j < launch.outputs.size(); ++j)
    if (launch.program->outputs()[j].reduction == Reduction::store &&
        launch.outputs[j].strides[last] == 0)
      return true;
  return false;
}

}  // namespace

BorrowedWorkspace::BorrowedWorkspace() {
  WorkspaceStack& stack = workspaces();
  if (stack.depth == stack.all.size())
    stack.all.push_back(std::make_unique<Workspace>());
  workspace_ = stack.all[stack.depth++].get();
}
BorrowedWorkspace::~BorrowedWorkspace() { --workspaces().depth; }

int capability_of(Stream stream) {
  return device_info(stream.device().index).capability();
}

std::uint32_t blocks_for(std::int64_t wanted, int threads, Stream stream) {
  constexpr int waves = 4;
  const DeviceInfo& d = device_info(stream.device().index);
  const std::int64_t resident =
      static_cast<std::int64_t>(d.multiprocessors) *
      std::max(1, d.max_threads_per_multiprocessor / threads);
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(wanted, 1, resident * waves));
}

void choose_width(Work& work) {
  std::size_t size = 0;
  const auto see = [&](int operand, DType dtype) {
    if (work.elements.access(operand).unit())
      size = std::max(size, size_of(dtype));
  };
  for (std::size_t i = 0; i < work.leaves.size(); ++i)
    if (work.reads(static_cast<int>(i)) &&
        work.program->leaves()[i].op == Op::load)
      see(work.leaf_operand[i], work.leaves[i].dtype);
  for (std::size_t j = 0; j < work.outputs.size(); ++j)
    see(work.output_operand[j], work.outputs[j].dtype);
  work.width = size == 0 ? 1 : static_cast<int>(16 / size);
  // Registers for what is alive, so that nothing spills.
  while (work.width > 1 && work.width * work.facts->live > 160) work.width /= 2;
}

void run_map(const ProgramLaunch& launch, Stream stream) {
  const std::int64_t n = launch.space.numel();
  if (n == 0) return;
  const BorrowedWorkspace borrowed;
  Workspace& w = *borrowed;
  ProgramKernels& kernels = ProgramKernels::of(*launch.program);
  w.work.begin(launch, kernels.facts(), Skeleton::map);
  w.element_axes.resize(static_cast<std::size_t>(launch.space.rank()));
  std::iota(w.element_axes.begin(), w.element_axes.end(), 0);
  w.work.lay_out(w.element_axes, {});
  choose_width(w.work);
  const auto [grouped, skew] = w.work.grouping(0);
  const std::int64_t tiles = ceil_div(n + skew, kBlock * w.work.width);
  launch_work(w, kernels, blocks_for(tiles, kBlock, stream), stream,
              [&, grouped = grouped, skew = skew](Arguments& to) {
                to.add_index(skew, "skew");
                to.add_index(grouped, "grouped");
                to.add_index(tiles, "tiles");
              });
}

void run_program(const ProgramLaunch& launch, Stream stream) {
  if (launch.outputs.empty()) return;
  if (launch.program->has_row_ops() || stores_row_values(launch))
    return run_rows(launch, stream);
  for (const auto& output : launch.program->outputs())
    if (output.reduction != Reduction::store)
      return run_map_reduce(launch, stream);
  run_map(launch, stream);
}

}  // namespace jacquard::cuda_backend
