// Operations along rows.
#include <cmath>
#include <limits>

#include "tests/conformance/host_array.h"

namespace jacquard::conformance {
namespace {

using Arrays = std::vector<HostArray>;

double largest(const std::vector<double>& row) {
  double m = -std::numeric_limits<double>::infinity();
  for (const double x : row) m = x > m || std::isnan(x) ? x : m;
  return m;
}

std::vector<double> log_softmax_of(const std::vector<double>& row) {
  const double m = largest(row);
  double sum = 0;
  for (const double x : row) sum += std::exp(x - m);
  std::vector<double> out;
  for (const double x : row) out.push_back(x - m - std::log(sum));
  return out;
}

// f of each line along `axis`.
HostArray along(
    const HostArray& x, int axis,
    const std::function<std::vector<double>(const std::vector<double>&)>& f) {
  return make_array(x.shape, [&](const Place& p) {
    std::vector<double> line;
    for (std::int64_t i = 0; i < x.shape[axis]; ++i) {
      Place at = p;
      at[static_cast<std::size_t>(axis)] = i;
      line.push_back(value_at(x, at));
    }
    return f(line)[static_cast<std::size_t>(p[static_cast<std::size_t>(axis)])];
  });
}

OpCase row_case(const std::string& name, std::vector<Input> inputs,
                std::function<TrackedTensor(const Values&)> f,
                std::function<HostArray(const Arrays&)> of) {
  OpCase c;
  c.name = name;
  c.inputs = std::move(inputs);
  c.call = std::move(f);
  c.of = std::move(of);
  c.tolerance = 1e-14;
  c.slack = 4e-15;
  return c;
}

void add_softmaxes(std::vector<OpCase>& out) {
  struct Form {
    const char* name;
    Shape shape;
    int axis;
  };
  for (const Form& f :
       {Form{"", {2, 3}, -1}, Form{" of columns", {3, 2}, 0},
        Form{" in the middle", {2, 3, 2}, 1}, Form{" of a vector", {5}, -1},
        Form{" of size 1", {1, 1}, 1}, Form{" of empty rows", {2, 0}, -1},
        Form{" without rows", {0, 3}, -1},
        Form{" of a long row", {1, 67}, -1}}) {
    const int axis = f.axis < 0 ? f.axis + f.shape.rank() : f.axis;
    const auto log_of = [axis](const Arrays& v) {
      return along(v[0], axis, log_softmax_of);
    };
    const auto of = [log_of](const Arrays& v) {
      HostArray r = log_of(v);
      for (double& x : r.data) x = std::exp(x);
      return r;
    };
    out.push_back(row_case(
        std::string("softmax") + f.name, {{.shape = f.shape}},
        [f](const Values& v) { return softmax(v[0], f.axis); }, of));
    out.push_back(row_case(
        std::string("log_softmax") + f.name, {{.shape = f.shape}},
        [f](const Values& v) { return log_softmax(v[0], f.axis); }, log_of));
    // log 0 = −∞ has no difference quotient; the reference loses digits there.
    out.back().specials = false;
  }
  out.push_back(row_case(
      "softmax of rank 0", {{}}, [](const Values& v) { return softmax(v[0]); },
      [](const Arrays&) {
        return HostArray{{}, {1}};
      }));
  out.back().specials = false;
}

void add_cross_entropy(std::vector<OpCase>& out) {
  const auto losses = [](const Arrays& v) {
    HostArray r{v[1].shape, {}};
    for (std::size_t i = 0; i < v[1].data.size(); ++i) {
      const auto classes =
          static_cast<std::size_t>(v[0].shape[v[0].shape.rank() - 1]);
      const auto from =
          v[0].data.begin() + static_cast<std::ptrdiff_t>(i * classes);
      r.data.push_back(-log_softmax_of(
          {from, from + static_cast<std::ptrdiff_t>(
                            classes)})[static_cast<std::size_t>(v[1].data[i])]);
    }
    return r;
  };
  const auto total = [losses](double scale) {
    return [=](const Arrays& v) {
      const HostArray all = losses(v);
      double sum = 0;
      for (const double x : all.data) sum += x;
      return HostArray{{}, {sum * scale}};
    };
  };
  const std::vector<Input> inputs{
      {.shape = {3, 4}},
      {.shape = {3}, .kind = Kind::integer, .values = {2, 0, 3}}};
  const auto loss = [](LossReduction how) {
    return [how](const Values& v) { return cross_entropy(v[0], v[1], how); };
  };
  out.push_back(row_case("cross_entropy", inputs, loss(LossReduction::mean),
                         total(1.0 / 3)));
  out.push_back(row_case("cross_entropy sum", inputs, loss(LossReduction::sum),
                         total(1)));
  out.push_back(row_case("cross_entropy none", inputs,
                         loss(LossReduction::none), losses));
  out.push_back(row_case(
      "cross_entropy of one row",
      {{.shape = {4}}, {.shape = {}, .kind = Kind::integer, .values = {1}}},
      loss(LossReduction::mean), total(1)));
  out.push_back(row_case(
      "cross_entropy of a pending value", inputs,
      [](const Values& v) { return cross_entropy(v[0] * 1.0, v[1]); },
      total(1.0 / 3)));
  out.push_back(
      row_case("cross_entropy of no rows",
               {{.shape = {0, 4}}, {.shape = {0}, .kind = Kind::integer}},
               loss(LossReduction::sum), total(1)));
  for (OpCase& c : out)
    if (c.name.rfind("cross_entropy", 0) == 0) c.specials = false;
}

void add_layer_norm(std::vector<OpCase>& out) {
  const auto normalized = [](const std::vector<double>& row) {
    double mean = 0, var = 0;
    for (const double x : row) mean += x / static_cast<double>(row.size());
    for (const double x : row)
      var += (x - mean) * (x - mean) / static_cast<double>(row.size());
    std::vector<double> r;
    for (const double x : row) r.push_back((x - mean) / std::sqrt(var + 1e-5));
    return r;
  };
  const auto reference = [normalized](const Arrays& v) {
    HostArray r = along(v[0], v[0].shape.rank() - 1, normalized);
    const auto n = static_cast<std::size_t>(v[0].shape[v[0].shape.rank() - 1]);
    for (std::size_t i = 0; i < r.data.size(); ++i) {
      if (v.size() > 1) r.data[i] *= v[1].data[i % n];
      if (v.size() > 2) r.data[i] += v[2].data[i % n];
    }
    return r;
  };
  out.push_back(row_case(
      "layer_norm", {{.shape = {2, 4}}, {.shape = {4}}, {.shape = {4}}},
      [](const Values& v) { return layer_norm(v[0], v[1], v[2]); }, reference));
  out.push_back(row_case(
      "layer_norm by weight", {{.shape = {2, 2, 3}}, {.shape = {3}}},
      [](const Values& v) { return layer_norm(v[0], v[1], {}); }, reference));
  out.push_back(row_case(
      "layer_norm bare", {{.shape = {3, 4}}},
      [](const Values& v) { return layer_norm(v[0], {}, {}); }, reference));
  out.push_back(row_case(
      "layer_norm of a vector", {{.shape = {5}}},
      [](const Values& v) { return layer_norm(v[0], {}, {}); }, reference));
  out.push_back(row_case(
      "layer_norm of no rows", {{.shape = {0, 3}}, {.shape = {3}}},
      [](const Values& v) { return layer_norm(v[0], v[1], {}); }, reference));
  for (OpCase& c : out)
    if (c.name.rfind("layer_norm", 0) == 0) {
      c.slack = 2e-14;
      c.check.rtol = 2e-3;
      // A row of equal elements has a derivative of 1/√eps.
      c.distinct = c.inputs[0].shape.rank() == 1;
    }
}

}  // namespace

std::vector<OpCase> row_cases() {
  std::vector<OpCase> out;
  add_softmaxes(out);
  add_cross_entropy(out);
  add_layer_norm(out);
  return out;
}

}  // namespace jacquard::conformance
