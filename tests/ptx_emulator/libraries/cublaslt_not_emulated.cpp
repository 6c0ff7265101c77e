// Every function of cublasLt.h that the stand-in lacks: weak definitions, which
// the others take precedence over. Nothing here may see the real declarations.
#include <cstdio>

namespace {

constexpr int kNotSupported = 15;  // CUBLAS_STATUS_NOT_SUPPORTED

int refuse(const char* name) {
  std::fprintf(stderr, "ptx_emulator: %s is not emulated\n", name);
  return kNotSupported;
}

}  // namespace

#define PTX_EMULATOR_EXPORT(name)                                      \
  extern "C" __attribute__((weak, visibility("default"))) int name() { \
    return refuse(#name);                                              \
  }
#include "libraries/cublaslt_exports.inc"
#undef PTX_EMULATOR_EXPORT
