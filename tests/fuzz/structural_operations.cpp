// Steps that force: views, reductions, products, indices, rows; leaves.
#include <algorithm>
#include <numeric>

#include "tests/fuzz/program.h"

namespace jacquard::fuzz {
namespace {

using T = TrackedTensor;
using Apply = std::function<T(Machine&, const Step&)>;

bool has_elements(const T& t) {
  return is_floating(t.dtype()) && t.numel() > 0;
}
bool has_axes(const T& t) { return has_elements(t) && t.rank() > 0; }

// Of one floating operand with an axis; n[0] is an axis of it.
void along_axis(std::vector<Operation>& out, const char* name, int weight,
                std::function<bool(Sketch&, Step&)> more, Apply apply) {
  out.push_back({name, weight,
                 [more = std::move(more)](Sketch& k, Step& s) {
                   const int i = k.pick(has_axes);
                   if (i < 0) return false;
                   s.in = {i};
                   s.n[0] = k.random.below(k[i].rank());
                   return !more || more(k, s);
                 },
                 std::move(apply)});
}

int axis_of(const Step& s) { return static_cast<int>(s.n[0]); }

// The axes whose bits n[0] has; none means all.
Axes axes_of(const Step& s) {
  switch (s.n[0]) {
    case 1:
      return {0};
    case 2:
      return {1};
    case 3:
      return {0, 1};
    case 4:
      return {-1};
    case 5:
      return {0, -1};
    default:
      return {};
  }
}

void reduction(std::vector<Operation>& out, const char* name, int weight,
               std::function<T(const T&, Axes, bool)> f, double low = -1e300,
               double high = 1e300) {
  out.push_back({name, weight,
                 [=](Sketch& k, Step& s) {
                   const int i = k.pick(has_elements);
                   if (i < 0 || !k.within(i, low, high)) return false;
                   s.in = {i};
                   const int rank = k[i].rank();
                   s.n[0] = rank == 0   ? 0
                            : rank == 1 ? k.random.below(2)
                            : rank == 2 ? k.random.below(5)
                                        : k.random.below(6);
                   s.n[1] = k.random.below(2);
                   return true;
                 },
                 [f = std::move(f)](Machine& m, const Step& s) {
                   return f(operand(m, s, 0), axes_of(s), s.n[1] != 0);
                 }});
}

void add_reductions(std::vector<Operation>& out) {
  using B = bool;
  reduction(out, "sum", 10,
            [](const T& x, Axes a, B k) { return sum(x, a, k); });
  reduction(out, "mean", 6,
            [](const T& x, Axes a, B k) { return mean(x, a, k); });
  reduction(
      out, "prod", 3, [](const T& x, Axes a, B k) { return prod(x, a, k); }, -3,
      3);
  reduction(out, "max", 4,
            [](const T& x, Axes a, B k) { return max(x, a, k); });
  reduction(out, "min", 3,
            [](const T& x, Axes a, B k) { return min(x, a, k); });
  reduction(out, "var", 3,
            [](const T& x, Axes a, B k) { return var(x, a, k, 0); });
  reduction(
      out, "norm", 3, [](const T& x, Axes a, B k) { return norm(x, a, k); },
      0.05, 100);
  reduction(
      out, "norm 3", 2,
      [](const T& x, Axes a, B k) { return norm(x, a, k, 3); }, 0.05, 20);
  reduction(out, "logsumexp", 4,
            [](const T& x, Axes a, B k) { return logsumexp(x, a, k); });
  reduction(out, "any", 1,
            [](const T& x, Axes a, B k) { return any(x > 0.0, a, k); });
  reduction(out, "sum of squares", 4,
            [](const T& x, Axes a, B k) { return sum(square(x - 0.5), a, k); });
  along_axis(out, "argmax", 2, nullptr, [](Machine& m, const Step& s) {
    return argmax(operand(m, s, 0), axis_of(s));
  });
}

void add_views(std::vector<Operation>& out) {
  along_axis(
      out, "transpose", 4,
      [](Sketch& k, Step& s) {
        s.n[1] = k.random.below(k[s.in[0]].rank());
        return true;
      },
      [](Machine& m, const Step& s) {
        return transpose(operand(m, s, 0), axis_of(s),
                         static_cast<int>(s.n[1]));
      });
  along_axis(
      out, "slice", 6,
      [](Sketch& k, Step& s) {
        constexpr std::int64_t steps[] = {1, 1, 2, -1, -2};
        s.n[1] = steps[k.random.below(5)];
        s.n[2] = k.random.below(2);
        return true;
      },
      [](Machine& m, const Step& s) {
        Slice part{.start = {}, .stop = {}, .step = s.n[1]};
        if (s.n[2] != 0) part.start = s.n[1] > 0 ? 1 : -2;
        return slice(operand(m, s, 0), axis_of(s), part);
      });
  along_axis(
      out, "select", 4,
      [](Sketch& k, Step& s) {
        s.n[1] = k.random.below(k[s.in[0]].shape()[axis_of(s)]);
        return true;
      },
      [](Machine& m, const Step& s) {
        return select(operand(m, s, 0), axis_of(s), s.n[1]);
      });
  along_axis(out, "flip", 2, nullptr, [](Machine& m, const Step& s) {
    return flip(operand(m, s, 0), axis_of(s));
  });
  along_axis(out, "flatten", 3, nullptr, [](Machine& m, const Step& s) {
    return reshape(operand(m, s, 0), {-1});
  });
  along_axis(
      out, "unsqueeze", 3,
      [](Sketch& k, Step& s) { return k[s.in[0]].rank() < 4; },
      [](Machine& m, const Step& s) {
        return unsqueeze(operand(m, s, 0), axis_of(s));
      });
  along_axis(out, "squeeze", 2, nullptr, [](Machine& m, const Step& s) {
    return squeeze(operand(m, s, 0));
  });
  along_axis(
      out, "expand", 3,
      [](Sketch& k, Step& s) {
        s.n[1] = 1 + k.random.below(3);
        return k[s.in[0]].rank() < 4 && k[s.in[0]].numel() < 2000;
      },
      [](Machine& m, const Step& s) {
        Shape shape = operand(m, s, 0).shape();
        shape.insert(0, s.n[1]);
        return expand(operand(m, s, 0), shape);
      });
  along_axis(
      out, "swap ends", 2,
      [](Sketch& k, Step& s) { return k[s.in[0]].rank() >= 2; },
      [](Machine& m, const Step& s) {
        std::vector<int> order(
            static_cast<std::size_t>(operand(m, s, 0).rank()));
        std::iota(order.rbegin(), order.rend(), 0);
        return permute(operand(m, s, 0), order);
      });
}

// Pieces of one shape, or of any.
void add_joins(std::vector<Operation>& out) {
  const auto same_shape = [](Sketch& k, Step& s) {
    const Shape shape = k[s.in[0]].shape();
    const int other = k.pick(
        [&](const T& t) { return has_elements(t) && t.shape() == shape; });
    s.in.push_back(other);
    return other >= 0 && shape.rank() < 4;
  };
  along_axis(out, "cat", 3, same_shape, [](Machine& m, const Step& s) {
    return cat({operand(m, s, 0), operand(m, s, 1)}, axis_of(s));
  });
  along_axis(out, "stack", 3, same_shape, [](Machine& m, const Step& s) {
    return stack({operand(m, s, 0), operand(m, s, 1)}, axis_of(s));
  });
  along_axis(out, "slice_put", 3, same_shape, [](Machine& m, const Step& s) {
    const T& v = operand(m, s, 1);
    std::vector<Slice> part(static_cast<std::size_t>(axis_of(s)) + 1);
    part.back().step = -1;
    part.back().start = 0;
    return slice_put(operand(m, s, 0), part,
                     slice(v, axis_of(s), {.start = 0, .stop = 1}));
  });
  along_axis(out, "pad", 2, nullptr, [](Machine& m, const Step& s) {
    return pad(operand(m, s, 0), {{1, 2}}, 0.5);
  });
  along_axis(
      out, "tril", 2, [](Sketch& k, Step& s) { return k[s.in[0]].rank() >= 2; },
      [](Machine& m, const Step& s) { return tril(operand(m, s, 0)); });
}

void add_products(std::vector<Operation>& out) {
  along_axis(
      out, "matmul", 12,
      [](Sketch& k, Step& s) {
        const Shape a = k[s.in[0]].shape();
        const std::int64_t inner = a[a.rank() - 1];
        const int b = k.pick([&](const T& t) {
          if (!has_axes(t) || t.rank() > 2 || a.rank() > 3) return false;
          return t.shape()[t.rank() == 1 ? 0 : t.rank() - 2] == inner;
        });
        s.in.push_back(b);
        return b >= 0 && k.within(b, -20, 20) && k.within(s.in[0], -20, 20);
      },
      [](Machine& m, const Step& s) {
        return matmul(operand(m, s, 0), operand(m, s, 1));
      });
  along_axis(
      out, "matmul with itself", 3,
      [](Sketch& k, Step& s) {
        return k[s.in[0]].rank() == 2 && k.within(s.in[0], -20, 20);
      },
      [](Machine& m, const Step& s) {
        const T& x = operand(m, s, 0);
        return matmul(x, transpose(x));
      });
}

// s.n[1] seeds indices along the axis.
T indices(const Step& s, std::int64_t extent, std::int64_t count) {
  Random random(static_cast<std::uint64_t>(s.n[1]));
  std::vector<std::int64_t> at;
  for (std::int64_t i = 0; i < count; ++i)
    at.push_back(random.below(2 * extent) - extent);
  return tensor(at, {count}, default_device());
}

void add_indexing(std::vector<Operation>& out) {
  const auto seeded = [](Sketch& k, Step& s) {
    s.n[1] = k.random.below(1000);
    return true;
  };
  along_axis(out, "index_select", 4, seeded, [](Machine& m, const Step& s) {
    const T& x = operand(m, s, 0);
    return index_select(x, axis_of(s), indices(s, x.shape()[axis_of(s)], 3));
  });
  along_axis(out, "index_add", 3, seeded, [](Machine& m, const Step& s) {
    const T& x = operand(m, s, 0);
    const std::int64_t n = x.shape()[axis_of(s)];
    const T rows = index_select(x, axis_of(s), indices(s, n, 3));
    return index_add(x, axis_of(s), indices(s, n, 3), rows * 0.5);
  });
  along_axis(out, "index_put", 3, seeded, [](Machine& m, const Step& s) {
    const T& x = operand(m, s, 0);
    const std::int64_t n = x.shape()[axis_of(s)];
    const T rows = index_select(x, axis_of(s), indices(s, n, 2));
    return index_put(x, axis_of(s), indices(s, n, 2), rows + 1.0);
  });
  along_axis(
      out, "cross_entropy", 4,
      [](Sketch& k, Step& s) {
        s.n[1] = k.random.below(1000);
        s.n[2] = k.random.below(3);
        return k[s.in[0]].rank() == 2;
      },
      [](Machine& m, const Step& s) {
        const T& x = operand(m, s, 0);
        const T at = indices(s, x.shape()[1], x.shape()[0]);
        return cross_entropy(x, where(at < 0, at + x.shape()[1], at),
                             static_cast<LossReduction>(s.n[2]));
      });
}

void add_rows(std::vector<Operation>& out) {
  along_axis(out, "softmax", 4, nullptr, [](Machine& m, const Step& s) {
    return softmax(operand(m, s, 0), axis_of(s));
  });
  along_axis(out, "log_softmax", 4, nullptr, [](Machine& m, const Step& s) {
    return log_softmax(operand(m, s, 0), axis_of(s));
  });
  // A large eps: rows of nearly equal elements are ill-conditioned.
  along_axis(
      out, "layer_norm", 4,
      [](Sketch& k, Step& s) {
        const Shape shape = k[s.in[0]].shape();
        const int w = k.pick([&](const T& t) {
          return has_elements(t) && t.rank() == 1 &&
                 t.shape()[0] == shape[shape.rank() - 1];
        });
        if (w >= 0) s.in.push_back(w);
        return true;
      },
      [](Machine& m, const Step& s) {
        const T weight = s.in.size() > 1 ? operand(m, s, 1) : T();
        return layer_norm(operand(m, s, 0), weight, {}, 0.1);
      });
}

Shape random_shape(Sketch& k) {
  const auto a = k.extents[0], b = k.extents[1];
  switch (k.random.below(10)) {
    case 0:
      return {};
    case 1:
      return {a};
    case 2:
      return {b};
    case 3:
      return {1, b};
    case 4:
      return {a, 1};
    case 5:
      return {2, a, b};
    case 6:
      return {b, a};
    case 7:
      return k.random.chance(0.2) ? Shape{0, b} : Shape{b, b};
    default:
      return {a, b};
  }
}

void add_leaves(std::vector<Operation>& out) {
  const auto any_leaf = [](Sketch& k, Step& s) {
    s.shape = random_shape(k);
    s.dtype = k.dtypes[static_cast<std::size_t>(
        k.random.below(static_cast<std::int64_t>(k.dtypes.size())))];
    s.n[0] = k.random.below(1 << 20);
    return true;
  };
  out.push_back({"param", 3, any_leaf, [](Machine&, const Step& s) {
                   return param(random_tensor(s.n[0], s.shape, s.dtype));
                 }});
  out.push_back({"constant", 3, any_leaf, [](Machine&, const Step& s) {
                   return random_tensor(s.n[0], s.shape, s.dtype);
                 }});
  out.push_back({"positions", 2, any_leaf, [](Machine&, const Step& s) {
                   return reshape(arange(s.shape.numel()) - 1, s.shape);
                 }});
  out.push_back({"rand", 2, any_leaf, [](Machine&, const Step& s) {
                   return rand(s.shape, {s.dtype, default_device()});
                 }});
  out.push_back({"randn", 2, any_leaf, [](Machine&, const Step& s) {
                   return randn(s.shape, {s.dtype, default_device()});
                 }});
  out.push_back({"ones", 1, any_leaf, [](Machine&, const Step& s) {
                   return ones(s.shape, {s.dtype, default_device()});
                 }});
  along_axis(out, "dropout", 3, nullptr, [](Machine& m, const Step& s) {
    return dropout(operand(m, s, 0), 0.375);
  });
}

}  // namespace

void add_structural(std::vector<Operation>& out) {
  add_leaves(out);
  add_reductions(out);
  add_views(out);
  add_joins(out);
  add_products(out);
  add_indexing(out);
  add_rows(out);
}

}  // namespace jacquard::fuzz
