// What dtypes and reductions are called in generated code.
#pragma once

#include "core/pointwise/program.h"
#include "jacquard/dtype.h"

namespace jacquard::cuda_backend {

// The struct of device/memory.cuh: "Float32".
const char* dtype_struct(DType dtype);
// A value in a register: "float".
const char* value_type(DType dtype);
// "const unsigned*", "unsigned*": to elements in memory.
const char* const_pointer_to(DType dtype);
const char* pointer_to(DType dtype);
// "to_float32", "slot_float32": of the compute type.
const char* cast_function(DType dtype);
const char* slot_function(DType dtype);
// "round_float16" for a half type.
const char* round_function(DType dtype);
// "Sum"; a mean is a sum.
const char* fold_struct(pointwise::Reduction reduction);

}  // namespace jacquard::cuda_backend
