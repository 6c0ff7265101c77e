// Anomaly mode: the first NaN or infinity is an error. Each function here is
// called in that mode only.
#pragma once

#include <span>

#include "core/tape/finite.h"
#include "core/tape/modes.h"
#include "core/tape/value.h"

namespace jacquard::tape {

inline bool looks_for_anomalies() { return anomaly_mode() != Anomaly::off; }

// What t holds of what is looked for.
NonFinite find_anomaly(const Tensor& t);

// A value that a launch computed, not published: for blame().
struct AnomalousValue {
  ValuePtr value;
  NonFinite found;
};
// Throws an AnomalousValue if one of the tensors, computed for the values, is
// one.
void check_launched(std::span<Value* const> values,
                    std::span<const Tensor> tensors);
// Writes what leads to the value one operation after the other: the first bad
// one is a NumericError.
[[noreturn]] void blame(const AnomalousValue& bad);

// Of an operation that isn't pointwise; operands are written.
void check_result(const char* name, CallSite site, const Tensor& result,
                  std::span<const TrackedTensor* const> operands);

// NumericError: a gradient at `node`; `where`: "the gradient of input 0", …
[[noreturn]] void throw_bad_gradient(const Node& node, NonFinite found,
                                     const std::string& where);

}  // namespace jacquard::tape
