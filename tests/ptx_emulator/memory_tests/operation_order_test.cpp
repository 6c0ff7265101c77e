#include "memory/operation_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "memory/global_access.h"
#include "memory_tests/expect_fault.h"

namespace ptx_emulator {
namespace {

TEST(OperationOrder, FollowsStreamsAndEvents) {
  OperationOrder order;
  const PlacePtr a1 = order.submit({}, "a1");
  const PlacePtr a2 = order.submit({a1, nullptr}, "a2");
  EXPECT_FALSE(order.is_concurrent());
  const PlacePtr b1 = order.submit({}, "b1");
  EXPECT_TRUE(order.is_concurrent());
  const PlacePtr b2 = order.submit({b1, a1}, "b2");
  EXPECT_TRUE(a2->comes_after(a1->id()));
  EXPECT_TRUE(a2->comes_after(a2->id()));
  EXPECT_FALSE(a1->comes_after(a2->id()));
  EXPECT_FALSE(b1->comes_after(a1->id()));
  EXPECT_TRUE(b2->comes_after(a1->id()));
  EXPECT_FALSE(b2->comes_after(a2->id()));
  EXPECT_TRUE(b2->comes_after(0));
  EXPECT_EQ(order.name_of(a2->id()), "a2");
}

TEST(OperationOrder, TheHostOrdersWhatItWaitedFor) {
  OperationOrder order;
  const PlacePtr a = order.submit({}, "a");
  const PlacePtr early = order.submit({}, "early");
  order.host_waited_for(a);
  const PlacePtr late = order.submit({}, "late");
  EXPECT_FALSE(early->comes_after(a->id()));
  EXPECT_TRUE(late->comes_after(a->id()));
  EXPECT_FALSE(late->comes_after(early->id()));
}

TEST(OperationOrder, AgreesWithTheReachabilityOfRandomGraphs) {
  std::mt19937 random(2);
  OperationOrder order;
  std::vector<PlacePtr> places;
  std::vector<std::vector<bool>> before;
  for (std::size_t i = 0; i < 200; ++i) {
    std::vector<PlacePtr> after;
    std::vector<bool> reached(200);
    for (unsigned k = random() % 3; k > 0 && i > 0; --k) {
      const std::size_t j = i - 1 - random() % std::min<std::size_t>(i, 6);
      after.push_back(places[j]);
      reached[j] = true;
      for (std::size_t q = 0; q < j; ++q) {
        if (before[j][q]) reached[q] = true;
      }
    }
    places.push_back(order.submit(after, ""));
    before.push_back(reached);
    for (std::size_t j = 0; j < i; ++j) {
      ASSERT_EQ(places[i]->comes_after(places[j]->id()), reached[j]);
      ASSERT_FALSE(places[j]->comes_after(places[i]->id()));
    }
  }
}

class UnorderedAccessTest : public testing::Test {
 protected:
  void during(const PlacePtr& operation, AccessKind kind, Address first,
              std::int64_t step = 4) {
    memory.begin_operation(operation);
    Addresses addresses(first, step);
    switch (kind) {
      case AccessKind::kRead:
        access.load(0, kAllLanes, 4, addresses);
        break;
      case AccessKind::kWrite:
        access.store(0, kAllLanes, 4, addresses);
        break;
      case AccessKind::kAtomic:
        access.atomic(0, kAllLanes, 4, addresses);
        break;
    }
    memory.end_operation();
  }
  template <class Action>
  void expect_unordered(Action action) {
    expect_fault(FaultKind::kUnorderedAccess, 0,
                 {"allocation 1", "no event or synchronisation"}, action);
    memory.end_operation();
  }

  static constexpr auto kRead = AccessKind::kRead;
  static constexpr auto kWrite = AccessKind::kWrite;
  static constexpr auto kAtomic = AccessKind::kAtomic;
  DeviceMemory memory{std::size_t{1} << 20};
  OperationOrder order;
  GlobalAccess access{memory, nullptr};
  Address a = memory.allocate(65536, "a");
  PlacePtr a1 = order.submit({}, "a1"), b1 = order.submit({}, "b1"),
           a2 = order.submit({a1}, "a2"), b2 = order.submit({b1, a1}, "b2");
};

TEST_F(UnorderedAccessTest, ReadsAndWritesOfOtherStreamsNeedAnEvent) {
  during(a1, kWrite, a);
  during(a2, kRead, a);
  expect_unordered([&] { during(b1, kRead, a); });
  expect_unordered([&] { during(b1, kWrite, a); });
  during(b2, kRead, a);
  expect_unordered([&] { during(b2, kWrite, a); });
  expect_unordered([&] { during(a2, kWrite, a); });
  during(order.submit({a2, b2}, "c"), kWrite, a);
}

TEST_F(UnorderedAccessTest, ScatteredAccessesAreCheckedToo) {
  memory.fill(a, 0, 1, 65536, "memset");
  during(a1, kWrite, a, 1024);
  EXPECT_NO_THROW(during(b1, kWrite, a + 512, 1024));
  expect_unordered([&] { during(b1, kRead, a, 1024); });
  expect_unordered([&] { during(b1, kRead, a + 1024, 0); });
}

TEST_F(UnorderedAccessTest, NeighboursMayBeUsedAtTheSameTime) {
  during(a1, kWrite, a);
  EXPECT_NO_THROW(during(b1, kWrite, a + AccessHistory::kGranule));
  EXPECT_NO_THROW(during(a2, kRead, a));
}

TEST_F(UnorderedAccessTest, AtomicsDoNotConflictWithEachOther) {
  memory.fill(a, 0, 1, 1024, "memset");
  during(a1, kAtomic, a, 0);
  EXPECT_NO_THROW(during(b1, kAtomic, a, 0));
  expect_unordered([&] { during(a2, kRead, a, 0); });
  expect_unordered([&] { during(a2, kWrite, a, 0); });
}

TEST_F(UnorderedAccessTest, CopiesFillsAndMarksAreAccesses) {
  char host[64] = {};
  const auto host_address = reinterpret_cast<Address>(host);
  memory.begin_operation(a1);
  memory.fill(a, 0, 1, 64, "memset");
  memory.copy(host_address, a + 512, 64, "copy");
  memory.begin_operation(b1);
  for (const bool to_host : {false, true}) {
    try {
      memory.copy(to_host ? host_address : a + 512, to_host ? a : host_address,
                  64, "copy");
      ADD_FAILURE() << "no fault";
    } catch (const AccessFault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::kUnorderedAccess) << fault.what();
    }
  }
  EXPECT_THROW(memory.mark_freed(a, 256), AccessFault);
  EXPECT_THROW(memory.access(a, 4, kRead, "gemm"), AccessFault);
  memory.begin_operation(b2);
  EXPECT_TRUE(memory.mark_freed(a, 256));
  memory.end_operation();
}

}  // namespace
}  // namespace ptx_emulator
