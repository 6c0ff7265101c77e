#include "cuda/runtime/graph.h"

#include <cuda_runtime_api.h>

#include "cuda/runtime/capture.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/error.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/profiler_range.h"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {
namespace {

class CudaGraph final : public backend::LaunchGraph {
 public:
  CudaGraph(cudaGraphExec_t graph, std::unique_ptr<GraphStorage> storage)
      : graph_(graph), storage_(std::move(storage)) {}
  ~CudaGraph() override {
    const DeviceGuard guard(storage_->device().index);
    (void)cudaGraphExecDestroy(graph_);
  }

  void run(std::span<const backend::Scalar> scalars, Stream stream) override {
    const ProfilerRange range("graph");
    const DeviceGuard guard(storage_->device().index);
    const auto words = storage_->scalars.words(scalars);
    storage_->run_on(stream);
    upload(storage_->scalars.device(), words.data(), words.size_bytes(),
           stream);
    check(cudaGraphLaunch(graph_, handle(stream)), "cudaGraphLaunch");
    wait_if_blocking("cudaGraphLaunch", stream);
  }

 private:
  cudaGraphExec_t graph_;
  std::unique_ptr<GraphStorage> storage_;
};

cudaGraphExec_t instantiate(cudaGraph_t graph, DeviceState& device) {
  cudaGraphExec_t made = nullptr;
  cudaError_t status = cudaGraphInstantiate(&made, graph, 0);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    device.pool.release();
    status = cudaGraphInstantiate(&made, graph, 0);
  }
  (void)cudaGraphDestroy(graph);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    device.pool.refuse("make_graph: cudaGraphInstantiate");
  }
  check(status, "cudaGraphInstantiate", "make_graph");
  return made;
}

}  // namespace

std::unique_ptr<backend::LaunchGraph> make_graph(
    const std::function<void()>& enqueue, std::size_t scalars, Stream stream) {
  const DeviceGuard guard(stream.device().index);
  Capture capture(scalars, stream);
  enqueue();
  auto [graph, storage] = capture.end();
  const cudaGraphExec_t made = instantiate(graph, storage->device());
  return std::make_unique<CudaGraph>(made, std::move(storage));
}

}  // namespace jacquard::cuda_backend
