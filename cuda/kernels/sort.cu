#include <bit>
#include <cstdint>

#include "core/backend/sort_key.h"
#include "cuda/kernels/sort.h"
#include "cuda/libraries/radix_sort.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/memory.h"

namespace jacquard::cuda_backend {
namespace {

constexpr unsigned kThreads = 256;

template <class Word>
struct Keys {
  backend::SortKey key;
  const void* numbers;
  std::int64_t count, extent;
  int size;       // bytes of a number
  int row_shift;  // where the row stands in the key; −1: nowhere
  Word *keys, *values;
};

__device__ std::uint64_t bits_at(const void* numbers, int size,
                                 std::int64_t i) {
  switch (size) {
    case 1:
      return static_cast<const std::uint8_t*>(numbers)[i];
    case 2:
      return static_cast<const std::uint16_t*>(numbers)[i];
    case 4:
      return static_cast<const std::uint32_t*>(numbers)[i];
    default:
      return static_cast<const std::uint64_t*>(numbers)[i];
  }
}

template <class Word>
__global__ void __launch_bounds__(kThreads) make_keys(Keys<Word> k) {
  const std::int64_t i =
      static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= k.count) return;
  std::uint64_t key = k.key.of(bits_at(k.numbers, k.size, i));
  if (k.row_shift >= 0)
    key |= static_cast<std::uint64_t>(i / k.extent) << k.row_shift;
  k.keys[i] = static_cast<Word>(key);
  k.values[i] = static_cast<Word>(i);
}

// Of numbers that fill the key: their rows, for a second, stable sort.
template <class Word>
__global__ void __launch_bounds__(kThreads)
    make_row_keys(Word* keys, const Word* values, std::int64_t count,
                  std::int64_t extent) {
  const std::int64_t i =
      static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count)
    keys[i] = static_cast<Word>(static_cast<std::int64_t>(values[i]) / extent);
}

template <class Word>
__global__ void __launch_bounds__(kThreads)
    write_positions(const Word* values, std::int64_t* positions,
                    std::int64_t count, std::int64_t extent) {
  const std::int64_t i =
      static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) positions[i] = static_cast<std::int64_t>(values[i]) % extent;
}

Geometry over(std::int64_t count) {
  return {
      .blocks_x = static_cast<std::uint32_t>((count + kThreads - 1) / kThreads),
      .threads_x = kThreads};
}

template <class Word>
void run(const backend::SortLaunch& l, Stream stream) {
  const std::int64_t count = l.rows * l.extent;
  const auto words = static_cast<std::size_t>(count);
  const Scratch memory(4 * words * sizeof(Word), stream);
  RadixSort<Word> work;
  work.keys = memory.as<Word>();
  work.values = work.keys + words;
  work.other_keys = work.values + words;
  work.other_values = work.other_keys + words;
  work.count = static_cast<Word>(count);
  const backend::SortKey key(l.dtype, l.descending);
  const int row_bits = std::bit_width(static_cast<std::uint64_t>(l.rows - 1));
  const bool one_key =
      key.bits() + row_bits <= static_cast<int>(8 * sizeof(Word));
  const Keys<Word> keys{key,
                        l.keys,
                        count,
                        l.extent,
                        static_cast<int>(size_of(l.dtype)),
                        one_key && row_bits > 0 ? key.bits() : -1,
                        work.keys,
                        work.values};
  launch({reinterpret_cast<const void*>(make_keys<Word>), "sort_keys"},
         over(count), stream, keys);
  work.bits = key.bits() + (one_key ? row_bits : 0);
  sort_pairs(work, stream);
  if (!one_key) {
    launch({reinterpret_cast<const void*>(make_row_keys<Word>), "sort_rows"},
           over(count), stream, work.keys,
           static_cast<const Word*>(work.values), count, l.extent);
    work.bits = row_bits;
    sort_pairs(work, stream);
  }
  launch(
      {reinterpret_cast<const void*>(write_positions<Word>), "sort_positions"},
      over(count), stream, static_cast<const Word*>(work.values), l.positions,
      count, l.extent);
}

}  // namespace

void sort(const backend::SortLaunch& l, Stream stream) {
  if (l.rows == 0 || l.extent == 0) return;
  // 32-bit words hold key and row together, and every position.
  const int bits = static_cast<int>(8 * size_of(l.dtype)) +
                   std::bit_width(static_cast<std::uint64_t>(l.rows - 1));
  if (bits <= 32 && l.rows * l.extent < 0xffffffff)
    run<std::uint32_t>(l, stream);
  else
    run<std::uint64_t>(l, stream);
}

}  // namespace jacquard::cuda_backend
