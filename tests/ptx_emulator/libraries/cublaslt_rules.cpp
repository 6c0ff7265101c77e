#include "libraries/cublaslt_rules.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

namespace ptx_emulator::cublaslt {
namespace {

// ---- types ----

// From the table of cublasLtMatmul() in the cuBLAS documentation ("when A, B,
// C, and D are regular column- or row-major matrices"), without complex,
// integer and 16-bit computation, which are not emulated.
struct TypeRow {
  cublasComputeType_t compute;
  cudaDataType scale, ab, cd, bias;
};
constexpr TypeRow kTypes[] = {
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_16BF},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_FAST_16F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F,
     CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_FAST_16BF, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F,
     CUDA_R_32F},
    {CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F,
     CUDA_R_32F},
    {CUBLAS_COMPUTE_64F, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F, CUDA_R_64F},
};

// The table gives a computation and its pedantic form in one row.
std::int32_t without_pedantic(std::int32_t compute) {
  if (compute == CUBLAS_COMPUTE_32F_PEDANTIC) return CUBLAS_COMPUTE_32F;
  if (compute == CUBLAS_COMPUTE_64F_PEDANTIC) return CUBLAS_COMPUTE_64F;
  return compute;
}

const TypeRow* type_row(const Problem& p) {
  const std::int32_t compute = without_pedantic(p.operation.compute_type);
  const auto* found = std::find_if(
      std::begin(kTypes), std::end(kTypes), [&](const TypeRow& row) {
        return row.compute == compute && row.scale == p.operation.scale_type &&
               row.ab == p.a.type && row.ab == p.b.type && row.cd == p.d.type;
      });
  return found == std::end(kTypes) ? nullptr : found;
}

bool has_types(const Problem& p) { return type_row(p) != nullptr; }

bool has_bias_type(const Problem& p) {
  return !(p.reads_bias() || p.writes_bias()) ||
         p.bias_type() == type_row(p)->bias;
}

bool has_aux_type(const Problem& p) {
  return !p.has_gelu_input() || p.operation.aux_type < 0 ||
         p.operation.aux_type == static_cast<std::int32_t>(p.d.type);
}

// ---- shapes ----

template <class Test>
bool all(const Problem& p, Test test) {
  return test(p.a) && test(p.b) && test(p.c) && test(p.d);
}

bool has_supported_orders(const Problem& p) {
  return all(p, [](const MatrixLayout& x) {
    return (x.order == CUBLASLT_ORDER_COL || x.order == CUBLASLT_ORDER_ROW) &&
           x.plane_offset == 0 && x.batch_mode == 0;
  });
}

bool is_operation(std::int32_t value) {
  return value == CUBLAS_OP_N || value == CUBLAS_OP_T || value == CUBLAS_OP_C;
}

bool has_operations(const Problem& p) {
  return is_operation(p.operation.transpose_a) &&
         is_operation(p.operation.transpose_b);
}

bool has_plain_c(const Problem& p) {
  return p.operation.transpose_c == CUBLAS_OP_N &&
         p.operation.fill_mode == CUBLAS_FILL_MODE_FULL;
}

bool has_matching_shapes(const Problem& p) {
  const bool a_plain = p.operation.transpose_a == CUBLAS_OP_N;
  const bool b_plain = p.operation.transpose_b == CUBLAS_OP_N;
  return p.d.rows == (a_plain ? p.a.rows : p.a.columns) &&
         p.d.columns == (b_plain ? p.b.columns : p.b.rows) &&
         p.depth() == (b_plain ? p.b.rows : p.b.columns);
}

bool is_not_empty(const Problem& p) {
  return all(p,
             [](const MatrixLayout& x) { return x.rows > 0 && x.columns > 0; });
}

bool has_int32_sizes(const Problem& p) {
  constexpr auto kMost = std::numeric_limits<std::int32_t>::max();
  return all(p, [](const MatrixLayout& x) {
    return x.rows <= kMost && x.columns <= kMost && x.ld <= kMost;
  });
}

