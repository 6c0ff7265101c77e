#include <cstddef>
#include <cub/device/device_radix_sort.cuh>

#include "cuda/libraries/radix_sort.h"
#include "cuda/runtime/error.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {
namespace {

template <class Word>
void sort(RadixSort<Word>& work, Stream stream) {
  cub::DoubleBuffer<Word> keys(work.keys, work.other_keys);
  cub::DoubleBuffer<Word> values(work.values, work.other_values);
  const auto run = [&](void* memory, std::size_t& bytes) {
    check(
        cub::DeviceRadixSort::SortPairs(memory, bytes, keys, values, work.count,
                                        0, work.bits, handle(stream)),
        "cub::DeviceRadixSort::SortPairs");
  };
  std::size_t bytes = 0;
  run(nullptr, bytes);
  // No memory at all would be taken for the question again.
  const Scratch memory(bytes == 0 ? 1 : bytes, stream);
  run(memory.data(), bytes);
  work.keys = keys.Current();
  work.values = values.Current();
  work.other_keys = keys.Alternate();
  work.other_values = values.Alternate();
}

}  // namespace

void sort_pairs(RadixSort<std::uint32_t>& work, Stream stream) {
  sort(work, stream);
}
void sort_pairs(RadixSort<std::uint64_t>& work, Stream stream) {
  sort(work, stream);
}

}  // namespace jacquard::cuda_backend
