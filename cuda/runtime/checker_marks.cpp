#include "cuda/runtime/checker_marks.h"

#include <dlfcn.h>

namespace jacquard::cuda_backend {

const CheckerMarks& checker_marks() {
  static const CheckerMarks marks = [] {
    const auto find = [](const char* name) {
      return reinterpret_cast<CheckerMarks::Mark>(dlsym(RTLD_DEFAULT, name));
    };
    const CheckerMarks found{find("ptx_emulator_mark_allocated"),
                             find("ptx_emulator_mark_freed")};
    return found.allocated && found.freed ? found : CheckerMarks{};
  }();
  return marks;
}

}  // namespace jacquard::cuda_backend
