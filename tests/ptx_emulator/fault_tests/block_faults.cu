#undef NDEBUG  // an assertion is one of the faults
#include <cuda_runtime.h>

#include <cassert>
#include <cstdlib>

#include "fault_tests/fault_kernels.h"

namespace ptx_emulator {
namespace {

constexpr int kThreads = 128;

__global__ void reverse(int* to, int shift, bool first_barrier) {
  __shared__ int row[kThreads];
  const int i = static_cast<int>(threadIdx.x);
  row[i] = i;
  if (first_barrier) __syncthreads();
  to[i] = row[kThreads - 1 - i + shift];
}

__global__ void rotate_twice(int* to, bool second_barrier) {
  __shared__ int row[kThreads];
  const int i = static_cast<int>(threadIdx.x);
  row[i] = i;
  __syncthreads();
  const int next = row[(i + 32) % kThreads];
  if (second_barrier) __syncthreads();
  row[i] = next;
  __syncthreads();
  to[i] = row[(i + 32) % kThreads];
}

__global__ void copy_half(int* to, int written) {
  extern __shared__ int dynamic[];
  const int i = static_cast<int>(threadIdx.x);
  if (i < written) dynamic[i] = i;
  __syncthreads();
  to[i] = dynamic[i];
}

__global__ void count(int* to, bool barrier) {
  __shared__ int total;
  if (threadIdx.x == 0) total = 0;
  __syncthreads();
  atomicAdd(&total, 1);
  if (barrier) __syncthreads();
  if (threadIdx.x == 0) *to = total;
}

__global__ void histogram(int* to, const int* from) {
  __shared__ int bins[16];
  if (threadIdx.x < 16) bins[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&bins[from[threadIdx.x] & 15], 1);
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&to[threadIdx.x], bins[threadIdx.x]);
}

__global__ void barrier_below(int* to, int limit) {
  if (static_cast<int>(threadIdx.x) < limit) {
    __syncthreads();
    to[threadIdx.x] = 1;
  } else {
    to[threadIdx.x] = 2;
    asm volatile("bar.sync 1;");
  }
}

__global__ void sum_of_lanes(int* to, int lanes) {
  int value = static_cast<int>(threadIdx.x);
  if (value < lanes) value += __shfl_xor_sync(0xffffffffu, value, 1);
  to[threadIdx.x] = value;
}

__global__ void assert_below(int limit) {
  assert(static_cast<int>(threadIdx.x) < limit);
}

__global__ void trap_at(int thread) {
  if (static_cast<int>(threadIdx.x) == thread) __trap();
}

__global__ void sum_block(float* to, const float* from) {
  __shared__ float partial[kThreads / 32];
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float value = from[threadIdx.x];
  for (unsigned step = 16; step > 0; step /= 2) {
    value += __shfl_down_sync(0xffffffffu, value, step);
  }
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  if (warp == 0) {
    value = lane < kThreads / 32 ? partial[lane] : 0.0f;
    for (unsigned step = 2; step > 0; step /= 2) {
      value += __shfl_down_sync(0xffffffffu, value, step);
    }
    if (lane == 0) *to = value;
  }
}

__global__ void sum_in_tree(float* to, const float* from) {
  __shared__ float tree[kThreads];
  const unsigned i = threadIdx.x;
  for (int round = 0; round < 3; ++round) {
    tree[i] = from[i];
    __syncthreads();
    for (unsigned step = kThreads / 2; step > 0; step /= 2) {
      if (i < step) tree[i] += tree[i + step];
      __syncthreads();
    }
  }
  if (i == 0) *to = tree[0];
}

__global__ void transpose(float* to, const float* from, int n) {
  __shared__ float tile[32][33];
  const int x = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * 32 + threadIdx.y);
  for (int k = 0; k < 32; k += 8) {
    tile[threadIdx.y + k][threadIdx.x] = from[(y + k) * n + x];
  }
  __syncthreads();
  const int tx = static_cast<int>(blockIdx.y * 32 + threadIdx.x);
  const int ty = static_cast<int>(blockIdx.x * 32 + threadIdx.y);
  for (int k = 0; k < 32; k += 8) {
    to[(ty + k) * n + tx] = tile[threadIdx.x][threadIdx.y + k];
  }
}

