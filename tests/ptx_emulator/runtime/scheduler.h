// Deferred work: a graph of operations that run only when somebody waits for
// one of them. Knows nothing of CUDA; streams and events are built from the
// dependencies between operations. What the dependencies leave open is made
// known to the memory component, which finds accesses that depend on it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "memory/operation_order.h"
#include "runtime/order.h"

namespace ptx_emulator {

// What an operation does. Null runs nothing (events, joins).
using Work = std::function<void()>;

class Operation;
using OperationPtr = std::shared_ptr<Operation>;

class Operation {
 public:
  // `name` is for messages.
  Operation(Work work, std::uint64_t stream, int device, std::string name)
      : work_(std::move(work)),
        stream_(stream),
        device_(device),
        name_(std::move(name)) {}

  // Microseconds on the scheduler's clock when it ended; 0 before.
  double finished_at() const { return finished_at_; }

 private:
  friend class Scheduler;
  Work work_;
  std::uint64_t stream_;
  int device_;
  std::string name_;
  // The rest is guarded by the scheduler's mutex.
  std::uint64_t age_ = 0;
  PlacePtr place_;         // from its submission on
  std::size_t unmet_ = 0;  // dependencies that have not run
  bool needed_ = false;    // somebody waits for it or for what follows it
  bool done_ = false;
  double finished_at_ = 0;
  std::vector<OperationPtr> dependencies_;  // only until it has run
  std::vector<OperationPtr> dependents_;
};

class Scheduler {
 public:
  // Runs work until fewer operations wait than this, as a device whose queues
  // are full makes the host wait. To be called before a submission without
  // locks that work may need.
  void make_room();
  static constexpr std::size_t kQueueCapacity = 1024;

  explicit Scheduler(std::uint64_t seed) : order_(seed) {}

  // Enqueues an operation after those that must have run before it. Null
  // pointers among them and repetitions are allowed.
  void submit(const OperationPtr& operation,
              const std::vector<OperationPtr>& after);

  // Runs what is needed until the operation has run; by the seed, more.
  void finish(const OperationPtr& operation);
  // The same for all operations of a device; of all devices if it is -1.
  void finish_device(int device);

  // Whether the operation has run; if not, makes a step towards it, so that
  // asking again and again comes to an end.
  bool poll(const OperationPtr& operation);

  bool is_done(const OperationPtr& operation) const;
  // Operations that have not run.
  std::size_t pending() const;

  // The clock, which only work moves; `advance` is called from within work.
  double now() const;
  void advance(double microseconds);

 private:
  using Lock = std::unique_lock<std::mutex>;
  void mark_needed(const OperationPtr& operation);
  // Runs one operation; waits for the one that runs if nothing else is ready.
  // False if nothing was ready and nothing ran.
  bool step(Lock& lock);
  OperationPtr choose_ready();
  void run(Lock& lock, const OperationPtr& operation);
  void retire(const OperationPtr& operation);

  // What ended last in a stream, which comes after all of it that ended.
  struct LastEnded {
    int device;
    PlacePtr place;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Order order_;
  std::uint64_t next_age_ = 1;
  std::size_t pending_ = 0;
  double clock_ = 1;
  OperationPtr running_;
  std::map<std::uint64_t, LastEnded> last_ended_;  // by stream
  std::vector<OperationPtr> ready_;    // nothing before them is left
  std::vector<OperationPtr> waiting_;  // all that have not run, by age
};

}  // namespace ptx_emulator
