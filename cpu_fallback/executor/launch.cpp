#include "cpu_fallback/executor/launch.h"

#include <algorithm>
#include <atomic>

#include "cpu_fallback/runtime/threads.h"

namespace jacquard::cpu_fallback {
namespace {

// Bytes of stored output from which non-temporal stores win.
constexpr std::int64_t kStreamBytes = 4 << 20;
// What the registers of a flat tile may fill.
constexpr std::int64_t kTileBytes = 48 << 10;
// Tiles of a group.
constexpr std::int64_t kGroupTiles = 64;
// Elements of a box, lest its accumulators leave the cache.
constexpr std::int64_t kReducingBox = 1 << 18;
// Work that is worth a task of its own.
constexpr double kTaskNs = 4000;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

std::int64_t power_of_two_below(std::int64_t n) {
  std::int64_t p = 1;
  while (p * 2 <= n) p *= 2;
  return p;
}

// Elements of a tile where no sum depends on it: the longer, the less it costs
// to go from one to the next, while its values stay in the first cache.
// The tile after it is fetched meanwhile where operands are far.
std::int64_t flat_tile(const Plan& plan, bool far) {
  const std::int64_t bytes = far ? kTileBytes / 2 : kTileBytes;
  std::int64_t n = 4 * kTile;
  while (n > kTile && n * plan.registers * plan.width > bytes) n /= 2;
  return n;
}

std::atomic<std::uint64_t> next_id{1};

}  // namespace

void Launch::prepare(const Plan& p, const Shape& space,
                     std::span<const backend::Binding> leaf_bindings,
                     std::span<const backend::Scalar> scalars,
                     std::span<const backend::OutputBinding> output_bindings) {
  plan = &p;
  id = next_id.fetch_add(1, std::memory_order_relaxed);
  slots = scalars;
  buffers.clear();
  row_mode = p.rows;
  for (std::size_t i = 0; i < output_bindings.size() && space.rank() > 0; ++i) {
    const int last = space.rank() - 1;
    if (p.outputs[i].reduction == Reduction::store && space[last] > 1 &&
        output_bindings[i].strides[last] == 0)
      row_mode = true;
  }
  bind_axes(space);
  bind_leaves(leaf_bindings);
  bind_outputs(output_bindings);
  drop_axes();
  choose_tiles();
  avoid_hazards();
}

void Launch::bind_axes(const Shape& space) {
  rank = space.rank();
  numel = space.numel();
  far = numel > (1 << 17);
  for (int a = 0; a < rank; ++a) extent[a] = space[a];
  if (rank == 0) {
    rank = 1;
    extent[0] = 1;
  }
  cols = row_mode ? extent[rank - 1] : 1;
}

void Launch::bind_leaves(std::span<const backend::Binding> bindings) {
  leaves.clear();
  for (std::size_t i = 0; i < bindings.size(); ++i) {
    const LeafPlan& p = plan->leaves[i];
    if (p.value == plan->none()) continue;
    LeafState& l = leaves.emplace_back();
    l.value = p.value;
    l.op = p.leaf.op;
    l.dtype = p.leaf.dtype;
    l.data = static_cast<const char*>(bindings[i].data);
    l.in_place = l.op == Op::load && !is_half(l.dtype);
    l.overread = true;
    l.narrow = p.narrow;
    l.splat = l.op == Op::load;
    if (l.op == Op::uniform || l.op == Op::normal) {
      l.seed = static_cast<std::uint64_t>(slots[p.leaf.seed_slot].i);
      l.offset = static_cast<std::uint64_t>(slots[p.leaf.offset_slot].i);
    }
    l.stride[0] = 0;
    for (int a = 0; a < bindings[i].strides.rank(); ++a) {
      l.stride[a] = bindings[i].strides[a];
      if (extent[a] != 1 && l.stride[a] != 0) l.splat = false;
    }
  }
}

void Launch::bind_outputs(std::span<const backend::OutputBinding> bindings) {
  outputs.clear();
  outputs.resize(bindings.size());
  using Kind = OutputState::Kind;
  std::int64_t bytes = 0;
  tiled = row_mode;
  for (std::size_t i = 0; i < bindings.size(); ++i) {
    OutputState& o = outputs[i];
    const backend::OutputBinding& b = bindings[i];
    o.plan = &plan->outputs[i];
    o.dtype = b.dtype;
    o.accumulate = b.accumulate;
    o.data = static_cast<char*>(b.data);
    o.stride[0] = 0;
    for (int a = 0; a < b.strides.rank(); ++a) o.stride[a] = b.strides[a];
    const bool row_constant =
        row_mode && extent[rank - 1] != 1 && o.stride[rank - 1] == 0;
    if (o.plan->reduction == Reduction::store)
      o.kind =
          row_constant || o.plan->once_a_row ? Kind::row_store : Kind::store;
    else
      o.kind = o.plan->once_a_row ? Kind::row_buffer : Kind::reduce;
    o.direct = o.kind == Kind::store && o.plan->direct && !o.accumulate &&
               o.dtype == o.plan->dtype;
    if (o.kind == Kind::store)
      bytes += numel * static_cast<std::int64_t>(size_of(o.dtype));
    if (o.kind == Kind::reduce) tiled = true;
  }
  for (OutputState& o : outputs) {
    o.stream = bytes > kStreamBytes && o.kind == Kind::store && !o.accumulate;
    for (const LeafState& l : leaves) o.stream &= l.data != o.data;
    if (o.stream) o.direct = false;
  }
}

// Axes of extent 1 go. Where nothing is reduced, neighbours that all operands
// can merge become one axis.
void Launch::drop_axes() {
  const auto move = [&](int from, int to) {
    extent[to] = extent[from];
    for (auto& l : leaves) l.stride[to] = l.stride[from];
    for (auto& o : outputs) o.stride[to] = o.stride[from];
  };
  const auto merges = [&](int a, int b) {
    for (const auto& l : leaves)
      if (l.stride[a] != l.stride[b] * extent[b]) return false;
    for (const auto& o : outputs)
      if (o.stride[a] != o.stride[b] * extent[b]) return false;
    return true;
  };
  const int last = rank - 1;
  int kept = 0;
  for (int a = 0; a <= last; ++a) {
    if (extent[a] == 1 && !(row_mode && a == last)) continue;
    if (!tiled && kept > 0 && merges(kept - 1, a)) {
      const std::int64_t outer = extent[kept - 1];
      move(a, kept - 1);
      extent[kept - 1] *= outer;
      continue;
    }
    move(a, kept++);
  }
  rank = kept;
  // The axis before the suffix must exist.
  const bool all_suffix = numel <= kTile;
  if (rank == 0 || (tiled && all_suffix)) {
    for (int a = rank; a > 0; --a) move(a - 1, a);
    extent[0] = 1;
    for (auto& l : leaves) l.stride[0] = 0;
    for (auto& o : outputs) o.stride[0] = 0;
    ++rank;
  }
}

void Launch::choose_tiles() {
  tile = std::min(flat_tile(*plan, far), std::max<std::int64_t>(numel, 1));
  if (tiled) {
    int s = rank;
    suffix = 1;
    while (s > 1 && suffix * extent[s - 1] <= kTile) suffix *= extent[--s];
    piece_axis = s - 1;
    piece = kTile / suffix;
    tile = std::min(piece, extent[piece_axis]) * suffix;
    if (row_mode && cols > kTile) tile = cols;
    for (OutputState& o : outputs)
      if (o.kind == OutputState::Kind::reduce) plan_reducer(o);
  }
  const auto quantum = static_cast<std::int64_t>(kQuantum);
  capacity = ceil_div(tile, quantum) * quantum;
  register_bytes = (capacity + quantum) * plan->width;
}

Pattern Launch::pattern_of(const OutputState& o) const {
  bool reduces = false, keeps = false;
  for (int a = piece_axis + 1; a < rank; ++a)
    if (extent[a] != 1) (o.stride[a] == 0 ? reduces : keeps) = true;
  const bool pieces = extent[piece_axis] != 1;
  const bool pieces_reduced = pieces && o.stride[piece_axis] == 0;
  if (reduces && keeps) return Pattern::mixed;
  if (reduces)
    return pieces && !pieces_reduced ? Pattern::rows : Pattern::whole;
  if (keeps) return pieces_reduced ? Pattern::stacked : Pattern::wide;
  return pieces_reduced ? Pattern::whole : Pattern::wide;
}

// What follows from the shape and the reduced axes alone.
void Launch::plan_reducer(OutputState& o) {
  Reducer& r = o.reducer;
  r = Reducer{};
  r.dtype = compute_type(o.plan->dtype);
  const Reduction op =
      o.plan->reduction == Reduction::mean ? Reduction::sum : o.plan->reduction;
  r.fold = kernels().fold[static_cast<int>(op)][static_cast<int>(r.dtype)];
  r.combine =
      kernels().combine[static_cast<int>(op)][static_cast<int>(r.dtype)];
  const auto reduced = [&](int a) {
    return o.stride[a] == 0 && extent[a] != 1;
  };
  r.pattern = pattern_of(o);
  if (r.pattern == Pattern::stacked) r.stack = piece;

  std::int64_t left = kGroupTiles, count = 1;
  for (int a = rank - 1; a >= 0; --a) {
    r.group[a] = 0;
    if (!reduced(a)) {
      r.kept *= extent[a];
      continue;
    }
    count *= extent[a];
    std::int64_t g = extent[a];
    if (a == piece_axis) {
      const std::int64_t tiles = ceil_div(extent[a], piece);
      g = tiles <= left ? extent[a] : left * piece;
      left = std::max<std::int64_t>(1, power_of_two_below(left / tiles));
    } else if (a < piece_axis) {
      g = std::min(extent[a], left);
      left = std::max<std::int64_t>(1, power_of_two_below(left / extent[a]));
    }
    r.group[a] = g;
    r.groups *= ceil_div(extent[a], g);
  }
  if (o.plan->reduction == Reduction::mean)
    r.divisor = static_cast<double>(count);
}

void Launch::avoid_hazards() {
  for (OutputState& o : outputs) {
    for (LeafState& l : leaves) {
      if (l.op != Op::load || l.data != o.data) continue;
      l.overread = false;
      int last = 0;
      for (const LeafPlan& p : plan->leaves)
        if (p.value == l.value) last = p.last_use;
      if (last > o.plan->made_by || o.plan->row_step) o.direct = false;
      if (last == LeafPlan::kAlways) l.in_place = false;
    }
  }
}

void Launch::cut(bool parallel) {
  // The least that a box must hold along each axis.
  PerAxis least;
  for (int a = 0; a < rank; ++a) {
    least[a] = a > piece_axis && tiled ? extent[a] : 1;
    if (tiled && a == piece_axis)
      least[a] = row_mode && cols > kTile ? extent[a] : piece;
    if (!tiled && a == rank - 1) least[a] = kTile;
    for (const OutputState& o : outputs)
      if (o.kind == OutputState::Kind::reduce)
        least[a] = std::max(least[a], o.reducer.group[a]);
    least[a] = std::max<std::int64_t>(1, std::min(least[a], extent[a]));
  }
  std::int64_t wanted = numel;
  if (parallel) {
    // As many for each thread.
    const auto threads = static_cast<std::int64_t>(num_threads());
    const std::int64_t each = std::clamp<std::int64_t>(
        static_cast<std::int64_t>(estimated_ns() / kTaskNs) / threads, 1, 8);
    wanted = ceil_div(numel, each * threads);
    if (plan->reduces) wanted = std::min(wanted, kReducingBox);
  }
  std::int64_t size = 1;
  for (int a = 0; a < rank; ++a) size *= least[a];
  boxes = 1;
  for (int a = rank - 1; a >= 0; --a) {
    block[a] = least[a];
    if (size < wanted) {
      const std::int64_t times =
          std::min(ceil_div(wanted, size), ceil_div(extent[a], least[a]));
      // Multiples of the least, so that the groups of all outputs nest.
      block[a] = std::min(extent[a], least[a] * times);
      size = size / least[a] * block[a];
    }
    blocks[a] = ceil_div(extent[a], block[a]);
    boxes *= blocks[a];
  }
  if (numel == 0) boxes = 0;
  accumulator_bytes = 0;
  for (OutputState& o : outputs)
    if (o.kind == OutputState::Kind::reduce) lay_out_accumulators(o);
}

void Launch::lay_out_accumulators(OutputState& o) {
  Reducer& r = o.reducer;
  std::int64_t stride = 1;
  for (int a = rank - 1; a >= 0; --a) {
    if (a == piece_axis) stride *= r.stack;
    r.acc_stride[a] = 0;
    r.acc_group_stride[a] = 0;
    if (r.group[a] != 0) continue;
    r.acc_stride[a] = stride;
    stride *= block[a];
  }
  for (int a = rank - 1; a >= 0; --a) {
    if (r.group[a] == 0) continue;
    r.acc_group_stride[a] = stride;
    stride *= ceil_div(block[a], r.group[a]);
  }
  r.accumulators = stride;
  const auto bytes = static_cast<std::int64_t>(size_of(r.dtype));
  accumulator_bytes += ceil_div(stride * bytes, 64) * 64;

  std::int64_t kept = 1, groups = r.kept;
  for (int a = rank - 1; a >= 0; --a) {
    if (r.group[a] == 0) {
      r.part_stride[a] = kept;
      kept *= extent[a];
    } else {
      r.part_stride[a] = groups;
      groups *= ceil_div(extent[a], r.group[a]);
    }
  }
  r.partial = nullptr;
  if (r.groups > 1) {
    buffers.emplace_back(static_cast<std::size_t>(r.groups * r.kept * bytes));
    r.partial = buffers.back().data();
  }
}

}  // namespace jacquard::cpu_fallback
