#include "cuda/libraries/strided_product.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "cuda/libraries/cublaslt.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/profiler_range.h"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {
namespace {

// Programs that never repeat a size don't grow for ever.
constexpr std::size_t kMostPlans = 4096;

bool tf32() {
  static const bool on = [] {
    const char* value = std::getenv("JACQUARD_TF32");
    return value && std::strcmp(value, "1") == 0;
  }();
  return on;
}

cudaDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return CUDA_R_16F;
    case DType::bfloat16:
      return CUDA_R_16BF;
    case DType::float64:
      return CUDA_R_64F;
    default:
      return CUDA_R_32F;
  }
}

std::string text_of(const StridedProduct& p) {
  const auto number = [](std::int64_t n) { return std::to_string(n); };
  return "matmul: " + (p.batch == 1 ? "" : number(p.batch) + " times ") + "[" +
         number(p.m) + ", " + number(p.k) + "] × [" + number(p.k) + ", " +
         number(p.n) + "] of " + std::string(name_of(p.dtype)) + " to " +
         std::string(name_of(p.out_dtype));
}

// The library asks no more than 256.
std::uint32_t alignment(const void* data) {
  const auto bits = reinterpret_cast<std::uintptr_t>(data) | 256;
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}

// What a plan depends on.
using Key = std::array<std::uint64_t, 10>;

Key key_of(const StridedProduct& p, int device) {
  const auto word = [](std::int64_t x) {
    return static_cast<std::uint64_t>(x);
  };
  std::uint64_t rest = word(device);
  const auto append = [&](std::uint64_t value, int bits) {
    rest = rest << bits | value;
  };
  append(static_cast<std::uint64_t>(p.dtype), 3);
  append(static_cast<std::uint64_t>(p.out_dtype), 3);
  append(p.a.transposed, 1);
  append(p.b.transposed, 1);
  append(alignment(p.a.data), 9);
  append(alignment(p.b.data), 9);
  append(alignment(p.c), 9);
  append(p.bias ? alignment(p.bias) : 0, 9);
  return {word(p.m),
          word(p.n),
          word(p.k),
          word(p.batch),
          word(p.a.leading),
          word(p.b.leading),
          word(p.a.batch_stride),
          word(p.b.batch_stride),
          word(p.c_batch_stride),
          rest};
}

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t h = 0xcbf29ce484222325;  // as FNV-1a, by words
    for (const std::uint64_t word : key) {
      h = (h ^ word) * 0x9e3779b97f4a7c15;
      h ^= h >> 29;
    }
    return h;
  }
};

template <class Descriptor>
using Owned = std::unique_ptr<std::remove_pointer_t<Descriptor>,
                              cublasStatus_t (*)(Descriptor)>;
using Layout = Owned<cublasLtMatrixLayout_t>;

template <class T>
void set(const Layout& layout, cublasLtMatrixLayoutAttribute_t attribute,
         T value) {
  check_cublaslt(cublaslt().MatrixLayoutSetAttribute(layout.get(), attribute,
                                                     &value, sizeof value),
                 "cublasLtMatrixLayoutSetAttribute");
}

// Column-major.
Layout layout_of(DType dtype, std::int64_t rows, std::int64_t cols,
                 std::int64_t leading, std::int64_t batch,
                 std::int64_t batch_stride) {
  cublasLtMatrixLayout_t made = nullptr;
  check_cublaslt(cublaslt().MatrixLayoutCreate(
                     &made, type_of(dtype), static_cast<std::uint64_t>(rows),
                     static_cast<std::uint64_t>(cols), leading),
                 "cublasLtMatrixLayoutCreate");
  Layout layout(made, cublaslt().MatrixLayoutDestroy);
  if (batch > 1) {
    set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
        static_cast<std::int32_t>(batch));
    set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, batch_stride);
  }
  return layout;
}

// A row-major matrix is its transpose, column-major.
Layout layout_of(const StridedOperand& x, DType dtype, std::int64_t rows,
                 std::int64_t cols, std::int64_t batch) {
  if (!x.transposed) std::swap(rows, cols);
  return layout_of(dtype, rows, cols, x.leading, batch, x.batch_stride);
}

// cuBLASLt computes cᵀ = bᵀ·aᵀ: its first operand is our b.
class Plan {
 public:
  Plan(const StridedProduct& p, int device)
      : handle_(cublaslt_handle(device)),
        first_(layout_of(p.b, p.dtype, p.k, p.n, p.batch)),
        second_(layout_of(p.a, p.dtype, p.m, p.k, p.batch)),
        result_(
            layout_of(p.out_dtype, p.n, p.m, p.n, p.batch, p.c_batch_stride)),
        product_(nullptr, cublaslt().MatmulDescDestroy) {
    make_product(p);
    choose(p, device);
    if (p.bias) add_bias(p);
  }

  // With a bias: whether it may run.
  bool takes_bias() const { return takes_bias_; }

