// Code loaded at run time.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "runtime/modules.h"
#include "runtime/status.h"
#include "runtime/streams.h"

using namespace ptx_emulator;

#pragma GCC visibility push(default)
extern "C" {

cudaError_t cudaLibraryLoadData(cudaLibrary_t* library, const void* code,
                                cudaJitOption*, void**, unsigned,
                                cudaLibraryOption*, void**, unsigned) {
  return PTX_EMULATOR_CALL({
    if (library == nullptr || code == nullptr) return cudaErrorInvalidValue;
    *library = reinterpret_cast<cudaLibrary_t>(load_library(code));
    return cudaSuccess;
  });
}

cudaError_t cudaLibraryLoadFromFile(cudaLibrary_t* library, const char* path,
                                    cudaJitOption*, void**, unsigned,
                                    cudaLibraryOption*, void**, unsigned) {
  return PTX_EMULATOR_CALL({
    if (library == nullptr || path == nullptr) return cudaErrorInvalidValue;
    std::ifstream file(path, std::ios::binary);
    if (!file) return cudaErrorFileNotFound;
    const std::string code((std::istreambuf_iterator<char>(file)), {});
    *library = reinterpret_cast<cudaLibrary_t>(load_library(code.c_str()));
    return cudaSuccess;
  });
}

cudaError_t cudaLibraryUnload(cudaLibrary_t library) {
  return PTX_EMULATOR_CALL({
    return unload_library(library) ? cudaSuccess
                                   : cudaErrorInvalidResourceHandle;
  });
}

cudaError_t cudaLibraryGetKernel(cudaKernel_t* kernel, cudaLibrary_t library,
                                 const char* name) {
  return PTX_EMULATOR_CALL({
    Library* found = find_library(library);
    if (found == nullptr) return cudaErrorInvalidResourceHandle;
    if (kernel == nullptr || name == nullptr) return cudaErrorInvalidValue;
    KernelHandle* handle = library_kernel(*found, name);
    if (handle == nullptr) return cudaErrorSymbolNotFound;
    *kernel = reinterpret_cast<cudaKernel_t>(handle);
    return cudaSuccess;
  });
}

cudaError_t cudaLibraryGetKernelCount(unsigned* count, cudaLibrary_t library) {
  return PTX_EMULATOR_CALL({
    const Library* found = find_library(library);
    if (found == nullptr) return cudaErrorInvalidResourceHandle;
    if (count == nullptr) return cudaErrorInvalidValue;
    *count = static_cast<unsigned>(
        found->image->on_device(current_device()).kernel_names().size());
    return cudaSuccess;
  });
}

cudaError_t cudaLibraryEnumerateKernels(cudaKernel_t* kernels, unsigned count,
                                        cudaLibrary_t library) {
  return PTX_EMULATOR_CALL({
    Library* found = find_library(library);
    if (found == nullptr) return cudaErrorInvalidResourceHandle;
    if (kernels == nullptr) return cudaErrorInvalidValue;
    for (const std::string& name :
         found->image->on_device(current_device()).kernel_names()) {
      if (count-- == 0) break;
      *kernels++ = reinterpret_cast<cudaKernel_t>(library_kernel(*found, name));
    }
    return cudaSuccess;
  });
}

cudaError_t cudaLibraryGetGlobal(void** address, size_t* bytes,
                                 cudaLibrary_t library, const char* name) {
  return PTX_EMULATOR_CALL({
    const Library* found = find_library(library);
    if (found == nullptr) return cudaErrorInvalidResourceHandle;
    if (name == nullptr) return cudaErrorInvalidValue;
    const Variable* variable =
        found->image->on_device(current_device()).find_variable(name);
    if (variable == nullptr) return cudaErrorSymbolNotFound;
    if (address != nullptr)
      *address = reinterpret_cast<void*>(variable->address);
    if (bytes != nullptr) *bytes = variable->bytes;
    return cudaSuccess;
  });
}

}  // extern "C"
#pragma GCC visibility pop
