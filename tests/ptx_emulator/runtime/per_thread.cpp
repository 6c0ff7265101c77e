// The variants of the API in which stream 0 is the calling thread's own.
#include "runtime/per_thread.h"

#include <cuda_runtime_api.h>

namespace {

cudaStream_t own(cudaStream_t stream) {
  return stream == nullptr ? cudaStreamPerThread : stream;
}

}  // namespace

// PER_THREAD(name, (parameters), (arguments)): the last one is the stream.
#define PER_THREAD(name, parameters, arguments) \
  cudaError_t name##_ptsz parameters;           \
  cudaError_t name##_ptsz parameters { return name arguments; }

#pragma GCC visibility push(default)
extern "C" {

cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t,
                               cudaStream_t);

PER_THREAD(__cudaLaunchKernel,
           (cudaKernel_t k, dim3 g, dim3 b, void** a, size_t n, cudaStream_t s),
           (k, g, b, a, n, own(s)))
PER_THREAD(cudaLaunchKernel,
           (const void* f, dim3 g, dim3 b, void** a, size_t n, cudaStream_t s),
           (f, g, b, a, n, own(s)))
PER_THREAD(cudaLaunchHostFunc, (cudaStream_t s, cudaHostFn_t f, void* data),
           (own(s), f, data))
PER_THREAD(cudaMemcpyAsync,
           (void* to, const void* from, size_t n, cudaMemcpyKind kind,
            cudaStream_t s),
           (to, from, n, kind, own(s)))
PER_THREAD(cudaMemcpy2DAsync,
           (void* to, size_t tp, const void* from, size_t fp, size_t w,
            size_t h, cudaMemcpyKind kind, cudaStream_t s),
           (to, tp, from, fp, w, h, kind, own(s)))
PER_THREAD(cudaMemcpyToSymbolAsync,
           (const void* symbol, const void* from, size_t n, size_t offset,
            cudaMemcpyKind kind, cudaStream_t s),
           (symbol, from, n, offset, kind, own(s)))
PER_THREAD(cudaMemcpyFromSymbolAsync,
           (void* to, const void* symbol, size_t n, size_t offset,
            cudaMemcpyKind kind, cudaStream_t s),
           (to, symbol, n, offset, kind, own(s)))
PER_THREAD(cudaMemsetAsync, (void* to, int value, size_t n, cudaStream_t s),
           (to, value, n, own(s)))
PER_THREAD(cudaMemset2DAsync,
           (void* to, size_t pitch, int value, size_t w, size_t h,
            cudaStream_t s),
           (to, pitch, value, w, h, own(s)))
PER_THREAD(cudaMallocAsync, (void** p, size_t n, cudaStream_t s),
           (p, n, own(s)))
PER_THREAD(cudaMallocFromPoolAsync,
           (void** p, size_t n, cudaMemPool_t pool, cudaStream_t s),
           (p, n, pool, own(s)))
PER_THREAD(cudaFreeAsync, (void* p, cudaStream_t s), (p, own(s)))
PER_THREAD(cudaEventRecord, (cudaEvent_t e, cudaStream_t s), (e, own(s)))
PER_THREAD(cudaEventRecordWithFlags,
           (cudaEvent_t e, cudaStream_t s, unsigned flags), (e, own(s), flags))
PER_THREAD(cudaStreamWaitEvent, (cudaStream_t s, cudaEvent_t e, unsigned flags),
           (own(s), e, flags))
PER_THREAD(cudaStreamSynchronize, (cudaStream_t s), (own(s)))
PER_THREAD(cudaStreamQuery, (cudaStream_t s), (own(s)))
PER_THREAD(cudaStreamGetFlags, (cudaStream_t s, unsigned* flags),
           (own(s), flags))
PER_THREAD(cudaStreamGetPriority, (cudaStream_t s, int* priority),
           (own(s), priority))
PER_THREAD(cudaStreamGetId, (cudaStream_t s, unsigned long long* id),
           (own(s), id))
PER_THREAD(cudaStreamGetDevice, (cudaStream_t s, int* device), (own(s), device))
PER_THREAD(cudaStreamAddCallback,
           (cudaStream_t s, cudaStreamCallback_t f, void* data, unsigned flags),
           (own(s), f, data, flags))
PER_THREAD(cudaStreamAttachMemAsync,
           (cudaStream_t s, void* p, size_t n, unsigned flags),
           (own(s), p, n, flags))
PER_THREAD(cudaStreamBeginCapture, (cudaStream_t s, cudaStreamCaptureMode mode),
           (own(s), mode))
PER_THREAD(cudaStreamEndCapture, (cudaStream_t s, cudaGraph_t* graph),
           (own(s), graph))
PER_THREAD(cudaStreamIsCapturing,
           (cudaStream_t s, cudaStreamCaptureStatus* status), (own(s), status))
PER_THREAD(cudaGraphLaunch, (cudaGraphExec_t graph, cudaStream_t s),
           (graph, own(s)))
PER_THREAD(cudaGraphUpload, (cudaGraphExec_t graph, cudaStream_t s),
           (graph, own(s)))

cudaError_t cudaLaunchKernelExC_ptsz(const cudaLaunchConfig_t*, const void*,
                                     void**);
cudaError_t cudaLaunchKernelExC_ptsz(const cudaLaunchConfig_t* config,
                                     const void* function, void** arguments) {
  if (config == nullptr)
    return cudaLaunchKernelExC(config, function, arguments);
  cudaLaunchConfig_t copy = *config;
  copy.stream = own(copy.stream);
  return cudaLaunchKernelExC(&copy, function, arguments);
}

}  // extern "C"
#pragma GCC visibility pop

#undef PER_THREAD
