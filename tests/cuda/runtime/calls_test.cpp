// Which calls of the CUDA runtime the backend's runtime makes.
#include <dlfcn.h>

#include <initializer_list>
#include <vector>

#include "tests/cuda/runtime/cuda_testing.h"

namespace jacquard::cuda_backend {
namespace {

// The PTX emulator counts calls; on a GPU nothing does.
class CallsTest : public CudaTest {
 protected:
  using Count = unsigned long long (*)(const char* name);

  void SetUp() override {
    CudaTest::SetUp();
    if (IsSkipped()) return;
    count_ = reinterpret_cast<Count>(dlsym(RTLD_DEFAULT, "ptx_emulator_calls"));
    if (!count_) GTEST_SKIP() << "nothing counts calls on a device";
  }

  unsigned long long count(std::initializer_list<const char*> names) const {
    unsigned long long sum = 0;
    for (const char* name : names) sum += count_(name);
    return sum;
  }
  // That a steady step on one stream must not make.
  unsigned long long avoidable() const {
    return count({"cudaMalloc", "cudaFree", "cudaHostAlloc", "cudaMemsetAsync",
                  "cudaEventCreateWithFlags", "cudaEventRecord",
                  "cudaEventQuery", "cudaEventSynchronize",
                  "cudaStreamWaitEvent", "cudaStreamCreateWithFlags",
                  "cudaStreamSynchronize", "cudaDeviceSynchronize",
                  "cudaGetDevice", "cudaSetDevice", "cudaDeviceGetAttribute"});
  }

 private:
  Count count_ = nullptr;
};

TEST_F(CallsTest, ASteadyStepOnOneStreamLaunchesAndNothingElse) {
  const auto step = [&] {
    const Scratch x(4000, stream), y(3 << 20, stream);
    const std::vector<unsigned> zeros(1000, 0);
    upload(x.data(), zeros.data(), 4000, stream);
    enqueue_add(x.as<unsigned>(), 1000, 1, stream);
    copy(y.data(), x.data(), 4000, stream);
    enqueue_add(y.as<unsigned>(), 1000, 1, stream);
    tickets(stream);
    index_check("gather", 3, stream);
    order(stream, current_stream(0));
  };
  for (int i = 0; i < 3; ++i) step();
  // Full pinned chunks get an event: begin with an empty one.
  downloaded(tickets(stream), 4, stream);
  const auto before = avoidable();
  const auto launches = count({"cudaLaunchKernel"});
  const auto copies = count({"cudaMemcpyAsync"});
  for (int i = 0; i < 10; ++i) step();
  EXPECT_EQ(avoidable(), before);
  EXPECT_EQ(count({"cudaLaunchKernel"}), launches + 20);
  EXPECT_EQ(count({"cudaMemcpyAsync"}), copies + 20);
}

TEST_F(CallsTest, OrderingTwoStreamsIsOneEventThatIsUsedAgain) {
  const Stream other = another_stream();
  order(other, stream);
  const auto made = count({"cudaEventCreateWithFlags"});
  const auto recorded = count({"cudaEventRecord"});
  const auto waited = count({"cudaStreamWaitEvent"});
  for (int i = 0; i < 5; ++i) order(other, stream);
  EXPECT_EQ(count({"cudaEventCreateWithFlags"}), made);
  EXPECT_EQ(count({"cudaEventRecord"}), recorded + 5);
  EXPECT_EQ(count({"cudaStreamWaitEvent"}), waited + 5);
}

TEST_F(CallsTest, AShortDownloadIsACopyAndAWait) {
  const Scratch x(4, stream);
  const unsigned one = 1;
  upload(x.data(), &one, 4, stream);
  const auto before = avoidable();
  const auto waits = count({"cudaStreamSynchronize"});
  const auto copies = count({"cudaMemcpyAsync"});
  unsigned out = 0;
  download(&out, x.data(), 4, stream);
  EXPECT_EQ(out, 1u);
  EXPECT_EQ(count({"cudaMemcpyAsync"}), copies + 1);
  EXPECT_EQ(count({"cudaStreamSynchronize"}), waits + 1);
  EXPECT_EQ(avoidable(), before + 1);
}

}  // namespace
}  // namespace jacquard::cuda_backend
