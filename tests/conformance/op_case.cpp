#include "tests/conformance/op_case.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>

namespace jacquard::conformance {
namespace {

const char* name_of_layout(Layout layout) {
  constexpr const char* names[] = {"dense", "transposed", "stepped", "reversed",
                                   "expanded"};
  return names[static_cast<int>(layout)];
}

Shape reversed_shape(const Shape& shape) {
  Shape out;
  for (int i = shape.rank(); i-- > 0;) out.push_back(shape[i]);
  return out;
}

// Calls f(offset in each array) for each place of `shape`, row-major.
template <class F>
void for_each_place(const Shape& shape, const std::vector<Strides>& strides,
                    F f) {
  std::vector<std::int64_t> at(static_cast<std::size_t>(shape.rank()), 0);
  const std::int64_t n = shape.numel();
  std::vector<std::int64_t> offsets(strides.size());
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < strides.size(); ++k) {
      offsets[k] = 0;
      for (int d = 0; d < shape.rank(); ++d)
        offsets[k] += at[static_cast<std::size_t>(d)] * strides[k][d];
    }
    f(offsets);
    for (int d = shape.rank(); d-- > 0;) {
      if (++at[static_cast<std::size_t>(d)] < shape[d]) break;
      at[static_cast<std::size_t>(d)] = 0;
    }
  }
}

Tensor upload(const std::vector<double>& values, const Shape& shape,
              DType dtype) {
  return Tensor::from_host(std::span<const double>(values), shape,
                           default_device())
      .to(dtype);
}

bool near_a_kink(double x, const Input& input) {
  constexpr double margin = 0.03;
  for (const double a : input.avoid)
    if (std::abs(x - a) < margin) return true;
  return input.avoid_integers && std::abs(x - std::round(x)) < margin;
}

// The domain that all operands share.
Input common_input(const OpCase& c) {
  Input all = c.inputs[0];
  for (const Input& input : c.inputs) {
    all.low = std::max(all.low, input.low);
    all.high = std::min(all.high, input.high);
    all.avoid.insert(all.avoid.end(), input.avoid.begin(), input.avoid.end());
    all.avoid_integers = all.avoid_integers || input.avoid_integers;
  }
  return all;
}

std::vector<double> values_for(const Input& input, std::size_t n,
                               Generator& g) {
  if (!input.values.empty()) return input.values;
  std::uniform_real_distribution<double> uniform(input.low, input.high);
  std::vector<double> values(n);
  for (double& v : values) {
    if (input.kind == Kind::boolean) {
      v = static_cast<double>(g() & 1);
      continue;
    }
    do {
      v = uniform(g);
    } while (near_a_kink(v, input));
  }
  return values;
}

DType dtype_for(const Input& input, DType real) {
  return input.kind == Kind::real      ? real
         : input.kind == Kind::integer ? DType::int64
                                       : DType::bool_;
}

std::vector<Variant> elementwise_variants(const OpCase& c) {
  const std::size_t n = c.inputs.size();
  std::vector<Variant> out;
  const auto add = [&](const std::string& name, std::vector<Shape> shapes,
                       Layout layout = Layout::dense) {
    shapes.resize(n, shapes.empty() ? Shape{} : shapes[0]);
    out.push_back({name, std::move(shapes), std::vector<Layout>(n, layout)});
  };
  const auto all = [&](const Shape& shape) {
    return std::vector<Shape>(n, shape);
  };
  for (const Layout layout : kLayouts)
    add(name_of_layout(layout), all({2, 3}), layout);
  add("empty", all({0}));
  add("empty rows", all({2, 0}));
  add("rank 0", all({}));
  add("size 1", all({1, 1}));
  if (n == 1) return out;
  add("row broadcast", {{2, 3}, {3}, {2, 1}});
  add("outer", {{2, 1}, {1, 3}, {}});
  add("scalar broadcast", {{}, {2, 3}, {3}});
  add("broadcast to empty", {{1, 3}, {0, 1}, {}});
  add("transposed row broadcast", {{2, 3}, {3}, {2, 1}}, Layout::transposed);
  add("stepped outer", {{2, 1}, {1, 3}, {}}, Layout::stepped);
  if (c.repeatable) {
    add("repeated", all({2, 3}));
    out.back().repeated = true;
  }
  return out;
}

}  // namespace

const std::vector<OpCase>& all_cases() {
  static const std::vector<OpCase> cases = [] {
    std::vector<OpCase> all;
    for (auto* family : {unary_cases, activation_cases, binary_cases,
                         reduce_cases, shape_cases, index_cases, linalg_cases,
                         row_cases, scan_cases, sort_cases}) {
      auto part = family();
      std::move(part.begin(), part.end(), std::back_inserter(all));
    }
    return all;
  }();
  return cases;
}

