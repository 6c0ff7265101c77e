// Makes a plan of what a function does while it runs.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/plan/mark.h"
#include "core/plan/plan.h"
#include "core/tape/region_builder.h"

namespace jacquard::plan {

// One at a time on a thread. Values that the function makes and drops are not
// kept: each is known by a mark.
class Planner {
 public:
  // The stream is that of the device which the first value is on.
  Planner();
  ~Planner();
  Planner(const Planner&) = delete;
  Planner& operator=(const Planner&) = delete;
  // That of this thread, or nullptr.
  static Planner* current();

  // The function is not run again: the plan keeps what it finds.
  void freeze();
  // Before the first call: an argument of the function, a tensor or a scalar,
  // which becomes one of the plan's; the scalar's origin.
  void add_argument(const TrackedTensor& t);
  std::uint32_t add_argument(Literal scalar);
  // The host looks at what has an origin in `seen`.
  void guard(std::span<const std::uint32_t> seen);
  // After the last call: what the function returns.
  void add_result(const TrackedTensor& t);

  // Runs the call and takes it down.
  void call(tape::Call& c);
  // The same for a step of another plan, with its body.
  std::vector<TrackedTensor> again(const Step& step,
                                   std::span<const TrackedTensor> operands,
                                   std::span<const Literal> scalars);
  // `other` stands for the same value as `known`, which was taken down.
  void equate(const TrackedTensor& known, Value& other);
  // Computes a value as a part of the plan.
  void force(Value& v);
  // The host reads x.
  void read(const TrackedTensor& x);
  // Before the gradient of a node is read or changed.
  void touch_gradient(tape::Node& node);

  // The function can't be planned. The first reason counts.
  void fail(std::string why);
  const std::string& failure() const { return failure_; }

  // The function is over: the plan, or nullptr if it failed.
  std::unique_ptr<Plan> finish();

 private:
  template <class Run>
  void take_down(Step step, std::span<const TrackedTensor* const> operands,
                 std::span<Literal> scalars, Run run);
  int item_of(const TrackedTensor& t);
  int leaf_item(Value& cell);
  int snapshot_item(const Value& v);
  int constant_item(const TrackedTensor& t);
  Step::Result result_of(const TrackedTensor& t);
  void place(Item& item, const Tensor& t);
  int memory_of(Storage& storage);
  bool on_device(Device device);
  void note_writes();
  void add_export(int item, Value& v);
  int array_of(const Tensor& t);
  void finish_gradients();

  std::unique_ptr<Plan> plan_;
  std::string failure_;
  bool knows_device_ = false;
  std::deque<Mark> marks_;
  tape::PointerMap constants_, leaves_, memories_, storages_;
  std::vector<ValuePtr> held_;                           // the constants
  std::vector<std::pair<int, std::uint32_t>> versions_;  // of leaves, by item
  std::vector<std::uint32_t> seen_;  // scalars that the host saw
};

}  // namespace jacquard::plan
