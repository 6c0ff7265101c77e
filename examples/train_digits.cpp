// Trains a small classifier of handwritten digits. The last line printed is its
// accuracy on digits that it never saw.
#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "svg_plot.h"

namespace jq = jacquard;
namespace nn = jacquard::nn;

namespace {

constexpr std::int64_t kPixels = 64, kClasses = 10, kTestRows = 360;

struct Mlp {
  nn::Linear first = nn::Linear::make(kPixels, 256);
  nn::Linear second = nn::Linear::make(256, 128);
  nn::Linear last = nn::Linear::make(128, kClasses);

  jq::TrackedTensor operator()(const jq::TrackedTensor& x,
                               bool training = false) const {
    auto h = jq::dropout(jq::relu(first(x)), 0.2, training);
    h = jq::dropout(jq::relu(second(h)), 0.2, training);
    return last(h);
  }
};

struct Digits {
  jq::TrackedTensor images;  // float32 [n, 64], in [0, 1]
  jq::TrackedTensor labels;  // int64 [n]
  std::int64_t size() const { return images.shape()[0]; }
  // The rows that an int64 tensor lists.
  Digits rows(const jq::TrackedTensor& which) const {
    return {jq::index_select(images, 0, which),
            jq::index_select(labels, 0, which)};
  }
};

// A permutation that is the same on every machine.
std::vector<std::int64_t> shuffled(std::int64_t n, std::mt19937_64& random) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = static_cast<std::int64_t>(i);
    std::swap(order[i], order[random() % (i + 1)]);
  }
  return order;
}

jq::TrackedTensor as_index(const std::vector<std::int64_t>& rows) {
  return jq::tensor(rows, {static_cast<std::int64_t>(rows.size())});
}

Digits read_digits(const std::string& folder) {
  const std::string name = folder + "/digits.csv";
  std::ifstream file(name);
  if (!file)
    throw std::runtime_error("can't read " + name +
                             ": --data names the folder with digits.csv");
  std::vector<float> pixels;
  std::vector<std::int64_t> labels;
  std::string row, cell;
  while (std::getline(file, row)) {
    std::istringstream cells(row);
    for (int i = 0; i < kPixels && std::getline(cells, cell, ','); ++i)
      pixels.push_back(std::stof(cell) / 16);
    if (std::getline(cells, cell)) labels.push_back(std::stoll(cell));
  }
  const auto n = static_cast<std::int64_t>(labels.size());
  if (n <= kTestRows || static_cast<std::int64_t>(pixels.size()) != n * kPixels)
    throw std::runtime_error(name + " does not hold rows of 64 pixels and a " +
                             "label");
  return {jq::tensor(pixels, {n, kPixels}), jq::tensor(labels, {n})};
}

struct Split {
  Digits train, test;
};

// The same split whatever the seed of the training.
Split split(const Digits& all) {
  std::mt19937_64 random(0);
  const auto order = shuffled(all.size(), random);
  const auto middle = order.begin() + kTestRows;
  return {all.rows(as_index({middle, order.end()})),
          all.rows(as_index({order.begin(), middle}))};
}

struct Scores {
  double loss, accuracy;
};

Scores evaluate(const Mlp& model, const Digits& digits) {
  const jq::NoGrad no_grad;
  const auto logits = model(digits.images);
  return {jq::cross_entropy(logits, digits.labels).item<double>(),
          nn::accuracy(logits, digits.labels).item<double>()};
}

// The state after `done` of all epochs, by the last scores. On a terminal the
// line is drawn over, elsewhere there is one line an epoch.
class Progress {
 public:
  explicit Progress(int epochs) : epochs_(epochs) {}
  void step(int epoch, double done) const {
    if (terminal_) draw(epoch, done);
  }
  void epoch(int epoch, double train_loss, double test_accuracy) {
    train_loss_ = train_loss;
    test_accuracy_ = test_accuracy;
    draw(epoch, 1);
    if (!terminal_ || epoch + 1 == epochs_) std::puts("");
  }

