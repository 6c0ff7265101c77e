#include "jacquard/nn/optimizer.h"

#include <map>
#include <set>

#include "jacquard/create.h"
#include "jacquard/pointwise.h"

namespace jacquard::nn {
namespace {

// The leaves, each once.
ParameterList leaves_of(ParameterList all) {
  ParameterList leaves;
  std::set<const void*> seen;
  for (std::size_t i = 0; i < all.params.size(); ++i) {
    const TrackedTensor& p = all.params[i];
    if (!p.defined() || !p.is_leaf() || !seen.insert(p.value()).second)
      continue;
    leaves.params.push_back(p);
    leaves.grads.push_back(all.grads[i]);
  }
  return leaves;
}

}  // namespace

Optimizer::Optimizer(double learning_rate, int buffers)
    : learning_rate_(learning_rate), buffers_(buffers) {}

Optimizer::~Optimizer() = default;

void Optimizer::make_state(const std::vector<TrackedTensor>& params) {
  std::vector<std::pair<Shape, DType>> now;
  for (const TrackedTensor& p : params) now.emplace_back(p.shape(), p.dtype());
  if (now == known_) return;
  if (!known_.empty())
    throw ShapeError(
        "Optimizer::step: the parameters are not those of the last step; make "
        "a new optimizer for another model");

  std::vector<std::vector<TrackedTensor>> state;
  for (const TrackedTensor& p : params) {
    const TensorOptions options{compute_type(p.dtype()), p.device()};
    auto& buffers = state.emplace_back();
    for (int i = 0; i < buffers_; ++i)
      buffers.push_back(param(zeros(p.shape(), options)));
  }
  state_ = std::move(state);
  known_ = std::move(now);
}

UpdateRule Optimizer::rule() const {
  return [this](const std::vector<TrackedTensor>& tensors) {
    const DType stored = tensors[0].dtype();
    const DType computed = compute_type(stored);
    const auto states = tensors.begin() + 1;
    std::vector<TrackedTensor> state(states, states + buffers_);
    TrackedTensor param = update(cast(tensors[0], computed),
                                 cast(tensors.back(), computed), state);
    std::vector<TrackedTensor> out{cast(std::move(param), stored)};
    out.insert(out.end(), state.begin(), state.end());
    return out;
  };
}

ParameterList Optimizer::prepare(ParameterList all) {
  ParameterList list = leaves_of(std::move(all));
  if (list.params.empty())
    throw GraphError(
        "Optimizer::step: the model has no parameter; make its tensors with "
        "param()");
  make_state(list.params);
  return list;
}

EagerLeaves Optimizer::receive_list(ParameterList all) {
  ParameterList list = prepare(std::move(all));
  auto receive = [this, params = list.params, begun = false](
                     std::size_t i, const TrackedTensor& g) mutable {
    std::vector<TrackedTensor> group{params[i]};
    group.insert(group.end(), state_[i].begin(), state_[i].end());
    group.push_back(g);
    if (!begun) ++steps_done_;
    try {
      update_in_place({group}, 1 + buffers_, rule());
    } catch (...) {
      if (!begun) --steps_done_;
      throw;
    }
    begun = true;
  };
  return {std::move(list.params), std::move(receive)};
}

void Optimizer::step_list(ParameterList all) {
  const ParameterList list = prepare(std::move(all));
  std::map<DType, std::vector<std::vector<TrackedTensor>>> groups;
  for (std::size_t i = 0; i < list.params.size(); ++i) {
    const TrackedTensor& p = list.params[i];
    const TrackedTensor& g = list.grads[i];
    if (!g.defined()) continue;
    if (g.shape() != p.shape())
      throw ShapeError("Optimizer::step: a gradient of shape " +
                       to_string(g.shape()) + " for a parameter of shape " +
                       to_string(p.shape()));
    auto& group = groups[p.dtype()].emplace_back();
    group.push_back(p);
    group.insert(group.end(), state_[i].begin(), state_[i].end());
    group.push_back(g);
  }

  ++steps_done_;
  try {
    for (const auto& [dtype, group] : groups)
      update_in_place(group, 1 + buffers_, rule());
  } catch (...) {
    --steps_done_;
    throw;
  }
}

}  // namespace jacquard::nn
