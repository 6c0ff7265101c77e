#include "core/pointwise/fold.h"

#include <cmath>
#include <cstdint>

namespace jacquard::pointwise {
namespace {

Literal of_int(std::int64_t i) {
  Literal l;
  l.i = i;
  return l;
}

Literal of_float(double f) {
  Literal l;
  l.f = f;
  return l;
}

template <class T>
std::optional<bool> compare(Op op, T a, T b) {
  switch (op) {
    case Op::eq:
      return a == b;
    case Op::ne:
      return a != b;
    case Op::lt:
      return a < b;
    case Op::le:
      return a <= b;
    case Op::gt:
      return a > b;
    case Op::ge:
      return a >= b;
    default:
      return std::nullopt;
  }
}

std::optional<bool> logic(Op op, bool a, bool b) {
  switch (op) {
    case Op::logical_and:
      return a && b;
    case Op::logical_or:
      return a || b;
    case Op::logical_xor:
      return a != b;
    case Op::logical_not:
      return !a;
    default:
      return std::nullopt;
  }
}

// T is the compute type: float or double.
template <class T>
std::optional<T> arithmetic(Op op, T a, T b) {
  switch (op) {
    case Op::add:
      return a + b;
    case Op::sub:
      return a - b;
    case Op::mul:
      return a * b;
    case Op::div:
      return a / b;
    case Op::neg:
      return -a;
    case Op::abs:
      return std::fabs(a);
    case Op::sqrt:
      return std::sqrt(a);
    default:
      return std::nullopt;
  }
}

// Integers wrap.
std::optional<std::int64_t> integer_arithmetic(Op op, std::int64_t x,
                                               std::int64_t y, DType dtype) {
  const auto a = static_cast<std::uint64_t>(x);
  const auto b = static_cast<std::uint64_t>(y);
  std::uint64_t out;
  switch (op) {
    case Op::add:
      out = a + b;
      break;
    case Op::sub:
      out = a - b;
      break;
    case Op::mul:
      out = a * b;
      break;
    case Op::neg:
      out = 0 - a;
      break;
    case Op::abs:
      out = x < 0 ? 0 - a : a;
      break;
    default:
      return std::nullopt;
  }
  if (dtype == DType::int32)
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(out));
  return static_cast<std::int64_t>(out);
}

std::optional<Literal> fold_cast(Literal a, DType from, DType to) {
  if (to == DType::bool_)
    return of_int(is_floating(from) ? a.f != 0 : a.i != 0);
  if (is_floating(to)) {
    double value;
    if (is_floating(from))
      value = a.f;
    else if (to == DType::float32)
      value = static_cast<float>(a.i);  // one rounding, as the runtime
    else
      value = static_cast<double>(a.i);
    const double result = rounded(value, to);
    // A half may be reached through float32 or directly: folded when exact.
    if (is_half(to) && !(result == value || std::isnan(value)))
      return std::nullopt;
    return of_float(result);
  }
  if (is_floating(from)) {
    const double limit = to == DType::int32 ? 0x1p31 : 0x1p63;
    if (!(a.f > -limit && a.f < limit)) return std::nullopt;
    return of_int(static_cast<std::int64_t>(a.f));
  }
  if (to == DType::int32)
    return of_int(static_cast<std::int32_t>(static_cast<std::uint64_t>(a.i)));
  return a;
}

}  // namespace

double rounded(double value, DType dtype) {
  switch (dtype) {
    case DType::float32:
      return static_cast<float>(value);
    case DType::float16:
      return half_to_float(float_to_half(static_cast<float>(value)));
    case DType::bfloat16:
      return bfloat16_to_float(float_to_bfloat16(static_cast<float>(value)));
    default:
      return value;
  }
}

std::optional<Literal> fold(const Instr& instr, std::span<const Literal> args,
                            std::span<const DType> dtypes) {
  if (args.empty()) return std::nullopt;
  const Literal a = args[0];
  const Literal b = args.size() > 1 ? args[1] : of_int(0);
  const DType from = dtypes[0];
  if (instr.op == Op::where) return a.i ? b : args[2];
  if (instr.op == Op::cast) return fold_cast(a, from, instr.dtype);
  switch (info(instr.op).cls) {
    case OpClass::l:
      if (auto v = logic(instr.op, a.i != 0, b.i != 0)) return of_int(*v);
      return std::nullopt;
    case OpClass::b: {
      const auto v = is_floating(from) ? compare(instr.op, a.f, b.f)
                                       : compare(instr.op, a.i, b.i);
      return v ? std::optional(of_int(*v)) : std::nullopt;
    }
    case OpClass::n:
    case OpClass::f:
      break;
    default:
      return std::nullopt;
  }
  if (from == DType::float64) {
    if (auto v = arithmetic(instr.op, a.f, b.f)) return of_float(*v);
  } else if (is_floating(from)) {
    const auto v =
        arithmetic(instr.op, static_cast<float>(a.f), static_cast<float>(b.f));
    if (v) return of_float(rounded(*v, from));
  } else if (is_integer(from)) {
    if (auto v = integer_arithmetic(instr.op, a.i, b.i, from))
      return of_int(*v);
  }
  return std::nullopt;
}

}  // namespace jacquard::pointwise
