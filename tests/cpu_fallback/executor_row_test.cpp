#include <algorithm>
#include <numeric>
#include <string>

#include "jacquard/error.h"
#include "tests/cpu_fallback/executor_testing.h"

namespace jacquard::testing {
namespace {

const std::vector<Shape> kRows = {
    {1, 1},   {5, 1},   {4, 3},     {130, 10},  {33, 64},   {9, 255},
    {9, 256}, {9, 257}, {70, 1000}, {3, 30011}, {2, 3, 65}, {1000, 2}};

std::size_t index_of(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<double> softmax(const std::vector<float>& x, std::int64_t cols) {
  std::vector<double> out(x.size());
  for (std::size_t r = 0; r < x.size(); r += index_of(cols)) {
    double sum = 0;
    for (std::size_t j = 0; j < index_of(cols); ++j)
      sum += out[r + j] = std::exp(static_cast<double>(x[r + j]));
    for (std::size_t j = 0; j < index_of(cols); ++j) out[r + j] /= sum;
  }
  return out;
}

ProgramPtr cross_entropy_program(Reduction reduction) {
  return program([&](Builder& b) {
    const Ref x = b.leaf({});
    Leaf labels{Op::load, DType::int64};
    labels.per_row = true;
    const Ref y = b.leaf(labels);
    const Ref loss = b.apply(Op::sub, b.apply(Op::row_logsumexp, x),
                             b.apply(Op::row_pick, x, y));
    b.output({loss, reduction, true});
  });
}

TEST(ExecutorRow, SoftmaxOfRowsOfAnyLength) {
  const auto p = program(
      [](Builder& b) { b.output({b.apply(Op::row_softmax, b.leaf({}))}); });
  for (const Shape& space : kRows) {
    const auto x = random_floats(space.numel(), 1, -3, 3);
    std::vector<float> out(x.size() + 64, 7.0f);
    run(p, space, {dense(x, space)},
        {{out.data(), DType::float32, contiguous_strides(space)}});
    const auto want = softmax(x, space[space.rank() - 1]);
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_NEAR(out[i], want[i], 2e-6) << to_string(space) << " at " << i;
    for (std::size_t i = x.size(); i < out.size(); ++i)
      ASSERT_EQ(out[i], 7.0f) << "written beyond the end";
  }
}

TEST(ExecutorRow, PointwiseWorkGoesAroundRowOperations) {
  // softmax(x + bias) · 2 over a transposed leaf and a broadcast one.
  const auto p = program([](Builder& b) {
    const Ref shifted = b.apply(Op::add, b.leaf({}), b.leaf({}));
    b.output({b.apply(Op::mul, b.apply(Op::row_softmax, shifted),
                      b.constant(2, DType::float32))});
  });
  for (const Shape& space : kRows) {
    if (space.rank() != 2) continue;
    const auto x = random_floats(space.numel(), 2);
    const auto bias = random_floats(space[1], 3);
    std::vector<float> sum(x.size()), out(x.size());
    for (std::int64_t i = 0; i < space[0]; ++i)
      for (std::int64_t j = 0; j < space[1]; ++j)
        sum[index_of(i * space[1] + j)] =
            x[index_of(i + j * space[0])] + bias[index_of(j)];
    run(p, space,
        {{x.data(), DType::float32, {1, space[0]}},
         {bias.data(), DType::float32, {0, 1}}},
        {dense_out(out, space)});
    const auto want = softmax(sum, space[1]);
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_NEAR(out[i], 2 * want[i], 4e-6) << to_string(space) << " at " << i;
  }
}

TEST(ExecutorRow, StoresOneValueARow) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({});
    b.output({b.apply(Op::row_max, x)});
    b.output({b.apply(Op::row_argmax, x)});
  });
  for (const Shape& space : kRows) {
    const auto x = random_floats(space.numel(), 4);
    const std::int64_t cols = space[space.rank() - 1],
                       rows = space.numel() / cols;
    std::vector<float> top(index_of(rows));
    std::vector<std::int64_t> at(index_of(rows));
    const unsigned last = 1u << (space.rank() - 1);
    const Strides strides = reduced_strides(space, last);
    run(p, space, {dense(x, space)},
        {{top.data(), DType::float32, strides},
         {at.data(), DType::int64, strides}});
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto first = x.begin() + r * cols;
      const auto best = std::max_element(first, first + cols);
      ASSERT_EQ(top[index_of(r)], *best);
      ASSERT_EQ(at[index_of(r)], best - first);
    }
  }
}

TEST(ExecutorRow, CrossEntropyCountsEachRowOnce) {
  for (const Shape& space : kRows) {
    const std::int64_t cols = space[space.rank() - 1],
                       rows = space.numel() / cols;
    const auto x = random_floats(space.numel(), 5, -3, 3);
    std::vector<std::int64_t> labels(index_of(rows));
    const auto p = softmax(x, cols);
    double want = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      labels[index_of(r)] = r * 7 % cols;
      want -= std::log(p[index_of(r * cols + labels[index_of(r)])]);
    }
    const Strides per_row = reduced_strides(space, 1u << (space.rank() - 1));
    const Strides all = Shape::filled(space.rank(), 0);
    for (const Reduction r : {Reduction::sum, Reduction::mean}) {
      std::vector<float> loss = {1.0f};
      run(cross_entropy_program(r), space,
          {dense(x, space), {labels.data(), DType::int64, per_row}},
          {{loss.data(), DType::float32, all, true}});
      const double expected =
          1 + (r == Reduction::mean ? want / static_cast<double>(rows) : want);
      ASSERT_NEAR(loss[0], expected, 1e-5 * (1 + std::fabs(expected)))
          << to_string(space);
    }
  }
}

