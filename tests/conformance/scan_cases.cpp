// Running sums, products and recurrences.
#include "tests/conformance/host_array.h"

namespace jacquard::conformance {
namespace {

using Arrays = std::vector<HostArray>;

// The reference: places along `axis` in order, `step` of (the value before or
// `start`, whether there is one, the operands' elements here).
using Step = std::function<double(double, bool, const std::vector<double>&)>;
HostArray scanned(const Arrays& in, int axis, bool from_last, double start,
                  const Step& step) {
  HostArray out{in[0].shape, std::vector<double>(in[0].data.size())};
  Shape lines = in[0].shape;
  const std::int64_t n = lines[axis];
  lines[axis] = 1;
  for_places(lines, [&](Place p) {
    double h = start;
    for (std::int64_t s = 0; s < n; ++s) {
      p[static_cast<std::size_t>(axis)] = from_last ? n - 1 - s : s;
      std::vector<double> here;
      for (const HostArray& x : in) here.push_back(value_at(x, p));
      h = step(h, s > 0, here);
      value_at(out, p) = h;
    }
  });
  return out;
}

OpCase scan_case(const std::string& name, std::vector<Input> inputs,
                 std::function<TrackedTensor(const Values&)> f,
                 std::function<HostArray(const Arrays&)> of) {
  OpCase c;
  c.name = name;
  c.inputs = std::move(inputs);
  c.call = std::move(f);
  c.of = std::move(of);
  c.tolerance = 1e-13;
  c.slack = 1e-14;
  c.specials = false;
  c.integers = OnIntegers::kept;
  return c;
}

struct Along {
  const char* name;
  Shape shape;
  int axis;
  ScanFrom from = ScanFrom::first;
};

const std::vector<Along>& ways() {
  static const std::vector<Along> all = {
      {"rows", {2, 5}, 1},
      {"columns", {4, 3}, 0},
      {"the middle", {2, 3, 2}, -2},
      {"rows from the last", {2, 5}, -1, ScanFrom::last},
      {"columns from the last", {4, 3}, 0, ScanFrom::last},
      {"size 1", {1}, 0},
      {"no elements", {2, 0}, 1},
      {"no rows", {0, 3}, 1}};
  return all;
}

void add_way(std::vector<OpCase>& out, const Along& w) {
  const int axis = w.axis < 0 ? w.axis + w.shape.rank() : w.axis;
  const bool last = w.from == ScanFrom::last;
  const std::string along = std::string(" along ") + w.name;
  out.push_back(scan_case(
      "cumsum" + along, {{.shape = w.shape}},
      [w](const Values& v) { return cumsum(v[0], w.axis, w.from); },
      [axis, last](const Arrays& v) {
        return scanned(v, axis, last, 0,
                       [](double h, bool, const std::vector<double>& x) {
                         return h + x[0];
                       });
      }));
  out.push_back(scan_case(
      "cumprod" + along, {{.shape = w.shape}},
      [w](const Values& v) { return cumprod(v[0], w.axis, w.from); },
      [axis, last](const Arrays& v) {
        return scanned(v, axis, last, 1,
                       [](double h, bool, const std::vector<double>& x) {
                         return h * x[0];
                       });
      }));
  OpCase c = scan_case(
      "linear_recurrence" + along,
      {{.shape = w.shape, .low = -1, .high = 1}, {.shape = w.shape}},
      [w](const Values& v) {
        return linear_recurrence(v[0], v[1], w.axis, w.from);
      },
      [axis, last](const Arrays& v) {
        return scanned(v, axis, last, 0,
                       [](double h, bool any, const std::vector<double>& x) {
                         return (any ? x[0] * h : 0.0) + x[1];
                       });
      });
  c.integers = OnIntegers::skipped;
  c.repeatable = true;
  out.push_back(std::move(c));
}

// Zeros among the factors: none, one, two, all.
void add_zeros(std::vector<OpCase>& out) {
  const std::vector<double> factors = {1, 2, 3,  -1, 0, 2, 3, 4,
                                       0, 5, -2, 0,  0, 0, 0, 0};
  for (const ScanFrom from : {ScanFrom::first, ScanFrom::last})
    out.push_back(scan_case(
        from == ScanFrom::first ? "cumprod with zeros"
                                : "cumprod with zeros from the last",
        {{.shape = {4, 4}, .values = factors}},
        [from](const Values& v) { return cumprod(v[0], 1, from); },
        [from](const Arrays& v) {
          return scanned(v, 1, from == ScanFrom::last, 1,
                         [](double h, bool, const std::vector<double>& x) {
                           return h * x[0];
                         });
        }));
}

}  // namespace

std::vector<OpCase> scan_cases() {
  std::vector<OpCase> out;
  for (const Along& w : ways()) add_way(out, w);
  add_zeros(out);
  return out;
}

}  // namespace jacquard::conformance
