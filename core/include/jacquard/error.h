// The exceptions that Jacquard throws.
//
// A message names the operation, the shapes, and what would fit, for example
//   matmul: [128, 784] × [512, 10]: inner dimensions differ (784 and 512)
// An error that is found while a pending value is computed, or in a backward,
// also names the source line where the operation was called.
//
// After an exception every value is still readable and every leaf has the
// gradient that it had before the call.
#pragma once

#include <stdexcept>
#include <string>

#include "jacquard/export.h"

namespace jacquard {

// The base of all of them.
class JACQUARD_API Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message);
  ~Error() override;
};

#define JACQUARD_ERROR(Name)               \
  class JACQUARD_API Name : public Error { \
   public:                                 \
    using Error::Error;                    \
    ~Name() override;                      \
  }

JACQUARD_ERROR(ShapeError);    // shapes, ranks or axes that do not fit
JACQUARD_ERROR(DTypeError);    // an element type that the operation can't take
JACQUARD_ERROR(DeviceError);   // a device that is absent, or two that differ
JACQUARD_ERROR(IndexError);    // an index or a path out of range
JACQUARD_ERROR(GraphError);    // a tape that was given up, or a missing seed
JACQUARD_ERROR(NumericError);  // a NaN or infinity that a check has found
JACQUARD_ERROR(CudaError);     // what the CUDA runtime or a library reported
JACQUARD_ERROR(OutOfMemory);   // with requested, in use, peak and free bytes

#undef JACQUARD_ERROR

}  // namespace jacquard
