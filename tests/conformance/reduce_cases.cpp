// Reductions: each over a list of axes, shapes and forms.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/conformance/host_array.h"

namespace jacquard::conformance {
namespace {

using Elements = std::vector<double>;
using Function = std::function<TrackedTensor(TrackedTensor, Axes, bool)>;
using Scalar = std::function<double(const Elements&)>;

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Form {
  const char* name;
  Shape shape;
  Axes axes;
  unsigned mask;
  bool keepdims;
};

const std::vector<Form>& forms() {
  static const std::vector<Form> all{
      {"all", {2, 3}, {}, 0b11, false},
      {"rows", {2, 3}, 1, 0b10, false},
      {"columns", {3, 2}, 0, 0b01, false},
      {"middle kept", {2, 3, 2}, -2, 0b010, true},
      {"outer two", {2, 2, 3}, {0, 1}, 0b011, false},
      {"ends kept", {2, 3, 2}, {0, 2}, 0b101, true},
      {"of rank 0", {}, {}, 0, false},
      {"of size 1", {1, 1}, {0, 1}, 0b11, false},
      {"one long row", {1, 67}, 1, 0b10, false},
  };
  return all;
}

double sum_of(const Elements& e) {
  return std::accumulate(e.begin(), e.end(), 0.0);
}
double mean_of(const Elements& e) {
  return sum_of(e) / static_cast<double>(e.size());
}
double prod_of(const Elements& e) {
  return std::accumulate(e.begin(), e.end(), 1.0, std::multiplies<>());
}
double max_of(const Elements& e) {
  double m = -kInf;
  for (const double x : e)
    m = std::isnan(x) || std::isnan(m) ? NAN : std::fmax(m, x);
  return m;
}
double min_of(const Elements& e) {
  double m = kInf;
  for (const double x : e)
    m = std::isnan(x) || std::isnan(m) ? NAN : std::fmin(m, x);
  return m;
}
double var_of(const Elements& e, double correction) {
  const double mean = mean_of(e);
  double sum = 0;
  for (const double x : e) sum += (x - mean) * (x - mean);
  return sum / std::max(0.0, static_cast<double>(e.size()) - correction);
}
double norm_of(const Elements& e, double p) {
  double sum = 0, largest = 0, count = 0;
  for (const double x : e) {
    sum += std::pow(std::abs(x), p);
    count += x != 0 ? 1 : 0;
    largest = std::isnan(x) || std::isnan(largest)
                  ? NAN
                  : std::fmax(largest, std::abs(x));
  }
  return p == 0 ? count : std::isinf(p) ? largest : std::pow(sum, 1 / p);
}
double logsumexp_of(const Elements& e) {
  const double m = max_of(e), shift = std::isfinite(m) ? m : 0;
  double sum = 0;
  for (const double x : e) sum += std::exp(x - shift);
  return std::log(sum) + shift;
}

OpCase reduction(const std::string& name, const Form& form, const Function& f,
                 const Scalar& of) {
  OpCase c;
  c.name = name + " " + form.name;
  c.inputs = {{.shape = form.shape}};
  c.call = [f, form](const Values& v) {
    return f(v[0], form.axes, form.keepdims);
  };
  c.of = [of, form](const std::vector<HostArray>& v) {
    return reduced(v[0], form.mask, form.keepdims, of);
  };
  c.tolerance = 4e-15;
  c.slack = 4e-15;
  return c;
}

// Over every form.
void add(std::vector<OpCase>& out, const std::string& name, const Function& f,
         const Scalar& of) {
  for (const Form& form : forms()) out.push_back(reduction(name, form, f, of));
}

void add_extrema(std::vector<OpCase>& out) {
  for (const Form& form : forms()) {
    for (OpCase c : {reduction("max", form, max, max_of),
                     reduction("min", form, min, min_of),
                     reduction(
                         "norm inf", form,
                         [](TrackedTensor x, Axes axes, bool keepdims) {
                           return norm(x, axes, keepdims, kInf);
                         },
                         [](const Elements& e) { return norm_of(e, kInf); })}) {
      c.distinct = true;
      out.push_back(std::move(c));
    }
  }
}

void add_norms(std::vector<OpCase>& out) {
  for (const double p : {1.0, 2.0, 3.0, 0.5}) {
    for (const char* form : {"all", "rows", "ends kept", "of rank 0"}) {
      const auto found = std::find_if(
          forms().begin(), forms().end(),
          [&](const Form& f) { return std::string(f.name) == form; });
      OpCase c = reduction(
          "norm " + std::string(p == 0.5 ? "half" : std::to_string(int(p))),
          *found,
          [p](TrackedTensor x, Axes axes, bool keepdims) {
            return norm(x, axes, keepdims, p);
          },
          [p](const Elements& e) { return norm_of(e, p); });
      c.inputs[0].avoid = {0};
      c.tolerance = c.slack = 1e-14;
      out.push_back(std::move(c));
    }
  }
  OpCase zero = reduction(
      "norm 0", forms()[1],
      [](TrackedTensor x, Axes axes, bool keepdims) {
        return norm(x, axes, keepdims, 0);
      },
      [](const Elements& e) { return norm_of(e, 0); });
  zero.inputs[0].avoid = {0};
  zero.differentiable = false;
  out.push_back(std::move(zero));
}

void add_deviations(std::vector<OpCase>& out) {
  for (const Form& form : forms()) {
    if (form.shape.numel() < 2) continue;
    OpCase c = reduction(
        "std_dev", form,
        [](TrackedTensor x, Axes axes, bool keepdims) {
          return std_dev(x, axes, keepdims);
        },
        [](const Elements& e) { return std::sqrt(var_of(e, 1)); });
    // Flat where all elements are equal, and not smooth there.
    c.distinct = true;
    c.check.rtol = 2e-3;
    out.push_back(c);
    out.push_back(reduction(
        "var", form,
        [](TrackedTensor x, Axes axes, bool keepdims) {
          return var(x, axes, keepdims);
        },
        [](const Elements& e) { return var_of(e, 1); }));
  }
  add(
      out, "var biased",
      [](TrackedTensor x, Axes axes, bool keepdims) {
        return var(x, axes, keepdims, 0);
      },
      [](const Elements& e) { return var_of(e, 0); });
}

// A factor of 0, and two of them.
void add_products_with_zeros(std::vector<OpCase>& out) {
  const Form rows{"with zeros", {3, 4}, 1, 0b10, false};
  OpCase c = reduction("prod", rows, prod, prod_of);
  c.inputs[0].values = {2, 0, -1.5, 3, 0, 1.25, 0, -2, 0.5, 2, -1, 3};
  c.repeatable = false;
  out.push_back(c);
  c = reduction("prod all", {"zeros", {5}, {}, 0b1, false}, prod, prod_of);
  c.inputs[0].values = {0, 0, 0, 2, 3};
  out.push_back(c);
}

void add_constants(std::vector<OpCase>& out) {
  const auto position = [](const Elements& e, bool largest) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < e.size(); ++i) {
      if (std::isnan(e[best])) break;
      if (std::isnan(e[i]) || (largest ? e[i] > e[best] : e[i] < e[best]))
        best = i;
    }
    return static_cast<double>(best);
  };
  const auto constant = [&](OpCase c) {
    c.differentiable = false;
    out.push_back(std::move(c));
  };
  for (const bool largest : {true, false}) {
    const std::string name = largest ? "argmax" : "argmin";
    const Scalar of = [=](const Elements& e) { return position(e, largest); };
    const auto along = [largest](TrackedTensor x, Axes axes, bool keepdims) {
      if (axes.all()) return largest ? argmax(x) : argmin(x);
      const int axis = axes.list()[0];
      return largest ? argmax(x, axis, keepdims) : argmin(x, axis, keepdims);
    };
    for (const char* form :
         {"all", "rows", "columns", "middle kept", "of rank 0", "one long row"})
      for (const Form& f : forms())
        if (std::string(f.name) == form)
          constant(reduction(name, f, along, of));
  }
  for (const Form& form : forms()) {
    constant(reduction("any", form, any, [](const Elements& e) {
      return std::any_of(e.begin(), e.end(), [](double x) { return x != 0; });
    }));
    constant(reduction("all", form, all, [](const Elements& e) {
      return std::all_of(e.begin(), e.end(), [](double x) { return x != 0; });
    }));
  }
}

