// Operands of operations that need a tensor.
#pragma once

#include "core/tensor/host_scalar.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::ops {

// A pending constant, the value converted to the dtype.
TrackedTensor fill(const char* name, const Shape& shape, DType dtype,
                   Device device, HostScalar value);
HostScalar host_scalar(const Operand& scalar);

// The operand's tensor, a leaf's being its current value; a host scalar
// becomes a rank-0 constant on `device` with the dtype that it has by itself.
TrackedTensor as_tensor(const char* name, const Operand& x,
                        Device device = default_device());
// The same, without a second handle: what an operation is the last to hold is
// not kept for later questions.
TrackedTensor as_tensor(const char* name, Operand&& x,
                        Device device = default_device());

}  // namespace jacquard::ops
