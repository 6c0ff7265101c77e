// Matrix products.
#include "tests/conformance/host_array.h"

namespace jacquard::conformance {
namespace {

using Arrays = std::vector<HostArray>;

// NumPy's matmul, by its definition.
HostArray product(const Arrays& v) {
  HostArray a = v[0], b = v[1];
  const bool row = a.shape.rank() == 1, column = b.shape.rank() == 1;
  if (row) a.shape.insert(0, 1);
  if (column) b.shape.insert(1, 1);
  const auto batch_of = [](Shape s) {
    s.erase(s.rank() - 1);
    s.erase(s.rank() - 1);
    return s;
  };
  Shape shape = broadcast(batch_of(a.shape), batch_of(b.shape), "reference");
  const int batch = shape.rank();
  const std::int64_t inner = a.shape[a.shape.rank() - 1];
  shape.push_back(a.shape[a.shape.rank() - 2]);
  shape.push_back(b.shape[b.shape.rank() - 1]);
  const auto place = [&](const HostArray& x, const Place& p, std::int64_t r,
                         std::int64_t c) {
    Place at;
    const int extra = batch - (x.shape.rank() - 2);
    for (int d = 0; d < x.shape.rank() - 2; ++d)
      at.push_back(x.shape[d] == 1 ? 0
                                   : p[static_cast<std::size_t>(d + extra)]);
    at.push_back(r);
    at.push_back(c);
    return at;
  };
  HostArray out = make_array(shape, [&](const Place& p) {
    const std::int64_t r = p[p.size() - 2], c = p[p.size() - 1];
    double sum = 0;
    for (std::int64_t k = 0; k < inner; ++k)
      sum += value_at(a, place(a, p, r, k)) * value_at(b, place(b, p, k, c));
    return sum;
  });
  if (column) out.shape.erase(out.shape.rank() - 1);
  if (row) out.shape.erase(out.shape.rank() - (column ? 1 : 2));
  return out;
}

OpCase matmul_case(const char* name, const Shape& a, const Shape& b) {
  OpCase c;
  c.name = std::string("matmul ") + name;
  c.inputs = {{.shape = a}, {.shape = b}};
  c.call = [](const Values& v) { return matmul(v[0], v[1]); };
  c.of = product;
  c.tolerance = c.slack = 4e-15;
  c.repeatable = a == b;
  return c;
}

}  // namespace

std::vector<OpCase> linalg_cases() {
  std::vector<OpCase> out{
      matmul_case("of matrices", {2, 3}, {3, 4}),
      matmul_case("of square matrices", {3, 3}, {3, 3}),
      matmul_case("vector by matrix", {3}, {3, 2}),
      matmul_case("matrix by vector", {2, 3}, {3}),
      matmul_case("of vectors", {4}, {4}),
      matmul_case("of batches", {2, 2, 3}, {2, 3, 2}),
      matmul_case("batch by matrix", {2, 2, 3}, {3, 2}),
      matmul_case("matrix by batch", {2, 3}, {2, 3, 2}),
      matmul_case("of broadcast batches", {2, 1, 2, 2}, {3, 2, 2}),
      matmul_case("batch by vector", {2, 2, 3}, {3}),
      matmul_case("vector by batch", {2}, {2, 2, 3}),
      matmul_case("of size 1", {1, 1}, {1, 1}),
      matmul_case("without inner extent", {2, 0}, {0, 3}),
      matmul_case("without rows", {0, 2}, {2, 3}),
      matmul_case("without a batch", {0, 2, 3}, {3, 2}),
  };
  OpCase c = matmul_case("", {4}, {4});
  c.name = "dot";
  c.call = [](const Values& v) { return dot(v[0], v[1]); };
  out.push_back(c);
  c.name = "dot of nothing";
  c.inputs = {{.shape = {0}}, {.shape = {0}}};
  out.push_back(c);
  c.name = "outer";
  c.inputs = {{.shape = {3}}, {.shape = {2}}};
  c.repeatable = false;
  c.call = [](const Values& v) { return outer(v[0], v[1]); };
  c.of = [](const Arrays& v) {
    return make_array({3, 2}, [&](const Place& p) {
      return value_at(v[0], {p[0]}) * value_at(v[1], {p[1]});
    });
  };
  out.push_back(c);
  c.name = "outer with itself";
  c.inputs = {{.shape = {3}}, {.shape = {3}}};
  c.repeatable = true;
  c.of = [](const Arrays& v) {
    return make_array({3, 3}, [&](const Place& p) {
      return value_at(v[0], {p[0]}) * value_at(v[1], {p[1]});
    });
  };
  out.push_back(c);
  return out;
}

}  // namespace jacquard::conformance
