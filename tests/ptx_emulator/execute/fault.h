// What goes wrong while an image is loaded or a kernel runs.
#pragma once

#include <array>
#include <stdexcept>
#include <string>

namespace ptx_emulator {

// The image can't be loaded, or a kernel of it can't be executed.
class ImageError : public std::runtime_error {
 public:
  enum class Reason {
    kInvalidImage,     // neither a fat binary nor PTX, or a damaged one
    kNoPtxForDevice,   // no PTX entry at or below the device's capability
    kInvalidPtx,       // the PTX text has an error
    kUnsupported,      // an instruction or directive that is not emulated
    kOutOfMemory,      // for the module's variables
    kUnknownFunction,  // a kernel or function that the module doesn't have
  };
  ImageError(Reason reason, const std::string& message)
      : std::runtime_error(message), reason_(reason) {}
  Reason reason() const { return reason_; }

 private:
  Reason reason_;
};

// A launch that the device would refuse: sizes out of their limits.
class LaunchError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The kinds of error a running kernel can make.
enum class FaultKind {
  kIllegalAddress,  // out of bounds, after free, or no device memory
  kMisalignedAddress,
  kUninitializedRead,  // of memory that nothing wrote
  kSharedMemoryRace,
  kUnorderedAccess,   // to memory that work of another stream uses, and no
                      // event or synchronisation orders the two
  kDivergentBarrier,  // threads of a warp wait at different barriers
  kMissingThreads,    // a barrier that not all its threads reach
  kMissingLanes,      // a warp-level operation whose lanes don't all arrive
  kTrap,
  kDeviceAssert,
  kInvalidInstruction,  // operands out of what the ISA allows
};

// An error of a running kernel. what() holds all of it in one sentence.
class Fault : public std::runtime_error {
 public:
  struct Place {
    std::string kernel;
    std::string function;     // where in the kernel: itself or one it calls
    std::string instruction;  // as written in PTX
    int ptx_line = 0;         // from 1, within the module's PTX text
    std::string source;       // "file:line" from .loc; empty without -lineinfo
    std::array<unsigned, 3> block{};
    std::array<unsigned, 3> thread{};
  };
  Fault(FaultKind kind, const std::string& problem, Place place);
  FaultKind kind() const { return kind_; }
  const std::string& problem() const { return problem_; }
  const Place& place() const { return place_; }

 private:
  FaultKind kind_;
  std::string problem_;
  Place place_;
};

}  // namespace ptx_emulator
