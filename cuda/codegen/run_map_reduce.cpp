// Skeleton map-reduce. Outputs that reduce the same axes share a launch; the
// stored ones go with the last, after everything has been read.
#include <algorithm>
#include <vector>

#include "cuda/codegen/split.h"
#include "cuda/codegen/workspace.h"

namespace jacquard::cuda_backend {
namespace {

using backend::ProgramLaunch;

// What decides the order in which an output is summed: its reduced axes (bits)
// and the width of a thread.
struct Order {
  unsigned axes = 0;
  int width = 4;
  friend bool operator==(const Order&, const Order&) = default;
};

Order order_of(const ProgramLaunch& launch, std::size_t j) {
  Order o;
  for (int a = 0; a < launch.space.rank(); ++a)
    if (launch.space[a] != 1 && launch.outputs[j].strides[a] == 0)
      o.axes |= 1u << a;
  const Ref value = launch.program->outputs()[j].value;
  if (size_of(compute_type(launch.program->instrs()[value].dtype)) == 8)
    o.width = 2;
  return o;
}

struct Sizes {
  std::int64_t kept = 1, reduced = 1;
  bool inner_reduced = false;  // the innermost axis of extent ≠ 1
};

Sizes split_axes(Workspace& w, const Shape& space, unsigned axes) {
  Sizes s;
  w.point_axes.clear();
  std::vector<int>& kept = w.point_axes;
  w.element_axes.clear();
  for (int a = 0; a < space.rank(); ++a) {
    const bool reduced = axes >> a & 1;
    (reduced ? s.reduced : s.kept) *= space[a];
    if (space[a] != 1) s.inner_reduced = reduced;
    (reduced ? w.element_axes : kept).push_back(a);
  }
  // Kept axes come first where rows are reduced, last where columns are.
  w.element_axes.insert(
      s.inner_reduced ? w.element_axes.begin() : w.element_axes.end(),
      kept.begin(), kept.end());
  return s;
}

// Partial results: `count` for each reduced output.
void make_partials(Work& work, std::int64_t count, Parts& parts,
                   Stream stream) {
  std::vector<std::size_t> at(work.outputs.size());
  const auto each = [&](auto f) {
    for (std::size_t j = 0; j < at.size(); ++j)
      if (work.modes[j] == Mode::folded) f(j);
  };
  each([&](std::size_t j) {
    at[j] = parts.add(count *
                      static_cast<std::int64_t>(size_of(fold_type(work, j))));
  });
  parts.make(stream);
  each([&](std::size_t j) { work.partials[j] = parts.part(at[j]); });
}

void reduce_rows(Workspace& w, ProgramKernels& kernels, const Sizes& sizes,
                 Stream stream) {
  Work& work = w.work;
  const SpanSplit split = split_span(sizes.kept, sizes.reduced, work.width);
  Parts parts;
  std::int64_t tasks = ceil_div(sizes.kept * split.lanes, kBlock);
  if (split.lanes == kFoldThreads) {
    tasks = sizes.kept * split.chunks;
    if (split.chunks > 1) make_partials(work, tasks, parts, stream);
  }
  const bool grouped =
      work.grouping(sizes.kept > 1 ? sizes.reduced : 0).grouped;
  launch_work(w, kernels, blocks_for(tasks, kBlock, stream), stream,
              [&](Arguments& to) {
                to.add_index(grouped, "grouped");
                to.add_index(sizes.kept, "kept");
                to.add_index(sizes.reduced, "reduced");
                to.add_index(split.lanes, "lanes");
                to.add_index(split.chunk, "chunk");
                to.add_index(split.chunks, "chunks");
                to.add_pointer(split.chunks > 1 ? tickets(stream) : nullptr,
                               "unsigned*", "tickets");
              });
}

void reduce_columns(Workspace& w, ProgramKernels& kernels, const Sizes& sizes,
                    Stream stream) {
  Work& work = w.work;
  const ColumnSplit split =
      split_columns(sizes.reduced, sizes.kept, work.width);
  Parts parts;
  if (split.chunks > 1)
    make_partials(work,
                  split.chunks * ceil_div(sizes.kept, work.width) * work.width,
                  parts, stream);
  const bool grouped =
      work.grouping(sizes.reduced > 1 ? sizes.kept : 0).grouped;
  launch_work(w, kernels,
              blocks_for(split.tiles * split.chunks, kBlock, stream), stream,
              [&](Arguments& to) {
                to.add_index(grouped, "grouped");
                to.add_index(sizes.reduced, "rows");
                to.add_index(sizes.kept, "columns");
                to.add_index(split.lanes, "lanes");
                to.add_index(split.tiles, "tiles");
                to.add_index(split.chunk, "chunk");
                to.add_index(split.chunks, "chunks");
                to.add_pointer(split.chunks > 1 ? tickets(stream) : nullptr,
                               "unsigned*", "tickets");
                to.add_index(tickets_for(split.chunks), "tile_tickets");
              });
}

// Computes the outputs of one order, and the stored ones if `stores`.
void reduce(const ProgramLaunch& launch, const Order& order, bool stores,
            Stream stream) {
  const BorrowedWorkspace borrowed;
  Workspace& w = *borrowed;
  Work& work = w.work;
  ProgramKernels& kernels = ProgramKernels::of(*launch.program);
  const Sizes sizes = split_axes(w, launch.space, order.axes);
  if (sizes.kept == 0) return;
  work.begin(
      launch, kernels.facts(),
      sizes.inner_reduced ? Skeleton::reduce_rows : Skeleton::reduce_columns);
  for (std::size_t j = 0; j < work.outputs.size(); ++j) {
    if (launch.program->outputs()[j].reduction == Reduction::store)
      work.modes[j] = stores ? Mode::element : Mode::absent;
    else
      work.modes[j] =
          order_of(launch, j) == order ? Mode::folded : Mode::absent;
  }
  work.width = order.width;
  work.lay_out(w.element_axes, w.point_axes);
  if (sizes.inner_reduced)
    reduce_rows(w, kernels, sizes, stream);
  else
    reduce_columns(w, kernels, sizes, stream);
}

}  // namespace

void run_map_reduce(const ProgramLaunch& launch, Stream stream) {
  thread_local std::vector<Order> orders;
  orders.clear();
  for (std::size_t j = 0; j < launch.outputs.size(); ++j) {
    if (launch.program->outputs()[j].reduction == Reduction::store) continue;
    const Order o = order_of(launch, j);
    if (std::find(orders.begin(), orders.end(), o) == orders.end())
      orders.push_back(o);
  }
  const std::vector<Order> all = orders;
  for (std::size_t i = 0; i < all.size(); ++i)
    reduce(launch, all[i], i + 1 == all.size(), stream);
}

}  // namespace jacquard::cuda_backend
