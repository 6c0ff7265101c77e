#include <bit>
#include <cstddef>
#include <cstdint>

#include "cuda/kernels/sorted_slots.h"
#include "cuda/libraries/radix_sort.h"
#include "cuda/runtime/launch.h"

namespace jacquard::cuda_backend {
namespace {

constexpr unsigned kThreads = 256;

template <class Word>
__global__ void __launch_bounds__(kThreads)
    key_kernel(Slots slots, Word* keys, Word* numbers) {
  const std::int64_t slot =
      static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (slot >= slots.slots) return;
  const Slots::Place p = slots.place(slot);
  keys[slot] = static_cast<Word>(p.position < 0 ? slots.keys : p.key);
  numbers[slot] = static_cast<Word>(slot);
}

template <class Word>
void sort(const Slots& s, void* words, const void*& keys, const void*& slots,
          Stream stream) {
  Word* part = static_cast<Word*>(words);
  RadixSort<Word> work;
  work.keys = part;
  work.values = part + s.slots;
  work.other_keys = part + 2 * s.slots;
  work.other_values = part + 3 * s.slots;
  work.count = static_cast<Word>(s.slots);
  work.bits = std::bit_width(static_cast<std::uint64_t>(s.keys));
  launch({reinterpret_cast<const void*>(key_kernel<Word>), "scatter_keys"},
         {.blocks_x =
              static_cast<std::uint32_t>((s.slots + kThreads - 1) / kThreads),
          .threads_x = kThreads},
         stream, s, work.keys, work.values);
  sort_pairs(work, stream);
  keys = work.keys;
  slots = work.values;
}

bool needs_wide(const Slots& s) {
  constexpr std::int64_t kWords = 0xffffffff;
  return s.slots >= kWords || s.keys >= kWords;
}

}  // namespace

SortedSlots::SortedSlots(const Slots& s, Stream stream)
    : wide_(needs_wide(s)),
      words_(static_cast<std::size_t>(s.slots) * 4 * (wide_ ? 8 : 4), stream) {
  if (wide_)
    sort<std::uint64_t>(s, words_.data(), keys_, slots_, stream);
  else
    sort<std::uint32_t>(s, words_.data(), keys_, slots_, stream);
}

}  // namespace jacquard::cuda_backend
