#include "cuda/libraries/cublaslt.h"

#include <dlfcn.h>

#include <array>
#include <mutex>

#include "cuda/runtime/capture.h"
#include "jacquard/error.h"

namespace jacquard::cuda_backend {
namespace {

constexpr const char* kPackage =
    "install cuBLAS of CUDA 13 or 12 (package libcublas-13-0 or "
    "cuda-libraries-13-0) or put its folder on LD_LIBRARY_PATH";

void* open_library() {
  std::string problems;
  for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    problems += std::string(problems.empty() ? "" : "; ") + dlerror();
  }
  throw DeviceError(
      "matmul: products of floating-point matrices on CUDA "
      "need cuBLASLt: " +
      problems + ": " + kPackage);
}

template <class F>
void find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  if (!function)
    throw DeviceError(std::string("matmul: cuBLASLt has no ") + name + ": " +
                      kPackage);
}

CublasLt load() {
  void* library = open_library();
  CublasLt t{};
#define JACQUARD_FIND(name) find(library, "cublasLt" #name, t.name)
  JACQUARD_FIND(GetStatusName);
  JACQUARD_FIND(Create);
  JACQUARD_FIND(Matmul);
  JACQUARD_FIND(MatmulDescCreate);
  JACQUARD_FIND(MatmulDescDestroy);
  JACQUARD_FIND(MatmulDescSetAttribute);
  JACQUARD_FIND(MatrixLayoutCreate);
  JACQUARD_FIND(MatrixLayoutDestroy);
  JACQUARD_FIND(MatrixLayoutSetAttribute);
  JACQUARD_FIND(MatmulPreferenceCreate);
  JACQUARD_FIND(MatmulPreferenceDestroy);
  JACQUARD_FIND(MatmulPreferenceSetAttribute);
  JACQUARD_FIND(MatmulAlgoGetHeuristic);
  JACQUARD_FIND(MatmulAlgoCheck);
#undef JACQUARD_FIND
  return t;
}

}  // namespace

const CublasLt& cublaslt() {
  static const CublasLt table = load();
  return table;
}

// Never destroyed: at the end of the process the driver may be gone.
cublasLtHandle_t cublaslt_handle(int device) {
  static std::mutex mutex;
  static std::array<cublasLtHandle_t, 128> handles{};
  const std::lock_guard lock(mutex);
  cublasLtHandle_t& handle = handles[static_cast<std::size_t>(device)];
  if (handle) return handle;
  const OutsideCapture outside;
  check_cublaslt(cublaslt().Create(&handle), "cublasLtCreate");
  return handle;
}

void throw_cublaslt(cublasStatus_t status, const char* call,
                    const std::string& what) {
  throw CudaError(what + ": " + call + ": " + cublaslt().GetStatusName(status));
}

}  // namespace jacquard::cuda_backend
