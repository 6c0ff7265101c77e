#include "cuda/runtime/capture.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "cuda/codegen/work.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/error.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/stream.h"
#include "jacquard/error.h"

namespace jacquard::cuda_backend {
namespace {

constinit thread_local Capture* of_thread = nullptr;

// Slots that are constants of the graph share blocks of so many words.
constexpr std::size_t kConstantWords = 64;

}  // namespace

GraphStorage::GraphStorage(std::size_t scalar_count, Stream home)
    : scalars(scalar_count), last_(&stream_state(home)) {
  if (scalars.most_words() > 0)
    scalars.put_at(static_cast<std::uint64_t*>(
        allocate(scalars.most_words() * sizeof(std::uint64_t))));
}

// What the streams do next comes after the last run.
GraphStorage::~GraphStorage() {
  DevicePool& pool = device().pool;
  for (StreamState* state : streams_) {
    pool.take_back(state->memory, last_->memory);
    try {
      order(state->stream, last());
      device().give_graph_stream(*state);
    } catch (...) {
      // The device is lost: nobody uses the stream again.
    }
  }
  for (const auto& [data, bytes] : blocks_)
    pool.give(data, bytes, last_->memory);
}

StreamState& GraphStorage::add_stream() {
  streams_.reserve(streams_.size() + 1);
  StreamState& state = device().take_graph_stream();
  // Zeroed on that stream, so not in memory of the caller's.
  tickets(state.stream);
  device().pool.lend(state.memory, last_->memory);
  streams_.push_back(&state);
  order(last(), state.stream);
  return state;
}

void* GraphStorage::allocate(std::size_t bytes) {
  blocks_.reserve(blocks_.size() + 1);
  void* data = device().pool.take(bytes, last_->memory);
  blocks_.emplace_back(data, bytes);
  return data;
}

// The table of scalars is written anew when the run before has read it.
void GraphStorage::run_on(Stream stream) {
  if (stream == last()) return;
  StreamState& state = stream_state(stream);
  order(stream, last());
  state.index_log.watch(index_log);
  last_ = &state;
}

Capture* Capture::current() noexcept { return of_thread; }

void Capture::refuse(const char* op) {
  if (of_thread) [[unlikely]]
    throw CudaError(std::string(op) +
                    ": can't be captured into a graph of launches");
}

Capture::Capture(std::size_t scalars, Stream home) {
  refuse("make_graph");
  storage_ = std::make_unique<GraphStorage>(scalars, home);
  members_.push_back({home, storage_->add_stream().stream});
  DeviceState& device = storage_->device();
  begin_.emplace(device.events);
  device.pool.captures().add();
  cudaError_t status = cudaStreamBeginCapture(handle(origin()),
                                              cudaStreamCaptureModeThreadLocal);
  if (status != cudaSuccess) {
    device.pool.captures().remove();
    fail(status, "cudaStreamBeginCapture", "make_graph");
  }
  of_thread = this;
  status = cudaEventRecord(begin_->get(), handle(origin()));
  if (status == cudaSuccess) return;
  cudaGraph_t nothing = nullptr;
  (void)finish(&nothing);
  fail(status, "cudaEventRecord", "make_graph");
}

Capture::~Capture() {
  if (of_thread != this) return;
  cudaGraph_t graph = nullptr;
  if (finish(&graph) == cudaSuccess) (void)cudaGraphDestroy(graph);
  (void)cudaGetLastError();
}

Stream Capture::stream_for(Stream stream) {
  for (const Member& member : members_)
    if (member.from == stream) return member.to;
  return join(stream);
}

// Its first launch waits for nothing, as on the stream that it stands for.
Stream Capture::join(Stream stream) {
  if (stream.device() != members_.front().from.device())
    throw DeviceError("make_graph: launches on " +
                      to_string(members_.front().from.device()) + " and " +
                      to_string(stream.device()) + " in one graph");
  members_.reserve(members_.size() + 1);
  const Stream made = storage_->add_stream().stream;
  check(cudaStreamWaitEvent(handle(made), begin_->get(), 0),
        "cudaStreamWaitEvent", "make_graph");
  members_.push_back({stream, made});
  return made;
}

const std::uint64_t* Capture::slot(backend::Scalar value, DType dtype) {
  if (value.origin != 0) return storage_->scalars.address_of(value, dtype);
  const std::uint64_t word = slot_word(value, dtype);
  const auto [found, is_new] = known_words_.try_emplace(word, nullptr);
  if (!is_new && found->second) return found->second;
  constexpr std::size_t bytes = kConstantWords * sizeof word;
  if (words_ == 0 || constants_[words_ - 1].bytes.size() == bytes) {
    Constants& block = constants_.emplace_back();
    block.device = storage_->allocate(bytes);
    words_ = constants_.size();
  }
  Constants& block = constants_[words_ - 1];
  const std::size_t at = block.bytes.size();
  block.bytes.resize(at + sizeof word);
  std::memcpy(block.bytes.data() + at, &word, sizeof word);
  found->second =
      static_cast<const std::uint64_t*>(block.device) + at / sizeof word;
  return found->second;
}

void* Capture::keep(const void* from_host, std::size_t bytes) {
  const auto* from = static_cast<const unsigned char*>(from_host);
  Constants& block = constants_.emplace_back();
  block.bytes.assign(from, from + bytes);
  block.device = storage_->allocate(bytes);
  return block.device;
}

std::pair<cudaGraph_t, std::unique_ptr<GraphStorage>> Capture::end() {
  cudaGraph_t graph = nullptr;
  const cudaError_t status = finish(&graph);
  if (status != cudaSuccess) fail(status, "cudaStreamEndCapture", "make_graph");
  try {
    for (const Constants& block : constants_)
      upload(block.device, block.bytes.data(), block.bytes.size(),
             storage_->last());
    stream_state(storage_->last()).index_log.watch(storage_->index_log);
  } catch (...) {
    (void)cudaGraphDestroy(graph);
    throw;
  }
  return {graph, std::move(storage_)};
}

// Every stream that was joined is led back to the origin first. If that or the
// capture failed, CUDA gives no graph, and no stream captures any more.
cudaError_t Capture::finish(cudaGraph_t* graph) noexcept {
  of_thread = nullptr;
  cudaError_t status = cudaSuccess;
  const auto note = [&](cudaError_t next) {
    if (status == cudaSuccess) status = next;
  };
  for (std::size_t i = 1; i < members_.size(); ++i) {
    note(cudaEventRecord(begin_->get(), handle(members_[i].to)));
    note(cudaStreamWaitEvent(handle(origin()), begin_->get(), 0));
  }
  note(cudaStreamEndCapture(handle(origin()), graph));
  storage_->device().pool.captures().remove();
  return status;
}

OutsideCapture::OutsideCapture() : active_(of_thread != nullptr) {
  if (active_)
    check(cudaThreadExchangeStreamCaptureMode(&mode_),
          "cudaThreadExchangeStreamCaptureMode", "make_graph");
}

OutsideCapture::~OutsideCapture() {
  if (active_) (void)cudaThreadExchangeStreamCaptureMode(&mode_);
}

}  // namespace jacquard::cuda_backend
