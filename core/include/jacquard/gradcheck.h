// Checks of derivatives: against finite differences, and of forward against
// reverse.
#pragma once

#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "jacquard/level.h"

namespace jacquard {

struct GradcheckOptions {
  double eps = 1e-6;   // step of the central difference
  double atol = 1e-5;  // |difference| ≤ atol + rtol·|numeric|
  double rtol = 1e-5;
  std::uint64_t seed = 0;  // of the random cotangent
  // Of the inputs, for messages; their numbers where there are none.
  std::vector<std::string> names = {};
};

using TensorFunctionN =
    std::function<TrackedTensor(const std::vector<TrackedTensor>&)>;

// Whether the gradient of f (any output shape, contracted with a random
// cotangent) agrees with central differences for every element of every
// floating input. Inputs: float64 (DTypeError otherwise), strided or broadcast
// views included. When not, `message` names the input, the worst element and
// its two values.
struct GradcheckResult {
  bool ok = true;
  std::string message;
  explicit operator bool() const { return ok; }
};
JACQUARD_API GradcheckResult gradcheck(const TensorFunctionN& f,
                                       const std::vector<TrackedTensor>& inputs,
                                       GradcheckOptions options = {});
// The same for the gradient of the gradient.
JACQUARD_API GradcheckResult gradgradcheck(
    const TensorFunctionN& f, const std::vector<TrackedTensor>& inputs,
    GradcheckOptions options = {});
// The numeric gradient of ⟨cotangent, f⟩ for each input.
JACQUARD_API std::vector<Tensor> ngradient(
    const TensorFunctionN& f, const std::vector<TrackedTensor>& inputs,
    const TrackedTensor& cotangent, double eps = 1e-6);

// Whether jvp and the gradient of f are transposes of each other, by random
// projections: ⟨u, J·v⟩ = ⟨Jᵀ·u, v⟩ for each floating input, to `tolerance`
// relative to 1 + the sum of the absolute terms. Inputs: float64. When not,
// `message` names the input, the worst element and what jvp and gradient say of
// it. Cost: one run of f in forward and one in reverse, and one push an input;
// when it fails, one push an element.
struct ProjectionOptions {
  double tolerance = 1e-9;
  std::uint64_t seed = 0;
  std::vector<std::string> names = {};
};
JACQUARD_API GradcheckResult check_vjp_jvp(
    const TensorFunctionN& f, const std::vector<TrackedTensor>& inputs,
    ProjectionOptions options = {});

namespace detail {

// f's arguments as a list of their floating tensors, named by path.
struct CheckedInputs {
  std::vector<TrackedTensor> tensors;
  std::vector<std::string> names;
};

template <class... Args>
CheckedInputs checked_inputs(const Args&... args) {
  CheckedInputs out;
  auto add = [&](const Path& path, const TrackedTensor& t) {
    if (!t.defined() || !is_floating(t.dtype())) return;
    const std::string text = path.text();
    out.names.push_back(text.empty() ? "0" : text);
    out.tensors.push_back(t);
  };
  auto one = [&]<class A>(const Path& path, const A& a) {
    if constexpr (std::is_floating_point_v<A>)
      add(path, scalar_argument(static_cast<double>(a), default_device()));
    else if constexpr (becomes_tensor<A>)
      add(path, a.defined() ? TrackedTensor(a) : TrackedTensor());
    else if constexpr (holds_tensors<A>)
      walk(path, add, a);
  };
  const Path root{nullptr, "gradcheck"};
  std::int64_t i = 0;
  if constexpr (sizeof...(Args) == 1)
    (one(root, args), ...);
  else
    (one(Path{&root, {}, i++}, args), ...);
  return out;
}

// f as a function of that list; structures that it returns become one vector.
template <class F, class... Args>
TensorFunctionN as_tensor_function(F& f, const Args&... args) {
  return [&](const std::vector<TrackedTensor>& values) -> TrackedTensor {
    std::size_t next = 0;
    auto one = [&]<class A>(const A& a) -> decltype(auto) {
      if constexpr (becomes_tensor<A>) {
        return TrackedTensor(values[next++]);
      } else if constexpr (holds_tensors<A>) {
        return replaced({}, a, [&](const Path&, const TrackedTensor& t) {
          const bool floats = t.defined() && is_floating(t.dtype());
          return floats ? values[next++] : t;
        });
      } else {
        return a;
      }
    };
    std::tuple<decltype(one(args))...> inside{one(args)...};
    auto y = std::apply(f, inside);
    if constexpr (std::is_base_of_v<TrackedTensor, decltype(y)>)
      return y;
    else
      return flatten(y);
  };
}

template <class... Args>
inline constexpr bool is_input_list = false;
template <class... Rest>
inline constexpr bool is_input_list<std::vector<TrackedTensor>, Rest...> = true;

}  // namespace detail

// The same checks of a function of any arguments that gradient() takes, and
// with any structure of tensors as its result; messages name the path.
template <class F, class... Args>
  requires(!detail::is_input_list<Args...>)
GradcheckResult gradcheck(GradcheckOptions options, F&& f,
                          const Args&... args) {
  detail::CheckedInputs in = detail::checked_inputs(args...);
  options.names = std::move(in.names);
  return gradcheck(detail::as_tensor_function(f, args...), in.tensors,
                   std::move(options));
}
template <class F, class... Args>
  requires(!detail::is_input_list<Args...> &&
           !std::is_same_v<std::remove_cvref_t<F>, GradcheckOptions>)
GradcheckResult gradcheck(F&& f, const Args&... args) {
  return gradcheck(GradcheckOptions{}, std::forward<F>(f), args...);
}
template <class F, class... Args>
  requires(!detail::is_input_list<Args...>)
GradcheckResult gradgradcheck(GradcheckOptions options, F&& f,
                              const Args&... args) {
  detail::CheckedInputs in = detail::checked_inputs(args...);
  options.names = std::move(in.names);
  return gradgradcheck(detail::as_tensor_function(f, args...), in.tensors,
                       std::move(options));
}
template <class F, class... Args>
  requires(!detail::is_input_list<Args...> &&
           !std::is_same_v<std::remove_cvref_t<F>, GradcheckOptions>)
GradcheckResult gradgradcheck(F&& f, const Args&... args) {
  return gradgradcheck(GradcheckOptions{}, std::forward<F>(f), args...);
}
template <class F, class... Args>
  requires(!detail::is_input_list<Args...> &&
           !std::is_same_v<std::remove_cvref_t<F>, ProjectionOptions>)
GradcheckResult check_vjp_jvp(F&& f, const Args&... args) {
  detail::CheckedInputs in = detail::checked_inputs(args...);
  ProjectionOptions options;
  options.names = std::move(in.names);
  return check_vjp_jvp(detail::as_tensor_function(f, args...), in.tensors,
                       std::move(options));
}
// The numeric gradient of a loss, shaped like gradient()'s result; undefined
// where there is no floating tensor.
template <class F, class... Args>
  requires(!detail::is_input_list<Args...>)
auto ngradient(F&& f, const Args&... args) {
  const detail::CheckedInputs in = detail::checked_inputs(args...);
  const std::vector<Tensor> all =
      ngradient(detail::as_tensor_function(f, args...), in.tensors,
                detail::scalar_argument(1.0, default_device()));
  std::size_t next = 0;
  auto one = [&]<class A>(const A& a) -> detail::GradientOf<A> {
    if constexpr (detail::becomes_tensor<A>)
      return all[next++];
    else if constexpr (detail::holds_tensors<A>)
      return detail::replaced(
          {}, a,
          [&](const detail::Path&, const TrackedTensor& t) -> TrackedTensor {
            if (!t.defined() || !is_floating(t.dtype())) return {};
            return all[next++];
          });
    else
      return {};
  };
  return detail::bare_or_tuple(
      std::tuple<detail::GradientOf<Args>...>{one(args)...});
}

}  // namespace jacquard
