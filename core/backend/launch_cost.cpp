#include "core/backend/launch_cost.h"

#include <algorithm>
#include <cstdint>

#include "core/tensor/layout.h"

namespace jacquard::backend {
namespace {

// Elements that are read or written when a space is walked with strides: those
// of the axes that move, and not more than they span.
std::size_t distinct_elements(const Shape& space, const Strides& strides) {
  std::int64_t count = 1;
  for (int i = 0; i < space.rank(); ++i) {
    if (space[i] == 0) return 0;
    if (strides[i] != 0) count *= space[i];
  }
  const Reach reach = reach_of(space, strides);
  return static_cast<std::size_t>(
      std::min(count, reach.highest - reach.lowest + 1));
}

bool same_strides(const Shape& space, const Strides& a, const Strides& b) {
  for (int i = 0; i < space.rank(); ++i)
    if (space[i] != 1 && a[i] != b[i]) return false;
  return true;
}

bool is_read(const ProgramLaunch& work, std::size_t leaf) {
  return work.leaves[leaf].data != nullptr &&
         work.program->reads_leaf(static_cast<int>(leaf));
}

// Whether an earlier leaf reads the same memory in the same layout.
bool is_repeated(const ProgramLaunch& work, std::size_t leaf) {
  const Binding& b = work.leaves[leaf];
  for (std::size_t i = 0; i < leaf; ++i) {
    const Binding& a = work.leaves[i];
    if (is_read(work, i) && a.data == b.data && a.dtype == b.dtype &&
        same_strides(work.space, a.strides, b.strides))
      return true;
  }
  return false;
}

std::size_t index_bytes(const IndexLaunch& work) {
  const Shape space{work.outer, work.count, work.inner};
  return distinct_elements(space, Strides(work.index_strides)) *
         sizeof(std::int64_t);
}

std::size_t value_bytes(const IndexLaunch& work) {
  return static_cast<std::size_t>(work.outer * work.count * work.inner) *
         size_of(work.dtype);
}

}  // namespace

Traffic traffic_of(const ProgramLaunch& work) {
  Traffic traffic;
  for (std::size_t i = 0; i < work.leaves.size(); ++i)
    if (is_read(work, i) && !is_repeated(work, i))
      traffic.read += distinct_elements(work.space, work.leaves[i].strides) *
                      size_of(work.leaves[i].dtype);
  for (const OutputBinding& output : work.outputs) {
    // An empty space still writes the neutral elements of a reduction.
    Shape target = work.space;
    for (int i = 0; i < target.rank(); ++i)
      if (output.strides[i] == 0) target[i] = 1;
    const std::size_t bytes =
        distinct_elements(target, output.strides) * size_of(output.dtype);
    traffic.written += bytes;
    if (output.accumulate) traffic.read += bytes;
  }
  return traffic;
}

Traffic traffic_of(std::span<const ProgramLaunch> work) {
  Traffic traffic;
  for (const ProgramLaunch& entry : work) traffic += traffic_of(entry);
  return traffic;
}

Traffic traffic_of(const MatmulLaunch& work) {
  const auto layout = [&](const MatrixBinding& x, std::int64_t rows,
                          std::int64_t cols) {
    Shape space = work.batch;
    Strides strides = x.batch_strides;
    // The matrix is dense: its two axes are one.
    space.push_back(rows * cols);
    strides.push_back(1);
    return distinct_elements(space, strides) * size_of(work.dtype);
  };
  const MatrixBinding& a = work.a;
  const MatrixBinding& b = work.b;
  Traffic traffic;
  traffic.read = layout(a, work.m, work.k);
  const bool same = a.data == b.data && work.m == work.k && work.k == work.n &&
                    same_strides(work.batch, a.batch_strides, b.batch_strides);
  if (!same) traffic.read += layout(b, work.k, work.n);
  traffic.written =
      static_cast<std::size_t>(work.batch.numel() * work.m * work.n) *
      size_of(work.out_dtype);
  if (work.accumulate) traffic.read += traffic.written;
  if (work.bias)
    traffic.read += static_cast<std::size_t>(work.n) * size_of(work.out_dtype);
  return traffic;
}

Traffic traffic_of(const RawLaunch& work) {
  const auto bytes = [](std::span<const RawArray> arrays) {
    std::size_t sum = 0;
    for (const RawArray& a : arrays)
      sum += static_cast<std::size_t>(a.shape.numel()) * size_of(a.dtype);
    return sum;
  };
  return {bytes(work.inputs), bytes(work.outputs)};
}

Traffic gather_traffic(const IndexLaunch& work) {
  return {index_bytes(work) + value_bytes(work), value_bytes(work)};
}

Traffic scatter_traffic(const IndexLaunch& work, bool accumulate) {
  const std::size_t values = value_bytes(work);
  return {index_bytes(work) + values + (accumulate ? values : 0), values};
}

Traffic traffic_of(const ScanLaunch& work) {
  const std::size_t bytes =
      static_cast<std::size_t>(work.outer * work.extent * work.inner) *
      size_of(work.dtype);
  return {bytes * (work.a && work.b ? 2 : 1), bytes};
}

Traffic traffic_of(const SortLaunch& work) {
  const auto count = static_cast<std::size_t>(work.rows * work.extent);
  return {count * size_of(work.dtype), count * sizeof(std::int64_t)};
}

}  // namespace jacquard::backend
