#include "cuda/runtime/free_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace jacquard::cuda_backend {
namespace {

TEST(BlockBytes, AreAMultipleOfTheGrainAndAtMostA32ndMore) {
  EXPECT_EQ(block_bytes(0), kGrain);
  std::size_t last = 0;
  for (std::size_t n = 1; n < (std::size_t{1} << 45); n += n / 3 + 1) {
    const std::size_t size = block_bytes(n);
    EXPECT_EQ(size % kGrain, 0u) << n;
    EXPECT_GE(size, n);
    EXPECT_LT(size - n, kGrain + n / 32) << n;
    EXPECT_GE(size, last) << n;
    EXPECT_EQ(block_bytes(size), size) << n;
    last = size;
  }
}

TEST(FreeBlocks, FindTheBestFittingClassAndTheLastInsertedOfIt) {
  FreeBlocks free;
  EXPECT_EQ(free.find(kGrain), nullptr);
  Block a, b, c;
  a.bytes = block_bytes(100000);
  b.bytes = block_bytes(100000);
  c.bytes = block_bytes(9000000);
  for (Block* block : {&a, &b, &c}) free.insert(block);
  EXPECT_EQ(free.find(block_bytes(100000)), &b);
  EXPECT_EQ(free.find(block_bytes(5000)), &b);
  EXPECT_EQ(free.find(block_bytes(200000)), &c);
  EXPECT_EQ(free.find(block_bytes(9000001 + 9000000 / 32)), nullptr);
  free.remove(&b);
  EXPECT_EQ(b.owner, nullptr);
  EXPECT_EQ(free.find(block_bytes(100000)), &a);
  free.remove(&a);
  EXPECT_EQ(free.find(block_bytes(100000)), &c);
  free.remove(&c);
  EXPECT_EQ(free.any(), nullptr);
}

// A free block is found whenever one is large enough.
TEST(FreeBlocks, AgreeWithASearchOfAllBlocks) {
  std::mt19937_64 random(7);
  FreeBlocks free;
  std::vector<std::unique_ptr<Block>> held;
  for (int step = 0; step < 20000; ++step) {
    if (held.size() < 40 && random() % 2) {
      held.push_back(std::make_unique<Block>());
      held.back()->bytes = (1 + (random() >> (24 + random() % 40))) * kGrain;
      free.insert(held.back().get());
    } else if (!held.empty() && random() % 2) {
      const std::size_t i = random() % held.size();
      free.remove(held[i].get());
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
    }
    const std::size_t wanted =
        block_bytes((random() >> (20 + random() % 40)) + 1);
    const Block* found = free.find(wanted);
    const bool exists = std::ranges::any_of(
        held, [&](const auto& b) { return b->bytes >= wanted; });
    ASSERT_EQ(found != nullptr, exists) << wanted;
    if (found) {
      ASSERT_GE(found->bytes, wanted);
      ASSERT_EQ(found->owner, &free);
    }
  }
}

}  // namespace
}  // namespace jacquard::cuda_backend
