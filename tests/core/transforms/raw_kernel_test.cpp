// Kernels of the user's: the same operation on both devices.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/tape/call.h"
#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

// factor · x · y + shift
RawKernelOptions product_options() {
  return {
      .name = "scaled_product",
      .cuda_source = R"(
extern "C" __global__ void scaled_product(const double* x, const double* y,
                                          double* out, long long n,
                                          double factor, long long shift) {
  const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
  if (i < n) out[i] = factor * x[i] * y[i] + (double)shift;
}
)",
      .cpu =
          [](const RawArguments& a) {
            const double* x = a.inputs[0].as<const double>();
            const double* y = a.inputs[1].as<const double>();
            double* out = a.outputs[0].as<double>();
            for (std::int64_t i = 0; i < a.outputs[0].shape.numel(); ++i)
              out[i] = a.scalars[0].floating() * x[i] * y[i] +
                       a.scalars[1].floating();
          },
      .dtypes = {DType::float64, DType::float64},
      .outputs =
          [](const RawArguments& a) {
            if (!(a.inputs[0].shape == a.inputs[1].shape))
              throw ShapeError("scaled_product: shapes differ");
            return std::vector{RawArray{a.inputs[0].shape, DType::float64}};
          },
      .pullback = [](const RawPullback& p) -> Values {
        const TrackedTensor g = p.cotangents[0] * p.scalars[0].floating();
        return {p.needs[0] ? g * p.inputs[1] : TrackedTensor(),
                p.needs[1] ? g * p.inputs[0] : TrackedTensor()};
      },
      .keeps_outputs = false,
  };
}

TEST(RawKernel, ComputesAndIsDifferentiatedToAnyOrder) {
  const RawKernel product = raw_kernel(product_options());
  const TrackedTensor x = f64({1, 2, 3}), y = f64({4, 5, 6});
  EXPECT_EQ(read(product(x, y, 0.5, 1)), (Doubles{3, 6, 10}));
  const auto f = [&](const Values& v) {
    return product(v[0] * v[0], v[1], 2.0, 0);
  };
  const auto first = gradcheck(f, {x, y});
  EXPECT_TRUE(first) << first.message;
  const auto second = gradgradcheck(f, {x, y});
  EXPECT_TRUE(second) << second.message;
}

TEST(RawKernel, IsOneLaunchThatCountsItsBytes) {
  const RawKernel product = raw_kernel(product_options());
  const TrackedTensor x = f64({1, 2, 3}), y = f64({4, 5, 6});
  materialize(product(x, y, 1.0, 0));
  LaunchLog log;
  product(x, y, 1.0, 0);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  EXPECT_EQ(log.count("raw"), 1u);
  EXPECT_STREQ(log.records()[0].op, "scaled_product");
  EXPECT_EQ(log.bytes_read(), 48u);
  EXPECT_EQ(log.bytes_written(), 24u);
}

TEST(RawKernel, InputsAreWrittenAndContiguous) {
  const RawKernel product = raw_kernel(product_options());
  const TrackedTensor x = reshape(f64({1, 2, 3, 4}), {2, 2});
  const TrackedTensor pending = x + 1.0;
  EXPECT_EQ(read(product(transpose(x), pending, 1.0, 0)),
            (Doubles{2, 9, 8, 20}));
  EXPECT_EQ(read(product(expand(f64({2}), {3}), f64({1, 2, 3}), 1.0, 0)),
            (Doubles{2, 4, 6}));
  const TrackedTensor none = zeros({0}, {DType::float64});
  EXPECT_EQ(product(none, none, 1.0, 0).shape(), Shape({0}));
}

