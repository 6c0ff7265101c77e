// The slots of a scatter in the order of their keys.
#pragma once

#include <cstdint>

#include "cuda/kernels/slots.cuh"
#include "cuda/runtime/memory.h"

namespace jacquard::cuda_backend {

// Sorts on the stream by key, slots with one key in rising order; those out of
// range come last with the key `slots.keys`. Words are 32 bits wide where
// slots and keys fit, else 64. Memory: four words a slot.
class SortedSlots {
 public:
  SortedSlots(const Slots& slots, Stream stream);
  bool is_wide() const { return wide_; }
  const void* keys() const { return keys_; }
  const void* slots() const { return slots_; }

 private:
  bool wide_;
  Scratch words_;
  const void* keys_ = nullptr;
  const void* slots_ = nullptr;
};

}  // namespace jacquard::cuda_backend
