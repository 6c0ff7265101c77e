// The error that a check of a memory access throws.
#pragma once

#include <stdexcept>
#include <string>

#include "execute/fault.h"

namespace ptx_emulator {

// Thrown by all checks of memory/. It knows what was done to which memory, but
// not where in the program: the engine catches it, adds kernel, instruction,
// block and thread, and throws a Fault of the same kind; for copies and library
// calls the runtime reports it as it is.
class AccessFault : public std::runtime_error {
 public:
  // `lane` is the first lane of the warp that is at fault; -1 where no warp
  // makes the access.
  AccessFault(FaultKind kind, const std::string& problem, int lane = -1)
      : std::runtime_error(problem), kind_(kind), lane_(lane) {}
  FaultKind kind() const { return kind_; }
  int lane() const { return lane_; }

 private:
  FaultKind kind_;
  int lane_;
};

}  // namespace ptx_emulator
