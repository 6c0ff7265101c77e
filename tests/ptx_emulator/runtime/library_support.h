// What the stand-ins for CUDA's libraries need of the runtime; exported by
// libcudart.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

#include "memory/address.h"

namespace ptx_emulator {

struct LibraryCall {
  const char* name = "";  // static: of the launch table and in messages
  std::function<void()> work;
  // What the call reads and writes, for the counters.
  std::size_t bytes_read = 0, bytes_written = 0;
};

}  // namespace ptx_emulator

extern "C" {

// Counts a call of the library's API.
void ptx_emulator_count_call(const char* name);

// Queues the work like a kernel. AccessFaults that it throws become faults of
// the device.
cudaError_t ptx_emulator_library_launch(cudaStream_t stream,
                                        const ptx_emulator::LibraryCall& call);

// DeviceMemory::access_rows on the memory of the emulator: the host's address
// of rows that the call may access in that way. Throws AccessFault.
std::byte* ptx_emulator_access_rows(ptx_emulator::Address address,
                                    std::size_t rows, std::size_t bytes,
                                    std::size_t pitch,
                                    ptx_emulator::AccessKind kind,
                                    const char* what);

}  // extern "C"
