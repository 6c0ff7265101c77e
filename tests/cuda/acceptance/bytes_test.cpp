// How much kernels move, by the emulator's count of global accesses: each
// operand once, by 128-bit accesses, in no more sectors than the bytes need.
#include <functional>
#include <iostream>

#include "jacquard/memory.h"
#include "jacquard/nn/nn.h"
#include "tests/cuda/acceptance/emulator.h"
#include "tests/cuda/acceptance/models.h"

namespace jacquard::acceptance {
namespace {

constexpr double kWithin = 0.02;

class Bytes : public OnEmulator {
 protected:
  // Runs f twice; the second run moves `words` elements of `size` bytes for
  // each of n.
  template <class F>
  static void expect_words(double words, std::int64_t n, F&& f,
                           std::size_t size = 4) {
    const Counters c = count(f);
    SCOPED_TRACE(c.to_string());
    const double needed =
        words * static_cast<double>(n) * static_cast<double>(size);
    const double unit = needed / words;
    EXPECT_NEAR(c.bytes() / unit, words, kWithin * words);
    EXPECT_LE(c.sectors() * 32, 1.02 * c.bytes());
    EXPECT_GE(c.bytes_by_16(), (1 - kWithin) * c.bytes());
    EXPECT_EQ(c.f64_instructions(), 0u);
  }
};

constexpr std::int64_t kRows = 1024, kCols = 512, kN = kRows * kCols;

TEST_F(Bytes, AChainForwardAndBackwardMovesFourteenWordsAnElement) {
  const Shape s{kRows, kCols};
  const auto a = leaf(s), x = leaf(s), b = leaf(s), c = leaf(s);
  const auto seed = values(s);
  expect_words(14, kN, [&] {
    for (const TrackedTensor& t : {a, x, b, c}) t.clear_grad();
    const auto y = materialize(tanh(a * x + b) * sigmoid(c));
    backward(y, seed);
  });
}

TEST_F(Bytes, AChainUnderASumMovesTwelveWordsAnElement) {
  const Shape s{kRows, kCols};
  const auto a = leaf(s), x = leaf(s), b = leaf(s), c = leaf(s);
  expect_words(12, kN, [&] {
    for (const TrackedTensor& t : {a, x, b, c}) t.clear_grad();
    const auto loss = materialize(sum(tanh(a * x + b) * sigmoid(c)));
    backward(loss);
  });
}

TEST_F(Bytes, SoftmaxMovesTwoWordsForwardAndThreeBackward) {
  const auto x = leaf({kRows, kCols});
  const auto seed = values({kRows, kCols});
  expect_words(2, kN, [&] { materialize(softmax(x)); });
  const auto y = materialize(softmax(x));
  expect_words(3, kN, [&] {
    x.clear_grad();
    backward(y, seed, {.retain_graph = true});
  });
}

TEST_F(Bytes, CrossEntropyMovesOneWordForwardAndTwoBackward) {
  const std::int64_t columns = 1024;
  const auto x = leaf({kRows, columns});
  const auto labels = materialize(randint(0, columns, {kRows}));
  expect_words(1, kRows * columns,
               [&] { materialize(cross_entropy(x, labels)); });
  const auto loss = materialize(cross_entropy(x, labels));
  expect_words(2, kRows * columns, [&] {
    x.clear_grad();
    backward(loss, {}, {.retain_graph = true});
  });
}

TEST_F(Bytes, LayerNormMovesTwoWordsForwardAndThreeBackward) {
  // So many rows that the partial sums of the cotangents of weight and bias, of
  // at most 512 chunks of rows, don't count.
  const std::int64_t rows = 65536, columns = 128;
  const auto x = leaf({rows, columns});
  const auto weight = leaf({columns}), bias = leaf({columns});
  const auto seed = values({rows, columns});
  expect_words(2, rows * columns,
               [&] { materialize(layer_norm(x, weight, bias)); });
  const auto y = materialize(layer_norm(x, weight, bias));
  expect_words(3, rows * columns, [&] {
    for (const TrackedTensor& t : {x, weight, bias}) t.clear_grad();
    backward(y, seed, {.retain_graph = true});
  });
}

TEST_F(Bytes, LayerNormOfASumMovesAtMostFourWordsForward) {
  const auto x = leaf({kRows, kCols}), r = leaf({kRows, kCols});
  const auto weight = leaf({kCols}), bias = leaf({kCols});
  // Reads x and r, which the backward reads as well, and writes the result. The
  // fourth word would be the sum.
  expect_words(3, kN, [&] { materialize(layer_norm(x + r, weight, bias)); });
}

TEST_F(Bytes, LayerNormOfASumIsReversedByOneLaunchOfFourWords) {
  // 32 words a thread of each array and of both sums stay in registers.
  const std::int64_t rows = 512, columns = 1024;
  const auto x = leaf({rows, columns}), r = leaf({rows, columns});
  const auto weight = leaf({columns}), bias = leaf({columns});
  const auto seed = values({rows, columns});
  const auto y = materialize(layer_norm(x + r, weight, bias));
  const Counters c = count([&] {
    for (const TrackedTensor& t : {x, r, weight, bias}) t.clear_grad();
    backward(y, seed, {.retain_graph = true});
  });
  SCOPED_TRACE(c.to_string());
  EXPECT_EQ(c.launches().size(), 1u);
  // The rest are the partial sums of chunks of 32 rows.
  EXPECT_LE(c.bytes(), 4.2 * 4 * static_cast<double>(rows * columns));
}

template <class Optimizer>
void expect_step(
    const std::function<void(std::int64_t, std::function<void()>)>& check,
    Optimizer optimizer) {
  struct Parameters {
    TrackedTensor a, b, c;
  };
  const Parameters params{leaf({512, 784}), leaf({512}), leaf({256, 512})};
  const Parameters grads{values({512, 784}), values({512}), values({256, 512})};
  check(512 * 784 + 512 + 256 * 512, [&] { optimizer.step(params, grads); });
}

TEST_F(Bytes, AdamMovesSevenWordsAParameter) {
  expect_step([](std::int64_t n, auto f) { expect_words(7, n, f); },
              nn::Adam());
}

TEST_F(Bytes, SgdWithMomentumMovesFiveWordsAParameter) {
  expect_step([](std::int64_t n, auto f) { expect_words(5, n, f); },
              nn::SGD({.momentum = 0.9}));
}

TEST_F(Bytes,
       AStepOfTheMlpMovesAtMostSeventeenAndAHalfMegabytesOutsideProducts) {
  // With epilogues the last layer's reverse products run inside a kernel that
  // is counted here; it asks for their operands once for each row.
  for (const bool on : {false, true}) {
    const Epilogues epilogues(on);
    MlpTraining training;
    training.step();
    const Counters c = count([&] { training.step(); });
    SCOPED_TRACE(c.to_string());
    EXPECT_LE(c.bytes(), on ? 19.5e6 : 17.5e6);
    EXPECT_LE(c.sectors() * 32, 1.02 * c.bytes());
    EXPECT_EQ(c.f64_instructions(), 0u);
    std::cout << "epilogues " << (on ? "on: " : "off: ") << c.bytes() / 1e6
              << " MB\n";
  }
}

TEST_F(Bytes, TheLaunchLogSaysWhatKernelsMove) {
  // A small product inside a kernel reads its operands, which caches hold, more
  // often than once.
  const Epilogues off(false);
  MlpTraining training;
  training.step();
  training.step();
  Counters c;
  LaunchLog log;
  training.step();
  c.stop();
  double all = 0;
  for (const Launch& l : c.launches()) all += l.bytes();
  EXPECT_NEAR(static_cast<double>(log.bytes()), all, kWithin * all)
      << log.to_string() << c.to_string();
}

// ---- widths and sectors ----

class Widths : public OnEmulator {
 protected:
  // `widest`: the share of the bytes that operands of the widest type have.
  // Threads take as many elements of narrower ones, so by narrower accesses,
  // which are as dense.
  template <class F>
  static void expect_wide(const std::string& what, F&& f, double widest = 1) {
    const Counters c = count(f);
    SCOPED_TRACE(what + "\n" + c.to_string());
    ASSERT_GT(c.bytes(), 0);
    EXPECT_GE(c.bytes_by_16(), (widest - kWithin) * c.bytes());
    EXPECT_LE(c.sectors() * 32, 1.02 * c.bytes());
  }
};

TEST_F(Widths, ContiguousMapsOfEachTypeAccess128Bits) {
  for (const DType t : {DType::float16, DType::bfloat16, DType::float32,
                        DType::float64, DType::int32, DType::int64}) {
    const auto x = materialize(cast(randint(0, 50, {kN}), t));
    const auto y = materialize(cast(randint(0, 50, {kN}), t));
    const auto size = static_cast<double>(size_of(t));
    const std::string name(name_of(t));
    expect_wide(name + ", sum", [&] { materialize(x + y); });
    expect_wide(
        name + ", comparison", [&] { materialize(x < y); },
        2 * size / (2 * size + 1));
  }
  const auto a = materialize(rand({kN}) < 0.5);
  expect_wide("bool", [&] { materialize(logical_not(a)); });
}

TEST_F(Widths, MixedTypesAccess128BitsOfTheWidest) {
  const auto x = values({kN}, DType::float16), y = values({kN});
  expect_wide(
      "half and single", [&] { materialize(x + y); }, 8. / 10);
  expect_wide(
      "cast", [&] { materialize(cast(y, DType::bfloat16)); }, 4. / 6);
  const auto mask = materialize(y < 0.5);
  expect_wide(
      "where", [&] { materialize(where(mask, y, 0.0)); }, 8. / 9);
}

TEST_F(Widths, ReductionsAccess128Bits) {
  const auto x = values({kRows, kCols});
  expect_wide("all", [&] { materialize(sum(x)); });
  expect_wide("rows", [&] { materialize(sum(x, {1})); });
  expect_wide("columns", [&] { materialize(sum(x, {0})); });
  expect_wide("maximum of rows", [&] { materialize(max(x, {1})); });
  expect_wide("mean of squares", [&] { materialize(mean(square(x))); });
}

TEST_F(Widths, ABiasAccesses128Bits) {
  const auto x = values({kRows, kCols}), row = values({kCols});
  expect_wide("row", [&] { materialize(x + row); });
}

TEST_F(Widths, RowProgramsOfEachLengthAccess128Bits) {
  for (const std::int64_t columns : {64, 256, 1024, 4096, 12288}) {
    const auto x = values({(1 << 19) / columns, columns});
    expect_wide("softmax of " + std::to_string(columns),
                [&] { materialize(softmax(x)); });
    expect_wide("log_softmax of " + std::to_string(columns),
                [&] { materialize(log_softmax(x)); });
  }
}

TEST_F(Widths, DropoutAndRandomNumbersAccess128Bits) {
  const auto x = values({kN});
  expect_wide("dropout", [&] { materialize(dropout(x, 0.2)); });
  expect_wide("rand", [&] { materialize(rand({kN})); });
  expect_wide("randn", [&] { materialize(randn({kN})); });
}

TEST_F(Widths, ASliceOfAlignedRowsAccesses128Bits) {
  const auto x = values({kRows, kCols});
  expect_wide("rows", [&] { materialize(slice(x, 0, {16, 1000}) * 2.0); });
  expect_wide("half of the columns", [&] {
    materialize(slice(x, 1, {0, kCols / 2}) * 2.0);
  });
}

// ---- what is kept ----

TEST_F(Bytes, TheMlpKeepsItsReluOutputsAndItsLogits) {
  MlpTraining training;
  training.step();
  synchronize(cuda());
  const std::size_t before = memory_stats(cuda()).in_use;
  const TrackedTensor loss =
      materialize(cross_entropy(training.model(training.x), training.y));
  const std::size_t kept = memory_stats(cuda()).in_use - before;
  // x is there already; the loss is the last word.
  EXPECT_EQ(kept, 4u * (MlpTraining::kBatch * (512 + 256 + 10) + 1));
}

}  // namespace
}  // namespace jacquard::acceptance
