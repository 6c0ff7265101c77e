// cudaMemcpy, cudaMemset and their kin.
#include <cuda_runtime_api.h>

#include "runtime/copies.h"
#include "runtime/modules.h"
#include "runtime/per_thread.h"
#include "runtime/status.h"

using namespace ptx_emulator;

namespace {

CopyShape line(void* to, const void* from, std::size_t bytes) {
  return {to, from, bytes, bytes, bytes, 1};
}

cudaError_t offset_address(const void* symbol, std::size_t offset,
                           std::size_t bytes, void** address) {
  std::size_t size = 0;
  if (const cudaError_t status = symbol_address(symbol, address, &size))
    return status;
  if (offset > size || bytes > size - offset) return cudaErrorInvalidValue;
  *address = static_cast<char*>(*address) + offset;
  return cudaSuccess;
}

cudaError_t to_symbol(const void* symbol, const void* from, std::size_t bytes,
                      std::size_t offset, cudaMemcpyKind kind,
                      cudaStream_t stream, HostWait wait, const char* call) {
  if (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost)
    return cudaErrorInvalidMemcpyDirection;
  void* to = nullptr;
  if (const cudaError_t status = offset_address(symbol, offset, bytes, &to))
    return status;
  return copy(line(to, from, bytes), kind, stream, wait, call);
}

cudaError_t from_symbol(void* to, const void* symbol, std::size_t bytes,
                        std::size_t offset, cudaMemcpyKind kind,
                        cudaStream_t stream, HostWait wait, const char* call) {
  if (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost)
    return cudaErrorInvalidMemcpyDirection;
  void* from = nullptr;
  if (const cudaError_t status = offset_address(symbol, offset, bytes, &from))
    return status;
  return copy(line(to, from, bytes), kind, stream, wait, call);
}

bool is_device(int device) {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && device >= 0 &&
         device < count;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes,
                       cudaMemcpyKind kind) {
  return PTX_EMULATOR_CALL({
    return copy(line(to, from, bytes), kind, nullptr, HostWait::kBlocking,
                "cudaMemcpy");
  });
}

cudaError_t cudaMemcpy_ptds(void* to, const void* from, size_t bytes,
                            cudaMemcpyKind kind) {
  return PTX_EMULATOR_CALL({
    return copy(line(to, from, bytes), kind, cudaStreamPerThread,
                HostWait::kBlocking, "cudaMemcpy");
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes,
                            cudaMemcpyKind kind, cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    return copy(line(to, from, bytes), kind, stream, HostWait::kNone,
                "cudaMemcpyAsync");
  });
}

cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from,
                         size_t from_pitch, size_t width, size_t height,
                         cudaMemcpyKind kind) {
  return PTX_EMULATOR_CALL({
    return copy({to, from, to_pitch, from_pitch, width, height}, kind, nullptr,
                HostWait::kBlocking, "cudaMemcpy2D");
  });
}

cudaError_t cudaMemcpy2D_ptds(void* to, size_t to_pitch, const void* from,
                              size_t from_pitch, size_t width, size_t height,
                              cudaMemcpyKind kind) {
  return PTX_EMULATOR_CALL({
    return copy({to, from, to_pitch, from_pitch, width, height}, kind,
                cudaStreamPerThread, HostWait::kBlocking, "cudaMemcpy2D");
  });
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from,
                              size_t from_pitch, size_t width, size_t height,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    return copy({to, from, to_pitch, from_pitch, width, height}, kind, stream,
                HostWait::kNone, "cudaMemcpy2DAsync");
  });
}

cudaError_t cudaMemcpyPeer(void* to, int to_device, const void* from,
                           int from_device, size_t bytes) {
  return PTX_EMULATOR_CALL({
    if (!is_device(to_device) || !is_device(from_device))
      return cudaErrorInvalidDevice;
    return copy(line(to, from, bytes), cudaMemcpyDeviceToDevice, nullptr,
                HostWait::kBlocking, "cudaMemcpyPeer");
  });
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from,
                                int from_device, size_t bytes,
                                cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    if (!is_device(to_device) || !is_device(from_device))
      return cudaErrorInvalidDevice;
    return copy(line(to, from, bytes), cudaMemcpyDeviceToDevice, stream,
                HostWait::kNone, "cudaMemcpyPeerAsync");
  });
}

cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from,
                               size_t bytes, size_t offset,
                               cudaMemcpyKind kind) {
  return PTX_EMULATOR_CALL({
    return to_symbol(symbol, from, bytes, offset, kind, nullptr,
                     HostWait::kBlocking, "cudaMemcpyToSymbol");
  });
}

cudaError_t cudaMemcpyToSymbolAsync(const void* symbol, const void* from,
                                    size_t bytes, size_t offset,
                                    cudaMemcpyKind kind, cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    return to_symbol(symbol, from, bytes, offset, kind, stream, HostWait::kNone,
                     "cudaMemcpyToSymbolAsync");
  });
}

cudaError_t cudaMemcpyFromSymbol(void* to, const void* symbol, size_t bytes,
                                 size_t offset, cudaMemcpyKind kind) {
  return PTX_EMULATOR_CALL({
    return from_symbol(to, symbol, bytes, offset, kind, nullptr,
                       HostWait::kBlocking, "cudaMemcpyFromSymbol");
  });
}

cudaError_t cudaMemcpyFromSymbolAsync(void* to, const void* symbol,
                                      size_t bytes, size_t offset,
                                      cudaMemcpyKind kind,
                                      cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    return from_symbol(to, symbol, bytes, offset, kind, stream, HostWait::kNone,
                       "cudaMemcpyFromSymbolAsync");
  });
}

cudaError_t cudaMemcpyToSymbol_ptds(const void* symbol, const void* from,
                                    size_t bytes, size_t offset,
                                    cudaMemcpyKind kind) {
  return PTX_EMULATOR_CALL({
    return to_symbol(symbol, from, bytes, offset, kind, cudaStreamPerThread,
                     HostWait::kBlocking, "cudaMemcpyToSymbol");
  });
}

cudaError_t cudaMemcpyFromSymbol_ptds(void* to, const void* symbol,
                                      size_t bytes, size_t offset,
                                      cudaMemcpyKind kind) {
  return PTX_EMULATOR_CALL({
    return from_symbol(to, symbol, bytes, offset, kind, cudaStreamPerThread,
                       HostWait::kBlocking, "cudaMemcpyFromSymbol");
  });
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return PTX_EMULATOR_CALL({
    return fill({to, bytes, static_cast<unsigned>(value) & 0xff, 1, bytes, 1},
                nullptr, HostWait::kBlocking, "cudaMemset");
  });
}

cudaError_t cudaMemset_ptds(void* to, int value, size_t bytes) {
  return PTX_EMULATOR_CALL({
    return fill({to, bytes, static_cast<unsigned>(value) & 0xff, 1, bytes, 1},
                cudaStreamPerThread, HostWait::kBlocking, "cudaMemset");
  });
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes,
                            cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    return fill({to, bytes, static_cast<unsigned>(value) & 0xff, 1, bytes, 1},
                stream, HostWait::kNone, "cudaMemsetAsync");
  });
}

cudaError_t cudaMemset2D(void* to, size_t pitch, int value, size_t width,
                         size_t height) {
  return PTX_EMULATOR_CALL({
    return fill(
        {to, pitch, static_cast<unsigned>(value) & 0xff, 1, width, height},
        nullptr, HostWait::kBlocking, "cudaMemset2D");
  });
}

cudaError_t cudaMemset2DAsync(void* to, size_t pitch, int value, size_t width,
                              size_t height, cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    return fill(
        {to, pitch, static_cast<unsigned>(value) & 0xff, 1, width, height},
        stream, HostWait::kNone, "cudaMemset2DAsync");
  });
}

}  // extern "C"
#pragma GCC visibility pop