bool has_wide_ld(const MatrixLayout& x) {
  return x.ld >= 0 && static_cast<std::uint64_t>(x.ld) >= x.inner();
}

bool has_wide_lds(const Problem& p) {
  return has_wide_ld(p.a) && has_wide_ld(p.b) && has_wide_ld(p.d) &&
         (p.c.ld == 0 || has_wide_ld(p.c));
}

bool has_c_like_d(const Problem& p) {
  return p.c.type == p.d.type && p.c.rows == p.d.rows &&
         p.c.columns == p.d.columns && p.c.batch_count == p.d.batch_count &&
         p.c.order == p.d.order;
}

bool has_one_batch_count(const Problem& p) {
  return p.d.batch_count >= 1 && all(p, [&](const MatrixLayout& x) {
           return x.batch_count == p.d.batch_count;
         });
}

bool has_disjoint_results(const Problem& p) {
  if (p.d.batch_count == 1) return true;
  const std::uint64_t span =
      static_cast<std::uint64_t>(p.d.ld) * (p.d.outer() - 1) + p.d.inner();
  return p.d.batch_stride >= 0 &&
         static_cast<std::uint64_t>(p.d.batch_stride) >= span;
}

// ---- epilogues ----

bool has_epilogue(const Problem& p) {
  constexpr std::array kEpilogues = {
      CUBLASLT_EPILOGUE_DEFAULT,   CUBLASLT_EPILOGUE_RELU,
      CUBLASLT_EPILOGUE_RELU_AUX,  CUBLASLT_EPILOGUE_BIAS,
      CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_RELU_AUX_BIAS,
      CUBLASLT_EPILOGUE_DRELU,     CUBLASLT_EPILOGUE_DRELU_BGRAD,
      CUBLASLT_EPILOGUE_GELU,      CUBLASLT_EPILOGUE_GELU_AUX,
      CUBLASLT_EPILOGUE_GELU_BIAS, CUBLASLT_EPILOGUE_GELU_AUX_BIAS,
      CUBLASLT_EPILOGUE_DGELU,     CUBLASLT_EPILOGUE_DGELU_BGRAD,
      CUBLASLT_EPILOGUE_BGRADA,    CUBLASLT_EPILOGUE_BGRADB};
  return std::find(kEpilogues.begin(), kEpilogues.end(),
                   static_cast<cublasLtEpilogue_t>(p.operation.epilogue)) !=
         kEpilogues.end();
}

bool has_epilogue_order(const Problem& p) {
  return p.operation.epilogue == CUBLASLT_EPILOGUE_DEFAULT ||
         !p.d.is_row_major();
}

bool has_aux_layout(const Problem& p) {
  if (!p.has_relu_mask() && !p.has_gelu_input()) return true;
  const std::int64_t unit = p.has_relu_mask() ? 128 : 8;
  return p.operation.aux_ld % unit == 0 &&
         p.operation.aux_ld >= static_cast<std::int64_t>(p.rows()) &&
         p.operation.aux_batch_stride % unit == 0;
}

bool has_epilogue_addresses(const Problem& p) {
  if ((p.reads_bias() || p.writes_bias()) && p.operation.bias == 0)
    return false;
  return !(p.has_relu_mask() || p.has_gelu_input()) || p.operation.aux != 0;
}

// ---- addresses ----

bool has_pointer_mode(const Problem& p) {
  return p.operation.pointer_mode == CUBLASLT_POINTER_MODE_HOST ||
         p.operation.pointer_mode == CUBLASLT_POINTER_MODE_DEVICE;
}

bool is_beta_zero(const Problem& p) {
  if (p.operation.pointer_mode != CUBLASLT_POINTER_MODE_HOST) return false;
  return p.operation.scale_type == CUDA_R_64F
             ? *static_cast<const double*>(p.beta) == 0
             : *static_cast<const float*>(p.beta) == 0;
}

