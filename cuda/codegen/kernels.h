// The kernels of a program, one for each key: found without a lock, compiled
// once.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "cuda/codegen/work.h"
#include "cuda/runtime/launch.h"
#include "jacquard/export.h"

namespace jacquard::cuda_backend {

struct Target;

// What the source is compiled to: from the disk if it is there. `name` is for
// messages and names the file in the compiler's log.
std::string image_of(const std::string& source, const std::string& name,
                     const Target& target);

class ProgramKernels {
 public:
  // Of the program; lives as long as the process.
  static ProgramKernels& of(const pointwise::Program& program);

  const ProgramFacts& facts() const { return facts_; }

  // The kernel for `work` on a device of that capability. `members` declares
  // its arguments: called with a std::string to append to, if the kernel isn't
  // there yet.
  template <class F>
  const Kernel& find(const Work& work, int capability, F&& members) {
    thread_local std::string key;
    key.assign(1, static_cast<char>(capability));
    work.append_key(key);
    if (const Kernel* kernel = look_up(key)) [[likely]]
      return *kernel;
    std::string declared;
    members(declared);
    return make(work, capability, key, declared);
  }

 private:
  struct Variant {
    std::string key;
    Kernel kernel;
    Variant* next;
  };

  explicit ProgramKernels(const pointwise::Program& program)
      : facts_(program) {}
  const Kernel* look_up(const std::string& key) const;
  const Kernel& make(const Work& work, int capability, const std::string& key,
                     const std::string& members);

  const ProgramFacts facts_;
  std::atomic<Variant*> first_{nullptr};
  std::mutex mutex_;
};

// Kernels that this process has made: those that were compiled, those that
// were found on disk, and the seconds that making them took: source, compiler
// or disk, and loading.
struct KernelCounts {
  unsigned long compiled = 0, found = 0;
  double seconds = 0;
};
KernelCounts kernel_counts();

// The same for programs that opened the library, which find it by dlsym.
extern "C" JACQUARD_API void jacquard_cuda_kernel_counts(KernelCounts* to);

}  // namespace jacquard::cuda_backend
