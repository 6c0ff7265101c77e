// The engine of the emulator: loads images, describes their kernels and runs
// them to completion on host threads. This is all that the runtime libraries
// use of it. Includes are relative to tests/ptx_emulator.
//
// Thread safety: everything here may be called from several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "execute/fault.h"

namespace ptx_emulator {

struct LaunchCounters;  // memory/counters.h

class Module;

// One parameter in the kernel's parameter block.
struct ParameterLayout {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

// What cudaFuncGetAttributes reports. Register counts are unknown to PTX, so
// `registers` is an upper bound from the declared 32-bit registers, at most
// 255.
struct KernelAttributes {
  std::uint32_t static_shared_bytes = 0;
  std::uint32_t local_bytes = 0;  // per thread
  std::uint32_t constant_bytes = 0;
  std::uint32_t max_threads_per_block = 1024;
  std::uint32_t registers = 0;
  int ptx_version = 0;     // the PTX's .target: 80 for sm_80
  int binary_version = 0;  // as if compiled for the device: its capability
};

// A __global__ function. Lives as long as its module.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual const std::string& name() const = 0;  // as in PTX (mangled)
  virtual const std::vector<ParameterLayout>& parameters() const = 0;
  virtual std::uint32_t parameter_bytes() const = 0;
  // Decodes the kernel at its first use. Throws ImageError (kUnsupported,
  // kInvalidPtx) naming kernel, line and instruction.
  virtual const KernelAttributes& attributes() const = 0;
};

// A __device__ or __constant__ variable. Its memory is registered with the
// memory component and initialised when the module is loaded.
struct Variable {
  std::string name;
  std::uint64_t address = 0;
  std::size_t bytes = 0;
  bool constant = false;
};

class Module {
 public:
  // Loads an image: a fat binary (the wrapper that __cudaRegisterFatBinary
  // receives, or the container itself), or NUL-terminated PTX. Of several PTX
  // entries it takes the highest whose architecture is at most `capability`
  // (80 for 8.0). Device variables are allocated and initialised; the
  // destructor frees them. Throws ImageError.
  static std::shared_ptr<Module> load(const void* image, int capability);

  virtual ~Module() = default;
  // Null if there is none of that name.
  virtual const Kernel* find_kernel(std::string_view name) const = 0;
  virtual const Variable* find_variable(std::string_view name) const = 0;
  virtual std::vector<std::string> kernel_names() const = 0;
  virtual int capability() const = 0;  // as given to load()
};

struct Launch {
  const Kernel* kernel = nullptr;
  std::uint32_t grid[3] = {1, 1, 1};
  std::uint32_t block[3] = {1, 1, 1};
  std::uint32_t dynamic_shared = 0;
  // The parameter block: kernel->parameter_bytes() bytes, each parameter at
  // its layout's offset.
  std::vector<std::byte> parameters;
};

// Limits of a launch on the emulated device.
inline constexpr std::uint32_t kMaxThreadsPerBlock = 1024;
inline constexpr std::uint32_t kMaxSharedBytesPerBlock = 232448;

// Runs a launch to completion: its blocks are handed out in order of their
// linear index to at most PTX_EMULATOR_THREADS (or the number of CPUs) host
// threads, this one among them; small launches run on this one alone. Throws
// Fault for the first error of the kernel (remaining blocks are dropped),
// LaunchError for sizes out of range, ImageError if the kernel can't be
// decoded.
LaunchCounters run(const Launch& launch);

}  // namespace ptx_emulator
