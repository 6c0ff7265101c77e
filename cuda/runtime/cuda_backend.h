// The CUDA backend: fulfils core/backend/backend.h. A stream is a cudaStream_t;
// a call enqueues its work and returns.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

class CudaBackend final : public backend::Backend {
 public:
  // The one of the process; never destroyed.
  static CudaBackend& instance();

  const char* name() const override { return "cuda"; }
  int device_count() const override;

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
  std::int64_t narrow_product() const override { return 12; }
  void gather(const backend::IndexLaunch& launch, Stream stream) override;
  void scatter_add(const backend::IndexLaunch& launch, Stream stream) override;
  void scatter(const backend::IndexLaunch& launch, Stream stream) override;
  void scan(const backend::ScanLaunch& launch, Stream stream) override;
  void sort(const backend::SortLaunch& launch, Stream stream) override;
  void run_raw(const backend::RawLaunch& launch, Stream stream) override;

  std::unique_ptr<backend::LaunchGraph> make_graph(
      const std::function<void()>& enqueue, std::size_t scalars,
      Stream stream) override;

 private:
  CudaBackend() = default;
};

}  // namespace jacquard::cuda_backend
