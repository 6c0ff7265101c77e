// The CPU backend: fulfils core/backend/backend.h. Its one stream is
// synchronous: a call returns when its work is done.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cpu_fallback {

class CpuBackend final : public backend::Backend {
 public:
  // The one of the process; never destroyed.
  static CpuBackend& instance();

  const char* name() const override { return "cpu"; }
  int device_count() const override { return 1; }

  void* allocate(std::size_t bytes, Stream stream) override;
  void free(void* data, std::size_t bytes, Stream stream) noexcept override;
  MemoryStats memory_stats(int device) const override;
  void reset_peak_memory(int device) override;

  void upload(void* to, const void* from_host, std::size_t bytes,
              Stream stream) override;
  void download(void* to_host, const void* from, std::size_t bytes,
                Stream stream) override;
  void copy(void* to, const void* from, std::size_t bytes,
            Stream stream) override;

  Stream current_stream(int device) override;
  Stream make_stream(int device) override;
  void order(Stream after, Stream before) override;
  void synchronize(Stream stream) override;
  void synchronize_device(int device) override;

  void run(const backend::ProgramLaunch& launch, Stream stream) override;
  void run_list(std::span<const backend::ProgramLaunch> launches,
                Stream stream) override;
  void matmul(const backend::MatmulLaunch& launch, Stream stream) override;
  bool supports_epilogue(const backend::MatmulLaunch& launch,
                         Stream stream) override;
  void gather(const backend::IndexLaunch& launch, Stream stream) override;
  void scatter_add(const backend::IndexLaunch& launch, Stream stream) override;
  void scatter(const backend::IndexLaunch& launch, Stream stream) override;
  void scan(const backend::ScanLaunch& launch, Stream stream) override;
  void sort(const backend::SortLaunch& launch, Stream stream) override;
  void run_raw(const backend::RawLaunch& launch, Stream stream) override;

 private:
  CpuBackend() = default;
};

}  // namespace jacquard::cpu_fallback
