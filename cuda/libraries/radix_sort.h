// CUB's radix sort.
#pragma once

#include <cstdint>

#include "jacquard/device.h"

namespace jacquard::cuda_backend {

// Pairs to be sorted by the lowest `bits` bits of their keys. The arrays have
// `count` words each; all four are written.
template <class Word>
struct RadixSort {
  Word *keys = nullptr, *values = nullptr;
  Word *other_keys = nullptr, *other_values = nullptr;
  Word count = 0;
  int bits = 0;
};

// Stable; afterwards keys and values name the arrays with the result.
void sort_pairs(RadixSort<std::uint32_t>& work, Stream stream);
void sort_pairs(RadixSort<std::uint64_t>& work, Stream stream);

}  // namespace jacquard::cuda_backend
