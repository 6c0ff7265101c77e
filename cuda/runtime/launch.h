// The one place where kernels are launched, and where modules are loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "jacquard/device.h"

namespace jacquard::cuda_backend {

// A kernel that can be launched: a __global__ function of a .cu file (its
// address), or one of a loaded module (a cudaKernel_t).
struct Kernel {
  const void* function = nullptr;
  const char* name = "";  // for errors and profilers; lives as long as the
                          // process
};

struct Geometry {
  std::uint32_t blocks_x = 1, blocks_y = 1, blocks_z = 1;
  std::uint32_t threads_x = 1, threads_y = 1, threads_z = 1;
  std::uint32_t shared_bytes = 0;  // dynamic; above 48 KiB the kernel must have
                                   // been given allow_shared
};

// Enqueues a kernel on the stream, whose device must be current. `arguments`
// point to the parameters, one each. CudaError naming the kernel and the
// geometry if the launch is refused, OutOfMemory if the device has no memory
// for the kernel's code. A geometry without blocks launches nothing.
// $JACQUARD_LAUNCH_BLOCKING=1 waits for each launch, so that what goes wrong
// inside of a kernel is thrown where it was launched.
void launch(const Kernel& kernel, const Geometry& geometry, void** arguments,
            Stream stream);

template <class... Args>
void launch(const Kernel& kernel, const Geometry& geometry, Stream stream,
            Args... arguments) {
  void* pointers[sizeof...(Args) + 1] = {static_cast<void*>(&arguments)...};
  launch(kernel, geometry, pointers, stream);
}

// $JACQUARD_LAUNCH_BLOCKING=1 and the thread captures nothing: waits for what
// `call` enqueued. CudaError that names it.
void wait_if_blocking(const std::string& call, Stream stream);

// Lets a kernel have this much dynamic shared memory on the current device.
void allow_shared(const Kernel& kernel, std::size_t bytes);

// Loads a cubin or PTX text (NUL-terminated) for all devices and finds one
// kernel in it. The module is never unloaded: programs live as long as the
// process. CudaError that names `name`; OutOfMemory.
Kernel load_kernel(const void* image, const std::string& name);

}  // namespace jacquard::cuda_backend
