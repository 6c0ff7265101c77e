#include "cuda/runtime/staging.h"

#include <algorithm>
#include <cstring>

#include "cuda/runtime/error.h"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {

void Staging::upload(void* to, const void* from_host, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  auto* target = static_cast<char*>(to);
  const auto* source = static_cast<const char*>(from_host);
  while (bytes > 0) {
    const std::size_t piece = std::min(bytes, kChunk);
    char* staged = reserve(piece);
    std::memcpy(staged, source, piece);
    check(cudaMemcpyAsync(target, staged, piece, cudaMemcpyHostToDevice,
                          handle(stream_)),
          "cudaMemcpyAsync", "upload");
    target += piece;
    source += piece;
    bytes -= piece;
  }
}

void Staging::download(void* to_host, const void* from, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > kChunk) {
    download_long(static_cast<char*>(to_host), static_cast<const char*>(from),
                  bytes);
    return;
  }
  const char* staged = reserve(bytes);
  check(cudaMemcpyAsync(const_cast<char*>(staged), from, bytes,
                        cudaMemcpyDeviceToHost, handle(stream_)),
        "cudaMemcpyAsync", "download");
  check(cudaStreamSynchronize(handle(stream_)), "cudaStreamSynchronize",
        "download");
  std::memcpy(to_host, staged, bytes);
  start_afresh();
}

// Two chunks in turn: while one is emptied the other is filled. Uploads that
// still wait to read them come before in the stream.
void Staging::download_long(char* to_host, const char* from,
                            std::size_t bytes) {
  while (chunks_.size() < 2) insert_chunk(chunks_.size());
  const std::size_t pieces = (bytes + kChunk - 1) / kChunk;
  const auto piece_bytes = [&](std::size_t i) {
    return std::min(kChunk, bytes - i * kChunk);
  };
  for (std::size_t i = 0; i <= pieces; ++i) {
    if (i < pieces) {
      const Chunk& chunk = chunks_[i % 2];
      check(cudaMemcpyAsync(chunk.data, from + i * kChunk, piece_bytes(i),
                            cudaMemcpyDeviceToHost, handle(stream_)),
            "cudaMemcpyAsync", "download");
      check(cudaEventRecord(chunk.copied, handle(stream_)), "cudaEventRecord",
            "download");
    }
    if (i > 0) {
      const Chunk& chunk = chunks_[(i - 1) % 2];
      check(cudaEventSynchronize(chunk.copied), "cudaEventSynchronize",
            "download");
      std::memcpy(to_host + (i - 1) * kChunk, chunk.data, piece_bytes(i - 1));
    }
  }
  start_afresh();
}

void Staging::start_afresh() {
  for (Chunk& chunk : chunks_) chunk.waiting = false;
  used_ = 0;
}

char* Staging::reserve(std::size_t bytes) {
  if (chunks_.empty()) insert_chunk(0);
  if (used_ + bytes > kChunk) next_chunk();
  char* data = chunks_[now_].data + used_;
  used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return data;
}

// The one behind is the oldest: if it is still being read, a new one is put
// before it, and when there are enough it is waited for.
void Staging::next_chunk() {
  Chunk& full = chunks_[now_];
  check(cudaEventRecord(full.copied, handle(stream_)), "cudaEventRecord",
        "upload");
  full.waiting = true;
  const std::size_t behind = (now_ + 1) % chunks_.size();
  Chunk& oldest = chunks_[behind];
  if (oldest.waiting) {
    const cudaError_t status = cudaEventQuery(oldest.copied);
    if (status != cudaErrorNotReady) {
      check(status, "cudaEventQuery", "upload");
      oldest.waiting = false;
    } else {
      (void)cudaGetLastError();
    }
  }
  if (!oldest.waiting) {
    now_ = behind;
  } else if (chunks_.size() < kMostChunks) {
    insert_chunk(now_ + 1);
    ++now_;
  } else {
    check(cudaEventSynchronize(oldest.copied), "cudaEventSynchronize",
          "upload");
    oldest.waiting = false;
    now_ = behind;
  }
  used_ = 0;
}

void Staging::insert_chunk(std::size_t at) {
  chunks_.reserve(chunks_.size() + 1);
  Chunk chunk;
  chunk.copied = events_.take();
  void* data = nullptr;
  const cudaError_t status =
      cudaHostAlloc(&data, kChunk, cudaHostAllocPortable);
  if (status != cudaSuccess) {
    events_.give(chunk.copied);
    fail(status, "cudaHostAlloc", "staging");
  }
  chunk.data = static_cast<char*>(data);
  chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(at), chunk);
}

}  // namespace jacquard::cuda_backend
