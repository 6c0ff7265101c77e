#include "cuda/runtime/error.h"

#include <string>

#include "jacquard/error.h"

namespace jacquard::cuda_backend {
namespace {

// Whether a kernel can have caused it long before the call that reports it.
bool is_from_earlier_work(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
      return true;
    default:
      return false;
  }
}

}  // namespace

void fail(cudaError_t status, const char* call, const char* op) {
  (void)cudaGetLastError();
  std::string message;
  if (op) message = std::string(op) + ": ";
  message += std::string(call) + ": " + cudaGetErrorName(status) + ": " +
             cudaGetErrorString(status);
  if (status == cudaErrorInsufficientDriver || status == cudaErrorNoDevice)
    throw DeviceError(message);
  if (is_from_earlier_work(status))
    message +=
        " (this may come from an earlier launch; JACQUARD_LAUNCH_BLOCKING=1 "
        "names it)";
  throw CudaError(message);
}

}  // namespace jacquard::cuda_backend
