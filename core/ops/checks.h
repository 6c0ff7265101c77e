// Checks that several families share.
#pragma once

#include <string>

#include "jacquard/error.h"
#include "jacquard/shape.h"

namespace jacquard::ops {

inline void check_extents(const char* name, const Shape& shape) {
  for (const std::int64_t extent : shape)
    if (extent < 0)
      throw ShapeError(std::string(name) + ": " + to_string(shape) +
                       " has a negative extent");
}

}  // namespace jacquard::ops
