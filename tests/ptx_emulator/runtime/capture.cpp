#include <algorithm>
#include <utility>

#include "runtime/status.h"
#include "runtime/streams.h"

namespace ptx_emulator {
namespace {

thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

}  // namespace

cudaStreamCaptureMode exchange_capture_mode(cudaStreamCaptureMode mode) {
  return std::exchange(thread_mode, mode);
}

cudaStreamCaptureMode capture_mode_of_thread() { return thread_mode; }

void Streams::invalidate(Capture& capture) { capture.is_invalidated = true; }

// Work outside captures: a use of the legacy stream would make it depend on
// blocking streams that capture.
cudaError_t Streams::check_capture(Stream& stream) {
  if (!stream.is_legacy || captures_.empty()) return cudaSuccess;
  cudaError_t status = cudaSuccess;
  for (const auto& capture : captures_)
    for (const Stream* member : capture->streams)
      if (member->is_blocking() && member->device == stream.device) {
        invalidate(*capture);
        status = cudaErrorStreamCaptureImplicit;
      }
  return status;
}

cudaError_t Streams::capture_node(Stream& stream, Task task) {
  Capture& capture = *stream.capture;
  if (capture.is_invalidated) return cudaErrorStreamCaptureInvalidated;
  auto& nodes = capture.graph.nodes;
  std::sort(stream.capture_tail.begin(), stream.capture_tail.end());
  stream.capture_tail.erase(
      std::unique(stream.capture_tail.begin(), stream.capture_tail.end()),
      stream.capture_tail.end());
  nodes.push_back(
      {std::make_shared<const Task>(std::move(task)), stream.capture_tail});
  stream.capture_tail = {nodes.size() - 1};
  return cudaSuccess;
}

cudaError_t Streams::begin_capture(Stream& stream, cudaStreamCaptureMode mode) {
  const Lock lock(mutex_);
  if (stream.is_legacy) return cudaErrorStreamCaptureUnsupported;
  if (stream.capture) return cudaErrorIllegalState;
  auto capture = std::make_shared<Capture>();
  capture->id = next_capture_++;
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->origin = &stream;
  capture->streams = {&stream};
  stream.capture = capture;
  stream.capture_tail.clear();
  captures_.push_back(std::move(capture));
  return cudaSuccess;
}

// By value: the argument may be a member's own, which is cleared.
void Streams::leave_capture(std::shared_ptr<Capture> capture) {
  capture->is_active = false;
  for (Stream* member : capture->streams) {
    member->capture = nullptr;
    member->capture_tail.clear();
  }
  std::erase(captures_, capture);
}

cudaError_t Streams::end_capture(Stream& stream,
                                 std::unique_ptr<Graph>* graph) {
  const Lock lock(mutex_);
  const std::shared_ptr<Capture> capture = stream.capture;
  if (!capture) return cudaErrorIllegalState;
  if (capture->origin != &stream) {
    invalidate(*capture);
    return cudaErrorStreamCaptureUnmatched;
  }
  if (capture->mode != cudaStreamCaptureModeRelaxed &&
      capture->thread != std::this_thread::get_id())
    return cudaErrorStreamCaptureWrongThread;
  std::vector<bool> joined(capture->graph.nodes.size(), false);
  for (const std::size_t node : stream.capture_tail) joined[node] = true;
  for (std::size_t i = joined.size(); i-- > 0;)
    if (joined[i])
      for (const std::size_t before : capture->graph.nodes[i].after)
        joined[before] = true;
  leave_capture(capture);
  if (capture->is_invalidated) return cudaErrorStreamCaptureInvalidated;
  if (std::find(joined.begin(), joined.end(), false) != joined.end())
    return cudaErrorStreamCaptureUnjoined;
  *graph = std::make_unique<Graph>(std::move(capture->graph));
  for (GraphNode& node : (*graph)->nodes)
    (*graph)->handles.push_back(std::make_unique<GraphNode*>(&node));
  return cudaSuccess;
}

cudaError_t Streams::capture_status(Stream& stream,
                                    cudaStreamCaptureStatus* status,
                                    unsigned long long* id) {
  const Lock lock(mutex_);
  if (const cudaError_t error = check_capture(stream)) return error;
  *status = cudaStreamCaptureStatusNone;
  if (!stream.capture) return cudaSuccess;
  *status = stream.capture->is_invalidated ? cudaStreamCaptureStatusInvalidated
                                           : cudaStreamCaptureStatusActive;
  if (id != nullptr) *id = stream.capture->id;
  return cudaSuccess;
}

// As cudaThreadExchangeStreamCaptureMode describes the modes.
bool Streams::forbids(const Capture& capture) const {
  if (thread_mode == cudaStreamCaptureModeRelaxed) return false;
  if (capture.thread == std::this_thread::get_id())
    return capture.mode != cudaStreamCaptureModeRelaxed;
  return thread_mode == cudaStreamCaptureModeGlobal &&
         capture.mode == cudaStreamCaptureModeGlobal;
}

cudaError_t Streams::admit_unsafe_call() {
  const Lock lock(mutex_);
  cudaError_t status = cudaSuccess;
  for (const auto& capture : captures_)
    if (forbids(*capture)) {
      invalidate(*capture);
      status = cudaErrorStreamCaptureUnsupported;
    }
  return status;
}

cudaError_t Streams::admit_device_wait(int device) {
  const Lock lock(mutex_);
  cudaError_t status = cudaSuccess;
  for (const auto& capture : captures_)
    for (const Stream* member : capture->streams)
      if (device < 0 || member->device == device) {
        invalidate(*capture);
        status = cudaErrorStreamCaptureUnsupported;
      }
  return status;
}

}  // namespace ptx_emulator
