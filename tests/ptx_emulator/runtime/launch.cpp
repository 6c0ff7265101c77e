#include "runtime/launch.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>

#include "memory/counters.h"
#include "runtime/configuration.h"
#include "runtime/device_properties.h"
#include "runtime/status.h"
#include "runtime/streams.h"

namespace ptx_emulator {
namespace {

// Thread instructions that the emulated clock lets pass in a microsecond.
constexpr double kInstructionsPerMicrosecond = 1e6;

bool fits(dim3 grid, dim3 block) {
  const auto inside = [](unsigned value, long long limit) {
    return value >= 1 && value <= limit;
  };
  return inside(grid.x, 2147483647) && inside(grid.y, 65535) &&
         inside(grid.z, 65535) && inside(block.x, 1024) &&
         inside(block.y, 1024) && inside(block.z, 64) &&
         block.x * block.y * block.z <= kMaxThreadsPerBlock;
}

cudaError_t refuse(const KernelHandle& kernel, cudaError_t status,
                   const char* reason) {
  std::fprintf(stderr, "ptx_emulator: launch of %s refused: %s\n",
               kernel.name.c_str(), reason);
  return status;
}

cudaError_t check(const KernelHandle& handle, const KernelAttributes& kernel,
                  dim3 grid, dim3 block, std::size_t dynamic_shared) {
  if (!fits(grid, block))
    return refuse(handle, cudaErrorInvalidConfiguration,
                  "grid or block is empty or too large");
  if (dynamic_shared > dynamic_shared_limit(handle))
    return refuse(handle, cudaErrorInvalidValue,
                  "more dynamic shared memory than "
                  "cudaFuncAttributeMaxDynamicSharedMemorySize allows");
  const unsigned threads = block.x * block.y * block.z;
  if (threads > kernel.max_threads_per_block)
    return refuse(handle, cudaErrorLaunchOutOfResources,
                  "more threads in a block than __launch_bounds__ allows");
  return cudaSuccess;
}

Launch make_launch(const Kernel& kernel, dim3 grid, dim3 block,
                   void** arguments, std::size_t dynamic_shared) {
  Launch launch;
  launch.kernel = &kernel;
  std::copy_n(&grid.x, 3, launch.grid);
  std::copy_n(&block.x, 3, launch.block);
  launch.dynamic_shared = static_cast<std::uint32_t>(dynamic_shared);
  launch.parameters.resize(kernel.parameter_bytes());
  std::size_t index = 0;
  for (const ParameterLayout& parameter : kernel.parameters())
    std::memcpy(launch.parameters.data() + parameter.offset, arguments[index++],
                parameter.size);
  return launch;
}

// FNV-1a.
std::uint64_t hash_of(const std::vector<std::byte>& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte b : bytes)
    hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3;
  return hash;
}

void run_and_record(const Launch& launch, std::uint32_t static_shared,
                    std::uint64_t stream) {
  LaunchRecord record;
  record.kernel = launch.kernel->name();
  std::copy_n(launch.grid, 3, record.grid.begin());
  std::copy_n(launch.block, 3, record.block.begin());
  record.shared_bytes = static_shared + launch.dynamic_shared;
  record.stream = stream;
  record.parameters = hash_of(launch.parameters);
  record.counters = run(launch);
  double instructions = 0;
  for (const std::uint64_t count : record.counters.thread_instructions)
    instructions += static_cast<double>(count);
  Streams::instance().scheduler().advance(instructions /
                                          kInstructionsPerMicrosecond);
  LaunchTable::instance().add(std::move(record));
}

}  // namespace

std::size_t dynamic_shared_limit(const KernelHandle& kernel) {
  if (kernel.max_dynamic_shared >= 0)
    return static_cast<std::size_t>(kernel.max_dynamic_shared);
  const std::uint32_t used =
      kernel.on_device(current_device()).attributes().static_shared_bytes;
  return used < kSharedWithoutOptIn ? kSharedWithoutOptIn - used : 0;
}

cudaError_t launch_kernel(const KernelHandle& handle, dim3 grid, dim3 block,
                          void** arguments, std::size_t dynamic_shared,
                          cudaStream_t stream_handle) {
  Streams& streams = Streams::instance();
  Stream* stream = streams.find(stream_handle);
  if (stream == nullptr || stream->device != current_device())
    return cudaErrorInvalidResourceHandle;
  if (configuration().null_mode && !stream->capture)
    return fits(grid, block) ? cudaSuccess : cudaErrorInvalidConfiguration;
  const Kernel& kernel = handle.on_device(stream->device);
  const KernelAttributes& attributes = kernel.attributes();
  if (const cudaError_t status =
          check(handle, attributes, grid, block, dynamic_shared))
    return status;
  auto launch = std::make_shared<const Launch>(
      make_launch(kernel, grid, block, arguments, dynamic_shared));
  return streams.enqueue(
      *stream, {cudaGraphNodeTypeKernel, handle.name,
                [launch, image = handle.image, number = stream->number,
                 static_shared = attributes.static_shared_bytes] {
                  run_and_record(*launch, static_shared, number);
                }});
}

cudaError_t set_attribute(KernelHandle& handle, cudaFuncAttribute attribute,
                          int value) {
  switch (attribute) {
    case cudaFuncAttributeMaxDynamicSharedMemorySize: {
      const KernelAttributes& kernel =
          handle.on_device(current_device()).attributes();
      const int most = device_limits().shared_per_block_optin -
                       static_cast<int>(kernel.static_shared_bytes);
      if (value < 0 || value > most) return cudaErrorInvalidValue;
      handle.max_dynamic_shared = value;
      return cudaSuccess;
    }
    case cudaFuncAttributePreferredSharedMemoryCarveout:
      if (value < -1 || value > 100) return cudaErrorInvalidValue;
      handle.carveout = value;
      return cudaSuccess;
    default:
      return cudaErrorNotSupported;
  }
}

int resident_blocks(const KernelHandle& handle, int threads,
                    std::size_t dynamic_shared) {
  const DeviceLimits& limits = device_limits();
  const KernelAttributes& kernel =
      handle.on_device(current_device()).attributes();
  if (threads < 1 || threads > static_cast<int>(kernel.max_threads_per_block))
    return 0;
  const int warps = (threads + 31) / 32;
  int blocks = std::min(limits.blocks_per_multiprocessor,
                        limits.threads_per_multiprocessor / 32 / warps);
  const int shared = static_cast<int>(kernel.static_shared_bytes) +
                     static_cast<int>(dynamic_shared) + kReservedSharedPerBlock;
  return std::min(blocks, limits.shared_per_multiprocessor / shared);
}

}  // namespace ptx_emulator
