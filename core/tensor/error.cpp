#include "jacquard/error.h"

namespace jacquard {

Error::Error(const std::string& message) : std::runtime_error(message) {}

// Out of line, so that each class has one type_info, in this library, and can
// be caught across its border.
Error::~Error() = default;
ShapeError::~ShapeError() = default;
DTypeError::~DTypeError() = default;
DeviceError::~DeviceError() = default;
IndexError::~IndexError() = default;
GraphError::~GraphError() = default;
NumericError::~NumericError() = default;
CudaError::~CudaError() = default;
OutOfMemory::~OutOfMemory() = default;

}  // namespace jacquard
