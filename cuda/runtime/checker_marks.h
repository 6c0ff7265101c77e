// What a memory checker that stands in for the CUDA runtime is told.
//
// A checker knows the segments that come from cudaMalloc, but not the blocks
// which the pool cuts out of them. If the process has the functions
//   int ptx_emulator_mark_allocated(const void*, size_t, void* stream);
//   int ptx_emulator_mark_freed(const void*, size_t, void* stream);
// they are called for every block, and take effect in the order of the stream,
// like the work that uses the block: when `free` is called, kernels that read
// the block may still be waiting. Of a segment with marks only the blocks that
// are handed out may be accessed. Without a checker a call costs one test.
#pragma once

#include <cstddef>

#include "jacquard/device.h"

namespace jacquard::cuda_backend {

struct CheckerMarks {
  using Mark = int (*)(const void*, std::size_t, void* stream);
  Mark allocated = nullptr;
  Mark freed = nullptr;
};

const CheckerMarks& checker_marks();

// The block may be used, and nobody has written it.
inline void mark_allocated(void* data, std::size_t bytes, Stream stream) {
  if (const auto mark = checker_marks().allocated) [[unlikely]]
    mark(data, bytes, stream.native_handle());
}
// The block may not be used.
inline void mark_freed(void* data, std::size_t bytes, Stream stream) {
  if (const auto mark = checker_marks().freed) [[unlikely]]
    mark(data, bytes, stream.native_handle());
}

}  // namespace jacquard::cuda_backend
