#include "cuda/libraries/strided_batches.h"

namespace jacquard::cuda_backend {

StridedBatches strided_batches(const backend::MatmulLaunch& l) {
  StridedBatches s;
  std::int64_t c_stride = l.m * l.n;
  // From the last axis to the first; s.around is turned round by that.
  for (int axis = l.batch.rank() - 1; axis >= 0; --axis) {
    const std::int64_t extent = l.batch[axis];
    if (extent == 1) continue;
    const std::int64_t a = l.a.batch_strides[axis], b = l.b.batch_strides[axis];
    const int last = s.around.rank() - 1;
    if (last >= 0 && a == s.around_a[last] * s.around[last] &&
        b == s.around_b[last] * s.around[last]) {
      s.around[last] *= extent;
    } else {
      s.around.push_back(extent);
      s.around_a.push_back(a);
      s.around_b.push_back(b);
      s.around_c.push_back(c_stride);
    }
    c_stride *= extent;
  }
  if (s.around.rank() == 0) return s;
  int longest = 0;
  for (int i = 1; i < s.around.rank(); ++i)
    if (s.around[i] > s.around[longest]) longest = i;
  s.count = s.around[longest];
  s.a = s.around_a[longest];
  s.b = s.around_b[longest];
  s.c = s.around_c[longest];
  for (Shape* list : {&s.around, &s.around_a, &s.around_b, &s.around_c})
    list->erase(longest);
  return s;
}

}  // namespace jacquard::cuda_backend
