#include "jacquard/apply_gradients.h"

#include <map>
#include <utility>

#include "jacquard/error.h"
#include "jacquard/update.h"

namespace jacquard::detail {
namespace {

void check(const GradientStep& s) {
  const std::string name = "apply_gradients: \"" + s.path + "\"";
  if (!s.tensor->defined())
    throw GraphError(name + " is undefined, but has a gradient");
  if (s.grad.shape() != s.tensor->shape())
    throw ShapeError(name + ": a gradient of shape " +
                     to_string(s.grad.shape()) + " for a tensor of shape " +
                     to_string(s.tensor->shape()));
  if (!s.tensor->is_leaf() && !s.writable)
    throw GraphError(name +
                     " is no leaf that could be written in place: make it "
                     "with param(), or pass a structure that is not const");
}

TrackedTensor stepped(const TrackedTensor& x, const TrackedTensor& g,
                      const StepFunction& f) {
  return cast(f(x, g), x.dtype());
}

using Replaced = std::map<const void*, TrackedTensor>;

// The new values of what is no leaf, by value.
Replaced replacements(const std::vector<GradientStep>& steps,
                      const StepFunction& f) {
  NoGrad constant;
  Replaced by_value;
  std::vector<TrackedTensor> all;
  for (const GradientStep& s : steps) {
    const TrackedTensor& x = *s.tensor;
    if (x.is_leaf() || by_value.contains(x.value())) continue;
    TrackedTensor y = stepped(x, s.grad, f);
    if (y.shape() != x.shape())
      throw ShapeError("apply_gradients: \"" + s.path + "\": a new value of " +
                       to_string(y.shape()) + " for a tensor of " +
                       to_string(x.shape()));
    all.push_back(y);
    by_value.emplace(x.value(), std::move(y));
  }
  materialize(all);
  return by_value;
}

void write_leaves(const std::vector<GradientStep>& steps,
                  const StepFunction& f) {
  using Groups = std::vector<std::vector<TrackedTensor>>;
  std::map<std::pair<DType, DType>, Groups> by_dtype;
  std::map<const void*, bool> seen;
  for (const GradientStep& s : steps)
    if (s.tensor->is_leaf() && seen.emplace(s.tensor->value(), true).second)
      by_dtype[{s.tensor->dtype(), s.grad.dtype()}].push_back(
          {*s.tensor, s.grad});
  for (const auto& [dtypes, groups] : by_dtype)
    update_in_place(groups, 1, [&](const std::vector<TrackedTensor>& t) {
      return std::vector<TrackedTensor>{stepped(t[0], t[1], f)};
    });
}

}  // namespace

void take_steps(const std::vector<GradientStep>& steps, const StepFunction& f) {
  for (const GradientStep& s : steps) check(s);
  const Replaced by_value = replacements(steps, f);
  write_leaves(steps, f);
  for (const GradientStep& s : steps) {
    const auto found = by_value.find(s.tensor->value());
    if (found != by_value.end()) *s.writable = found->second;
  }
}

}  // namespace jacquard::detail
