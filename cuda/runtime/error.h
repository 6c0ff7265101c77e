// CUDA status codes as exceptions.
#pragma once

#include <cuda_runtime_api.h>

namespace jacquard::cuda_backend {

// Throws CudaError that names `call` (and `op`, if there is one), the code and
// CUDA's text. cudaErrorInsufficientDriver and cudaErrorNoDevice give
// DeviceError. An error that CUDA only remembers is cleared, so that the next
// call does not report it again.
[[noreturn]] void fail(cudaError_t status, const char* call,
                       const char* op = nullptr);

inline void check(cudaError_t status, const char* call,
                  const char* op = nullptr) {
  if (status != cudaSuccess) [[unlikely]]
    fail(status, call, op);
}

}  // namespace jacquard::cuda_backend
