// Devices and versions.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>

#include "runtime/configuration.h"
#include "runtime/device_properties.h"
#include "runtime/status.h"
#include "runtime/streams.h"

using namespace ptx_emulator;

namespace {

bool is_device(int device) {
  return device >= 0 && device < configuration().devices;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  if (version == nullptr) return remember(cudaErrorInvalidValue);
  *version = configuration().driver_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  if (version == nullptr) return remember(cudaErrorInvalidValue);
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  if (count == nullptr) return remember(cudaErrorInvalidValue);
  *count = 0;
  return PTX_EMULATOR_CALL({
    *count = configuration().devices;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return PTX_EMULATOR_CALL({
    if (device == nullptr) return cudaErrorInvalidValue;
    *device = current_device();
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return PTX_EMULATOR_CALL({
    if (!is_device(device)) return cudaErrorInvalidDevice;
    set_current_device(device);
    return cudaSuccess;
  });
}

cudaError_t cudaInitDevice(int device, unsigned, unsigned) {
  return PTX_EMULATOR_CALL(
      { return is_device(device) ? cudaSuccess : cudaErrorInvalidDevice; });
}

cudaError_t cudaSetDeviceFlags(unsigned) {
  return PTX_EMULATOR_CALL({ return cudaSuccess; });
}

cudaError_t cudaGetDeviceFlags(unsigned* flags) {
  return PTX_EMULATOR_CALL({
    if (flags == nullptr) return cudaErrorInvalidValue;
    *flags = cudaDeviceScheduleAuto;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return PTX_EMULATOR_CALL({
    if (properties == nullptr) return cudaErrorInvalidValue;
    if (!is_device(device)) return cudaErrorInvalidDevice;
    *properties = device_properties(device);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute,
                                   int device) {
  return PTX_EMULATOR_CALL({
    if (value == nullptr) return cudaErrorInvalidValue;
    if (!is_device(device)) return cudaErrorInvalidDevice;
    const auto found = device_attribute(attribute);
    if (!found) return cudaErrorInvalidValue;
    *value = attribute == cudaDevAttrPciBusId ? device + 1 : *found;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  return PTX_EMULATOR_CALL({
    if (text == nullptr || length < 13) return cudaErrorInvalidValue;
    if (!is_device(device)) return cudaErrorInvalidDevice;
    std::snprintf(text, static_cast<std::size_t>(length), "0000:%02x:00.0",
                  device + 1);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return PTX_EMULATOR_CALL({
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -5;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  return PTX_EMULATOR_CALL({
    if (can == nullptr) return cudaErrorInvalidValue;
    if (!is_device(device) || !is_device(peer)) return cudaErrorInvalidDevice;
    *can = device != peer;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return PTX_EMULATOR_CALL({
    if (flags != 0) return cudaErrorInvalidValue;
    return is_device(peer) && peer != current_device() ? cudaSuccess
                                                       : cudaErrorInvalidDevice;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return PTX_EMULATOR_CALL(
      { return Streams::instance().synchronize_device(current_device()); });
}

cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit limit) {
  return PTX_EMULATOR_CALL({
    if (value == nullptr) return cudaErrorInvalidValue;
    switch (limit) {
      case cudaLimitStackSize:
        *value = 1024;
        return cudaSuccess;
      case cudaLimitPrintfFifoSize:
        *value = 1 << 20;
        return cudaSuccess;
      case cudaLimitMallocHeapSize:
        *value = 8 << 20;
        return cudaSuccess;
      default:
        return cudaErrorUnsupportedLimit;
    }
  });
}

cudaError_t cudaProfilerStart() {
  return PTX_EMULATOR_CALL({ return cudaSuccess; });
}

cudaError_t cudaProfilerStop() {
  return PTX_EMULATOR_CALL({ return cudaSuccess; });
}

}  // extern "C"
#pragma GCC visibility pop
