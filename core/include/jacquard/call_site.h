// The caller's file and line, taken by a default argument.
#pragma once

namespace jacquard {

// Costs nothing: two constants. Operators can't default a source_location, an
// Operand can carry this.
struct CallSite {
  const char* file = "";
  int line = 0;

  static constexpr CallSite current(const char* file = __builtin_FILE(),
                                    int line = __builtin_LINE()) {
    return {file, line};
  }
};

}  // namespace jacquard
