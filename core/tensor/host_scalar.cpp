#include "core/tensor/host_scalar.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace jacquard {
namespace {

template <class T>
T read(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
void write(T value, void* to) {
  std::memcpy(to, &value, sizeof value);
}

HostScalar integral(std::int64_t i) { return {.integral = true, .i = i}; }
HostScalar floating(double f) { return {.integral = false, .f = f}; }

template <class Int>
Int to_integer(const HostScalar& value) {
  if (value.integral) return static_cast<Int>(value.i);
  constexpr auto lowest = static_cast<double>(std::numeric_limits<Int>::min());
  const double whole = std::trunc(value.f);
  const bool fits = whole >= lowest && whole < -lowest;  // false for NaN
  return fits ? static_cast<Int>(whole) : std::numeric_limits<Int>::min();
}

// From an integer in one rounding, not by way of double.
template <class Float>
Float to_floating(const HostScalar& value) {
  return value.integral ? static_cast<Float>(value.i)
                        : static_cast<Float>(value.f);
}

}  // namespace

HostScalar read_scalar(const void* from, DType dtype) {
  switch (dtype) {
    case DType::bool_:
      return integral(read<unsigned char>(from) != 0 ? 1 : 0);
    case DType::int32:
      return integral(read<std::int32_t>(from));
    case DType::int64:
      return integral(read<std::int64_t>(from));
    case DType::float16:
      return floating(half_to_float(read<std::uint16_t>(from)));
    case DType::bfloat16:
      return floating(bfloat16_to_float(read<std::uint16_t>(from)));
    case DType::float32:
      return floating(read<float>(from));
    case DType::float64:
      return floating(read<double>(from));
  }
  __builtin_unreachable();
}

void write_scalar(const HostScalar& value, void* to, DType dtype) {
  switch (dtype) {
    case DType::bool_:
      return write<unsigned char>(value.integral ? value.i != 0 : value.f != 0,
                                  to);
    case DType::int32:
      return write(to_integer<std::int32_t>(value), to);
    case DType::int64:
      return write(to_integer<std::int64_t>(value), to);
    case DType::float16:
      return write(float_to_half(to_floating<float>(value)), to);
    case DType::bfloat16:
      return write(float_to_bfloat16(to_floating<float>(value)), to);
    case DType::float32:
      return write(to_floating<float>(value), to);
    case DType::float64:
      return write(to_floating<double>(value), to);
  }
  __builtin_unreachable();
}

}  // namespace jacquard
