// Streams, events and host functions.
#include <cuda_runtime_api.h>

#include "runtime/status.h"
#include "runtime/streams.h"

using namespace ptx_emulator;

namespace {

cudaError_t create_stream(cudaStream_t* stream, unsigned flags, int priority) {
  if (stream == nullptr || (flags & ~cudaStreamNonBlocking) != 0)
    return cudaErrorInvalidValue;
  *stream = Streams::instance().create(flags, priority);
  return cudaSuccess;
}

cudaError_t create_event(cudaEvent_t* event, unsigned flags) {
  constexpr unsigned kKnown =
      cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess;
  if (event == nullptr || (flags & ~kKnown) != 0) return cudaErrorInvalidValue;
  if ((flags & cudaEventInterprocess) != 0) return cudaErrorNotSupported;
  *event = Streams::instance().create_event(flags);
  return cudaSuccess;
}

cudaError_t record(cudaEvent_t event, cudaStream_t stream) {
  Streams& streams = Streams::instance();
  Stream* found = streams.find(stream);
  Event* recorded = streams.find_event(event);
  if (found == nullptr || recorded == nullptr)
    return cudaErrorInvalidResourceHandle;
  return streams.record(*recorded, *found);
}

// Applies `body` to a stream if the handle is of one.
template <class Body>
cudaError_t with_stream(cudaStream_t handle, Body&& body) {
  Stream* stream = Streams::instance().find(handle);
  return stream == nullptr ? cudaErrorInvalidResourceHandle : body(*stream);
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return PTX_EMULATOR_CALL(
      { return create_stream(stream, cudaStreamDefault, 0); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return PTX_EMULATOR_CALL({ return create_stream(stream, flags, 0); });
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags,
                                         int priority) {
  return PTX_EMULATOR_CALL({ return create_stream(stream, flags, priority); });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return PTX_EMULATOR_CALL({ return Streams::instance().destroy(stream); });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    return with_stream(stream, [](Stream& found) {
      return Streams::instance().synchronize(found);
    });
  });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    return with_stream(
        stream, [](Stream& found) { return Streams::instance().query(found); });
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event,
                                unsigned flags) {
  return PTX_EMULATOR_CALL({
    if (flags != cudaEventWaitDefault) return cudaErrorNotSupported;
    Streams& streams = Streams::instance();
    Event* waited = streams.find_event(event);
    if (waited == nullptr) return cudaErrorInvalidResourceHandle;
    return with_stream(
        stream, [&](Stream& found) { return streams.wait(found, *waited); });
  });
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned* flags) {
  return PTX_EMULATOR_CALL({
    if (flags == nullptr) return cudaErrorInvalidValue;
    return with_stream(stream, [&](const Stream& found) {
      *flags = found.flags;
      return cudaSuccess;
    });
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  return PTX_EMULATOR_CALL({
    if (priority == nullptr) return cudaErrorInvalidValue;
    return with_stream(stream, [&](const Stream& found) {
      *priority = found.priority;
      return cudaSuccess;
    });
  });
}

cudaError_t cudaStreamGetId(cudaStream_t stream, unsigned long long* id) {
  return PTX_EMULATOR_CALL({
    if (id == nullptr) return cudaErrorInvalidValue;
    return with_stream(stream, [&](const Stream& found) {
      *id = found.number;
      return cudaSuccess;
    });
  });
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int* device) {
  return PTX_EMULATOR_CALL({
    if (device == nullptr) return cudaErrorInvalidValue;
    return with_stream(stream, [&](const Stream& found) {
      *device = found.device;
      return cudaSuccess;
    });
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function,
                               void* data) {
  return PTX_EMULATOR_CALL({
    if (function == nullptr) return cudaErrorInvalidValue;
    return with_stream(stream, [&](Stream& found) {
      return Streams::instance().enqueue(
          found,
          {cudaGraphNodeTypeHost, "cudaLaunchHostFunc", [function, data] {
             const HostFunctionScope scope;
             function(data);
           }});
    });
  });
}

cudaError_t cudaStreamAddCallback(cudaStream_t stream,
                                  cudaStreamCallback_t callback, void* data,
                                  unsigned flags) {
  return PTX_EMULATOR_CALL({
    if (callback == nullptr || flags != 0) return cudaErrorInvalidValue;
    return with_stream(stream, [&](Stream& found) -> cudaError_t {
      cudaStreamCaptureStatus capturing = cudaStreamCaptureStatusNone;
      if (const cudaError_t status =
              Streams::instance().capture_status(found, &capturing, nullptr))
        return status;
      // "The callback mechanism cannot be captured."
      if (capturing != cudaStreamCaptureStatusNone)
        return Streams::instance().synchronize(found);
      return Streams::instance().enqueue(
          found, {cudaGraphNodeTypeHost, "cudaStreamAddCallback", [=] {
                    const HostFunctionScope scope;
                    callback(stream, cudaSuccess, data);
                  }});
    });
  });
}

cudaError_t cudaStreamAttachMemAsync(cudaStream_t stream, void*, size_t,
                                     unsigned) {
  return PTX_EMULATOR_CALL({
    return with_stream(stream, [](const Stream&) { return cudaSuccess; });
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return PTX_EMULATOR_CALL({ return create_event(event, cudaEventDefault); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return PTX_EMULATOR_CALL({ return create_event(event, flags); });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return PTX_EMULATOR_CALL(
      { return Streams::instance().destroy_event(event); });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return PTX_EMULATOR_CALL({ return record(event, stream); });
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream,
                                     unsigned flags) {
  return PTX_EMULATOR_CALL({
    if (flags != cudaEventRecordDefault) return cudaErrorNotSupported;
    return record(event, stream);
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return PTX_EMULATOR_CALL({
    Event* found = Streams::instance().find_event(event);
    return found == nullptr ? cudaErrorInvalidResourceHandle
                            : Streams::instance().synchronize(*found);
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return PTX_EMULATOR_CALL({
    Event* found = Streams::instance().find_event(event);
    return found == nullptr ? cudaErrorInvalidResourceHandle
                            : Streams::instance().query(*found);
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start,
                                 cudaEvent_t end) {
  return PTX_EMULATOR_CALL({
    if (milliseconds == nullptr) return cudaErrorInvalidValue;
    const Event* first = Streams::instance().find_event(start);
    const Event* second = Streams::instance().find_event(end);
    if (first == nullptr || second == nullptr)
      return cudaErrorInvalidResourceHandle;
    return Streams::instance().elapsed(*first, *second, milliseconds);
  });
}

}  // extern "C"
#pragma GCC visibility pop