 private:
  void draw(int epoch, double done) const {
    constexpr int kWidth = 24;
    const int full = static_cast<int>((epoch + done) / epochs_ * kWidth);
    std::printf("%sepoch %2d/%d [%-*s] loss %.4f, test accuracy %.3f",
                terminal_ ? "\r" : "", epoch + 1, epochs_, kWidth,
                std::string(static_cast<std::size_t>(full), '=').c_str(),
                train_loss_, test_accuracy_);
    std::fflush(stdout);
  }

  int epochs_;
  bool terminal_ = isatty(STDOUT_FILENO) != 0;
  double train_loss_ = std::log(kClasses), test_accuracy_ = 1.0 / kClasses;
};

struct Options {
  std::string data = JACQUARD_EXAMPLE_DATA "/digits";
  std::string plot = "train_digits.svg";
  std::string device;
  int epochs = 40;
  std::int64_t batch = 32;
  double learning_rate = 5e-3;
  std::uint64_t seed = 1;
};

Scores train(const Options& options, const Split& digits,
             std::vector<plot::Panel>& panels) {
  Mlp model;
  nn::AdamW optimizer({.learning_rate = options.learning_rate});
  std::mt19937_64 random(options.seed);
  std::vector<double> train_loss, test_loss, train_accuracy, test_accuracy;
  Progress progress(options.epochs);
  Scores test{};

  const std::int64_t n = digits.train.size();
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    const auto order = as_index(shuffled(n, random));
    optimizer.set_learning_rate(
        options.learning_rate *
        (1 - static_cast<double>(epoch) / options.epochs));
    for (std::int64_t at = 0; at < n; at += options.batch) {
      const auto batch =
          digits.train.rows(jq::slice(order, 0, {at, at + options.batch}));
      const auto grads = jq::gradient(
          [&](const Mlp& m) {
            return jq::cross_entropy(m(batch.images, true), batch.labels);
          },
          model);
      optimizer.step(model, grads);
      progress.step(epoch, static_cast<double>(at) / static_cast<double>(n));
    }
    const Scores seen = evaluate(model, digits.train);
    test = evaluate(model, digits.test);
    train_loss.push_back(seen.loss);
    test_loss.push_back(test.loss);
    train_accuracy.push_back(seen.accuracy);
    test_accuracy.push_back(test.accuracy);
    progress.epoch(epoch, seen.loss, test.accuracy);
  }
  panels = {
      {"cross-entropy", {{"training", train_loss}, {"test", test_loss}}},
      {"accuracy", {{"training", train_accuracy}, {"test", test_accuracy}}}};
  return test;
}

void run(const Options& options) {
  if (options.device == "cpu") jq::set_default_device(jq::cpu());
  if (options.device == "cuda") jq::set_default_device(jq::cuda());
  jq::manual_seed(options.seed);
  const Split digits = split(read_digits(options.data));
  std::printf("%lld digits to learn from, %lld to be tested on, on %s\n",
              static_cast<long long>(digits.train.size()),
              static_cast<long long>(digits.test.size()),
              jq::to_string(jq::default_device()).c_str());

  const auto start = std::chrono::steady_clock::now();
  std::vector<plot::Panel> panels;
  const Scores test = train(options, digits, panels);
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  plot::write_svg(options.plot, panels);
  std::printf("trained in %.1f s; the curves are in %s\n", took.count(),
              options.plot.c_str());
  std::printf("test accuracy %.3f\n", test.accuracy);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Trains a classifier of handwritten digits.");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--data", options.data, "Folder with digits.csv");
  app.add_option("--plot", options.plot, "Where the curves go (SVG)");
  app.add_option("--device", options.device, "cpu or cuda; default: a GPU")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--epochs", options.epochs)->check(CLI::Range(1, 100000));
  app.add_option("--batch", options.batch)->check(CLI::Range(1, 100000));
  app.add_option("--learning-rate", options.learning_rate)
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", options.seed, "Of initial values and batches");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train_digits: %s\n", error.what());
    return 1;
  }
}