// Minimum and maximum of neighbours, as two outputs over shared memory.
TEST(RawKernel, HasSeveralOutputsAndItsOwnGrid) {
  const RawKernel order = raw_kernel({
      .name = "order_pairs",
      .cuda_source = R"(
extern "C" __global__ void pairs(const float* x, float* low, float* high) {
  extern __shared__ float tile[];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  tile[threadIdx.x] = x[i];
  __syncthreads();
  const float a = tile[threadIdx.x & ~1], b = tile[threadIdx.x | 1];
  if (threadIdx.x % 2 == 0) low[i / 2] = a < b ? a : b;
  else high[i / 2] = a < b ? b : a;
}
)",
      .cuda_entry = "pairs",
      .launch =
          [](const RawArguments& a) {
            return RawGrid{.blocks = {static_cast<std::uint32_t>(
                                          a.inputs[0].shape.numel() / 4),
                                      1, 1},
                           .threads = {4, 1, 1},
                           .shared_bytes = 16};
          },
      .cpu =
          [](const RawArguments& a) {
            const float* x = a.inputs[0].as<const float>();
            for (std::int64_t i = 0; i < a.outputs[0].shape.numel(); ++i) {
              const float p = x[2 * i], q = x[2 * i + 1];
              a.outputs[0].as<float>()[i] = p < q ? p : q;
              a.outputs[1].as<float>()[i] = p < q ? q : p;
            }
          },
      .outputs =
          [](const RawArguments& a) {
            const RawArray half{{a.inputs[0].shape.numel() / 2},
                                DType::float32};
            return std::vector{half, half};
          },
      .pullback = [](const RawPullback& p) -> Values {
        const TrackedTensor pairs =
            reshape(p.inputs[0], {p.inputs[0].numel() / 2, 2});
        const TrackedTensor is_low =
            eq(pairs, reshape(p.outputs[0], {p.outputs[0].numel(), 1}));
        const TrackedTensor g = where(is_low, reshape(p.cotangents[0], {-1, 1}),
                                      reshape(p.cotangents[1], {-1, 1}));
        return {reshape(g, p.inputs[0].shape())};
      },
  });
  const TrackedTensor x = cast(f64({3, 1, 4, 2, 5, 9, 8, 6}), DType::float32);
  const Values both = order.all(x);
  EXPECT_EQ(read(both[0]), (Doubles{1, 2, 5, 6}));
  EXPECT_EQ(read(both[1]), (Doubles{3, 4, 9, 8}));
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& v) {
        const Values y = order.all(v);
        return sum(y[0] * 10.0) + sum(y[1]);
      },
      x);
  EXPECT_EQ(read(g), (Doubles{1, 10, 1, 10, 10, 1, 1, 10}));
  EXPECT_TRUE(has(message_of<GraphError>([&] { order(x); }), "2 outputs"));
}

TEST(RawKernel, ComesInOrderWithOtherWork) {
  const RawKernel product = raw_kernel(product_options());
  TrackedTensor x = f64({1, 1});
  for (int i = 0; i < 5; ++i) x = product(x + 1.0, x * 1.0, 1.0, 0);
  double expected = 1;
  for (int i = 0; i < 5; ++i) expected = (expected + 1) * expected;
  EXPECT_EQ(read(x), (Doubles{expected, expected}));
}

// Remembers the one call.
struct Observer final : tape::CallObserver {
  void call(tape::Call& c) override {
    name = c.name;
    operands = c.operands.size();
    scalars = c.scalars;
    again = c.body();
    c.run();
  }
  std::string name;
  int operands = 0;
  tape::Scalars scalars;
  tape::Body again;
};

TEST(RawKernel, IsOneCallThatCanBeRunAgainWithOtherScalars) {
  const RawKernel product = raw_kernel(product_options());
  Observer observer;
  {
    const tape::Observing on(observer);
    product(f64({2}), f64({3}), 1.0, 0);
  }
  EXPECT_EQ(observer.name, "scaled_product");
  EXPECT_EQ(observer.operands, 2);
  ASSERT_EQ(observer.scalars.size(), 2);
  const Values others{f64({4}), f64({5})};
  observer.scalars[0].f = 10;
  tape::Results results;
  observer.again(
      {.operands = others.data(), .scalars = observer.scalars.data()}, results);
  EXPECT_EQ(read(results[0]), (Doubles{200}));
}

TEST(RawKernel, CodeThatIsNotThereForTheDeviceIsNamed) {
  RawKernelOptions options = product_options();
  options.cpu = {};
  options.cuda_source = {};
  const RawKernel bare = raw_kernel(options);
  const std::string m =
      message_of<DeviceError>([&] { bare(f64({1}), f64({1}), 1.0, 0); });
  EXPECT_TRUE(has(m, "scaled_product (called at ")) << m;
  EXPECT_TRUE(has(m, "raw_kernel_test.cpp:")) << m;
  EXPECT_TRUE(has(
      m, default_device() == cpu() ? "RawKernelOptions::cpu" : "cuda_source"))
      << m;
}

