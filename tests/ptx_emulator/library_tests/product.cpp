#include "library_tests/product.h"

#include <cstring>

#include "libraries/half.h"

namespace ptx_emulator::testing {
namespace {

std::size_t size_of(cudaDataType type) {
  return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}

template <class T>
void set(cublasLtMatmulDesc_t operation,
         cublasLtMatmulDescAttributes_t attribute, T value) {
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS,
            cublasLtMatmulDescSetAttribute(operation, attribute, &value,
                                           sizeof value));
}

template <class T>
void set(cublasLtMatrixLayout_t layout,
         cublasLtMatrixLayoutAttribute_t attribute, T value) {
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS,
            cublasLtMatrixLayoutSetAttribute(layout, attribute, &value,
                                             sizeof value));
}

cublasLtMatrixLayout_t make_layout(cudaDataType type, std::uint64_t rows,
                                   std::uint64_t columns, std::int64_t ld,
                                   std::int32_t batch, std::int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS,
            cublasLtMatrixLayoutCreate(&layout, type, rows, columns, ld));
  set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, batch);
  set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  return layout;
}

}  // namespace

Product::Product() {
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, cublasLtCreate(&handle));
}

Product::~Product() {
  destroy();
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, cublasLtDestroy(handle));
}

void Product::destroy() {
  if (operation == nullptr) return;
  for (const auto layout : {a_layout, b_layout, c_layout, d_layout})
    EXPECT_EQ(CUBLAS_STATUS_SUCCESS, cublasLtMatrixLayoutDestroy(layout));
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, cublasLtMatmulDescDestroy(operation));
  operation = nullptr;
}

void Product::describe() {
  destroy();
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS,
            cublasLtMatmulDescCreate(&operation, compute, scale));
  set(operation, CUBLASLT_MATMUL_DESC_TRANSA, transpose_a);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSB, transpose_b);
  set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
  set(operation, CUBLASLT_MATMUL_DESC_POINTER_MODE, pointer_mode);
  set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  set(operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, bias_type);
  set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux);
  set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, aux_ld);
  const bool plain_a = transpose_a == CUBLAS_OP_N;
  const bool plain_b = transpose_b == CUBLAS_OP_N;
  const std::uint64_t a_rows = plain_a ? m : k;
  const std::uint64_t b_rows = plain_b ? k : n;
  const auto ld = [this](std::uint64_t rows) {
    return static_cast<std::int64_t>(rows) + extra_ld;
  };
  const auto stride = [](std::int64_t pitch, std::uint64_t columns) {
    return pitch * static_cast<std::int64_t>(columns);
  };
  const std::uint64_t a_columns = plain_a ? k : m;
  const std::uint64_t b_columns = plain_b ? n : k;
  a_layout =
      make_layout(input, a_rows, a_columns, ld(a_rows),
                  batch_a < 0 ? batch : batch_a, stride(ld(a_rows), a_columns));
  b_layout = make_layout(input, b_rows, b_columns, ld(b_rows), batch,
                         stride(ld(b_rows), b_columns));
  const bool by_rows = order_d == CUBLASLT_ORDER_ROW;
  const std::int64_t pitch = ld_d < 0 ? ld(by_rows ? n : m) : ld_d;
  const std::int64_t step =
      batch_stride_d < 0 ? stride(pitch, by_rows ? m : n) : batch_stride_d;
  c_layout = make_layout(output, m, n, pitch, batch, step);
  d_layout = make_layout(output, m, n, pitch, batch, step);
  set(c_layout, CUBLASLT_MATRIX_LAYOUT_ORDER, order_d);
  set(d_layout, CUBLASLT_MATRIX_LAYOUT_ORDER, order_d);
}

