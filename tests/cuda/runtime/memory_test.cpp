#include "cuda/runtime/memory.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "cuda/runtime/checker_marks.h"
#include "jacquard/error.h"
#include "tests/cuda/runtime/cuda_testing.h"

namespace jacquard::cuda_backend {
namespace {

TEST_F(CudaTest, BlocksAreAlignedAndDoNotOverlap) {
  const std::vector<std::size_t> sizes = {
      0, 1, 255, 256, 257, 1000, 4096, 70000, 1 << 20, (1 << 20) + 1, 3000000};
  std::vector<std::pair<std::uintptr_t, std::size_t>> blocks;
  for (int round = 0; round < 3; ++round) {
    for (const std::size_t bytes : sizes) {
      void* p = allocate(bytes, stream);
      ASSERT_NE(p, nullptr);
      const auto at = reinterpret_cast<std::uintptr_t>(p);
      EXPECT_EQ(at % 256, 0u);
      blocks.emplace_back(at, bytes);
    }
  }
  std::ranges::sort(blocks);
  for (std::size_t i = 1; i < blocks.size(); ++i)
    EXPECT_LE(blocks[i - 1].first +
                  std::max<std::size_t>(blocks[i - 1].second, std::size_t{1}),
              blocks[i].first);
  for (const auto& [at, bytes] : blocks)
    free(reinterpret_cast<void*>(at), bytes, stream);
}

TEST_F(CudaTest, AFreedBlockIsReusedAtOnceOnItsStreamOnly) {
  for (const std::size_t bytes :
       {std::size_t{100}, std::size_t{50000}, std::size_t{3} << 20}) {
    void* first = allocate(bytes, stream);
    free(first, bytes, stream);
    void* elsewhere = allocate(bytes, another_stream());
    EXPECT_NE(elsewhere, first) << bytes;
    const auto before = memory_stats(0).system_allocations;
    void* again = allocate(bytes, stream);
    EXPECT_EQ(again, first) << bytes;
    EXPECT_EQ(memory_stats(0).system_allocations, before);
    free(again, bytes, stream);
    free(elsewhere, bytes, another_stream());
  }
}

TEST_F(CudaTest, StatisticsCountWhatWasRequested) {
  tickets(stream);
  const auto before = memory_stats(0);
  void* a = allocate(1000, stream);
  void* b = allocate(5000, stream);
  EXPECT_EQ(memory_stats(0).in_use, before.in_use + 6000);
  EXPECT_GE(memory_stats(0).peak, before.in_use + 6000);
  free(a, 1000, stream);
  EXPECT_EQ(memory_stats(0).in_use, before.in_use + 5000);
  free(b, 5000, stream);
  EXPECT_EQ(memory_stats(0).in_use, before.in_use);
  const std::size_t peak = memory_stats(0).peak;
  void* c = allocate(peak + 100, stream);
  free(c, peak + 100, stream);
  EXPECT_EQ(memory_stats(0).peak, peak + 100 + before.in_use);
}

TEST_F(CudaTest, ASteadyLoopNeverAsksTheDeviceForMemory) {
  const auto step = [&] {
    std::vector<std::pair<void*, std::size_t>> held;
    for (std::size_t i = 1; i < 40; ++i) {
      const std::size_t bytes = i * i * 1777;
      held.emplace_back(allocate(bytes, stream), bytes);
      if (i % 3 == 0) {
        free(held[i / 3].first, held[i / 3].second, stream);
        held[i / 3].first = nullptr;
      }
    }
    for (const auto& [p, bytes] : held) free(p, bytes, stream);
  };
  step();
  const auto after_one = memory_stats(0);
  for (int i = 0; i < 20; ++i) step();
  EXPECT_EQ(memory_stats(0).system_allocations, after_one.system_allocations);
  EXPECT_EQ(memory_stats(0).in_use, after_one.in_use);
}

TEST_F(CudaTest, ScratchIsGivenBackAtTheEndOfItsScope) {
  const std::size_t before = memory_stats(0).in_use;
  void* seen = nullptr;
  {
    const Scratch scratch(3000, stream);
    seen = scratch.data();
    EXPECT_EQ(scratch.as<float>(), static_cast<float*>(seen));
    EXPECT_EQ(memory_stats(0).in_use, before + 3000);
    const Scratch none(0, stream);
    EXPECT_EQ(none.data(), nullptr);
  }
  EXPECT_EQ(memory_stats(0).in_use, before);
  const Scratch again(3000, stream);
  EXPECT_EQ(again.data(), seen);
}

TEST_F(CudaTest, TicketsAreZerosOfTheStreamAndStay) {
  unsigned* mine = tickets(stream);
  EXPECT_EQ(tickets(stream), mine);
  EXPECT_NE(tickets(another_stream()), mine);
  for (const Stream s : {stream, another_stream()})
    EXPECT_EQ(downloaded(tickets(s), kTicketCount * sizeof(unsigned), s),
              Bytes(kTicketCount * sizeof(unsigned), 0));
}

// A checker knows which blocks are handed out when the work runs, not when it
// is enqueued.
TEST_F(CudaTest, ACheckerSeesAccessToBlocksThatAreNotHandedOut) {
  if (!checker_marks().freed) GTEST_SKIP() << "no checker stands in for CUDA";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr unsigned count = 1000;
  const auto exit_code = [&](bool use_after_free, std::size_t over) {
    auto* x = static_cast<unsigned*>(allocate(count * 4, stream));
    const std::size_t bytes = count * 4 + over;
    if (cudaMemsetAsync(x, 0, bytes, handle(stream)) != cudaSuccess) return 2;
    if (use_after_free) free(x, count * 4, stream);
    enqueue_add(x, count, 1, stream);
    if (!use_after_free) free(x, count * 4, stream);
    try {
      synchronize(stream);
      return 0;
    } catch (const CudaError&) {
      return 2;
    }
  };
  const auto exits = [](int code) { return ::testing::ExitedWithCode(code); };
  EXPECT_EXIT(std::_Exit(exit_code(false, 0)), exits(0), "");
  EXPECT_EXIT(std::_Exit(exit_code(true, 0)), exits(2), "");
  EXPECT_EXIT(std::_Exit(exit_code(false, 1)), exits(2), "");
}

// Each thread writes its mark into every block and finds it there.
TEST_F(CudaTest, ThreadsAllocateAtTheSameTime) {
  const std::size_t before = memory_stats(0).in_use;
  std::atomic<int> wrong{0};
  const auto work = [&](int mark) {
    const Stream mine = current_stream(0);
    std::mt19937 random(static_cast<unsigned>(mark));
    std::vector<std::pair<void*, std::size_t>> held;
    for (int step = 0; step < 150; ++step) {
      const std::size_t bytes = 1 + random() % 40000;
      void* p = allocate(bytes, mine);
      if (cudaMemsetAsync(p, mark, bytes, handle(mine)) != cudaSuccess) ++wrong;
      held.emplace_back(p, bytes);
      if (held.size() < 8) continue;
      const std::size_t i = random() % held.size();
      const auto [q, size] = held[i];
      if (step % 10 == 0 && downloaded(q, size, mine) !=
                                Bytes(size, static_cast<unsigned char>(mark)))
        ++wrong;
      free(q, size, mine);
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
    }
    for (const auto& [q, size] : held) free(q, size, mine);
  };
  std::vector<std::thread> threads;
  for (int i = 1; i <= 3; ++i) threads.emplace_back(work, i);
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(memory_stats(0).in_use, before);
}

}  // namespace
}  // namespace jacquard::cuda_backend
