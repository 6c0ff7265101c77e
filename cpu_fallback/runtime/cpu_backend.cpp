#include "cpu_fallback/runtime/cpu_backend.h"

#include <algorithm>
#include <cstring>

#include "cpu_fallback/executor/executor.h"
#include "cpu_fallback/kernels/indexing.h"
#include "cpu_fallback/kernels/scan.h"
#include "cpu_fallback/kernels/sort.h"
#include "cpu_fallback/libraries/matmul.h"
#include "cpu_fallback/runtime/allocator.h"
#include "cpu_fallback/runtime/threads.h"
#include "jacquard/export.h"

namespace jacquard::cpu_fallback {
namespace {

constexpr std::size_t kCopyPiece = 1 << 20;

void copy_bytes(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  if (bytes < 2 * kCopyPiece) {
    std::memcpy(to, from, bytes);
    return;
  }
  const std::size_t pieces = (bytes + kCopyPiece - 1) / kCopyPiece;
  parallel_for(static_cast<std::int64_t>(pieces), [&](std::int64_t i) {
    const std::size_t at = static_cast<std::size_t>(i) * kCopyPiece;
    std::memcpy(static_cast<char*>(to) + at,
                static_cast<const char*>(from) + at,
                std::min(kCopyPiece, bytes - at));
  });
}

}  // namespace

CpuBackend& CpuBackend::instance() {
  static auto* backend = new CpuBackend;
  return *backend;
}

void* CpuBackend::allocate(std::size_t bytes, Stream) {
  return cpu_fallback::allocate(bytes);
}
void CpuBackend::free(void* data, std::size_t bytes, Stream) noexcept {
  cpu_fallback::free(data, bytes);
}
backend::Backend::MemoryStats CpuBackend::memory_stats(int) const {
  return cpu_fallback::memory_stats();
}

void CpuBackend::reset_peak_memory(int) { cpu_fallback::reset_peak_memory(); }

void CpuBackend::upload(void* to, const void* from_host, std::size_t bytes,
                        Stream) {
  copy_bytes(to, from_host, bytes);
}
void CpuBackend::download(void* to_host, const void* from, std::size_t bytes,
                          Stream) {
  copy_bytes(to_host, from, bytes);
}
void CpuBackend::copy(void* to, const void* from, std::size_t bytes, Stream) {
  copy_bytes(to, from, bytes);
}

Stream CpuBackend::current_stream(int) {
  return Stream::wrap(jacquard::cpu(), nullptr);
}
Stream CpuBackend::make_stream(int device) { return current_stream(device); }
void CpuBackend::order(Stream, Stream) {}
void CpuBackend::synchronize(Stream) {}
void CpuBackend::synchronize_device(int) {}

void CpuBackend::run(const backend::ProgramLaunch& launch, Stream) {
  run_program(launch);
}
void CpuBackend::run_list(std::span<const backend::ProgramLaunch> launches,
                          Stream) {
  run_program_list(launches);
}
void CpuBackend::matmul(const backend::MatmulLaunch& launch, Stream) {
  cpu_fallback::matmul(launch);
}

bool CpuBackend::supports_epilogue(const backend::MatmulLaunch& launch,
                                   Stream) {
  return cpu_fallback::supports_epilogue(launch);
}
void CpuBackend::gather(const backend::IndexLaunch& launch, Stream) {
  cpu_fallback::gather(launch);
}
void CpuBackend::scatter_add(const backend::IndexLaunch& launch, Stream) {
  cpu_fallback::scatter_add(launch);
}
void CpuBackend::scatter(const backend::IndexLaunch& launch, Stream) {
  cpu_fallback::scatter(launch);
}
void CpuBackend::scan(const backend::ScanLaunch& launch, Stream) {
  cpu_fallback::scan(launch);
}
void CpuBackend::sort(const backend::SortLaunch& launch, Stream) {
  cpu_fallback::sort(launch);
}

void CpuBackend::run_raw(const backend::RawLaunch& launch, Stream) {
  launch.code->cpu({launch.inputs, launch.outputs, launch.scalars});
}

}  // namespace jacquard::cpu_fallback

// The entry point that core looks up: backend::kEntryPoint.
extern "C" JACQUARD_API jacquard::backend::Backend* jacquard_backend() {
  return &jacquard::cpu_fallback::CpuBackend::instance();
}
