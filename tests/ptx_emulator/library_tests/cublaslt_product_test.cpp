// What cublasLtMatmul computes.
#include <cmath>
#include <limits>

#include "library_tests/product.h"
#include "runtime/inspect.h"

namespace ptx_emulator::testing {
namespace {

class CublasLtProductTest : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(ptx_emulator_fault_count(), 0u) << ptx_emulator_last_fault();
    ptx_emulator_clear_faults();
  }
};

// op(A) * op(B) of packed column-major matrices.
std::vector<double> reference(const Product& p, const std::vector<double>& a,
                              const std::vector<double>& b) {
  std::vector<double> d(p.m * p.n, 0);
  for (std::size_t j = 0; j < p.n; ++j)
    for (std::size_t i = 0; i < p.m; ++i)
      for (std::size_t l = 0; l < p.k; ++l) {
        const double x =
            p.transpose_a == CUBLAS_OP_N ? a[i + l * p.m] : a[l + i * p.k];
        const double y =
            p.transpose_b == CUBLAS_OP_N ? b[l + j * p.k] : b[j + l * p.n];
        d[i + j * p.m] += x * y;
      }
  return d;
}

struct Types {
  cublasComputeType_t compute;
  cudaDataType scale, input, output;
};

TEST_F(CublasLtProductTest, ComputesEveryTypeAndTranspose) {
  const Types all[] = {
      {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
      {CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
      {CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
      {CUBLAS_COMPUTE_32F_FAST_16F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
      {CUBLAS_COMPUTE_32F_FAST_16BF, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
      {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_16F},
      {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_32F},
      {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF},
      {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_32F},
      {CUBLAS_COMPUTE_64F, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F},
  };
  for (const Types& types : all)
    for (const auto transpose_a : {CUBLAS_OP_N, CUBLAS_OP_T})
      for (const auto transpose_b : {CUBLAS_OP_N, CUBLAS_OP_T}) {
        Product p;
        p.compute = types.compute;
        p.scale = types.scale;
        p.input = types.input;
        p.output = types.output;
        p.transpose_a = transpose_a;
        p.transpose_b = transpose_b;
        p.m = 19;
        p.n = 18;
        p.k = 3;
        p.alignment = 2;
        p.describe();
        const auto a = numbers(p.m * p.k, 1);
        const auto b = numbers(p.k * p.n, 2);
        void* d = device_room(p.m * p.n * 8);
        ASSERT_EQ(
            CUBLAS_STATUS_SUCCESS,
            p.run(device_matrix(a, p.input), device_matrix(b, p.input), d, d));
        EXPECT_EQ(host_values(d, p.m * p.n, p.output), reference(p, a, b));
      }
}

TEST_F(CublasLtProductTest, IsQueuedOnItsStream) {
  Product p;
  p.describe();
  void* a = device_matrix(numbers(15, 1), CUDA_R_32F);
  void* b = device_matrix(numbers(12, 2), CUDA_R_32F);
  void* d = device_room(80);
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaSuccess,
            cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  ASSERT_EQ(cudaSuccess, cudaDeviceSynchronize());
  ptx_emulator_reset_counters();
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS, p.run(a, b, d, d, nullptr, 0, stream));
  EXPECT_EQ(ptx_emulator_pending(), 1u);
  ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(stream));
  EXPECT_EQ(ptx_emulator_calls("cublasLtMatmul"), 1u);
  ASSERT_EQ(ptx_emulator_launch_count(), 1u);
  ptx_emulator_launch launch;
  ptx_emulator_get_launch(0, &launch);
  EXPECT_STREQ(launch.kernel, "cublasLtMatmul");
  EXPECT_EQ(launch.load_bytes, 4u * (15 + 12));
  EXPECT_EQ(launch.store_bytes, 80u);
}

TEST_F(CublasLtProductTest, ScalesAndAccumulates) {
  Product p;
  p.alpha = 2;
  p.beta = 1;
  p.describe();
  const auto a = numbers(15, 1);
  const auto b = numbers(12, 2);
  const auto c = numbers(20, 3);
  void* d = device_matrix(c, CUDA_R_32F);
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS, p.run(device_matrix(a, CUDA_R_32F),
                                         device_matrix(b, CUDA_R_32F), d, d));
  auto expected = reference(p, a, b);
  for (std::size_t i = 0; i < expected.size(); ++i)
    expected[i] = 2 * expected[i] + c[i];
  EXPECT_EQ(host_values(d, 20, CUDA_R_32F), expected);
}

TEST_F(CublasLtProductTest, ReadsFactorsFromTheDeviceWhenItRuns) {
  Product p;
  p.pointer_mode = CUBLASLT_POINTER_MODE_DEVICE;
  p.describe();
  const auto a = numbers(15, 1);
  const auto b = numbers(12, 2);
  void* device_a = device_matrix(a, CUDA_R_32F);
  void* device_b = device_matrix(b, CUDA_R_32F);
  void* factors = device_matrix({3, 0}, CUDA_R_32F);
  void* d = device_room(80);
  cublasLtMatmulHeuristicResult_t result;
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS, p.heuristic(&result));
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS,
            cublasLtMatmul(p.handle, p.operation, factors, device_a, p.a_layout,
                           device_b, p.b_layout,
                           static_cast<char*>(factors) + 4, d, p.c_layout, d,
                           p.d_layout, &result.algo, nullptr, 0, nullptr));
  auto expected = reference(p, a, b);
  for (double& x : expected) x *= 3;
  EXPECT_EQ(host_values(d, 20, CUDA_R_32F), expected);
}

