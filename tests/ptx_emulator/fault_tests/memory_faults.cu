#include <cuda_runtime.h>
#include <dlfcn.h>

#include <cstdlib>
#include <vector>

#include "fault_tests/fault_kernels.h"
#include "memory/ptx_emulator.h"

namespace ptx_emulator {
namespace {

__global__ void write_indices(float* to) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  to[i] = static_cast<float>(i);
}

__global__ void copy_words(float* to, const float* from, int shift) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  to[i] = from[i + shift];
}

__global__ void copy_vectors(float4* to, const float4* from) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  to[i] = from[i];
}

__global__ void count_up(unsigned* counter) { atomicAdd(counter, 1u); }

__global__ void permute(float* to, const float* from, const int* index, int n,
                        int slots) {
  float slot[8];
  for (int k = 0; k < 8; ++k) slot[k] = from[k];
  const int i = static_cast<int>(threadIdx.x);
  if (i < n) slot[index[i]] = 7.0f;
  to[i] = slot[index[i] & (slots - 1)];
}

__global__ void first_slot(float* to, const int* index, int n) {
  float slot[8];
  for (int k = 0; k < n; ++k) slot[index[k]] = 1.0f;
  to[threadIdx.x] = slot[index[threadIdx.x]];
}

struct Holes {
  char flag;
  double value;
};

__global__ void swap_structures(Holes* data, const int* index, int n) {
  Holes kept[4];
  for (int k = 0; k < 4; ++k) kept[k] = Holes{'x', 1.0};
  for (int k = 0; k < n; ++k) kept[index[k]] = kept[index[n - 1 - k]];
  data[threadIdx.x].flag = kept[index[0]].flag;
  data[threadIdx.x].value = kept[index[0]].value;
}

template <class T>
T* device_array(std::size_t count) {
  T* p = nullptr;
  cudaMalloc(reinterpret_cast<void**>(&p), count * sizeof(T));
  return p;
}

template <class T>
T* zeros(std::size_t count) {
  T* p = device_array<T>(count);
  cudaMemset(p, 0, count * sizeof(T));
  return p;
}

int* device_indices(const std::vector<int>& values) {
  int* p = device_array<int>(values.size());
  cudaMemcpy(p, values.data(), values.size() * sizeof(int),
             cudaMemcpyHostToDevice);
  return p;
}

ptx_emulator_mark_function mark(const char* name) {
  return reinterpret_cast<ptx_emulator_mark_function>(
      dlsym(RTLD_DEFAULT, name));
}

struct Pool {
  ptx_emulator_mark_function allocated = mark("ptx_emulator_mark_allocated");
  ptx_emulator_mark_function freed = mark("ptx_emulator_mark_freed");
  cudaStream_t stream = nullptr;
  float* memory = zeros<float>(4096);

  Pool() {
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaDeviceSynchronize();  // the stream doesn't wait for the zeros
  }
};

}  // namespace

bool device_is_well() {
  return cudaDeviceSynchronize() == cudaSuccess &&
         cudaGetLastError() == cudaSuccess;
}

void write_past_the_end() {
  float* p = device_array<float>(1000);
  write_indices<<<8, 128>>>(p);
}

void read_before_the_start() {
  float* p = zeros<float>(64);
  copy_words<<<1, 64>>>(device_array<float>(64), p, -2);
}

void vector_load_across_the_end() {
  copy_vectors<<<1, 32>>>(device_array<float4>(32),
                          reinterpret_cast<float4*>(zeros<float>(126)));
}

void misaligned_vector_load() {
  copy_vectors<<<1, 32>>>(device_array<float4>(32),
                          reinterpret_cast<float4*>(zeros<float>(132) + 1));
}

void write_after_free() {
  float* p = device_array<float>(128);
  cudaFree(p);
  write_indices<<<1, 128>>>(p);
}

void null_pointer() { write_indices<<<1, 128>>>(nullptr); }

void host_pointer() {
  static float memory[128];
  write_indices<<<1, 128>>>(memory);
}

void read_of_unwritten_memory() {
  float* p = device_array<float>(128);
  cudaMemset(p, 0, 100 * sizeof(float));
  copy_words<<<1, 128>>>(device_array<float>(128), p, 0);
}

