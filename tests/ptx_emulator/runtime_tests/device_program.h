// What the tests of the runtime share: kernels in hand-written PTX, checked
// calls, and configurations of the emulator in processes of their own.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#define EXPECT_CUDA(expected, call) EXPECT_EQ((expected), (call)) << #call
#define CUDA_OK(call) ASSERT_EQ(cudaSuccess, (call)) << #call

namespace ptx_emulator::testing {

// add(int* data, int n, int value): data[i] += value.
// assign(int* to, const int* from, int n): to[i] = from[i].
// wild(int* data): stores to data[1 << 20].
inline constexpr char kProgram[] = R"(
.version 8.0
.target sm_75
.address_size 64
.global .align 4 .u32 cell = 7;
.visible .entry add(.param .u64 p, .param .u32 n, .param .u32 value)
{
  .reg .pred %out;
  .reg .b32 %r<6>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd0, [p];
  ld.param.u32 %r0, [n];
  ld.param.u32 %r1, [value];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r2, %r2, %r3, %r4;
  setp.ge.s32 %out, %r2, %r0;
  @%out bra done;
  cvta.to.global.u64 %rd0, %rd0;
  mul.wide.s32 %rd1, %r2, 4;
  add.s64 %rd0, %rd0, %rd1;
  ld.global.u32 %r5, [%rd0];
  add.s32 %r5, %r5, %r1;
  st.global.u32 [%rd0], %r5;
done:
  ret;
}
.visible .entry assign(.param .u64 to, .param .u64 from, .param .u32 n)
{
  .reg .pred %out;
  .reg .b32 %r<6>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd0, [to];
  ld.param.u64 %rd1, [from];
  ld.param.u32 %r0, [n];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r2, %r2, %r3, %r4;
  setp.ge.s32 %out, %r2, %r0;
  @%out bra done;
  mul.wide.s32 %rd2, %r2, 4;
  add.s64 %rd0, %rd0, %rd2;
  add.s64 %rd1, %rd1, %rd2;
  ld.global.u32 %r5, [%rd1];
  st.global.u32 [%rd0], %r5;
done:
  ret;
}
.visible .entry wild(.param .u64 p)
{
  .reg .b32 %r<1>;
  .reg .b64 %rd<1>;
  ld.param.u64 %rd0, [p];
  mov.u32 %r0, 1;
  st.global.u32 [%rd0+4194304], %r0;
  ret;
}
.visible .entry limited(.param .u64 p)
.maxntid 64
{
  .reg .b32 %r<3>;
  .shared .align 4 .b8 room[1024];
  mov.u32 %r0, %tid.x;
  shl.b32 %r1, %r0, 2;
  mov.u32 %r2, room;
  add.u32 %r2, %r2, %r1;
  st.shared.u32 [%r2], %r0;
  ret;
}
)";

inline cudaLibrary_t library() {
  static const cudaLibrary_t loaded = [] {
    cudaLibrary_t result = nullptr;
    EXPECT_CUDA(cudaSuccess,
                cudaLibraryLoadData(&result, kProgram, nullptr, nullptr, 0,
                                    nullptr, nullptr, 0));
    return result;
  }();
  return loaded;
}

inline const void* kernel(const char* name) {
  cudaKernel_t result = nullptr;
  EXPECT_CUDA(cudaSuccess, cudaLibraryGetKernel(&result, library(), name));
  return result;
}

inline cudaError_t add(int* data, int n, int value, cudaStream_t stream) {
  static const void* const add_kernel = kernel("add");
  void* arguments[] = {&data, &n, &value};
  return cudaLaunchKernel(add_kernel, dim3((n + 127) / 128), dim3(128),
                          arguments, 0, stream);
}

inline cudaError_t assign(int* to, const int* from, int n,
                          cudaStream_t stream) {
  static const void* const assign_kernel = kernel("assign");
  void* arguments[] = {&to, &from, &n};
  return cudaLaunchKernel(assign_kernel, dim3((n + 127) / 128), dim3(128),
                          arguments, 0, stream);
}

inline cudaError_t wild(int* data, cudaStream_t stream) {
  static const void* const wild_kernel = kernel("wild");
  void* arguments[] = {&data};
  return cudaLaunchKernel(wild_kernel, dim3(1), dim3(1), arguments, 0, stream);
}

// n ints of device memory, all `value`.
inline int* device_ints(int n, int value) {
  int* data = nullptr;
  EXPECT_CUDA(cudaSuccess, cudaMalloc(reinterpret_cast<void**>(&data),
                                      static_cast<std::size_t>(n) * 4));
  const std::vector<int> host(static_cast<std::size_t>(n), value);
  EXPECT_CUDA(cudaSuccess, cudaMemcpy(data, host.data(), host.size() * 4,
                                      cudaMemcpyHostToDevice));
  EXPECT_CUDA(cudaSuccess, cudaDeviceSynchronize());
  return data;
}

inline int* pinned_ints(int n, int value) {
  void* data = nullptr;
  EXPECT_CUDA(cudaSuccess, cudaHostAlloc(&data, static_cast<std::size_t>(n) * 4,
                                         cudaHostAllocDefault));
  std::fill_n(static_cast<int*>(data), n, value);
  return static_cast<int*>(data);
}

// The first int, after everything queued has run.
inline int first_int(const int* data) {
  int value = -1;
  EXPECT_CUDA(cudaSuccess, cudaDeviceSynchronize());
  EXPECT_CUDA(cudaSuccess, cudaMemcpy(&value, data, 4, cudaMemcpyDeviceToHost));
  return value;
}

inline cudaStream_t non_blocking_stream() {
  cudaStream_t stream = nullptr;
  EXPECT_CUDA(cudaSuccess,
              cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

using Environment = std::initializer_list<std::pair<const char*, const char*>>;

// Runs the body in a new process that starts with these variables; no
// expectation may fail there.
void in_process_with(Environment environment,
                     const std::function<void()>& body);

// All tests of this kind begin and end with a working, idle device.
class RuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
};

}  // namespace ptx_emulator::testing