bool has_operands(const Problem& p) {
  return p.alpha != nullptr && p.beta != nullptr && p.address_a != 0 &&
         p.address_b != 0 && p.address_d != 0 &&
         (p.address_c != 0 || is_beta_zero(p));
}

bool is_aligned(std::uint64_t address, std::uint64_t alignment) {
  return address % alignment == 0;
}

bool has_element_alignment(const Problem& p) {
  const auto fits = [](std::uint64_t address, std::int64_t type) {
    return is_aligned(address, element_size(type));
  };
  return fits(p.address_a, p.a.type) && fits(p.address_b, p.b.type) &&
         fits(p.address_c, p.c.type) && fits(p.address_d, p.d.type) &&
         (!(p.reads_bias() || p.writes_bias()) ||
          fits(p.operation.bias, p.bias_type()));
}

bool has_algorithm(const Problem& p) {
  return !p.algorithm || p.algorithm->magic == kAlgorithmMagic;
}

bool has_promised_alignment(const Problem& p) {
  if (!p.algorithm) return true;
  return is_aligned(p.address_a, p.algorithm->alignment_a) &&
         is_aligned(p.address_b, p.algorithm->alignment_b) &&
         (p.address_c == 0 ||
          is_aligned(p.address_c, p.algorithm->alignment_c)) &&
         is_aligned(p.address_d, p.algorithm->alignment_d);
}

bool has_promised_epilogue_alignment(const Problem& p) {
  if (!p.algorithm) return true;
  return is_aligned(p.operation.bias, p.algorithm->alignment_bias) &&
         is_aligned(p.operation.aux, p.algorithm->alignment_aux);
}

bool has_workspace(const Problem& p) {
  return p.workspace_bytes >= (p.algorithm ? p.algorithm->workspace : 0) &&
         (p.workspace_bytes == 0 || p.workspace != 0);
}

bool has_workspace_alignment(const Problem& p) {
  return is_aligned(p.workspace, 256);
}

bool is_in_place_or_apart(const Problem& p) {
  return p.address_c != p.address_d || is_beta_zero(p) ||
         (p.c.ld == p.d.ld && p.c.batch_stride == p.d.batch_stride);
}

bool has_inputs_apart(const Problem& p) {
  return p.address_d != p.address_a && p.address_d != p.address_b;
}

// ---- the table ----

struct Rule {
  cublasStatus_t status;
  bool needs_addresses;
  bool (*holds)(const Problem&);
  // In quotation marks: the words of cublasLt.h or of the documentation.
  const char* text;
};

constexpr auto kInvalid = CUBLAS_STATUS_INVALID_VALUE;
constexpr auto kUnsupported = CUBLAS_STATUS_NOT_SUPPORTED;

