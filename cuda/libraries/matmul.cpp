#include "cuda/libraries/matmul.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cuda/kernels/integer_matmul.h"
#include "cuda/libraries/strided_batches.h"
#include "cuda/libraries/strided_product.h"
#include "cuda/runtime/error.h"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {
namespace {

using backend::MatmulLaunch;
using backend::MatrixBinding;

const void* at(const void* data, std::int64_t elements, DType dtype) {
  return static_cast<const char*>(data) +
         elements * static_cast<std::int64_t>(size_of(dtype));
}

StridedOperand operand(const MatrixBinding& x, std::int64_t rows,
                       std::int64_t cols, std::int64_t batch_stride) {
  const bool row_major =
      (cols == 1 || x.col_stride == 1) && (rows == 1 || x.row_stride >= cols);
  StridedOperand result;
  result.transposed = !row_major;
  result.leading =
      row_major ? std::max(x.row_stride, cols) : std::max(x.col_stride, rows);
  result.batch_stride = batch_stride;
  return result;
}

// But for what differs between the batches at regular strides.
StridedProduct product_of(const MatmulLaunch& l,
                          const StridedBatches& batches) {
  StridedProduct p;
  p.dtype = l.dtype;
  p.out_dtype = l.out_dtype;
  p.m = l.m;
  p.n = l.n;
  p.k = l.k;
  p.a = operand(l.a, l.m, l.k, batches.a);
  p.b = operand(l.b, l.k, l.n, batches.b);
  p.c_batch_stride = batches.c;
  p.accumulate = l.accumulate;
  p.bias = l.bias;
  return p;
}

void multiply_floats(const MatmulLaunch& l, Stream stream) {
  const StridedBatches batches = strided_batches(l);
  StridedProduct p = product_of(l, batches);
  for_each_batch(
      batches, kMostBatches,
      [&](std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t count) {
        p.batch = count;
        p.a.data = at(l.a.data, a, l.dtype);
        p.b.data = at(l.b.data, b, l.dtype);
        p.c = const_cast<void*>(at(l.c, c, l.out_dtype));
        multiply(p, stream);
      });
}

void multiply_integers(const MatmulLaunch& l, Stream stream) {
  const StridedBatches batches = strided_batches(l);
  IntegerProduct p;
  p.m = l.m;
  p.n = l.n;
  p.k = l.k;
  p.a = {l.a.row_stride, l.a.col_stride, batches.a};
  p.b = {l.b.row_stride, l.b.col_stride, batches.b};
  p.c_batch_stride = batches.c;
  p.accumulate = l.accumulate;
  for_each_batch(
      batches, batches.count,
      [&](std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t count) {
        p.batch = count;
        p.a.data = at(l.a.data, a, l.dtype);
        p.b.data = at(l.b.data, b, l.dtype);
        p.c = const_cast<void*>(at(l.c, c, l.dtype));
        multiply_integers(p, l.dtype, stream);
      });
}

void zero(const MatmulLaunch& l, Stream stream) {
  const auto count = static_cast<std::size_t>(l.batch.numel() * l.m * l.n);
  if (l.accumulate || count == 0) return;
  check(cudaMemsetAsync(l.c, 0, count * size_of(l.out_dtype), handle(stream)),
        "cudaMemsetAsync", "matmul");
}

}  // namespace

bool supports_epilogue(const MatmulLaunch& l, Stream stream) {
  if (l.relu || l.accumulate || l.out_dtype != l.dtype ||
      l.batch.numel() != 1 ||
      (l.dtype != DType::float32 && l.dtype != DType::float64))
    return false;
  StridedProduct p = product_of(l, {});
  p.a.data = l.a.data;
  p.b.data = l.b.data;
  p.c = l.c;
  return takes_bias(p, stream);
}

void matmul(const MatmulLaunch& l, Stream stream) {
  if (l.m == 0 || l.n == 0 || l.k == 0 || l.batch.numel() == 0)
    return zero(l, stream);
  if (is_integer(l.dtype)) return multiply_integers(l, stream);
  multiply_floats(l, stream);
}

}  // namespace jacquard::cuda_backend
