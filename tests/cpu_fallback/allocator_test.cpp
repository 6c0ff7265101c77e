#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/backend/backend.h"
#include "jacquard/error.h"

namespace jacquard {
namespace {

backend::Backend& cpu_backend() { return backend::backend_of(DeviceType::cpu); }
void* take(std::size_t bytes) {
  return cpu_backend().allocate(bytes, Stream());
}
void give(void* data, std::size_t bytes) {
  cpu_backend().free(data, bytes, Stream());
}
std::uintptr_t address(void* p) { return reinterpret_cast<std::uintptr_t>(p); }

const std::vector<std::size_t> kSizes = {
    0,      1,      63,      64,      65,       1000,          1024,
    1025,   4096,   5000,    32768,   32769,    100000,        1 << 20,
    300000, 524288, 1048575, 1048577, 3000000u, (5u << 20) + 1};

TEST(Allocator, BlocksAreAlignedAndDontOverlap) {
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  for (int round = 0; round < 3; ++round) {
    for (const std::size_t bytes : kSizes) {
      auto* p = static_cast<unsigned char*>(take(bytes));
      ASSERT_NE(p, nullptr);
      EXPECT_EQ(address(p) % 64, 0u);
      if (bytes >= 1 << 20) {
        EXPECT_EQ(address(p) % (2 << 20), 0u);
      }
      std::memset(p, static_cast<int>(blocks.size()), bytes);
      blocks.emplace_back(p, bytes);
    }
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto [p, bytes] = blocks[i];
    for (std::size_t j = 0; j < bytes; ++j)
      ASSERT_EQ(p[j], static_cast<unsigned char>(i));
    give(p, bytes);
  }
}

TEST(Allocator, ReusesBlocksWithoutAskingTheSystem) {
  for (const std::size_t bytes : kSizes) {
    void* first = take(bytes);
    give(first, bytes);
    const auto before = cpu_backend().memory_stats(0).system_allocations;
    for (int i = 0; i < 100; ++i) {
      void* p = take(bytes);
      EXPECT_EQ(p, first) << bytes;
      give(p, bytes);
    }
    EXPECT_EQ(cpu_backend().memory_stats(0).system_allocations, before);
  }
}

TEST(Allocator, CountsBytesInUseAndTheirPeak) {
  const auto before = cpu_backend().memory_stats(0);
  std::vector<void*> blocks;
  std::size_t sum = 0;
  for (const std::size_t bytes : kSizes) {
    blocks.push_back(take(bytes));
    sum += bytes;
  }
  EXPECT_EQ(cpu_backend().memory_stats(0).in_use, before.in_use + sum);
  for (std::size_t i = 0; i < kSizes.size(); ++i) give(blocks[i], kSizes[i]);
  const auto after = cpu_backend().memory_stats(0);
  EXPECT_EQ(after.in_use, before.in_use);
  EXPECT_GE(after.peak, before.in_use + sum);
}

TEST(Allocator, BlocksMayBeFreedByAnotherThread) {
  const auto before = cpu_backend().memory_stats(0).in_use;
  std::vector<void*> blocks;
  for (int i = 0; i < 5000; ++i) blocks.push_back(take(100));
  std::thread other([&] {
    for (void* p : blocks) give(p, 100);
    void* p = take(64);
    give(p, 64);
  });
  other.join();
  EXPECT_EQ(cpu_backend().memory_stats(0).in_use, before);
  // What the other thread freed comes back here.
  const auto system = cpu_backend().memory_stats(0).system_allocations;
  for (void*& p : blocks) p = take(100);
  EXPECT_LE(cpu_backend().memory_stats(0).system_allocations, system + 1);
  for (void* p : blocks) give(p, 100);
}

TEST(Allocator, ThreadsAllocateAtTheSameTime) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      std::vector<std::pair<unsigned char*, std::size_t>> mine;
      for (std::size_t i = 0; i < 2000; ++i) {
        const std::size_t bytes = kSizes[i % 14];
        auto* p = static_cast<unsigned char*>(take(bytes));
        if (bytes) p[0] = p[bytes - 1] = static_cast<unsigned char>(t);
        mine.emplace_back(p, bytes);
        if (i % 3 != 0) continue;
        const auto [q, n] = mine[mine.size() / 2];
        if (n) {
          EXPECT_EQ(q[0], t);
          EXPECT_EQ(q[n - 1], t);
        }
        give(q, n);
        mine.erase(mine.begin() + static_cast<std::ptrdiff_t>(mine.size() / 2));
      }
      for (const auto& [p, n] : mine) give(p, n);
    });
  }
  for (auto& t : threads) t.join();
}

TEST(Allocator, RefusesWhatTheSystemRefuses) {
  try {
    take(std::size_t{1} << 52);
    FAIL() << "no error";
  } catch (const OutOfMemory& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("requested 4503599627370496 bytes"), std::string::npos)
        << text;
    EXPECT_NE(text.find("in use"), std::string::npos);
    EXPECT_NE(text.find("peak"), std::string::npos);
    EXPECT_NE(text.find("free"), std::string::npos);
  }
  // And works on.
  give(take(1000), 1000);
}

// Big free blocks go back to the system before the limit refuses.
void stay_within_the_limit() {
  void* p = take(40 << 20);
  give(p, 40 << 20);
  p = take(50 << 20);  // not with the 40 MiB kept
  try {
    take(20 << 20);
  } catch (const OutOfMemory& e) {
    give(p, 50 << 20);
    const bool named =
        std::string(e.what()).find("limit 67108864") != std::string::npos;
    std::exit(named ? 0 : 1);
  }
  std::exit(2);
}

TEST(AllocatorDeathTest, KeepsToTheLimitOfTheEnvironment) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  setenv("JACQUARD_CPU_MEMORY_LIMIT", "67108864", 1);
  EXPECT_EXIT(stay_within_the_limit(), ::testing::ExitedWithCode(0), "");
  unsetenv("JACQUARD_CPU_MEMORY_LIMIT");
}

}  // namespace
}  // namespace jacquard
