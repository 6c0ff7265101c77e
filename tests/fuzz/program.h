// Random programs: lists of steps over numbered values, made from a seed, that
// can be listed, run in several ways, and shrunk.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard::fuzz {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t bits() { return engine_(); }
  // In [0, n).
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(n));
  }
  bool chance(double p) {
    return static_cast<double>(engine_() >> 11) * 0x1p-53 < p;
  }
  // In [low, high), with few digits.
  double between(double low, double high) {
    return low + (high - low) * static_cast<double>(below(64)) / 64;
  }

 private:
  std::mt19937_64 engine_;
};

// The same numbers for the same seed, in (−2, 2).
std::vector<double> random_data(std::int64_t seed, std::int64_t n);
TrackedTensor random_tensor(std::int64_t seed, const Shape& shape, DType dtype);

// Step number i makes value number i, undefined where it only does something.
// What the members mean is up to the operation.
struct Step {
  int op = -1;  // its place in operations()
  std::vector<int> in;
  Shape shape;
  DType dtype = DType::float64;
  std::array<std::int64_t, 4> n{};
  std::array<double, 2> s{};
  // The value depends on a gradient, which is the same to rounding only.
  bool rounded = false;
  DType made = DType::bool_;  // the value's dtype; bool_ if there is none
  std::string note;           // the value's dtype and shape, for the listing
};

// How a program ends in gradients.
enum class Ending {
  backward,      // into the leaves
  two_losses,    // over one trunk, neither retained
  retained,      // backward twice with retain_graph, then once too often
  transform,     // gradient() of the whole program
  second_order,  // gradient() of the gradient
};

struct Program {
  std::uint64_t seed = 0;
  std::vector<Step> steps;
  // Losses: weighted means of values.
  std::vector<std::pair<int, double>> loss, other_loss;
  // Values whose gradient is asked for when the losses are there, and after the
  // first walk.
  std::vector<int> asked_late, asked_later;
  Ending ending = Ending::backward;
  bool read_first =
      false;         // values are read before the gradients are asked for
  bool tame = true;  // all numbers stay small, so gradients are compared
};

// What a machine saw on the way.
struct Seen {
  int step;          // of hooks: whatever watch() was given
  std::string what;  // "hook", "error"
  std::vector<double> numbers;
};

// Runs steps.
class Machine {
 public:
  // Whether steps that only schedule (materialize, print, …) are carried out.
  explicit Machine(bool schedules) : schedules_(schedules) {}
  ~Machine() { leave_scopes(); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // The next step. Does nothing if an operand is not there. GraphErrors that a
  // step may meet are noted, others pass.
  void run(const Step& step);
  void leave_scopes();

  bool schedules() const { return schedules_; }
  // Whether the program is the body of gradient().
  bool inside_transform = false;
  // Whether hooks may change cotangents. Not where a gradient is
  // differentiated: then totals would depend on whether pullbacks read inputs
  // or outputs.
  bool hooks_change = true;
  std::vector<TrackedTensor> values;
  std::vector<Seen> seen;
  bool gave_up = false;  // a step reversed a part of the tape, and gave it up
  std::vector<int> retained;  // values whose gradient is kept
  // The number of the running step.
  int current() const { return static_cast<int>(values.size()); }
  void note(std::string what);

  // NoGrad (false) or EnableGrad (true), until left.
  void enter_scope(bool enabled);
  void leave_scope();
  int scopes() const { return static_cast<int>(scopes_.size()); }

 private:
  struct Scope {
    std::unique_ptr<NoGrad> off;
    std::unique_ptr<EnableGrad> on;
  };
  bool schedules_;
  std::vector<Scope> scopes_;
};

// What a generator knows of the values made so far.
class Sketch {
 public:
  Sketch(const Machine& machine, Random& random, bool tame)
      : random(random), tame(tame), machine_(machine) {}

  const TrackedTensor& operator[](int i) const {
    return machine_.values[static_cast<std::size_t>(i)];
  }
  int count() const { return static_cast<int>(machine_.values.size()); }
  int scopes() const { return machine_.scopes(); }
  // Of the numbers in it; {1, −1} if there are none.
  std::pair<double, double> bounds(int i);
  // Whether all numbers lie in [low, high]; wild programs don't mind.
  bool within(int i, double low, double high);

  using Condition = std::function<bool(const TrackedTensor&)>;
  // A random value that fulfils it, late ones more often; −1 if none is found.
  int pick(const Condition& condition);
  int pick_floating();
  // A floating or any numeric value that broadcasts with value i.
  int pick_fitting(int i, bool floating) {
    return pick_fitting((*this)[i].shape(), floating);
  }
  int pick_fitting(const Shape& shape, bool floating);

  Random& random;
  const bool tame;
  // Of each value: whether it depends on a gradient. Only steps that don't jump
  // take those.
  std::vector<bool> rounded;
  bool may_take_rounded = false;
  std::vector<std::int64_t> extents;  // that leaves are made of
  std::vector<DType> dtypes;          // that floating leaves have

 private:
  const Machine& machine_;
  std::vector<std::pair<double, double>> bounds_;
};

struct Operation {
  std::string name;
  int weight = 1;  // how often it is tried
  // Fills in a step, or fails.
  std::function<bool(Sketch&, Step&)> propose;
  std::function<TrackedTensor(Machine&, const Step&)> apply;
};

const std::vector<Operation>& operations();
// Whether a small change of the operands makes a small change of the result and
// of its derivatives, or there is no result.
bool is_smooth(const Operation& op);
void add_elementwise(std::vector<Operation>& out);
void add_structural(std::vector<Operation>& out);
void add_actions(std::vector<Operation>& out);

// The value that a step takes at place k.
inline const TrackedTensor& operand(const Machine& m, const Step& s,
                                    std::size_t k) {
  return m.values[static_cast<std::size_t>(s.in[k])];
}

// Hooks a value and notes what the hook sees.
void watch(Machine& machine, const TrackedTensor& x, int name);

Program generate(std::uint64_t seed);
std::string to_string(const Program& program);

}  // namespace jacquard::fuzz
