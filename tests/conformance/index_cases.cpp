// Operations with index tensors; repeated and negative indices among them.
#include "tests/conformance/host_array.h"

namespace jacquard::conformance {
namespace {

using Arrays = std::vector<HostArray>;

Input indices(const Shape& shape, std::vector<double> values) {
  return {.shape = shape, .kind = Kind::integer, .values = std::move(values)};
}

std::int64_t wrapped(double index, std::int64_t extent) {
  const auto i = static_cast<std::int64_t>(index);
  return i < 0 ? i + extent : i;
}

OpCase index_case(const char* name, std::vector<Input> inputs,
                  std::function<TrackedTensor(const Values&)> f,
                  std::function<HostArray(const Arrays&)> of) {
  OpCase c;
  c.name = name;
  c.inputs = std::move(inputs);
  c.call = std::move(f);
  c.of = std::move(of);
  c.tolerance = 1e-15;
  c.slack = 1e-15;
  return c;
}

void add_index_select(std::vector<OpCase>& out) {
  out.push_back(index_case(
      "index_select rows", {{.shape = {3, 2}}, indices({4}, {2, 0, -1, 2})},
      [](const Values& v) { return index_select(v[0], 0, v[1]); },
      [](const Arrays& v) {
        return make_array({4, 2}, [&](const Place& p) {
          return value_at(v[0], {wrapped(value_at(v[1], {p[0]}), 3), p[1]});
        });
      }));
  out.push_back(index_case(
      "index_select by a matrix",
      {{.shape = {2, 3}}, indices({2, 2}, {0, 2, 2, 1})},
      [](const Values& v) { return index_select(v[0], -1, v[1]); },
      [](const Arrays& v) {
        return make_array({2, 2, 2}, [&](const Place& p) {
          return value_at(v[0],
                          {p[0], wrapped(value_at(v[1], {p[1], p[2]}), 3)});
        });
      }));
  out.push_back(index_case(
      "index_select by rank 0", {{.shape = {3, 2}}, indices({}, {-2})},
      [](const Values& v) { return index_select(v[0], 0, v[1]); },
      [](const Arrays& v) {
        return make_array({2}, [&](const Place& p) {
          return value_at(v[0], {wrapped(v[1].data[0], 3), p[0]});
        });
      }));
  out.push_back(index_case(
      "index_select of nothing", {{.shape = {3, 2}}, indices({0}, {})},
      [](const Values& v) { return index_select(v[0], 0, v[1]); },
      [](const Arrays&) {
        return HostArray{{0, 2}, {}};
      }));
}

void add_gather_scatter(std::vector<OpCase>& out) {
  out.push_back(index_case(
      "gather", {{.shape = {2, 3}}, indices({2, 4}, {0, 0, 2, -1, 1, 1, 1, 0})},
      [](const Values& v) { return gather(v[0], 1, v[1]); },
      [](const Arrays& v) {
        return make_array({2, 4}, [&](const Place& p) {
          return value_at(v[0], {p[0], wrapped(value_at(v[1], p), 3)});
        });
      }));
  out.push_back(index_case(
      "gather a part", {{.shape = {3, 3}}, indices({2, 2}, {2, 2, 0, 2})},
      [](const Values& v) { return gather(v[0], 0, v[1]); },
      [](const Arrays& v) {
        return make_array({2, 2}, [&](const Place& p) {
          return value_at(v[0], {wrapped(value_at(v[1], p), 3), p[1]});
        });
      }));
  const auto scattered = [](const Arrays& v) {
    HostArray r = v[0];
    for_places(v[1].shape, [&](const Place& p) {
      value_at(r, {p[0], wrapped(value_at(v[1], p), 3)}) += value_at(v[2], p);
    });
    return r;
  };
  out.push_back(index_case(
      "scatter_add",
      {{.shape = {2, 3}},
       indices({2, 4}, {0, 0, 2, -1, 1, 1, 1, 0}),
       {.shape = {2, 4}}},
      [](const Values& v) { return scatter_add(v[0], 1, v[1], v[2]); },
      scattered));
  out.push_back(index_case(
      "scatter_add to a part",
      {{.shape = {3, 3}}, indices({2, 2}, {2, 2, 0, 2}), {.shape = {2, 2}}},
      [](const Values& v) { return scatter_add(v[0], 1, v[1], v[2]); },
      scattered));
}

void add_index_writes(std::vector<OpCase>& out) {
  const std::vector<Input> inputs{
      {.shape = {3, 2}}, indices({4}, {2, 0, -1, 2}), {.shape = {4, 2}}};
  const auto written = [](bool add) {
    return [add](const Arrays& v) {
      HostArray r = v[0];
      for_places(r.shape.numel() ? Shape{v[1].shape[0], 2} : Shape{0},
                 [&](const Place& p) {
                   const Place from = v[2].shape.rank() == 1 ? Place{p[1]} : p;
                   double& to =
                       value_at(r, {wrapped(value_at(v[1], {p[0]}), 3), p[1]});
                   to = add ? to + value_at(v[2], from) : value_at(v[2], from);
                 });
      return r;
    };
  };
  out.push_back(index_case(
      "index_put", inputs,
      [](const Values& v) { return index_put(v[0], 0, v[1], v[2]); },
      written(false)));
  out.push_back(index_case(
      "index_add", inputs,
      [](const Values& v) { return index_add(v[0], 0, v[1], v[2]); },
      written(true)));
  std::vector<Input> row = inputs;
  row[2].shape = {2};
  out.push_back(index_case(
      "index_put of a row", row,
      [](const Values& v) { return index_put(v[0], 0, v[1], v[2]); },
      written(false)));
  out.push_back(index_case(
      "index_add of a row", row,
      [](const Values& v) { return index_add(v[0], 0, v[1], v[2]); },
      written(true)));
  out.push_back(index_case(
      "index_add columns",
      {{.shape = {2, 3}}, indices({2}, {1, 1}), {.shape = {2, 2}}},
      [](const Values& v) { return index_add(v[0], 1, v[1], v[2]); },
      [](const Arrays& v) {
        return make_array({2, 3}, [&](const Place& p) {
          const double x = value_at(v[0], p);
          return p[1] != 1 ? x
                           : x + value_at(v[2], {p[0], 0}) +
                                 value_at(v[2], {p[0], 1});
        });
      }));
}

// x[:, i, j] with pairs (i, j), the first of which comes twice.
void add_mixed_indices(std::vector<OpCase>& out) {
  const std::vector<Input> inputs{{.shape = {2, 3, 2}},
                                  indices({3}, {2, 0, -1}),
                                  indices({3}, {1, 0, -1}),
                                  {.shape = {2, 3}}};
  const auto at = [](const Values& v) {
    return std::vector<Index>{Slice{}, v[1], v[2]};
  };
  const auto place = [](const Arrays& v, std::int64_t row, std::int64_t k) {
    return Place{row, wrapped(value_at(v[1], {k}), 3),
                 wrapped(value_at(v[2], {k}), 2)};
  };
  out.push_back(index_case(
      "index by pairs", {inputs[0], inputs[1], inputs[2]},
      [at](const Values& v) { return index(v[0], at(v)); },
      [place](const Arrays& v) {
        return make_array({2, 3}, [&](const Place& p) {
          return value_at(v[0], place(v, p[0], p[1]));
        });
      }));
  const auto written = [place](bool add) {
    return [place, add](const Arrays& v) {
      HostArray r = v[0];
      for_places(Shape{2, 3}, [&](const Place& p) {
        double& to = value_at(r, place(v, p[0], p[1]));
        to = (add ? to : 0) + value_at(v[3], p);
      });
      return r;
    };
  };
  out.push_back(index_case(
      "index_put by pairs", inputs,
      [at](const Values& v) { return index_put(v[0], at(v), v[3]); },
      written(false)));
  out.push_back(index_case(
      "index_add by pairs", inputs,
      [at](const Values& v) { return index_add(v[0], at(v), v[3]); },
      written(true)));
}

// Rows of the second input over the first, one overwritten in part.
void add_builder(std::vector<OpCase>& out) {
  out.push_back(index_case(
      "TensorBuilder", {{.shape = {3, 2}}, {.shape = {2, 2}}},
      [](const Values& v) {
        TensorBuilder b(v[0]);
        b.write({0}, index(v[1], {0}));
        b.push(index(v[1], {1}));
        b.write({Slice{0, 2}, 1}, index(v[1], {1}));
        return b.freeze();
      },
      [](const Arrays& v) {
        return make_array({4, 2}, [&](const Place& p) {
          if (p[0] < 2 && p[1] == 1) return value_at(v[1], {1, p[0]});
          if (p[0] == 0) return value_at(v[1], {0, p[1]});
          if (p[0] == 3) return value_at(v[1], {1, p[1]});
          return value_at(v[0], p);
        });
      }));
}

}  // namespace

std::vector<OpCase> index_cases() {
  std::vector<OpCase> out;
  add_index_select(out);
  add_gather_scatter(out);
  add_index_writes(out);
  add_mixed_indices(out);
  add_builder(out);
  for (OpCase& c : out) c.first_decides = true;
  // The result is made of the index alone.
  OpCase hot = index_case(
      "one_hot", {indices({2, 2}, {0, 2, -1, 1}), {.shape = {3}}},
      [](const Values& v) { return one_hot(v[0], 3, v[1].dtype()) * v[1]; },
      [](const Arrays& v) {
        return make_array({2, 2, 3}, [&](const Place& p) {
          return wrapped(value_at(v[0], {p[0], p[1]}), 3) == p[2]
                     ? value_at(v[1], {p[2]})
                     : 0.0;
        });
      });
  hot.specials = false;
  out.push_back(hot);
  return out;
}

}  // namespace jacquard::conformance
