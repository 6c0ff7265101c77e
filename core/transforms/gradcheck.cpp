#include "jacquard/gradcheck.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <string>

#include "jacquard/gradient.h"
#include "jacquard/jvp.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"

namespace jacquard {
namespace {

using Values = std::vector<TrackedTensor>;

TrackedTensor random_like(const TrackedTensor& x, std::mt19937_64& generator) {
  std::normal_distribution<double> normal;
  std::vector<double> v(static_cast<std::size_t>(x.numel()));
  for (double& e : v) e = normal(generator);
  return Tensor::from_host(std::span<const double>(v), x.shape(), x.device());
}

TrackedTensor contract(const TrackedTensor& y, const TrackedTensor& cotangent) {
  return sum(y * cotangent);
}

double evaluate(const TensorFunctionN& f, const Values& inputs,
                const TrackedTensor& cotangent) {
  NoGrad off;
  return contract(f(inputs), cotangent).item<double>();
}

void require_float64(const Values& inputs) {
  for (const TrackedTensor& x : inputs)
    if (is_floating(x.dtype()) && x.dtype() != DType::float64)
      throw DTypeError("gradcheck: inputs must be float64, not " +
                       std::string(name_of(x.dtype())));
}

std::string input_name(const std::vector<std::string>& names, std::size_t k) {
  return k < names.size() ? "\"" + names[k] + "\"" : std::to_string(k);
}

// "input K, element I: A x, B y".
std::string disagreement(const std::string& input, std::size_t at,
                         const char* a, double x, const char* b, double y) {
  char text[120];
  std::snprintf(text, sizeof text, ", element %zu: %s %.9g, %s %.9g", at, a, x,
                b, y);
  return "input " + input + text;
}

// Compares one input's two gradients; the message names the worst element.
bool agree(const std::vector<double>& analytic,
           const std::vector<double>& numeric, std::size_t input,
           const GradcheckOptions& o, std::string& message) {
  double worst = 0;
  std::size_t at = 0;
  bool ok = true;
  for (std::size_t i = 0; i < numeric.size(); ++i) {
    const double allowed = o.atol + o.rtol * std::abs(numeric[i]);
    const double off = std::abs(analytic[i] - numeric[i]);
    if (off <= allowed) continue;
    if (ok || off / allowed > worst || std::isnan(off)) {
      worst = off / allowed;
      at = i;
    }
    ok = false;
  }
  if (ok) return true;
  message = disagreement(input_name(o.names, input), at, "analytic",
                         analytic[at], "numeric", numeric[at]);
  return false;
}

}  // namespace

std::vector<Tensor> ngradient(const TensorFunctionN& f, const Values& inputs,
                              const TrackedTensor& cotangent, double eps) {
  require_float64(inputs);
  std::vector<Tensor> out;
  Values moved = inputs;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (!is_floating(inputs[k].dtype())) {
      out.emplace_back();
      continue;
    }
    std::vector<double> x = inputs[k].to_host<double>();
    std::vector<double> g(x.size());
    auto at = [&](std::size_t i, double value) {
      const double before = std::exchange(x[i], value);
      moved[k] = Tensor::from_host(std::span<const double>(x),
                                   inputs[k].shape(), inputs[k].device());
      x[i] = before;
      return evaluate(f, moved, cotangent);
    };
    for (std::size_t i = 0; i < x.size(); ++i)
      g[i] = (at(i, x[i] + eps) - at(i, x[i] - eps)) / (2 * eps);
    moved[k] = inputs[k];
    out.push_back(Tensor::from_host(std::span<const double>(g),
                                    inputs[k].shape(), inputs[k].device()));
  }
  return out;
}

GradcheckResult gradcheck(const TensorFunctionN& f, const Values& inputs,
                          GradcheckOptions options) {
  require_float64(inputs);
  std::mt19937_64 generator(options.seed);
  TrackedTensor y;
  {
    NoGrad off;
    y = f(inputs);
  }
  const TrackedTensor cotangent = random_like(y, generator);
  const Values analytic = gradient(
      [&](const Values& x) { return contract(f(x), cotangent); }, inputs);
  const std::vector<Tensor> numeric =
      ngradient(f, inputs, cotangent, options.eps);
  GradcheckResult result;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (!numeric[k].defined()) continue;
    if (!(analytic[k].shape() == inputs[k].shape()) ||
        analytic[k].dtype() != DType::float64)
      return {false, "input " + std::to_string(k) +
                         ": the gradient's shape or dtype is not its own"};
    if (!agree(analytic[k].to_host<double>(), numeric[k].to_host<double>(), k,
               options, result.message)) {
      result.ok = false;
      return result;
    }
  }
  return result;
}

