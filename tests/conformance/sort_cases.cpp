// Sorting. Ties are left to tests/core/ops: there the gradient is a choice.
#include <algorithm>
#include <numeric>

#include "tests/conformance/host_array.h"

namespace jacquard::conformance {
namespace {

using Arrays = std::vector<HostArray>;

// The elements along `axis` in order, of which the first `count` are kept;
// `positions` instead of values.
HostArray in_order(const HostArray& x, int axis, bool descending,
                   std::int64_t count, bool positions = false) {
  Shape shape = x.shape, lines = x.shape;
  const std::int64_t n = shape[axis];
  shape[axis] = count;
  lines[axis] = 1;
  HostArray out{shape,
                std::vector<double>(static_cast<std::size_t>(shape.numel()))};
  const auto at = static_cast<std::size_t>(axis);
  for_places(lines, [&](Place p) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    const auto value = [&](std::int64_t i) {
      p[at] = i;
      return value_at(x, p);
    };
    std::stable_sort(order.begin(), order.end(), [&](auto i, auto j) {
      return descending ? value(i) > value(j) : value(i) < value(j);
    });
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t from = order[static_cast<std::size_t>(i)];
      const double found = positions ? static_cast<double>(from) : value(from);
      p[at] = i;
      value_at(out, p) = found;
    }
  });
  return out;
}

OpCase sort_case(const char* name, Shape shape,
                 std::function<TrackedTensor(const TrackedTensor&)> f,
                 std::function<HostArray(const HostArray&)> of) {
  OpCase c;
  c.name = name;
  c.inputs = {{.shape = shape}};
  c.call = [f](const Values& v) { return f(v[0]); };
  c.of = [of](const Arrays& v) { return of(v[0]); };
  c.distinct = true;
  c.specials = false;
  c.integers = OnIntegers::kept;
  return c;
}

}  // namespace

std::vector<OpCase> sort_cases() {
  std::vector<OpCase> out;
  const auto add = [&](const char* name, const Shape& shape, int axis,
                       bool descending) {
    out.push_back(sort_case(
        name, shape,
        [=](const TrackedTensor& x) {
          return sort(x, axis, descending).values;
        },
        [=](const HostArray& x) {
          const int d = axis < 0 ? axis + x.shape.rank() : axis;
          return in_order(x, d, descending, x.shape[d]);
        }));
  };
  add("sort rows", {3, 5}, -1, false);
  add("sort rows falling", {3, 5}, 1, true);
  add("sort columns", {5, 3}, 0, false);
  add("sort in the middle", {2, 4, 2}, 1, true);
  add("sort of size 1", {1, 1}, 0, false);
  add("sort of nothing", {2, 0}, 1, false);
  out.push_back(sort_case(
      "topk", {2, 5}, [](const TrackedTensor& x) { return topk(x, 2).values; },
      [](const HostArray& x) { return in_order(x, 1, true, 2); }));
  out.push_back(sort_case(
      "topk smallest of columns", {5, 2},
      [](const TrackedTensor& x) { return topk(x, 3, 0, false).values; },
      [](const HostArray& x) { return in_order(x, 0, false, 3); }));
  out.push_back(sort_case(
      "argsort", {3, 4}, [](const TrackedTensor& x) { return argsort(x); },
      [](const HostArray& x) { return in_order(x, 1, false, 4, true); }));
  out.back().differentiable = false;
  return out;
}

}  // namespace jacquard::conformance
