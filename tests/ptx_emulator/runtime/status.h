// Status codes: the last error of a thread, the error that breaks the device
// for the rest of the process, and the frame that every API call runs in.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ptx_emulator {

// Makes `status` the thread's last error unless it is cudaSuccess or
// cudaErrorNotReady, which "is not an error"; gives it back.
cudaError_t remember(cudaError_t status);
cudaError_t last_error();
void forget_last_error();

// The error that a failed kernel or copy left; every later call returns it
// ("the process must be terminated and relaunched"). cudaSuccess without one.
cudaError_t broken_status();

// Translates the exception being handled into a status and prints its message.
// A Fault or AccessFault breaks the device and is counted.
cudaError_t report_exception(const char* call);

struct FaultReport {
  cudaError_t status = cudaSuccess;
  std::string message;
};
std::vector<FaultReport> fault_reports();
// Forgets the faults: the device works again.
void clear_faults();

// Counts the calls of one API function.
struct CallCounter {
  std::string name;
  std::atomic<std::uint64_t> calls{0};
};
CallCounter& call_counter(const char* name);
std::map<std::string, std::uint64_t> counted_calls();
void clear_counted_calls();

// While one lives, the thread runs a host function of a stream, in which API
// calls are not permitted.
class HostFunctionScope {
 public:
  HostFunctionScope();
  ~HostFunctionScope();
  HostFunctionScope(const HostFunctionScope&) = delete;
  HostFunctionScope& operator=(const HostFunctionScope&) = delete;
};

// cudaSuccess if an API call may go on: there is a driver and a device, the
// device is not broken, and no host function of a stream makes the call.
cudaError_t admit();
// The same without the question for a broken device.
cudaError_t admit_when_broken();

// Runs the body of an API function.
template <class Body>
cudaError_t api_call(CallCounter& counter, Body&& body) noexcept {
  counter.calls.fetch_add(1, std::memory_order_relaxed);
  cudaError_t status = admit();
  if (status == cudaSuccess) {
    try {
      status = body();
    } catch (...) {
      status = report_exception(counter.name.c_str());
    }
  }
  return status == cudaSuccess ? status : remember(status);
}

}  // namespace ptx_emulator

// Runs the body of the API function that it stands in, as a lambda:
//   return PTX_EMULATOR_CALL({ ...; return cudaSuccess; });
#define PTX_EMULATOR_CALL(...)                                   \
  [&](const char* ptx_emulator_name) {                           \
    static ::ptx_emulator::CallCounter& ptx_emulator_counter =   \
        ::ptx_emulator::call_counter(ptx_emulator_name);         \
    return ::ptx_emulator::api_call(                             \
        ptx_emulator_counter, [&]() -> cudaError_t __VA_ARGS__); \
  }(__func__)
