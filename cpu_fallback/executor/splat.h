// A scalar to each place of a register.
#pragma once

#include <cstring>

#include "core/backend/backend.h"
#include "cpu_fallback/isa/kernel_table.h"

namespace jacquard::cpu_fallback {

// Rounded to `dtype`, in its register form.
inline void splat_scalar(backend::Scalar value, DType dtype, void* to,
                         std::size_t n) {
  union {
    double f64;
    float f32;
    std::int64_t i64;
    std::int32_t i32;
    std::uint16_t u16;
    unsigned char u8;
  } memory{};
  switch (dtype) {
    case DType::bool_:
      memory.u8 = value.i != 0;
      break;
    case DType::int32:
      memory.i32 = static_cast<std::int32_t>(value.i);
      break;
    case DType::int64:
      memory.i64 = value.i;
      break;
    case DType::float16:
      memory.u16 = float_to_half(static_cast<float>(value.f));
      break;
    case DType::bfloat16:
      memory.u16 = float_to_bfloat16(static_cast<float>(value.f));
      break;
    case DType::float32:
      memory.f32 = static_cast<float>(value.f);
      break;
    case DType::float64:
      memory.f64 = value.f;
      break;
  }
  kernels().load[static_cast<int>(dtype)](&memory, 0, to, n);
}

}  // namespace jacquard::cpu_fallback
