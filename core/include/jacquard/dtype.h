// Element types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "jacquard/export.h"

namespace jacquard {

// complex64 and complex128 are not there yet.
enum class DType : std::uint8_t {
  bool_,  // one byte, 0 or 1
  int32,
  int64,
  float16,   // IEEE binary16, computed in float32
  bfloat16,  // the upper half of a float32, computed in float32
  float32,
  float64,
};

inline constexpr int kDTypeCount = 7;

// Bytes of one element.
constexpr std::size_t size_of(DType t) {
  constexpr std::size_t sizes[] = {1, 4, 8, 2, 2, 4, 8};
  return sizes[static_cast<int>(t)];
}

constexpr bool is_floating(DType t) { return t >= DType::float16; }
constexpr bool is_integer(DType t) {
  return t == DType::int32 || t == DType::int64;
}
constexpr bool is_half(DType t) {
  return t == DType::float16 || t == DType::bfloat16;
}

// The type in which an instruction on `t` computes: float32 for the half
// types, else `t` itself. Each result is rounded to `t`.
constexpr DType compute_type(DType t) {
  return is_half(t) ? DType::float32 : t;
}

// The name as in this enum without a trailing underscore: "float32", "bool".
JACQUARD_API std::string_view name_of(DType t);

// PyTorch's promotion of two tensors: bool < int32 < int64 < floating; of two
// floating types the wider one; float16 with bfloat16 gives float32.
JACQUARD_API DType promote(DType a, DType b);

// The dtype of `tensor op scalar`, scalars being weak: only a scalar of a
// higher category (bool < integer < floating) changes the tensor's type; an
// integer tensor with a floating scalar gives the default floating type.
enum class ScalarKind : std::uint8_t { boolean, integer, floating };
JACQUARD_API DType promote(DType tensor, ScalarKind scalar);

// The dtype that creation functions use and that a float-valued function of an
// integer tensor computes in. float32 at start; must be floating
// (DTypeError). Per process.
JACQUARD_API DType default_dtype();
JACQUARD_API void set_default_dtype(DType t);

// Host types of elements: bool, int32_t, int64_t, float, double have a dtype.
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::bool_;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::int32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::int64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::float32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::float64;
};
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

// float32 to the half types, to nearest even, and back (exact). NaN stays NaN.
JACQUARD_API std::uint16_t float_to_half(float x);
JACQUARD_API float half_to_float(std::uint16_t bits);
JACQUARD_API std::uint16_t float_to_bfloat16(float x);
JACQUARD_API float bfloat16_to_float(std::uint16_t bits);

}  // namespace jacquard
