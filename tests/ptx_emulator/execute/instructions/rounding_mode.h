// The host's rounding mode for a scope.
#pragma once

#include <cfenv>

#include "execute/decoder.h"

namespace ptx_emulator {

// Sets the rounding mode of the host's floating-point unit and restores it.
// Use it in files compiled with -frounding-math.
class RoundingMode {
 public:
  explicit RoundingMode(Rounding rounding) : before_(std::fegetround()) {
    constexpr int kModes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD,
                              FE_UPWARD};
    std::fesetround(kModes[static_cast<int>(rounding)]);
  }
  ~RoundingMode() { std::fesetround(before_); }
  RoundingMode(const RoundingMode&) = delete;
  RoundingMode& operator=(const RoundingMode&) = delete;

 private:
  int before_;
};

}  // namespace ptx_emulator
