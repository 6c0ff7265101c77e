// A product of matrices through cublasLt, with every input of the call open to
// change, for tests of what is computed and of what is refused.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace ptx_emulator::testing {

// m x n = m x k times k x n, column-major unless a layout is changed.
class Product {
 public:
  std::uint64_t m = 5, n = 4, k = 3;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType scale = CUDA_R_32F;
  cudaDataType input = CUDA_R_32F, output = CUDA_R_32F;
  std::int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  std::int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t order_d = CUBLASLT_ORDER_COL;
  std::int32_t batch = 1;
  double alpha = 1, beta = 0;
  std::int64_t extra_ld = 0;         // of A, B and D
  std::int64_t ld_d = -1;            // other than that
  std::int64_t batch_stride_d = -1;  // other than that of packed matrices
  std::int32_t batch_a = -1;         // other than `batch`
  std::uint32_t alignment = 4;       // asked of the heuristic
  std::uint64_t max_workspace = 0;
  std::int64_t aux_ld = 0;
  const void* bias = nullptr;
  const void* aux = nullptr;
  std::int32_t bias_type = -1;

  Product();
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  // Makes the descriptors from the members above.
  void describe();
  cublasStatus_t heuristic(cublasLtMatmulHeuristicResult_t* result);
  // The call with the heuristic's algorithm.
  cublasStatus_t run(const void* a, const void* b, const void* c, void* d,
                     void* workspace = nullptr, std::size_t workspace_bytes = 0,
                     cudaStream_t stream = nullptr);
  // The same with any algorithm, or null.
  cublasStatus_t run_with(const cublasLtMatmulAlgo_t* algorithm, const void* a,
                          const void* b, const void* c, void* d,
                          void* workspace, std::size_t workspace_bytes,
                          cudaStream_t stream);

  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a_layout = nullptr, b_layout = nullptr;
  cublasLtMatrixLayout_t c_layout = nullptr, d_layout = nullptr;
  cublasLtHandle_t handle = nullptr;

 private:
  void destroy();
};

// Device memory with these values, converted to a type.
void* device_matrix(const std::vector<double>& values, cudaDataType type);
// Unwritten device memory.
void* device_room(std::size_t bytes);
// What device memory holds, after everything queued has run.
std::vector<double> host_values(const void* data, std::size_t count,
                                cudaDataType type);
// Small values, exactly representable in all types.
std::vector<double> numbers(std::size_t count, int seed);

}  // namespace ptx_emulator::testing
