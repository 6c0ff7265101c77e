// What a Linearization is made of.
#pragma once

#include <vector>

#include "core/tape/forward_walk.h"
#include "core/tape/value.h"
#include "jacquard/jvp.h"

namespace jacquard::detail {

struct Linearization::State {
  const char* transform;
  CallSite site;
  Level level;
  std::vector<TrackedTensor> results;
};

// The walk from what was entered to the results; `asked`: recorded wherever.
tape::ForwardWalk walk_between(const std::vector<TrackedTensor>& results,
                               const std::vector<TrackedTensor>& aliases,
                               bool asked, const char* transform);

// Of like's dtype and device; no path leads to it.
TrackedTensor zero_tangent(const Shape& shape, const TrackedTensor& like);

}  // namespace jacquard::detail
