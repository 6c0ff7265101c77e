#include <dlfcn.h>

#include <atomic>
#include <mutex>
#include <string>

#include "core/backend/backend.h"
#include "jacquard/error.h"

namespace jacquard::backend {
namespace {

struct Library {
  const char* file;
  const char* device;
  const char* remedy;
  std::once_flag once{};
  std::atomic<Backend*> backend{nullptr};
  std::string failure{};

  void open();
};

// Never destroyed, like the backends: values may be freed after main.
Library& library(DeviceType type) {
  static auto* cpu = new Library{
      "libjacquard_cpu.so", "cpu",
      "build the target jacquard_cpu, or install it beside libjacquard_core"};
  static auto* cuda = new Library{
      "libjacquard_cuda.so", "cuda",
      "it is part of a build that finds nvcc (cmake -DJACQUARD_CUDA=ON), and "
      "needs the CUDA runtime"};
  return type == DeviceType::cpu ? *cpu : *cuda;
}

// The folder of this library, with a slash at its end; empty if unknown.
std::string own_folder() {
  Dl_info self;
  if (!dladdr(reinterpret_cast<const void*>(&own_folder), &self)) return {};
  const std::string path = self.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

// In the folder of this library first, then where libraries usually are. A run
// path of $ORIGIN would not do: sanitizers call dlopen in our place.
void Library::open() {
  void* handle = dlopen((own_folder() + file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* reason = dlerror();
    failure = reason ? reason : file;
    return;
  }
  const auto entry = reinterpret_cast<EntryPoint>(dlsym(handle, kEntryPoint));
  if (!entry) {
    failure = std::string(file) + " has no " + kEntryPoint;
    return;
  }
  try {
    backend.store(entry(), std::memory_order_release);
  } catch (const std::exception& e) {
    failure = e.what();
  }
  if (!backend.load() && failure.empty())
    failure = std::string(file) + " gave no backend";
}

Backend* find(Library& l) {
  if (Backend* b = l.backend.load(std::memory_order_acquire)) return b;
  std::call_once(l.once, [&] { l.open(); });
  return l.backend.load(std::memory_order_acquire);
}

}  // namespace

Backend* find_backend(DeviceType type) noexcept {
  try {
    return find(library(type));
  } catch (...) {
    return nullptr;
  }
}

Backend& backend_of(DeviceType type) {
  Library& l = library(type);
  if (Backend* b = find(l)) return *b;
  throw DeviceError(std::string("device ") + l.device + ": no backend (" +
                    l.failure + "); " + l.remedy);
}

}  // namespace jacquard::backend