void read_of_a_copy_of_unwritten_memory() {
  float* p = device_array<float>(128);
  float* q = device_array<float>(128);
  cudaMemcpy(q, p, 128 * sizeof(float), cudaMemcpyDeviceToDevice);
  if (!device_is_well()) std::exit(2);
  copy_words<<<1, 128>>>(p, q, 0);
}

void atomic_on_unwritten_memory() {
  count_up<<<1, 32>>>(device_array<unsigned>(1));
}

void copy_past_the_end() {
  const std::vector<float> host(101);
  cudaMemcpy(device_array<float>(100), host.data(), 101 * sizeof(float),
             cudaMemcpyHostToDevice);
}

void fill_past_the_end() { cudaMemset(device_array<float>(100), 0, 401); }

void host_reads_device_memory() {
  const volatile float* p = zeros<float>(4);
  std::exit(static_cast<int>(p[0]));
}

void write_to_a_freed_block_of_a_pool() {
  Pool pool;
  pool.allocated(pool.memory, 512, pool.stream);
  write_indices<<<1, 128, 0, pool.stream>>>(pool.memory);
  pool.freed(pool.memory, 512, pool.stream);
  write_indices<<<1, 128, 0, pool.stream>>>(pool.memory);
}

void read_of_a_reused_block_of_a_pool() {
  Pool pool;
  pool.allocated(pool.memory, 512, pool.stream);
  pool.allocated(pool.memory + 128, 512, pool.stream);
  write_indices<<<1, 128, 0, pool.stream>>>(pool.memory);
  pool.freed(pool.memory, 512, pool.stream);
  pool.allocated(pool.memory, 512, pool.stream);
  copy_words<<<1, 128, 0, pool.stream>>>(pool.memory + 128, pool.memory, 0);
}

void write_past_a_block_of_a_pool() {
  Pool pool;
  pool.allocated(pool.memory, 400, pool.stream);
  write_indices<<<1, 128, 0, pool.stream>>>(pool.memory);
}

void local_index_out_of_bounds() {
  permute<<<1, 4>>>(device_array<float>(4), zeros<float>(8),
                    device_indices({0, 1, 4096, 3}), 4, 8);
}

void read_of_unwritten_local_memory() {
  first_slot<<<1, 4>>>(device_array<float>(4), device_indices({0, 1, 6, 3}), 2);
}

void legal_global_memory() {
  float* p = device_array<float>(1000);
  float* q = device_array<float>(1000);
  write_indices<<<10, 100>>>(p);
  copy_words<<<1, 999>>>(q, p, 1);
  copy_vectors<<<1, 249>>>(reinterpret_cast<float4*>(p),
                           reinterpret_cast<float4*>(q));
  cudaFree(p);
  cudaFree(q);
  count_up<<<10, 100>>>(zeros<unsigned>(1));
}

void legal_pinned_memory() {
  float* p = nullptr;
  cudaHostAlloc(reinterpret_cast<void**>(&p), 128 * sizeof(float),
                cudaHostAllocMapped);
  for (int i = 0; i < 128; ++i) p[i] = 1.0f;
  float* q = device_array<float>(128);
  copy_words<<<1, 128>>>(q, p, 0);
  write_indices<<<1, 128>>>(p);
  if (!device_is_well()) return;
  if (p[127] != 127.0f) std::exit(2);
  cudaFreeHost(p);
}

void legal_local_memory() {
  permute<<<1, 4>>>(device_array<float>(4), zeros<float>(8),
                    device_indices({0, 7, 2, 3}), 4, 8);
  first_slot<<<1, 4>>>(device_array<float>(4), device_indices({0, 1, 6, 3}), 4);
  swap_structures<<<1, 4>>>(device_array<Holes>(4),
                            device_indices({0, 3, 2, 1}), 4);
}

void legal_pool() {
  Pool pool;
  for (int i = 0; i < 3; ++i) {
    pool.allocated(pool.memory + 1024, 512, pool.stream);
    write_indices<<<1, 128, 0, pool.stream>>>(pool.memory + 1024);
    pool.allocated(pool.memory, 512, pool.stream);
    copy_words<<<1, 128, 0, pool.stream>>>(pool.memory, pool.memory + 1024, 0);
    pool.freed(pool.memory + 1024, 512, pool.stream);
    pool.freed(pool.memory, 512, pool.stream);
  }
}

}  // namespace ptx_emulator
