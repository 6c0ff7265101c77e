#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu_fallback/kernels/index_check.h"
#include "cpu_fallback/kernels/indexing.h"
#include "cpu_fallback/runtime/threads.h"

namespace jacquard::cpu_fallback {
namespace {

constexpr std::int64_t kTaskElements = 16 << 10;
// Columns that one task takes: a few cache lines.
constexpr std::int64_t kColumns = 64;

// The target elements of one task: one outer position, some columns, and of
// the scattered axis the positions [low, high).
struct Part {
  std::int64_t outer, first, last, low, high;
};

template <class T, class Write>
void scatter_part(const backend::IndexLaunch& l, const Part& p, Write write) {
  const auto* from =
      static_cast<const T*>(l.source) + p.outer * l.count * l.inner;
  auto* to = static_cast<T*>(l.target) + p.outer * l.extent * l.inner;
  const std::int64_t* index = l.index + p.outer * l.index_strides[0];
  for (std::int64_t j = 0; j < l.count; ++j) {
    const std::int64_t* row = index + j * l.index_strides[1];
    if (l.index_strides[2] == 0) {
      const std::int64_t at = position(*row, l.extent);
      if (at < p.low || at >= p.high) continue;
      for (std::int64_t i = p.first; i < p.last; ++i)
        write(to[at * l.inner + i], from[j * l.inner + i]);
      continue;
    }
    for (std::int64_t i = p.first; i < p.last; ++i) {
      const std::int64_t at = position(row[i * l.index_strides[2]], l.extent);
      if (at < p.low || at >= p.high) continue;
      write(to[at * l.inner + i], from[j * l.inner + i]);
    }
  }
}

// Every target element belongs to one part, so that the order in which it is
// written is that of j, whatever the parts.
template <class F>
void for_each_part(const backend::IndexLaunch& l, F&& run) {
  if (l.outer == 0 || l.count == 0 || l.inner == 0) return;
  check_indices(l);
  if (l.outer * l.count * l.inner < kTaskElements) {
    for (std::int64_t o = 0; o < l.outer; ++o)
      run(Part{o, 0, l.inner, 0, l.extent});
    return;
  }
  const std::int64_t threads = num_threads();
  std::int64_t columns = l.inner, ranges = 1;
  if (l.outer < 2 * threads) {
    const std::int64_t pieces = (l.inner + kColumns - 1) / kColumns;
    const std::int64_t wanted = (2 * threads + l.outer - 1) / l.outer;
    columns = (pieces + wanted - 1) / wanted * kColumns;
    // Each range reads all indices: no more of them than threads.
    if (pieces * l.outer < threads)
      ranges = std::min(threads, std::max<std::int64_t>(1, l.extent / 64));
  }
  const std::int64_t strips = (l.inner + columns - 1) / columns;
  const std::int64_t range = (l.extent + ranges - 1) / ranges;
  parallel_for(l.outer * strips * ranges, [&](std::int64_t i) {
    const std::int64_t part = i % ranges, strip = i / ranges % strips;
    run(Part{i / ranges / strips, strip * columns,
             std::min(l.inner, (strip + 1) * columns), part * range,
             std::min(l.extent, (part + 1) * range)});
  });
}

template <class T>
void add_part(const backend::IndexLaunch& l, const Part& p) {
  scatter_part<T>(l, p, [](T& to, T from) {
    if constexpr (std::is_integral_v<T>) {
      using U = std::make_unsigned_t<T>;
      to = static_cast<T>(static_cast<U>(to) + static_cast<U>(from));
    } else {
      to += from;
    }
  });
}

}  // namespace

void scatter(const backend::IndexLaunch& l) {
  for_each_part(l, [&](const Part& p) {
    const auto put = [](auto& to, auto from) { to = from; };
    switch (size_of(l.dtype)) {
      case 1:
        return scatter_part<std::uint8_t>(l, p, put);
      case 2:
        return scatter_part<std::uint16_t>(l, p, put);
      case 4:
        return scatter_part<std::uint32_t>(l, p, put);
      default:
        return scatter_part<std::uint64_t>(l, p, put);
    }
  });
}

void scatter_add(const backend::IndexLaunch& l) {
  for_each_part(l, [&](const Part& p) {
    switch (l.dtype) {
      case DType::float32:
        return add_part<float>(l, p);
      case DType::float64:
        return add_part<double>(l, p);
      case DType::int32:
        return add_part<std::int32_t>(l, p);
      case DType::int64:
        return add_part<std::int64_t>(l, p);
      case DType::float16:
        return scatter_part<std::uint16_t>(
            l, p, [](std::uint16_t& to, std::uint16_t from) {
              to = float_to_half(half_to_float(to) + half_to_float(from));
            });
      case DType::bfloat16:
        return scatter_part<std::uint16_t>(
            l, p, [](std::uint16_t& to, std::uint16_t from) {
              to = float_to_bfloat16(bfloat16_to_float(to) +
                                     bfloat16_to_float(from));
            });
      case DType::bool_:
        return scatter_part<std::uint8_t>(
            l, p, [](std::uint8_t& to, std::uint8_t from) { to |= from; });
    }
  });
}

}  // namespace jacquard::cpu_fallback