GradcheckResult gradgradcheck(const TensorFunctionN& f, const Values& inputs,
                              GradcheckOptions options) {
  require_float64(inputs);
  std::mt19937_64 generator(options.seed + 1);
  TrackedTensor y;
  {
    NoGrad off;
    y = f(inputs);
  }
  const TrackedTensor cotangent = random_like(y, generator);
  Values directions;
  for (const TrackedTensor& x : inputs)
    directions.push_back(is_floating(x.dtype()) ? random_like(x, generator)
                                                : TrackedTensor());
  auto first = [&](const Values& x) {
    const Values g = gradient(
        {.create_graph = true},
        [&](const Values& v) { return contract(f(v), cotangent); }, x);
    TrackedTensor total;
    for (std::size_t k = 0; k < g.size(); ++k) {
      if (!g[k].defined() || !directions[k].defined()) continue;
      TrackedTensor term = sum(g[k] * directions[k]);
      total = total.defined() ? total + term : term;
    }
    // A function that is linear in everything has a gradient that depends on
    // nothing; tie the inputs in so that its derivative, zero, is defined.
    for (std::size_t k = 0; k < x.size(); ++k)
      if (directions[k].defined()) total = total + sum(x[k]);
    return total;
  };
  return gradcheck(first, inputs, options);
}

namespace {

// What jvp of ⟨u, f⟩ and the gradient say of each element of input k.
std::string worst_of_projection(const detail::Linearization& trace,
                                std::size_t tensor, const Values& entered,
                                const TrackedTensor& u, const TrackedTensor& g,
                                const std::string& name) {
  const TrackedTensor& x = entered[tensor];
  const std::vector<double> reverse = g.to_host<double>();
  if (reverse.empty())
    return "input " + name + ", which is empty, has a tangent that is not 0";
  std::vector<double> unit(reverse.size());
  double worst = -1, forward_there = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < unit.size(); ++i) {
    unit[i] = 1;
    Values tangents(entered.size());
    tangents[tensor] =
        Tensor::from_host(std::span<const double>(unit), x.shape(), x.device());
    unit[i] = 0;
    const double forward = contract(trace.push(tangents)[0], u).item<double>();
    const double off = std::abs(forward - reverse[i]);
    if (off <= worst) continue;
    worst = std::isnan(off) ? std::numeric_limits<double>::infinity() : off;
    forward_there = forward;
    at = i;
  }
  return disagreement(name, at, "jvp", forward_there, "gradient", reverse[at]);
}

}  // namespace

GradcheckResult check_vjp_jvp(const TensorFunctionN& f, const Values& inputs,
                              ProjectionOptions options) {
  require_float64(inputs);
  std::mt19937_64 generator(options.seed + 2);
  GradientOptions entering;
  entering.allow_unused = true;
  detail::Linearization trace(std::move(entering), CallSite{}, "check_vjp_jvp");
  trace.level().separate();
  const TrackedTensor y =
      detail::run_level(trace.level(), "check_vjp_jvp", f, inputs);
  trace.close(detail::floating_tensors(y));
  if (!is_floating(y.dtype())) return {};
  const TrackedTensor u = random_like(y, generator);
  const Values g = trace.level().walk(y, cast(u, y.dtype()), /*retain=*/true);
  const Values& entered = trace.level().aliases();
  std::size_t tensor = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (!trace.level().taken()[k]) continue;
    const std::size_t own = tensor++;
    Values tangents(entered.size());
    tangents[own] = random_like(inputs[k], generator);
    const TrackedTensor forward = trace.push(tangents)[0] * u;
    const TrackedTensor reverse = g[own] * tangents[own];
    const double a = sum(forward).item<double>();
    const double b = sum(reverse).item<double>();
    const double size =
        sum(abs(forward)).item<double>() + sum(abs(reverse)).item<double>();
    if (std::abs(a - b) <= options.tolerance * (1 + size)) continue;
    return {false, worst_of_projection(trace, own, entered, u, g[own],
                                       input_name(options.names, k))};
  }
  return {};
}

}  // namespace jacquard
