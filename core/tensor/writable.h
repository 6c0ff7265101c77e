// In-place writers' way from a tensor to memory that only they see.
#pragma once

#include "jacquard/tensor.h"

namespace jacquard {

// A tensor of the same address, layout and contents whose memory nobody else
// shares: neither another handle of `tensor` nor a view of its storage. The
// others keep their contents, in a copy made on `stream` (see
// Storage::make_writable). Move the handle in: one that the caller keeps counts
// as somebody else's.
JACQUARD_API Tensor make_writable(Tensor tensor, Stream stream);

// The first element, to be written by work that the caller enqueues on `stream`
// next: it comes after all that was enqueued for the memory. Nobody else may
// read the memory.
JACQUARD_API void* write_on(const Tensor& tensor, Stream stream);

}  // namespace jacquard
