// The stand-in for libcublasLt: handles, the heuristic, and matrix products,
// which are queued on their stream like kernels and computed on the host.
#include <cublasLt.h>

#include <algorithm>
#include <memory>

#include "libraries/cublaslt_compute.h"
#include "libraries/cublaslt_problem.h"
#include "libraries/cublaslt_rules.h"
#include "runtime/library_support.h"

using namespace ptx_emulator::cublaslt;

namespace {

struct StatusText {
  cublasStatus_t status;
  const char* name;
  const char* text;
};
constexpr StatusText kStatusTexts[] = {
    {CUBLAS_STATUS_SUCCESS, "CUBLAS_STATUS_SUCCESS", "success"},
    {CUBLAS_STATUS_NOT_INITIALIZED, "CUBLAS_STATUS_NOT_INITIALIZED",
     "the library was not initialized"},
    {CUBLAS_STATUS_ALLOC_FAILED, "CUBLAS_STATUS_ALLOC_FAILED",
     "the resource allocation failed"},
    {CUBLAS_STATUS_INVALID_VALUE, "CUBLAS_STATUS_INVALID_VALUE",
     "an unsupported value or parameter was passed to the function"},
    {CUBLAS_STATUS_ARCH_MISMATCH, "CUBLAS_STATUS_ARCH_MISMATCH",
     "the function requires an architectural feature absent from the device"},
    {CUBLAS_STATUS_MAPPING_ERROR, "CUBLAS_STATUS_MAPPING_ERROR",
     "an access to GPU memory space failed"},
    {CUBLAS_STATUS_EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED",
     "the function failed to launch on the GPU"},
    {CUBLAS_STATUS_INTERNAL_ERROR, "CUBLAS_STATUS_INTERNAL_ERROR",
     "an internal operation failed"},
    {CUBLAS_STATUS_NOT_SUPPORTED, "CUBLAS_STATUS_NOT_SUPPORTED",
     "the requested functionality is not supported"},
    {CUBLAS_STATUS_LICENSE_ERROR, "CUBLAS_STATUS_LICENSE_ERROR",
     "the license check failed"},
};

StatusText text_of(cublasStatus_t status) {
  for (const StatusText& entry : kStatusTexts)
    if (entry.status == status) return entry;
  return {status, "unrecognized status", "unrecognized status"};
}

// The alignment that the heuristic may expect of a pointer it is shown, up to
// the widest access.
std::uint32_t alignment_of(std::uint64_t address) {
  std::uint32_t alignment = 16;
  while (address % alignment != 0) alignment /= 2;
  return alignment;
}

std::uint64_t address_of(const void* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

Problem problem_of(cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                   cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                   cublasLtMatrixLayout_t d) {
  Problem problem;
  problem.operation = read<MatmulDescription>(operation);
  problem.a = read<MatrixLayout>(a);
  problem.b = read<MatrixLayout>(b);
  problem.c = read<MatrixLayout>(c == nullptr ? d : c);
  problem.d = read<MatrixLayout>(d);
  return problem;
}

Scaling scaling_of(const Problem& problem) {
  Scaling scaling;
  if (problem.operation.pointer_mode == CUBLASLT_POINTER_MODE_DEVICE) {
    scaling.on_device = true;
    scaling.alpha_address = address_of(problem.alpha);
    scaling.beta_address = address_of(problem.beta);
  } else if (problem.operation.scale_type == CUDA_R_64F) {
    scaling.alpha = *static_cast<const double*>(problem.alpha);
    scaling.beta = *static_cast<const double*>(problem.beta);
  } else {
    scaling.alpha = *static_cast<const float*>(problem.alpha);
    scaling.beta = *static_cast<const float*>(problem.beta);
  }
  return scaling;
}

struct Handle {};

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  ptx_emulator_count_call("cublasLtCreate");
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = reinterpret_cast<cublasLtHandle_t>(new Handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  ptx_emulator_count_call("cublasLtDestroy");
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  delete reinterpret_cast<Handle*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasLtGetStatusName(cublasStatus_t status) {
  return text_of(status).name;
}

const char* cublasLtGetStatusString(cublasStatus_t status) {
  return text_of(status).text;
}

size_t cublasLtGetVersion() { return CUBLAS_VERSION; }

size_t cublasLtGetCudartVersion() { return CUDART_VERSION; }

cublasStatus_t cublasLtGetProperty(libraryPropertyType type, int* value) {
  if (value == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  switch (type) {
    case MAJOR_VERSION:
      *value = CUBLAS_VER_MAJOR;
      return CUBLAS_STATUS_SUCCESS;
    case MINOR_VERSION:
      *value = CUBLAS_VER_MINOR;
      return CUBLAS_STATUS_SUCCESS;
    case PATCH_LEVEL:
      *value = CUBLAS_VER_PATCH;
      return CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
    cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
    cublasLtMatmulPreference_t preference, int requested,
    cublasLtMatmulHeuristicResult_t results[], int* returned) {
  constexpr const char* kName = "cublasLtMatmulAlgoGetHeuristic";
  ptx_emulator_count_call(kName);
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (operation == nullptr || a == nullptr || b == nullptr || d == nullptr ||
      preference == nullptr || results == nullptr || returned == nullptr ||
      requested <= 0)
    return CUBLAS_STATUS_INVALID_VALUE;
  *returned = 0;
  const Problem problem = problem_of(operation, a, b, c, d);
  if (const cublasStatus_t status = check(problem, kName)) return status;
  const auto wishes = read<Preference>(preference);
  Algorithm algorithm;
  algorithm.magic = kAlgorithmMagic;
  algorithm.workspace = workspace_for(problem, wishes.max_workspace);
  algorithm.alignment_a = wishes.alignment_a;
  algorithm.alignment_b = wishes.alignment_b;
  algorithm.alignment_c = wishes.alignment_c;
  algorithm.alignment_d = wishes.alignment_d;
  algorithm.alignment_bias = alignment_of(problem.operation.bias);
  algorithm.alignment_aux = alignment_of(problem.operation.aux);
  results[0] = {};
  write(&results[0].algo, algorithm);
  results[0].workspaceSize = algorithm.workspace;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  results[0].wavesCount = 1;
  *returned = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
    cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
    const cublasLtMatmulAlgo_t* algorithm,
    cublasLtMatmulHeuristicResult_t* result) {
  constexpr const char* kName = "cublasLtMatmulAlgoCheck";
  ptx_emulator_count_call(kName);
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (operation == nullptr || a == nullptr || b == nullptr || d == nullptr ||
      algorithm == nullptr || result == nullptr)
    return CUBLAS_STATUS_INVALID_VALUE;
  const auto chosen = read<Algorithm>(algorithm);
  if (chosen.magic != kAlgorithmMagic) return CUBLAS_STATUS_INVALID_VALUE;
  if (const cublasStatus_t status =
          check(problem_of(operation, a, b, c, d), kName))
    return status;
  *result = {};
  result->algo = *algorithm;
  result->workspaceSize = chosen.workspace;
  result->state = CUBLAS_STATUS_SUCCESS;
  result->wavesCount = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void* alpha,
    const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
    cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
    cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
    const cublasLtMatmulAlgo_t* algorithm, void* workspace,
    size_t workspace_bytes, cudaStream_t stream) {
  constexpr const char* kName = "cublasLtMatmul";
  ptx_emulator_count_call(kName);
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (operation == nullptr || a_layout == nullptr || b_layout == nullptr ||
      d_layout == nullptr)
    return CUBLAS_STATUS_INVALID_VALUE;
  auto problem = std::make_shared<Problem>(
      problem_of(operation, a_layout, b_layout, c_layout, d_layout));
  problem->has_addresses = true;
  problem->alpha = alpha;
  problem->beta = beta;
  problem->address_a = address_of(a);
  problem->address_b = address_of(b);
  problem->address_c = address_of(c);
  problem->address_d = address_of(d);
  if (algorithm != nullptr) problem->algorithm = read<Algorithm>(algorithm);
  problem->workspace = address_of(workspace);
  problem->workspace_bytes = workspace_bytes;
  if (const cublasStatus_t status = check(*problem, kName)) return status;
  const Scaling scaling = scaling_of(*problem);
  ptx_emulator::LibraryCall call;
  call.name = kName;
  call.bytes_read = bytes_read(*problem, scaling);
  call.bytes_written = bytes_written(*problem);
  call.work = [problem, scaling] { compute(*problem, scaling); };
  return ptx_emulator_library_launch(stream, call) == cudaSuccess
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
#pragma GCC visibility pop
