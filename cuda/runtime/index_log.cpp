#include "cuda/runtime/index_log.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <memory>
#include <string>

#include "cuda/runtime/capture.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/error.h"
#include "jacquard/error.h"

namespace jacquard::cuda_backend {
namespace {

// Written by the device, which the compiler does not see.
unsigned long long load(const unsigned long long* word) {
  return *static_cast<const volatile unsigned long long*>(word);
}
void store(unsigned long long* word, unsigned long long value) {
  *static_cast<volatile unsigned long long*>(word) = value;
}

}  // namespace

// The page is not given back to CUDA, which would wait for the device.
struct IndexLog::Idle {
  std::mutex mutex;
  std::vector<Record*> records;
  std::size_t made = 0;
  static Idle& instance() {
    static auto* const idle = new Idle;
    return *idle;
  }
};

IndexLog::~IndexLog() {
  Record* record = record_.load(std::memory_order_relaxed);
  if (!record) return;
  Idle& idle = Idle::instance();
  const std::lock_guard lock(idle.mutex);
  idle.records.push_back(record);
}

IndexCheck IndexLog::add(const char* op, std::int64_t extent, Stream stream) {
  Record* record = record_.load(std::memory_order_acquire);
  if (!record) record = &make(stream);
  const std::uint64_t id =
      record->last.fetch_add(1, std::memory_order_relaxed) + 1;
  Entry& entry = record->entries[id % kRemembered];
  entry.op.store(op, std::memory_order_relaxed);
  entry.extent.store(extent, std::memory_order_relaxed);
  entry.id.store(id, std::memory_order_relaxed);
  return {record->words, id};
}

// A page of the host that kernels reach, so that looking at it needs no copy.
IndexLog::Record& IndexLog::make(Stream stream) {
  const std::lock_guard lock(mutex_);
  if (Record* made = record_.load(std::memory_order_acquire)) return *made;
  Idle& idle = Idle::instance();
  {
    const std::lock_guard idle_lock(idle.mutex);
    if (!idle.records.empty()) {
      Record* record = idle.records.back();
      idle.records.pop_back();
      store(record->words, 0);
      record_.store(record, std::memory_order_release);
      return *record;
    }
    // So that giving it back needs no memory.
    idle.records.reserve(++idle.made);
  }
  const DeviceGuard guard(stream.device().index);
  const OutsideCapture outside;
  auto record = std::make_unique<Record>();
  void* words = nullptr;
  check(cudaHostAlloc(&words, 2 * sizeof(unsigned long long),
                      cudaHostAllocMapped | cudaHostAllocPortable),
        "cudaHostAlloc", "index_check");
  record->words = static_cast<unsigned long long*>(words);
  store(record->words, 0);
  store(record->words + 1, 0);
  record_.store(record.get(), std::memory_order_release);
  return *record.release();
}

void IndexLog::watch(const std::shared_ptr<IndexLog>& other) {
  if (!other->record_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  if (std::find(watched_.begin(), watched_.end(), other) != watched_.end())
    return;
  watched_.push_back(other);
  watches_.store(true, std::memory_order_release);
}

void IndexLog::report() {
  report_own();
  if (!watches_.load(std::memory_order_acquire)) [[likely]]
    return;
  std::vector<std::shared_ptr<IndexLog>> watched;
  {
    const std::lock_guard lock(mutex_);
    // Those that nobody else has are looked at for the last time.
    watched = watched_;
    std::erase_if(watched_, [](const auto& log) {
      return log.use_count() == 2;  // in both lists
    });
    watches_.store(!watched_.empty(), std::memory_order_release);
  }
  for (const auto& log : watched) log->report_own();
}

void IndexLog::report_own() {
  Record* record = record_.load(std::memory_order_acquire);
  if (!record || load(record->words) == 0) return;
  const std::uint64_t id = load(record->words);
  const auto index = static_cast<std::int64_t>(load(record->words + 1));
  store(record->words, 0);
  const Entry& entry = record->entries[id % kRemembered];
  const char* op = entry.op.load(std::memory_order_relaxed);
  const std::int64_t extent = entry.extent.load(std::memory_order_relaxed);
  const bool known = entry.id.load(std::memory_order_relaxed) == id;
  std::string message = (known ? op : "an indexing operation");
  message += ": index " + std::to_string(index) + " is out of range";
  if (known) message += " for an axis of extent " + std::to_string(extent);
  throw IndexError(message);
}

}  // namespace jacquard::cuda_backend
