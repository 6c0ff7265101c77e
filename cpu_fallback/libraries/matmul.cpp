#include "cpu_fallback/libraries/matmul.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "cpu_fallback/isa/kernel_table.h"
#include "cpu_fallback/libraries/gemm.h"
#include "cpu_fallback/runtime/allocator.h"
#include "cpu_fallback/runtime/threads.h"

namespace jacquard::cpu_fallback {
namespace {

using backend::MatmulLaunch;
using backend::MatrixBinding;

// Multiplications of a task that is worth handing over; the largest tile; how
// many tiles a big product has at least, and how small their sides may get.
constexpr double kTaskWork = 8e6;
constexpr std::int64_t kLargest = 512, kTiles = 8, kLeastRows = 64,
                       kLeastCols = 128;

// Tiles of one product, and how many products of a batch are one task.
struct Grid {
  std::int64_t rows, cols;  // of a tile
  std::int64_t across, down, group;

  Grid(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t batch) {
    const double work = static_cast<double>(m) * static_cast<double>(n) *
                        static_cast<double>(k);
    rows = std::min(m, kLargest);
    cols = std::min(n, kLargest);
    for (;;) {
      const std::int64_t tiles = count(m, rows) * count(n, cols);
      if (tiles * batch >= kTiles ||
          work / static_cast<double>(2 * tiles) < kTaskWork)
        break;
      if (cols > kLeastCols)
        cols = (cols + 1) / 2;
      else if (rows > kLeastRows)
        rows = (rows + 1) / 2;
      else
        break;
    }
    rows = spread(m, rows, 16);
    cols = spread(n, cols, 64);
    down = count(m, rows);
    across = count(n, cols);
    group = 1;
    if (across * down == 1 && work < kTaskWork)
      group = static_cast<std::int64_t>(kTaskWork / 8 / std::max(work, 64.0));
    group = std::max<std::int64_t>(group, 1);
  }

 private:
  static std::int64_t count(std::int64_t n, std::int64_t tile) {
    return (n + tile - 1) / tile;
  }
  static std::int64_t round_up(std::int64_t n, std::int64_t to) {
    return (n + to - 1) / to * to;
  }
  // Tiles of nearly equal size.
  static std::int64_t spread(std::int64_t n, std::int64_t tile,
                             std::int64_t to) {
    const std::int64_t tiles = count(n, tile);
    return std::min(n, round_up((n + tiles - 1) / tiles, to));
  }
};

std::int64_t batch_offset(const MatmulLaunch& l, const MatrixBinding& x,
                          std::int64_t index) {
  std::int64_t offset = 0;
  for (int a = l.batch.rank() - 1; a >= 0; --a) {
    offset += index % l.batch[a] * x.batch_strides[a];
    index /= l.batch[a];
  }
  return offset;
}

// Tiles of values that whole packs are written to.
constexpr std::int64_t kSlack = static_cast<std::int64_t>(kQuantum);

// The epilogue of a tile, by the functions that compute it elsewhere.
template <class T>
void finish(const Gemm<T>& g, const T* bias, bool relu) {
  const KernelTable& k = kernels();
  const int type = static_cast<int>(dtype_of<T>);
  const auto fn = [&](pointwise::Op op) {
    return k.op[static_cast<int>(op)][type];
  };
  const TileFn add = fn(pointwise::Op::add), cut = fn(pointwise::Op::relu);
  const auto n = static_cast<std::size_t>(g.n);
  alignas(64) T row[kLargest + kSlack], added[kLargest + kSlack];
  k.load[type](bias, 1, added, n);
  for (std::int64_t i = 0; i < g.m; ++i) {
    T* c = g.c + i * g.ldc;
    k.load[type](c, 1, row, n);
    add(row, added, nullptr, row, n);
    if (relu) cut(row, nullptr, nullptr, row, n);
    k.store[type](row, c, 1, n);
  }
}

template <class T>
void multiply(const MatmulLaunch& l) {
  const std::int64_t batch = l.batch.numel();
  const Grid grid(l.m, l.n, l.k, batch);
  const std::int64_t tiles = grid.across * grid.down;
  const auto tile = [&](std::int64_t index) {
    const std::int64_t b = index / tiles, t = index % tiles;
    const std::int64_t i = t / grid.across * grid.rows,
                       j = t % grid.across * grid.cols;
    Gemm<T> g;
    g.m = std::min(grid.rows, l.m - i);
    g.n = std::min(grid.cols, l.n - j);
    g.k = l.k;
    g.a_row = l.a.row_stride;
    g.a_col = l.a.col_stride;
    g.b_row = l.b.row_stride;
    g.b_col = l.b.col_stride;
    g.a =
        static_cast<const T*>(l.a.data) + batch_offset(l, l.a, b) + i * g.a_row;
    g.b =
        static_cast<const T*>(l.b.data) + batch_offset(l, l.b, b) + j * g.b_col;
    g.c = static_cast<T*>(l.c) + (b * l.m + i) * l.n + j;
    g.ldc = l.n;
    g.accumulate = l.accumulate;
    gemm(g);
    if constexpr (std::is_floating_point_v<T>)
      if (l.bias) finish(g, static_cast<const T*>(l.bias) + j, l.relu);
  };
  const std::int64_t total = batch * tiles;
  const std::int64_t tasks = (total + grid.group - 1) / grid.group;
  parallel_for(tasks, [&](std::int64_t task) {
    const std::int64_t last = std::min(total, (task + 1) * grid.group);
    for (std::int64_t i = task * grid.group; i < last; ++i) tile(i);
  });
}

constexpr std::int64_t kPanel = 16 << 10;

// A float32 copy of a half-typed operand, with every batch element that
// differs. Its lines are padded, so that loading one doesn't touch the next.
struct Widened {
  Buffer buffer;
  MatrixBinding binding;

