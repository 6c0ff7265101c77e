#include "cuda/runtime/device.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "cuda/runtime/checker_marks.h"
#include "cuda/runtime/error.h"
#include "jacquard/error.h"
#include "tests/cuda/runtime/cuda_testing.h"

namespace jacquard::cuda_backend {
namespace {

TEST(Device, OneThatIsAbsentIsADeviceErrorThatNamesIt) {
  for (const int index : {-1, device_count(), 1000}) {
    try {
      device_info(index);
      ADD_FAILURE() << index;
    } catch (const DeviceError& e) {
      EXPECT_NE(std::string(e.what()).find("cuda:" + std::to_string(index)),
                std::string::npos)
          << e.what();
    }
    EXPECT_THROW(current_stream(index), DeviceError);
    EXPECT_THROW(memory_stats(index), DeviceError);
    EXPECT_THROW(synchronize_device(index), DeviceError);
  }
}

TEST(Device, MissingDriversAndDevicesAreDeviceErrors) {
  EXPECT_THROW(check(cudaErrorInsufficientDriver, "call"), DeviceError);
  EXPECT_THROW(check(cudaErrorNoDevice, "call"), DeviceError);
}

TEST(Device, OtherCodesAreCudaErrorsThatNameTheCallAndTheOperation) {
  EXPECT_NO_THROW(check(cudaSuccess, "cudaMemcpyAsync", "upload"));
  try {
    check(cudaErrorInvalidValue, "cudaMemcpyAsync", "upload");
    FAIL();
  } catch (const CudaError& e) {
    const std::string text = e.what();
    EXPECT_TRUE(text.starts_with("upload: cudaMemcpyAsync: ")) << text;
    EXPECT_NE(text.find(cudaGetErrorString(cudaErrorInvalidValue)),
              std::string::npos)
        << text;
  }
}

// Runs in a process of its own, where the PTX emulator, if it stands in for
// CUDA, is set up otherwise.
#define EXPECT_ZERO_EXIT_WITH(variable, value, code)                 \
  do {                                                               \
    GTEST_FLAG_SET(death_test_style, "threadsafe");                  \
    setenv(variable, value, 1);                                      \
    EXPECT_EXIT(std::_Exit(code), ::testing::ExitedWithCode(0), ""); \
    unsetenv(variable);                                              \
  } while (false)

int try_without_devices(const std::string& reason) {
  if (device_count() != 0) return 1;
  try {
    current_stream(0);
  } catch (const DeviceError& e) {
    return std::string(e.what()).find(reason) == std::string::npos ? 2 : 0;
  }
  return 3;
}

TEST(Device, NoDeviceAndNoDriverAreNormalStates) {
  if (!checker_marks().freed) GTEST_SKIP() << "this is no emulator";
  EXPECT_ZERO_EXIT_WITH("PTX_EMULATOR_DEVICES", "0",
                        try_without_devices("cudaErrorNoDevice"));
  EXPECT_ZERO_EXIT_WITH("PTX_EMULATOR_DRIVER", "12000",
                        try_without_devices("cudaErrorInsufficientDriver"));
}

// Copies and kernels on the last device, while the first one is current.
int try_last_device() {
  const int last = device_count() - 1;
  const Stream theirs = current_stream(last);
  if (last > 0 && theirs == current_stream(0)) return 1;
  const Bytes zeros(400, 0);
  {
    const Scratch x(400, theirs), y(400, theirs);
    const Stream other = make_stream(last);
    upload(x.data(), zeros.data(), 400, theirs);
    {
      const DeviceGuard guard(last);
      enqueue_add(x.as<unsigned>(), 100, 0x01010101, theirs);
    }
    order(other, theirs);
    copy(y.data(), x.data(), 400, other);
    if (downloaded(y.data(), 400, other) != Bytes(400, 1)) return 2;
    cudaPointerAttributes where{};
    if (cudaPointerGetAttributes(&where, x.data()) != cudaSuccess ||
        where.device != last)
      return 6;
    if (memory_stats(last).in_use != 800) return 3;
    if (last > 0 && memory_stats(0).in_use != 0) return 4;
    tickets(theirs);
    index_check("gather", 3, theirs);
    synchronize(theirs);
    {
      const DeviceGuard guard(last);
      enqueue_add(x.as<unsigned>(), 100, 1, theirs);
    }
    synchronize_device(last);
    if (cudaStreamQuery(handle(theirs)) != cudaSuccess) return 7;
  }
  int now = -1;
  return cudaGetDevice(&now) == cudaSuccess && now == 0 ? 0 : 5;
}

TEST_F(CudaTest, WorkGoesToTheDeviceOfItsStream) {
  EXPECT_ZERO_EXIT_WITH("PTX_EMULATOR_DEVICES", "2", try_last_device());
}

TEST_F(CudaTest, EachDeviceTellsWhatItIs) {
  for (int i = 0; i < device_count(); ++i) {
    const DeviceInfo& info = device_info(i);
    EXPECT_EQ(info.index, i);
    EXPECT_GE(info.capability(), 75);
    EXPECT_GT(info.multiprocessors, 0);
    EXPECT_GE(info.max_threads_per_multiprocessor, 1024);
    EXPECT_GE(info.shared_per_block, 48u << 10);
    EXPECT_GE(info.shared_per_block_optin, info.shared_per_block);
    EXPECT_GT(info.l2_bytes, 0u);
    EXPECT_NE(info.name[0], '\0');
  }
}

TEST_F(CudaTest, AGuardPutsTheEarlierDeviceBack) {
  const int last = device_count() - 1;
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  int now = -1;
  {
    const DeviceGuard guard(last);
    ASSERT_EQ(cudaGetDevice(&now), cudaSuccess);
    EXPECT_EQ(now, last);
  }
  ASSERT_EQ(cudaGetDevice(&now), cudaSuccess);
  EXPECT_EQ(now, 0);
}

}  // namespace
}  // namespace jacquard::cuda_backend
