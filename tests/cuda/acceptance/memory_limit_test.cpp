// What happens when the device's memory is used up: an error with numbers, no
// value lost, and work that goes on once something was freed.
#include <cstdlib>
#include <vector>

#include "jacquard/memory.h"
#include "tests/cuda/acceptance/child.h"
#include "tests/cuda/acceptance/emulator.h"
#include "tests/cuda/acceptance/models.h"

namespace jacquard::acceptance {
namespace {

class MemoryLimit : public OnCuda {};

// Takes what is left, in ever smaller pieces.
std::vector<Tensor> ballast() {
  std::vector<Tensor> held;
  for (std::int64_t bytes = 16 << 20; bytes >= 1 << 10; bytes /= 4) {
    try {
      for (;;) held.push_back(Tensor::empty({bytes}, DType::bool_, cuda()));
    } catch (const OutOfMemory&) {
    }
  }
  return held;
}

void expect_numbers(const OutOfMemory& error) {
  const std::string message = error.what();
  for (const char* part :
       {"out of memory", "requested ", "in use ", "peak ", "free "}) {
    const std::size_t at = message.find(part);
    ASSERT_NE(at, std::string::npos) << message;
  }
  EXPECT_NE(message.find_first_of("123456789", message.find("in use ")),
            std::string::npos)
      << message;
}

template <class F>
void expect_out_of_memory(F&& f) {
  try {
    f();
    ADD_FAILURE() << "no OutOfMemory";
  } catch (const OutOfMemory& error) {
    expect_numbers(error);
  }
}

std::vector<std::vector<float>> parameters(const Mlp& model) {
  std::vector<std::vector<float>> all;
  visit_tensors(model, [&](const std::string&, const TrackedTensor& p) {
    all.push_back(p.data().to_host<float>());
  });
  return all;
}

// Run under a limit.
TEST_F(MemoryLimit, DISABLED_TrainingGoesOnAfterSomethingWasFreed) {
  constexpr int kSteps = 6;
  std::vector<float> undisturbed;
  {
    manual_seed(7);
    MlpTraining training;
    for (int i = 0; i < kSteps; ++i)
      undisturbed.push_back(training.step().item<float>());
  }
  manual_seed(7);
  MlpTraining training;
  std::vector<float> losses;
  const auto step = [&] { losses.push_back(training.step().item<float>()); };
  for (int i = 0; i < kSteps / 2; ++i) step();

  const TrackedTensor pending = training.x * 2.0f;
  const auto x = training.x.data().to_host<float>();
  const auto before = parameters(training.model);
  std::vector<Tensor> held = ballast();
  ASSERT_FALSE(held.empty());
  const std::size_t in_use = memory_stats(cuda()).in_use;
  for (int i = 0; i < 2; ++i) {
    expect_out_of_memory([&] { training.step(); });
    expect_out_of_memory([&] { materialize(pending); });
    expect_out_of_memory(
        [] { Tensor::empty({1 << 20}, DType::float32, cuda()); });
  }
  EXPECT_EQ(memory_stats(cuda()).in_use, in_use);
  EXPECT_EQ(parameters(training.model), before);
  EXPECT_EQ(training.x.data().to_host<float>(), x);

  held.clear();
  const auto doubled = pending.data().to_host<float>();
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(doubled[i], 2 * x[i]);
  for (int i = kSteps / 2; i < kSteps; ++i) step();
  EXPECT_EQ(losses, undisturbed);
}

TEST_F(MemoryLimit, DISABLED_ARequestThatCanNeverBeMetIsRefusedAndNothingElse) {
  const auto x = values({1000});
  expect_out_of_memory(
      [] { Tensor::empty({1 << 30}, DType::float64, cuda()); });
  EXPECT_EQ(x.data().to_host<float>().size(), 1000u);
  EXPECT_GT(sum(x).item<float>(), 0);
}

constexpr const char* kChildren = "MemoryLimit.DISABLED_*";

TEST_F(MemoryLimit, OfTheProcessLeavesItUsable) {
  const Child child =
      run_child(kChildren, {{"JACQUARD_CUDA_MEMORY_LIMIT", "67108864"}});
  EXPECT_EQ(child.status, 0) << child.output;
}

TEST_F(MemoryLimit, OfTheDeviceLeavesItUsable) {
  if (!on_emulator()) GTEST_SKIP() << "a GPU's memory can't be capped";
  const Child child = run_child(kChildren, {{"PTX_EMULATOR_MEMORY", "64M"}});
  EXPECT_EQ(child.status, 0) << child.output;
}

}  // namespace
}  // namespace jacquard::acceptance
