// DLPack: arrays of other libraries, without a copy, both ways.
//
// The types are those of dlpack/dlpack.h (any 1.x, or 0.x for the unversioned
// one), which a caller includes beside this header; Jacquard needs it not.
//
//   at::Tensor a = at::fromDLPack(to_dlpack(value.data(), stream));
//   TrackedTensor x = from_dlpack(at::toDLPack(a), stream);
//
// Streams are handed over as DLPack asks: whoever gives an array away is told
// where it will be read, and makes that stream wait.
#pragma once

#include "jacquard/tensor.h"

struct DLManagedTensor;
struct DLManagedTensorVersioned;

namespace jacquard {

// The array for a consumer that reads it by work enqueued on `consumer` from
// now on; shares the memory, which lives until the consumer calls the deleter.
// The consumer must not write: Jacquard's arrays are immutable (the versioned
// structure says so by its read-only flag). The caller owns the result. On the
// CPU the stream is the default-constructed one.
JACQUARD_API DLManagedTensor* to_dlpack(const Tensor& tensor, Stream consumer);
JACQUARD_API DLManagedTensorVersioned* to_dlpack_versioned(const Tensor& tensor,
                                                           Stream consumer);

// The array that `managed` describes, in its memory; its deleter is called when
// the last tensor that shares it goes. `producer` is a stream on which the
// array is ready: work on other streams waits for it. Nobody may write to the
// memory meanwhile. Throws DTypeError, ShapeError or DeviceError for what has
// no counterpart (and then has not taken `managed` over): complex or
// sub-byte elements, vector lanes, rank above 8, devices that are neither CPU,
// pinned host memory nor CUDA, a stream of another device, version 2 or later.
JACQUARD_API Tensor from_dlpack(DLManagedTensor* managed, Stream producer);
JACQUARD_API Tensor from_dlpack(DLManagedTensorVersioned* managed,
                                Stream producer);

}  // namespace jacquard
