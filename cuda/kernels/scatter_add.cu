#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cuda/kernels/access.h"
#include "cuda/kernels/addition.cuh"
#include "cuda/kernels/indexing.h"
#include "cuda/kernels/sorted_slots.h"
#include "cuda/runtime/launch.h"

namespace jacquard::cuda_backend {
namespace {

constexpr unsigned kThreads = 256;
constexpr int kAhead = 8;  // rows whose loads are in flight together

struct ScatterAdd {
  Slots slots;  // row counts packs
  const void* source;
  void* target;
  const void *keys, *numbers;  // sorted; not used by the direct kernel
};

// Some elements that one access moves.
template <class T, int kWidth>
struct Pack {
  using Element = typename Addition<T>::Element;
  Element x[kWidth];

  static __device__ Pack load(const void* data, std::int64_t at) {
    Pack pack;
    if constexpr (sizeof(Pack) == 16) {
      const uint4 bits = static_cast<const uint4*>(data)[at];
      memcpy(pack.x, &bits, 16);
    } else {
      pack.x[0] = static_cast<const Element*>(data)[at];
    }
    return pack;
  }
  __device__ void store(void* data, std::int64_t at) const {
    if constexpr (sizeof(Pack) == 16) {
      uint4 bits;
      memcpy(&bits, x, 16);
      static_cast<uint4*>(data)[at] = bits;
    } else {
      static_cast<Element*>(data)[at] = x[0];
    }
  }
  __device__ void add(const Pack& other) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) x[i] = Addition<T>::add(x[i], other.x[i]);
  }
};

// Of the slots with one key the first one adds them all, in rising order.
template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) add_direct(ScatterAdd a) {
  using P = Pack<T, kWidth>;
  const Slots& s = a.slots;
  const std::int64_t at =
      static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= s.repeats * s.slots * s.row) return;
  const std::int64_t r = at / s.row, i = at - r * s.row;
  const std::int64_t o = r / s.slots, slot = r - o * s.slots;
  const Slots::Place p = s.place(slot);
  if (p.position < 0) return;
  for (std::int64_t j = 0; j < p.j; ++j)
    if (s.same(p, j)) return;
  const std::int64_t to = (o * s.keys + p.key) * s.row + i;
  P sum = P::load(a.target, to);
  sum.add(P::load(a.source, at));
  for (std::int64_t j = p.j + 1; j < s.count; ++j)
    if (s.same(p, j))
      sum.add(P::load(a.source, at + (j - p.j) * s.inner * s.row));
  sum.store(a.target, to);
}

// The same over sorted slots: the thread at the start of a segment walks it.
template <class T, int kWidth, class Word>
__global__ void __launch_bounds__(kThreads) add_sorted(ScatterAdd a) {
  using P = Pack<T, kWidth>;
  const Slots& s = a.slots;
  const std::int64_t thread =
      static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (thread >= s.repeats * s.slots * s.row) return;
  const std::int64_t r = thread / s.row, i = thread - r * s.row;
  const std::int64_t o = r / s.slots, first = r - o * s.slots;
  const Word* keys = static_cast<const Word*>(a.keys);
  const Word* numbers = static_cast<const Word*>(a.numbers);
  const Word key = keys[first];
  if (key == static_cast<Word>(s.keys)) return;
  if (first > 0 && keys[first - 1] == key) return;

  const std::int64_t to =
      (o * s.keys + static_cast<std::int64_t>(key)) * s.row + i;
  const std::int64_t from = o * s.slots;
  P sum = P::load(a.target, to);
  for (std::int64_t n = first;; n += kAhead) {
    P next[kAhead];
    int count = 0;
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      if (n + u >= s.slots || keys[n + u] != key) continue;
      next[u] = P::load(
          a.source,
          (from + static_cast<std::int64_t>(numbers[n + u])) * s.row + i);
      ++count;
    }
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
      if (u < count) sum.add(next[u]);
    if (count < kAhead) break;
  }
  sum.store(a.target, to);
}

struct Kernels {
  const void *direct, *sorted, *sorted_wide;
};

template <class T, int kWidth>
Kernels kernels_of() {
  return {reinterpret_cast<const void*>(add_direct<T, kWidth>),
          reinterpret_cast<const void*>(add_sorted<T, kWidth, std::uint32_t>),
          reinterpret_cast<const void*>(add_sorted<T, kWidth, std::uint64_t>)};
}

template <class T>
Kernels kernels_for(bool packed) {
  constexpr int kWidth = 16 / sizeof(typename Addition<T>::Element);
  return packed ? kernels_of<T, kWidth>() : kernels_of<T, 1>();
}

Kernels kernels_for(DType dtype, bool packed) {
  switch (dtype) {
    case DType::float64:
      return kernels_for<double>(packed);
    case DType::int32:
      return kernels_for<std::uint32_t>(packed);
    case DType::int64:
      return kernels_for<std::uint64_t>(packed);
    case DType::float16:
      return kernels_for<Float16>(packed);
    case DType::bfloat16:
      return kernels_for<BFloat16>(packed);
    case DType::bool_:
      return kernels_for<Bool>(packed);
    default:
      return kernels_for<float>(packed);
  }
}

}  // namespace

void scatter_add(const backend::IndexLaunch& l, Stream stream) {
  if (l.outer == 0 || l.count == 0 || l.inner == 0) return;
  ScatterAdd a{slots_of(l, stream), l.source, l.target, nullptr, nullptr};
  const auto element = static_cast<std::int64_t>(size_of(l.dtype));
  const bool packed =
      widest_access(static_cast<std::size_t>(a.slots.row * element),
                    {l.source, l.target}) == 16;
  if (packed) a.slots.row = a.slots.row * element / 16;
  const Kernels kernels = kernels_for(l.dtype, packed);
  const std::int64_t threads = a.slots.repeats * a.slots.slots * a.slots.row;
  const Geometry geometry{.blocks_x = static_cast<std::uint32_t>(
                              (threads + kThreads - 1) / kThreads),
                          .threads_x = kThreads};
  if (is_direct(a.slots, a.slots.row)) {
    launch({kernels.direct, "scatter_add"}, geometry, stream, a);
    return;
  }
  const SortedSlots sorted(a.slots, stream);
  a.keys = sorted.keys();
  a.numbers = sorted.slots();
  launch(
      {sorted.is_wide() ? kernels.sorted_wide : kernels.sorted, "scatter_add"},
      geometry, stream, a);
}

}  // namespace jacquard::cuda_backend
