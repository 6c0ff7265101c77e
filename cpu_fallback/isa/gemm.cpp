// float64 matrix products by Eigen. Compiled with -DEigen=Eigen_<level>, so
// that the linker can't keep one level's templates for another.
#define EIGEN_DONT_PARALLELIZE
#define EIGEN_MPL2_ONLY
#include <Eigen/Core>

#include "cpu_fallback/isa/level.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

using Eigen::Dynamic;
using RowMajor = Eigen::Matrix<double, Dynamic, Dynamic, Eigen::RowMajor>;
using ColMajor = Eigen::Matrix<double, Dynamic, Dynamic, Eigen::ColMajor>;
template <class M>
using In = Eigen::Map<const M, 0, Eigen::OuterStride<>>;
using Out = Eigen::Map<RowMajor, 0, Eigen::OuterStride<>>;

template <class A, class B>
void multiply(const A& a, const B& b, Out c, bool accumulate) {
  if (accumulate)
    c.noalias() += a * b;
  else
    c.noalias() = a * b;
}

template <class A>
void with_a(const A& a, std::int64_t k, std::int64_t n, const double* b,
            std::int64_t b_row, std::int64_t b_col, Out c, bool accumulate) {
  if (b_col == 1 || n == 1)
    multiply(a, In<RowMajor>(b, k, n, Eigen::OuterStride<>(b_row)), c,
             accumulate);
  else
    multiply(a, In<ColMajor>(b, k, n, Eigen::OuterStride<>(b_col)), c,
             accumulate);
}

void gemm_f64(std::int64_t m, std::int64_t n, std::int64_t k, const double* a,
              std::int64_t a_row, std::int64_t a_col, const double* b,
              std::int64_t b_row, std::int64_t b_col, double* c,
              std::int64_t ldc, bool accumulate) {
  if (m == 0 || n == 0) return;
  Out out(c, m, n, Eigen::OuterStride<>(ldc));
  if (k == 0) {
    if (!accumulate) out.setZero();
    return;
  }
  if (a_col == 1 || k == 1)
    with_a(In<RowMajor>(a, m, k, Eigen::OuterStride<>(a_row)), k, n, b, b_row,
           b_col, out, accumulate);
  else
    with_a(In<ColMajor>(a, m, k, Eigen::OuterStride<>(a_col)), k, n, b, b_row,
           b_col, out, accumulate);
}

}  // namespace

void fill_gemm(KernelTable& table) { table.gemm_f64 = &gemm_f64; }

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