// Fused into the row program or over the stored row values: the same bits.
TEST(ExecutorRow, RowSumsHaveTheBitsOfASumOverTheRows) {
  const Shape space = {3001, 20};
  const auto x = random_floats(space.numel(), 6);
  const auto build = [](Reduction r, bool once) {
    return program([&](Builder& b) {
      b.output({b.apply(Op::row_logsumexp, b.leaf({})), r, once});
    });
  };
  std::vector<float> rows(3001), fused(1), alone(1);
  run(build(Reduction::store, true), space, {dense(x, space)},
      {{rows.data(), DType::float32, {1, 0}}});
  run(build(Reduction::mean, true), space, {dense(x, space)},
      {{fused.data(), DType::float32, {0, 0}}});
  run(reduce_program(Reduction::mean), {3001}, {dense(rows, {3001})},
      {{alone.data(), DType::float32, {0}}});
  expect_same_bits(fused, alone);
}

TEST(ExecutorRow, ReducesColumnsBesideRowOperations) {
  // The reverse of layer_norm: dx stored, the gradient of the gain summed over
  // the rows; the sum has the bits of a sum over the stored product.
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({}), g = b.leaf({});
    const Ref e = b.constant(1e-5, DType::float32);
    const Ref normal = b.apply(Op::row_normalize, x, e);
    const Ref product = b.apply(Op::mul, normal, g);
    b.output({product});
    b.output({product, Reduction::sum});
    b.output({b.apply(Op::row_normalize_vjp, x, g, e)});
  });
  for (const Shape& space : kRows) {
    if (space.rank() != 2) continue;
    const auto x = random_floats(space.numel(), 7),
               g = random_floats(space.numel(), 8);
    std::vector<float> product(x.size()), dx(x.size()),
        gain(index_of(space[1])), alone(gain.size());
    run(p, space, {dense(x, space), dense(g, space)},
        {dense_out(product, space),
         {gain.data(), DType::float32, {0, 1}},
         dense_out(dx, space)});
    run(reduce_program(Reduction::sum), space, {dense(product, space)},
        {{alone.data(), DType::float32, {0, 1}}});
    expect_same_bits(gain, alone);
    // A row of dx sums to nothing.
    double first = 0;
    for (std::int64_t j = 0; j < space[1]; ++j) first += dx[index_of(j)];
    EXPECT_NEAR(first, 0, 1e-3);
  }
}

TEST(ExecutorRow, ThreadsDoNotChangeBits) {
  const Shape space = {515, 300};
  const auto x = random_floats(space.numel(), 9);
  std::vector<std::int64_t> labels(515, 3);
  std::vector<float> losses[2] = {{0}, {0}};
  for (const int threads : {1, 2}) {
    const WithThreads with(threads);
    run(cross_entropy_program(Reduction::mean), space,
        {dense(x, space), {labels.data(), DType::int64, {1, 0}}},
        {{losses[threads - 1].data(), DType::float32, {0, 0}}});
  }
  expect_same_bits(losses[0], losses[1]);
}

TEST(ExecutorRow, PickRefusesIndicesOutOfRange) {
  for (const std::int64_t bad : {-1, 10}) {
    for (const std::int64_t rows : {5, 5000}) {
      const Shape space = {rows, 10};
      const std::vector<float> x(index_of(rows * 10), 1.0f);
      std::vector<std::int64_t> labels(index_of(rows), 0);
      labels[index_of(rows - 2)] = bad;
      std::vector<float> loss(1);
      try {
        run(cross_entropy_program(Reduction::mean), space,
            {dense(x, space), {labels.data(), DType::int64, {1, 0}}},
            {{loss.data(), DType::float32, {0, 0}}});
        FAIL() << "no error";
      } catch (const IndexError& e) {
        EXPECT_EQ(std::string(e.what()), "cross_entropy: index " +
                                             std::to_string(bad) +
                                             " is out of range for extent 10");
      }
    }
  }
}

TEST(ExecutorRow, PositionAndLengthOfTheRow) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({});
    const Ref at = b.cast(b.row_index(), DType::float32);
    b.output({b.apply(Op::div, b.apply(Op::add, x, at),
                      b.row_length(DType::float32))});
  });
  for (const Shape& space : kRows) {
    const std::int64_t cols = space[space.rank() - 1];
    const std::vector<float> x(index_of(space.numel()), 0.0f);
    std::vector<float> out(x.size());
    run(p, space, {dense(x, space)}, {dense_out(out, space)});
    for (std::size_t i = 0; i < out.size(); ++i)
      ASSERT_EQ(out[i], static_cast<float>(i % index_of(cols)) /
                            static_cast<float>(cols));
  }
}

}  // namespace
}  // namespace jacquard::testing
