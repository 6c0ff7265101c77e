// One call of cuBLASLt: a batch of products at regular strides.
#pragma once

#include <cstdint>

#include "jacquard/device.h"
#include "jacquard/dtype.h"

namespace jacquard::cuda_backend {

struct StridedOperand {
  const void* data = nullptr;
  std::int64_t leading = 0;  // between rows, or columns if transposed
  bool transposed = false;   // columns are contiguous
  std::int64_t batch_stride = 0;
};

// c[i] = a[i]·b[i] (+ c[i] if accumulate) for i < batch; m, n, k, batch > 0,
// dtypes floating. c is row-major and contiguous. With a bias (n elements of
// out_dtype) batch is 1 and each row has it added; see takes_bias.
struct StridedProduct {
  DType dtype = DType::float32, out_dtype = DType::float32;
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  StridedOperand a, b;
  void* c = nullptr;
  std::int64_t c_batch_stride = 0;
  const void* bias = nullptr;
  bool accumulate = false;
};

// The batches that one call takes.
inline constexpr std::int64_t kMostBatches = 0x7fffffff;

// float32 is true float32 unless JACQUARD_TF32=1 is in the environment at the
// first product; the half types accumulate in float32, split sums included.
//
// A plan (descriptors and the algorithm that the library proposes) is made at
// the first product with new sizes, strides, dtypes or alignment and kept. Its
// workspace, at most 32 MiB from capability 9.0 on, else 4 MiB, is memory of
// the stream and is given back in the order of the stream.
//
// CudaError with the sizes if the library refuses.
void multiply(const StridedProduct& product, Stream stream);

// Whether the algorithm that the bare product runs with adds the bias as well:
// another one could give other bits. Makes the plan.
bool takes_bias(const StridedProduct& product, Stream stream);

}  // namespace jacquard::cuda_backend
