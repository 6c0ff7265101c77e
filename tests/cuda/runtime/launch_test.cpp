#include "cuda/runtime/launch.h"

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "jacquard/error.h"
#include "tests/cuda/runtime/cuda_testing.h"

namespace jacquard::cuda_backend {
namespace {

std::string cuda_error(const std::function<void()>& run) {
  try {
    run();
  } catch (const CudaError& e) {
    return e.what();
  }
  return "no error";
}

class Array {
 public:
  Array(unsigned count, Stream stream)
      : count_(count), memory_(count * sizeof(unsigned), stream), on_(stream) {
    const std::vector<unsigned> zeros(count, 0);
    upload(memory_.data(), zeros.data(), count * sizeof(unsigned), stream);
  }
  unsigned* data() const { return memory_.as<unsigned>(); }
  std::vector<unsigned> values() const {
    std::vector<unsigned> out(count_);
    download(out.data(), data(), count_ * sizeof(unsigned), on_);
    return out;
  }

 private:
  unsigned count_;
  Scratch memory_;
  Stream on_;
};

TEST_F(CudaTest, KernelsRunInTheOrderOfTheStream) {
  const Array x(1000, stream);
  for (unsigned i = 1; i <= 10; ++i) enqueue_add(x.data(), 1000, i, stream);
  EXPECT_EQ(x.values(), std::vector<unsigned>(1000, 55));
}

TEST_F(CudaTest, AGeometryWithoutBlocksLaunchesNothing) {
  const Array x(4, stream);
  unsigned* data = x.data();
  for (const Geometry& none : {Geometry{.blocks_x = 0, .threads_x = 32},
                               Geometry{.blocks_y = 0, .threads_x = 32},
                               Geometry{.blocks_z = 0, .threads_x = 32}})
    EXPECT_NO_THROW(launch(add_kernel(), none, stream, data, 4u, 1u));
  EXPECT_EQ(x.values(), std::vector<unsigned>(4, 0));
}

TEST_F(CudaTest, ARefusedLaunchNamesTheKernelAndTheGeometry) {
  unsigned* data = nullptr;
  const Geometry geometry{.blocks_x = 3, .threads_x = 2048};
  const std::string text =
      cuda_error([&] { launch(add_kernel(), geometry, stream, data, 0u, 0u); });
  EXPECT_NE(text.find("kernel add, 3×1×1 blocks of 2048×1×1 threads"),
            std::string::npos)
      << text;
  // The error is not left for the next call.
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
  const Array x(10, stream);
  enqueue_add(x.data(), 10, 3, stream);
  EXPECT_EQ(x.values(), std::vector<unsigned>(10, 3));
}

TEST_F(CudaTest, MuchSharedMemoryMustBeAllowed) {
  const DeviceInfo& info = device_info(0);
  const auto bytes = static_cast<std::uint32_t>(info.shared_per_block_optin);
  if (bytes <= 48u << 10) GTEST_SKIP() << "the device has 48 KiB at most";
  const Kernel kernel = load_kernel(test_kernels(), "add");
  const Array x(8, stream);
  unsigned* data = x.data();
  const Geometry geometry{.threads_x = 32, .shared_bytes = bytes};
  EXPECT_NE(cuda_error([&] { launch(kernel, geometry, stream, data, 8u, 1u); }),
            "no error");
  allow_shared(kernel, bytes);
  launch(kernel, geometry, stream, data, 8u, 1u);
  EXPECT_EQ(x.values(), std::vector<unsigned>(8, 1));
  const std::string text =
      cuda_error([&] { allow_shared(kernel, std::size_t{1} << 30); });
  EXPECT_NE(text.find("kernel add"), std::string::npos) << text;
}

TEST_F(CudaTest, LaunchesCanBeMadeToWait) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        setenv("JACQUARD_LAUNCH_BLOCKING", "1", 1);
        const Array x(1000, stream);
        enqueue_add(x.data(), 1000, 1, stream);
        std::exit(cudaStreamQuery(handle(stream)) == cudaSuccess ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_F(CudaTest, AKernelThatIsNotInTheModuleIsNamed) {
  const std::string text =
      cuda_error([&] { load_kernel(test_kernels(), "subtract"); });
  EXPECT_NE(text.find("kernel subtract"), std::string::npos) << text;
}

TEST_F(CudaTest, AModuleThatCannotBeReadNamesTheKernel) {
  const std::string text =
      cuda_error([&] { load_kernel(".version 6.5\nnonsense", "add"); });
  EXPECT_NE(text.find("kernel add"), std::string::npos) << text;
}

TEST_F(CudaTest, TheNameOfAKernelOutlivesTheCall) {
  Kernel kernel;
  {
    const std::string name = "report";
    kernel = load_kernel(test_kernels(), name);
  }
  EXPECT_STREQ(kernel.name, "report");
}

}  // namespace
}  // namespace jacquard::cuda_backend
