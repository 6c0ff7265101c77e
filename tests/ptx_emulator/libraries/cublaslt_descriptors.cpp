// Creation and attributes of cublasLt's descriptors.
#include <cublasLt.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <new>

#include "libraries/cublaslt_problem.h"

using namespace ptx_emulator::cublaslt;

namespace {

// Where the value of an attribute is kept.
struct Field {
  int attribute;
  std::size_t offset, bytes;
};

#define FIELD(attribute, type, member) \
  { attribute, offsetof(type, member), sizeof(type::member) }

constexpr Field kDescriptionFields[] = {
    FIELD(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, MatmulDescription, compute_type),
    FIELD(CUBLASLT_MATMUL_DESC_SCALE_TYPE, MatmulDescription, scale_type),
    FIELD(CUBLASLT_MATMUL_DESC_POINTER_MODE, MatmulDescription, pointer_mode),
    FIELD(CUBLASLT_MATMUL_DESC_TRANSA, MatmulDescription, transpose_a),
    FIELD(CUBLASLT_MATMUL_DESC_TRANSB, MatmulDescription, transpose_b),
    FIELD(CUBLASLT_MATMUL_DESC_TRANSC, MatmulDescription, transpose_c),
    FIELD(CUBLASLT_MATMUL_DESC_FILL_MODE, MatmulDescription, fill_mode),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE, MatmulDescription, epilogue),
    FIELD(CUBLASLT_MATMUL_DESC_BIAS_POINTER, MatmulDescription, bias),
    FIELD(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, MatmulDescription,
          bias_batch_stride),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, MatmulDescription, aux),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, MatmulDescription, aux_ld),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, MatmulDescription,
          aux_batch_stride),
    FIELD(CUBLASLT_MATMUL_DESC_ALPHA_VECTOR_BATCH_STRIDE, MatmulDescription,
          alpha_batch_stride),
    FIELD(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, MatmulDescription,
          sm_count_target),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, MatmulDescription,
          aux_type),
    FIELD(CUBLASLT_MATMUL_DESC_FAST_ACCUM, MatmulDescription,
          fast_accumulation),
    FIELD(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, MatmulDescription, bias_type),
};

constexpr Field kLayoutFields[] = {
    FIELD(CUBLASLT_MATRIX_LAYOUT_TYPE, MatrixLayout, type),
    FIELD(CUBLASLT_MATRIX_LAYOUT_ORDER, MatrixLayout, order),
    FIELD(CUBLASLT_MATRIX_LAYOUT_ROWS, MatrixLayout, rows),
    FIELD(CUBLASLT_MATRIX_LAYOUT_COLS, MatrixLayout, columns),
    FIELD(CUBLASLT_MATRIX_LAYOUT_LD, MatrixLayout, ld),
    FIELD(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, MatrixLayout, batch_count),
    FIELD(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, MatrixLayout,
          batch_stride),
    FIELD(CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, MatrixLayout, plane_offset),
    FIELD(CUBLASLT_MATRIX_LAYOUT_BATCH_MODE, MatrixLayout, batch_mode),
};

constexpr Field kPreferenceFields[] = {
    FIELD(CUBLASLT_MATMUL_PREF_SEARCH_MODE, Preference, search_mode),
    FIELD(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, Preference, max_workspace),
    FIELD(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, Preference,
          reduction_mask),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, Preference, alignment_a),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, Preference, alignment_b),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, Preference, alignment_c),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, Preference, alignment_d),
    FIELD(CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT, Preference, max_waves),
    FIELD(CUBLASLT_MATMUL_PREF_IMPL_MASK, Preference, implementation_mask),
};

#undef FIELD

// "CUBLAS_STATUS_INVALID_VALUE if buf is NULL or sizeInBytes doesn't match size
// of internal storage for selected attribute"
template <std::size_t kCount>
const Field* find(const Field (&fields)[kCount], int attribute,
                  std::size_t bytes) {
  for (const Field& field : fields)
    if (field.attribute == attribute)
      return field.bytes == bytes ? &field : nullptr;
  std::fprintf(stderr,
               "ptx_emulator: attribute %d of a cublasLt descriptor is not "
               "emulated\n",
               attribute);
  return nullptr;
}

