// How many launches and calls of the CUDA runtime a step takes.
#include <iostream>

#include "tests/cuda/acceptance/emulator.h"
#include "tests/cuda/acceptance/models.h"

namespace jacquard::acceptance {
namespace {

class Launches : public OnCuda {};
class Calls : public OnEmulator {
 protected:
  // What a steady step on one stream never calls.
  static void expect_only_launches(const Counters& c) {
    for (const auto& [name, times] : c.calls()) {
      EXPECT_EQ(name.find("Malloc"), std::string::npos) << name << " " << times;
      EXPECT_EQ(name.find("Free"), std::string::npos) << name << " " << times;
      EXPECT_EQ(name.find("Event"), std::string::npos) << name << " " << times;
      EXPECT_EQ(name.find("Synchronize"), std::string::npos)
          << name << " " << times;
      EXPECT_EQ(name.find("HostAlloc"), std::string::npos)
          << name << " " << times;
    }
    EXPECT_LE(c.all_calls(), c.launches().size() + 3) << c.to_string();
  }
};

void expect_at_most(std::size_t launches) {
  MlpTraining training;
  for (int i = 0; i < 3; ++i) training.step();
  LaunchLog log;
  training.step();
  EXPECT_LE(log.launches(), launches) << log.to_string();
  EXPECT_EQ(log.host_reads(), 0u) << log.to_string();
  std::cout << log.to_string();
}

TEST_F(Launches, AStepOfTheMlpTakesAtMostFifteenWithoutEpilogues) {
  const Epilogues off(false);
  expect_at_most(15);
}

TEST_F(Launches, AStepOfTheMlpTakesAtMostTwelveWithEpilogues) {
  const Epilogues on(true);
  expect_at_most(12);
}

TEST_F(Calls, TheLogOfAStepHasAllThatTheDeviceRuns) {
  for (const bool on : {false, true}) {
    const Epilogues epilogues(on);
    MlpTraining training;
    for (int i = 0; i < 3; ++i) training.step();
    LaunchLog log;
    Counters c;
    training.step();
    c.stop();
    // There are no second stages that it does not know of.
    EXPECT_EQ(c.launches().size(), log.launches()) << c.to_string();
    EXPECT_LE(c.launches().size(), on ? 12u : 15u) << c.to_string();
  }
}

TEST_F(Calls, ASteadyStepOfTheMlpCallsTheRuntimeOncePerLaunch) {
  MlpTraining training;
  for (int i = 0; i < 5; ++i) training.step();
  for (int i = 0; i < 3; ++i) {
    Counters c;
    training.step();
    c.stop();
    expect_only_launches(c);
    EXPECT_GT(c.all_calls(), 0u);
  }
}

TEST_F(Calls, ManyStepsInARowNeverWait) {
  MlpTraining training;
  for (int i = 0; i < 5; ++i) training.step();
  Counters c;
  for (int i = 0; i < 20; ++i) training.step();
  c.stop();
  expect_only_launches(c);
}

TEST_F(Calls, ALossUnderAPendingLayerIsOneLaunchForward) {
  const auto h = leaf({256, 512}), b = leaf({512});
  const auto y = materialize(randint(0, 512, {256}));
  const auto f = [&] { materialize(cross_entropy(h + b, y)); };
  f();
  LaunchLog log;
  const Counters c = count(f);
  EXPECT_EQ(c.launches().size(), 1u) << c.to_string();
  EXPECT_EQ(log.launches(), 2u) << log.to_string();  // count() calls it twice
}

TEST_F(Calls, ANormalizedSumIsOneLaunchForward) {
  const auto x = leaf({256, 512}), r = leaf({256, 512});
  const auto weight = leaf({512}), bias = leaf({512});
  const auto f = [&] { materialize(layer_norm(x + r, weight, bias)); };
  f();
  LaunchLog log;
  const Counters c = count(f);
  EXPECT_EQ(c.launches().size(), 1u) << c.to_string();
  EXPECT_EQ(log.launches(), 2u) << log.to_string();
}

}  // namespace
}  // namespace jacquard::acceptance