std::vector<OpCase> cases_where(bool (*condition)(const OpCase&)) {
  std::vector<OpCase> out;
  std::copy_if(all_cases().begin(), all_cases().end(), std::back_inserter(out),
               condition);
  return out;
}

std::string test_name(const ::testing::TestParamInfo<OpCase>& info) {
  std::string name;
  for (const char ch : info.param.name) {
    if (std::isalnum(static_cast<unsigned char>(ch)))
      name += ch;
    else if (!name.empty() && name.back() != '_')
      name += '_';
  }
  return name;
}

std::vector<Variant> variants_of(const OpCase& c) {
  std::vector<Variant> out;
  if (c.elementwise()) {
    out = elementwise_variants(c);
  } else {
    std::vector<Shape> shapes;
    for (const Input& input : c.inputs) shapes.push_back(input.shape);
    for (const Layout layout : kLayouts)
      out.push_back({name_of_layout(layout), shapes,
                     std::vector<Layout>(shapes.size(), layout)});
    if (shapes.size() > 1) {
      Variant mixed{"mixed", shapes, {}};
      for (std::size_t i = 0; i < shapes.size(); ++i)
        mixed.layouts.push_back(kLayouts[(i + 1) % 4]);
      out.push_back(std::move(mixed));
    }
    if (c.repeatable)
      out.push_back({"repeated", shapes,
                     std::vector<Layout>(shapes.size(), Layout::dense), true});
  }
  if (c.distinct)
    std::erase_if(out, [](const Variant& v) { return v.name == "expanded"; });
  return out;
}

Variant dense_variant(const OpCase& c, const Shape& shape) {
  Variant v{"dense", {}, std::vector<Layout>(c.inputs.size(), Layout::dense)};
  for (const Input& input : c.inputs)
    v.shapes.push_back(c.elementwise() ? shape : input.shape);
  return v;
}

Generator generator_for(const OpCase& c) {
  std::uint64_t hash = 1469598103934665603u;
  for (const char ch : c.name)
    hash = (hash ^ static_cast<unsigned char>(ch)) * 1099511628211u;
  return Generator(hash);
}

TrackedTensor laid_out(const std::vector<double>& values, const Shape& shape,
                       DType dtype, Layout layout) {
  const int rank = shape.rank();
  if (shape.numel() == 0 || layout == Layout::dense ||
      (rank == 0 && layout != Layout::stepped))
    return upload(values, shape, dtype);
  const Strides natural = contiguous_strides(shape);
  Shape base = shape;
  Strides strides;
  std::int64_t offset = 0;
  switch (layout) {
    case Layout::dense:
      break;
    case Layout::transposed:
      base = reversed_shape(shape);
      strides = reversed_shape(contiguous_strides(base));
      break;
    case Layout::stepped: {
      if (rank == 0) base = {1};
      const int last = base.rank() - 1;
      base[last] = 2 * base[last] + 1;
      strides = contiguous_strides(base);
      strides[last] = 2;
      offset = 1;
      if (rank == 0) strides = {};
      break;
    }
    case Layout::reversed:
      for (const std::int64_t s : natural) strides.push_back(-s);
      offset = shape.numel() - 1;
      break;
    case Layout::expanded:
      base[0] = 1;
      strides = natural;
      strides[0] = 0;
      break;
  }
  std::vector<double> memory(static_cast<std::size_t>(base.numel()), 77);
  for_each_place(shape, {natural, strides}, [&](const auto& at) {
    const bool kept = layout != Layout::expanded || at[0] < base.numel();
    if (kept)
      memory[static_cast<std::size_t>(offset + at[1])] =
          values[static_cast<std::size_t>(at[0])];
  });
  return upload(memory, base, dtype).view(shape, strides, offset);
}

Values draw(const OpCase& c, const Variant& v, DType dtype, Generator& g) {
  Values out;
  const std::size_t n = v.repeated ? 1 : c.inputs.size();
  for (std::size_t i = 0; i < n; ++i) {
    const Input input = v.repeated ? common_input(c) : c.inputs[i];
    const auto count = static_cast<std::size_t>(v.shapes[i].numel());
    out.push_back(laid_out(values_for(input, count, g), v.shapes[i],
                           dtype_for(input, dtype), v.layouts[i]));
  }
  return out;
}

TrackedTensor call(const OpCase& c, const Variant& v, const Values& drawn) {
  return c.call(v.repeated ? Values(c.inputs.size(), drawn[0]) : drawn);
}

