// The batch of a product as few batches at regular strides.
#pragma once

#include <cstdint>

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

// `count` products at regular strides (in elements), and around them axes over
// which the whole is repeated.
struct StridedBatches {
  std::int64_t count = 1, a = 0, b = 0, c = 0;
  Shape around;
  Strides around_a, around_b, around_c;
};

// Axes of extent 1 go, neighbours that are one regular axis are joined; of what
// is left the longest axis gives `count`.
StridedBatches strided_batches(const backend::MatmulLaunch& launch);

// Calls f(a, b, c, count) with the offsets of each batch at regular strides, of
// at most `most` products.
template <class F>
void for_each_batch(const StridedBatches& s, std::int64_t most, F&& f) {
  const std::int64_t repeats = s.around.numel();
  for (std::int64_t r = 0; r < repeats; ++r) {
    std::int64_t a = 0, b = 0, c = 0, rest = r;
    for (int axis = s.around.rank() - 1; axis >= 0; --axis) {
      const std::int64_t i = rest % s.around[axis];
      rest /= s.around[axis];
      a += i * s.around_a[axis];
      b += i * s.around_b[axis];
      c += i * s.around_c[axis];
    }
    for (std::int64_t i = 0; i < s.count; i += most)
      f(a + i * s.a, b + i * s.b, c + i * s.c,
        s.count - i < most ? s.count - i : most);
  }
}

}  // namespace jacquard::cuda_backend
