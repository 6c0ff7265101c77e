// The variants of the API for programs built with
// --default-stream per-thread, which cuda_runtime_api.h names by macros.
#pragma once

#include <cuda_runtime_api.h>

extern "C" {
cudaError_t cudaMemcpy_ptds(void*, const void*, size_t, cudaMemcpyKind);
cudaError_t cudaMemcpy2D_ptds(void*, size_t, const void*, size_t, size_t,
                              size_t, cudaMemcpyKind);
cudaError_t cudaMemcpyToSymbol_ptds(const void*, const void*, size_t, size_t,
                                    cudaMemcpyKind);
cudaError_t cudaMemcpyFromSymbol_ptds(void*, const void*, size_t, size_t,
                                      cudaMemcpyKind);
cudaError_t cudaMemset_ptds(void*, int, size_t);
}
