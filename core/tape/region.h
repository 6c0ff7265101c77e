// Regions: pending values that are computed by one launch.
#pragma once

#include <span>

#include "core/tape/value.h"

namespace jacquard::tape {

// Computes the values that are still pending and publishes them: those over
// one iteration space and device are outputs of one launch, reductions
// included. All or nothing for each launch. Returns nothing; read tensor().
void force(std::span<Value* const> values);
// The sum over the first axis of `value`, a matrix, written to `target`, a
// vector, or added to it.
struct ColumnSum {
  ValuePtr value;
  Tensor target;
  bool accumulate;
};
// The same; the sums, all of one shape, are computed along with the values over
// that space, or else by a launch of their own.
void force(std::span<Value* const> values, std::span<const ColumnSum> sums);
// One value; returns its array.
const Tensor& force(Value& value);
inline Tensor force(const TrackedTensor& t, const char* op) {
  ValuePtr v = snapshot(t, op);
  return force(*v);
}

// Throws the error that is being handled, with the line of v's call.
[[noreturn]] void rethrow_with_site(const Value& v);

class RegionBuilder;
// The region of a pending reduction, and the result's shape over its space:
// reduced axes kept as 1. False if v was written meanwhile.
bool gather_reduction(Value& v, RegionBuilder& region, Shape& over_space);

// Computes t (pending or not) into the elements of `target`, a view of the same
// shape, converting to its dtype; adds to them if `accumulate`. Publishes
// nothing. target's memory must not be read by t's region except at the same
// element.
void compute_into(const Tensor& target, const TrackedTensor& t, bool accumulate,
                  const char* op);

}  // namespace jacquard::tape
