// What cublasLtMatmul and its heuristic refuse.
#include <functional>
#include <string>

#include "library_tests/product.h"
#include "runtime/inspect.h"

namespace ptx_emulator::testing {
namespace {

constexpr auto kInvalid = CUBLAS_STATUS_INVALID_VALUE;
constexpr auto kUnsupported = CUBLAS_STATUS_NOT_SUPPORTED;

// A change of a legal product that makes the heuristic refuse it.
struct Refusal {
  const char* name;
  cublasStatus_t status;
  std::function<void(Product&)> change;
};

void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.name;
}

class CublasLtHeuristicTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(CublasLtHeuristicTest, RefusesWhatIsNotDocumented) {
  Product p;
  p.describe();
  cublasLtMatmulHeuristicResult_t result;
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS, p.heuristic(&result));
  GetParam().change(p);
  p.describe();
  EXPECT_EQ(GetParam().status, p.heuristic(&result));
}

INSTANTIATE_TEST_SUITE_P(
    Rules, CublasLtHeuristicTest,
    ::testing::Values(
        Refusal{"ScaleTypeOfAnotherComputation", kUnsupported,
                [](Product& p) { p.scale = CUDA_R_64F; }},
        Refusal{"DoubleOutputOfSingleInputs", kUnsupported,
                [](Product& p) { p.output = CUDA_R_64F; }},
        Refusal{"HalfOutputOfSingleInputs", kUnsupported,
                [](Product& p) { p.output = CUDA_R_16F; }},
        Refusal{"Tf32OfHalves", kUnsupported,
                [](Product& p) {
                  p.compute = CUBLAS_COMPUTE_32F_FAST_TF32;
                  p.input = p.output = CUDA_R_16F;
                }},
        Refusal{"HalfComputation", kUnsupported,
                [](Product& p) {
                  p.compute = CUBLAS_COMPUTE_16F;
                  p.scale = p.input = p.output = CUDA_R_16F;
                }},
        Refusal{"UnknownTranspose", kInvalid,
                [](Product& p) { p.transpose_a = 9; }},
        Refusal{"EmptyMatrix", kInvalid, [](Product& p) { p.m = 0; }},
        Refusal{"SizesBeyondInt32", kUnsupported,
                [](Product& p) { p.m = std::uint64_t{1} << 31; }},
        Refusal{"NarrowLeadingDimension", kInvalid,
                [](Product& p) { p.ld_d = 4; }},
        Refusal{"NegativeLeadingDimension", kInvalid,
                [](Product& p) { p.extra_ld = -10; }},
        Refusal{"DifferentBatchCounts", kInvalid,
                [](Product& p) {
                  p.batch = 2;
                  p.batch_a = 1;
                }},
        Refusal{"OverlappingResults", kInvalid,
                [](Product& p) {
                  p.batch = 2;
                  p.batch_stride_d = 19;
                }},
        Refusal{"UnknownEpilogue", kUnsupported,
                [](Product& p) { p.epilogue = 3; }},
        Refusal{"EpilogueOfRowMajorResult", kUnsupported,
                [](Product& p) {
                  p.order_d = CUBLASLT_ORDER_ROW;
                  p.epilogue = CUBLASLT_EPILOGUE_BIAS;
                }},
        Refusal{"TiledOrder", kUnsupported,
                [](Product& p) { p.order_d = CUBLASLT_ORDER_COL32; }},
        Refusal{"BiasOfAnotherType", kUnsupported,
                [](Product& p) {
                  p.epilogue = CUBLASLT_EPILOGUE_BIAS;
                  p.bias_type = CUDA_R_16F;
                }},
        Refusal{"MaskLeadingDimensionNotOf128", kInvalid,
                [](Product& p) {
                  p.epilogue = CUBLASLT_EPILOGUE_RELU_AUX;
                  p.aux_ld = 64;
                }},
        Refusal{"GeluLeadingDimensionBelowRows", kInvalid,
                [](Product& p) {
                  p.m = 9;
                  p.epilogue = CUBLASLT_EPILOGUE_GELU_AUX;
                  p.aux_ld = 8;
                }},
        Refusal{"VectorPointerMode", kUnsupported,
                [](Product& p) {
                  p.pointer_mode = CUBLASLT_POINTER_MODE_DEVICE_VECTOR;
                }}),
    [](const auto& info) { return std::string(info.param.name); });

