// cuBLASLt, opened at its first use.
#pragma once

#include <cublasLt.h>

#include <string>

namespace jacquard::cuda_backend {

// The entry points that we call.
struct CublasLt {
  decltype(&::cublasLtGetStatusName) GetStatusName;
  decltype(&::cublasLtCreate) Create;
  decltype(&::cublasLtMatmul) Matmul;
  decltype(&::cublasLtMatmulDescCreate) MatmulDescCreate;
  decltype(&::cublasLtMatmulDescDestroy) MatmulDescDestroy;
  decltype(&::cublasLtMatmulDescSetAttribute) MatmulDescSetAttribute;
  decltype(&::cublasLtMatrixLayoutCreate) MatrixLayoutCreate;
  decltype(&::cublasLtMatrixLayoutDestroy) MatrixLayoutDestroy;
  decltype(&::cublasLtMatrixLayoutSetAttribute) MatrixLayoutSetAttribute;
  decltype(&::cublasLtMatmulPreferenceCreate) MatmulPreferenceCreate;
  decltype(&::cublasLtMatmulPreferenceDestroy) MatmulPreferenceDestroy;
  decltype(&::cublasLtMatmulPreferenceSetAttribute)
      MatmulPreferenceSetAttribute;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) MatmulAlgoGetHeuristic;
  decltype(&::cublasLtMatmulAlgoCheck) MatmulAlgoCheck;
};

// DeviceError that names the package if the library or one of its functions is
// not there.
const CublasLt& cublaslt();

// The handle of a device, which is current. Any thread may use it.
cublasLtHandle_t cublaslt_handle(int device);

// CudaError with `what`, the call and the name of the status.
[[noreturn]] void throw_cublaslt(cublasStatus_t status, const char* call,
                                 const std::string& what);

inline void check_cublaslt(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) throw_cublaslt(status, call, "matmul");
}

}  // namespace jacquard::cuda_backend
