// Products of matrices, and how one waits.
//
// A matmul is checked when it is called and launched at its first use. If that
// use is a region which the launch can carry (an epilogue of
// backend::MatmulLaunch) and nobody else holds the bare product, the product
// itself is never written: its node leads on from the region's. Any other use
// launches the bare product first. Unless JACQUARD_EPILOGUES=on: at the call.
#pragma once

#include <optional>

#include "core/backend/backend.h"
#include "core/tape/node.h"
#include "core/tape/region_builder.h"
#include "core/tape/value.h"

namespace jacquard::tape {

// The last two axes swapped.
Tensor transposed(const Tensor& t);
// [..., r, c] as [... · r, c].
Shape folded(const Shape& shape);
// t, or a copy if the backend can't read its matrices in place.
Tensor readable(const Tensor& t);
// out (+)= a·b, at once. out: contiguous, its batch that of a and b broadcast.
void multiply(const Tensor& out, const Tensor& a, const Tensor& b,
              bool accumulate);

// The value a·b of the shape that this gives; a and b are written and of one
// dtype. Tracked if there is a pullback, whose inputs are a and b.
TrackedTensor make_product(CallSite site, const Shape& shape,
                           const TrackedTensor& a, const TrackedTensor& b,
                           PullbackPtr pullback);

// A region that is a product's alone: product + bias, or relu of that.
struct CarriedRegion {
  const Value* product;
  const Value* bias;
  bool relu;
};
std::optional<CarriedRegion> carried_region(const RegionBuilder& region,
                                            const Value& root);
// Launches it as one; false, and nothing happened, if the backend can't.
bool multiply_carrying(const char* op, const Tensor& out,
                       const CarriedRegion& carried);

}  // namespace jacquard::tape