class CublasLtCallTest : public ::testing::Test {
 protected:
  void SetUp() override {
    a_ = static_cast<char*>(device_matrix(numbers(32, 1), CUDA_R_32F));
    b_ = static_cast<char*>(device_matrix(numbers(32, 2), CUDA_R_32F));
    d_ = static_cast<char*>(device_matrix(numbers(64, 3), CUDA_R_32F));
    workspace_ = static_cast<char*>(device_room(4096));
    p_.describe();
  }

  void TearDown() override {
    EXPECT_EQ(cudaSuccess, cudaDeviceSynchronize());
    EXPECT_EQ(ptx_emulator_fault_count(), 0u) << ptx_emulator_last_fault();
    ptx_emulator_clear_faults();
  }

  Product p_;
  char *a_ = nullptr, *b_ = nullptr, *d_ = nullptr, *workspace_ = nullptr;
};

TEST_F(CublasLtCallTest, RefusesMissingOperands) {
  EXPECT_EQ(kInvalid, p_.run(nullptr, b_, d_, d_));
  EXPECT_EQ(kInvalid, p_.run(a_, nullptr, d_, d_));
  EXPECT_EQ(kInvalid, p_.run(a_, b_, d_, nullptr));
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(a_, b_, nullptr, d_));
  p_.beta = 1;
  EXPECT_EQ(kInvalid, p_.run(a_, b_, nullptr, d_));
}

TEST_F(CublasLtCallTest, RefusesLessAlignmentThanTheHeuristicWasPromised) {
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(a_ + 4, b_, d_, d_));
  EXPECT_EQ(kInvalid, p_.run(a_ + 2, b_, d_, d_));
  p_.alignment = 16;
  EXPECT_EQ(kInvalid, p_.run(a_ + 4, b_, d_, d_));
  EXPECT_EQ(kInvalid, p_.run(a_, b_ + 8, d_, d_));
  EXPECT_EQ(kInvalid, p_.run(a_, b_, d_ + 4, d_ + 4));
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(a_ + 16, b_, d_, d_));
}

TEST_F(CublasLtCallTest, RefusesAnEpilogueWithoutItsVector) {
  p_.epilogue = CUBLASLT_EPILOGUE_BIAS;
  p_.describe();
  EXPECT_EQ(kInvalid, p_.run(a_, b_, d_, d_));
  p_.bias = a_;
  p_.describe();
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(a_, b_, d_, d_));
}

TEST_F(CublasLtCallTest, RefusesABiasLessAlignedThanTheHeuristicSaw) {
  p_.epilogue = CUBLASLT_EPILOGUE_BIAS;
  p_.bias = a_;
  p_.describe();
  cublasLtMatmulHeuristicResult_t result;
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS, p_.heuristic(&result));
  const void* other = a_ + 4;
  cublasLtMatmulDescSetAttribute(
      p_.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &other, sizeof other);
  EXPECT_EQ(kInvalid,
            p_.run_with(&result.algo, a_, b_, d_, d_, nullptr, 0, nullptr));
}

TEST_F(CublasLtCallTest, RefusesAWorkspaceThatIsSmallOrNotAligned) {
  p_.max_workspace = 1024;
  cublasLtMatmulHeuristicResult_t result;
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS, p_.heuristic(&result));
  EXPECT_EQ(result.workspaceSize, 80u);
  EXPECT_EQ(kInvalid, p_.run(a_, b_, d_, d_, workspace_, 40));
  EXPECT_EQ(kInvalid, p_.run(a_, b_, d_, d_, nullptr, 1024));
  EXPECT_EQ(kInvalid, p_.run(a_, b_, d_, d_, workspace_ + 16, 1024));
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(a_, b_, d_, d_, workspace_, 1024));
}

