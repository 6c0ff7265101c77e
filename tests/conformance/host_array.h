// Plain loops over host arrays: what the references of whole-array operations
// are written with.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "tests/conformance/op_case.h"

namespace jacquard::conformance {

// A place in an array: one number for each axis.
using Place = std::vector<std::int64_t>;

inline double value_at(const HostArray& a, const Place& place) {
  std::int64_t offset = 0;
  for (int d = 0; d < a.shape.rank(); ++d)
    offset = offset * a.shape[d] + place[static_cast<std::size_t>(d)];
  return a.data[static_cast<std::size_t>(offset)];
}
inline double& value_at(HostArray& a, const Place& place) {
  std::int64_t offset = 0;
  for (int d = 0; d < a.shape.rank(); ++d)
    offset = offset * a.shape[d] + place[static_cast<std::size_t>(d)];
  return a.data[static_cast<std::size_t>(offset)];
}

// Calls f at each place of a shape, row-major.
inline void for_places(const Shape& shape,
                       const std::function<void(const Place&)>& f) {
  Place place(static_cast<std::size_t>(shape.rank()), 0);
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    f(place);
    for (int d = shape.rank(); d-- > 0;) {
      auto& p = place[static_cast<std::size_t>(d)];
      if (++p < shape[d]) break;
      p = 0;
    }
  }
}

// The array whose elements are f of their places.
inline HostArray make_array(const Shape& shape,
                            const std::function<double(const Place&)>& f) {
  HostArray out{shape, {}};
  for_places(shape, [&](const Place& p) { out.data.push_back(f(p)); });
  return out;
}

// f of the elements along the axes (bit i: axis i), in row-major order.
inline HostArray reduced(
    const HostArray& x, unsigned axes, bool keepdims,
    const std::function<double(const std::vector<double>&)>& f) {
  Shape kept, inner, result;
  for (int d = 0; d < x.shape.rank(); ++d) {
    const bool gone = axes >> d & 1u;
    kept.push_back(gone ? 1 : x.shape[d]);
    inner.push_back(gone ? x.shape[d] : 1);
    if (!gone || keepdims) result.push_back(gone ? 1 : x.shape[d]);
  }
  HostArray out{result, {}};
  for_places(kept, [&](const Place& outer) {
    std::vector<double> elements;
    for_places(inner, [&](const Place& p) {
      Place at = outer;
      for (std::size_t d = 0; d < at.size(); ++d) at[d] += p[d];
      elements.push_back(value_at(x, at));
    });
    out.data.push_back(f(elements));
  });
  return out;
}

}  // namespace jacquard::conformance
