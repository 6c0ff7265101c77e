#include "core/tensor/pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace jacquard {
namespace {

struct Small : PooledNew<Small> {
  long values[5] = {};
};

struct Base : PooledNew<Base> {
  virtual ~Base() = default;
};
struct Large : Base {
  char bytes[4000] = {};
};

TEST(Pool, GivesDistinctAlignedBlocks) {
  std::vector<std::unique_ptr<Small>> objects;
  std::set<Small*> addresses;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 1000; ++i) {
      objects.push_back(std::make_unique<Small>());
      std::memset(objects.back()->values, round, sizeof(Small::values));
    }
    for (const auto& object : objects) {
      addresses.insert(object.get());
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(object.get()) % 16, 0u);
    }
    ASSERT_EQ(addresses.size(), objects.size());
    objects.clear();
    addresses.clear();
  }
}

TEST(Pool, GivesTheLastFreedBlockFirst) {
  if (JACQUARD_PLAIN_NEW) GTEST_SKIP() << "sanitizers see every block";
  auto first = std::make_unique<Small>();
  auto second = std::make_unique<Small>();
  Small* const address = first.get();
  first.reset();
  auto third = std::make_unique<Small>();
  EXPECT_EQ(third.get(), address);
}

TEST(Pool, KeepsABoundedNumberOfBytes) {
  if (JACQUARD_PLAIN_NEW) GTEST_SKIP() << "nothing is kept";
  constexpr std::size_t size_class = pool::class_of(sizeof(Small));
  constexpr std::size_t bound =
      pool::kBytesPerClass / (size_class * pool::kGrain);
  std::vector<std::unique_ptr<Small>> objects(2 * bound);
  for (auto& object : objects) object = std::make_unique<Small>();
  objects.clear();
  ASSERT_NE(pool::local, nullptr);
  EXPECT_EQ(pool::local->of_class[size_class].count, bound);
}

TEST(Pool, TakesLargeObjectsFromTheSystem) {
  auto large = std::make_unique<Large>();
  std::memset(large->bytes, 1, sizeof large->bytes);
  EXPECT_EQ(large->bytes[3999], 1);
  // Freed through its base, as a block of its own size.
  const std::unique_ptr<Base> base = std::move(large);
}

TEST(Pool, BlocksMayBeFreedByAnotherThread) {
  std::vector<std::unique_ptr<Small>> objects;
  for (int round = 0; round < 4; ++round) {
    std::thread([&] {
      for (int i = 0; i < 500; ++i)
        objects.push_back(std::make_unique<Small>());
    }).join();
    std::thread([&] { objects.clear(); }).join();
  }
  EXPECT_TRUE(objects.empty());
}

TEST(Pool, ServesWhatIsFreedAfterTheThreadsListsAreGone) {
  // The holder is made before the lists are, so that it outlives them.
  struct Holder {
    std::unique_ptr<Small> object;
  };
  std::thread([] {
    thread_local Holder holder;
    holder.object = nullptr;
    std::make_unique<Small>().reset();
    holder.object = std::make_unique<Small>();
  }).join();
}

}  // namespace
}  // namespace jacquard
