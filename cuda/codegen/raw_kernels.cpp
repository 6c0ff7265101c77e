#include "cuda/codegen/raw_kernels.h"

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cuda/codegen/kernels.h"
#include "cuda/codegen/nvrtc.h"
#include "cuda/codegen/workspace.h"
#include "cuda/runtime/launch.h"
#include "jacquard/error.h"

namespace jacquard::cuda_backend {
namespace {

using backend::RawCode;
using backend::RawLaunch;

// A dynamic size up to which a kernel needs no permission.
constexpr std::uint32_t kFreeShared = 48 * 1024;

// The kernels of a source, one for each compute capability: found without a
// lock, made once.
class RawKernels {
 public:
  static RawKernels& of(const RawCode& code) {
    if (void* known = code.compiled.load(std::memory_order_acquire)) [[likely]]
      return *static_cast<RawKernels*>(known);
    // Of two codes of the same source there is one.
    static std::mutex mutex;
    static auto& all =
        *new std::map<std::pair<std::string, std::string>, RawKernels>;
    const std::lock_guard lock(mutex);
    RawKernels& kernels = all[{code.source, code.entry}];
    code.compiled.store(&kernels, std::memory_order_release);
    return kernels;
  }

  const Kernel& find(const RawCode& code, int capability) {
    const std::lock_guard lock(mutex_);
    const auto known = kernels_.find(capability);
    if (known != kernels_.end()) return known->second;
    const std::string image =
        image_of(code.source, code.name, target_for(capability));
    try {
      return kernels_
          .emplace(capability, load_kernel(image.c_str(), code.entry))
          .first->second;
    } catch (const CudaError& e) {
      throw CudaError(std::string(code.name) + ": " + e.what() +
                      "; its CUDA source needs a function extern \"C\" "
                      "__global__ void " +
                      code.entry);
    }
  }

 private:
  std::mutex mutex_;
  std::map<int, Kernel> kernels_;
};

}  // namespace

void run_raw(const RawLaunch& launch, Stream stream) {
  const RawCode& code = *launch.code;
  const Kernel& kernel = RawKernels::of(code).find(code, capability_of(stream));
  std::vector<void*> arrays;
  for (const RawArray& a : launch.inputs) arrays.push_back(a.data);
  for (const RawArray& a : launch.outputs) arrays.push_back(a.data);
  std::vector<std::int64_t> sizes = launch.grid.sizes;
  std::vector<RawScalar> scalars(launch.scalars.begin(), launch.scalars.end());
  std::vector<void*> parameters;
  for (void*& a : arrays) parameters.push_back(&a);
  for (std::int64_t& n : sizes) parameters.push_back(&n);
  for (const RawScalar& s : scalars)
    parameters.push_back(const_cast<void*>(s.parameter()));
  const auto& [blocks, threads, shared, unused] = launch.grid;
  if (shared > kFreeShared) allow_shared(kernel, shared);
  cuda_backend::launch(kernel,
                       {blocks[0], blocks[1], blocks[2], threads[0], threads[1],
                        threads[2], shared},
                       parameters.data(), stream);
}

}  // namespace jacquard::cuda_backend
