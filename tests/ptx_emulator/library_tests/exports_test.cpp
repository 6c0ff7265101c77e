// The libraries offer every name that programs may ask the real ones for.
#include <dlfcn.h>
#include <gtest/gtest.h>

namespace ptx_emulator::testing {
namespace {

void expect_exports(const char* library,
                    std::initializer_list<const char*> names) {
  void* handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(handle, nullptr) << dlerror();
  for (const char* name : names)
    EXPECT_NE(dlsym(handle, name), nullptr) << name;
  dlclose(handle);
}

#define PTX_EMULATOR_EXPORT(name) #name,

TEST(ExportsTest, CudartHasEveryFunction) {
  expect_exports("libcudart.so.13", {
#include "runtime/exported_names.inc"
                                    });
}

TEST(ExportsTest, CublasLtHasEveryFunction) {
  expect_exports("libcublasLt.so.13", {
#include "libraries/cublaslt_exports.inc"
                                      });
}

#undef PTX_EMULATOR_EXPORT

TEST(ExportsTest, CudartHasTheEmulatorsOwnFunctions) {
  expect_exports(
      "libcudart.so.13",
      {"ptx_emulator_calls", "ptx_emulator_clear_faults",
       "ptx_emulator_fault_count", "ptx_emulator_get_launch",
       "ptx_emulator_is_null", "ptx_emulator_last_fault",
       "ptx_emulator_launch_count", "ptx_emulator_mark_allocated",
       "ptx_emulator_mark_freed", "ptx_emulator_pending",
       "ptx_emulator_reset_counters", "ptx_emulator_visit_calls", "cuInit",
       "cuMemAlloc_v2", "cuGetProcAddress_v2", "cuModuleLoadData"});
}

}  // namespace
}  // namespace ptx_emulator::testing
