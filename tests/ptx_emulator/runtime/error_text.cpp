// Names and texts of status codes, and the thread's last error.
#include <cuda_runtime_api.h>

#include "runtime/status.h"

namespace {

struct Text {
  const char* name;
  const char* text;
};

Text text_of(cudaError_t status) {
  switch (status) {
#define PTX_EMULATOR_STATUS(code, text) \
  case code:                            \
    return {#code, text};
#include "runtime/status_codes.inc"
#undef PTX_EMULATOR_STATUS
  }
  return {"unrecognized error code", "unrecognized error code"};
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

const char* cudaGetErrorName(cudaError_t error) { return text_of(error).name; }

const char* cudaGetErrorString(cudaError_t error) {
  return text_of(error).text;
}

cudaError_t cudaPeekAtLastError() { return ptx_emulator::last_error(); }

cudaError_t cudaGetLastError() {
  const cudaError_t status = ptx_emulator::last_error();
  ptx_emulator::forget_last_error();
  return status;
}

}  // extern "C"
#pragma GCC visibility pop