TEST_F(CublasLtProductTest, LeavesWhatIsBetweenTheColumns) {
  Product p;
  p.ld_d = 7;
  p.describe();
  const auto a = numbers(15, 1);
  const auto b = numbers(12, 2);
  void* d = device_matrix(std::vector<double>(28, -99), CUDA_R_32F);
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS, p.run(device_matrix(a, CUDA_R_32F),
                                         device_matrix(b, CUDA_R_32F), d, d));
  const auto expected = reference(p, a, b);
  const auto values = host_values(d, 28, CUDA_R_32F);
  for (std::size_t j = 0; j < 4; ++j)
    for (std::size_t i = 0; i < 7; ++i)
      EXPECT_EQ(values[i + 7 * j], i < 5 ? expected[i + 5 * j] : -99);
}

TEST_F(CublasLtProductTest, WritesRowMajorResults) {
  Product p;
  p.order_d = CUBLASLT_ORDER_ROW;
  p.describe();
  const auto a = numbers(15, 1);
  const auto b = numbers(12, 2);
  void* d = device_room(80);
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS, p.run(device_matrix(a, CUDA_R_32F),
                                         device_matrix(b, CUDA_R_32F), d, d));
  const auto expected = reference(p, a, b);
  const auto values = host_values(d, 20, CUDA_R_32F);
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t j = 0; j < 4; ++j)
      EXPECT_EQ(values[i * 4 + j], expected[i + 5 * j]);
}

TEST_F(CublasLtProductTest, ComputesBatchesAndBroadcasts) {
  Product p;
  p.batch = 3;
  p.describe();
  const std::int64_t none = 0;
  cublasLtMatrixLayoutSetAttribute(p.a_layout,
                                   CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                   &none, sizeof none);
  const auto a = numbers(15, 1);
  const auto b = numbers(36, 2);
  void* d = device_room(240);
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS, p.run(device_matrix(a, CUDA_R_32F),
                                         device_matrix(b, CUDA_R_32F), d, d));
  const auto values = host_values(d, 60, CUDA_R_32F);
  for (std::size_t entry = 0; entry < 3; ++entry) {
    const auto first = static_cast<std::ptrdiff_t>(entry);
    const auto expected =
        reference(p, a, {b.begin() + 12 * first, b.begin() + 12 * (first + 1)});
    EXPECT_EQ(std::vector<double>(values.begin() + 20 * first,
                                  values.begin() + 20 * (first + 1)),
              expected);
  }
}

TEST_F(CublasLtProductTest, Tf32RoundsTheInputs) {
  Product p;
  p.m = p.n = p.k = 1;
  p.compute = CUBLAS_COMPUTE_32F_FAST_TF32;
  p.describe();
  void* d = device_room(4);
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS,
            p.run(device_matrix({1 + 0x1p-12}, CUDA_R_32F),
                  device_matrix({1}, CUDA_R_32F), d, d));
  EXPECT_EQ(host_values(d, 1, CUDA_R_32F)[0], 1);
}

TEST_F(CublasLtProductTest, HalfProductsAreSummedInSinglePrecision) {
  Product p;
  p.m = p.n = 1;
  p.k = 4096;
  p.input = CUDA_R_16F;
  p.alignment = 2;
  p.describe();
  void* d = device_room(4);
  ASSERT_EQ(
      CUBLAS_STATUS_SUCCESS,
      p.run(device_matrix(std::vector<double>(4096, 1), CUDA_R_16F),
            device_matrix(std::vector<double>(4096, 1), CUDA_R_16F), d, d));
  EXPECT_EQ(host_values(d, 1, CUDA_R_32F)[0], 4096);
}