TEST_F(CublasLtCallTest, OverwritesItsWorkspace) {
  void* workspace = device_matrix(std::vector<double>(64, 1), CUDA_R_32F);
  p_.max_workspace = 256;
  ASSERT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(a_, b_, d_, d_, workspace, 256));
  const auto values = host_values(workspace, 64, CUDA_R_32F);
  EXPECT_NE(values[0], 1);
  EXPECT_NE(values[19], 1);
  EXPECT_EQ(values[20], 1);
}

TEST_F(CublasLtCallTest, RefusesForeignAlgorithms) {
  const cublasLtMatmulAlgo_t foreign{};
  EXPECT_EQ(kInvalid,
            p_.run_with(&foreign, a_, b_, d_, d_, nullptr, 0, nullptr));
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS,
            p_.run_with(nullptr, a_, b_, d_, d_, nullptr, 0, nullptr));
}

TEST_F(CublasLtCallTest, InPlaceNeedsTheSameLayout) {
  p_.beta = 1;
  const std::int64_t other = 6;
  cublasLtMatrixLayoutSetAttribute(p_.c_layout, CUBLASLT_MATRIX_LAYOUT_LD,
                                   &other, sizeof other);
  EXPECT_EQ(kInvalid, p_.run(a_, b_, d_, d_));
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(a_, b_, a_, d_));
}

TEST_F(CublasLtCallTest, RefusesToOverwriteItsInputs) {
  EXPECT_EQ(kInvalid, p_.run(a_, b_, d_, a_));
  EXPECT_EQ(kInvalid, p_.run(a_, b_, d_, b_));
}

TEST_F(CublasLtCallTest, ChecksWholeOperands) {
  void* small = device_room(40);
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(a_, b_, small, small));
  cudaDeviceSynchronize();
  EXPECT_EQ(ptx_emulator_fault_count(), 1u);
  const std::string report = ptx_emulator_last_fault();
  EXPECT_NE(report.find("matrix D"), std::string::npos) << report;
  ptx_emulator_clear_faults();
}

TEST_F(CublasLtCallTest, DoesNotReadWhatNothingWrote) {
  void* unwritten = device_room(256);
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(unwritten, b_, d_, d_));
  cudaDeviceSynchronize();
  EXPECT_EQ(ptx_emulator_fault_count(), 1u);
  ptx_emulator_clear_faults();
  // C is not read with beta = 0.
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, p_.run(a_, b_, unwritten, unwritten));
}

TEST_F(CublasLtCallTest, AttributesHaveTheirSizes) {
  const std::int32_t value = CUBLAS_OP_T;
  EXPECT_EQ(kInvalid,
            cublasLtMatmulDescSetAttribute(
                p_.operation, CUBLASLT_MATMUL_DESC_TRANSA, &value, 8));
  EXPECT_EQ(kInvalid,
            cublasLtMatmulDescSetAttribute(
                p_.operation, CUBLASLT_MATMUL_DESC_TRANSA, nullptr, 4));
  std::int32_t read = -1;
  std::size_t written = 0;
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS,
            cublasLtMatmulDescGetAttribute(
                p_.operation, CUBLASLT_MATMUL_DESC_TRANSA, &read, 4, &written));
  EXPECT_EQ(read, CUBLAS_OP_N);
  EXPECT_EQ(written, 4u);
}

TEST(CublasLtStatusTest, HasTheNamesAndTextsOfTheLibrary) {
  EXPECT_STREQ(cublasLtGetStatusName(CUBLAS_STATUS_INVALID_VALUE),
               "CUBLAS_STATUS_INVALID_VALUE");
  EXPECT_STREQ(cublasLtGetStatusString(CUBLAS_STATUS_NOT_SUPPORTED),
               "the requested functionality is not supported");
  EXPECT_EQ(cublasLtGetVersion(), static_cast<std::size_t>(CUBLAS_VERSION));
}

}  // namespace
}  // namespace ptx_emulator::testing
