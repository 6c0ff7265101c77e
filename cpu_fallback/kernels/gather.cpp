#include <algorithm>
#include <cstring>

#include "cpu_fallback/kernels/index_check.h"
#include "cpu_fallback/kernels/indexing.h"
#include "cpu_fallback/runtime/threads.h"

namespace jacquard::cpu_fallback {
namespace {

constexpr std::int64_t kTaskElements = 16 << 10;

// Rows (o, j) of `inner` elements that share one index.
void gather_rows(const backend::IndexLaunch& l, std::int64_t first,
                 std::int64_t last) {
  const std::size_t row = static_cast<std::size_t>(l.inner) * size_of(l.dtype);
  const auto* from = static_cast<const char*>(l.source);
  auto* to = static_cast<char*>(l.target);
  for (std::int64_t r = first; r < last; ++r) {
    const std::int64_t o = r / l.count, j = r % l.count;
    const std::int64_t at = position(
        l.index[o * l.index_strides[0] + j * l.index_strides[1]], l.extent);
    std::memcpy(to + static_cast<std::size_t>(r) * row,
                from + static_cast<std::size_t>(o * l.extent + at) * row, row);
  }
}

template <class T>
void gather_elements(const backend::IndexLaunch& l, std::int64_t first,
                     std::int64_t last) {
  const auto* from = static_cast<const T*>(l.source);
  auto* to = static_cast<T*>(l.target);
  for (std::int64_t r = first; r < last; ++r) {
    const std::int64_t o = r / l.count, j = r % l.count;
    const std::int64_t* index =
        l.index + o * l.index_strides[0] + j * l.index_strides[1];
    const T* x = from + o * l.extent * l.inner;
    for (std::int64_t i = 0; i < l.inner; ++i)
      to[r * l.inner + i] =
          x[position(index[i * l.index_strides[2]], l.extent) * l.inner + i];
  }
}

}  // namespace

void gather(const backend::IndexLaunch& l) {
  const std::int64_t rows = l.outer * l.count;
  if (rows == 0 || l.inner == 0) return;
  check_indices(l);
  using Rows =
      void (*)(const backend::IndexLaunch&, std::int64_t, std::int64_t);
  const std::size_t bytes = size_of(l.dtype);
  const bool whole_rows = l.inner > 1 && l.index_strides[2] == 0;
  const Rows run = whole_rows   ? gather_rows
                   : bytes == 1 ? gather_elements<std::uint8_t>
                   : bytes == 2 ? gather_elements<std::uint16_t>
                   : bytes == 4 ? gather_elements<std::uint32_t>
                                : gather_elements<std::uint64_t>;
  const std::int64_t piece = std::max<std::int64_t>(1, kTaskElements / l.inner);
  parallel_for((rows + piece - 1) / piece, [&](std::int64_t i) {
    run(l, i * piece, std::min(rows, (i + 1) * piece));
  });
}

}  // namespace jacquard::cpu_fallback
