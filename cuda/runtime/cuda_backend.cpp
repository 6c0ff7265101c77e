#include "cuda/runtime/cuda_backend.h"

#include "cuda/codegen/raw_kernels.h"
#include "cuda/codegen/run_program.h"
#include "cuda/kernels/indexing.h"
#include "cuda/kernels/scan.h"
#include "cuda/kernels/sort.h"
#include "cuda/libraries/matmul.h"
#include "cuda/runtime/capture.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/graph.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/stream.h"
#include "jacquard/export.h"

namespace jacquard::cuda_backend {
namespace {

// The stream that takes the work: while the thread captures, one of the graph.
Stream taking(Stream stream) {
  Capture* const capture = Capture::current();
  return capture ? capture->stream_for(stream) : stream;
}

}  // namespace

CudaBackend& CudaBackend::instance() {
  static auto* backend = new CudaBackend;
  return *backend;
}

int CudaBackend::device_count() const { return cuda_backend::device_count(); }

void* CudaBackend::allocate(std::size_t bytes, Stream stream) {
  Capture::refuse("allocate");
  return cuda_backend::allocate(bytes, stream);
}
void CudaBackend::free(void* data, std::size_t bytes, Stream stream) noexcept {
  cuda_backend::free(data, bytes, stream);
}
backend::Backend::MemoryStats CudaBackend::memory_stats(int device) const {
  return cuda_backend::memory_stats(device);
}

void CudaBackend::reset_peak_memory(int device) {
  cuda_backend::reset_peak_memory(device);
}

void CudaBackend::upload(void* to, const void* from_host, std::size_t bytes,
                         Stream stream) {
  if (Capture* const capture = Capture::current(); capture && bytes > 0)
    return copy(to, capture->keep(from_host, bytes), bytes, stream);
  cuda_backend::upload(to, from_host, bytes, stream);
}
void CudaBackend::download(void* to_host, const void* from, std::size_t bytes,
                           Stream stream) {
  Capture::refuse("download");
  cuda_backend::download(to_host, from, bytes, stream);
}
void CudaBackend::copy(void* to, const void* from, std::size_t bytes,
                       Stream stream) {
  cuda_backend::copy(to, from, bytes, taking(stream));
}

Stream CudaBackend::current_stream(int device) {
  return cuda_backend::current_stream(device);
}
Stream CudaBackend::make_stream(int device) {
  return cuda_backend::make_stream(device);
}
void CudaBackend::order(Stream after, Stream before) {
  cuda_backend::order(taking(after), taking(before));
}
void CudaBackend::synchronize(Stream stream) {
  Capture::refuse("synchronize");
  cuda_backend::synchronize(stream);
}
void CudaBackend::synchronize_device(int device) {
  Capture::refuse("synchronize");
  cuda_backend::synchronize_device(device);
}

void CudaBackend::run(const backend::ProgramLaunch& launch, Stream stream) {
  const DeviceGuard guard(stream.device().index);
  run_program(launch, taking(stream));
}
void CudaBackend::run_list(std::span<const backend::ProgramLaunch> launches,
                           Stream stream) {
  const DeviceGuard guard(stream.device().index);
  run_program_list(launches, taking(stream));
}
void CudaBackend::matmul(const backend::MatmulLaunch& launch, Stream stream) {
  const DeviceGuard guard(stream.device().index);
  cuda_backend::matmul(launch, taking(stream));
}
bool CudaBackend::supports_epilogue(const backend::MatmulLaunch& launch,
                                    Stream stream) {
  const DeviceGuard guard(stream.device().index);
  return cuda_backend::supports_epilogue(launch, stream);
}
void CudaBackend::gather(const backend::IndexLaunch& launch, Stream stream) {
  const DeviceGuard guard(stream.device().index);
  cuda_backend::gather(launch, taking(stream));
}
void CudaBackend::scatter_add(const backend::IndexLaunch& launch,
                              Stream stream) {
  const DeviceGuard guard(stream.device().index);
  cuda_backend::scatter_add(launch, taking(stream));
}
void CudaBackend::scatter(const backend::IndexLaunch& launch, Stream stream) {
  const DeviceGuard guard(stream.device().index);
  cuda_backend::scatter(launch, taking(stream));
}

void CudaBackend::run_raw(const backend::RawLaunch& launch, Stream stream) {
  const DeviceGuard guard(stream.device().index);
  cuda_backend::run_raw(launch, taking(stream));
}

std::unique_ptr<backend::LaunchGraph> CudaBackend::make_graph(
    const std::function<void()>& enqueue, std::size_t scalars, Stream stream) {
  return cuda_backend::make_graph(enqueue, scalars, stream);
}
void CudaBackend::scan(const backend::ScanLaunch& launch, Stream stream) {
  const DeviceGuard guard(stream.device().index);
  cuda_backend::scan(launch, taking(stream));
}
void CudaBackend::sort(const backend::SortLaunch& launch, Stream stream) {
  const DeviceGuard guard(stream.device().index);
  cuda_backend::sort(launch, taking(stream));
}

}  // namespace jacquard::cuda_backend

// The entry point that core looks up: backend::kEntryPoint.
extern "C" JACQUARD_API jacquard::backend::Backend* jacquard_backend() {
  return &jacquard::cuda_backend::CudaBackend::instance();
}
