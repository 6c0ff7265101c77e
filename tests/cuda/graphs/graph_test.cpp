// Graphs of launches: what replays compute, and what a replay costs.
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "jacquard/error.h"
#include "tests/cuda/acceptance/emulator.h"
#include "tests/cuda/graphs/launches.h"

namespace jacquard::testing {
namespace {

using acceptance::Counters;
using backend::LaunchGraph;

class Graphs : public acceptance::OnCuda {
 protected:
  void SetUp() override {
    OnCuda::SetUp();
    if (!IsSkipped()) stream = cuda_stream();
  }

  std::unique_ptr<LaunchGraph> capture(Launches& launches) {
    return on_cuda().make_graph([&] { launches.run(settings(0), stream); },
                                Settings::kCount, stream);
  }
  static void expect_same(const Launches& a, const Launches& b) {
    const auto want = a.contents(), got = b.contents();
    for (const auto& [name, bytes] : want)
      EXPECT_TRUE(got.at(name) == bytes) << name;
  }

  Stream stream;
};
class CountedGraphs : public Graphs {
 protected:
  void SetUp() override {
    Graphs::SetUp();
    if (!IsSkipped() && !acceptance::on_emulator())
      GTEST_SKIP() << "the PTX emulator counts calls and launches";
  }
};

TEST_F(Graphs, RunEveryFamilyWithTheBitsOfEagerLaunches) {
  Launches eager, replayed;
  const auto graph = capture(replayed);
  ASSERT_TRUE(graph);
  for (int run = 0; run < 3; ++run) {
    eager.run(settings(run), stream);
    graph->run(settings(run).scalars(), stream);
    expect_same(eager, replayed);
  }
}

TEST_F(Graphs, MakingOneLaunchesNothing) {
  Launches untouched, captured;
  const auto graph = capture(captured);
  expect_same(untouched, captured);
}

TEST_F(Graphs, RunAHundredTimesWithoutWaiting) {
  Launches eager, replayed;
  const auto graph = capture(replayed);
  for (int run = 0; run < 100; ++run)
    graph->run(settings(run % 5).scalars(), stream);
  for (int run = 0; run < 100; ++run) eager.run(settings(run % 5), stream);
  expect_same(eager, replayed);
}

TEST_F(Graphs, KeepTheOrderOfTwoStreams) {
  Launches eager, replayed;
  const Stream other = on_cuda().make_stream(0);
  const auto graph = on_cuda().make_graph(
      [&] { replayed.run_on_two(settings(0), stream, other); },
      Settings::kCount, stream);
  for (int run = 0; run < 3; ++run) {
    eager.run(settings(run), stream);
    graph->run(settings(run).scalars(), stream);
  }
  expect_same(eager, replayed);
}

TEST_F(Graphs, RunOnOneStreamAfterTheOther) {
  Launches eager, replayed;
  const Stream other = on_cuda().make_stream(0);
  const auto graph = capture(replayed);
  for (int run = 0; run < 4; ++run) {
    graph->run(settings(run).scalars(), run % 2 == 0 ? other : stream);
    eager.run(settings(run), stream);
  }
  on_cuda().synchronize(other);
  expect_same(eager, replayed);
}

TEST_F(Graphs, EagerWorkBetweenRunsIsInOrder) {
  Launches eager, replayed;
  const auto graph = capture(replayed);
  for (int run = 0; run < 4; ++run) {
    eager.run(settings(run), stream);
    if (run % 2 == 0)
      graph->run(settings(run).scalars(), stream);
    else
      replayed.run(settings(run), stream);
  }
  expect_same(eager, replayed);
}

TEST_F(Graphs, SeveralAtOnceUseNoMemoryOfEachOther) {
  Launches eager, first, second;
  const auto one = capture(first), two = capture(second);
  const Stream other = on_cuda().make_stream(0);
  for (int run = 0; run < 3; ++run) {
    eager.run(settings(run), stream);
    one->run(settings(run).scalars(), stream);
    two->run(settings(run).scalars(), other);
  }
  on_cuda().synchronize(other);
  expect_same(eager, first);
  expect_same(eager, second);
}

TEST_F(Graphs, WhatOneLeavesIsUsedAfterItsLastRun) {
  Launches eager, first, second;
  const Stream other = on_cuda().make_stream(0);
  auto graph = capture(first);
  eager.run(settings(0), stream);
  graph->run(settings(0).scalars(), other);
  graph = capture(second);
  graph->run(settings(0).scalars(), stream);
  graph.reset();
  on_cuda().synchronize(other);
  expect_same(eager, first);
  expect_same(eager, second);
}

TEST_F(Graphs, GiveTheirMemoryBack) {
  Launches replayed;
  const auto in_use = [] { return on_cuda().memory_stats(0).in_use; };
  const std::size_t before = in_use();
  std::uint64_t system = 0;
  for (int i = 0; i < 4; ++i) {
    const auto graph = capture(replayed);
    graph->run(settings(i).scalars(), stream);
    EXPECT_GT(in_use(), before);
    if (i == 0) system = on_cuda().memory_stats(0).system_allocations;
  }
  EXPECT_EQ(in_use(), before);
  EXPECT_EQ(on_cuda().memory_stats(0).system_allocations, system);
}

TEST_F(Graphs, AThrowInTheMiddleLeavesTheStreamUsable) {
  Launches eager, replayed;
  const Stream other = on_cuda().make_stream(0);
  EXPECT_THROW((void)on_cuda().make_graph(
                   [&] {
                     replayed.run_on_two(settings(0), stream, other);
                     throw std::runtime_error("in the middle");
                   },
                   Settings::kCount, stream),
               std::runtime_error);
  expect_same(eager, replayed);
  eager.run(settings(1), stream);
  replayed.run_on_two(settings(1), stream, other);
  expect_same(eager, replayed);
  const auto graph = capture(replayed);
  graph->run(settings(2).scalars(), stream);
  eager.run(settings(2), stream);
  expect_same(eager, replayed);
}

TEST_F(Graphs, WhatCanNotBeCapturedSaysSo) {
  Launches replayed;
  const auto expect_refused = [&](const std::function<void()>& enqueue,
                                  const std::string& what) {
    try {
      (void)on_cuda().make_graph(enqueue, 0, stream);
      FAIL() << what;
    } catch (const CudaError& error) {
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos)
          << error.what();
    }
  };
  expect_refused([&] { on_cuda().synchronize(stream); }, "synchronize");
  expect_refused([&] { (void)replayed.contents(); }, "download");
  expect_refused([&] { (void)on_cuda().allocate(8, stream); }, "allocate");
  expect_refused([&] { (void)capture(replayed); }, "make_graph");
}

TEST_F(Graphs, TakeTheScalarsThatTheyHave) {
  Launches replayed;
  const auto graph = capture(replayed);
  EXPECT_THROW(graph->run({}, stream), Error);
  EXPECT_THROW((void)on_cuda().make_graph(
                   [&] { replayed.run(settings(0), stream); }, 2, stream),
               Error);
}

TEST_F(Graphs, UploadsBecomeConstants) {
  Launches replayed;
  const DeviceArray to(Bytes(4, 0));
  Bytes from = {1, 2, 3, 4};
  const auto graph = on_cuda().make_graph(
      [&] { on_cuda().upload(to.data(), from.data(), 4, stream); }, 0, stream);
  from = {9, 9, 9, 9};
  graph->run({}, stream);
  EXPECT_EQ(to.read(), (Bytes{1, 2, 3, 4}));
}

TEST_F(Graphs, AnIndexOutOfRangeIsReportedAtTheNextSynchronisation) {
  const DeviceArray x(small_integers(f32, 6, 1)), y(Bytes(8, 0)),
      index(bytes_of(std::vector<std::int64_t>{1, 2}));
  IndexLaunch l;
  l.op = "take";
  l.extent = 6;
  l.count = 2;
  l.index = static_cast<const std::int64_t*>(index.data());
  l.source = x.data();
  l.target = y.data();
  const Stream other = on_cuda().make_stream(0);
  auto graph =
      on_cuda().make_graph([&] { on_cuda().gather(l, stream); }, 0, stream);
  graph->run({}, stream);
  EXPECT_NO_THROW(on_cuda().synchronize(stream));
  const std::int64_t wrong[] = {1, 6};
  on_cuda().upload(index.data(), wrong, sizeof wrong, stream);
  for (int run = 0; run < 2; ++run) {
    graph->run({}, stream);
    try {
      on_cuda().synchronize(stream);
      FAIL() << "6 is out of range";
    } catch (const IndexError& error) {
      EXPECT_STREQ(error.what(),
                   "take: index 6 is out of range for an axis of extent 6");
    }
  }
  graph->run({}, other);
  EXPECT_THROW(on_cuda().synchronize(other), IndexError);
  graph->run({}, other);
  graph.reset();
  EXPECT_THROW(on_cuda().synchronize(other), IndexError);
  EXPECT_NO_THROW(on_cuda().synchronize(other));
}

TEST_F(Graphs, AreMadeByTwoThreadsAtOnce) {
  Launches eager, first, second;
  const auto work = [](Launches& launches) {
    const Stream own = cuda_stream();
    for (int run = 0; run < 3; ++run) {
      const auto graph = on_cuda().make_graph(
          [&] { launches.run(settings(run), own); }, Settings::kCount, own);
      graph->run(settings(run).scalars(), own);
      on_cuda().synchronize_device(0);
    }
  };
  on_cuda().synchronize(stream);
  std::thread one(work, std::ref(first)), two(work, std::ref(second));
  one.join();
  two.join();
  for (int run = 0; run < 3; ++run) eager.run(settings(run), stream);
  expect_same(eager, first);
  expect_same(eager, second);
}

TEST_F(CountedGraphs, ARunIsOneUploadAndOneLaunch) {
  Launches replayed;
  const auto graph = capture(replayed);
  graph->run(settings(0).scalars(), stream);
  Counters counters;
  for (int run = 0; run < 10; ++run)
    graph->run(settings(run).scalars(), stream);
  counters.stop();
  EXPECT_EQ(counters.calls_of("cudaGraphLaunch"), 10u) << counters.to_string();
  EXPECT_EQ(counters.calls_of("cudaMemcpyAsync"), 10u) << counters.to_string();
  EXPECT_EQ(counters.all_calls(), 20u) << counters.to_string();
}

// What every kernel that ran was given.
std::vector<std::pair<std::string, unsigned long long>> parameters(
    const Counters& counters) {
  std::vector<std::pair<std::string, unsigned long long>> all;
  for (const auto& launch : counters.launches())
    all.emplace_back(launch.kernel, launch.counted.parameters);
  return all;
}

TEST_F(CountedGraphs, NoScalarIsAmongTheArgumentsOfAKernel) {
  Launches eager, replayed;
  const auto graph = capture(replayed);
  graph->run(settings(9).scalars(), stream);
  const auto given = [&](auto&& run) {
    Counters counters;
    run();
    counters.stop();
    return parameters(counters);
  };
  const auto replay = [&](int i) {
    return given([&] { graph->run(settings(i).scalars(), stream); });
  };
  const auto launch = [&](int i) {
    return given([&] { eager.run(settings(i), stream); });
  };
  EXPECT_EQ(replay(1), replay(2));
  EXPECT_NE(launch(1), launch(2));
  EXPECT_GT(replay(3).size(), 15u);
}

}  // namespace
}  // namespace jacquard::testing
