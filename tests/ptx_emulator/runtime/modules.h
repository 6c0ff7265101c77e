// Device code of the program: images registered by nvcc's start-up code,
// libraries loaded at run time, and handles of their kernels.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "execute/engine.h"

namespace ptx_emulator {

// One image, loaded for a device when it is first used there.
class CodeImage {
 public:
  explicit CodeImage(const void* image) : image_(image) {}
  // Throws ImageError.
  Module& on_device(int device);
  // Loads for all devices, so that the image itself is not needed later.
  void load_everywhere();

 private:
  const void* image_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Module>> modules_;  // of each device
};

// What cudaKernel_t, cudaFunction_t, CUkernel and CUfunction point to.
struct KernelHandle {
  std::shared_ptr<CodeImage> image;
  std::string name;
  // cudaFuncAttributeMaxDynamicSharedMemorySize; -1: as much as fits into 48
  // KiB besides the static shared memory.
  int max_dynamic_shared = -1;
  int carveout = -1;

  // Throws ImageError (kUnknownFunction among others).
  const Kernel& on_device(int device) const;
};

// What cudaLibrary_t and CUmodule point to.
struct Library {
  std::shared_ptr<CodeImage> image;
};

// The kernel of a host function (as registered), or of a kernel handle. Null
// if it is neither.
KernelHandle* find_kernel(const void* function_or_handle);

// Throws ImageError.
Library* load_library(const void* image);
bool unload_library(const void* library);
Library* find_library(const void* library);
// Null if the library has no kernel of that name.
KernelHandle* library_kernel(Library& library, const std::string& name);

// Address and size on the current device of a registered variable.
cudaError_t symbol_address(const void* symbol, void** address,
                           std::size_t* bytes);

}  // namespace ptx_emulator
