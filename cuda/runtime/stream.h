// Streams, the order between them, and what waiting reports.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "jacquard/device.h"

namespace jacquard::cuda_backend {

inline cudaStream_t handle(Stream stream) {
  return static_cast<cudaStream_t>(stream.native_handle());
}

// The calling thread's stream on the device: a non-blocking stream of its own,
// made at the first question. Threads get streams back that ended threads left.
Stream current_stream(int device);

// One that is no thread's. It is kept for as long as the process lives.
Stream make_stream(int device);

// Work enqueued on `after` from now on waits for all that was enqueued on
// `before` until now. Nothing happens if they are the same.
void order(Stream after, Stream before);

// Waits and throws what the work of the stream reported: CudaError, or
// IndexError (below).
void synchronize(Stream stream);
void synchronize_device(int device);

// Index checks of kernels. A kernel that finds an index out of range does
//   if (atomicCAS(&word[0], 0ull, id) == 0) word[1] = (unsigned long long)index
// and goes on without the access. The next synchronisation or download of the
// stream throws IndexError with the name, the index and the extent.
struct IndexCheck {
  unsigned long long* word;  // readable by host and device
  unsigned long long id;     // never 0
};
IndexCheck index_check(const char* op, std::int64_t extent, Stream stream);
// Throws what index checks of the stream left, after waiting.
void report_index_errors(Stream stream);

}  // namespace jacquard::cuda_backend