cublasStatus_t Product::heuristic(cublasLtMatmulHeuristicResult_t* result) {
  cublasLtMatmulPreference_t preference = nullptr;
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, cublasLtMatmulPreferenceCreate(&preference));
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS,
            cublasLtMatmulPreferenceSetAttribute(
                preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                &max_workspace, sizeof max_workspace));
  for (const auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    EXPECT_EQ(CUBLAS_STATUS_SUCCESS,
              cublasLtMatmulPreferenceSetAttribute(
                  preference, attribute, &alignment, sizeof alignment));
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle, operation, a_layout, b_layout, c_layout, d_layout, preference, 1,
      result, &count);
  EXPECT_EQ(count, status == CUBLAS_STATUS_SUCCESS ? 1 : 0);
  EXPECT_EQ(CUBLAS_STATUS_SUCCESS, cublasLtMatmulPreferenceDestroy(preference));
  return status;
}

cublasStatus_t Product::run(const void* a, const void* b, const void* c,
                            void* d, void* workspace,
                            std::size_t workspace_bytes, cudaStream_t stream) {
  cublasLtMatmulHeuristicResult_t result;
  if (const cublasStatus_t status = heuristic(&result)) return status;
  return run_with(&result.algo, a, b, c, d, workspace, workspace_bytes, stream);
}

cublasStatus_t Product::run_with(const cublasLtMatmulAlgo_t* algorithm,
                                 const void* a, const void* b, const void* c,
                                 void* d, void* workspace,
                                 std::size_t workspace_bytes,
                                 cudaStream_t stream) {
  const auto single_alpha = static_cast<float>(alpha);
  const auto single_beta = static_cast<float>(beta);
  const bool doubles = scale == CUDA_R_64F;
  return cublasLtMatmul(
      handle, operation,
      doubles ? static_cast<const void*>(&alpha) : &single_alpha, a, a_layout,
      b, b_layout, doubles ? static_cast<const void*>(&beta) : &single_beta, c,
      c_layout, d, d_layout, algorithm, workspace, workspace_bytes, stream);
}

void* device_room(std::size_t bytes) {
  void* data = nullptr;
  EXPECT_EQ(cudaSuccess, cudaMalloc(&data, bytes));
  return data;
}

void* device_matrix(const std::vector<double>& values, cudaDataType type) {
  const std::size_t size = size_of(type);
  std::vector<std::byte> bytes(values.size() * size);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto single = static_cast<float>(values[i]);
    const auto put = [&](auto value) {
      std::memcpy(bytes.data() + i * size, &value, size);
    };
    if (type == CUDA_R_64F) put(values[i]);
    if (type == CUDA_R_32F) put(single);
    if (type == CUDA_R_16F) put(float_to_f16(single));
    if (type == CUDA_R_16BF) put(float_to_bf16(single));
  }
  void* data = device_room(bytes.size());
  EXPECT_EQ(cudaSuccess, cudaMemcpy(data, bytes.data(), bytes.size(),
                                    cudaMemcpyHostToDevice));
  return data;
}

std::vector<double> host_values(const void* data, std::size_t count,
                                cudaDataType type) {
  const std::size_t size = size_of(type);
  std::vector<std::byte> bytes(count * size);
  EXPECT_EQ(cudaSuccess, cudaDeviceSynchronize());
  EXPECT_EQ(cudaSuccess, cudaMemcpy(bytes.data(), data, bytes.size(),
                                    cudaMemcpyDeviceToHost));
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t half = 0;
    float single = 0;
    const std::byte* from = bytes.data() + i * size;
    if (size == 2) std::memcpy(&half, from, 2);
    if (size == 4) std::memcpy(&single, from, 4);
    if (type == CUDA_R_16F) single = f16_to_float(half);
    if (type == CUDA_R_16BF) single = bf16_to_float(half);
    values[i] = single;
    if (size == 8) std::memcpy(&values[i], from, 8);
  }
  return values;
}

std::vector<double> numbers(std::size_t count, int seed) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] =
        static_cast<double>((static_cast<int>(i) * 7 + seed * 5) % 13 - 6) / 4;
  return values;
}

}  // namespace ptx_emulator::testing
