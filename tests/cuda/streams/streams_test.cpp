// Values that cross streams, through the public interface. Where work is
// delayed and streams run in an adversarial order, a missing wait shows as a
// wrong number.
#include <gtest/gtest.h>
#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>

#include <cmath>
#include <thread>
#include <vector>

namespace jacquard {
namespace {

constexpr std::int64_t kN = 5000;

class Streams : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(cuda())) GTEST_SKIP() << "there is no CUDA device";
  }
  TensorOptions on_cuda{DType::float32, cuda()};

  // 1, 2, 3 …
  TrackedTensor ramp() { return materialize(arange(1, kN + 1, 1, on_cuda)); }
  static void expect_ramp_times(const TrackedTensor& x, float factor) {
    const auto values = x.data().to_host<float>();
    for (std::size_t i = 0; i < values.size(); ++i)
      ASSERT_EQ(values[i], factor * static_cast<float>(i + 1)) << "at " << i;
  }
};

TEST_F(Streams, EachThreadHasItsOwn) {
  const Stream mine = current_stream(cuda());
  Stream other;
  std::thread([&] { other = current_stream(cuda()); }).join();
  EXPECT_NE(mine.native_handle(), nullptr);
  EXPECT_EQ(mine, current_stream(cuda()));
}

TEST_F(Streams, AScopeChoosesAndGivesBack) {
  const Stream before = current_stream(cuda());
  const Stream chosen = Stream::make(cuda());
  EXPECT_FALSE(chosen == before);
  {
    const StreamScope scope(chosen);
    EXPECT_EQ(current_stream(cuda()), chosen);
    EXPECT_EQ(ramp().data().stream(), chosen);
  }
  EXPECT_EQ(current_stream(cuda()), before);
}

TEST_F(Streams, AValueIsComputedWhereItWasCalledNotWhereItIsForced) {
  const Stream chosen = Stream::make(cuda());
  TrackedTensor y;
  {
    const StreamScope scope(chosen);
    y = ramp() * 2.0f;
  }
  EXPECT_EQ(y.data().stream(), chosen);
  expect_ramp_times(y, 2);
}

TEST_F(Streams, AReaderWaitsForTheWriterOnAnotherStream) {
  const Stream a = Stream::make(cuda()), b = Stream::make(cuda());
  TrackedTensor x;
  {
    const StreamScope scope(a);
    x = materialize(ramp() * 3.0f);
  }
  const StreamScope scope(b);
  expect_ramp_times(materialize(x + x), 6);
}

TEST_F(Streams, AProductWaitsForItsOperandsOnOtherStreams) {
  const Stream a = Stream::make(cuda()), b = Stream::make(cuda());
  TrackedTensor x, y;
  {
    const StreamScope scope(a);
    x = materialize(full({32, 32}, 2, on_cuda));
  }
  {
    const StreamScope scope(b);
    y = materialize(full({32, 32}, 3, on_cuda));
  }
  for (float v : matmul(x, y).data().to_host<float>()) ASSERT_EQ(v, 192);
}

TEST_F(Streams, AGatherWaitsForItsTableAndItsIndex) {
  const Stream a = Stream::make(cuda());
  TrackedTensor table, index;
  {
    const StreamScope scope(a);
    table = ramp();
    index = materialize(flip(arange(0, kN, 1, {DType::int64, cuda()}), {0}));
  }
  const auto values = index_select(table, 0, index).data().to_host<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(values[i], static_cast<float>(kN - static_cast<int>(i)));
}

TEST_F(Streams, MemoryIsNotReusedWhileAnotherStreamStillReadsIt) {
  const Stream other = Stream::make(cuda());
  std::vector<TrackedTensor> sums;
  for (int round = 0; round < 8; ++round) {
    TrackedTensor x = materialize(full({kN}, round, on_cuda));
    {
      const StreamScope scope(other);
      sums.push_back(materialize(x * 10.0f));
    }
    x = {};  // the next round's x may get the same memory, on this stream
  }
  for (int round = 0; round < 8; ++round)
    for (float v :
         sums[static_cast<std::size_t>(round)].data().to_host<float>())
      ASSERT_EQ(v, 10.0f * static_cast<float>(round));
}

