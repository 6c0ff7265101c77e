#include <cuda_runtime_api.h>

#include <stdexcept>

#include "tests/cuda/interop/user_kernel.h"

namespace user {
namespace {

void check(cudaError_t status) {
  if (status != cudaSuccess)
    throw std::runtime_error(cudaGetErrorString(status));
}

__global__ void scale_kernel(const float* from, float* to, float factor,
                             std::int64_t n) {
  const std::int64_t i =
      blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (i < n) to[i] = factor * from[i];
}

cudaStream_t handle(void* stream) { return static_cast<cudaStream_t>(stream); }

}  // namespace

void* make_stream() {
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}
void destroy_stream(void* stream) { check(cudaStreamDestroy(handle(stream))); }

float* allocate(std::int64_t n) {
  void* data;
  check(cudaMalloc(&data, static_cast<std::size_t>(n) * sizeof(float)));
  return static_cast<float*>(data);
}
void release(float* data) { check(cudaFree(data)); }

void scale(const float* from, float* to, float factor, std::int64_t n,
           void* stream) {
  const auto blocks = static_cast<unsigned>((n + 255) / 256);
  scale_kernel<<<blocks, 256, 0, handle(stream)>>>(from, to, factor, n);
  check(cudaGetLastError());
}

void synchronize(void* stream) { check(cudaStreamSynchronize(handle(stream))); }

}  // namespace user
