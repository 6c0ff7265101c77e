// Checks of operands beside their shapes.
#pragma once

#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "jacquard/error.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::ops {

// DeviceError that names `op`, unless both are on one device.
inline void check_same_device(const char* op, const TrackedTensor& a,
                              const TrackedTensor& b) {
  if (a.device() != b.device())
    throw DeviceError(std::string(op) + ": operands on " +
                      to_string(a.device()) + " and " + to_string(b.device()) +
                      "; move one with to_device");
}

// What is to be written into an array like x: a tensor on x's device, or a host
// scalar, which becomes a constant of x's dtype. DTypeError unless writing it
// keeps its category: bool goes into anything, integers into numbers, floating
// into floating.
inline TrackedTensor values_for(const char* op, const TrackedTensor& x,
                                const Operand& v) {
  const auto category = [](DType t) {
    return is_floating(t) ? 2 : is_integer(t) ? 1 : 0;
  };
  const int given = v.is_scalar() ? static_cast<int>(v.scalar_kind())
                                  : category(v.tensor().dtype());
  if (given > category(x.dtype())) {
    constexpr const char* names[] = {"bool", "integer", "floating"};
    throw DTypeError(std::string(op) + ": " + names[given] +
                     " values do not fit an array of " +
                     std::string(name_of(x.dtype())) + "; cast one of them");
  }
  if (v.is_scalar()) return fill(op, {}, x.dtype(), x.device(), host_scalar(v));
  check_same_device(op, x, v.tensor());
  return as_tensor(op, v);
}

}  // namespace jacquard::ops
