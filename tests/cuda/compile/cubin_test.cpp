#include "tests/cuda/compile/cubin.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "cuda/codegen/nvrtc.h"

namespace jacquard::cuda_backend {
namespace {

constexpr const char* kSource = R"(
extern "C" __global__ void simple(int* x) { x[0] = 1; }
extern "C" __global__ void array(int* x, int n) {
  int kept[64] = {};
  for (int i = 0; i < n; ++i) kept[x[i]] += i;
  x[n] = kept[n];
}
extern "C" __global__ void __maxnreg__(24) spills(float* x) {
  float kept[48];
  for (int i = 0; i < 48; ++i) kept[i] = x[i * i];
  __syncthreads();
  for (int i = 0; i < 48; ++i) x[i + 1] = kept[47 - i];
}
)";

TEST(Cubin, TellsWhichKernelsUseLocalMemory) {
  for (const int architecture : {75, 80, 90, 100, 120}) {
    const auto found =
        resources_of(compile(kSource, "k", {architecture, true}, false).image);
    ASSERT_EQ(found.size(), 3u) << architecture;
    for (const KernelResources& k : found) {
      SCOPED_TRACE(k.name + " for " + std::to_string(architecture));
      EXPECT_GE(k.registers, 4u);
      if (k.name == "simple")
        EXPECT_EQ(k.stack, 0u);
      else if (k.name == "array")
        EXPECT_EQ(k.stack, 256u);
      else if (k.name == "spills")
        EXPECT_TRUE(k.stack > 0 && k.registers == 24) << k.stack;
      else
        ADD_FAILURE();
    }
  }
}

TEST(Cubin, OtherImagesAreRefused) {
  EXPECT_THROW(resources_of(""), std::runtime_error);
  EXPECT_THROW(resources_of(std::string(4000, 'x')), std::runtime_error);
  const std::string good = compile(kSource, "k", {80, true}, false).image;
  EXPECT_THROW(resources_of(good.substr(0, good.size() / 2)),
               std::runtime_error);
}

}  // namespace
}  // namespace jacquard::cuda_backend
