// Whole Jacobians and Hessians, and products with them.
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "jacquard/gradient.h"
#include "jacquard/jvp.h"

namespace jacquard {

struct JacobianOptions {
  DerivativeMode mode = DerivativeMode::automatic;
  // Zeros instead of an error when the result depends on no argument.
  bool allow_unused = false;
};

// What withjacobian gives: `auto [value, jacobian] = withjacobian(f, x)`.
template <class Y, class J>
struct ValueAndJacobian {
  Y value;
  J jacobian;
};

// f's value, a tensor y, and its Jacobian by each argument: bare for one
// argument, a tuple for several, shaped like gradient()'s result with
//   J[i…, j…] = ∂y[i…] / ∂x[j…],  of shape y.shape + x.shape,
// in place of each tensor x. For vectors that is the usual matrix; for a scalar
// y the gradient. Zeros (structural ones) for what f does not use. ShapeError
// if that is more than 8 axes: flatten y or x. GraphError if y depends on no
// argument (see allow_unused).
//
// Cost: f runs once. Forward: columns are pushed in batches along one more
// axis, so that a batch has the launches of one jvp; there is a batch for up to
// 2²² elements of the largest value on the way, and for each tensor entered.
// Reverse: one walk for each element of y, and one copy of all rows. Automatic:
// forward if the arguments have no more elements than y. Nothing is read back
// by the host, no identity matrix is made.
template <class F, class... Args>
auto withjacobian(JacobianOptions options, F&& f, Args&&... args) {
  static_assert(sizeof...(Args) > 0, "jacobian: there is no argument");
  GradientOptions entering;
  entering.allow_unused = true;
  detail::Linearization trace(std::move(entering), CallSite{}, "jacobian");
  auto y =
      detail::run_level(trace.level(), "jacobian", std::forward<F>(f), args...);
  static_assert(std::is_base_of_v<TrackedTensor, decltype(y)>,
                "jacobian: the function must return a tensor (flatten() makes "
                "one of a structure)");
  trace.close(detail::floating_tensors(y));
  const auto all = trace.jacobians(options.mode, options.allow_unused);
  auto shaped =
      detail::gradients_like(detail::Cotangents(trace.level(), all), args...);
  return ValueAndJacobian<TrackedTensor, decltype(shaped)>{
      trace.level().result(y), std::move(shaped)};
}
template <class F, class... Args>
  requires(!std::is_same_v<std::remove_cvref_t<F>, JacobianOptions>)
auto withjacobian(F&& f, Args&&... args) {
  return withjacobian(JacobianOptions{}, std::forward<F>(f),
                      std::forward<Args>(args)...);
}
template <class F, class... Args>
auto jacobian(JacobianOptions options, F&& f, Args&&... args) {
  return withjacobian(options, std::forward<F>(f), std::forward<Args>(args)...)
      .jacobian;
}
template <class F, class... Args>
  requires(!std::is_same_v<std::remove_cvref_t<F>, JacobianOptions>)
auto jacobian(F&& f, Args&&... args) {
  return jacobian(JacobianOptions{}, std::forward<F>(f),
                  std::forward<Args>(args)...);
}

namespace detail {

// The gradient of f as a function, for a transform around it.
template <class F>
auto gradient_of(F& f, const char* transform) {
  return [&f, transform](const auto&... x) {
    auto checked = [&](const auto&... a) {
      auto y = f(a...);
      check_loss(loss_of(y, transform), transform);
      return y;
    };
    return gradient(checked, x...);
  };
}

// For each of the slices along the first axis what `pull` makes of it.
JACQUARD_API std::int64_t batch_of(const std::vector<TrackedTensor>& seeds);
JACQUARD_API TrackedTensor slice_of(const TrackedTensor& t, std::int64_t k);
// Structural zeros if all are.
JACQUARD_API TrackedTensor stacked(const std::vector<TrackedTensor>& slices);

}  // namespace detail

// The second derivatives of f, a function of one tensor with a loss as
// gradient() takes it:
//   H[i…, j…] = ∂²f / ∂x[i…] ∂x[j…],  of shape x.shape + x.shape.
// GraphError if the result is not one floating element, or does not depend on
// x; ShapeError for x of more than 4 axes. For the Hessian of a model see
// flatten() and unflatten().
//
// Cost: one gradient is recorded. Forward over reverse (automatic, forward):
// its columns are pushed in batches, as in jacobian(). Reverse over reverse:
// one walk over it for each element of x.
template <class F, class X>
TrackedTensor hessian(JacobianOptions options, F&& f, const X& x) {
  static_assert(
      detail::becomes_tensor<X> || std::is_base_of_v<TrackedTensor, X>,
      "hessian: x must be one tensor; flatten() makes one of a "
      "structure, unflatten() goes back");
  options.allow_unused = true;
  return jacobian(options, detail::gradient_of(f, "hessian"), x);
}
template <class F, class X>
TrackedTensor hessian(F&& f, const X& x) {
  return hessian(JacobianOptions{}, std::forward<F>(f), x);
}

// The Hessian of f at x times v, forward over reverse: about two gradients. x
// is any argument of gradient(), v and the result are of its gradient's type;
// several arguments are given as two std::tuples.
template <class F, class... Args>
auto hvp(
    F&& f, const std::tuple<Args...>& x,
    const std::type_identity_t<std::tuple<detail::TangentOf<Args>...>>& v) {
  return jvp(detail::gradient_of(f, "hvp"), x, v).tangent;
}
template <class F, class A>
  requires(!detail::is_std_tuple<A>)
auto hvp(F&& f, const A& x,
         const std::type_identity_t<detail::TangentOf<A>>& v) {
  return jvp(detail::gradient_of(f, "hvp"), x, v).tangent;
}

// ∂²f / ∂x[i…]² for each tensor of each argument, shaped like gradient()'s
// result. As hessian() by columns, of which the diagonal is kept: the cost in
// time is the same, but no matrix is in memory.
template <class F, class... Args>
auto diag_hessian(F&& f, Args&&... args) {
  static_assert(sizeof...(Args) > 0, "diag_hessian: there is no argument");
  GradientOptions entering;
  entering.allow_unused = true;
  detail::Linearization trace(std::move(entering), CallSite{}, "diag_hessian");
  auto g = detail::run_level(trace.level(), "diag_hessian",
                             detail::gradient_of(f, "diag_hessian"), args...);
  trace.close(detail::floating_tensors(g));
  const auto all = trace.diagonals();
  return detail::gradients_like(detail::Cotangents(trace.level(), all),
                                args...);
}

// Several cotangents at once: what `pull`, a pullback's function, makes of each
// slice of `seeds` along the first axis, K × y.shape (of a structure: each of
// its tensors), stacked in the same way: K × x.shape. ShapeError if there is
// none. Cost: K walks, and one copy of each gradient.
template <class Pull, class Y>
auto pull_batch(const Pull& pull, const Y& seeds) {
  const std::int64_t count = detail::batch_of(detail::floating_tensors(seeds));
  using G = decltype(pull(seeds));
  std::vector<G> parts;
  for (std::int64_t k = 0; k < count; ++k)
    parts.push_back(pull(detail::replaced(
        {}, seeds, [&](const detail::Path&, const TrackedTensor& t) {
          return t.defined() ? detail::slice_of(t, k) : t;
        })));
  std::vector<std::vector<TrackedTensor>> slices;
  for (const G& part : parts) {
    std::size_t at = 0;
    auto leaf = [&](const detail::Path&, const TrackedTensor& t) {
      if (at == slices.size()) slices.emplace_back();
      slices[at++].push_back(t);
    };
    detail::walk({}, leaf, part);
  }
  std::size_t next = 0;
  return detail::replaced({}, parts[0],
                          [&](const detail::Path&, const TrackedTensor&) {
                            return detail::stacked(slices[next++]);
                          });
}

}  // namespace jacquard
