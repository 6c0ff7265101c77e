// Anomaly mode: the first NaN or infinity is an error that says where.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

using Doubles = std::vector<double>;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

TrackedTensor f64(std::initializer_list<double> v) { return tensor(v); }

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const NumericError& e) {
    return e.what();
  }
  return "no error";
}

std::string at_line(int line) {
  return "anomaly_test.cpp:" + std::to_string(line) + ")";
}

#define EXPECT_SAYS(message, text) \
  EXPECT_NE((message).find(text), std::string::npos) << (message)

TEST(Anomaly, NamesTheFirstOperationOfAFusedRegion) {
  const AnomalyMode on;
  const TrackedTensor x = f64({1, -1, 2});
  const TrackedTensor y = x * 2.0;
  const TrackedTensor bad = log(y);
  const int line = __LINE__ - 1;
  const TrackedTensor z = exp(bad) + 1.0;
  const std::string message = message_of([&] { materialize(z); });
  EXPECT_SAYS(message, "log (called at");
  EXPECT_SAYS(message, at_line(line));
  EXPECT_SAYS(message, "gave NaN in its result, float64[3] of float64[3]");
  EXPECT_TRUE(z.is_pending());
  const AnomalyMode off(Anomaly::off);
  EXPECT_TRUE(std::isnan(z.to_host<double>()[1]));
}

TEST(Anomaly, NamesInfinities) {
  const AnomalyMode on;
  const std::string message = message_of([] {
    materialize(1.0 / f64({1, 0}) + 2.0);
  });
  EXPECT_SAYS(message, "div");
  EXPECT_SAYS(message, "gave Inf");
  const AnomalyMode only_nan(Anomaly::nan);
  EXPECT_EQ((1.0 / f64({1, 0})).to_host<double>(), (Doubles{1, kInf}));
  EXPECT_THROW(materialize(f64({kInf}) - f64({kInf})), NumericError);
}

TEST(Anomaly, SaysWhatCameInWithAnOperand) {
  const AnomalyMode on;
  const TrackedTensor p = param(f64({1, kNaN}));
  std::string message = message_of([&] { materialize(p * 2.0); });
  EXPECT_SAYS(message, "mul (called at");
  EXPECT_SAYS(message, "NaN came in with operand 0, a param, float64[2]");
  message = message_of([&] { materialize(f64({1, 2}) + f64({kInf, 0})); });
  EXPECT_SAYS(message, "Inf came in with operand 1, a constant");
  message = message_of([&] { transpose(tensor({{kNaN, 1.}}), 0, 1); });
  EXPECT_SAYS(message, "transpose (called at");
  EXPECT_SAYS(message, "came in with operand 0, a constant, float64[1, 2]");
}

TEST(Anomaly, ChecksProductsReductionsAndRows) {
  const AnomalyMode on;
  const TrackedTensor huge = f64({1e200, 1e200});
  std::string message = message_of([&] {
    materialize(matmul(reshape(huge, {1, 2}), reshape(huge, {2, 1})));
  });
  EXPECT_SAYS(message, "matmul (called at");
  EXPECT_SAYS(message, "float64[1, 1] of float64[1, 2], float64[2, 1]");
  message = message_of([&] { materialize(prod(huge)); });
  EXPECT_SAYS(message, "prod");
  message = message_of([&] { materialize(softmax(f64({kInf, 1}), 0)); });
  EXPECT_SAYS(message, "came in with operand 0");
}

TEST(Anomaly, NamesTheOperationWhoseReverseIsBad) {
  const AnomalyMode on;
  const TrackedTensor x = param(f64({4, 0}));
  const TrackedTensor h = x * 3.0;
  const TrackedTensor root = sqrt(h);
  const int line = __LINE__ - 1;
  const TrackedTensor y = sum(root * 2.0);
  const std::string message = message_of([&] { backward(y); });
  EXPECT_SAYS(message, "the reverse of sqrt float64[2]");
  EXPECT_SAYS(message, at_line(line));
  EXPECT_SAYS(message, "gave Inf in the gradient of input 0, float64[2]");
  EXPECT_FALSE(x.grad().defined());
}

TEST(Anomaly, WorksInTransformsAndCheckpoints) {
  const AnomalyMode on;
  const auto f = [](const TrackedTensor& a) {
    return sum(sqrt(a * 2.0) * 3.0);
  };
  EXPECT_SAYS(message_of([&] {
                gradient(f, f64({0, 1}));
              }),
              "the reverse of sqrt");
  EXPECT_SAYS(
      message_of([&] {
        gradient([&](auto& a) { return checkpoint(f, a); }, f64({0, 1}));
      }),
      "the reverse of sqrt");
}

TEST(Anomaly, NamesTheRegionOfATapeOfBefore) {
  const TrackedTensor x = param(f64({0}));
  const TrackedTensor y = materialize(sqrt(x * 3.0) * 2.0);
  const AnomalyMode on;
  EXPECT_SAYS(message_of([&] { backward(y); }),
              "the reverse of mul float64[1]");
}

TEST(Anomaly, ChecksSeedsAndHooks) {
  const AnomalyMode on;
  const TrackedTensor x = param(f64({2}));
  EXPECT_SAYS(message_of([&] { backward(x * 2.0, f64({kNaN})); }), "the seed");
  const TrackedTensor y = x * 2.0;
  y.hook([](const TrackedTensor&) { return f64({kInf}); });
  EXPECT_SAYS(message_of([&] { backward(y * 1.0); }), "its hook");
}

TEST(Anomaly, LeavesGoodStepsAlone) {
  const TrackedTensor x = tensor({{0.5, -1.}, {2., 0.1}});
  const TrackedTensor w = param(tensor({{0.3, 1.}, {-2., 0.7}}));
  const TrackedTensor b = param(f64({0.1, 0.2}));
  const auto step = [&] {
    w.clear_grad();
    b.clear_grad();
    backward(mean(square(tanh(matmul(x, w) + b))));
    return std::vector{w.grad().to_host<double>(), b.grad().to_host<double>()};
  };
  const auto want = step();
  const AnomalyMode on;
  EXPECT_EQ(step(), want);
}

TEST(Anomaly, ReadsNothingWhenItIsOff) {
  const TrackedTensor x = param(f64({4, 0}));
  const auto reads = [&] {
    LaunchLog log;
    backward(sum(square(x * 3.0)));
    return log.host_reads();
  };
  const AnomalyMode off(Anomaly::off);
  EXPECT_EQ(reads(), 0u);
  {
    const AnomalyMode on;
    EXPECT_EQ(anomaly_mode(), Anomaly::nan_or_inf);
    EXPECT_GT(reads(), 0u);
  }
  EXPECT_EQ(anomaly_mode(), Anomaly::off);
  EXPECT_EQ(reads(), 0u);
}

}  // namespace
}  // namespace jacquard
