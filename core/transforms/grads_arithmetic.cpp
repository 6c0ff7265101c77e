#include <algorithm>
#include <numeric>
#include <string>

#include "core/tape/call.h"
#include "core/tape/value.h"
#include "core/tape/walk.h"
#include "jacquard/create.h"
#include "jacquard/error.h"
#include "jacquard/params.h"
#include "jacquard/pointwise.h"
#include "jacquard/update.h"

namespace jacquard {

using Values = std::vector<TrackedTensor>;

namespace {

enum class Arithmetic { add, subtract, multiply, divide };

TrackedTensor compute(Arithmetic rule, const Operand& a, const Operand& b) {
  switch (rule) {
    case Arithmetic::add:
      return a + b;
    case Arithmetic::subtract:
      return a - b;
    case Arithmetic::multiply:
      return a * b;
    default:
      return a / b;
  }
}

// Two lists of values, or one and a host scalar in place of the other.
struct Terms {
  const Values& a;
  const Values& b;
  const std::vector<Operand>& scalar;

  std::size_t size() const { return a.empty() ? b.size() : a.size(); }
  const TrackedTensor& any(std::size_t i) const {
    return a.empty() ? b[i] : a[i];
  }
  Operand left(std::size_t i) const {
    return a.empty() ? scalar[0] : Operand(a[i]);
  }
  Operand right(std::size_t i) const {
    return b.empty() ? scalar[0] : Operand(b[i]);
  }
  // Whether one launch can compute both.
  bool alike(std::size_t i, std::size_t k) const {
    const auto same = [&](const Values& list) {
      return list.empty() || (list[i].dtype() == list[k].dtype() &&
                              list[i].device() == list[k].device());
    };
    return same(a) && same(b);
  }
  bool recorded() const {
    const auto tracked = [](const TrackedTensor& t) { return t.is_tracked(); };
    return is_grad_enabled() &&
           (std::ranges::any_of(a, tracked) || std::ranges::any_of(b, tracked));
  }
};

// Of constants: written into fresh leaves, by one launch a dtype.
Values run_lists(Arithmetic rule, const Values& a, const Values& b,
                 const std::vector<Operand>& scalar) {
  const Terms terms{a, b, scalar};
  Values results(terms.size());
  std::vector<std::size_t> left(terms.size());
  std::iota(left.begin(), left.end(), std::size_t{0});
  while (!left.empty()) {
    std::vector<std::vector<TrackedTensor>> groups;
    std::vector<std::size_t> now, later;
    for (const std::size_t i : left) {
      if (!terms.alike(i, left[0])) {
        later.push_back(i);
        continue;
      }
      const TrackedTensor& like = terms.any(i);
      groups.push_back(
          {param(Tensor::empty(like.shape(), like.dtype(), like.device()))});
      if (!a.empty()) groups.back().push_back(a[i]);
      if (!b.empty()) groups.back().push_back(b[i]);
      now.push_back(i);
    }
    update_in_place(groups, 1, [&](const Values& t) -> Values {
      return {compute(rule, a.empty() ? scalar[0] : Operand(t[1]),
                      b.empty() ? scalar[0] : Operand(t.back()))};
    });
    for (std::size_t k = 0; k < now.size(); ++k)
      results[now[k]] = groups[k][0].data();
    left = std::move(later);
  }
  return results;
}

// The result where structural zeros decide it, else undefined.
TrackedTensor known(Arithmetic rule, const Operand& a, const Operand& b) {
  const auto is_zero = [](const Operand& x) {
    return !x.is_scalar() && x.tensor().is_structural_zero();
  };
  if (rule == Arithmetic::multiply && is_zero(a)) return a.tensor();
  if (rule == Arithmetic::multiply && is_zero(b)) return b.tensor();
  if (a.is_scalar() || b.is_scalar()) return {};
  const bool adds = rule == Arithmetic::add;
  if ((adds || rule == Arithmetic::subtract) && is_zero(b)) return a.tensor();
  return adds && is_zero(a) ? b.tensor() : TrackedTensor();
}

Grads combine(Arithmetic rule, const Params& params, const Values& a,
              const Values& b, const std::vector<Operand>& scalar) {
  Values results(params.size());
  if (params.empty()) return {params, std::move(results)};
  const Terms all{a, b, scalar};
  std::vector<std::size_t> places;
  Values left, right;
  for (std::size_t i = 0; i < params.size(); ++i) {
    results[i] = known(rule, all.left(i), all.right(i));
    if (results[i].defined()) continue;
    places.push_back(i);
    if (!a.empty()) left.push_back(a[i]);
    if (!b.empty()) right.push_back(b[i]);
  }
  const Terms terms{left, right, scalar};
  Values computed;
  if (terms.recorded())
    for (std::size_t k = 0; k < places.size(); ++k)
      computed.push_back(compute(rule, terms.left(k), terms.right(k)));
  else if (!places.empty())
    computed = tape::call("grads", {}, run_lists, rule, left, right,
                          std::vector<Operand>(scalar));
  for (std::size_t k = 0; k < places.size(); ++k)
    results[places[k]] = std::move(computed[k]);
  return {params, std::move(results)};
}

Grads combine(Arithmetic rule, const Grads& a, const Grads& b) {
  return combine(rule, a.keys(), a.values(), detail::values_for(a.keys(), b),
                 {});
}

Grads combine(Arithmetic rule, const Grads& a, double b) {
  return combine(rule, a.keys(), a.values(), {}, {Operand(b)});
}

Grads combine(Arithmetic rule, double a, const Grads& b) {
  return combine(rule, b.keys(), {}, b.values(), {Operand(a)});
}

}  // namespace

Grads operator-(const Grads& a) {
  return combine(Arithmetic::multiply, a, -1.0);
}
Grads operator+(const Grads& a, const Grads& b) {
  return combine(Arithmetic::add, a, b);
}
Grads operator-(const Grads& a, const Grads& b) {
  return combine(Arithmetic::subtract, a, b);
}
Grads operator*(const Grads& a, const Grads& b) {
  return combine(Arithmetic::multiply, a, b);
}
Grads operator/(const Grads& a, const Grads& b) {
  return combine(Arithmetic::divide, a, b);
}
Grads operator+(const Grads& a, double b) {
  return combine(Arithmetic::add, a, b);
}
Grads operator-(const Grads& a, double b) {
  return combine(Arithmetic::subtract, a, b);
}
Grads operator*(const Grads& a, double b) {
  return combine(Arithmetic::multiply, a, b);
}
Grads operator/(const Grads& a, double b) {
  return combine(Arithmetic::divide, a, b);
}
Grads operator+(double a, const Grads& b) {
  return combine(Arithmetic::add, a, b);
}
Grads operator-(double a, const Grads& b) {
  return combine(Arithmetic::subtract, a, b);
}
Grads operator*(double a, const Grads& b) {
  return combine(Arithmetic::multiply, a, b);
}
Grads operator/(double a, const Grads& b) {
  return combine(Arithmetic::divide, a, b);
}

}  // namespace jacquard
