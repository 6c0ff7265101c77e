// One element of any dtype on the host.
#pragma once

#include <cstdint>

#include "jacquard/dtype.h"

namespace jacquard {

// Integers and bools are in `i`, floating values in `f`.
struct HostScalar {
  bool integral = false;
  std::int64_t i = 0;
  double f = 0;
};

HostScalar read_scalar(const void* from, DType dtype);

// Converts as a cast on the device does: to bool: ≠ 0; floating to integer
// truncates, NaN and what is out of range give the smallest integer; between
// integers wraps.
void write_scalar(const HostScalar& value, void* to, DType dtype);

}  // namespace jacquard
