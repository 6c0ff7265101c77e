#include "runtime/configuration.h"
#include "runtime/status.h"
#include "runtime/streams.h"

namespace ptx_emulator {
namespace {

OperationPtr make_mark(const Stream& stream) {
  return std::make_shared<Operation>(nullptr, stream.number, stream.device,
                                     "event");
}

}  // namespace

Event* Streams::find_event(cudaEvent_t handle) {
  const Lock lock(mutex_);
  const auto found = events_.find(handle);
  return found == events_.end() ? nullptr : found->second.get();
}

cudaEvent_t Streams::create_event(unsigned flags) {
  auto event = std::make_unique<Event>();
  event->flags = flags;
  event->device = current_device();
  auto* handle = event.get();
  const Lock lock(mutex_);
  events_[handle] = std::move(event);
  return reinterpret_cast<cudaEvent_t>(handle);
}

cudaError_t Streams::destroy_event(cudaEvent_t handle) {
  const Lock lock(mutex_);
  return events_.erase(handle) == 0 ? cudaErrorInvalidResourceHandle
                                    : cudaSuccess;
}

cudaError_t Streams::record(Event& event, Stream& stream) {
  const Lock lock(mutex_);
  // "The event and stream must be on the same CUDA context."
  if (event.device != stream.device) return cudaErrorInvalidResourceHandle;
  if (stream.capture) {
    if (stream.capture->is_invalidated)
      return cudaErrorStreamCaptureInvalidated;
    event.capture = stream.capture;
    event.captured = stream.capture_tail;
    return cudaSuccess;
  }
  if (const cudaError_t status = check_capture(stream)) return status;
  event.is_recorded = true;
  event.capture = nullptr;
  if (configuration().null_mode) return cudaSuccess;
  event.operation = make_mark(stream);
  submit(stream, event.operation, {});
  return cudaSuccess;
}

cudaError_t Streams::wait(Stream& stream, Event& event) {
  const Lock lock(mutex_);
  if (event.capture) return wait_captured(stream, event);
  // "If cudaEventRecord() has not been called on event, this call acts as if
  // the record has already completed."
  if (!event.is_recorded) return cudaSuccess;
  if (stream.capture) {
    invalidate(*stream.capture);
    return cudaErrorStreamCaptureIsolation;
  }
  if (const cudaError_t status = check_capture(stream)) return status;
  if (configuration().null_mode) return cudaSuccess;
  submit(stream, make_mark(stream), {event.operation});
  return cudaSuccess;
}

cudaError_t Streams::wait_captured(Stream& stream, Event& event) {
  Capture& capture = *event.capture;
  if (!capture.is_active) return cudaErrorCapturedEvent;
  if (stream.is_legacy) {
    invalidate(capture);
    return cudaErrorStreamCaptureImplicit;
  }
  if (stream.capture && stream.capture != event.capture) {
    invalidate(capture);
    invalidate(*stream.capture);
    return cudaErrorStreamCaptureMerge;
  }
  if (capture.is_invalidated) return cudaErrorStreamCaptureInvalidated;
  if (!stream.capture) {
    stream.capture = event.capture;
    stream.capture_tail.clear();
    capture.streams.push_back(&stream);
  }
  stream.capture_tail.insert(stream.capture_tail.end(), event.captured.begin(),
                             event.captured.end());
  return cudaSuccess;
}

cudaError_t Streams::synchronize(Event& event) {
  OperationPtr operation;
  {
    const Lock lock(mutex_);
    if (event.capture) {
      invalidate(*event.capture);
      return cudaErrorCapturedEvent;
    }
    operation = event.operation;
  }
  scheduler_.finish(operation);
  return broken_status();
}

cudaError_t Streams::query(Event& event) {
  OperationPtr operation;
  {
    const Lock lock(mutex_);
    if (event.capture) {
      invalidate(*event.capture);
      return cudaErrorCapturedEvent;
    }
    operation = event.operation;
  }
  if (!scheduler_.poll(operation)) return cudaErrorNotReady;
  return broken_status();
}

cudaError_t Streams::elapsed(const Event& start, const Event& end, float* ms) {
  const Lock lock(mutex_);
  // "If either event ... was not recorded, or was created with the
  // cudaEventDisableTiming flag: cudaErrorInvalidResourceHandle."
  for (const Event* event : {&start, &end}) {
    if (event->capture) return cudaErrorCapturedEvent;
    if (!event->is_recorded || (event->flags & cudaEventDisableTiming))
      return cudaErrorInvalidResourceHandle;
    if (!scheduler_.is_done(event->operation)) return cudaErrorNotReady;
  }
  *ms = 0;
  if (start.operation && end.operation)
    *ms = static_cast<float>(
        (end.operation->finished_at() - start.operation->finished_at()) / 1000);
  return broken_status();
}

}  // namespace ptx_emulator
