// The part of the driver API that users of NVRTC and start-up code call, over
// the runtime API: libcuda.so.1 is the same file as libcudart.so.13. A CUresult
// has the number of the cudaError_t of its meaning. There is one context for
// each device, and its handle is the device's number plus one.
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "memory/device_memory.h"
#include "runtime/configuration.h"
#include "runtime/device_properties.h"
#include "runtime/launch.h"
#include "runtime/modules.h"
#include "runtime/status.h"
#include "runtime/streams.h"

using namespace ptx_emulator;

namespace {

CUresult result_of(cudaError_t status) { return static_cast<CUresult>(status); }

// Runs the body of a driver function; its exceptions become a CUresult.
template <class Body>
CUresult driver_call(const char* name, Body&& body) {
  if (const cudaError_t status = admit()) return result_of(status);
  try {
    return body();
  } catch (...) {
    return result_of(report_exception(name));
  }
}

CUcontext context_of(int device) {
  return reinterpret_cast<CUcontext>(static_cast<std::size_t>(device) + 1);
}

void* pointer_of(CUdeviceptr address) {
  return reinterpret_cast<void*>(address);
}

struct ResultName {
  CUresult result;
  const char* name;
};
constexpr ResultName kResultNames[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX"},
    {CUDA_ERROR_FILE_NOT_FOUND, "CUDA_ERROR_FILE_NOT_FOUND"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"},
    {CUDA_ERROR_ASSERT, "CUDA_ERROR_ASSERT"},
    {CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"},
    {CUDA_ERROR_NOT_PERMITTED, "CUDA_ERROR_NOT_PERMITTED"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED"},
    {CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN"},
};

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// ---- start, errors, look-up ----

CUresult cuInit(unsigned flags) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return result_of(admit_when_broken());
}

CUresult cuDriverGetVersion(int* version) {
  return result_of(cudaDriverGetVersion(version));
}

CUresult cuGetErrorName(CUresult result, const char** name) {
  for (const ResultName& entry : kResultNames)
    if (entry.result == result) {
      *name = entry.name;
      return CUDA_SUCCESS;
    }
  *name = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult result, const char** text) {
  *text = cudaGetErrorString(static_cast<cudaError_t>(result));
  return CUDA_SUCCESS;
}

// NVRTC asks for private tables and does without them.
CUresult cuGetExportTable(const void** table, const CUuuid*) {
  if (table != nullptr) *table = nullptr;
  return CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char* name, void** function, int, cuuint64_t,
                          CUdriverProcAddressQueryResult* status) {
  if (name == nullptr || function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Dl_info self;
  dladdr(reinterpret_cast<const void*>(&cuInit), &self);
  void* library = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  *function = dlsym(library, (std::string(name) + "_v2").c_str());
  if (*function == nullptr) *function = dlsym(library, name);
  if (library != nullptr) dlclose(library);
  const bool found = *function != nullptr;
  if (status != nullptr)
    *status = found ? CU_GET_PROC_ADDRESS_SUCCESS
                    : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return found ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

// ---- devices and contexts ----

CUresult cuDeviceGetCount(int* count) {
  return result_of(cudaGetDeviceCount(count));
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  if (ordinal < 0 || ordinal >= configuration().devices)
    return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  return driver_call(__func__, [&] {
    std::snprintf(name, static_cast<std::size_t>(length), "%s",
                  device_properties(device).name);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute,
                              CUdevice device) {
  return result_of(cudaDeviceGetAttribute(
      value, static_cast<cudaDeviceAttr>(attribute), device));
}

CUresult cuDeviceTotalMem(std::size_t* bytes, CUdevice) {
  return driver_call(__func__, [&] {
    *bytes = DeviceMemory::instance().usage().capacity;
    return CUDA_SUCCESS;
  });
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  *context = context_of(device);
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice) { return CUDA_SUCCESS; }

CUresult cuCtxGetCurrent(CUcontext* context) {
  *context = context_of(current_device());
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  const auto number = reinterpret_cast<std::size_t>(context);
  if (number == 0) return CUDA_SUCCESS;
  return result_of(cudaSetDevice(static_cast<int>(number) - 1));
}

CUresult cuCtxGetDevice(CUdevice* device) {
  *device = current_device();
  return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize() { return result_of(cudaDeviceSynchronize()); }

// ---- code ----

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return driver_call(__func__, [&] {
    *module = reinterpret_cast<CUmodule>(load_library(image));
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned,
                            CUjit_option*, void**) {
  return cuModuleLoadData(module, image);
}

CUresult cuModuleUnload(CUmodule module) {
  return unload_library(module) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module,
                             const char* name) {
  return driver_call(__func__, [&] {
    Library* library = find_library(module);
    if (library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    KernelHandle* kernel = library_kernel(*library, name);
    if (kernel == nullptr) return CUDA_ERROR_NOT_FOUND;
    *function = reinterpret_cast<CUfunction>(kernel);
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetGlobal(CUdeviceptr* address, std::size_t* bytes,
                           CUmodule module, const char* name) {
  void* pointer = nullptr;
  const cudaError_t status = cudaLibraryGetGlobal(
      &pointer, bytes, reinterpret_cast<cudaLibrary_t>(module), name);
  if (address != nullptr) *address = reinterpret_cast<CUdeviceptr>(pointer);
  return result_of(status);
}

CUresult cuLibraryLoadData(CUlibrary* library, const void* code, CUjit_option*,
                           void**, unsigned, CUlibraryOption*, void**,
                           unsigned) {
  return driver_call(__func__, [&] {
    *library = reinterpret_cast<CUlibrary>(load_library(code));
    return CUDA_SUCCESS;
  });
}

CUresult cuLibraryUnload(CUlibrary library) {
  return unload_library(library) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuLibraryGetKernel(CUkernel* kernel, CUlibrary library,
                            const char* name) {
  return cuModuleGetFunction(reinterpret_cast<CUfunction*>(kernel),
                             reinterpret_cast<CUmodule>(library), name);
}

CUresult cuLibraryGetModule(CUmodule* module, CUlibrary library) {
  *module = reinterpret_cast<CUmodule>(library);
  return CUDA_SUCCESS;
}

CUresult cuKernelGetFunction(CUfunction* function, CUkernel kernel) {
  *function = reinterpret_cast<CUfunction>(kernel);
  return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute,
                            int value) {
  return result_of(cudaFuncSetAttribute(
      function, static_cast<cudaFuncAttribute>(attribute), value));
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute,
                            CUfunction function) {
  cudaFuncAttributes found;
  if (const cudaError_t status = cudaFuncGetAttributes(&found, function))
    return result_of(status);
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
      *value = found.maxThreadsPerBlock;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
      *value = static_cast<int>(found.sharedSizeBytes);
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
      *value = static_cast<int>(found.localSizeBytes);
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
      *value = found.numRegs;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
      *value = found.ptxVersion;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
      *value = found.binaryVersion;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
      *value = found.maxDynamicSharedSizeBytes;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y,
                        unsigned grid_z, unsigned block_x, unsigned block_y,
                        unsigned block_z, unsigned shared, CUstream stream,
                        void** arguments, void** extra) {
  // Packed parameter buffers (CU_LAUNCH_PARAM_BUFFER_POINTER).
  if (extra != nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  return result_of(cudaLaunchKernel(function, dim3(grid_x, grid_y, grid_z),
                                    dim3(block_x, block_y, block_z), arguments,
                                    shared, stream));
}

// ---- memory ----

CUresult cuMemAlloc(CUdeviceptr* address, std::size_t bytes) {
  void* pointer = nullptr;
  const cudaError_t status = cudaMalloc(&pointer, bytes);
  *address = reinterpret_cast<CUdeviceptr>(pointer);
  return result_of(status);
}

CUresult cuMemFree(CUdeviceptr address) {
  return result_of(cudaFree(pointer_of(address)));
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void* from, std::size_t bytes) {
  return result_of(
      cudaMemcpy(pointer_of(to), from, bytes, cudaMemcpyHostToDevice));
}

CUresult cuMemcpyDtoH(void* to, CUdeviceptr from, std::size_t bytes) {
  return result_of(
      cudaMemcpy(to, pointer_of(from), bytes, cudaMemcpyDeviceToHost));
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, std::size_t bytes,
                           CUstream stream) {
  return result_of(cudaMemcpyAsync(pointer_of(to), from, bytes,
                                   cudaMemcpyHostToDevice, stream));
}

CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, std::size_t bytes,
                           CUstream stream) {
  return result_of(cudaMemcpyAsync(to, pointer_of(from), bytes,
                                   cudaMemcpyDeviceToHost, stream));
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, std::size_t bytes,
                         CUstream stream) {
  return result_of(cudaMemsetAsync(pointer_of(to), value, bytes, stream));
}

CUresult cuMemGetInfo(std::size_t* free, std::size_t* total) {
  return result_of(cudaMemGetInfo(free, total));
}

// ---- streams and events ----

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  return result_of(cudaStreamCreateWithFlags(stream, flags));
}

CUresult cuStreamDestroy(CUstream stream) {
  return result_of(cudaStreamDestroy(stream));
}

CUresult cuStreamSynchronize(CUstream stream) {
  return result_of(cudaStreamSynchronize(stream));
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
  return result_of(cudaStreamWaitEvent(stream, event, flags));
}

CUresult cuEventCreate(CUevent* event, unsigned flags) {
  return result_of(cudaEventCreateWithFlags(event, flags));
}

CUresult cuEventDestroy(CUevent event) {
  return result_of(cudaEventDestroy(event));
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
  return result_of(cudaEventRecord(event, stream));
}

CUresult cuEventSynchronize(CUevent event) {
  return result_of(cudaEventSynchronize(event));
}

}  // extern "C"
#pragma GCC visibility pop
