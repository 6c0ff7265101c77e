#include "runtime/status.h"

#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <new>

#include "execute/fault.h"
#include "memory/fault.h"
#include "runtime/configuration.h"

namespace ptx_emulator {
namespace {

struct Faults {
  std::mutex mutex;
  std::vector<FaultReport> reports;
  std::atomic<cudaError_t> status{cudaSuccess};
};

Faults& faults() {
  static auto* result = new Faults;
  return *result;
}

struct Calls {
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<CallCounter>> counters;
};

Calls& calls() {
  static auto* result = new Calls;
  return *result;
}

thread_local cudaError_t thread_last_error = cudaSuccess;
thread_local int host_function_depth = 0;

cudaError_t status_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::kIllegalAddress:
    case FaultKind::kUninitializedRead:
      return cudaErrorIllegalAddress;
    case FaultKind::kMisalignedAddress:
      return cudaErrorMisalignedAddress;
    case FaultKind::kDeviceAssert:
      return cudaErrorAssert;
    case FaultKind::kInvalidInstruction:
      return cudaErrorIllegalInstruction;
    default:
      return cudaErrorLaunchFailure;
  }
}

cudaError_t status_of(ImageError::Reason reason) {
  switch (reason) {
    case ImageError::Reason::kInvalidImage:
      return cudaErrorInvalidKernelImage;
    case ImageError::Reason::kNoPtxForDevice:
      return cudaErrorNoKernelImageForDevice;
    case ImageError::Reason::kInvalidPtx:
      return cudaErrorInvalidPtx;
    case ImageError::Reason::kOutOfMemory:
      return cudaErrorMemoryAllocation;
    case ImageError::Reason::kUnsupported:
      return cudaErrorNotSupported;
    case ImageError::Reason::kUnknownFunction:
      return cudaErrorInvalidDeviceFunction;
  }
  return cudaErrorUnknown;
}

cudaError_t break_device(FaultKind kind, const char* message) {
  std::fprintf(stderr, "ptx_emulator: FAULT: %s\n", message);
  Faults& all = faults();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const cudaError_t status = status_of(kind);
  all.reports.push_back({status, message});
  if (all.status == cudaSuccess) all.status = status;
  return all.status;
}

}  // namespace

cudaError_t remember(cudaError_t status) {
  if (status != cudaSuccess && status != cudaErrorNotReady)
    thread_last_error = status;
  return status;
}

cudaError_t last_error() {
  const cudaError_t broken = broken_status();
  return broken != cudaSuccess ? broken : thread_last_error;
}

void forget_last_error() { thread_last_error = cudaSuccess; }

cudaError_t broken_status() { return faults().status; }

cudaError_t report_exception(const char* call) {
  try {
    throw;
  } catch (const Fault& fault) {
    return break_device(fault.kind(), fault.what());
  } catch (const AccessFault& fault) {
    return break_device(fault.kind(), fault.what());
  } catch (const ImageError& error) {
    std::fprintf(stderr, "ptx_emulator: %s: %s\n", call, error.what());
    return status_of(error.reason());
  } catch (const LaunchError& error) {
    std::fprintf(stderr, "ptx_emulator: %s: %s\n", call, error.what());
    return cudaErrorInvalidConfiguration;
  } catch (const std::bad_alloc&) {
    return cudaErrorMemoryAllocation;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ptx_emulator: %s: %s\n", call, error.what());
    return cudaErrorUnknown;
  }
}

std::vector<FaultReport> fault_reports() {
  Faults& all = faults();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.reports;
}

void clear_faults() {
  Faults& all = faults();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.reports.clear();
  all.status = cudaSuccess;
}

CallCounter& call_counter(const char* name) {
  Calls& all = calls();
  const std::lock_guard<std::mutex> lock(all.mutex);
  std::unique_ptr<CallCounter>& counter = all.counters[name];
  if (!counter) {
    counter = std::make_unique<CallCounter>();
    counter->name = name;
  }
  return *counter;
}

std::map<std::string, std::uint64_t> counted_calls() {
  Calls& all = calls();
  const std::lock_guard<std::mutex> lock(all.mutex);
  std::map<std::string, std::uint64_t> result;
  for (const auto& [name, counter] : all.counters)
    if (const std::uint64_t count = counter->calls) result[name] = count;
  return result;
}

void clear_counted_calls() {
  Calls& all = calls();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (const auto& entry : all.counters) entry.second->calls = 0;
}

HostFunctionScope::HostFunctionScope() { ++host_function_depth; }
HostFunctionScope::~HostFunctionScope() { --host_function_depth; }

cudaError_t admit_when_broken() {
  if (host_function_depth != 0) return cudaErrorNotPermitted;
  const Configuration& device = configuration();
  if (device.driver_version < CUDART_VERSION)
    return cudaErrorInsufficientDriver;
  return device.devices < 1 ? cudaErrorNoDevice : cudaSuccess;
}

cudaError_t admit() {
  const cudaError_t status = admit_when_broken();
  return status != cudaSuccess ? status : broken_status();
}

}  // namespace ptx_emulator