HostArray to_host(const TrackedTensor& t) {
  return {t.shape(), t.to_host<double>(), t.dtype()};
}

std::vector<HostArray> to_host(const Values& values) {
  std::vector<HostArray> out;
  for (const TrackedTensor& t : values) out.push_back(to_host(t));
  return out;
}

HostArray expected(const OpCase& c, const Variant& v, const Values& drawn) {
  std::vector<HostArray> in = to_host(drawn);
  if (v.repeated) in.resize(c.inputs.size(), HostArray(in[0]));
  if (c.of) return c.of(in);
  HostArray out;
  for (const HostArray& x : in)
    out.shape = broadcast(out.shape, x.shape, "reference");
  std::vector<Strides> strides;
  for (const HostArray& x : in)
    strides.push_back(broadcast_strides(x.shape, contiguous_strides(x.shape),
                                        out.shape, "reference"));
  std::vector<double> operands(in.size());
  for_each_place(out.shape, strides, [&](const auto& at) {
    for (std::size_t k = 0; k < in.size(); ++k)
      operands[k] = in[k].data[static_cast<std::size_t>(at[k])];
    out.data.push_back(c.at(operands.data()));
  });
  return out;
}

double epsilon_of(DType t) {
  switch (t) {
    case DType::float16:
      return 0x1p-10;
    case DType::bfloat16:
      return 0x1p-7;
    case DType::float32:
      return 0x1p-23;
    default:
      return 0x1p-52;
  }
}

namespace {

// As the dtype holds it: what is beyond its range is infinite.
double in_range_of(DType t, double x) {
  double largest = std::numeric_limits<double>::max();
  if (t == DType::float16) largest = 65504;
  if (t == DType::float32 || t == DType::bfloat16)
    largest = std::numeric_limits<float>::max();
  if (!(std::abs(x) > largest)) return x;
  return std::copysign(std::numeric_limits<double>::infinity(), x);
}

double smallest_of(DType t) {
  return t == DType::float64    ? 0x1p-1074
         : t == DType::float16  ? 0x1p-24
         : t == DType::bfloat16 ? 0x1p-133
                                : 0x1p-149;
}

}  // namespace

::testing::AssertionResult agrees(const OpCase& c, const TrackedTensor& got,
                                  const HostArray& want, double units) {
  if (got.shape() != want.shape)
    return ::testing::AssertionFailure() << to_string(got.shape()) << " where "
                                         << to_string(want.shape) << " was due";
  const DType t = got.dtype();
  const double unit = units * (is_floating(t) ? epsilon_of(t) / 0x1p-52 : 1);
  double scale = 1;
  for (const double w : want.data)
    if (!c.elementwise() && std::isfinite(w))
      scale = std::max(scale, std::abs(w));
  const std::vector<double> values = got.to_host<double>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double w = in_range_of(t, want.data[i]);
    const double allowed =
        unit * (c.tolerance * std::abs(w) + c.slack * scale) +
        4 * smallest_of(t);
    const bool ok =
        std::isnan(w)   ? std::isnan(values[i])
        : std::isinf(w) ? values[i] == w
        : w == 0 && c.signed_zeros
            ? values[i] == 0 && std::signbit(values[i]) == std::signbit(w)
            : std::abs(values[i] - w) <= allowed;
    if (!ok)
      return ::testing::AssertionFailure()
             << "element " << i << ": " << ::testing::PrintToString(values[i])
             << " where " << ::testing::PrintToString(w) << " was due, "
             << name_of(t);
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult same_bits(const TrackedTensor& a,
                                     const TrackedTensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape())
    return ::testing::AssertionFailure()
           << name_of(a.dtype()) << to_string(a.shape()) << " and "
           << name_of(b.dtype()) << to_string(b.shape());
  if (!is_floating(a.dtype())) {
    if (a.to_host<std::int64_t>() == b.to_host<std::int64_t>())
      return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "integers differ";
  }
  // float64 holds the values of all floating types.
  const std::vector<double> x = a.to_host<double>(), y = b.to_host<double>();
  for (std::size_t i = 0; i < x.size(); ++i)
    if (std::memcmp(&x[i], &y[i], sizeof(double)) != 0 &&
        !(std::isnan(x[i]) && std::isnan(y[i])))
      return ::testing::AssertionFailure()
             << "element " << i << " of " << name_of(a.dtype())
             << to_string(a.shape()) << ": " << ::testing::PrintToString(x[i])
             << " and " << ::testing::PrintToString(y[i]);
  return ::testing::AssertionSuccess();
}

}  // namespace jacquard::conformance
