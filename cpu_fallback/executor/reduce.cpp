// Accumulators: their neutral elements, their way to partial results and
// outputs, and the tree over the groups.
#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cpu_fallback/executor/launch.h"
#include "cpu_fallback/runtime/threads.h"

namespace jacquard::cpu_fallback {
namespace {

template <class T>
T neutral(Reduction reduction) {
  using Limits = std::numeric_limits<T>;
  switch (reduction) {
    case Reduction::prod:
      return T{1};
    case Reduction::max:
      return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    case Reduction::min:
      return Limits::has_infinity ? Limits::infinity() : Limits::max();
    default:
      return T{0};
  }
}

template <class F>
void with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::bool_:
      return f(bool{});
    case DType::int32:
      return f(std::int32_t{});
    case DType::int64:
      return f(std::int64_t{});
    case DType::float64:
      return f(double{});
    default:
      return f(float{});
  }
}

// Two walks over the same axes, in runs that are dense in the first and, with
// `dense`, in the second.
template <class F>
void walk_both(Walk& from, Walk& to, std::int64_t n, bool dense, F&& f) {
  while (n > 0) {
    const bool single = from.step() != 1 || (dense && to.step() != 1);
    const std::int64_t run = single ? 1 : std::min({from.left(), to.left(), n});
    f(from.offset, to.offset, to.step(), run);
    from.advance(run);
    to.advance(run);
    n -= run;
  }
}

struct BoxAxes {
  int rank = 0;
  std::int64_t n = 1, from = 0, to = 0;
  PerAxis extent, from_stride, to_stride;

  void add(std::int64_t e, std::int64_t f, std::int64_t t) {
    if (e == 1) return;
    extent[rank] = e;
    from_stride[rank] = f;
    to_stride[rank++] = t;
    n *= e;
  }
};

template <class T, class F>
void fold_rows(const T* x, std::int64_t rows, std::int64_t cols, T* acc, F op) {
  for (std::int64_t r = 0; r < rows; ++r, x += cols) {
    T a = acc[r];
    for (std::int64_t j = 0; j < cols; ++j) a = op(a, x[j]);
    acc[r] = a;
  }
}

// Integers as unsigned ones, which wrap.
template <class T>
struct Arithmetic {
  using type = T;
};
template <>
struct Arithmetic<std::int32_t> {
  using type = std::uint32_t;
};
template <>
struct Arithmetic<std::int64_t> {
  using type = std::uint64_t;
};

// The pieces that pattern `stacked` kept apart, as a tree by halves.
void fold_stack(const Launch& l, const Reducer& r, char* acc) {
  const auto bytes = static_cast<std::int64_t>(size_of(r.dtype));
  const std::int64_t row = l.suffix * bytes;
  for (std::int64_t at = 0; at < r.accumulators; at += r.stack * l.suffix) {
    char* base = acc + at * bytes;
    for (std::int64_t m = r.stack; m > 1;) {
      const std::int64_t h = (m + 1) / 2;
      r.combine(base + h * row, base,
                static_cast<std::size_t>((m - h) * l.suffix));
      m = h;
    }
  }
}

}  // namespace

void fill_neutral(Reduction reduction, DType dtype, void* to, std::int64_t n) {
  with_type(dtype, [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(static_cast<T*>(to), n, neutral<T>(reduction));
  });
}

void fold_short_rows(Reduction reduction, DType dtype, const void* from,
                     std::int64_t rows, std::int64_t cols, void* acc) {
  with_type(dtype, [&](auto zero) {
    using T = decltype(zero);
    using U = typename Arithmetic<T>::type;
    const auto run = [&](auto op) {
      fold_rows(static_cast<const T*>(from), rows, cols, static_cast<T*>(acc),
                op);
    };
    switch (reduction) {
      case Reduction::max:  // NaN wins
        return run([](T a, T b) { return a > b || a != a ? a : b; });
      case Reduction::min:
        return run([](T a, T b) { return a < b || a != a ? a : b; });
      case Reduction::prod:
        return run([](T a, T b) {
          return static_cast<T>(static_cast<U>(a) * static_cast<U>(b));
        });
      default:
        return run([](T a, T b) {
          return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
        });
    }
  });
}

