#include <cuda_runtime.h>

#include "fault_tests/fault_kernels.h"

namespace ptx_emulator {
namespace {

constexpr int kCount = 256;

__global__ void produce(float* to) {
  to[threadIdx.x] = static_cast<float>(threadIdx.x);
}

__global__ void consume(float* to, const float* from) {
  to[threadIdx.x] = from[threadIdx.x] + 1.0f;
}

__global__ void count_up(unsigned* counter) { atomicAdd(counter, 1u); }

// Two streams, memory that was written before, and an event.
struct Streams {
  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr;
  float* from = nullptr;
  float* to = nullptr;

  Streams() {
    cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cudaMalloc(reinterpret_cast<void**>(&from), kCount * sizeof(float));
    cudaMalloc(reinterpret_cast<void**>(&to), kCount * sizeof(float));
    cudaMemset(from, 0, kCount * sizeof(float));
    cudaMemset(to, 0, kCount * sizeof(float));
    cudaDeviceSynchronize();
  }
  void produce_first() { produce<<<1, kCount, 0, first>>>(from); }
  void consume_second() { consume<<<1, kCount, 0, second>>>(to, from); }
  void wait_second() {
    cudaEventRecord(event, first);
    cudaStreamWaitEvent(second, event, 0);
  }
};

}  // namespace

void read_without_an_event() {
  Streams s;
  s.produce_first();
  s.consume_second();
}

void write_over_a_reader_of_another_stream() {
  Streams s;
  s.consume_second();
  s.produce_first();
}

void event_recorded_too_early() {
  Streams s;
  s.wait_second();
  s.produce_first();
  s.consume_second();
}

void copy_without_synchronization() {
  Streams s;
  static float host[kCount];
  s.produce_first();
  cudaMemcpyAsync(host, s.from, sizeof host, cudaMemcpyDeviceToHost, s.second);
}

void legal_streams() {
  Streams s;
  static float host[kCount];
  s.produce_first();
  s.wait_second();
  s.consume_second();
  cudaStreamSynchronize(s.second);
  s.produce_first();
  cudaStreamSynchronize(s.first);
  s.consume_second();
  cudaMemcpyAsync(host, s.to, sizeof host, cudaMemcpyDeviceToHost, s.second);
  // Two streams may read the same.
  float* other = nullptr;
  cudaMalloc(reinterpret_cast<void**>(&other), kCount * sizeof(float));
  consume<<<1, kCount, 0, s.first>>>(other, s.from);
}

void legal_atomics_of_streams() {
  Streams s;
  auto* counter = reinterpret_cast<unsigned*>(s.to);
  count_up<<<2, 64, 0, s.first>>>(counter);
  count_up<<<2, 64, 0, s.second>>>(counter);
}

}  // namespace ptx_emulator