  void run(const StridedProduct& p, Stream stream) const {
    const ProfilerRange range("matmul");
    const Scratch workspace(choice_.workspaceSize, stream);
    const double one = 1, zero = 0;
    const float one_f = 1, zero_f = 0;
    const bool wide = p.dtype == DType::float64;
    const void* alpha = wide ? static_cast<const void*>(&one) : &one_f;
    const void* beta = p.accumulate ? alpha
                       : wide       ? static_cast<const void*>(&zero)
                                    : &zero_f;
    // The address of the bias is a part of the descriptor.
    std::unique_lock<std::mutex> lock;
    if (p.bias) {
      lock = std::unique_lock(bias_turns_);
      set_product(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    }
    const cublasStatus_t status = cublaslt().Matmul(
        handle_, product_.get(), alpha, p.b.data, first_.get(), p.a.data,
        second_.get(), beta, p.c, result_.get(), p.c, result_.get(),
        &choice_.algo, workspace.data(), choice_.workspaceSize, handle(stream));
    if (status != CUBLAS_STATUS_SUCCESS)
      throw_cublaslt(status, "cublasLtMatmul", text_of(p));
  }

 private:
  void make_product(const StridedProduct& p) {
    const bool wide = p.dtype == DType::float64;
    const cublasComputeType_t compute = wide ? CUBLAS_COMPUTE_64F
                                        : p.dtype == DType::float32 && tf32()
                                            ? CUBLAS_COMPUTE_32F_FAST_TF32
                                            : CUBLAS_COMPUTE_32F;
    cublasLtMatmulDesc_t made = nullptr;
    check_cublaslt(cublaslt().MatmulDescCreate(&made, compute,
                                               wide ? CUDA_R_64F : CUDA_R_32F),
                   "cublasLtMatmulDescCreate");
    product_.reset(made);
    set_product(CUBLASLT_MATMUL_DESC_TRANSA,
                p.b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set_product(CUBLASLT_MATMUL_DESC_TRANSB,
                p.a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  }

  void add_bias(const StridedProduct& p) {
    set_product(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set_product(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    const std::size_t workspace = choice_.workspaceSize;
    cublasLtMatmulHeuristicResult_t found{};
    takes_bias_ =
        cublaslt().MatmulAlgoCheck(
            handle_, product_.get(), first_.get(), second_.get(), result_.get(),
            result_.get(), &choice_.algo, &found) == CUBLAS_STATUS_SUCCESS &&
        found.state == CUBLAS_STATUS_SUCCESS;
    choice_.workspaceSize = std::max(workspace, found.workspaceSize);
  }

  template <class T>
  void set_product(cublasLtMatmulDescAttributes_t attribute, T value) const {
    check_cublaslt(cublaslt().MatmulDescSetAttribute(product_.get(), attribute,
                                                     &value, sizeof value),
                   "cublasLtMatmulDescSetAttribute");
  }

  void choose(const StridedProduct& p, int device) {
    cublasLtMatmulPreference_t made = nullptr;
    check_cublaslt(cublaslt().MatmulPreferenceCreate(&made),
                   "cublasLtMatmulPreferenceCreate");
    const Owned<cublasLtMatmulPreference_t> preference(
        made, cublaslt().MatmulPreferenceDestroy);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute,
                            auto value) {
      check_cublaslt(cublaslt().MatmulPreferenceSetAttribute(
                         preference.get(), attribute, &value, sizeof value),
                     "cublasLtMatmulPreferenceSetAttribute");
    };
    const std::uint64_t mib = device_info(device).major >= 9 ? 32 : 4;
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, mib << 20);
    // Partial sums are never rounded to a half type.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(p.b.data));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(p.a.data));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(p.c));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(p.c));
    int found = 0;
    cublasStatus_t status = cublaslt().MatmulAlgoGetHeuristic(
        handle_, product_.get(), first_.get(), second_.get(), result_.get(),
        result_.get(), preference.get(), 1, &choice_, &found);
    if (status == CUBLAS_STATUS_SUCCESS)
      status = found == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : choice_.state;
    if (status != CUBLAS_STATUS_SUCCESS)
      throw_cublaslt(status, "cublasLtMatmulAlgoGetHeuristic", text_of(p));
  }

  cublasLtHandle_t handle_;
  Layout first_, second_, result_;
  Owned<cublasLtMatmulDesc_t> product_;
  cublasLtMatmulHeuristicResult_t choice_{};
  bool takes_bias_ = false;
  mutable std::mutex bias_turns_;
};

std::shared_ptr<const Plan> plan_for(const StridedProduct& p, int device) {
  static std::mutex mutex;
  static auto& plans =
      *new std::unordered_map<Key, std::shared_ptr<const Plan>, KeyHash>;
  const Key key = key_of(p, device);
  const std::lock_guard lock(mutex);
  if (const auto found = plans.find(key); found != plans.end())
    return found->second;
  auto plan = std::make_shared<const Plan>(p, device);
  if (plans.size() >= kMostPlans) plans.clear();
  plans.emplace(key, plan);
  return plan;
}

}  // namespace

void multiply(const StridedProduct& product, Stream stream) {
  plan_for(product, stream.device().index)->run(product, stream);
}

bool takes_bias(const StridedProduct& product, Stream stream) {
  return plan_for(product, stream.device().index)->takes_bias();
}

}  // namespace jacquard::cuda_backend
