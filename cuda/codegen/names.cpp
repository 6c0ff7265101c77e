#include "cuda/codegen/names.h"

namespace jacquard::cuda_backend {
namespace {

const char* of(DType dtype, const char* const (&names)[kDTypeCount]) {
  return names[static_cast<int>(dtype)];
}

}  // namespace

const char* dtype_struct(DType dtype) {
  return of(dtype, {"Bool", "Int32", "Int64", "Float16", "BFloat16", "Float32",
                    "Float64"});
}
const char* value_type(DType dtype) {
  return of(dtype,
            {"bool", "int", "long long", "float", "float", "float", "double"});
}
const char* const_pointer_to(DType dtype) {
  return of(dtype, {"const unsigned char*", "const unsigned*",
                    "const unsigned long long*", "const unsigned short*",
                    "const unsigned short*", "const unsigned*",
                    "const unsigned long long*"});
}
const char* pointer_to(DType dtype) {
  return const_pointer_to(dtype) + sizeof "const";
}
const char* cast_function(DType dtype) {
  return of(dtype, {"to_bool", "to_int32", "to_int64", "to_float32",
                    "to_float32", "to_float32", "to_float64"});
}
const char* slot_function(DType dtype) {
  return of(dtype, {"slot_bool", "slot_int32", "slot_int64", "slot_float32",
                    "slot_float32", "slot_float32", "slot_float64"});
}
const char* round_function(DType dtype) {
  return dtype == DType::float16 ? "round_float16" : "round_bfloat16";
}
const char* fold_struct(pointwise::Reduction reduction) {
  switch (reduction) {
    case pointwise::Reduction::prod:
      return "Product";
    case pointwise::Reduction::max:
      return "Maximum";
    case pointwise::Reduction::min:
      return "Minimum";
    default:
      return "Sum";
  }
}

}  // namespace jacquard::cuda_backend
