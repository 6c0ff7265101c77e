#include <algorithm>
#include <cstdint>
#include <limits>

#include "cuda/kernels/access.h"
#include "cuda/kernels/divider.cuh"
#include "cuda/kernels/index_position.cuh"
#include "cuda/kernels/indexing.h"
#include "cuda/runtime/launch.h"

namespace jacquard::cuda_backend {
namespace {

constexpr unsigned kThreads = 256;

// Accesses of a thread, to have loads in flight. Divisions of 64 bits are calls
// over which their offsets would be spilled.
template <class Int>
constexpr unsigned kItems = sizeof(Int) == 4 ? 4 : 1;

// Offsets and extents of rows count accesses.
template <class Int>
struct Gather {
  const void* source;
  void* target;
  const std::int64_t* index;
  Int total;
  Divider<Int> row, count;  // accesses of a row, rows of an outer position
  Int extent;
  Int strides[3];  // of the index
  IndexCheck check;
};

// An index out of range gives zeros.
template <class Access, class Int>
__global__ void __launch_bounds__(kThreads) gather_kernel(Gather<Int> g) {
  constexpr Int kNowhere = ~Int{0};
  const Int first =
      static_cast<Int>(blockIdx.x) * (kThreads * kItems<Int>)+threadIdx.x;
  Int from[kItems<Int>];
#pragma unroll
  for (unsigned u = 0; u < kItems<Int>; ++u) {
    const Int at = first + u * kThreads;
    from[u] = kNowhere;
    if (at >= g.total) continue;
    const Int r = g.row.quotient(at), i = at - r * g.row.divisor;
    const Int o = g.count.quotient(r), j = r - o * g.count.divisor;
    const std::int64_t found = position(
        g.index[o * g.strides[0] + j * g.strides[1] + i * g.strides[2]],
        static_cast<std::int64_t>(g.extent), g.check);
    if (found >= 0)
      from[u] = (o * g.extent + static_cast<Int>(found)) * g.row.divisor + i;
  }
  Access value[kItems<Int>];
#pragma unroll
  for (unsigned u = 0; u < kItems<Int>; ++u)
    value[u] = from[u] == kNowhere
                   ? Access{}
                   : static_cast<const Access*>(g.source)[from[u]];
#pragma unroll
  for (unsigned u = 0; u < kItems<Int>; ++u) {
    const Int at = first + u * kThreads;
    if (at < g.total) static_cast<Access*>(g.target)[at] = value[u];
  }
}

template <class Int>
const void* kernel_for(std::size_t access) {
  switch (access) {
    case 1:
      return reinterpret_cast<const void*>(gather_kernel<std::uint8_t, Int>);
    case 2:
      return reinterpret_cast<const void*>(gather_kernel<std::uint16_t, Int>);
    case 4:
      return reinterpret_cast<const void*>(gather_kernel<std::uint32_t, Int>);
    case 8:
      return reinterpret_cast<const void*>(gather_kernel<uint2, Int>);
    default:
      return reinterpret_cast<const void*>(gather_kernel<uint4, Int>);
  }
}

template <class Int>
void run(const backend::IndexLaunch& l, std::size_t access, Stream stream) {
  const auto whole = [](std::int64_t n) { return static_cast<Int>(n); };
  const std::int64_t row = l.inner *
                           static_cast<std::int64_t>(size_of(l.dtype)) /
                           static_cast<std::int64_t>(access);
  const std::int64_t total = l.outer * l.count * row;
  const Gather<Int> g{l.source,
                      l.target,
                      l.index,
                      whole(total),
                      Divider<Int>(whole(row)),
                      Divider<Int>(whole(l.count)),
                      whole(l.extent),
                      {whole(l.index_strides[0]), whole(l.index_strides[1]),
                       whole(row == 1 ? 0 : l.index_strides[2])},
                      index_check(l.op, l.extent, stream)};
  constexpr std::int64_t kTile = kThreads * kItems<Int>;
  launch({kernel_for<Int>(access), "gather"},
         {.blocks_x = static_cast<std::uint32_t>((total + kTile - 1) / kTile),
          .threads_x = kThreads},
         stream, g);
}

// Whether every offset of the launch fits in 31 bits.
bool is_small(const backend::IndexLaunch& l) {
  const std::int64_t index_span = (l.outer - 1) * l.index_strides[0] +
                                  (l.count - 1) * l.index_strides[1] +
                                  (l.inner - 1) * l.index_strides[2];
  return std::max({l.outer * l.count * l.inner, l.outer * l.extent * l.inner,
                   l.extent, index_span}) <
         std::numeric_limits<std::int32_t>::max() -
             kThreads * kItems<std::uint32_t>;
}

}  // namespace

void gather(const backend::IndexLaunch& l, Stream stream) {
  if (l.outer == 0 || l.count == 0 || l.inner == 0) return;
  const std::size_t element = size_of(l.dtype);
  const bool whole_rows = l.inner == 1 || l.index_strides[2] == 0;
  const std::size_t access =
      whole_rows ? widest_access(static_cast<std::size_t>(l.inner) * element,
                                 {l.source, l.target})
                 : element;
  if (is_small(l))
    run<std::uint32_t>(l, access, stream);
  else
    run<std::uint64_t>(l, access, stream);
}

}  // namespace jacquard::cuda_backend
