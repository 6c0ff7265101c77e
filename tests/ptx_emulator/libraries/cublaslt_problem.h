// The descriptors of cublasLt as the stand-in keeps them inside the opaque
// structures of cublasLt.h, and a matrix product as a whole.
#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

namespace ptx_emulator::cublaslt {

struct MatmulDescription {
  std::int32_t compute_type = CUBLAS_COMPUTE_32F;
  std::int32_t scale_type = CUDA_R_32F;
  std::int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t transpose_a = CUBLAS_OP_N;
  std::int32_t transpose_b = CUBLAS_OP_N;
  std::int32_t transpose_c = CUBLAS_OP_N;
  std::int32_t fill_mode = CUBLAS_FILL_MODE_FULL;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  std::uint64_t bias = 0;  // address
  std::int64_t bias_batch_stride = 0;
  std::uint64_t aux = 0;  // address
  std::int64_t aux_ld = 0;
  std::int64_t aux_batch_stride = 0;
  std::int64_t alpha_batch_stride = 0;
  std::int32_t sm_count_target = 0;
  std::int32_t aux_type = -1;
  std::int32_t bias_type = -1;
  std::int8_t fast_accumulation = 0;
};

struct MatrixLayout {
  std::uint32_t type = CUDA_R_32F;
  std::int32_t order = CUBLASLT_ORDER_COL;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::int64_t ld = 0;
  std::int32_t batch_count = 1;
  std::uint32_t batch_mode = 0;
  std::int64_t batch_stride = 0;
  std::int64_t plane_offset = 0;

  bool is_row_major() const { return order == CUBLASLT_ORDER_ROW; }
  // The dimension along which elements are consecutive, and the other one.
  std::uint64_t inner() const { return is_row_major() ? columns : rows; }
  std::uint64_t outer() const { return is_row_major() ? rows : columns; }
};

struct Preference {
  std::uint64_t max_workspace = 0;
  std::uint64_t implementation_mask = ~std::uint64_t{0};
  std::uint32_t search_mode = CUBLASLT_SEARCH_BEST_FIT;
  std::uint32_t reduction_mask = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::uint32_t alignment_a = 256, alignment_b = 256;
  std::uint32_t alignment_c = 256, alignment_d = 256;
  float max_waves = 0;
};

// What a heuristic result promises to work with.
struct Algorithm {
  std::uint64_t magic = 0;
  std::uint64_t workspace = 0;
  std::uint32_t alignment_a = 1, alignment_b = 1;
  std::uint32_t alignment_c = 1, alignment_d = 1;
  std::uint32_t alignment_bias = 1, alignment_aux = 1;
};
inline constexpr std::uint64_t kAlgorithmMagic = 0x70747865'6d756c31;

static_assert(sizeof(MatmulDescription) <= sizeof(cublasLtMatmulDescOpaque_t));
static_assert(sizeof(MatrixLayout) <= sizeof(cublasLtMatrixLayoutOpaque_t));
static_assert(sizeof(Preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t));
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

template <class T, class Opaque>
T read(const Opaque* opaque) {
  T value;
  std::memcpy(static_cast<void*>(&value), opaque, sizeof value);
  return value;
}

template <class T, class Opaque>
void write(Opaque* opaque, const T& value) {
  std::memcpy(static_cast<void*>(opaque), &value, sizeof value);
}

// One call of cublasLtMatmul; without the addresses, of the heuristic.
struct Problem {
  MatmulDescription operation;
  MatrixLayout a, b, c, d;
  bool has_addresses = false;
  const void* alpha = nullptr;
  const void* beta = nullptr;
  std::uint64_t address_a = 0, address_b = 0, address_c = 0, address_d = 0;
  std::optional<Algorithm> algorithm;
  std::uint64_t workspace = 0;  // address
  std::size_t workspace_bytes = 0;

  std::uint64_t rows() const { return d.rows; }
  std::uint64_t columns() const { return d.columns; }
  std::uint64_t depth() const {
    return operation.transpose_a == CUBLAS_OP_N ? a.columns : a.rows;
  }
  bool has(std::uint32_t epilogue_bits) const {
    return (operation.epilogue & epilogue_bits) == epilogue_bits;
  }
  bool reads_bias() const { return has(CUBLASLT_EPILOGUE_BIAS); }
  bool writes_bias() const {
    return has(16) || has(CUBLASLT_EPILOGUE_BGRADA) ||
           has(CUBLASLT_EPILOGUE_BGRADB);
  }
  bool has_relu_mask() const {
    return has(CUBLASLT_EPILOGUE_RELU_AUX) || has(CUBLASLT_EPILOGUE_DRELU);
  }
  bool has_gelu_input() const {
    return has(CUBLASLT_EPILOGUE_GELU_AUX) || has(CUBLASLT_EPILOGUE_DGELU);
  }
  std::int32_t bias_type() const {
    return operation.bias_type >= 0 ? operation.bias_type
                                    : static_cast<std::int32_t>(d.type);
  }
  // Elements of the bias or bias gradient of one batch entry.
  std::uint64_t bias_length() const {
    return has(CUBLASLT_EPILOGUE_BGRADB) ? columns() : rows();
  }
};

// Bytes of an element; 0 for types that are not emulated.
constexpr std::size_t element_size(std::int64_t type) {
  switch (type) {
    case CUDA_R_64F:
      return 8;
    case CUDA_R_32F:
      return 4;
    case CUDA_R_16F:
    case CUDA_R_16BF:
      return 2;
    default:
      return 0;
  }
}

}  // namespace ptx_emulator::cublaslt
