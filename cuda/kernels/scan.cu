// A long axis is scanned in three phases (Merrill & Grimshaw 2009, Parallel
// scan for stream architectures): pieces give their totals, the totals are
// scanned, and each piece is scanned again from where the one before it ends.
// Where pieces end follows from sizes alone, so the bits do too.
#include <algorithm>
#include <cstdint>

#include "cuda/kernels/scan.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/memory.h"

namespace jacquard::cuda_backend {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kWarps = kThreads / 32;
// Steps of a thread; a block of threads walks a tile of a row.
constexpr int kItems = 8;
constexpr std::int64_t kTile = kThreads * kItems;
// Steps of a piece where the axis is not the last: one thread each.
constexpr std::int64_t kSteps = 128;

enum class Form { sum, product, recurrence };

// h ↦ factor·h + term: what some steps do to the value before them. Only the
// parts that the form has are computed with.
template <class T, Form kForm>
struct Map {
  T factor = 1, term = 0;

  __device__ Map then(const Map& next) const {
    Map both;
    if constexpr (kForm != Form::sum) both.factor = next.factor * factor;
    if constexpr (kForm == Form::sum) both.term = term + next.term;
    // Factors of many steps may overflow where nothing stands before them.
    if constexpr (kForm == Form::recurrence)
      both.term = term == 0 ? next.term : next.factor * term + next.term;
    return both;
  }
  // What it makes of the neutral element.
  __device__ T value() const { return kForm == Form::product ? factor : term; }
  static __device__ Map of_value(T h) {
    Map map;
    if constexpr (kForm == Form::product)
      map.factor = h;
    else
      map.term = h;
    return map;
  }
  __device__ Map shuffled_up(int by) const {
    Map up;
    if constexpr (kForm != Form::sum)
      up.factor = __shfl_up_sync(0xffffffff, factor, by);
    if constexpr (kForm != Form::product)
      up.term = __shfl_up_sync(0xffffffff, term, by);
    return up;
  }
};

template <class T>
struct Scan {
  const T *a, *b;
  T* out;
  std::int64_t outer, extent, inner;
  std::int64_t pieces;  // of the axis
  bool reverse, previous;
  // What the pieces do, and then the values before them.
  T *factors, *terms;

