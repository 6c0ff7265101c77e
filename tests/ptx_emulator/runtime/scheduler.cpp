#include "runtime/scheduler.h"

#include <algorithm>

#include "memory/device_memory.h"

namespace ptx_emulator {
namespace {

// What the clock charges for any operation, in microseconds.
constexpr double kOperationTime = 1;

}  // namespace

void Scheduler::make_room() {
  Lock lock(mutex_);
  while (pending_ >= kQueueCapacity && step(lock)) {
  }
}

void Scheduler::submit(const OperationPtr& operation,
                       const std::vector<OperationPtr>& after) {
  const Lock lock(mutex_);
  operation->age_ = next_age_++;
  std::vector<PlacePtr> places;
  for (const OperationPtr& before : after) {
    if (!before) continue;
    places.push_back(before->place_);
    if (before->done_) continue;
    auto& known = operation->dependencies_;
    if (std::find(known.begin(), known.end(), before) != known.end()) continue;
    known.push_back(before);
    before->dependents_.push_back(operation);
    ++operation->unmet_;
  }
  operation->place_ =
      OperationOrder::instance().submit(places, operation->name_);
  ++pending_;
  waiting_.push_back(operation);
  if (operation->unmet_ == 0) ready_.push_back(operation);
}

void Scheduler::mark_needed(const OperationPtr& operation) {
  std::vector<OperationPtr> open{operation};
  while (!open.empty()) {
    const OperationPtr current = std::move(open.back());
    open.pop_back();
    if (current->needed_ || current->done_) continue;
    current->needed_ = true;
    for (const OperationPtr& before : current->dependencies_)
      if (!before->done_) open.push_back(before);
  }
}

OperationPtr Scheduler::choose_ready() {
  std::vector<std::size_t> indices;
  const bool any = order_.is_eager();
  for (std::size_t i = 0; i < ready_.size(); ++i)
    if (any || ready_[i]->needed_) indices.push_back(i);
  // A full queue makes the host wait for work that nobody else waits for.
  if (indices.empty())
    for (std::size_t i = 0; i < ready_.size(); ++i) indices.push_back(i);
  if (indices.empty()) return nullptr;
  std::vector<Order::Candidate> candidates;
  candidates.reserve(indices.size());
  for (const std::size_t i : indices)
    candidates.push_back({ready_[i]->stream_, ready_[i]->age_});
  const std::size_t chosen = indices[order_.choose(candidates)];
  OperationPtr operation = std::move(ready_[chosen]);
  ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(chosen));
  return operation;
}

void Scheduler::run(Lock& lock, const OperationPtr& operation) {
  running_ = operation;
  Work work = std::move(operation->work_);
  lock.unlock();
  if (work) {
    const bool checks =
        order_.may_be_eager() || OperationOrder::instance().is_concurrent();
    if (checks) DeviceMemory::instance().begin_operation(operation->place_);
    work();
    if (checks) DeviceMemory::instance().end_operation();
    work = nullptr;  // its captures may free memory: not under the lock
  }
  lock.lock();
  running_ = nullptr;
  retire(operation);
  changed_.notify_all();
}

void Scheduler::retire(const OperationPtr& operation) {
  clock_ += kOperationTime;
  operation->finished_at_ = clock_;
  operation->done_ = true;
  operation->dependencies_.clear();
  last_ended_[operation->stream_] = {operation->device_, operation->place_};
  --pending_;
  const auto place = std::lower_bound(
      waiting_.begin(), waiting_.end(), operation->age_,
      [](const OperationPtr& a, std::uint64_t age) { return a->age_ < age; });
  waiting_.erase(place);
  for (const OperationPtr& after : operation->dependents_)
    if (--after->unmet_ == 0) ready_.push_back(after);
  operation->dependents_.clear();
}

bool Scheduler::step(Lock& lock) {
  if (running_) {
    changed_.wait(lock);
    return true;
  }
  const OperationPtr operation = choose_ready();
  if (!operation) return false;
  run(lock, operation);
  return true;
}

void Scheduler::finish(const OperationPtr& operation) {
  if (!operation) return;
  Lock lock(mutex_);
  mark_needed(operation);
  while (!operation->done_ && step(lock)) {
  }
  OperationOrder::instance().host_waited_for(operation->place_);
}

void Scheduler::finish_device(int device) {
  Lock lock(mutex_);
  std::vector<OperationPtr> all;
  for (const OperationPtr& operation : waiting_)
    if (device < 0 || operation->device_ == device) all.push_back(operation);
  for (const OperationPtr& operation : all) mark_needed(operation);
  for (const OperationPtr& operation : all)
    while (!operation->done_ && step(lock)) {
    }
  for (const auto& [stream, last] : last_ended_)
    if (device < 0 || last.device == device)
      OperationOrder::instance().host_waited_for(last.place);
}

bool Scheduler::poll(const OperationPtr& operation) {
  if (!operation) return true;
  Lock lock(mutex_);
  if (operation->done_) {
    OperationOrder::instance().host_waited_for(operation->place_);
    return true;
  }
  mark_needed(operation);
  step(lock);
  return false;
}

bool Scheduler::is_done(const OperationPtr& operation) const {
  if (!operation) return true;
  const Lock lock(mutex_);
  return operation->done_;
}

std::size_t Scheduler::pending() const {
  const Lock lock(mutex_);
  return pending_;
}

double Scheduler::now() const {
  const Lock lock(mutex_);
  return clock_;
}

void Scheduler::advance(double microseconds) {
  const Lock lock(mutex_);
  clock_ += microseconds;
}

}  // namespace ptx_emulator
