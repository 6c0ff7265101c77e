// Programs that are new again and again: what a user is told, and what
// JACQUARD_JIT=off makes of them.
#include <gtest/gtest.h>
#include <jacquard/jacquard.h>

#include <random>
#include <string>

#include "core/backend/compilation_watch.h"
#include "tests/cuda/compile/child.h"
#include "tests/cuda/compile/temporary_folder.h"

namespace jacquard::cuda_backend {
namespace {

class ManyPrograms : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(cuda())) GTEST_SKIP() << "there is no CUDA device";
    set_default_device(cuda());
  }
};

// A chain of operations that hardly any other process has, nor any other call.
TrackedTensor chain(TrackedTensor x) {
  static std::mt19937_64 random(std::random_device{}());
  std::uint64_t bits = random();
  for (int i = 0; i < 24; ++i, bits >>= 2) {
    switch (bits % 4) {
      case 0:
        x = -x;
        break;
      case 1:
        x = abs(x);
        break;
      case 2:
        x = relu(x);
        break;
      default:
        x = square(x);
    }
  }
  return x;
}

std::string told_after(int programs, const TrackedTensor& x) {
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < programs; ++i) materialize(chain(x));
  return ::testing::internal::GetCapturedStderr();
}

TEST_F(ManyPrograms, AreToldOnceAfterTheThirdStep) {
  if (!fusion_enabled()) GTEST_SKIP() << "nothing is fused";
  const TrackedTensor x = ones({4}), w = param(ones({4}));
  EXPECT_EQ(told_after(34, x), "");  // before the first step
  for (int step = 0; step < 3; ++step) backward(sum(w * x));
  EXPECT_EQ(told_after(32, x), "");
  const std::string told = told_after(2, x);
  EXPECT_NE(told.find("more than 32 kernels were compiled"), std::string::npos)
      << told;
  EXPECT_NE(told.find("many_programs_test.cpp:"), std::string::npos) << told;
  EXPECT_EQ(told_after(2, x), "");
}

TEST_F(ManyPrograms, WithoutJitAreRunByTheKernelsOfSingleOperations) {
  const TemporaryFolder folder;
  Child child("ManyProgramsChild.DISABLED_WithoutJit",
              {{"JACQUARD_CACHE_DIR", folder.path()},
               {"JACQUARD_DEVICE", "cuda"},
               {"JACQUARD_JIT", "off"}});
  const auto counts = child.counts();
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_GT(counts[0].compiled, 0u);
  EXPECT_LE(counts[0].compiled, 8u);
}

TEST(ManyProgramsChild, DISABLED_WithoutJit) {
  EXPECT_FALSE(fusion_enabled());
  const TrackedTensor x = randn({5});
  for (int i = 0; i < 20; ++i) (void)chain(x).data();
  KernelCounts counts;
  counts.compiled = backend::compilations();
  set_fusion(true);
  const TrackedTensor y = materialize(sqrt(abs(x)) * tanh(x));
  set_fusion(false);
  EXPECT_TRUE(equal(y, sqrt(abs(x)) * tanh(x)));
  report(counts);
}

}  // namespace
}  // namespace jacquard::cuda_backend
