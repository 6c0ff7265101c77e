#include "cpu_fallback/libraries/gemm.h"

#include <dlfcn.h>
#include <dnnl.h>

#include <algorithm>
#include <string>
#include <type_traits>

#include "cpu_fallback/isa/kernel_table.h"
#include "jacquard/error.h"

namespace jacquard::cpu_fallback {
namespace {

// Products up to this many multiplications are done here: oneDNN takes about
// half a microsecond to begin.
constexpr std::int64_t kSmall = 5 * 5 * 5;

// oneDNN with OpenMP would start threads of its own beside ours; the number is
// a setting of each thread. The functions are those of the OpenMP library that
// oneDNN has brought along, whichever it is; without one there is nothing to
// set.
struct OpenMp {
  int (*get)() = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT,
                                                   "omp_get_max_threads"));
  void (*set)(int) = reinterpret_cast<void (*)(int)>(
      dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
};

class OneThread {
 public:
  OneThread() : before_(omp().get && omp().set ? omp().get() : 1) {
    if (before_ != 1) omp().set(1);
  }
  ~OneThread() {
    if (before_ != 1) omp().set(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  static const OpenMp& omp() {
    static const OpenMp functions;
    return functions;
  }
  int before_;
};

// Row by row, in rising k; integers wrap.
template <class T>
void plain_gemm(const Gemm<T>& g) {
  using Sum = std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>,
                                 std::type_identity<T>>::type;
  constexpr std::int64_t kBlock = 64;
  Sum row[kBlock];
  for (std::int64_t i = 0; i < g.m; ++i) {
    for (std::int64_t j0 = 0; j0 < g.n; j0 += kBlock) {
      const std::int64_t w = std::min(kBlock, g.n - j0);
      std::fill_n(row, w, Sum{0});
      for (std::int64_t p = 0; p < g.k; ++p) {
        const Sum x = static_cast<Sum>(g.a[i * g.a_row + p * g.a_col]);
        const T* b = g.b + p * g.b_row + j0 * g.b_col;
        for (std::int64_t j = 0; j < w; ++j)
          row[j] += x * static_cast<Sum>(b[j * g.b_col]);
      }
      T* c = g.c + i * g.ldc + j0;
      for (std::int64_t j = 0; j < w; ++j)
        c[j] = static_cast<T>(g.accumulate ? static_cast<Sum>(c[j]) + row[j]
                                           : row[j]);
    }
  }
}

}  // namespace

void gemm(const Gemm<float>& g) {
  if (g.m * g.n * g.k <= kSmall) return plain_gemm(g);
  // One of the strides is 1; a leading dimension is at least the extent of the
  // other axis, also where there is one row only.
  const bool a_plain = g.a_col == 1 || g.k == 1;
  const bool b_plain = g.b_col == 1 || g.n == 1;
  const std::int64_t lda =
      std::max(a_plain ? g.a_row : g.a_col, a_plain ? g.k : g.m);
  const std::int64_t ldb =
      std::max(b_plain ? g.b_row : g.b_col, b_plain ? g.n : g.k);
  const OneThread one;
  const dnnl_status_t status =
      dnnl_sgemm(a_plain ? 'N' : 'T', b_plain ? 'N' : 'T', g.m, g.n, g.k, 1.0f,
                 g.a, lda, g.b, ldb, g.accumulate ? 1.0f : 0.0f, g.c, g.ldc);
  if (status != dnnl_success)
    throw Error("matmul: oneDNN's sgemm failed with status " +
                std::to_string(static_cast<int>(status)));
}

void gemm(const Gemm<double>& g) {
  if (g.m * g.n * g.k <= kSmall) return plain_gemm(g);
  kernels().gemm_f64(g.m, g.n, g.k, g.a, g.a_row, g.a_col, g.b, g.b_row,
                     g.b_col, g.c, g.ldc, g.accumulate);
}

void gemm(const Gemm<std::int32_t>& g) { plain_gemm(g); }
void gemm(const Gemm<std::int64_t>& g) { plain_gemm(g); }

}  // namespace jacquard::cpu_fallback