  // The offset of step s.
  __device__ std::int64_t place(std::int64_t base, std::int64_t s) const {
    return base + (reverse ? extent - 1 - s : s) * inner;
  }
  template <Form kForm>
  __device__ Map<T, kForm> step(std::int64_t base, std::int64_t s) const {
    const std::int64_t at = place(base, s);
    Map<T, kForm> map;
    if (s == 0) return Map<T, kForm>::of_value(b ? b[at] : a[at]);
    if constexpr (kForm != Form::sum)
      map.factor = a[previous ? place(base, s - 1) : at];
    if constexpr (kForm != Form::product) map.term = b[at];
    return map;
  }
  template <Form kForm>
  __device__ Map<T, kForm> total(std::int64_t i) const {
    Map<T, kForm> map;
    if constexpr (kForm != Form::sum) map.factor = factors[i];
    if constexpr (kForm != Form::product) map.term = terms[i];
    return map;
  }
  template <Form kForm>
  __device__ void set_total(std::int64_t i, const Map<T, kForm>& map) const {
    if constexpr (kForm != Form::sum) factors[i] = map.factor;
    if constexpr (kForm != Form::product) terms[i] = map.term;
  }
};

// The maps of all threads before this one, composed; `all`: of the block.
template <class T, Form kForm>
__device__ Map<T, kForm> before_this_thread(Map<T, kForm> own,
                                            Map<T, kForm>& all) {
  using M = Map<T, kForm>;
  __shared__ T factors[kWarps], terms[kWarps];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  M inclusive = own;
  for (int by = 1; by < 32; by *= 2) {
    const M earlier = inclusive.shuffled_up(by);
    if (lane >= static_cast<unsigned>(by)) inclusive = earlier.then(inclusive);
  }
  M exclusive = inclusive.shuffled_up(1);
  if (lane == 0) exclusive = M{};
  __syncthreads();  // what an earlier call left was read
  if (lane == 31) {
    factors[warp] = inclusive.factor;
    terms[warp] = inclusive.term;
  }
  __syncthreads();
  M before{}, whole{};
  for (unsigned w = 0; w < kWarps; ++w) {
    if (w == warp) before = whole;
    M next;
    next.factor = factors[w];
    next.term = terms[w];
    whole = whole.then(next);
  }
  all = whole;
  return before.then(exclusive);
}

// Rows whose places are neighbours: block (tile, row). kTotals: only what the
// tile does is written.
template <class T, Form kForm, bool kTotals>
__global__ void __launch_bounds__(kThreads, 1) scan_tiles(Scan<T> x) {
  using M = Map<T, kForm>;
  // Steps arrive in the order of memory and are taken in the order of threads.
  __shared__ T staged_factors[kTile + kTile / 32];
  __shared__ T staged_terms[kTile + kTile / 32];
  const auto slot = [](std::int64_t i) { return i + i / 32; };
  for (std::int64_t row = blockIdx.y; row < x.outer; row += gridDim.y) {
    const std::int64_t base = row * x.extent;
    const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kTile;
    __syncthreads();
    for (int u = 0; u < kItems; ++u) {
      const std::int64_t i = u * static_cast<int>(kThreads) +
                             static_cast<std::int64_t>(threadIdx.x);
      M map;
      if (first + i < x.extent) map = x.template step<kForm>(base, first + i);
      if constexpr (kForm != Form::sum) staged_factors[slot(i)] = map.factor;
      if constexpr (kForm != Form::product) staged_terms[slot(i)] = map.term;
    }
    __syncthreads();
    const auto staged = [&](std::int64_t i) {
      M map;
      if constexpr (kForm != Form::sum) map.factor = staged_factors[slot(i)];
      if constexpr (kForm != Form::product) map.term = staged_terms[slot(i)];
      return map;
    };
    const std::int64_t mine = static_cast<std::int64_t>(threadIdx.x) * kItems;
    M own{};
    for (int u = 0; u < kItems; ++u) own = own.then(staged(mine + u));
    M all;
    M state = before_this_thread<T, kForm>(own, all);
    if constexpr (kTotals) {
      if (threadIdx.x == 0)
        x.template set_total<kForm>(row * x.pieces + blockIdx.x, all);
    } else {
      if (blockIdx.x > 0)
        state = x.template total<kForm>(row * x.pieces + blockIdx.x - 1)
                    .then(state);
      for (int u = 0; u < kItems; ++u) {
        // Each thread writes where it alone has read.
        const std::int64_t i = mine + u;
        state = state.then(staged(i));
        if constexpr (kForm == Form::product)
          staged_factors[slot(i)] = state.value();
        else
          staged_terms[slot(i)] = state.value();
      }
      __syncthreads();
      for (int u = 0; u < kItems; ++u) {
        const std::int64_t i = u * static_cast<int>(kThreads) +
                               static_cast<std::int64_t>(threadIdx.x);
        if (first + i < x.extent)
          x.out[x.place(base, first + i)] = kForm == Form::product
                                                ? staged_factors[slot(i)]
                                                : staged_terms[slot(i)];
      }
    }
  }
}

// The totals of a row become what all tiles up to it do: block (0, row).
template <class T, Form kForm>
__global__ void __launch_bounds__(kThreads) scan_totals(Scan<T> x) {
  using M = Map<T, kForm>;
  for (std::int64_t row = blockIdx.y; row < x.outer; row += gridDim.y) {
    M carry{};
    for (std::int64_t first = 0; first < x.pieces; first += kThreads) {
      const std::int64_t p = first + threadIdx.x;
      M own{};
      if (p < x.pieces) own = x.template total<kForm>(row * x.pieces + p);
      M all;
      const M before = before_this_thread<T, kForm>(own, all);
      if (p < x.pieces)
        x.template set_total<kForm>(row * x.pieces + p,
                                    carry.then(before).then(own));
      carry = carry.then(all);
    }
  }
}

// Places that are `inner` apart: one thread for each column of a piece.
template <class T, Form kForm, bool kTotals>
__global__ void __launch_bounds__(kThreads) scan_columns(Scan<T> x) {
  using M = Map<T, kForm>;
  const std::int64_t columns = x.outer * x.inner;
  const std::int64_t thread =
      static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (thread >= columns * x.pieces) return;
  const std::int64_t piece = thread / columns, column = thread % columns;
  const std::int64_t o = column / x.inner;
  const std::int64_t base = o * x.extent * x.inner + column - o * x.inner;
  const std::int64_t first = piece * kSteps;
  const std::int64_t last =
      first + kSteps < x.extent ? first + kSteps : x.extent;
  M state{};
  if (!kTotals && piece > 0)
    state = x.template total<kForm>((piece - 1) * columns + column);
  for (std::int64_t s = first; s < last; ++s) {
    state = state.then(x.template step<kForm>(base, s));
    if constexpr (!kTotals) x.out[x.place(base, s)] = state.value();
  }
  if constexpr (kTotals)
    x.template set_total<kForm>(piece * columns + column, state);
}

template <class T, Form kForm>
__global__ void __launch_bounds__(kThreads) scan_column_totals(Scan<T> x) {
  const std::int64_t columns = x.outer * x.inner;
  const std::int64_t column =
      static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (column >= columns) return;
  Map<T, kForm> state{};
  for (std::int64_t p = 0; p < x.pieces; ++p) {
    state = state.then(x.template total<kForm>(p * columns + column));
    x.template set_total<kForm>(p * columns + column, state);
  }
}

template <class F>
void launch_scan(F* kernel, std::int64_t x, std::int64_t y, Stream stream,
                 const auto& scan) {
  constexpr std::int64_t kMostRows = 65535;
  launch({reinterpret_cast<const void*>(kernel), "scan"},
         {.blocks_x = static_cast<std::uint32_t>(x),
          .blocks_y = static_cast<std::uint32_t>(std::min(y, kMostRows)),
          .threads_x = kThreads},
         stream, scan);
}

template <class T, Form kForm>
void run(const backend::ScanLaunch& l, Stream stream) {
  const bool rows = l.inner == 1;
  const std::int64_t piece = rows ? kTile : kSteps;
  const std::int64_t columns = l.outer * l.inner;
  Scan<T> x{static_cast<const T*>(l.a),
            static_cast<const T*>(l.b),
            static_cast<T*>(l.out),
            l.outer,
            l.extent,
            l.inner,
            (l.extent + piece - 1) / piece,
            l.reverse,
            l.coefficient_of_previous,
            nullptr,
            nullptr};
  const bool cut = x.pieces > 1;
  const auto totals = static_cast<std::size_t>(columns * x.pieces);
  const Scratch memory(cut ? 2 * totals * sizeof(T) : 0, stream);
  x.factors = memory.as<T>();
  x.terms = cut ? x.factors + totals : nullptr;
  const auto blocks = [](std::int64_t threads) {
    return (threads + kThreads - 1) / kThreads;
  };
  if (rows) {
    if (cut) {
      launch_scan(scan_tiles<T, kForm, true>, x.pieces, l.outer, stream, x);
      launch_scan(scan_totals<T, kForm>, 1, l.outer, stream, x);
    }
    launch_scan(scan_tiles<T, kForm, false>, x.pieces, l.outer, stream, x);
    return;
  }
  const std::int64_t all = blocks(columns * x.pieces);
  if (cut) {
    launch_scan(scan_columns<T, kForm, true>, all, 1, stream, x);
    launch_scan(scan_column_totals<T, kForm>, blocks(columns), 1, stream, x);
  }
  launch_scan(scan_columns<T, kForm, false>, all, 1, stream, x);
}

template <class T>
void run(const backend::ScanLaunch& l, Stream stream) {
  if (!l.a)
    run<T, Form::sum>(l, stream);
  else if (!l.b)
    run<T, Form::product>(l, stream);
  else if constexpr (std::is_floating_point_v<T>)
    run<T, Form::recurrence>(l, stream);
}

}  // namespace

void scan(const backend::ScanLaunch& l, Stream stream) {
  if (l.outer == 0 || l.extent == 0 || l.inner == 0) return;
  switch (l.dtype) {
    case DType::float64:
      return run<double>(l, stream);
    case DType::int32:
      return run<std::uint32_t>(l, stream);
    case DType::int64:
      return run<std::uint64_t>(l, stream);
    default:
      return run<float>(l, stream);
  }
}

}  // namespace jacquard::cuda_backend
