// What all optimizers share: the parameters of a structure, and their state.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "jacquard/gradient.h"
#include "jacquard/structure.h"
#include "jacquard/tracked_tensor.h"
#include "jacquard/update.h"

namespace jacquard::nn {

// Leaves and their gradients, in the order of their structure. Undefined
// gradients leave a parameter as it is.
struct ParameterList {
  std::vector<TrackedTensor> params;
  std::vector<TrackedTensor> grads;
};

// Updates every leaf (made by param()) of a structure of type Model in one
// launch; one for each dtype if they differ. Constants in the structure are
// left alone, a leaf that occurs twice is updated once. The optimizer holds
// state – momenta and their like, zeros at first – but not the model:
// parameters are told apart by their place in the structure.
//
// Errors: GraphError if the structure has no leaf; ShapeError if it has other
// leaves than at the last step, or a gradient of another shape. If a step
// throws, nothing of the launch that failed was written.
class JACQUARD_API Optimizer {
 public:
  virtual ~Optimizer();

  // With the gradients that gradient() gave.
  template <class Model>
  void step(const Model& model, const Model& grads) {
    ParameterList list;
    zip_tensors(
        [&](const std::string&, const TrackedTensor& p,
            const TrackedTensor& g) {
          list.params.push_back(p);
          list.grads.push_back(g);
        },
        model, grads);
    step_list(std::move(list));
  }
  // With the gradients that backward() left in the leaves; leaves without one
  // stay as they are.
  template <class Model>
  void step(const Model& model) {
    ParameterList list;
    visit_tensors(model, [&](const std::string&, const TrackedTensor& p) {
      const bool leaf = p.defined() && p.is_leaf();
      list.params.push_back(p);
      list.grads.push_back(leaf ? p.grad() : TrackedTensor());
    });
    step_list(std::move(list));
  }

  // For eager_update.
  template <class Model>
  EagerLeaves step_within_backward(const Model& model) {
    ParameterList list;
    visit_tensors(model, [&](const std::string&, const TrackedTensor& p) {
      list.params.push_back(p);
      list.grads.emplace_back();
    });
    return receive_list(std::move(list));
  }

  double learning_rate() const { return learning_rate_; }
  // From the next step on.
  void set_learning_rate(double rate) { learning_rate_ = rate; }
  std::int64_t steps_done() const { return steps_done_; }

 protected:
  // `buffers` is how many tensors of state a parameter has.
  Optimizer(double learning_rate, int buffers);
  Optimizer(const Optimizer&) = default;
  Optimizer& operator=(const Optimizer&) = default;

  // One step of one parameter, elementwise. Parameter, gradient and state are
  // float32 for the half types, else of the parameter's dtype. `state` is
  // replaced by its new value; the new parameter is returned.
  virtual TrackedTensor update(const TrackedTensor& param,
                               const TrackedTensor& grad,
                               std::vector<TrackedTensor>& state) const = 0;

 private:
  void step_list(ParameterList list);
  EagerLeaves receive_list(ParameterList list);
  // The leaves, each once, with their state made.
  ParameterList prepare(ParameterList all);
  void make_state(const std::vector<TrackedTensor>& params);
  UpdateRule rule() const;

  double learning_rate_;
  int buffers_;
  std::int64_t steps_done_ = 0;
  std::vector<std::vector<TrackedTensor>> state_;  // by parameter
  std::vector<std::pair<Shape, DType>> known_;     // by parameter
};

// One step of the optimizer within one backward: each leaf of the model is
// updated as soon as its gradient is complete, and no gradient is stored.
//   backward(loss, {}, {.eager = eager_update(adam, model)});
// The same bits as backward and step; a launch for each leaf. A leaf that
// occurs several times in the model, or in the loss, is updated once, by the
// whole of its gradient. If the backward throws, leaves that were updated
// before stay so. The optimizer must outlive the backward.
template <class Model>
EagerLeaves eager_update(Optimizer& optimizer, const Model& model) {
  return optimizer.step_within_backward(model);
}

}  // namespace jacquard::nn