// Later rules rely on earlier ones.
constexpr Rule kRules[] = {
    {kInvalid, false, has_operations,
     "TRANSA, TRANSB: \"Transform of matrix A, see cublasOperation_t\""},
    {kUnsupported, false, has_plain_c,
     "TRANSC: \"Currently only CUBLAS_OP_N is supported\"; fill mode: "
     "\"default: CUBLAS_FILL_MODE_FULL\""},
    {kUnsupported, false, has_types,
     "compute, scale and matrix types are not in the documented table"},
    {kUnsupported, false, has_supported_orders,
     "only CUBLASLT_ORDER_COL and CUBLASLT_ORDER_ROW, interleaved and strided, "
     "are emulated"},
    {kInvalid, false, is_not_empty, "a matrix without elements"},
    {kUnsupported, false, has_int32_sizes,
     "rows, columns: \"Usually only values that can be expressed as int32_t "
     "are "
     "supported\""},
    {kInvalid, false, has_matching_shapes,
     "\"D = alpha * op(A) * op(B) + beta * C\": the shapes don't match"},
    {kInvalid, false, has_wide_lds,
     "LD: \"must be large enough so that matrix memory locations are not "
     "overlapping (e.g. greater or equal to CUBLASLT_MATRIX_LAYOUT_ROWS in "
     "case of CUBLASLT_ORDER_COL)\""},
    {kInvalid, false, has_c_like_d,
     "\"C != D, both matrices must have the same data type, number of rows, "
     "number of columns, batch count, and memory order\""},
    {kInvalid, false, has_one_batch_count,
     "BATCH_COUNT: \"Number of matmul operations to perform in the batch\": "
     "the matrices have different ones"},
    {kInvalid, false, has_disjoint_results,
     "STRIDED_BATCH_OFFSET: \"Stride (in elements) to the next matrix\": the "
     "matrices of D overlap"},
    {kUnsupported, false, has_epilogue,
     "EPILOGUE: not one of cublasLtEpilogue_t"},
    {kUnsupported, false, has_epilogue_order,
     "EPILOGUE: \"Bias vector length must match matrix D rows\"; epilogues are "
     "documented for column-major D only"},
    {kUnsupported, false, has_bias_type,
     "BIAS_DATA_TYPE: \"Bias vector elements are the same type as the elements "
     "of output matrix (Dtype)\""},
    {kUnsupported, false, has_aux_type,
     "EPILOGUE_AUX_DATA_TYPE: \"GELU input matrix elements type is the same as "
     "the type of elements of the output matrix\""},
    {kInvalid, false, has_aux_layout,
     "EPILOGUE_AUX_LD, _BATCH_STRIDE: \"Must be divisible by 128\" (ReLU "
     "bit-mask) or \"by 8\" (GELU input) \"and be no less than the number of "
     "rows in the output matrix\""},
    {kUnsupported, false, has_pointer_mode,
     "POINTER_MODE: only CUBLASLT_POINTER_MODE_HOST and _DEVICE are emulated"},
    {kInvalid, true, has_operands,
     "alpha, beta, A, B, D, or C with beta != 0 is NULL"},
    {kInvalid, true, has_epilogue_addresses,
     "the epilogue needs BIAS_POINTER or EPILOGUE_AUX_POINTER, \"default: "
     "NULL\""},
    {kInvalid, true, has_element_alignment,
     "an address is not aligned to its element"},
    {kInvalid, true, has_algorithm,
     "the algorithm does not come from cublasLtMatmulAlgoGetHeuristic"},
    {kInvalid, true, has_promised_alignment,
     "PREF_MIN_ALIGNMENT_[ABCD]_BYTES: \"Minimum buffer alignment for matrix A "
     "(in bytes)\", \"default: 256\": an address has less than the heuristic "
     "was asked for"},
    {kInvalid, true, has_promised_epilogue_alignment,
     "BIAS_POINTER, EPILOGUE_AUX_POINTER: \"Routines that don't dereference "
     "this pointer, like cublasLtMatmulAlgoGetHeuristic() depend on its value "
     "to determine expected pointer alignment\": an address has less"},
    {kInvalid, true, has_workspace,
     "\"workspaceSizeInBytes is less than workspace required by configured "
     "algo\""},
    {kInvalid, true, has_workspace_alignment,
     "workspace: \"Must be 256B aligned (i.e. lowest 8 bits of address must be "
     "0)\""},
    {kInvalid, true, is_in_place_or_apart,
     "\"in-place matrix multiplication (C == D and Cdesc == Ddesc)\": the "
     "layouts differ"},
    {kInvalid, true, has_inputs_apart, "D is A or B"},
};

}  // namespace

cublasStatus_t check(const Problem& problem, const char* call) {
  for (const Rule& rule : kRules) {
    if (rule.needs_addresses && !problem.has_addresses) continue;
    if (rule.holds(problem)) continue;
    std::fprintf(stderr, "ptx_emulator: %s refused: %s\n", call, rule.text);
    return rule.status;
  }
  return CUBLAS_STATUS_SUCCESS;
}

std::uint64_t workspace_for(const Problem& problem, std::uint64_t available) {
  const std::uint64_t wanted = problem.rows() * problem.columns() *
                               element_size(problem.operation.scale_type);
  return wanted <= available ? wanted : 0;
}

}  // namespace ptx_emulator::cublaslt
