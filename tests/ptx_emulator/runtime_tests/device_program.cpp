#include "runtime_tests/device_program.h"

#include <cstdlib>

#include "runtime/inspect.h"

namespace ptx_emulator::testing {

void RuntimeTest::SetUp() {
  ptx_emulator_clear_faults();
  EXPECT_EQ(ptx_emulator_pending(), 0u);
  ptx_emulator_reset_counters();
}

void RuntimeTest::TearDown() {
  EXPECT_EQ(ptx_emulator_fault_count(), 0u) << ptx_emulator_last_fault();
  ptx_emulator_clear_faults();
  EXPECT_CUDA(cudaSuccess, cudaDeviceSynchronize());
  cudaGetLastError();
}

// The emulator reads its configuration when the process starts, so the
// variables are those of this process while the new one starts.
void in_process_with(Environment environment,
                     const std::function<void()>& body) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  for (const auto& [name, value] : environment) setenv(name, value, 1);
  EXPECT_EXIT(
      {
        body();
        std::exit(::testing::Test::HasFailure() ? 1 : 0);
      },
      ::testing::ExitedWithCode(0), "");
  for (const auto& [name, value] : environment) unsetenv(name);
}

}  // namespace ptx_emulator::testing
