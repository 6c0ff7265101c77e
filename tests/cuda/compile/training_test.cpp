// What training a classifier, as examples/train_digits does, costs in
// compilations.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>

#include <numeric>
#include <stdexcept>
#include <vector>

#include "tests/cuda/compile/child.h"
#include "tests/cuda/compile/temporary_folder.h"

namespace jacquard::cuda_backend {
namespace {

// Of the library that core opened, not of the objects in this program.
KernelCounts library_counts() {
  void* library = dlopen("libjacquard_cuda.so.0", RTLD_NOW | RTLD_NOLOAD);
  if (!library) library = dlopen("libjacquard_cuda.so", RTLD_NOW | RTLD_NOLOAD);
  const auto counts = reinterpret_cast<decltype(&jacquard_cuda_kernel_counts)>(
      library ? dlsym(library, "jacquard_cuda_kernel_counts") : nullptr);
  if (!counts) throw std::runtime_error("the library is not open");
  KernelCounts found;
  counts(&found);
  return found;
}

struct Classifier {
  nn::Linear first = nn::Linear::make(64, 256);
  nn::Linear second = nn::Linear::make(256, 128);
  nn::Linear last = nn::Linear::make(128, 10);

  TrackedTensor operator()(const TrackedTensor& x, bool training) const {
    auto h = dropout(relu(first(x)), 0.2, training);
    h = dropout(relu(second(h)), 0.2, training);
    return last(h);
  }
};

class Training {
 public:
  // Batches of 32, of which the last has 29 rows; then an evaluation. Reports
  // what was made before the last batch, and what after all.
  void epoch() {
    std::vector<std::int64_t> rows(kRows);
    std::iota(rows.rbegin(), rows.rend(), 0);
    const TrackedTensor order = tensor(rows, {kRows});
    for (std::int64_t at = 0; at < kRows; at += kBatch) {
      if (at + kBatch > kRows) report(library_counts());
      step(slice(order, 0, {at, at + kBatch}));
    }
    report(library_counts());
    evaluate(images_, labels_);
    evaluate(slice(images_, 0, {0, 360}), slice(labels_, 0, {0, 360}));
    report(library_counts());
  }

 private:
  static constexpr std::int64_t kRows = 1437, kBatch = 32;

  static std::vector<std::int64_t> mixed_labels() {
    std::vector<std::int64_t> labels(kRows);
    for (std::size_t i = 0; i < labels.size(); ++i)
      labels[i] = static_cast<std::int64_t>(i % 10);
    return labels;
  }
  void step(const TrackedTensor& rows) {
    const TrackedTensor x = index_select(images_, 0, rows);
    const TrackedTensor y = index_select(labels_, 0, rows);
    const auto grads = gradient(
        [&](const Classifier& m) { return cross_entropy(m(x, true), y); },
        model_);
    optimizer_.step(model_, grads);
  }
  void evaluate(const TrackedTensor& x, const TrackedTensor& y) const {
    const NoGrad no_grad;
    const TrackedTensor logits = model_(x, false);
    EXPECT_GT(cross_entropy(logits, y).item<double>(), 0);
    EXPECT_GE(nn::accuracy(logits, y).item<double>(), 0);
  }

  // From the host, as digits are.
  TrackedTensor images_ =
      tensor(std::vector<float>(kRows * 64, 0.5f), {kRows, 64});
  TrackedTensor labels_ = tensor(mixed_labels(), {kRows});
  Classifier model_;
  nn::AdamW optimizer_{{.learning_rate = 5e-3}};
};

TEST(TrainingChild, DISABLED_TwoEpochs) {
  set_default_device(cuda());
  manual_seed(1);
  Training training;
  training.epoch();
  training.epoch();
}

class TrainingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(cuda())) GTEST_SKIP() << "there is no CUDA device";
  }

  const TemporaryFolder root;
  const std::string folder = root.path() + "/kernels";
};

TEST_F(TrainingTest, CompilesFewProgramsOnceAndFindsThemOnDisk) {
  const auto run = [&] {
    return Child("TrainingChild.DISABLED_TwoEpochs",
                 {{"JACQUARD_CACHE_DIR", folder}})
        .counts();
  };
  const auto cold = run();
  ASSERT_EQ(cold.size(), 6u);
  const KernelCounts &before_ragged = cold[0], &after_ragged = cold[1],
                     &first_epoch = cold[2], &end = cold[5];
  EXPECT_GT(before_ragged.compiled, 0u);
  EXPECT_EQ(after_ragged.compiled, before_ragged.compiled);
  EXPECT_LE(end.compiled, 10u);
  EXPECT_EQ(end.compiled, first_epoch.compiled);
  EXPECT_EQ(end.found, 0u);

  const auto warm = run();
  ASSERT_EQ(warm.size(), 6u);
  EXPECT_EQ(warm[5].compiled, 0u);
  EXPECT_EQ(warm[5].found, end.compiled);
  std::printf("training: %lu programs, %.0f ms cold, %.1f ms from disk\n",
              end.compiled, 1e3 * end.seconds, 1e3 * warm[5].seconds);
}

}  // namespace
}  // namespace jacquard::cuda_backend
