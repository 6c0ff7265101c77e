// Recording operations that are not pointwise, and their pullbacks.
//
// An operation computes its result (a Tensor) and calls record(). Its pullback
// is a callable on a PullbackContext, written in tracked operations, so that it
// can itself be recorded:
//
//   TrackedTensor transpose(Operand x, ...) {
//     ...
//     return record("transpose", x.site(), view, {&t},
//                   [a, b](PullbackContext& c) {
//                     c.add(0, transpose(c.cotangent(), a, b));
//                   },
//                   [a, b](PushContext& c) {
//                     c.set(transpose(c.tangent(0), a + c.lead(),
//                                     b + c.lead()));
//                   });
//   }
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/tape/node.h"
#include "core/tape/push.h"
#include "core/tape/value.h"

namespace jacquard::tape {

class Walk;
struct ColumnSum;
struct WalkResult;

// Elements that differ in memory times their size; 0 if undefined.
std::size_t bytes_of(const Tensor& t);
inline std::size_t bytes_of(const Saved& s) { return bytes_of(s.tensor); }

// Forces x and keeps its array.
Saved save(const TrackedTensor& x, const char* op);
// The result of the operation being recorded.
inline Saved save_output(Tensor tensor) {
  return {std::move(tensor), {}, true};
}

// What a pullback sees of the walk.
class PullbackContext : public RuleContext {
 public:
  // The cotangent of the value, of its shape; defined. For half types it is
  // float32. May be pending.
  const TrackedTensor& cotangent() const { return cotangent_; }
  // Of a node of several values (record_joint): the cotangent of each,
  // undefined where none came. Of another node: its one.
  std::vector<TrackedTensor> cotangents() const;
  // Whether input i needs a gradient: compute no other.
  bool needs(int i) const;
  // Adds g to the cotangent of input i. g's shape and device must be those of
  // the input (GraphError names the operation); other floating dtypes are
  // converted. Undefined: a structural zero.
  void add(int i, TrackedTensor g);

  // Adds to the cotangents of input 0, a node of several values: g is that of
  // value k of n.
  void add_to_joint(int k, int n, TrackedTensor g);

  // Gradients that a walk inside this pullback kept for values with
  // retain_grad().
  void retain(std::vector<WalkResult> kept);

  // For kernels that add in place, when not recording: memory of input i's
  // shape, contiguous, float32 for half types, to be written (accumulate =
  // false) or added to (true). The kernel must be launched at once.
  struct Target {
    Tensor tensor;
    bool accumulate;
  };
  Target target(int i);
  // The same for a product of matrices: the last two axes may be swapped in
  // memory, and are in fresh memory if `transposed` (for the operand whose own
  // layout is such: its gradient then is not copied on the way to the leaf).
  Target matrix_target(int i, bool transposed);
  // Whether two inputs of equal gradients may have one memory: they are two
  // values of one shape and dtype, each an input once, and nothing was added to
  // either yet.
  bool can_share(int from, int to) const;
  // Gives input `to` what input `from` has. Nothing is added in place to the
  // memory that they share.
  void share(int from, int to);
  // Whether input i is next to be visited, with a pullback that computes a
  // pending cotangent in its own launch; nothing was added to it yet.
  bool is_next(int i) const;
  // Sums over the space of input i's value, which is_next: its pullback runs
  // after this one and computes them along.
  void ride(int i, std::vector<ColumnSum> sums);
  // Writes values, and what rides.
  void force(std::span<Value* const> values);
  // Adds g to the part of input i's cotangent that `view` selects: all parts
  // go into one buffer. `view` maps a contiguous tensor of the input's shape
  // to the part. Only when not recording.
  template <class View>
  void add_part(int i, const TrackedTensor& g, View&& view) {
    add_into(view(part_buffer(i)), g);
  }

 private:
  friend class Walk;
  PullbackContext(Walk& walk, Node& node, const Edges& edges, bool recording,
                  TrackedTensor cotangent, std::vector<TrackedTensor> joint)
      : RuleContext(node, edges, recording),
        walk_(walk),
        cotangent_(std::move(cotangent)),
        joint_(std::move(joint)) {}
  Target make_target(int i, const Strides& fresh);
  Tensor part_buffer(int i);
  static void add_into(const Tensor& part, const TrackedTensor& g);

  Walk& walk_;
  TrackedTensor cotangent_;
  std::vector<TrackedTensor> joint_;
};

// A value made of `result`; tracked if recording is on and an input is. Input i
// of the pullback is inputs[i]; the callable is dropped if nothing is tracked.
TrackedTensor record_with(const char* name, CallSite site, Tensor result,
                          std::span<const TrackedTensor* const> inputs,
                          PullbackPtr pullback);
// The same where nothing is recorded.
TrackedTensor constant_result(const char* name, CallSite site, Tensor result,
                              std::span<const TrackedTensor* const> inputs);

// Values of one operation with one pullback, whose inputs are added already. It
// runs once a walk, after whatever reads one of the values, and finds what came
// in cotangents(). Values that aren't floating are constants.
std::vector<TrackedTensor> record_joint(const char* name, CallSite site,
                                        std::vector<Tensor> results,
                                        PullbackPtr pullback);
// Value k of n of such a node once more, as `result`: for its pullback, whose
// node can't hold on to the values.
TrackedTensor joint_value(Node& joint, int k, int n, Tensor result);

// Whether an operation on the inputs would be recorded now.
bool would_record(std::span<const TrackedTensor* const> inputs);

// Of operations without a forward rule: tangents go through the pullback of
// the pullback.
struct NoForwardRule {};

template <class F, class P>
class ClosurePullback final : public PullbackBase {
 public:
  ClosurePullback(F f, P push, std::size_t bytes)
      : bytes_(bytes), f_(std::move(f)), push_(std::move(push)) {}
  std::size_t saved_bytes() const override { return bytes_; }
  void run(PullbackContext& context) override { f_(context); }
  bool push(PushContext& context) override {
    if constexpr (std::is_same_v<P, NoForwardRule>) {
      return PullbackBase::push(context);
    } else {
      push_(context);
      return true;
    }
  }

 private:
  std::size_t bytes_;
  F f_;
  [[no_unique_address]] P push_;
};

template <class F, class P = NoForwardRule>
PullbackPtr make_pullback(F f, P push = {}, std::size_t bytes = 0) {
  return PullbackPtr::adopt(
      new ClosurePullback<F, P>(std::move(f), std::move(push), bytes));
}

// `push`: the forward rule, a callable on a PushContext. `bytes`: of the arrays
// that the two keep.
template <class F, class P = NoForwardRule>
TrackedTensor record(const char* name, CallSite site, Tensor result,
                     std::initializer_list<const TrackedTensor*> inputs,
                     F pullback, P push = {}, std::size_t bytes = 0) {
  std::span<const TrackedTensor* const> all(inputs.begin(), inputs.size());
  if (!would_record(all))
    return constant_result(name, site, std::move(result), all);
  return record_with(
      name, site, std::move(result), all,
      make_pullback(std::move(pullback), std::move(push), bytes));
}

}  // namespace jacquard::tape
