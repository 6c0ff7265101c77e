// Looking for NaN and infinities: one launch and a read of two bytes.
#pragma once

#include "core/tape/node.h"
#include "jacquard/tensor.h"

namespace jacquard::tape {

struct NonFinite {
  bool nan = false, inf = false;

  explicit operator bool() const { return nan || inf; }
  const char* name() const { return nan ? "NaN" : "Inf"; }
};
// What a tensor holds; nothing of tensors that aren't floating.
NonFinite find_non_finite(const Tensor& t);

// NumericError that names the node, whose value t is, unless t is finite.
void require_finite(const Tensor& t, const Node& node, const char* op);

// "float32[3, 4]".
std::string described(DType dtype, const Shape& shape);
// " (called at file:line)", or nothing.
std::string called_at(CallSite site);

}  // namespace jacquard::tape
