// Regions: pending values that are computed by one launch.
#pragma once

#include <span>

#include "core/tape/value.h"

namespace jacquard::tape {

// Computes the values that are still pending and publishes them: those over
// one iteration space and device are outputs of one launch, reductions
// included. All or nothing for each launch. Returns nothing; read tensor().
void force(std::span<Value* const> values);
// One value; returns its array.
const Tensor& force(Value& value);
inline Tensor force(const TrackedTensor& t, const char* op) {
  ValuePtr v = snapshot(t, op);
  return force(*v);
}

// Computes t (pending or not) into the elements of `target`, a view of the same
// shape, converting to its dtype; adds to them if `accumulate`. Publishes
// nothing. target's memory must not be read by t's region except at the same
// element.
void compute_into(const Tensor& target, const TrackedTensor& t, bool accumulate,
                  const char* op);

}  // namespace jacquard::tape
