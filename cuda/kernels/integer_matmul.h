// Products of integer matrices, which wrap.
#pragma once

#include <cstdint>

#include "jacquard/device.h"
#include "jacquard/dtype.h"

namespace jacquard::cuda_backend {

struct IntegerOperand {
  std::int64_t row_stride = 0, col_stride = 0, batch_stride = 0;
  const void* data = nullptr;
};

// c[i] = a[i]·b[i] (+ c[i] if accumulate) for i < batch; m, n, batch > 0. c is
// row-major and contiguous. Any strides.
struct IntegerProduct {
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  IntegerOperand a, b;
  void* c = nullptr;
  std::int64_t c_batch_stride = 0;
  bool accumulate = false;
};

// int32 or int64.
void multiply_integers(const IntegerProduct& product, DType dtype,
                       Stream stream);

}  // namespace jacquard::cuda_backend
