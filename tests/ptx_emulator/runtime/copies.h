// Copies and fills, with the behaviour towards the host that the runtime's
// documentation gives under "API synchronization behavior".
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "runtime/streams.h"

namespace ptx_emulator {

struct CopyShape {
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t to_pitch = 0, from_pitch = 0;  // used with more than one row
  std::size_t bytes = 0;                     // of a row
  std::size_t rows = 1;
};

enum class HostWait { kNone, kBlocking };

// cudaMemcpyAsync (kNone) or cudaMemcpy (kBlocking) on a stream.
cudaError_t copy(const CopyShape& shape, cudaMemcpyKind kind,
                 cudaStream_t stream, HostWait wait, const char* call);

struct FillShape {
  void* to = nullptr;
  std::size_t pitch = 0;
  unsigned value = 0;
  unsigned value_bytes = 1;
  std::size_t count = 0;  // values of a row
  std::size_t rows = 1;
};

cudaError_t fill(const FillShape& shape, cudaStream_t stream, HostWait wait,
                 const char* call);

}  // namespace ptx_emulator
