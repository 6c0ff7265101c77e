// Training on CUDA is training on the CPU: the same random numbers in bits, the
// same losses to rounding.
#include <jacquard/nn/nn.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <sstream>

#include "tests/cuda/acceptance/emulator.h"

namespace jacquard::acceptance {
namespace {

class SameTraining : public OnCuda {
 protected:
  void TearDown() override {
    if (!IsSkipped()) set_default_device(cuda());
  }
};

// ---- random numbers ----

template <class F>
void expect_same_bits(const char* what, F&& f) {
  std::vector<std::vector<double>> drawn;
  for (const Device device : {cpu(), cuda()}) {
    set_default_device(device);
    manual_seed(11);
    TrackedTensor x = f();
    ASSERT_EQ(x.device(), device);
    drawn.push_back(cast(x, DType::float64).to_host<double>());
  }
  ASSERT_EQ(drawn[0].size(), drawn[1].size());
  EXPECT_EQ(std::memcmp(drawn[0].data(), drawn[1].data(),
                        drawn[0].size() * sizeof(double)),
            0)
      << what;
}

TEST_F(SameTraining, RandomNumbersHaveTheSameBits) {
  for (const DType t :
       {DType::float16, DType::bfloat16, DType::float32, DType::float64}) {
    const auto on = [&] { return TensorOptions{t, default_device()}; };
    expect_same_bits("rand", [&] { return rand({12345}, on()); });
    expect_same_bits("randn", [&] { return randn({12345}, on()); });
    expect_same_bits("dropout", [&] {
      return dropout(full({77, 41}, 1.5, on()), 0.3);
    });
    expect_same_bits("transposed", [&] {
      return transpose(rand({37, 53}, on()), 0, 1) + 0.0;
    });
  }
  expect_same_bits("randint", [] { return randint(-5, 1000, {9999}); });
  expect_same_bits("kaiming_normal", [] {
    return nn::kaiming_normal({100, 64});
  });
  expect_same_bits("Linear", [] { return nn::Linear::make(100, 64).weight; });
}

// ---- the digits, as examples/train_digits trains them ----

constexpr std::int64_t kPixels = 64;

struct Digits {
  std::vector<float> pixels;
  std::vector<std::int64_t> labels;
};

Digits read_digits() {
  const std::filesystem::path file = JACQUARD_EXAMPLE_DATA "/digits/digits.csv";
  std::ifstream in(file);
  if (!in) throw std::runtime_error("can't read " + file.string());
  Digits digits;
  for (std::string row, cell; std::getline(in, row);) {
    std::istringstream cells(row);
    for (int i = 0; i < kPixels && std::getline(cells, cell, ','); ++i)
      digits.pixels.push_back(std::stof(cell) / 16);
    std::getline(cells, cell);
    digits.labels.push_back(std::stoll(cell));
  }
  return digits;
}

struct Classifier {
  nn::Linear first = nn::Linear::make(kPixels, 256);
  nn::Linear second = nn::Linear::make(256, 128);
  nn::Linear last = nn::Linear::make(128, 10);

  TrackedTensor operator()(const TrackedTensor& x) const {
    auto h = dropout(relu(first(x)), 0.2);
    h = dropout(relu(second(h)), 0.2);
    return last(h);
  }
};

std::vector<double> losses_of(const Digits& digits, Device device, int steps) {
  constexpr std::int64_t kBatch = 32;
  set_default_device(device);
  manual_seed(1);
  const auto n = static_cast<std::int64_t>(digits.labels.size());
  const TrackedTensor images = tensor(digits.pixels, {n, kPixels});
  const TrackedTensor labels = tensor(digits.labels, {n});
  std::vector<std::int64_t> order(digits.labels.size());
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(1);
  for (std::size_t i = 0; i < order.size(); ++i)
    std::swap(order[i], order[random() % (i + 1)]);
  const TrackedTensor rows = tensor(order, {n});
  Classifier model;
  nn::AdamW optimizer({.learning_rate = 5e-3});
  std::vector<TrackedTensor> losses;
  for (int i = 0; i < steps; ++i) {
    const std::int64_t at = i * kBatch % (n - kBatch);
    const TrackedTensor batch = slice(rows, 0, {at, at + kBatch});
    const auto x = index_select(images, 0, batch);
    const auto y = index_select(labels, 0, batch);
    const auto [loss, grads] = withgradient(
        [&](const Classifier& m) { return cross_entropy(m(x), y); }, model);
    optimizer.step(model, grads);
    losses.push_back(loss);
  }
  std::vector<double> read;
  for (const TrackedTensor& loss : losses) read.push_back(loss.item<double>());
  return read;
}

TEST_F(SameTraining, TheFirstFiftyLossesOfTheDigitsAreTheCpus) {
  const Digits digits = read_digits();
  const auto on_cpu = losses_of(digits, cpu(), 50);
  const auto on_cuda = losses_of(digits, cuda(), 50);
  double worst = 0;
  for (std::size_t i = 0; i < on_cpu.size(); ++i) {
    worst = std::max(worst, std::abs(on_cuda[i] - on_cpu[i]) / on_cpu[i]);
  }
  EXPECT_LT(on_cpu.back(), 0.5 * on_cpu.front());
  // Sums of up to 256 terms in another order differ by 1e-6 of their size. On
  // the CPU, pixels off by as much change these losses by 2e-6; a wrong mask or
  // a missing term changes them by more than 1e-3.
  EXPECT_LE(worst, 2e-5);
}

}  // namespace
}  // namespace jacquard::acceptance
