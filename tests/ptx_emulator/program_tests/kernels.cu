// Kernels as programs write them: shared memory, shuffles, cooperative
// groups, half types, virtual functions.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "program_tests/device_array.h"

namespace {

std::vector<float> ramp(int n) {
  std::vector<float> x;
  for (int i = 0; i < n; ++i) x.push_back(float(i % 97) / 32 - 1.4f);
  return x;
}

__global__ void softmax(const float* x, float* y, int columns) {
  const float* row = x + blockIdx.x * columns;
  float most = -INFINITY;
  for (int j = threadIdx.x; j < columns; j += 32) most = fmaxf(most, row[j]);
  for (int k = 16; k > 0; k /= 2) {
    most = fmaxf(most, __shfl_xor_sync(~0u, most, k));
  }
  float sum = 0;
  for (int j = threadIdx.x; j < columns; j += 32) sum += __expf(row[j] - most);
  for (int k = 16; k > 0; k /= 2) sum += __shfl_xor_sync(~0u, sum, k);
  for (int j = threadIdx.x; j < columns; j += 32) {
    y[blockIdx.x * columns + j] = __expf(row[j] - most) / sum;
  }
}

TEST(Kernels, SoftmaxByShuffles) {
  constexpr int rows = 9, columns = 100;
  const std::vector<float> x = ramp(rows * columns);
  const DeviceArray<float> in(x), out(std::vector<float>(x.size()));
  softmax<<<rows, 32>>>(in.data(), out.data(), columns);
  const std::vector<float> y = out.values();
  for (int r = 0; r < rows; ++r) {
    double sum = 0;
    for (int j = 0; j < columns; ++j) sum += std::exp(x[r * columns + j]);
    for (int j = 0; j < columns; ++j) {
      const double expected = std::exp(double(x[r * columns + j])) / sum;
      ASSERT_NEAR(y[r * columns + j], expected, 2e-6 * expected);
    }
  }
}

__global__ void transpose(const float* x, float* y, int n) {
  __shared__ float tile[32][33];
  int column = blockIdx.x * 32 + threadIdx.x;
  int row = blockIdx.y * 32 + threadIdx.y;
  for (int k = 0; k < 32; k += 8) {
    tile[threadIdx.y + k][threadIdx.x] = x[(row + k) * n + column];
  }
  __syncthreads();
  column = blockIdx.y * 32 + threadIdx.x;
  row = blockIdx.x * 32 + threadIdx.y;
  for (int k = 0; k < 32; k += 8) {
    y[(row + k) * n + column] = tile[threadIdx.x][threadIdx.y + k];
  }
}

TEST(Kernels, TransposeInSharedMemory) {
  constexpr int n = 96;
  const std::vector<float> x = ramp(n * n);
  const DeviceArray<float> in(x), out(std::vector<float>(x.size()));
  transpose<<<dim3(3, 3), dim3(32, 8)>>>(in.data(), out.data(), n);
  const std::vector<float> y = out.values();
  for (int r = 0; r < n; ++r) {
    for (int c = 0; c < n; ++c) ASSERT_EQ(y[c * n + r], x[r * n + c]);
  }
}

template <class Half>
__global__ void polynomial(const float* x, float* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const Half a = Half(x[i]), b = Half(0.375f);
  y[i] = float(__hfma(a, a, b) * a - b / (__habs(a) + b));
}

TEST(Kernels, HalfTypes) {
  constexpr int n = 1000;
  const std::vector<float> x = ramp(n);
  const DeviceArray<float> in(x), half(std::vector<float>(x.size())),
      brain(std::vector<float>(x.size()));
  polynomial<__half><<<8, 128>>>(in.data(), half.data(), n);
  polynomial<__nv_bfloat16><<<8, 128>>>(in.data(), brain.data(), n);
  const std::vector<float> h = half.values(), b = brain.values();
  for (int i = 0; i < n; ++i) {
    const double a = x[i];
    const double expected =
        (a * a + 0.375) * a - 0.375 / (std::fabs(a) + 0.375);
    ASSERT_NEAR(h[i], expected, 0.02);
    ASSERT_NEAR(b[i], expected, 0.16);
  }
}

__global__ void group_sums(const float* x, float* sums) {
  namespace cg = cooperative_groups;
  const auto block = cg::this_thread_block();
  const auto tile = cg::tiled_partition<8>(block);
  const float sum =
      cg::reduce(tile, x[block.group_index().x * 64 + block.thread_rank()],
                 cg::plus<float>());
  if (tile.thread_rank() == 0) {
    sums[block.group_index().x * 8 + block.thread_rank() / 8] = sum;
  }
  const auto active = cg::coalesced_threads();
  if (block.thread_rank() == 0) sums[0] += float(active.size()) - 32;
}

TEST(Kernels, CooperativeGroups) {
  const std::vector<float> x = ramp(256);
  const DeviceArray<float> in(x), out(std::vector<float>(32));
  group_sums<<<4, 64>>>(in.data(), out.data());
  const std::vector<float> y = out.values();
  for (int t = 0; t < 32; ++t) {
    ASSERT_NEAR(y[t], std::accumulate(&x[t * 8], &x[t * 8] + 8, 0.0), 1e-5);
  }
}

struct Shape {
  __device__ virtual float area() const = 0;
};
struct Square : Shape {
  float side;
  __device__ explicit Square(float s) : side(s) {}
  __device__ float area() const override { return side * side; }
};
struct Circle : Shape {
  float radius;
  __device__ explicit Circle(float r) : radius(r) {}
  __device__ float area() const override { return 3 * radius * radius; }
};

__device__ __noinline__ float area_of(const Shape& shape) {
  return shape.area();
}

__global__ void areas(float* out) {
  const int i = threadIdx.x;
  const Square square{float(i)};
  const Circle circle{float(i)};
  out[i] = i % 3 == 0 ? area_of(circle) : area_of(square);
}

TEST(Kernels, VirtualFunctions) {
  const DeviceArray<float> out(std::vector<float>(64));
  areas<<<1, 64>>>(out.data());
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(out.values()[i], (i % 3 == 0 ? 3 : 1) * float(i * i));
  }
}

__global__ void histogram(const unsigned* x, unsigned* counts, int n) {
  __shared__ unsigned own[16];
  if (threadIdx.x < 16) own[threadIdx.x] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += gridDim.x * blockDim.x) {
    atomicAdd(&own[x[i] % 16], 1u);
  }
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&counts[threadIdx.x], own[threadIdx.x]);
}

TEST(Kernels, HistogramByAtomics) {
  std::vector<unsigned> x(10000);
  for (unsigned i = 0; i < x.size(); ++i) x[i] = i * i / 7;
  std::vector<unsigned> expected(16);
  for (const unsigned value : x) ++expected[value % 16];
  const DeviceArray<unsigned> in(x), out(std::vector<unsigned>(16));
  histogram<<<7, 96>>>(in.data(), out.data(), int(x.size()));
  EXPECT_EQ(out.values(), expected);
}

}  // namespace