TEST(RawKernel, WrongInputsAreErrorsThatSayWhatIsTaken) {
  const RawKernel product = raw_kernel(product_options());
  const TrackedTensor x = f64({1});
  EXPECT_TRUE(has(message_of<DTypeError>(
                      [&] { product(x, cast(x, DType::float32), 1.0, 0); }),
                  "input 1 is float32, but the kernel takes float64"));
  EXPECT_TRUE(has(message_of<GraphError>([&] { product(x, 1.0, 0); }),
                  "1 inputs, but the kernel takes 2"));
  EXPECT_TRUE(has(message_of<ShapeError>([&] {
                    product(x, f64({1, 2}), 1.0, 0);
                  }),
                  "shapes differ"));
  EXPECT_THROW(product(1.0), GraphError);
}

TEST(RawKernel, WithoutAPullbackAGradientIsAnError) {
  RawKernelOptions options = product_options();
  options.pullback = {};
  const RawKernel product = raw_kernel(options);
  const std::string m = message_of<GraphError>([&] {
    gradient([&](const TrackedTensor& v) { return sum(product(v, v, 1.0, 0)); },
             f64({1}));
  });
  EXPECT_TRUE(has(m, "scaled_product (called at ")) << m;
  EXPECT_TRUE(has(m, "no pullback")) << m;
}

TEST(RawKernel, AWrongGradientIsAnErrorThatSaysWhatWasExpected) {
  RawKernelOptions options = product_options();
  options.pullback = [](const RawPullback& p) {
    return Values{sum(p.cotangents[0]), {}};
  };
  const auto loss = [](const RawKernel& kernel) {
    return
        [&kernel](const TrackedTensor& v) { return sum(kernel(v, v, 1.0, 0)); };
  };
  const RawKernel wrong = raw_kernel(options);
  EXPECT_TRUE(has(message_of<ShapeError>([&] {
                    gradient(loss(wrong), f64({1, 2}));
                  }),
                  "argument 0 has shape []"));
  options.pullback = [](const RawPullback& p) {
    return Values{p.cotangents[0]};
  };
  const RawKernel few = raw_kernel(options);
  EXPECT_TRUE(has(message_of<GraphError>([&] {
                    gradient(loss(few), f64({1, 2}));
                  }),
                  "has 1 tensors, but there are 2"));
}

TEST(RawKernel, KeepsOnlyWhatItWasToldTo) {
  RawKernelOptions options = product_options();
  options.keeps_inputs = false;
  options.pullback = [](const RawPullback& p) {
    EXPECT_FALSE(p.inputs[0].defined());
    EXPECT_FALSE(p.outputs[0].defined());
    return Values{p.cotangents[0], p.cotangents[0]};
  };
  const RawKernel sum_like = raw_kernel(options);
  const Tensor memory = f64({1, 2}).data();
  const TrackedTensor x = param(memory);
  const long before = memory.use_count();
  const TrackedTensor y = sum_like(x, x, 1.0, 0);
  EXPECT_EQ(memory.use_count(), before);
  backward(sum(y));
  EXPECT_EQ(read(x.grad()), (Doubles{2, 2}));
}

TEST(RawKernel, AnArrayReadAsAnotherTypeIsAnError) {
  const RawArray a{{2}, DType::float32, nullptr};
  EXPECT_THROW(a.as<double>(), DTypeError);
  EXPECT_NO_THROW(a.as<const float>());
  const RawArray half{{2}, DType::bfloat16, nullptr};
  EXPECT_NO_THROW(half.as<std::uint16_t>());
}

TEST(RawKernel, ASourceThatDoesNotCompileShowsTheLogWithItsLines) {
  if (default_device() == cpu()) GTEST_SKIP() << "needs a GPU";
  RawKernelOptions options = product_options();
  options.cuda_source =
      "\n\nextern \"C\" __global__ void scaled_product() {\n"
      "  no_such_thing();\n}\n";
  const RawKernel broken = raw_kernel(options);
  const std::string m =
      message_of<CudaError>([&] { broken(f64({1}), f64({1}), 1.0, 0); });
  EXPECT_TRUE(has(m, "scaled_product.cu(4): error")) << m;
  EXPECT_TRUE(has(m, "no_such_thing")) << m;
  EXPECT_TRUE(has(m, "4\t  no_such_thing();")) << m;
}

TEST(RawKernel, AnEntryThatIsNotThereIsNamed) {
  if (default_device() == cpu()) GTEST_SKIP() << "needs a GPU";
  RawKernelOptions options = product_options();
  options.cuda_entry = "somebody_else";
  const RawKernel lost = raw_kernel(options);
  const std::string m =
      message_of<CudaError>([&] { lost(f64({1}), f64({1}), 1.0, 0); });
  EXPECT_TRUE(has(m, "extern \"C\" __global__ void somebody_else")) << m;
}

}  // namespace
}  // namespace jacquard
