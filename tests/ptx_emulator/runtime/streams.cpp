#include "runtime/streams.h"

#include <algorithm>
#include <map>

#include "runtime/configuration.h"
#include "runtime/status.h"

namespace ptx_emulator {
namespace {

thread_local int thread_device = 0;

std::shared_ptr<Operation> make_operation(const Stream& stream, Work work,
                                          const std::string& name) {
  return std::make_shared<Operation>(
      std::move(work), stream.number, stream.device,
      name + " (stream " + std::to_string(stream.number) + ")");
}

// A fault of earlier work leaves nothing of later work to be done.
Work guarded(std::shared_ptr<const Task> task) {
  if (!task->work) return nullptr;
  return [task = std::move(task)] {
    if (broken_status() != cudaSuccess) return;
    try {
      task->work();
    } catch (...) {
      report_exception(task->name.c_str());
    }
  };
}

}  // namespace

int current_device() { return thread_device; }
void set_current_device(int device) { thread_device = device; }

Streams& Streams::instance() {
  static auto* streams = new Streams;  // outlives all that uses it at exit
  return *streams;
}

Streams::Streams() : scheduler_(configuration().order_seed) {
  for (int device = 0; device < configuration().devices; ++device) {
    defaults_.push_back(add_stream(device, cudaStreamDefault, 0));
    defaults_.back()->is_legacy = true;
  }
  orphans_.resize(defaults_.size());
}

Stream* Streams::add_stream(int device, unsigned flags, int priority) {
  auto stream = std::make_unique<Stream>();
  Stream* result = stream.get();
  result->number = next_number_++;
  result->device = device;
  result->flags = flags;
  result->priority = priority;
  streams_[result] = std::move(stream);
  return result;
}

Stream& Streams::thread_stream(int device) {
  thread_local std::map<int, Stream*> own;
  Stream*& stream = own[device];
  if (stream == nullptr) stream = add_stream(device, cudaStreamDefault, 0);
  return *stream;
}

Stream* Streams::find(cudaStream_t handle) {
  const Lock lock(mutex_);
  if (handle == nullptr || handle == cudaStreamLegacy)
    return defaults_[static_cast<std::size_t>(thread_device)];
  if (handle == cudaStreamPerThread) return &thread_stream(thread_device);
  const auto found = streams_.find(handle);
  return found == streams_.end() ? nullptr : found->second.get();
}

cudaStream_t Streams::create(unsigned flags, int priority) {
  const Lock lock(mutex_);
  return reinterpret_cast<cudaStream_t>(
      add_stream(thread_device, flags, priority));
}

cudaError_t Streams::destroy(cudaStream_t handle) {
  const Lock lock(mutex_);
  const auto found = streams_.find(handle);
  if (found == streams_.end() || found->second->is_legacy)
    return cudaErrorInvalidResourceHandle;
  Stream& stream = *found->second;
  if (stream.capture) {
    invalidate(*stream.capture);
    auto& members = stream.capture->streams;
    members.erase(std::find(members.begin(), members.end(), &stream));
    if (stream.capture->origin == &stream) leave_capture(stream.capture);
  }
  if (stream.is_blocking() && stream.tail) {
    // The legacy stream still comes after it.
    auto& orphan = orphans_[static_cast<std::size_t>(stream.device)];
    auto join = make_operation(stream, nullptr, "cudaStreamDestroy");
    scheduler_.submit(join, {orphan, stream.tail});
    orphan = std::move(join);
  }
  streams_.erase(found);
  return cudaSuccess;
}

std::vector<OperationPtr> Streams::predecessors(Stream& stream) {
  std::vector<OperationPtr> result{stream.tail};
  if (stream.is_legacy) {
    for (const auto& entry : streams_) {
      const Stream& other = *entry.second;
      if (other.device == stream.device && other.is_blocking())
        result.push_back(other.tail);
    }
    result.push_back(orphans_[static_cast<std::size_t>(stream.device)]);
  } else if (stream.is_blocking()) {
    result.push_back(defaults_[static_cast<std::size_t>(stream.device)]->tail);
  }
  return result;
}

void Streams::submit(Stream& stream, const OperationPtr& operation,
                     std::vector<OperationPtr> after) {
  for (OperationPtr& before : predecessors(stream))
    after.push_back(std::move(before));
  scheduler_.submit(operation, after);
  stream.tail = operation;
}

cudaError_t Streams::enqueue(Stream& stream, Task task) {
  scheduler_.make_room();
  const Lock lock(mutex_);
  if (stream.capture) return capture_node(stream, std::move(task));
  if (const cudaError_t status = check_capture(stream)) return status;
  if (configuration().null_mode) {
    if (task.type != cudaGraphNodeTypeKernel &&
        task.type != cudaGraphNodeTypeMemcpy &&
        task.type != cudaGraphNodeTypeMemset && task.work)
      task.work();
    return cudaSuccess;
  }
  auto shared = std::make_shared<const Task>(std::move(task));
  submit(stream, make_operation(stream, guarded(shared), shared->name), {});
  return cudaSuccess;
}

cudaError_t Streams::launch(Stream& stream, ExecutableGraph& graph) {
  scheduler_.make_room();
  const Lock lock(mutex_);
  if (stream.capture) {
    // A captured launch becomes a copy of the graph's nodes.
    const std::size_t offset = stream.capture->graph.nodes.size();
    const std::vector<std::size_t> before = stream.capture_tail;
    std::vector<std::size_t> after = before;
    for (const GraphNode& node : graph.nodes) {
      stream.capture_tail = node.after.empty() ? before : node.after;
      if (!node.after.empty())
        for (std::size_t& index : stream.capture_tail) index += offset;
      if (const cudaError_t status = capture_node(stream, *node.task))
        return status;
      after.push_back(stream.capture_tail.front());
    }
    stream.capture_tail = std::move(after);
    return cudaSuccess;
  }
  if (const cudaError_t status = check_capture(stream)) return status;
  if (configuration().null_mode) return cudaSuccess;
  std::vector<OperationPtr> start = predecessors(stream);
  start.push_back(graph.last_launch);
  std::vector<OperationPtr> operations;
  for (const GraphNode& node : graph.nodes) {
    auto operation =
        make_operation(stream, guarded(node.task), node.task->name);
    std::vector<OperationPtr> after;
    for (const std::size_t index : node.after)
      after.push_back(operations[index]);
    scheduler_.submit(operation, node.after.empty() ? start : after);
    operations.push_back(std::move(operation));
  }
  auto end = make_operation(stream, nullptr, "cudaGraphLaunch");
  graph.last_launch = end;
  submit(stream, end, std::move(operations));
  return cudaSuccess;
}

cudaError_t Streams::synchronize(Stream& stream) {
  std::vector<OperationPtr> last;
  {
    const Lock lock(mutex_);
    if (stream.capture) {
      invalidate(*stream.capture);
      return cudaErrorStreamCaptureUnsupported;
    }
    if (const cudaError_t status = check_capture(stream)) return status;
    last = predecessors(stream);
    if (!stream.is_legacy) last.resize(1);
  }
  for (const OperationPtr& operation : last) scheduler_.finish(operation);
  return broken_status();
}

cudaError_t Streams::query(Stream& stream) {
  std::vector<OperationPtr> last;
  {
    const Lock lock(mutex_);
    if (stream.capture) {
      invalidate(*stream.capture);
      return cudaErrorStreamCaptureUnsupported;
    }
    if (const cudaError_t status = check_capture(stream)) return status;
    last = predecessors(stream);
    if (!stream.is_legacy) last.resize(1);
  }
  for (const OperationPtr& operation : last)
    if (!scheduler_.poll(operation)) return cudaErrorNotReady;
  return broken_status();
}

cudaError_t Streams::synchronize_device(int device) {
  if (const cudaError_t status = admit_device_wait(device)) return status;
  scheduler_.finish_device(device);
  return broken_status();
}

}  // namespace ptx_emulator
