// CUB's device-wide and block-wide algorithms.
#include <gtest/gtest.h>

#include <algorithm>
#include <cub/cub.cuh>
#include <numeric>

#include "program_tests/device_array.h"

namespace {

std::vector<int> numbers(int n) {
  std::vector<int> x;
  unsigned state = 12345;
  for (int i = 0; i < n; ++i) {
    state = state * 1664525 + 1013904223;
    x.push_back(int(state >> 8) - (1 << 23));
  }
  return x;
}

// Calls a CUB algorithm twice, as it wants: for its storage and to run.
template <class F>
void with_storage(F algorithm) {
  std::size_t bytes = 0;
  ASSERT_EQ(algorithm(nullptr, bytes), cudaSuccess);
  const DeviceArray<char> storage(std::vector<char>(bytes + 1));
  ASSERT_EQ(algorithm(storage.data(), bytes), cudaSuccess);
}

TEST(Cub, ScansAcrossManyBlocks) {
  const std::vector<int> x = numbers(50000);
  const DeviceArray<int> in(x), out(std::vector<int>(x.size()));
  with_storage([&](void* storage, std::size_t& bytes) {
    return cub::DeviceScan::InclusiveSum(storage, bytes, in.data(), out.data(),
                                         int(x.size()));
  });
  std::vector<int> expected(x.size());
  std::partial_sum(x.begin(), x.end(), expected.begin());
  EXPECT_EQ(out.values(), expected);
}

TEST(Cub, SortsPairsStably) {
  std::vector<int> keys = numbers(30000);
  for (int& key : keys) key %= 500;
  std::vector<int> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  const DeviceArray<int> in(keys), values(order),
      sorted(std::vector<int>(keys.size())),
      permutation(std::vector<int>(keys.size()));
  with_storage([&](void* storage, std::size_t& bytes) {
    return cub::DeviceRadixSort::SortPairs(
        storage, bytes, in.data(), sorted.data(), values.data(),
        permutation.data(), int(keys.size()));
  });
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return keys[a] < keys[b]; });
  EXPECT_EQ(permutation.values(), order);
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(sorted.values(), keys);
}

TEST(Cub, ReducesSegments) {
  const std::vector<int> x = numbers(5000);
  std::vector<int> offsets{0, 1, 1, 40, 1000, 4999, 5000};
  const int segments = int(offsets.size()) - 1;
  const DeviceArray<int> in(x), bounds(offsets),
      out(std::vector<int>(offsets.size() - 1));
  with_storage([&](void* storage, std::size_t& bytes) {
    return cub::DeviceSegmentedReduce::Sum(storage, bytes, in.data(),
                                           out.data(), segments, bounds.data(),
                                           bounds.data() + 1);
  });
  for (int s = 0; s < segments; ++s) {
    EXPECT_EQ(
        out.values()[s],
        std::accumulate(&x[offsets[s]],
                        &x[offsets[s]] + (offsets[s + 1] - offsets[s]), 0));
  }
}

__global__ void block_scan(const int* x, int* y) {
  using Scan = cub::BlockScan<int, 128>;
  __shared__ typename Scan::TempStorage storage;
  int value = x[threadIdx.x];
  Scan(storage).ExclusiveSum(value, value);
  y[threadIdx.x] = value;
}

TEST(Cub, ScansABlock) {
  const std::vector<int> x = numbers(128);
  const DeviceArray<int> in(x), out(std::vector<int>(x.size()));
  block_scan<<<1, 128>>>(in.data(), out.data());
  std::vector<int> expected(x.size());
  std::exclusive_scan(x.begin(), x.end(), expected.begin(), 0);
  EXPECT_EQ(out.values(), expected);
}

}  // namespace
