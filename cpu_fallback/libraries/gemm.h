// One matrix product on the calling thread.
#pragma once

#include <cstdint>

namespace jacquard::cpu_fallback {

// c (m×n, row-major, leading dimension ldc) = a·b, or += . Element (i, j) of a
// at a[i·a_row + j·a_col], one of the two strides being 1 or its extent 1.
template <class T>
struct Gemm {
  std::int64_t m, n, k;
  const T* a;
  std::int64_t a_row, a_col;
  const T* b;
  std::int64_t b_row, b_col;
  T* c;
  std::int64_t ldc;
  bool accumulate;
};

void gemm(const Gemm<float>& g);
void gemm(const Gemm<double>& g);
void gemm(const Gemm<std::int32_t>& g);  // wraps
void gemm(const Gemm<std::int64_t>& g);

}  // namespace jacquard::cpu_fallback