template <std::size_t kCount, class Opaque>
cublasStatus_t set(const Field (&fields)[kCount], Opaque* object, int attribute,
                   const void* value, std::size_t bytes) {
  if (object == nullptr || value == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  const Field* field = find(fields, attribute, bytes);
  if (field == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(reinterpret_cast<std::byte*>(object) + field->offset, value,
              bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <std::size_t kCount, class Opaque>
cublasStatus_t get(const Field (&fields)[kCount], const Opaque* object,
                   int attribute, void* value, std::size_t bytes,
                   std::size_t* written) {
  if (object == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  for (const Field& field : fields) {
    if (field.attribute != attribute) continue;
    if (written != nullptr) *written = field.bytes;
    if (bytes == 0)
      return written == nullptr ? CUBLAS_STATUS_INVALID_VALUE
                                : CUBLAS_STATUS_SUCCESS;
    if (value == nullptr || bytes < field.bytes)
      return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(value,
                reinterpret_cast<const std::byte*>(object) + field.offset,
                field.bytes);
    return CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

template <class Opaque, class T>
cublasStatus_t init(Opaque* object, std::size_t bytes, const T& value) {
  if (object == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (bytes < sizeof(Opaque)) return CUBLAS_STATUS_ALLOC_FAILED;
  std::memset(object, 0, sizeof *object);
  write(object, value);
  return CUBLAS_STATUS_SUCCESS;
}

template <class Opaque, class T>
cublasStatus_t create(Opaque** object, const T& value) {
  if (object == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *object = new (std::nothrow) Opaque;
  if (*object == nullptr) return CUBLAS_STATUS_ALLOC_FAILED;
  return init(*object, sizeof(Opaque), value);
}

MatmulDescription description(cublasComputeType_t compute,
                              cudaDataType_t scale) {
  MatmulDescription value;
  value.compute_type = compute;
  value.scale_type = scale;
  return value;
}

MatrixLayout layout(cudaDataType type, std::uint64_t rows,
                    std::uint64_t columns, std::int64_t ld) {
  MatrixLayout value;
  value.type = type;
  value.rows = rows;
  value.columns = columns;
  value.ld = ld;
  return value;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t object,
                                               size_t bytes,
                                               cublasComputeType_t compute,
                                               cudaDataType_t scale) {
  return init(object, bytes, description(compute, scale));
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* object,
                                        cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  return create(object, description(compute, scale));
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t object) {
  delete object;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(
    cublasLtMatmulDesc_t object, cublasLtMatmulDescAttributes_t attribute,
    const void* value, size_t bytes) {
  return set(kDescriptionFields, object, attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulDescGetAttribute(
    cublasLtMatmulDesc_t object, cublasLtMatmulDescAttributes_t attribute,
    void* value, size_t bytes, size_t* written) {
  return get(kDescriptionFields, object, attribute, value, bytes, written);
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t object,
                                                 size_t bytes,
                                                 cudaDataType type,
                                                 uint64_t rows, uint64_t cols,
                                                 int64_t ld) {
  return init(object, bytes, layout(type, rows, cols, ld));
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* object,
                                          cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld) {
  return create(object, layout(type, rows, cols, ld));
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t object) {
  delete object;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(
    cublasLtMatrixLayout_t object, cublasLtMatrixLayoutAttribute_t attribute,
    const void* value, size_t bytes) {
  return set(kLayoutFields, object, attribute, value, bytes);
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(
    cublasLtMatrixLayout_t object, cublasLtMatrixLayoutAttribute_t attribute,
    void* value, size_t bytes, size_t* written) {
  return get(kLayoutFields, object, attribute, value, bytes, written);
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(
    cublasLtMatmulPreference_t object, size_t bytes) {
  return init(object, bytes, Preference{});
}

cublasStatus_t cublasLtMatmulPreferenceCreate(
    cublasLtMatmulPreference_t* object) {
  return create(object, Preference{});
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(
    cublasLtMatmulPreference_t object) {
  delete object;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t object,
    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
    size_t bytes) {
  return set(kPreferenceFields, object, attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceGetAttribute(
    cublasLtMatmulPreference_t object,
    cublasLtMatmulPreferenceAttributes_t attribute, void* value, size_t bytes,
    size_t* written) {
  return get(kPreferenceFields, object, attribute, value, bytes, written);
}

}  // extern "C"
#pragma GCC visibility pop