  Widened(const MatmulLaunch& l, const MatrixBinding& x, std::int64_t rows,
          std::int64_t cols) {
    const bool plain = x.col_stride == 1 || cols == 1;
    const std::int64_t lines = plain ? rows : cols,
                       length = plain ? cols : rows,
                       line_stride = plain ? x.row_stride : x.col_stride;
    binding.batch_strides = x.batch_strides;
    const std::int64_t padded = (length + kSlack - 1) / kSlack * kSlack;
    std::int64_t distinct = 1;
    for (int a = l.batch.rank() - 1; a >= 0; --a) {
      if (x.batch_strides[a] == 0) continue;
      binding.batch_strides[a] = distinct * lines * padded;
      distinct *= l.batch[a];
    }
    buffer = Buffer(static_cast<std::size_t>(distinct * lines * padded) *
                    sizeof(float));
    binding.data = buffer.data();
    binding.row_stride = plain ? padded : 1;
    binding.col_stride = plain ? 1 : padded;
    const auto load = kernels().load[static_cast<int>(l.dtype)];
    const std::int64_t piece =
        std::max<std::int64_t>(1, kPanel / std::max<std::int64_t>(length, 1));
    const std::int64_t total = distinct * lines;
    parallel_for((total + piece - 1) / piece, [&](std::int64_t task) {
      const std::int64_t last = std::min(total, (task + 1) * piece);
      for (std::int64_t i = task * piece; i < last; ++i) {
        std::int64_t from = i % lines * line_stride, index = i / lines;
        for (int a = l.batch.rank() - 1; a >= 0; --a) {
          if (x.batch_strides[a] == 0) continue;
          from += index % l.batch[a] * x.batch_strides[a];
          index /= l.batch[a];
        }
        load(static_cast<const char*>(x.data) + from * 2, 1,
             buffer.data() + i * padded * 4, static_cast<std::size_t>(length));
      }
    });
  }
};

void multiply_halves(const MatmulLaunch& l) {
  const Widened a(l, l.a, l.m, l.k), b(l, l.b, l.k, l.n);
  MatmulLaunch wide = l;
  wide.dtype = wide.out_dtype = DType::float32;
  wide.a = a.binding;
  wide.b = b.binding;
  if (l.out_dtype == DType::float32) return multiply<float>(wide);

  const std::int64_t numel = l.batch.numel() * l.m * l.n;
  const Buffer product(static_cast<std::size_t>(numel + kSlack) *
                       sizeof(float));
  wide.c = product.data();
  const int type = static_cast<int>(l.out_dtype);
  const KernelTable& k = kernels();
  const auto each_piece = [&](auto&& f) {
    parallel_for((numel + kPanel - 1) / kPanel, [&](std::int64_t i) {
      const std::int64_t at = i * kPanel, n = std::min(kPanel, numel - at);
      f(static_cast<char*>(l.c) + at * 2, product.data() + at * 4,
        static_cast<std::size_t>(n));
    });
  };
  if (l.accumulate)
    each_piece(
        [&](char* c, char* p, std::size_t n) { k.load[type](c, 1, p, n); });
  multiply<float>(wide);
  const TileFn round =
      l.out_dtype == DType::float16 ? k.round_half : k.round_bfloat;
  each_piece([&](char* c, char* p, std::size_t n) {
    alignas(64) float rounded[256];
    for (std::size_t at = 0; at < n; at += 256) {
      const std::size_t m = std::min<std::size_t>(256, n - at);
      std::memcpy(rounded, p + at * 4, m * 4);
      round(rounded, nullptr, nullptr, rounded, m);
      k.store[type](rounded, c + at * 2, 1, m);
    }
  });
}

void zero(const MatmulLaunch& l) {
  if (l.accumulate) return;
  const auto count = static_cast<std::size_t>(l.batch.numel() * l.m * l.n);
  if (count) std::memset(l.c, 0, count * size_of(l.out_dtype));
}

}  // namespace

bool supports_epilogue(const MatmulLaunch& l) {
  return (l.dtype == DType::float32 || l.dtype == DType::float64) &&
         l.out_dtype == l.dtype && !l.accumulate;
}

void matmul(const MatmulLaunch& l) {
  if (l.m == 0 || l.n == 0 || l.k == 0 || l.batch.numel() == 0) return zero(l);
  switch (l.dtype) {
    case DType::float32:
      return multiply<float>(l);
    case DType::float64:
      return multiply<double>(l);
    case DType::int32:
      return multiply<std::int32_t>(l);
    case DType::int64:
      return multiply<std::int64_t>(l);
    default:
      return multiply_halves(l);
  }
}

}  // namespace jacquard::cpu_fallback