// ---- epilogues ----

class CublasLtEpilogueTest : public CublasLtProductTest {
 protected:
  void SetUp() override {
    device_a_ = device_matrix(a_, CUDA_R_32F);
    device_b_ = device_matrix(b_, CUDA_R_32F);
    d_ = device_room(80);
    p_.describe();
    plain_ = reference(p_, a_, b_);
  }

  std::vector<double> run() {
    p_.describe();
    EXPECT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(device_a_, device_b_, d_, d_));
    return host_values(d_, 20, CUDA_R_32F);
  }

  Product p_;
  std::vector<double> a_ = numbers(15, 1), b_ = numbers(12, 2), plain_;
  void *device_a_ = nullptr, *device_b_ = nullptr, *d_ = nullptr;
};

TEST_F(CublasLtEpilogueTest, AddsTheBiasOfEachRowThenTakesRelu) {
  const auto bias = numbers(5, 4);
  p_.bias = device_matrix(bias, CUDA_R_32F);
  p_.epilogue = CUBLASLT_EPILOGUE_BIAS;
  const auto biased = run();
  p_.epilogue = CUBLASLT_EPILOGUE_RELU_BIAS;
  const auto relu = run();
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(biased[i], plain_[i] + bias[i % 5]);
    EXPECT_EQ(relu[i], std::max(0.0, biased[i]));
  }
}

TEST_F(CublasLtEpilogueTest, ReluMakesZeroOfNaN) {
  a_[0] = std::numeric_limits<double>::quiet_NaN();
  device_a_ = device_matrix(a_, CUDA_R_32F);
  EXPECT_TRUE(std::isnan(run()[0]));
  p_.epilogue = CUBLASLT_EPILOGUE_RELU;
  EXPECT_EQ(run()[0], 0);
}

TEST_F(CublasLtEpilogueTest, ReluMaskIsWhatTheGradientReads) {
  const auto bias = numbers(5, 4);
  void* mask = device_room(128 / 8 * 4);
  p_.aux = mask;
  p_.aux_ld = 128;
  p_.bias = device_matrix(bias, CUDA_R_32F);
  p_.epilogue = CUBLASLT_EPILOGUE_RELU_AUX_BIAS;
  const auto relu = run();
  void* gradient = device_room(20);
  p_.bias = gradient;
  p_.epilogue = CUBLASLT_EPILOGUE_DRELU_BGRAD;
  const auto back = run();
  std::vector<double> sums(5, 0);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(back[i], relu[i] > 0 ? plain_[i] : 0);
    sums[i % 5] += back[i];
  }
  EXPECT_EQ(host_values(gradient, 5, CUDA_R_32F), sums);
}

double gelu(double x) {
  return 0.5 * x *
         (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

TEST_F(CublasLtEpilogueTest, GeluKeepsItsInputForTheGradient) {
  void* input = device_room(8 * 4 * 4);
  p_.aux = input;
  p_.aux_ld = 8;
  p_.epilogue = CUBLASLT_EPILOGUE_GELU_AUX;
  const auto forward = run();
  p_.epilogue = CUBLASLT_EPILOGUE_DGELU;
  const auto back = run();
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_NEAR(forward[i], gelu(plain_[i]), 1e-6);
    const double slope =
        (gelu(plain_[i] + 1e-5) - gelu(plain_[i] - 1e-5)) / 2e-5;
    EXPECT_NEAR(back[i], plain_[i] * slope, 1e-4);
  }
}

TEST_F(CublasLtEpilogueTest, BiasGradientsSumTheInputs) {
  void* gradient = device_room(20);
  p_.bias = gradient;
  p_.epilogue = CUBLASLT_EPILOGUE_BGRADA;
  EXPECT_EQ(run(), plain_);
  std::vector<double> rows(5, 0);
  for (std::size_t i = 0; i < 15; ++i) rows[i % 5] += a_[i];
  EXPECT_EQ(host_values(gradient, 5, CUDA_R_32F), rows);
  p_.epilogue = CUBLASLT_EPILOGUE_BGRADB;
  EXPECT_EQ(run(), plain_);
  std::vector<double> columns(4, 0);
  for (std::size_t i = 0; i < 12; ++i) columns[i / 3] += b_[i];
  EXPECT_EQ(host_values(gradient, 4, CUDA_R_32F), columns);
}

}  // namespace
}  // namespace ptx_emulator::testing
