#include "runtime/modules.h"

#include <map>
#include <shared_mutex>
#include <unordered_map>

#include "runtime/configuration.h"
#include "runtime/streams.h"

namespace ptx_emulator {
namespace {

struct RegisteredVariable {
  std::shared_ptr<CodeImage> image;
  std::string name;
  std::size_t bytes = 0;
};

// Never destroyed: destructors of the program may still launch kernels.
struct Registry {
  std::shared_mutex mutex;
  std::unordered_map<const void*, std::shared_ptr<CodeImage>> images;
  std::unordered_map<const void*, KernelHandle*> functions;  // and handles
  std::unordered_map<const void*, RegisteredVariable> variables;
  std::unordered_map<const void*, std::unique_ptr<Library>> libraries;
  std::map<std::pair<const CodeImage*, std::string>,
           std::unique_ptr<KernelHandle>>
      kernels;
};

Registry& registry() {
  static auto* result = new Registry;
  return *result;
}

using Lock = std::unique_lock<std::shared_mutex>;
using SharedLock = std::shared_lock<std::shared_mutex>;

// Two host functions with one kernel name in one image are one kernel.
KernelHandle* kernel_of(Registry& all, std::shared_ptr<CodeImage> image,
                        const std::string& name) {
  auto& kernel = all.kernels[{image.get(), name}];
  if (!kernel) {
    kernel = std::make_unique<KernelHandle>();
    kernel->image = std::move(image);
    kernel->name = name;
    all.functions[kernel.get()] = kernel.get();
  }
  return kernel.get();
}

}  // namespace

Module& CodeImage::on_device(int device) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto index = static_cast<std::size_t>(device);
  if (modules_.size() <= index) modules_.resize(index + 1);
  if (!modules_[index])
    modules_[index] = Module::load(image_, configuration().capability);
  return *modules_[index];
}

void CodeImage::load_everywhere() {
  for (int device = 0; device < configuration().devices; ++device)
    on_device(device);
}

const Kernel& KernelHandle::on_device(int device) const {
  const Kernel* kernel = image->on_device(device).find_kernel(name);
  if (kernel == nullptr)
    throw ImageError(ImageError::Reason::kUnknownFunction,
                     "the PTX for this device has no kernel " + name);
  return *kernel;
}

KernelHandle* find_kernel(const void* function_or_handle) {
  Registry& all = registry();
  const SharedLock lock(all.mutex);
  const auto found = all.functions.find(function_or_handle);
  return found == all.functions.end() ? nullptr : found->second;
}

Library* load_library(const void* image) {
  auto library = std::make_unique<Library>();
  library->image = std::make_shared<CodeImage>(image);
  library->image->load_everywhere();
  Library* result = library.get();
  Registry& all = registry();
  const Lock lock(all.mutex);
  all.libraries[result] = std::move(library);
  return result;
}

bool unload_library(const void* handle) {
  Registry& all = registry();
  const Lock lock(all.mutex);
  const auto found = all.libraries.find(handle);
  if (found == all.libraries.end()) return false;
  const CodeImage* image = found->second->image.get();
  std::erase_if(all.kernels, [&](const auto& entry) {
    if (entry.first.first != image) return false;
    all.functions.erase(entry.second.get());
    return true;
  });
  all.libraries.erase(found);
  return true;
}

Library* find_library(const void* handle) {
  Registry& all = registry();
  const SharedLock lock(all.mutex);
  const auto found = all.libraries.find(handle);
  return found == all.libraries.end() ? nullptr : found->second.get();
}

KernelHandle* library_kernel(Library& library, const std::string& name) {
  if (library.image->on_device(current_device()).find_kernel(name) == nullptr)
    return nullptr;
  Registry& all = registry();
  const Lock lock(all.mutex);
  return kernel_of(all, library.image, name);
}

cudaError_t symbol_address(const void* symbol, void** address,
                           std::size_t* bytes) {
  RegisteredVariable variable;
  {
    Registry& all = registry();
    const SharedLock lock(all.mutex);
    const auto found = all.variables.find(symbol);
    if (found == all.variables.end()) return cudaErrorInvalidSymbol;
    variable = found->second;
  }
  const Variable* found =
      variable.image->on_device(current_device()).find_variable(variable.name);
  if (found == nullptr) return cudaErrorInvalidSymbol;
  *address = reinterpret_cast<void*>(found->address);
  *bytes = found->bytes;
  return cudaSuccess;
}

}  // namespace ptx_emulator

using namespace ptx_emulator;

// What nvcc's start-up code calls, as declared in crt/host_runtime.h.
#pragma GCC visibility push(default)
extern "C" {

void** __cudaRegisterFatBinary(void* wrapper) {
  auto image = std::make_shared<CodeImage>(wrapper);
  void* handle = image.get();
  Registry& all = registry();
  const Lock lock(all.mutex);
  all.images[handle] = std::move(image);
  return static_cast<void**>(handle);
}

void __cudaRegisterFatBinaryEnd(void**) {}

void __cudaUnregisterFatBinary(void** handle) {
  Registry& all = registry();
  const Lock lock(all.mutex);
  const auto found = all.images.find(handle);
  if (found == all.images.end()) return;
  const CodeImage* image = found->second.get();
  std::erase_if(all.functions, [&](const auto& entry) {
    return entry.second->image.get() == image;
  });
  std::erase_if(all.variables, [&](const auto& entry) {
    return entry.second.image.get() == image;
  });
  std::erase_if(all.kernels,
                [&](const auto& entry) { return entry.first.first == image; });
  all.images.erase(found);
}

char __cudaInitModule(void**) { return 0; }

void __cudaRegisterFunction(void** handle, const char* function, char*,
                            const char* name, int, uint3*, uint3*, dim3*, dim3*,
                            int*) {
  Registry& all = registry();
  const Lock lock(all.mutex);
  all.functions[function] = kernel_of(all, all.images.at(handle), name);
}

void __cudaRegisterVar(void** handle, char* variable, char*, const char* name,
                       int, size_t bytes, int, int) {
  Registry& all = registry();
  const Lock lock(all.mutex);
  all.variables[variable] = {all.images.at(handle), name, bytes};
}

}  // extern "C"
#pragma GCC visibility pop
