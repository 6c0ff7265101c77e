#include "cuda/runtime/launch.h"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>

#include "cuda/runtime/capture.h"
#include "cuda/runtime/error.h"
#include "cuda/runtime/profiler_range.h"
#include "cuda/runtime/stream.h"
#include "cuda/runtime/stream_state.h"

namespace jacquard::cuda_backend {
namespace {

// $JACQUARD_LAUNCH_BLOCKING=1: every launch is waited for, so that its error is
// thrown where it was made.
bool is_blocking() {
  static const bool blocking = [] {
    const char* text = std::getenv("JACQUARD_LAUNCH_BLOCKING");
    return text && *text && std::strcmp(text, "0") != 0;
  }();
  return blocking;
}

std::string text_of(const Kernel& kernel, const Geometry& g) {
  const auto triple = [](std::uint32_t x, std::uint32_t y, std::uint32_t z) {
    return std::to_string(x) + "×" + std::to_string(y) + "×" +
           std::to_string(z);
  };
  return std::string("kernel ") + kernel.name + ", " +
         triple(g.blocks_x, g.blocks_y, g.blocks_z) + " blocks of " +
         triple(g.threads_x, g.threads_y, g.threads_z) + " threads, " +
         std::to_string(g.shared_bytes) + " bytes of shared memory";
}

// A call that may load code. The device may lack the memory for it while the
// pool has some that nobody uses.
template <class Call>
cudaError_t with_memory(int device, Call&& call) {
  const cudaError_t status = call();
  if (status != cudaErrorMemoryAllocation) [[likely]]
    return status;
  (void)cudaGetLastError();
  device_state(device).pool.release();
  return call();
}

[[noreturn]] void fail_on(int device, cudaError_t status, const char* call,
                          const std::string& op) {
  if (status != cudaErrorMemoryAllocation) fail(status, call, op.c_str());
  (void)cudaGetLastError();
  device_state(device).pool.refuse(op + ": " + call);
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

}  // namespace

void launch(const Kernel& kernel, const Geometry& geometry, void** arguments,
            Stream stream) {
  const Geometry& g = geometry;
  if (g.blocks_x == 0 || g.blocks_y == 0 || g.blocks_z == 0) return;
  const ProfilerRange range(kernel.name);
  const int device = stream.device().index;
  cudaError_t status = with_memory(device, [&] {
    return cudaLaunchKernel(kernel.function,
                            dim3(g.blocks_x, g.blocks_y, g.blocks_z),
                            dim3(g.threads_x, g.threads_y, g.threads_z),
                            arguments, g.shared_bytes, handle(stream));
  });
  if (status != cudaSuccess) [[unlikely]]
    fail_on(device, status, "cudaLaunchKernel", text_of(kernel, g));
  if (is_blocking()) [[unlikely]]
    wait_if_blocking(text_of(kernel, g), stream);
}

void wait_if_blocking(const std::string& call, Stream stream) {
  if (!is_blocking() || Capture::current()) return;
  check(cudaStreamSynchronize(handle(stream)), "cudaStreamSynchronize",
        call.c_str());
}

void allow_shared(const Kernel& kernel, std::size_t bytes) {
  const cudaError_t status = cudaFuncSetAttribute(
      kernel.function, cudaFuncAttributeMaxDynamicSharedMemorySize,
      static_cast<int>(bytes));
  if (status == cudaSuccess) return;
  const std::string op = std::string("kernel ") + kernel.name + ", " +
                         std::to_string(bytes) + " bytes of shared memory";
  fail(status, "cudaFuncSetAttribute", op.c_str());
}

Kernel load_kernel(const void* image, const std::string& name) {
  const std::string op = "kernel " + name;
  const int device = current_device();
  const OutsideCapture outside;
  cudaLibrary_t library = nullptr;
  cudaError_t status = with_memory(device, [&] {
    return cudaLibraryLoadData(&library, image, nullptr, nullptr, 0, nullptr,
                               nullptr, 0);
  });
  if (status != cudaSuccess) fail_on(device, status, "cudaLibraryLoadData", op);
  cudaKernel_t kernel = nullptr;
  status = with_memory(device, [&] {
    return cudaLibraryGetKernel(&kernel, library, name.c_str());
  });
  if (status != cudaSuccess) {
    (void)cudaLibraryUnload(library);
    fail_on(device, status, "cudaLibraryGetKernel", op);
  }
  // Kept, like the module.
  const auto* kept = new std::string(name);
  return {kernel, kept->c_str()};
}

}  // namespace jacquard::cuda_backend