void write_results(const OutputState& out, const char* accumulators,
                   std::int64_t n, char* to, std::int64_t stride) {
  const KernelTable& k = kernels();
  const DType from = compute_type(out.plan->dtype);
  const auto from_bytes = static_cast<std::int64_t>(size_of(from));
  const auto to_bytes = static_cast<std::int64_t>(size_of(out.dtype));
  const int to_type = static_cast<int>(out.dtype);
  alignas(64) char value[kTile * 8], converted[kTile * 8];
  for (std::int64_t i = 0; i < n; i += kTile) {
    const std::int64_t m = std::min(kTile, n - i);
    std::memcpy(value, accumulators + i * from_bytes,
                static_cast<std::size_t>(m * from_bytes));
    if (out.plan->reduction == Reduction::mean) {
      with_type(from, [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_floating_point_v<T>)
          for (std::int64_t j = 0; j < m; ++j)
            reinterpret_cast<T*>(value)[j] /=
                static_cast<T>(out.reducer.divisor);
      });
    }
    const char* source = value;
    if (compute_type(out.dtype) != from || is_half(out.dtype)) {
      k.cast[static_cast<int>(from)][to_type](
          value, nullptr, nullptr, converted, static_cast<std::size_t>(m));
      source = converted;
    }
    const auto store = out.accumulate ? k.store_add[to_type] : k.store[to_type];
    store(source, to + i * stride * to_bytes, stride,
          static_cast<std::size_t>(m));
  }
}

void flush_box(const Launch& l, const OutputState& out, char* acc,
               const std::int64_t* origin, const std::int64_t* extent) {
  const Reducer& r = out.reducer;
  const auto bytes = static_cast<std::int64_t>(size_of(r.dtype));
  if (r.stack > 1) fold_stack(l, r, acc);
  BoxAxes axes;
  for (int a = 0; a < l.rank; ++a) {
    if (r.group[a] == 0) continue;
    axes.add((extent[a] + r.group[a] - 1) / r.group[a], r.acc_group_stride[a],
             r.part_stride[a]);
    axes.to += origin[a] / r.group[a] * r.part_stride[a];
  }
  if (!r.partial) axes.to = 0;
  for (int a = 0; a < l.rank; ++a) {
    if (r.group[a] != 0) continue;
    const std::int64_t to = r.partial ? r.part_stride[a] : out.stride[a];
    axes.add(extent[a], r.acc_stride[a], to);
    axes.to += origin[a] * to;
  }
  Walk from, to;
  from.begin(axes.rank, axes.extent, axes.from_stride, axes.from);
  to.begin(axes.rank, axes.extent, axes.to_stride, axes.to);
  const auto to_bytes = static_cast<std::int64_t>(size_of(out.dtype));
  walk_both(from, to, axes.n, r.partial != nullptr,
            [&](std::int64_t f, std::int64_t t, std::int64_t t_stride,
                std::int64_t run) {
              const char* source = acc + f * bytes;
              if (r.partial)
                std::memcpy(r.partial + t * bytes, source,
                            static_cast<std::size_t>(run * bytes));
              else
                write_results(out, source, run, out.data + t * to_bytes,
                              t_stride);
            });
}

void finish_reductions(Launch& l) {
  for (OutputState& out : l.outputs) {
    if (out.kind != OutputState::Kind::reduce || !out.reducer.partial) continue;
    const Reducer& r = out.reducer;
    const auto bytes = static_cast<std::int64_t>(size_of(r.dtype));
    const auto to_bytes = static_cast<std::int64_t>(size_of(out.dtype));
    PerAxis kept_extent, kept_stride;
    int kept_rank = 0;
    for (int a = 0; a < l.rank; ++a) {
      if (r.group[a] != 0) continue;
      kept_extent[kept_rank] = l.extent[a];
      kept_stride[kept_rank++] = out.stride[a];
    }
    constexpr std::int64_t kSlice = 1024;
    const auto slice = [&](std::int64_t index) {
      const std::int64_t first = index * kSlice;
      const std::int64_t n = std::min(kSlice, r.kept - first);
      char* base = r.partial + first * bytes;
      for (std::int64_t m = r.groups; m > 1;) {
        const std::int64_t h = (m + 1) / 2;
        if (n == r.kept) {
          r.combine(base + h * n * bytes, base,
                    static_cast<std::size_t>((m - h) * n));
        } else {
          for (std::int64_t i = h; i < m; ++i)
            r.combine(base + i * r.kept * bytes,
                      base + (i - h) * r.kept * bytes,
                      static_cast<std::size_t>(n));
        }
        m = h;
      }
      Walk to;
      to.begin(kept_rank, kept_extent, kept_stride, 0);
      to.skip(first);
      to.runs(n, [&](std::int64_t done, std::int64_t offset,
                     std::int64_t stride, std::int64_t run) {
        write_results(out, base + done * bytes, run,
                      out.data + offset * to_bytes, stride);
      });
    };
    const std::int64_t slices = (r.kept + kSlice - 1) / kSlice;
    if (r.kept * r.groups < (1 << 15)) {
      for (std::int64_t i = 0; i < slices; ++i) slice(i);
    } else {
      parallel_for(slices, slice);
    }
  }
}

}  // namespace jacquard::cpu_fallback