// Operands without elements, and elements without axes.
void add_empty(std::vector<OpCase>& out) {
  const Form nothing{"of nothing", {2, 0}, 1, 0b10, false};
  const Form rows{"of no rows", {0, 3}, 1, 0b10, false};
  const Form columns{"of no rows kept", {0, 3}, 0, 0b01, true};
  for (const Form& form : {nothing, rows, columns}) {
    out.push_back(reduction("sum", form, sum, sum_of));
    out.push_back(reduction("prod", form, prod, prod_of));
    out.push_back(reduction("mean", form, mean, [](const Elements& e) {
      return e.empty() ? NAN : mean_of(e);
    }));
    out.push_back(reduction("logsumexp", form, logsumexp, logsumexp_of));
  }
  out.push_back(reduction("max", rows, max, max_of));
}

}  // namespace

std::vector<OpCase> reduce_cases() {
  std::vector<OpCase> out;
  add(out, "sum", sum, sum_of);
  add(out, "mean", mean, mean_of);
  add(out, "prod", prod, prod_of);
  add(out, "logsumexp", logsumexp, logsumexp_of);
  add_extrema(out);
  add_norms(out);
  add_deviations(out);
  add_products_with_zeros(out);
  add_constants(out);
  add_empty(out);
  return out;
}

}  // namespace jacquard::conformance
