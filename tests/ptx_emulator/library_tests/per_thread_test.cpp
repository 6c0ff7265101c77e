// Programs built with --default-stream per-thread.
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <thread>

#include "runtime/inspect.h"

namespace ptx_emulator::testing {
namespace {

TEST(PerThreadStreamTest, EachThreadHasADefaultStreamOfItsOwn) {
  ASSERT_EQ(cudaSuccess, cudaDeviceSynchronize());
  int ran = 0;
  const auto count = [](void* data) { ++*static_cast<int*>(data); };
  ASSERT_EQ(cudaSuccess, cudaLaunchHostFunc(nullptr, count, &ran));
  std::thread([&] {
    EXPECT_EQ(cudaSuccess, cudaLaunchHostFunc(nullptr, count, &ran));
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(nullptr));
    EXPECT_EQ(ran, 1);
  }).join();
  EXPECT_EQ(ptx_emulator_pending(), 1u);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(nullptr));
  EXPECT_EQ(ran, 2);
}

TEST(PerThreadStreamTest, BlockingCopiesWaitForTheThreadsStream) {
  void* data = nullptr;
  ASSERT_EQ(cudaSuccess, cudaMalloc(&data, 4));
  ASSERT_EQ(cudaSuccess, cudaMemsetAsync(data, 1, 4, nullptr));
  int value = 0;
  ASSERT_EQ(cudaSuccess, cudaMemcpy(&value, data, 4, cudaMemcpyDeviceToHost));
  EXPECT_EQ(value, 0x01010101);
}

TEST(PerThreadStreamTest, TheLegacyStreamWaitsForIt) {
  int ran = 0;
  ASSERT_EQ(cudaSuccess,
            cudaLaunchHostFunc(
                nullptr, [](void* data) { ++*static_cast<int*>(data); }, &ran));
  ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(cudaStreamLegacy));
  EXPECT_EQ(ran, 1);
}

}  // namespace
}  // namespace ptx_emulator::testing
