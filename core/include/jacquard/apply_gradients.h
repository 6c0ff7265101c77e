// Steps along gradients, for structures and by path, without an optimizer.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "jacquard/pointwise.h"
#include "jacquard/structure.h"

namespace jacquard {
namespace detail {

struct GradientStep {
  std::string path;
  const TrackedTensor* tensor;
  TrackedTensor* writable;  // null: in a const structure
  TrackedTensor grad;
};
using StepFunction =
    std::function<TrackedTensor(const TrackedTensor&, const TrackedTensor&)>;
JACQUARD_API void take_steps(const std::vector<GradientStep>& steps,
                             const StepFunction& f);

template <class T>
GradientStep step_of(const Path& path, T& tensor, const TrackedTensor& grad) {
  GradientStep step{path.text(), &tensor, nullptr, grad};
  if constexpr (!std::is_const_v<T>) step.writable = &tensor;
  return step;
}

}  // namespace detail

// Replaces each tensor x of a structure by f(x, g), g being its gradient; x − g
// if there is no f. `grads` is a structure as gradient() gives it, or a
// std::map or std::unordered_map from paths to gradients. Undefined gradients,
// and paths that the map hasn't, leave a tensor as it is.
//
// Leaves (param) are written in place, in one launch for each dtype: f then may
// use elementwise operations and host scalars only (GraphError). Other tensors
// are replaced by a constant, which takes a structure that is not const
// (GraphError). A tensor that occurs twice is updated once. The results are
// rounded to the dtype of x. Nothing is recorded.
//
// Errors name the path: ShapeError if a gradient hasn't the shape of its
// tensor, IndexError if there is no such path. If it throws before a launch,
// nothing has changed.
template <class Model, class Grads>
void apply_gradients(Model&& model, const Grads& grads,
                     const detail::StepFunction& f) {
  std::vector<detail::GradientStep> steps;
  if constexpr (std::is_same_v<std::remove_cvref_t<Model>, Grads>) {
    auto add = [&](const detail::Path& path, auto& t, const TrackedTensor& g) {
      if (g.defined()) steps.push_back(detail::step_of(path, t, g));
    };
    detail::walk({nullptr, "apply_gradients"}, add, model, grads);
  } else {
    static_assert(detail::is_dictionary<Grads>,
                  "apply_gradients: the gradients are neither a structure of "
                  "the model's type nor a map from paths to tensors");
    auto add = [&](const detail::Path& path, auto& t) {
      const auto found = grads.find(path.text());
      if (found != grads.end())
        steps.push_back(detail::step_of(path, t, found->second));
    };
    detail::walk({nullptr, "apply_gradients"}, add, model);
    if (steps.size() != grads.size())
      for (const auto& [path, g] : grads) {
        const auto is_there = [&](const auto& s) { return s.path == path; };
        if (std::none_of(steps.begin(), steps.end(), is_there))
          detail::throw_no_such_path("apply_gradients", path, paths_of(model));
      }
    std::erase_if(steps, [](const auto& s) { return !s.grad.defined(); });
  }
  detail::take_steps(steps, f);
}
template <class Model, class Grads>
void apply_gradients(Model&& model, const Grads& grads) {
  apply_gradients(
      model, grads,
      [](const TrackedTensor& x, const TrackedTensor& g) { return x - g; });
}

}  // namespace jacquard
