// Runs a function against a plan: its calls are compared with the plan's and
// answered by stand-ins; when it is over, the plan's launches run.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/plan/plan.h"

namespace jacquard::plan {

class Planner;

class Replay {
 public:
  // Whether the plan may be what comes: leaves have gradients as it found, and
  // no hooks.
  static bool may_begin(const Plan& plan);

  void begin(Plan& plan);
  Plan& plan() const { return *plan_; }
  std::size_t cursor() const { return cursor_; }
  // Answers the call if it is the plan's next.
  bool answer(tape::Call& c);
  // The same with another plan, if it is one that begins with the same calls.
  bool answer_with(Plan& other, tape::Call& c);
  // The function is over: runs the plan and gives what it computed to those who
  // hold stand-ins. False, and nothing happened, if this is not how the planned
  // call ended. What a launch throws passes through: what is held of the
  // results is then lost.
  bool finish();
  // Runs the plan of a frozen function on these arguments and gives its
  // results. False, and nothing happened, if it isn't one for them.
  bool run_frozen(Plan& plan, std::span<const TrackedTensor> arguments,
                  std::span<const Literal> scalars,
                  std::vector<TrackedTensor>& results);
  // The function does something else: makes the calls so far without the plan,
  // taken down by `planner` if there is one.
  void unwind(Planner* planner);
  // Forgets the call: stand-ins that are still held are nobody's.
  void clear();

 private:
  bool matches(const Plan& plan, const Step& step, const tape::Call& c);
  bool bind(const Item& item, int number, Value* v);
  bool bind_leaf(const Item& item, int number, Value* v);
  bool bind_constant(const Item& item, int number, Value* v);
  void unbind(std::size_t constants);
  void fill_in(tape::Call& c, const Step& step);
  Value& stand_in(int item);
  bool same_beginning(const Plan& other) const;
  bool guards_hold(const Plan& other) const;

  bool bind_frozen(std::span<const TrackedTensor> arguments);
  void draw();
  TrackedTensor result(int item);

  bool all_results_are_known() const;
  bool is_ready();
  void run_plan();
  bool find_memories();
  bool lies_at(const Tensor& t, std::ptrdiff_t offset, int memory);
  void release_gradients();
  void restore_gradients() noexcept;
  void make_room();
  void launch();
  bool settle_graph();
  void copy_to_own();
  Tensor array(int number) const;
  void hand_out();

  Plan* plan_ = nullptr;
  std::size_t cursor_ = 0;
  std::vector<Value*> bound_;  // by item
  std::vector<std::pair<int, ValuePtr>> constants_;
  std::vector<int> handed_;  // items of results whose stand-ins were given out
  std::vector<Literal> scalars_;
  // By memory: where it is now, and a storage in it.
  struct Place {
    const char* data = nullptr;
    Storage* storage = nullptr;
  };
  std::vector<Place> places_;
  // Gradients that the plan replaces; undefined where they lie in its own
  // memory.
  std::vector<std::pair<const Gradient*, Tensor>> released_;
};

}  // namespace jacquard::plan