TEST_F(Streams, AnInPlaceUpdateWaitsForReadersOnOtherStreams) {
  const Stream other = Stream::make(cuda());
  const TrackedTensor p = param(full({kN}, 1, on_cuda).data());
  const TrackedTensor g = materialize(full({kN}, 1, on_cuda));
  nn::SGD sgd({.learning_rate = 0.5});
  std::vector<TrackedTensor> seen;
  for (int step = 0; step < 4; ++step) {
    {
      const StreamScope scope(other);
      seen.push_back(materialize(p * 4.0f));
    }
    sgd.step(p, g);
  }
  for (int step = 0; step < 4; ++step)
    for (float v : seen[static_cast<std::size_t>(step)].data().to_host<float>())
      ASSERT_EQ(v, 4 - 2 * static_cast<float>(step));
}

TEST_F(Streams, AWriteWaitsForTheWriteBeforeItOnAnotherStream) {
  const Stream other = Stream::make(cuda());
  const TrackedTensor p = param(full({kN}, 0, on_cuda).data());
  const TrackedTensor x = materialize(full({kN}, 1, on_cuda));
  // Reads p not at all.
  const auto set = [&](double value) {
    update_in_place({{p, x}}, 1, [&](const std::vector<TrackedTensor>& t) {
      return std::vector<TrackedTensor>{t[1] * value};
    });
  };
  {
    const StreamScope scope(other);
    set(3);
  }
  set(4);
  for (float v : p.data().to_host<float>()) ASSERT_EQ(v, 4);
}

TEST_F(Streams, ThePullbackRunsOnTheStreamOfItsForward) {
  const Stream a = Stream::make(cuda()), b = Stream::make(cuda());
  const TrackedTensor x = param(full({64, 64}, 0.01, on_cuda).data());
  TrackedTensor first, loss;
  {
    const StreamScope scope(a);
    first = matmul(x, x);
  }
  {
    const StreamScope scope(b);
    loss = sum(tanh(matmul(first, x)));
  }
  LaunchLog log;
  backward(loss);
  int on_a = 0, on_b = 0;
  for (const LaunchRecord& r : log.records()) {
    on_a += r.kind == std::string_view("matmul") && r.stream == a;
    on_b += r.kind == std::string_view("matmul") && r.stream == b;
  }
  EXPECT_EQ(on_a, 2);
  EXPECT_EQ(on_b, 2);
  const TrackedTensor y =
      param(full({64, 64}, 0.01, {DType::float32, cpu()}).data());
  backward(sum(tanh(matmul(matmul(y, y), y))));
  const auto want = y.grad().data().to_host<float>();
  const auto got = x.grad().data().to_host<float>();
  for (std::size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(got[i], want[i], 1e-4 * (1 + std::abs(want[i])));
}

// Values between −1 and 1 that depend on the salt alone.
TrackedTensor values(const Shape& shape, int salt, Device device) {
  std::vector<float> v(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = std::sin(static_cast<float>(i) * 0.7f + static_cast<float>(salt));
  return TrackedTensor(Tensor::from_host<float>(v, shape, device));
}

// The loss of each of some steps.
std::vector<float> train(int salt, Device device) {
  struct Model {
    TrackedTensor first, second;
  };
  Model model{param(values({16, 32}, salt, device).data()),
              param(values({32, 1}, salt + 1, device).data())};
  const TrackedTensor x = values({20, 16}, salt + 2, device);
  const TrackedTensor y = values({20, 1}, salt + 3, device);
  nn::Adam adam({.learning_rate = 0.01});
  std::vector<TrackedTensor> losses;
  for (int step = 0; step < 6; ++step) {
    auto [loss, grads] = withgradient(
        [&](const Model& m) {
          return mean(square(matmul(tanh(matmul(x, m.first)), m.second) - y));
        },
        model);
    adam.step(model, grads);
    losses.push_back(loss);
  }
  std::vector<float> read;
  for (const TrackedTensor& loss : losses) read.push_back(loss.item<float>());
  return read;
}

TEST_F(Streams, TwoThreadsTrainTwoModelsAtTheSameTime) {
  const std::vector<float> alone[] = {train(1, cuda()), train(9, cuda())};
  std::vector<float> together[2];
  std::thread first([&] { together[0] = train(1, cuda()); });
  std::thread second([&] { together[1] = train(9, cuda()); });
  first.join();
  second.join();
  EXPECT_EQ(together[0], alone[0]);
  EXPECT_EQ(together[1], alone[1]);
  EXPECT_LT(alone[0].back(), alone[0].front());
}

TEST_F(Streams, TrainingHasTheLossesOfTheCpu) {
  const auto on_gpu = train(5, cuda()), on_cpu = train(5, cpu());
  for (std::size_t i = 0; i < on_cpu.size(); ++i)
    EXPECT_NEAR(on_gpu[i], on_cpu[i], 1e-4f * on_cpu[i]);
}

}  // namespace
}  // namespace jacquard
