// Shape operations, and creation from a tensor: each element of the result is
// one element of an operand or a constant.
#include <algorithm>

#include "tests/conformance/host_array.h"

namespace jacquard::conformance {
namespace {

using Arrays = std::vector<HostArray>;

OpCase shape_case(const std::string& name, std::vector<Shape> shapes,
                  std::function<TrackedTensor(const Values&)> f,
                  std::function<HostArray(const Arrays&)> of) {
  OpCase c;
  c.name = name;
  for (const Shape& shape : shapes) c.inputs.push_back({.shape = shape});
  c.call = std::move(f);
  c.of = std::move(of);
  c.tolerance = 0;
  return c;
}

// One operand; the element at each place of the result comes from `from`.
OpCase moved(const std::string& name, const Shape& shape,
             std::function<TrackedTensor(TrackedTensor)> f, const Shape& result,
             std::function<Place(const Place&)> from) {
  return shape_case(
      name, {shape}, [f = std::move(f)](const Values& v) { return f(v[0]); },
      [=](const Arrays& v) {
        return make_array(
            result, [&](const Place& p) { return value_at(v[0], from(p)); });
      });
}

// The elements in their order, as another shape.
OpCase in_order(const std::string& name, const Shape& shape,
                std::function<TrackedTensor(TrackedTensor)> f,
                const Shape& result) {
  return shape_case(
      name, {shape}, [f = std::move(f)](const Values& v) { return f(v[0]); },
      [result](const Arrays& v) {
        return HostArray{result, v[0].data};
      });
}

using T = TrackedTensor;

void add_reshapes(std::vector<OpCase>& out) {
  out.push_back(in_order("reshape", {2, 6},
                         [](T x) {
                           return reshape(x, {3, -1});
                         },
                         {3, 4}));
  out.push_back(in_order("reshape of one", {1, 1},
                         [](T x) { return reshape(x, {}); }, {}));
  out.push_back(in_order("reshape of none", {0, 3},
                         [](T x) {
                           return reshape(x, {2, 0});
                         },
                         {2, 0}));
  out.push_back(in_order("reshape of a pending value", {2, 3},
                         [](T x) { return reshape(x + 0.0, {6}); }, {6}));
  out.push_back(
      in_order("flatten", {2, 3, 2}, [](T x) { return flatten(x); }, {12}));
  out.push_back(in_order("flatten some", {2, 3, 2},
                         [](T x) { return flatten(x, 1); }, {2, 6}));
  out.push_back(
      in_order("flatten rank 0", {}, [](T x) { return flatten(x); }, {1}));
  out.push_back(
      in_order("squeeze", {1, 3, 1}, [](T x) { return squeeze(x); }, {3}));
  out.push_back(in_order("squeeze one", {1, 3, 1},
                         [](T x) { return squeeze(x, -1); }, {1, 3}));
  out.push_back(in_order("unsqueeze", {2, 3},
                         [](T x) { return unsqueeze(x, 1); }, {2, 1, 3}));
  out.push_back(in_order("unsqueeze rank 0", {},
                         [](T x) { return unsqueeze(x, -1); }, {1}));
}

void add_orders(std::vector<OpCase>& out) {
  out.push_back(moved(
      "permute", {2, 3, 4},
      [](T x) {
        return permute(x, {2, 0, -2});
      },
      {4, 2, 3},
      [](const Place& p) {
        return Place{p[1], p[2], p[0]};
      }));
  out.push_back(moved(
      "transpose", {2, 3}, [](T x) { return transpose(x); }, {3, 2},
      [](const Place& p) {
        return Place{p[1], p[0]};
      }));
  out.push_back(moved(
      "transpose outer", {2, 3, 2}, [](T x) { return transpose(x, 0, 1); },
      {3, 2, 2},
      [](const Place& p) {
        return Place{p[1], p[0], p[2]};
      }));
  out.push_back(moved(
      "transpose of none", {0, 3}, [](T x) { return transpose(x); }, {3, 0},
      [](const Place& p) {
        return Place{p[1], p[0]};
      }));
  out.push_back(moved(
      "flip", {2, 3}, [](T x) { return flip(x, {}); }, {2, 3},
      [](const Place& p) {
        return Place{1 - p[0], 2 - p[1]};
      }));
  out.push_back(moved(
      "flip one", {2, 3}, [](T x) { return flip(x, -1); }, {2, 3},
      [](const Place& p) {
        return Place{p[0], 2 - p[1]};
      }));
}

void add_expands(std::vector<OpCase>& out) {
  out.push_back(moved(
      "expand rows", {3},
      [](T x) {
        return expand(x, {2, 3});
      },
      {2, 3}, [](const Place& p) { return Place{p[1]}; }));
  out.push_back(moved(
      "expand columns", {2, 1},
      [](T x) {
        return expand(x, {2, 2, 3});
      },
      {2, 2, 3},
      [](const Place& p) {
        return Place{p[1], 0};
      }));
  out.push_back(moved(
      "expand keeping", {2, 1},
      [](T x) {
        return expand(x, {-1, 3});
      },
      {2, 3},
      [](const Place& p) {
        return Place{p[0], 0};
      }));
  out.push_back(moved(
      "expand a scalar", {}, [](T x) { return expand(x, {4}); }, {4},
      [](const Place&) { return Place{}; }));
  out.push_back(moved(
      "expand to nothing", {1, 3},
      [](T x) {
        return expand(x, {0, 3});
      },
      {0, 3}, [](const Place& p) { return p; }));
}

void add_slices(std::vector<OpCase>& out) {
  out.push_back(moved(
      "slice", {5, 2},
      [](T x) {
        return slice(x, 0, {1, 4, 1});
      },
      {3, 2},
      [](const Place& p) {
        return Place{p[0] + 1, p[1]};
      }));
  out.push_back(moved(
      "slice with a step", {2, 6},
      [](T x) {
        return slice(x, 1, {1, {}, 2});
      },
      {2, 3},
      [](const Place& p) {
        return Place{p[0], 2 * p[1] + 1};
      }));
  out.push_back(moved(
      "slice backwards", {6},
      [](T x) {
        return slice(x, 0, {-2, {}, -2});
      },
      {3}, [](const Place& p) { return Place{4 - 2 * p[0]}; }));
  out.push_back(moved(
      "slice nothing", {4},
      [](T x) {
        return slice(x, 0, {3, 1, 1});
      },
      {0}, [](const Place& p) { return p; }));
  out.push_back(moved(
      "slice two axes", {4, 3},
      [](T x) {
        return slice(x, {{{}, {}, -1}, {.start = 1, .stop = {}}});
      },
      {4, 2},
      [](const Place& p) {
        return Place{3 - p[0], p[1] + 1};
      }));
  out.push_back(moved(
      "select", {3, 2}, [](T x) { return select(x, 0, -1); }, {2},
      [](const Place& p) {
        return Place{2, p[0]};
      }));
  out.push_back(moved(
      "slice of a slice", {7},
      [](T x) {
        return slice(slice(x, 0, {1, {}, 2}), 0, {{}, {}, -1});
      },
      {3}, [](const Place& p) { return Place{5 - 2 * p[0]}; }));
  out.push_back(moved(
      "split", {5, 2}, [](T x) { return split(x, 2)[1]; }, {2, 2},
      [](const Place& p) {
        return Place{p[0] + 2, p[1]};
      }));
  out.push_back(moved(
      "last of split", {2, 5}, [](T x) { return split(x, 2, -1)[2]; }, {2, 1},
      [](const Place& p) {
        return Place{p[0], 4};
      }));
}

void add_joins(std::vector<OpCase>& out) {
  out.push_back(shape_case(
      "cat", {{2, 3}, {1, 3}}, [](const Values& v) { return cat(v); },
      [](const Arrays& v) {
        HostArray r{{3, 3}, v[0].data};
        r.data.insert(r.data.end(), v[1].data.begin(), v[1].data.end());
        return r;
      }));
  const auto beside = [](const Arrays& v) {
    return make_array({2, 4}, [&](const Place& p) {
      return p[1] < 2 ? value_at(v[0], p) : value_at(v[1], {p[0], p[1] - 2});
    });
  };
  out.push_back(shape_case(
      "cat columns", {{2, 2}, {2, 2}},
      [](const Values& v) { return cat(v, -1); }, beside));
  out.back().repeatable = true;
  out.push_back(shape_case(
      "cat with an empty piece", {{2, 2}, {2, 0}},
      [](const Values& v) { return cat(v, 1); },
      [](const Arrays& v) { return v[0]; }));
  out.push_back(shape_case(
      "stack", {{3}, {3}}, [](const Values& v) { return stack(v, 1); },
      [](const Arrays& v) {
        return make_array({3, 2}, [&](const Place& p) {
          return value_at(v[static_cast<std::size_t>(p[1])], {p[0]});
        });
      }));
  out.back().repeatable = true;
  out.push_back(shape_case(
      "stack rank 0", {{}, {}}, [](const Values& v) { return stack(v); },
      [](const Arrays& v) {
        return HostArray{{2}, {v[0].data[0], v[1].data[0]}};
      }));
  out.back().repeatable = true;
  out.push_back(shape_case(
      "pad", {{2, 3}},
      [](const Values& v) {
        return pad(v[0], {{1, 0}, {0, 2}}, 0.5);
      },
      [](const Arrays& v) {
        return make_array({3, 5}, [&](const Place& p) {
          return p[0] < 1 || p[1] > 2 ? 0.5 : value_at(v[0], {p[0] - 1, p[1]});
        });
      }));
  out.push_back(shape_case(
      "pad nothing", {{0}},
      [](const Values& v) {
        return pad(v[0], {{1, 1}});
      },
      [](const Arrays&) {
        return HostArray{{2}, {0, 0}};
      }));
}

void add_puts(std::vector<OpCase>& out) {
  out.push_back(shape_case(
      "slice_put", {{3, 4}, {3, 2}},
      [](const Values& v) {
        return slice_put(v[0], {{}, {1, {}, 2}}, v[1]);
      },
      [](const Arrays& v) {
        return make_array({3, 4}, [&](const Place& p) {
          return p[1] % 2 == 1 ? value_at(v[1], {p[0], p[1] / 2})
                               : value_at(v[0], p);
        });
      }));
  out.push_back(shape_case(
      "slice_put of a row", {{3, 4}, {4}},
      [](const Values& v) {
        return slice_put(v[0], {{{}, {}, -2}}, v[1]);
      },
      [](const Arrays& v) {
        return make_array({3, 4}, [&](const Place& p) {
          return p[0] != 1 ? value_at(v[1], {p[1]}) : value_at(v[0], p);
        });
      }));
  out.push_back(shape_case(
      "slice_put of everything", {{3}, {3}},
      [](const Values& v) { return slice_put(v[0], {}, v[1]); },
      [](const Arrays& v) { return v[1]; }));
  out.back().repeatable = true;
  out.push_back(shape_case(
      "slice_put of a scalar", {{4}},
      [](const Values& v) {
        return slice_put(v[0], {{1, 3, 1}}, 0.25);
      },
      [](const Arrays& v) {
        return HostArray{{4}, {v[0].data[0], 0.25, 0.25, v[0].data[3]}};
      }));
}

void add_creation(std::vector<OpCase>& out) {
  out.push_back(shape_case(
      "tril", {{3, 3}}, [](const Values& v) { return tril(v[0]); },
      [](const Arrays& v) {
        return make_array({3, 3}, [&](const Place& p) {
          return p[1] <= p[0] ? value_at(v[0], p) : 0.0;
        });
      }));
  out.push_back(shape_case(
      "triu", {{2, 2, 4}}, [](const Values& v) { return triu(v[0], 1); },
      [](const Arrays& v) {
        return make_array({2, 2, 4}, [&](const Place& p) {
          return p[2] >= p[1] + 1 ? value_at(v[0], p) : 0.0;
        });
      }));
  out.push_back(in_order(
      "to_device", {2, 3},
      [](T x) { return to_device(to_device(x, cpu()), default_device()); },
      {2, 3}));
  // What is kept is doubled.
  out.push_back(shape_case(
      "dropout", {{4, 5}},
      [](const Values& v) {
        set_generator_state({.seed = 11, .offset = 5});
        return dropout(v[0], 0.5);
      },
      [](const Arrays& v) {
        set_generator_state({.seed = 11, .offset = 5});
        const DType drawn = is_half(v[0].dtype) ? DType::float32 : v[0].dtype;
        const auto u =
            rand({4, 5}, {drawn, default_device()}).to_host<double>();
        HostArray r = v[0];
        for (std::size_t i = 0; i < u.size(); ++i)
          r.data[i] = u[i] >= 0.5 ? 2 * r.data[i] : 0;
        return r;
      }));
  out.push_back(in_order("dropout of nothing dropped", {3},
                         [](T x) { return dropout(x, 0.9, false); }, {3}));
}

}  // namespace

std::vector<OpCase> shape_cases() {
  std::vector<OpCase> out;
  add_reshapes(out);
  add_orders(out);
  add_expands(out);
  add_slices(out);
  add_joins(out);
  add_puts(out);
  add_creation(out);
  for (OpCase& c : out) c.first_decides = c.name.rfind("slice_put", 0) == 0;
  return out;
}

}  // namespace jacquard::conformance
