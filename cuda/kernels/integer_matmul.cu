#include <algorithm>
#include <cstdint>

#include "cuda/kernels/integer_matmul.h"
#include "cuda/runtime/launch.h"

namespace jacquard::cuda_backend {
namespace {

// A block makes a tile of kTile × kTile, a thread kOwn × kOwn of its elements,
// kThreadsAcross apart.
constexpr int kTile = 64, kDepth = 16, kOwn = 4;
constexpr int kThreadsAcross = kTile / kOwn;
constexpr int kThreads = kThreadsAcross * kThreadsAcross;
constexpr int kPitch = kTile + 1;  // so that columns are spread over the banks

// A panel of kTile lines × kDepth steps of k, steps apart by kPitch. Lines are
// rows of a or columns of b; there are `lines` and `steps` of them left.
template <class T>
__device__ void load(T* panel, const T* data, std::int64_t lines,
                     std::int64_t steps, std::int64_t line_stride,
                     std::int64_t step_stride) {
  // Neighbouring threads read neighbouring elements.
  const int t = threadIdx.x;
  const bool along_steps = step_stride == 1;
  int line = along_steps ? t / kDepth : t % kTile;
  int step = along_steps ? t % kDepth : t / kTile;
  const int next_line = along_steps ? kThreads / kDepth : 0;
  const int next_step = along_steps ? 0 : kThreads / kTile;
  const std::int64_t next = next_line * line_stride + next_step * step_stride;
  data += line * line_stride + step * step_stride;
#pragma unroll 1
  for (int n = 0; n < kTile * kDepth / kThreads; ++n) {
    panel[step * kPitch + line] = line < lines && step < steps ? *data : T{0};
    data += next;
    line += next_line;
    step += next_step;
  }
}

// T: an unsigned type, which wraps.
template <class T>
__device__ void multiply_tile(const IntegerProduct& p, std::int64_t batch,
                              std::int64_t i, std::int64_t j, T* left,
                              T* right) {
  const T* a = static_cast<const T*>(p.a.data) + batch * p.a.batch_stride +
               i * p.a.row_stride;
  const T* b = static_cast<const T*>(p.b.data) + batch * p.b.batch_stride +
               j * p.b.col_stride;
  T* c = static_cast<T*>(p.c) + batch * p.c_batch_stride;
  const int x = threadIdx.x % kThreadsAcross, y = threadIdx.x / kThreadsAcross;
  T sum[kOwn][kOwn] = {};
#pragma unroll 1
  for (std::int64_t k = 0; k < p.k; k += kDepth) {
    __syncthreads();
    load(left, a + k * p.a.col_stride, p.m - i, p.k - k, p.a.row_stride,
         p.a.col_stride);
    load(right, b + k * p.b.row_stride, p.n - j, p.k - k, p.b.col_stride,
         p.b.row_stride);
    __syncthreads();
#pragma unroll 2
    for (int step = 0; step < kDepth; ++step) {
      T x_part[kOwn], y_part[kOwn];
#pragma unroll
      for (int u = 0; u < kOwn; ++u) {
        y_part[u] = left[step * kPitch + y + u * kThreadsAcross];
        x_part[u] = right[step * kPitch + x + u * kThreadsAcross];
      }
#pragma unroll
      for (int u = 0; u < kOwn; ++u)
#pragma unroll
        for (int v = 0; v < kOwn; ++v) sum[u][v] += y_part[u] * x_part[v];
    }
  }
#pragma unroll
  for (int u = 0; u < kOwn; ++u)
#pragma unroll
    for (int v = 0; v < kOwn; ++v) {
      const std::int64_t row = i + y + u * kThreadsAcross;
      const std::int64_t col = j + x + v * kThreadsAcross;
      if (row >= p.m || col >= p.n) continue;
      T& to = c[row * p.n + col];
      to = p.accumulate ? to + sum[u][v] : sum[u][v];
    }
}

template <class T>
__global__ void __launch_bounds__(kThreads, 2)
    multiply_kernel(IntegerProduct p) {
  __shared__ T left[kDepth * kPitch], right[kDepth * kPitch];
  const std::int64_t across = (p.n + kTile - 1) / kTile;
  const std::int64_t tile = blockIdx.x;
  const std::int64_t row = tile / across, col = tile - row * across;
  for (std::int64_t batch = blockIdx.y; batch < p.batch; batch += gridDim.y)
    multiply_tile(p, batch, row * kTile, col * kTile, left, right);
}

}  // namespace

void multiply_integers(const IntegerProduct& p, DType dtype, Stream stream) {
  const auto tiles = [](std::int64_t n) { return (n + kTile - 1) / kTile; };
  const void* kernel =
      dtype == DType::int32
          ? reinterpret_cast<const void*>(multiply_kernel<std::uint32_t>)
          : reinterpret_cast<const void*>(multiply_kernel<std::uint64_t>);
  constexpr std::int64_t kMostBlocks = 65535;
  launch(
      {kernel, "integer_matmul"},
      {.blocks_x = static_cast<std::uint32_t>(tiles(p.m) * tiles(p.n)),
       .blocks_y = static_cast<std::uint32_t>(std::min(p.batch, kMostBlocks)),
       .threads_x = kThreads},
      stream, p);
}

}  // namespace jacquard::cuda_backend
