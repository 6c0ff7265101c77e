// NVRTC, opened at its first use.
#pragma once

#include <string>
#include <vector>

namespace jacquard::cuda_backend {

// What a source is compiled to.
struct Target {
  int architecture = 0;       // 90 for sm_90
  bool machine_code = false;  // else PTX

  // The option: "-arch=sm_90" or "-arch=compute_90".
  std::string option() const;
};

// Machine code for a device that NVRTC knows; PTX of the newest architecture
// that it knows and that the device can run, for newer devices and where only
// PTX is executed. DeviceError naming the package if NVRTC is not there.
Target target_for(int capability);

// "13.0".
const std::string& nvrtc_version();

// The options besides the architecture: ours, then those of
// $JACQUARD_NVRTC_OPTIONS, which spaces separate.
const std::vector<std::string>& compile_options();

struct Compiled {
  std::string image;  // machine code, or PTX with its NUL
  std::string ptx;    // if asked for
};
// CudaError with the log and the head of the source if it doesn't compile.
Compiled compile(const std::string& source, const std::string& name,
                 const Target& target, bool with_ptx);

}  // namespace jacquard::cuda_backend
