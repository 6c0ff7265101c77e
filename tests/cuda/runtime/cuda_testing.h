// What the tests of the CUDA runtime share.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "cuda/runtime/device.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {

// Skips where there is no device.
class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (device_count() == 0) GTEST_SKIP() << "there is no CUDA device";
    stream = current_stream(0);
  }
  // A second queue.
  static Stream another_stream() {
    static const Stream made = make_stream(0);
    return made;
  }

  Stream stream;
};

using Bytes = std::vector<unsigned char>;

inline Bytes random_bytes(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  Bytes bytes(count);
  for (auto& b : bytes) b = static_cast<unsigned char>(generator());
  return bytes;
}

inline Bytes downloaded(const void* from, std::size_t count, Stream stream) {
  Bytes bytes(count);
  download(bytes.data(), from, count, stream);
  return bytes;
}

// Kernels as PTX:
//   add(unsigned* x, unsigned n, unsigned what): x[i] += what for i < n
//   report(unsigned long long* word, unsigned long long id, long long index):
//     what IndexCheck says
inline const char* test_kernels() {
  return R"(
.version 6.5
.target sm_75
.address_size 64

.visible .entry add(.param .u64 p_x, .param .u32 p_n, .param .u32 p_what)
{
  .reg .pred %p;
  .reg .b32 %r<8>;
  .reg .b64 %d<4>;
  ld.param.u64 %d0, [p_x];
  ld.param.u32 %r0, [p_n];
  ld.param.u32 %r1, [p_what];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p, %r5, %r0;
  @%p bra DONE;
  cvta.to.global.u64 %d1, %d0;
  mul.wide.u32 %d2, %r5, 4;
  add.s64 %d3, %d1, %d2;
  ld.global.u32 %r6, [%d3];
  add.u32 %r7, %r6, %r1;
  st.global.u32 [%d3], %r7;
DONE:
  ret;
}

.visible .entry report(.param .u64 p_word, .param .u64 p_id, .param .u64 p_index)
{
  .reg .pred %p;
  .reg .b64 %d<6>;
  ld.param.u64 %d0, [p_word];
  ld.param.u64 %d1, [p_id];
  ld.param.u64 %d2, [p_index];
  cvta.to.global.u64 %d3, %d0;
  mov.u64 %d4, 0;
  atom.global.cas.b64 %d5, [%d3], %d4, %d1;
  setp.ne.u64 %p, %d5, 0;
  @%p bra DONE;
  st.global.u64 [%d3+8], %d2;
DONE:
  ret;
}
)";
}

inline const Kernel& add_kernel() {
  static const Kernel kernel = load_kernel(test_kernels(), "add");
  return kernel;
}
inline const Kernel& report_kernel() {
  static const Kernel kernel = load_kernel(test_kernels(), "report");
  return kernel;
}

// x[i] += what.
inline void enqueue_add(unsigned* x, unsigned count, unsigned what,
                        Stream stream) {
  launch(add_kernel(), {.blocks_x = (count + 127) / 128, .threads_x = 128},
         stream, x, count, what);
}

}  // namespace jacquard::cuda_backend
