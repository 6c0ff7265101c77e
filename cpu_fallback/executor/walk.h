// How one operand runs over a box of the iteration space.
#pragma once

#include <algorithm>
#include <cstdint>

#include "jacquard/shape.h"

namespace jacquard::cpu_fallback {

// One more than a space has: a leading axis of extent 1 where that helps.
inline constexpr int kMaxAxes = kMaxRank + 1;
using PerAxis = std::int64_t[kMaxAxes];

// A row-major walk over `rank` axes in which neighbouring axes are merged where
// the operand's strides allow it. `offset` is where the operand is, in
// elements.
struct Walk {
  int rank = 1;
  std::int64_t offset = 0;
  PerAxis extent, stride, coord;

  void begin(int axes, const std::int64_t* extents, const std::int64_t* strides,
             std::int64_t start) {
    offset = start;
    rank = 0;
    for (int a = 0; a < axes; ++a) {
      if (extents[a] == 1) continue;
      if (rank > 0 && stride[rank - 1] == strides[a] * extents[a]) {
        extent[rank - 1] *= extents[a];
        stride[rank - 1] = strides[a];
      } else {
        extent[rank] = extents[a];
        stride[rank] = strides[a];
        coord[rank] = 0;
        ++rank;
      }
    }
    if (rank == 0) {
      extent[0] = 1;
      stride[0] = 1;
      coord[0] = 0;
      rank = 1;
    }
  }

  // Elements left in the innermost run, and its stride.
  std::int64_t left() const { return extent[rank - 1] - coord[rank - 1]; }
  std::int64_t step() const { return stride[rank - 1]; }

  // n ≤ left().
  void advance(std::int64_t n) {
    int a = rank - 1;
    coord[a] += n;
    offset += n * stride[a];
    while (coord[a] == extent[a] && a > 0) {
      offset -= extent[a] * stride[a];
      coord[a] = 0;
      --a;
      ++coord[a];
      offset += stride[a];
    }
  }

  // Any n up to the end.
  void advance_all(std::int64_t n) {
    runs(n, [](std::int64_t, std::int64_t, std::int64_t, std::int64_t) {});
  }

  // From the beginning to element n.
  void skip(std::int64_t n) {
    for (int a = rank - 1; a >= 0; --a) {
      coord[a] = a > 0 ? n % extent[a] : n;
      n /= extent[a];
      offset += coord[a] * stride[a];
    }
  }

  // Calls f(done, offset, stride, count) for each run of the next n elements.
  template <class F>
  void runs(std::int64_t n, F&& f) {
    for (std::int64_t done = 0; done < n;) {
      const std::int64_t count = std::min(left(), n - done);
      f(done, offset, step(), count);
      advance(count);
      done += count;
    }
  }
};

}  // namespace jacquard::cpu_fallback
