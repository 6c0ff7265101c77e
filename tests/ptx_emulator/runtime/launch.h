// Kernel launches.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "runtime/modules.h"

namespace ptx_emulator {

// Checks a launch as the driver does and queues it. `arguments` points to one
// pointer for each parameter; they are copied before the call returns.
cudaError_t launch_kernel(const KernelHandle& kernel, dim3 grid, dim3 block,
                          void** arguments, std::size_t dynamic_shared,
                          cudaStream_t stream);

// The most dynamic shared memory that the kernel may be given.
std::size_t dynamic_shared_limit(const KernelHandle& kernel);

cudaError_t set_attribute(KernelHandle& kernel, cudaFuncAttribute attribute,
                          int value);

// Blocks of the kernel that fit on a multiprocessor at once.
int resident_blocks(const KernelHandle& kernel, int threads,
                    std::size_t dynamic_shared);

}  // namespace ptx_emulator
