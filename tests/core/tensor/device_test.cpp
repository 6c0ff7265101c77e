#include "jacquard/device.h"

#include <gtest/gtest.h>

#include "jacquard/error.h"
#include "jacquard/memory.h"
#include "jacquard/tensor.h"

namespace jacquard {
namespace {

TEST(Device, HasAName) {
  EXPECT_EQ(to_string(cpu()), "cpu");
  EXPECT_EQ(to_string(cuda()), "cuda:0");
  EXPECT_EQ(to_string(cuda(3)), "cuda:3");
}

TEST(Device, TheCpuIsAlwaysThere) {
  EXPECT_TRUE(is_available(cpu()));
  EXPECT_FALSE(is_available({DeviceType::cpu, 1}));
  EXPECT_FALSE(is_available({DeviceType::cpu, -1}));
  EXPECT_FALSE(is_available(cuda(100)));
}

TEST(Device, TheDefaultCanBeSetToWhatIsPresentOnly) {
  const Device before = default_device();
  EXPECT_TRUE(is_available(before));
  set_default_device(cpu());
  EXPECT_EQ(default_device(), cpu());
  EXPECT_EQ(Tensor::empty({2}, DType::float32).device(), cpu());
  EXPECT_THROW(set_default_device(cuda(100)), DeviceError);
  EXPECT_THROW(set_default_device({DeviceType::cpu, 1}), DeviceError);
  EXPECT_EQ(default_device(), cpu());
  set_default_device(before);
}

// The default is chosen once in a process: each of these runs in one of its
// own.
int exit_code_with(const char* name) {
  setenv("JACQUARD_DEVICE", name, 1);
  try {
    return default_device() == cpu() ? 10 : 11;
  } catch (const DeviceError&) {
    return 12;
  }
}

TEST(DefaultDeviceDeathTest, ComesFromTheEnvironment) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::_Exit(exit_code_with("cpu")), testing::ExitedWithCode(10),
              "");
  EXPECT_EXIT(std::_Exit(exit_code_with("gpu")), testing::ExitedWithCode(12),
              "");
  EXPECT_EXIT(std::_Exit(exit_code_with("cuda:")), testing::ExitedWithCode(12),
              "");
  EXPECT_EXIT(std::_Exit(exit_code_with("cuda:1x")),
              testing::ExitedWithCode(12), "");
  EXPECT_EXIT(std::_Exit(exit_code_with("cuda:99")),
              testing::ExitedWithCode(12), "");
}

TEST(Device, AThreadHasACurrentStream) {
  const Stream stream = current_stream(cpu());
  EXPECT_EQ(stream.device(), cpu());
  EXPECT_EQ(stream, current_stream(cpu()));
  stream.synchronize();
  synchronize(cpu());
}

TEST(Device, AWrappedStreamKeepsItsHandle) {
  int queue = 0;
  const Stream stream = Stream::wrap(cuda(1), &queue);
  EXPECT_EQ(stream.device(), cuda(1));
  EXPECT_EQ(stream.native_handle(), &queue);
  EXPECT_NE(stream, Stream::wrap(cuda(1), nullptr));
}

TEST(Device, TellsWhatMemoryIsInUse) {
  const std::size_t before = memory_stats(cpu()).in_use;
  {
    const Tensor t = Tensor::empty({1000}, DType::float64, cpu());
    EXPECT_GE(memory_stats(cpu()).in_use, before + 8000);
    EXPECT_GE(memory_stats(cpu()).peak, memory_stats(cpu()).in_use);
  }
  EXPECT_EQ(memory_stats(cpu()).in_use, before);
  EXPECT_THROW(memory_stats(cuda(100)), DeviceError);
}

}  // namespace
}  // namespace jacquard
