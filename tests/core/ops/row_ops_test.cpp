#include "jacquard/row_ops.h"

#include <functional>

#include "tests/core/ops/elementwise_testing.h"

namespace jacquard::testing {
namespace {

// softmax of rows of `columns`.
Doubles ref_softmax(const Doubles& x, std::size_t columns) {
  Doubles y(x.size());
  for (std::size_t r = 0; r < x.size(); r += columns) {
    double top = -kInf, total = 0;
    for (std::size_t i = r; i < r + columns; ++i) top = std::max(top, x[i]);
    for (std::size_t i = r; i < r + columns; ++i)
      total += y[i] = std::exp(x[i] - top);
    for (std::size_t i = r; i < r + columns; ++i) y[i] /= total;
  }
  return y;
}

Doubles logs(Doubles x) {
  for (double& v : x) v = std::log(v);
  return x;
}

const Doubles kRows = {0.3, -1.2, 2.5, 0.0, 4.1, -0.7, 1.1, 1.1};

TEST(RowOps, SoftmaxAlongTheLastAxis) {
  const TrackedTensor x = f64(kRows, {2, 4});
  expect_near(softmax(x).to_host<double>(), ref_softmax(kRows, 4), 1e-15);
  expect_near(log_softmax(x).to_host<double>(), logs(ref_softmax(kRows, 4)),
              1e-14);
  EXPECT_FALSE(softmax(x).is_pending());
}

TEST(RowOps, SoftmaxAlongAnotherAxis) {
  const TrackedTensor x = f64(kRows, {4, 2});
  const TrackedTensor by_rows = softmax(transpose(x), 1);
  EXPECT_EQ(softmax(x, 0).shape(), (Shape{4, 2}));
  EXPECT_EQ(softmax(x, 0).to_host<double>(),
            transpose(by_rows).to_host<double>());
  EXPECT_EQ(log_softmax(x, -2).to_host<double>(),
            transpose(log_softmax(transpose(x))).to_host<double>());
  EXPECT_EQ(softmax(f64(kRows, {2, 2, 2}), 1).shape(), (Shape{2, 2, 2}));
}

TEST(RowOps, SoftmaxDerivatives) {
  for (const int axis : {0, 1}) {
    expect_differentiable("softmax",
                          [&](const auto& in) { return softmax(in[0], axis); },
                          {f64({0.3, -1.2, 2.5, 0.1, 1, -0.7}, {2, 3})});
    expect_differentiable(
        "log_softmax", [&](const auto& in) { return log_softmax(in[0], axis); },
        {f64({0.3, -1.2, 2.5, 0.1, 1, -0.7}, {2, 3})});
  }
  expect_differentiable(
      "softmax of a pending operand",
      [](const auto& in) { return softmax(sin(in[0]) * in[1]); },
      {f64({0.3, -1.2, 2.5, 0.1}, {2, 2}), f64({0.7, 1.3})});
}

TEST(RowOps, SoftmaxOfExtremesAndSmallShapes) {
  expect_near(softmax(f64({1000, 1000, -kInf})).to_host<double>(), {.5, .5, 0},
              0);
  expect_near(softmax(f64({1, kNaN})).to_host<double>(), {kNaN, kNaN}, 0);
  expect_near(log_softmax(f64({-1e4, 1e4})).to_host<double>(), {-2e4, 0}, 0);
  EXPECT_EQ(softmax(scalar(3.0)).shape(), Shape{});
  EXPECT_EQ(softmax(scalar(3.0)).item<double>(), 1);
  EXPECT_EQ(log_softmax(scalar(3.0), 0).item<double>(), 0);
  EXPECT_EQ(softmax(zeros({3, 0})).shape(), (Shape{3, 0}));
  EXPECT_EQ(softmax(zeros({0, 3})).shape(), (Shape{0, 3}));
  EXPECT_EQ(softmax(zeros({0, 3}), 0).to_host<float>().size(), 0u);
  const TrackedTensor x =
      param(scalar(3.0, {DType::float64, default_device()}));
  backward(softmax(x));
  EXPECT_EQ(x.grad().item<double>(), 0);
}

TEST(RowOps, SoftmaxTakesIntegersAndHalves) {
  EXPECT_EQ(softmax(arange(3)).dtype(), DType::float32);
  const TrackedTensor h = cast(f32({1, 2, 3}), DType::float16);
  EXPECT_EQ(softmax(h).dtype(), DType::float16);
  const Doubles expected = softmax(f32({1, 2, 3})).to_host<double>();
  expect_near(softmax(h).to_host<double>(), expected, 1e-3);
}

TEST(RowOps, SoftmaxNamesAnAxisOutOfRange) {
  const std::string message = message_of<IndexError>([] {
    softmax(zeros({2, 3}), 2);
  });
  EXPECT_NE(message.find("softmax"), std::string::npos) << message;
  EXPECT_NE(message.find("[2, 3]"), std::string::npos) << message;
  EXPECT_THROW(softmax(scalar(1.0), 1), IndexError);
}

Doubles ref_losses(const Doubles& z, std::size_t columns,
                   const std::vector<std::int64_t>& target) {
  const Doubles p = ref_softmax(z, columns);
  Doubles losses;
  for (std::size_t r = 0; r < target.size(); ++r)
    losses.push_back(
        -std::log(p[r * columns + static_cast<std::size_t>(target[r])]));
  return losses;
}

TEST(RowOps, CrossEntropyReducesAsAsked) {
  const TrackedTensor z = f64(kRows, {2, 4});
  const TrackedTensor t = tensor<std::int64_t>({2, 1});
  const Doubles losses = ref_losses(kRows, 4, {2, 1});
  const TrackedTensor none = cross_entropy(z, t, LossReduction::none);
  EXPECT_EQ(none.shape(), Shape{2});
  expect_near(none.to_host<double>(), losses, 1e-14);
  const TrackedTensor mean = cross_entropy(z, t);
  EXPECT_EQ(mean.shape(), Shape{});
  EXPECT_FALSE(mean.is_pending());
  expect_near(mean.to_host<double>(), {(losses[0] + losses[1]) / 2}, 1e-14);
  expect_near(cross_entropy(z, t, LossReduction::sum).to_host<double>(),
              {losses[0] + losses[1]}, 1e-14);
}

TEST(RowOps, CrossEntropyDerivatives) {
  const TrackedTensor t = tensor<std::int64_t>({2, 0, 2});
  const TrackedTensor z =
      f64({0.3, -1.2, 2.5, 0.1, 1, -0.7, 0.2, 0.2, 0.3}, {3, 3});
  for (const auto how :
       {LossReduction::none, LossReduction::mean, LossReduction::sum}) {
    expect_differentiable(
        "cross_entropy",
        [&](const auto& in) { return cross_entropy(in[0], t, how); }, {z});
    expect_differentiable(
        "cross_entropy of a pending operand",
        [&](const auto& in) { return cross_entropy(in[0] + in[1], t, how); },
        {z, f64({0.1, 0.5, -0.2})});
  }
}

TEST(RowOps, CrossEntropyGradientIsProbabilityMinusTarget) {
  const Doubles p = ref_softmax({0.3, -1.2, 2.5}, 3);
  const TrackedTensor z = param(f64({0.3, -1.2, 2.5}, {1, 3}));
  backward(cross_entropy(z, tensor<std::int64_t>({1})));
  expect_near(z.grad().to_host<double>(), {p[0], p[1] - 1, p[2]}, 1e-14);
}

TEST(RowOps, CrossEntropyOfOneRowAndOfNone) {
  const double expected = ref_losses({0.3, -1.2, 2.5}, 3, {1})[0];
  const TrackedTensor z = f64({0.3, -1.2, 2.5});
  for (const auto how :
       {LossReduction::none, LossReduction::mean, LossReduction::sum}) {
    const TrackedTensor loss = cross_entropy(z, 1, how);
    EXPECT_EQ(loss.shape(), Shape{});
    EXPECT_NEAR(loss.item<double>(), expected, 1e-14);
  }
  const TrackedTensor no_rows = zeros({0, 3});
  const TrackedTensor no_target = zeros({0}, {DType::int64, default_device()});
  EXPECT_EQ(cross_entropy(no_rows, no_target, LossReduction::sum).item<float>(),
            0);
  EXPECT_TRUE(std::isnan(cross_entropy(no_rows, no_target).item<float>()));
  EXPECT_EQ(cross_entropy(no_rows, no_target, LossReduction::none).shape(),
            Shape{0});
}

TEST(RowOps, CrossEntropyTakesInt32TargetsAndHalfLogits) {
  const TrackedTensor z = f64(kRows, {2, 4});
  EXPECT_EQ(cross_entropy(z, tensor<std::int32_t>({2, 1})).item<double>(),
            cross_entropy(z, tensor<std::int64_t>({2, 1})).item<double>());
  // Rounding log Σ eᶻ ≈ 1000 to float16 would lose the loss.
  const TrackedTensor h = cast(z + 1000.0, DType::float16);
  const TrackedTensor loss = cross_entropy(h, tensor<std::int64_t>({2, 1}));
  EXPECT_EQ(loss.dtype(), DType::float16);
  const double exact =
      cross_entropy(cast(h, DType::float32), tensor<std::int64_t>({2, 1}))
          .item<float>();
  EXPECT_EQ(loss.item<float>(),
            half_to_float(float_to_half(static_cast<float>(exact))));
}

TEST(RowOps, CrossEntropyNamesWhatDoesNotFit) {
  const TrackedTensor z = zeros({2, 3});
  const TrackedTensor three = tensor<std::int64_t>({0, 1, 2});
  const std::string shapes =
      message_of<ShapeError>([&] { cross_entropy(z, three); });
  EXPECT_NE(shapes.find("[2, 3]"), std::string::npos) << shapes;
  EXPECT_NE(shapes.find("[3]"), std::string::npos) << shapes;
  EXPECT_THROW(cross_entropy(zeros({2, 3, 4}), three), ShapeError);
  EXPECT_THROW(cross_entropy(z, f32({0, 1})), DTypeError);
  EXPECT_THROW(cross_entropy(tensor<std::int64_t>({{1, 2}}), three),
               DTypeError);
  for (const std::int64_t wrong : {-1, 3})
    EXPECT_THROW(
        cross_entropy(z, tensor<std::int64_t>({0, wrong})).item<float>(),
        IndexError);
}

Doubles ref_normalize(const Doubles& x, std::size_t columns, double eps) {
  Doubles y(x.size());
  for (std::size_t r = 0; r < x.size(); r += columns) {
    double mean = 0, var = 0;
    for (std::size_t i = r; i < r + columns; ++i)
      mean += x[i] / static_cast<double>(columns);
    for (std::size_t i = r; i < r + columns; ++i)
      var += (x[i] - mean) * (x[i] - mean) / static_cast<double>(columns);
    for (std::size_t i = r; i < r + columns; ++i)
      y[i] = (x[i] - mean) / std::sqrt(var + eps);
  }
  return y;
}

TEST(RowOps, LayerNormNormalizesScalesAndShifts) {
  const TrackedTensor x = f64(kRows, {2, 4});
  const Doubles y = ref_normalize(kRows, 4, 1e-5);
  expect_near(layer_norm(x, {}, {}).to_host<double>(), y, 1e-13);
  const Doubles w = {1, 2, 3, 4}, b = {0.5, 0, -1, 2};
  Doubles scaled = y, shifted = y;
  for (std::size_t i = 0; i < y.size(); ++i) {
    scaled[i] *= w[i % 4];
    shifted[i] = scaled[i] + b[i % 4];
  }
  expect_near(layer_norm(x, f64(w), {}).to_host<double>(), scaled, 1e-13);
  const TrackedTensor full_norm = layer_norm(x, f64(w), f64(b));
  EXPECT_FALSE(full_norm.is_pending());
  expect_near(full_norm.to_host<double>(), shifted, 1e-12);
}

TEST(RowOps, LayerNormDerivatives) {
  const TrackedTensor x = f64({0.3, -1.2, 2.5, 0.1, 1, -0.7}, {2, 3});
  expect_differentiable(
      "layer_norm of x",
      [](const auto& in) { return layer_norm(in[0], {}, {}, 1e-2); }, {x});
  expect_differentiable(
      "layer_norm",
      [](const auto& in) { return layer_norm(in[0], in[1], in[2], 1e-2); },
      {x, f64({1, 2, 3}), f64({0.1, 0.2, 0.3})});
  expect_differentiable(
      "layer_norm of a pending operand",
      [](const auto& in) { return layer_norm(in[0] * in[1], in[1], {}, 1e-2); },
      {x, f64({1, 2, 3})});
}

TEST(RowOps, LayerNormKeepsHalvesAndShapes) {
  const TrackedTensor x = f32({1, 2, 4, 8});
  const TrackedTensor h = cast(x, DType::bfloat16);
  EXPECT_EQ(layer_norm(h, cast(ones({4}), DType::bfloat16), {}).dtype(),
            DType::bfloat16);
  EXPECT_EQ(layer_norm(h, ones({4}), {}).dtype(), DType::float32);
  EXPECT_EQ(layer_norm(zeros({2, 0}), {}, {}).shape(), (Shape{2, 0}));
  EXPECT_EQ(layer_norm(zeros({0, 4}), ones({4}), {}).shape(), (Shape{0, 4}));
  EXPECT_EQ(layer_norm(arange(4), {}, {}).dtype(), DType::float32);
  const std::string message =
      message_of<ShapeError>([&] { layer_norm(x, ones({3}), {}); });
  EXPECT_NE(message.find("weight [3]"), std::string::npos) << message;
  EXPECT_NE(message.find("[4]"), std::string::npos) << message;
  EXPECT_THROW(layer_norm(scalar(1.0), {}, {}), ShapeError);
}

std::size_t launches_of(const std::function<void()>& f) {
  const LaunchLog log;
  f();
  EXPECT_LE(log.launches(), 1u) << log.to_string();
  return log.launches();
}

TEST(RowOps, APendingOperandIsComputedInTheSameLaunch) {
  if (!fusion_enabled()) GTEST_SKIP() << "nothing is pending";
  const TrackedTensor h = param(f64(kRows, {2, 4}));
  const TrackedTensor b = f64({1, 2, 3, 4});
  const TrackedTensor t = tensor<std::int64_t>({2, 1});
  TrackedTensor y;
  EXPECT_EQ(launches_of([&] { y = softmax(h + b); }), 1u);
  EXPECT_EQ(launches_of([&] { y = layer_norm(h + b, b, b); }), 1u);
  EXPECT_EQ(launches_of([&] { y = cross_entropy(h + b, t); }), 1u);
  EXPECT_EQ(launches_of([&] { backward(y); }), 1u);
}

}  // namespace
}  // namespace jacquard::testing
