#include "runtime/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>

namespace ptx_emulator {
namespace {

// Operations that append their name to a log.
class SchedulerTest : public ::testing::Test {
 protected:
  OperationPtr add(Scheduler& scheduler, const std::string& name,
                   std::uint64_t stream,
                   const std::vector<OperationPtr>& after = {},
                   int device = 0) {
    auto operation = std::make_shared<Operation>([this, name] { log_ += name; },
                                                 stream, device, name);
    scheduler.submit(operation, after);
    return operation;
  }

  std::string log_;
};

TEST_F(SchedulerTest, NothingRunsBeforeSomebodyWaits) {
  for (const std::uint64_t seed : {0, 1, 2, 3, 4, 5}) {
    Scheduler scheduler(seed);
    add(scheduler, "a", 1);
    add(scheduler, "b", 2);
    EXPECT_EQ(log_, "");
    EXPECT_EQ(scheduler.pending(), 2u);
  }
}

TEST_F(SchedulerTest, SeedZeroRunsOnlyWhatIsNeeded) {
  Scheduler scheduler(0);
  const OperationPtr a = add(scheduler, "a", 1);
  add(scheduler, "x", 2);
  const OperationPtr b = add(scheduler, "b", 1, {a});
  add(scheduler, "y", 1, {b});
  scheduler.finish(b);
  EXPECT_EQ(log_, "ab");
  EXPECT_EQ(scheduler.pending(), 2u);
  EXPECT_TRUE(scheduler.is_done(b));
}

TEST_F(SchedulerTest, EveryOrderKeepsDependencies) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    log_.clear();
    Scheduler scheduler(seed);
    const OperationPtr a = add(scheduler, "a", 1);
    const OperationPtr b = add(scheduler, "b", 2);
    const OperationPtr c = add(scheduler, "c", 1, {a, b, a, nullptr});
    add(scheduler, "d", 2, {b});
    scheduler.finish(c);
    scheduler.finish_device(-1);
    ASSERT_EQ(log_.size(), 4u);
    EXPECT_LT(log_.find('a'), log_.find('c'));
    EXPECT_LT(log_.find('b'), log_.find('c'));
    EXPECT_LT(log_.find('b'), log_.find('d'));
  }
}

TEST_F(SchedulerTest, SeedsReachAllLegalOrders) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    log_.clear();
    Scheduler scheduler(seed);
    for (std::uint64_t stream = 1; stream <= 3; ++stream)
      add(scheduler, std::string(1, static_cast<char>('a' + stream)), stream);
    scheduler.finish_device(-1);
    orders.insert(log_);
  }
  EXPECT_EQ(orders.size(), 6u);
}

TEST_F(SchedulerTest, SomeSeedsRunWorkThatNobodyWaitsFor) {
  int eager = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    log_.clear();
    Scheduler scheduler(seed);
    OperationPtr last;
    for (int i = 0; i < 5; ++i) last = add(scheduler, "a", 1, {last});
    OperationPtr other;
    for (int i = 0; i < 5; ++i) other = add(scheduler, "b", 2, {other});
    scheduler.finish(last);
    eager += log_.find('b') != std::string::npos;
  }
  EXPECT_GT(eager, 5);
  EXPECT_LT(eager, 20);
}

TEST_F(SchedulerTest, TheSameSeedGivesTheSameOrder) {
  const auto order = [&](std::uint64_t seed) {
    log_.clear();
    Scheduler scheduler(seed);
    for (std::uint64_t stream = 0; stream < 20; ++stream)
      add(scheduler, std::string(1, static_cast<char>('a' + stream)), stream);
    scheduler.finish_device(-1);
    return log_;
  };
  EXPECT_EQ(order(7), order(7));
}

TEST_F(SchedulerTest, PollingMakesProgressTowardsTheOperationAsked) {
  Scheduler scheduler(0);
  const OperationPtr a = add(scheduler, "a", 1);
  const OperationPtr b = add(scheduler, "b", 1, {a});
  add(scheduler, "x", 2);
  EXPECT_FALSE(scheduler.poll(b));
  EXPECT_FALSE(scheduler.poll(b));
  EXPECT_TRUE(scheduler.poll(b));
  EXPECT_EQ(log_, "ab");
}

TEST_F(SchedulerTest, AFullQueueRunsWork) {
  Scheduler scheduler(0);
  for (std::size_t i = 1; i < Scheduler::kQueueCapacity; ++i)
    add(scheduler, "a", 1);
  scheduler.make_room();
  EXPECT_EQ(log_, "");
  add(scheduler, "b", 1);
  scheduler.make_room();
  EXPECT_EQ(log_, "a");
}

TEST_F(SchedulerTest, DevicesFinishSeparately) {
  Scheduler scheduler(0);
  add(scheduler, "a", 1, {}, 0);
  add(scheduler, "b", 2, {}, 1);
  scheduler.finish_device(1);
  EXPECT_EQ(log_, "b");
}

TEST_F(SchedulerTest, TheClockMovesWithWorkOnly) {
  Scheduler scheduler(0);
  const double start = scheduler.now();
  const OperationPtr a = add(scheduler, "a", 1);
  EXPECT_EQ(scheduler.now(), start);
  scheduler.finish(a);
  EXPECT_GT(scheduler.now(), start);
  EXPECT_EQ(a->finished_at(), scheduler.now());
}

TEST_F(SchedulerTest, ThreadsWaitForEachOthersWork) {
  Scheduler scheduler(0);
  std::atomic<int> ran{0};
  std::vector<std::thread> threads;
  for (std::uint64_t stream = 0; stream < 4; ++stream)
    threads.emplace_back([&, stream] {
      OperationPtr last;
      for (int i = 0; i < 200; ++i) {
        auto next = std::make_shared<Operation>([&] { ++ran; }, stream, 0, "");
        scheduler.submit(next, {last});
        last = next;
        if (i % 50 == 49) scheduler.finish(last);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ran, 800);
  EXPECT_EQ(scheduler.pending(), 0u);
}

}  // namespace
}  // namespace ptx_emulator
