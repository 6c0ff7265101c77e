#include <cstddef>
#include <cstdint>

#include "cuda/kernels/access.h"
#include "cuda/kernels/indexing.h"
#include "cuda/kernels/sorted_slots.h"
#include "cuda/runtime/launch.h"

namespace jacquard::cuda_backend {
namespace {

constexpr unsigned kThreads = 256;

struct Scatter {
  Slots slots;  // row counts accesses
  const void* source;
  void* target;
  const void *keys, *numbers;  // sorted; not used by the direct kernel
};

// Of the slots with one key the last one writes.
template <class Access>
__global__ void __launch_bounds__(kThreads) scatter_direct(Scatter a) {
  const Slots& s = a.slots;
  const std::int64_t at =
      static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= s.repeats * s.slots * s.row) return;
  const std::int64_t r = at / s.row, i = at - r * s.row;
  const std::int64_t o = r / s.slots, slot = r - o * s.slots;
  const Slots::Place p = s.place(slot);
  if (p.position < 0) return;
  for (std::int64_t j = p.j + 1; j < s.count; ++j)
    if (s.same(p, j)) return;
  static_cast<Access*>(a.target)[(o * s.keys + p.key) * s.row + i] =
      static_cast<const Access*>(a.source)[at];
}

template <class Access, class Word>
__global__ void __launch_bounds__(kThreads) scatter_sorted(Scatter a) {
  const Slots& s = a.slots;
  const std::int64_t thread =
      static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (thread >= s.repeats * s.slots * s.row) return;
  const std::int64_t r = thread / s.row, i = thread - r * s.row;
  const std::int64_t o = r / s.slots, n = r - o * s.slots;
  const Word* keys = static_cast<const Word*>(a.keys);
  const Word key = keys[n];
  if (key == static_cast<Word>(s.keys)) return;
  if (n + 1 < s.slots && keys[n + 1] == key) return;
  const std::int64_t slot = static_cast<const Word*>(a.numbers)[n];
  static_cast<Access*>(
      a.target)[(o * s.keys + static_cast<std::int64_t>(key)) * s.row + i] =
      static_cast<const Access*>(a.source)[(o * s.slots + slot) * s.row + i];
}

struct Kernels {
  const void *direct, *sorted, *sorted_wide;
};

template <class Access>
Kernels kernels_of() {
  return {reinterpret_cast<const void*>(scatter_direct<Access>),
          reinterpret_cast<const void*>(scatter_sorted<Access, std::uint32_t>),
          reinterpret_cast<const void*>(scatter_sorted<Access, std::uint64_t>)};
}

Kernels kernels_for(std::size_t access) {
  switch (access) {
    case 1:
      return kernels_of<std::uint8_t>();
    case 2:
      return kernels_of<std::uint16_t>();
    case 4:
      return kernels_of<std::uint32_t>();
    case 8:
      return kernels_of<uint2>();
    default:
      return kernels_of<uint4>();
  }
}

}  // namespace

void scatter(const backend::IndexLaunch& l, Stream stream) {
  if (l.outer == 0 || l.count == 0 || l.inner == 0) return;
  Scatter a{slots_of(l, stream), l.source, l.target, nullptr, nullptr};
  const std::size_t row =
      static_cast<std::size_t>(a.slots.row) * size_of(l.dtype);
  const std::size_t access = widest_access(row, {l.source, l.target});
  a.slots.row = static_cast<std::int64_t>(row / access);
  const Kernels kernels = kernels_for(access);
  const std::int64_t threads = a.slots.repeats * a.slots.slots * a.slots.row;
  const Geometry geometry{.blocks_x = static_cast<std::uint32_t>(
                              (threads + kThreads - 1) / kThreads),
                          .threads_x = kThreads};
  if (is_direct(a.slots, a.slots.row)) {
    launch({kernels.direct, "scatter"}, geometry, stream, a);
    return;
  }
  const SortedSlots sorted(a.slots, stream);
  a.keys = sorted.keys();
  a.numbers = sorted.slots();
  launch({sorted.is_wide() ? kernels.sorted_wide : kernels.sorted, "scatter"},
         geometry, stream, a);
}

}  // namespace jacquard::cuda_backend
