#include "cpu_fallback/kernels/sort.h"

#include <oneapi/tbb/parallel_sort.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "core/backend/sort_key.h"
#include "cpu_fallback/runtime/threads.h"

namespace jacquard::cpu_fallback {
namespace {

// Rows longer than this are sorted by all threads.
constexpr std::int64_t kLong = 1 << 16;

struct Entry {
  std::uint64_t key;
  std::int64_t position;

  // Total, so that the order is the same whoever sorts.
  friend bool operator<(const Entry& x, const Entry& y) {
    return x.key != y.key ? x.key < y.key : x.position < y.position;
  }
};

template <class T>
std::uint64_t key_at(const void* keys, std::int64_t i) {
  T x;
  std::memcpy(&x, static_cast<const T*>(keys) + i, sizeof(T));
  return x;
}

using ReadKey = std::uint64_t (*)(const void*, std::int64_t);

ReadKey reader_of(DType dtype) {
  switch (size_of(dtype)) {
    case 1:
      return key_at<std::uint8_t>;
    case 2:
      return key_at<std::uint16_t>;
    case 4:
      return key_at<std::uint32_t>;
    default:
      return key_at<std::uint64_t>;
  }
}

void sort_row(const backend::SortLaunch& l, std::int64_t row, bool together) {
  const ReadKey read = reader_of(l.dtype);
  const backend::SortKey order(l.dtype, l.descending);
  std::vector<Entry> entries(static_cast<std::size_t>(l.extent));
  for (std::int64_t j = 0; j < l.extent; ++j)
    entries[static_cast<std::size_t>(j)] = {
        order.of(read(l.keys, row * l.extent + j)), j};
  if (together)
    tbb::parallel_sort(entries.begin(), entries.end());
  else
    std::sort(entries.begin(), entries.end());
  std::int64_t* out = l.positions + row * l.extent;
  for (const Entry& e : entries) *out++ = e.position;
}

}  // namespace

void sort(const backend::SortLaunch& l) {
  if (l.rows == 0 || l.extent == 0) return;
  if (l.extent > kLong) {
    for (std::int64_t row = 0; row < l.rows; ++row) sort_row(l, row, true);
    return;
  }
  parallel_for(l.rows, [&](std::int64_t row) { sort_row(l, row, false); });
}

}  // namespace jacquard::cpu_fallback