// A warp waits for another's flag, as warp-specialised kernels do.
__global__ void pass_on(int* to) {
  __shared__ int value;
  __shared__ volatile int ready;
  if (threadIdx.x == 0) ready = 0;
  __syncthreads();
  if (threadIdx.x == 32) {
    value = 5;
    __threadfence_block();
    ready = 1;
  }
  if (threadIdx.x == 0) {
    while (ready == 0) {
    }
    __threadfence_block();
    *to = value;
  }
}

__global__ void any_of_warps(int* to, const int* from) {
  __shared__ unsigned char any[kThreads / 32];
  const unsigned warp = threadIdx.x / 32;
  const bool mine = __any_sync(0xffffffffu, from[threadIdx.x]) != 0;
  if (threadIdx.x % 32 == 0) any[warp] = mine;
  __syncthreads();
  to[threadIdx.x] = any[threadIdx.x % (kThreads / 32)];
}

template <class T>
T* device_array(std::size_t count) {
  T* p = nullptr;
  cudaMalloc(reinterpret_cast<void**>(&p), count * sizeof(T));
  cudaMemset(p, 0, count * sizeof(T));
  return p;
}

}  // namespace

void shared_index_out_of_bounds() {
  reverse<<<1, kThreads>>>(device_array<int>(kThreads), 8, true);
}

void read_of_unwritten_shared_memory() {
  copy_half<<<1, kThreads, kThreads * sizeof(int)>>>(
      device_array<int>(kThreads), 100);
}

void read_before_the_barrier() {
  reverse<<<1, kThreads>>>(device_array<int>(kThreads), 0, false);
}

void write_before_the_barrier() {
  rotate_twice<<<1, kThreads>>>(device_array<int>(kThreads), false);
}

void shared_atomic_without_barrier() {
  count<<<1, kThreads>>>(device_array<int>(1), false);
}

void barrier_in_a_branch() {
  barrier_below<<<1, 64>>>(device_array<int>(64), 40);
}

void barrier_that_some_warps_miss() {
  barrier_below<<<1, 64>>>(device_array<int>(64), 32);
}

void shuffle_with_lanes_missing() {
  sum_of_lanes<<<1, 32>>>(device_array<int>(32), 16);
}

void failed_assertion() { assert_below<<<1, 64>>>(63); }

void trap() { trap_at<<<2, 64>>>(5); }

void legal_reductions() {
  sum_block<<<1, kThreads>>>(device_array<float>(1),
                             device_array<float>(kThreads));
  sum_in_tree<<<3, kThreads>>>(device_array<float>(1),
                               device_array<float>(kThreads));
}

void legal_transpose() {
  transpose<<<dim3(2, 2), dim3(32, 8)>>>(device_array<float>(64 * 64),
                                         device_array<float>(64 * 64), 64);
  reverse<<<4, kThreads>>>(device_array<int>(kThreads), 0, true);
  rotate_twice<<<4, kThreads>>>(device_array<int>(kThreads), true);
  copy_half<<<4, kThreads, kThreads * sizeof(int)>>>(
      device_array<int>(kThreads), kThreads);
  sum_of_lanes<<<1, 32>>>(device_array<int>(32), 32);
  assert_below<<<1, 64>>>(64);
}

void legal_flags_of_warps() {
  int* to = device_array<int>(1);
  pass_on<<<1, 64>>>(to);
  int value = 0;
  cudaMemcpy(&value, to, sizeof value, cudaMemcpyDeviceToHost);
  if (value != 5) std::exit(2);
}

void legal_bytes_of_warps() {
  any_of_warps<<<2, kThreads>>>(device_array<int>(kThreads),
                                device_array<int>(kThreads));
}

void legal_shared_histogram() {
  count<<<4, kThreads>>>(device_array<int>(1), true);
  histogram<<<4, kThreads>>>(device_array<int>(16),
                             device_array<int>(kThreads));
}

}  // namespace ptx_emulator
