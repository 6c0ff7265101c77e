#include "cuda/runtime/pool.h"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "jacquard/error.h"
#include "tests/cuda/runtime/cuda_testing.h"

namespace jacquard::cuda_backend {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// A pool of its own that may take `limit` bytes from the device.
class PoolTest : public CudaTest {
 protected:
  // A pool outlives nothing that is handed out, and is never destroyed.
  DevicePool& make(std::size_t limit) {
    setenv("JACQUARD_CUDA_MEMORY_LIMIT", std::to_string(limit).c_str(), 1);
    auto* pool = new DevicePool(0);
    unsetenv("JACQUARD_CUDA_MEMORY_LIMIT");
    here = new StreamMemory;
    there = new StreamMemory;
    here->stream = stream;
    there->stream = another_stream();
    pool->add(*here);
    pool->add(*there);
    return *pool;
  }

  StreamMemory* here = nullptr;
  StreamMemory* there = nullptr;
};

std::string out_of_memory_text(const std::function<void()>& run) {
  try {
    run();
  } catch (const OutOfMemory& e) {
    return e.what();
  }
  ADD_FAILURE() << "there was enough memory";
  return {};
}

TEST_F(PoolTest, WhenTheDeviceIsFullTheErrorHasTheNumbersAndFreeingHelps) {
  DevicePool& pool = make(8 * kMiB);
  void* a = pool.take(3 * kMiB, *here);
  void* b = pool.take(3 * kMiB, *here);
  const std::string text =
      out_of_memory_text([&] { pool.take(3 * kMiB, *here); });
  for (const std::size_t bytes : {3 * kMiB, 6 * kMiB, 8 * kMiB})
    EXPECT_NE(text.find(std::to_string(bytes)), std::string::npos) << text;
  for (const char* word :
       {"cuda:0", "out of memory", "requested", "in use", "peak", "free"})
    EXPECT_NE(text.find(word), std::string::npos) << text;
  EXPECT_EQ(pool.stats().in_use, 6 * kMiB);
  pool.give(a, 3 * kMiB, *here);
  a = pool.take(3 * kMiB, *here);
  EXPECT_EQ(pool.stats().in_use, 6 * kMiB);
  pool.give(a, 3 * kMiB, *here);
  pool.give(b, 3 * kMiB, *here);
  EXPECT_EQ(pool.stats().in_use, 0u);
  EXPECT_EQ(pool.stats().peak, 6 * kMiB);
}

TEST_F(PoolTest, ARequestThatNoDeviceCanMeetIsOutOfMemory) {
  DevicePool& pool = make(8 * kMiB);
  out_of_memory_text([&] { pool.take(std::size_t{1} << 62, *here); });
  out_of_memory_text([&] { pool.take(~std::size_t{0}, *here); });
  EXPECT_EQ(pool.stats().in_use, 0u);
}

TEST_F(PoolTest, UnusedSegmentsAreGivenBackForOneThatFits) {
  DevicePool& pool = make(8 * kMiB);
  void* a = pool.take(3 * kMiB, *here);
  void* b = pool.take(3 * kMiB, *there);
  pool.give(a, 3 * kMiB, *here);
  pool.give(b, 3 * kMiB, *there);
  void* c = pool.take(7 * kMiB, *here);
  EXPECT_NE(c, nullptr);
  EXPECT_EQ(pool.stats().system_allocations, 3u);
  pool.give(c, 7 * kMiB, *here);
}

// What stream `here` still writes must not arrive in what `there` was given.
TEST_F(PoolTest, MemoryOfAnotherStreamIsTakenAfterItsWork) {
  DevicePool& pool = make(4 * kMiB);
  constexpr std::size_t bytes = 3 * kMiB;
  const Bytes ours(bytes, 1), theirs(bytes, 2);
  for (int round = 0; round < 4; ++round) {
    void* a = pool.take(bytes, *here);
    upload(a, ours.data(), bytes, here->stream);
    pool.give(a, bytes, *here);
    void* b = pool.take(bytes, *there);
    ASSERT_EQ(a, b);
    ASSERT_EQ(cudaMemsetAsync(b, 2, bytes, handle(there->stream)), cudaSuccess);
    synchronize(there->stream);
    synchronize(here->stream);
    EXPECT_EQ(downloaded(b, bytes, there->stream), theirs) << round;
    pool.give(b, bytes, *there);
  }
  EXPECT_EQ(pool.stats().system_allocations, 1u);
}

// Free blocks of two streams lie side by side: only together they suffice.
TEST_F(PoolTest, AfterWaitingTheBlocksOfAllStreamsMerge) {
  DevicePool& pool = make(20 * kMiB);
  std::vector<void*> blocks;
  for (int i = 0; i < 4; ++i) blocks.push_back(pool.take(5 * kMiB, *here));
  synchronize(here->stream);
  for (std::size_t i = 0; i < 4; ++i) {
    StreamMemory& user = i % 2 ? *here : *there;
    ASSERT_EQ(cudaMemsetAsync(blocks[i], 1, 5 * kMiB, handle(user.stream)),
              cudaSuccess);
    pool.give(blocks[i], 5 * kMiB, user);
  }
  void* whole = pool.take(20 * kMiB, *here);
  EXPECT_EQ(whole, blocks[0]);
  ASSERT_EQ(cudaMemsetAsync(whole, 2, 20 * kMiB, handle(here->stream)),
            cudaSuccess);
  synchronize(here->stream);
  synchronize(there->stream);
  EXPECT_EQ(downloaded(whole, 20 * kMiB, here->stream), Bytes(20 * kMiB, 2));
  EXPECT_EQ(pool.stats().system_allocations, 1u);
  pool.give(whole, 20 * kMiB, *here);
}

TEST_F(PoolTest, NeighboursMergeAtOnceOnOneStream) {
  DevicePool& pool = make(20 * kMiB);
  std::vector<void*> blocks;
  for (int i = 0; i < 4; ++i) blocks.push_back(pool.take(5 * kMiB, *here));
  // Both neighbours free, one, none.
  for (const std::size_t i : {0u, 2u, 1u, 3u})
    pool.give(blocks[i], 5 * kMiB, *here);
  EXPECT_EQ(pool.take(20 * kMiB, *here), blocks[0]);
  EXPECT_EQ(pool.stats().system_allocations, 1u);
}

TEST_F(PoolTest, FreeingTwiceEndsTheProgramWithASentence) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        DevicePool& pool = make(8 * kMiB);
        void* a = pool.take(100, *here);
        pool.give(a, 100, *here);
        pool.give(a, 100, *here);
      },
      "was not allocated or was freed before");
}

}  // namespace
}  // namespace jacquard::cuda_backend
