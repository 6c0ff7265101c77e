// Stream capture and graphs that come from it.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "runtime/graph.h"
#include "runtime/status.h"
#include "runtime/streams.h"

namespace ptx_emulator {
namespace {

// The living objects behind handles of one type.
template <class T>
class Handles {
 public:
  void* add(std::unique_ptr<T> object) {
    const std::lock_guard<std::mutex> lock(mutex_);
    void* handle = object.get();
    objects_[handle] = std::move(object);
    return handle;
  }
  T* find(const void* handle) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second.get();
  }
  bool remove(const void* handle) {
    std::unique_ptr<T> object;  // destroyed without the lock
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) return false;
    object = std::move(found->second);
    objects_.erase(found);
    return true;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<const void*, std::unique_ptr<T>> objects_;
};

Handles<Graph>& graphs() {
  static auto* result = new Handles<Graph>;
  return *result;
}

Handles<ExecutableGraph>& executables() {
  static auto* result = new Handles<ExecutableGraph>;
  return *result;
}

cudaError_t instantiate(cudaGraphExec_t* executable, cudaGraph_t graph) {
  const Graph* found = graphs().find(graph);
  if (executable == nullptr || found == nullptr) return cudaErrorInvalidValue;
  auto made = std::make_unique<ExecutableGraph>();
  made->nodes = found->nodes;
  *executable =
      static_cast<cudaGraphExec_t>(executables().add(std::move(made)));
  return cudaSuccess;
}

// The common form of queries for lists: the number alone if `out` is null.
template <class T, class Get>
cudaError_t list(T* out, std::size_t* number, std::size_t available,
                 const Get& get) {
  if (number == nullptr) return cudaErrorInvalidValue;
  if (out != nullptr) {
    for (std::size_t i = 0; i < *number; ++i)
      out[i] = i < available ? get(i) : nullptr;
  }
  *number = out == nullptr ? available : std::min(available, *number);
  return cudaSuccess;
}

}  // namespace

cudaGraphExecUpdateResult compare_topology(const ExecutableGraph& graph,
                                           const Graph& update,
                                           std::size_t* node) {
  *node = 0;
  if (graph.nodes.size() != update.nodes.size())
    return cudaGraphExecUpdateErrorTopologyChanged;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    *node = i;
    if (graph.nodes[i].after != update.nodes[i].after)
      return cudaGraphExecUpdateErrorTopologyChanged;
    if (graph.nodes[i].task->type != update.nodes[i].task->type)
      return cudaGraphExecUpdateErrorNodeTypeChanged;
  }
  return cudaGraphExecUpdateSuccess;
}

}  // namespace ptx_emulator

using namespace ptx_emulator;

#pragma GCC visibility push(default)
extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream,
                                   cudaStreamCaptureMode mode) {
  return PTX_EMULATOR_CALL({
    Stream* found = Streams::instance().find(stream);
    return found == nullptr ? cudaErrorInvalidResourceHandle
                            : Streams::instance().begin_capture(*found, mode);
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return PTX_EMULATOR_CALL({
    if (graph == nullptr) return cudaErrorInvalidValue;
    *graph = nullptr;
    Stream* found = Streams::instance().find(stream);
    if (found == nullptr) return cudaErrorInvalidResourceHandle;
    std::unique_ptr<Graph> captured;
    if (const cudaError_t status =
            Streams::instance().end_capture(*found, &captured))
      return status;
    *graph = static_cast<cudaGraph_t>(graphs().add(std::move(captured)));
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream,
                                  cudaStreamCaptureStatus* status) {
  return PTX_EMULATOR_CALL({
    Stream* found = Streams::instance().find(stream);
    if (found == nullptr) return cudaErrorInvalidResourceHandle;
    if (status == nullptr) return cudaErrorInvalidValue;
    return Streams::instance().capture_status(*found, status, nullptr);
  });
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream,
                                     cudaStreamCaptureStatus* status,
                                     unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t** dependencies,
                                     const cudaGraphEdgeData**,
                                     size_t* number) {
  return PTX_EMULATOR_CALL({
    Stream* found = Streams::instance().find(stream);
    if (found == nullptr) return cudaErrorInvalidResourceHandle;
    if (status == nullptr) return cudaErrorInvalidValue;
    // Graphs under construction are not given out.
    if (graph != nullptr || dependencies != nullptr || number != nullptr)
      return cudaErrorNotSupported;
    return Streams::instance().capture_status(*found, status, id);
  });
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return PTX_EMULATOR_CALL({
    if (mode == nullptr) return cudaErrorInvalidValue;
    *mode = exchange_capture_mode(*mode);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned flags) {
  return PTX_EMULATOR_CALL({
    if (graph == nullptr || flags != 0) return cudaErrorInvalidValue;
    *graph = static_cast<cudaGraph_t>(graphs().add(std::make_unique<Graph>()));
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return PTX_EMULATOR_CALL(
      { return graphs().remove(graph) ? cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes,
                              size_t* number) {
  return PTX_EMULATOR_CALL({
    const Graph* found = graphs().find(graph);
    if (found == nullptr) return cudaErrorInvalidValue;
    return list(nodes, number, found->nodes.size(), [&](std::size_t i) {
      return reinterpret_cast<cudaGraphNode_t>(found->handles[i].get());
    });
  });
}

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node,
                                 cudaGraphNodeType* type) {
  return PTX_EMULATOR_CALL({
    if (node == nullptr || type == nullptr) return cudaErrorInvalidValue;
    *type = (*reinterpret_cast<GraphNode**>(node))->task->type;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  return PTX_EMULATOR_CALL({ return instantiate(executable, graph); });
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable,
                                          cudaGraph_t graph,
                                          unsigned long long) {
  return PTX_EMULATOR_CALL({ return instantiate(executable, graph); });
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t executable, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* result) {
  return PTX_EMULATOR_CALL({
    ExecutableGraph* target = executables().find(executable);
    const Graph* update = graphs().find(graph);
    if (target == nullptr || update == nullptr || result == nullptr)
      return cudaErrorInvalidValue;
    *result = {};
    std::size_t node = 0;
    result->result = compare_topology(*target, *update, &node);
    if (result->result != cudaGraphExecUpdateSuccess) {
      if (node < update->handles.size())
        result->errorNode =
            reinterpret_cast<cudaGraphNode_t>(update->handles[node].get());
      return cudaErrorGraphExecUpdateFailure;
    }
    target->nodes = update->nodes;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    ExecutableGraph* found = executables().find(executable);
    Stream* target = Streams::instance().find(stream);
    if (found == nullptr) return cudaErrorInvalidValue;
    if (target == nullptr) return cudaErrorInvalidResourceHandle;
    return Streams::instance().launch(*target, *found);
  });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    if (executables().find(executable) == nullptr) return cudaErrorInvalidValue;
    return Streams::instance().find(stream) == nullptr
               ? cudaErrorInvalidResourceHandle
               : cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return PTX_EMULATOR_CALL({
    return executables().remove(executable) ? cudaSuccess
                                            : cudaErrorInvalidValue;
  });
}

}  // extern "C"
#pragma GCC visibility pop
