// Bad operands: the type of the error, and a message that names the operation
// and what does not fit.
#include "tests/conformance/op_case.h"

namespace jacquard::conformance {
namespace {

struct Misuse {
  std::string name;
  std::function<void()> use;
  // What is thrown, by name.
  std::string error;
  // Parts of the message.
  std::vector<std::string> says;
};

void PrintTo(const Misuse& m, std::ostream* out) { *out << m.name; }

template <class E>
bool is(const std::exception& e) {
  return dynamic_cast<const E*>(&e) != nullptr;
}

std::string type_of(const std::exception& e) {
  return is<ShapeError>(e)    ? "ShapeError"
         : is<DTypeError>(e)  ? "DTypeError"
         : is<DeviceError>(e) ? "DeviceError"
         : is<IndexError>(e)  ? "IndexError"
         : is<GraphError>(e)  ? "GraphError"
         : is<Error>(e)       ? "Error"
                              : "no error of Jacquard";
}

TrackedTensor f32(const Shape& shape) {
  return materialize(zeros(shape, {DType::float32, default_device()}));
}
TrackedTensor i64(const std::vector<std::int64_t>& values) {
  return tensor(values, {static_cast<std::int64_t>(values.size())},
                default_device());
}
TrackedTensor flags(const Shape& shape) {
  return materialize(zeros(shape, {DType::bool_, default_device()}));
}

class Misuses : public ::testing::TestWithParam<Misuse> {};

TEST_P(Misuses, AreNamed) {
  try {
    GetParam().use();
    // Where an index is checked by the kernel, waiting reports it.
    synchronize(default_device());
    FAIL() << "no error";
  } catch (const std::exception& e) {
    EXPECT_EQ(type_of(e), GetParam().error) << e.what();
    for (const std::string& part : GetParam().says)
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos)
          << "'" << part << "' is missing in: " << e.what();
  }
}

std::vector<Misuse> elementwise() {
  return {
      {"add shapes",
       [] {
         f32({2, 3}) + f32({4});
       },
       "ShapeError",
       {"add", "[2, 3]", "[4]"}},
      {"mul shapes",
       [] { f32({2}) * f32({3}); },
       "ShapeError",
       {"mul", "[2]", "[3]"}},
      {"pow shapes",
       [] { pow(f32({2}), f32({3})); },
       "ShapeError",
       {"pow", "[2]", "[3]"}},
      {"lt shapes",
       [] { (void)(f32({2}) < f32({3})); },
       "ShapeError",
       {"lt", "[2]", "[3]"}},
      {"where shapes",
       [] { where(flags({2}), f32({3}), f32({3})); },
       "ShapeError",
       {"where", "[2]", "[3]"}},
      {"where condition",
       [] { where(f32({2}), f32({2}), f32({2})); },
       "DTypeError",
       {"where", "bool", "float32"}},
      {"clamp shapes",
       [] { clamp(f32({2}), f32({3}), 1.0); },
       "ShapeError",
       {"clamp", "[2]", "[3]"}},
      {"hypot shapes",
       [] { hypot(f32({2}), f32({3})); },
       "ShapeError",
       {"hypot", "[2]", "[3]"}},
      {"elu shapes",
       [] { elu(f32({2}), f32({3})); },
       "ShapeError",
       {"elu", "[2]", "[3]"}},
      {"logic of floats",
       [] { logical_and(f32({2}), f32({2})); },
       "DTypeError",
       {"logical_and", "bool", "float32"}},
      {"not of integers",
       [] { logical_not(i64({1})); },
       "DTypeError",
       {"logical_not", "bool", "int64"}},
      {"polygamma order",
       [] { polygamma(0, f32({2})); },
       "Error",
       {"polygamma", "0"}},
      {"celu alpha", [] { celu(f32({2}), 0.0); }, "Error", {"celu", "alpha"}},
      {"dropout p",
       [] { dropout(f32({2}), 1.5); },
       "Error",
       {"dropout", "1.5"}},
      {"rank 9",
       [] {
         f32({1, 1, 1, 1, 1, 1, 1, 1, 1});
       },
       "ShapeError",
       {"9", "8"}},
  };
}

std::vector<Misuse> reductions() {
  return {
      {"sum axis",
       [] {
         sum(f32({2, 3}), 2);
       },
       "IndexError",
       {"sum", "2", "[2, 3]"}},
      {"mean axis",
       [] {
         mean(f32({2, 3}), -3);
       },
       "IndexError",
       {"mean", "-3", "[2, 3]"}},
      {"prod axis twice",
       [] {
         prod(f32({2, 3}), {1, -1});
       },
       "IndexError",
       {"prod", "1", "[2, 3]", "twice"}},
      {"max of nothing",
       [] {
         max(f32({2, 0}), 1);
       },
       "ShapeError",
       {"max", "[2, 0]"}},
      {"min of nothing", [] { min(f32({0})); }, "ShapeError", {"min", "[0]"}},
      {"argmax of nothing",
       [] {
         argmax(f32({2, 0}), 1);
       },
       "ShapeError",
       {"argmax", "[2, 0]"}},
      {"argmin axis",
       [] { argmin(f32({2}), 1); },
       "IndexError",
       {"argmin", "1", "[2]"}},
      {"norm p",
       [] { norm(f32({2}), {}, false, -1); },
       "Error",
       {"norm", "-1"}},
      {"logsumexp axis",
       [] { logsumexp(f32({2}), 3); },
       "IndexError",
       {"logsumexp", "3", "[2]"}},
      {"var axis", [] { var(f32({2}), 1); }, "IndexError", {"var", "[2]"}},
  };
}

std::vector<Misuse> shapes() {
  const auto x = [] { return f32({2, 3}); };
  return {
      {"reshape count",
       [=] { reshape(x(), {4}); },
       "ShapeError",
       {"reshape", "[2, 3]", "[4]"}},
      {"reshape unknown",
       [=] {
         reshape(x(), {4, -1});
       },
       "ShapeError",
       {"reshape", "[2, 3]", "[4, -1]"}},
      {"reshape unknowns",
       [=] {
         reshape(x(), {-1, -1});
       },
       "ShapeError",
       {"reshape", "-1"}},
      {"flatten axes",
       [=] { flatten(x(), 1, 0); },
       "ShapeError",
       {"flatten", "[2, 3]"}},
      {"permute axes",
       [=] {
         permute(x(), {0, 0});
       },
       "ShapeError",
       {"permute", "(0, 0)", "[2, 3]"}},
      {"transpose axis",
       [=] { transpose(x(), 0, 2); },
       "IndexError",
       {"transpose", "2", "[2, 3]"}},
      {"transpose a vector",
       [] { transpose(f32({3})); },
       "IndexError",
       {"transpose", "[3]"}},
      {"expand",
       [=] {
         expand(x(), {4, 3});
       },
       "ShapeError",
       {"expand", "[2, 3]", "[4, 3]"}},
      {"squeeze",
       [=] { squeeze(x(), 0); },
       "ShapeError",
       {"squeeze", "[2, 3]", "2"}},
      {"unsqueeze",
       [=] { unsqueeze(x(), 3); },
       "IndexError",
       {"unsqueeze", "3", "[2, 3]"}},
      {"slice step",
       [=] {
         slice(x(), 0, {{}, {}, 0});
       },
       "IndexError",
       {"slice", "step"}},
      {"slice axis",
       [=] { slice(x(), 2, {}); },
       "IndexError",
       {"slice", "2", "[2, 3]"}},
      {"slices",
       [=] { slice(x(), std::vector<Slice>(3)); },
       "ShapeError",
       {"slice", "3", "[2, 3]"}},
      {"select",
       [=] { select(x(), 1, 3); },
       "IndexError",
       {"select", "3", "[2, 3]"}},
      {"flip twice",
       [=] {
         flip(x(), {0, 0});
       },
       "IndexError",
       {"flip", "twice"}},
      {"cat nothing", [] { cat({}); }, "ShapeError", {"cat"}},
      {"cat",
       [=] {
         cat({x(), f32({2, 4})});
       },
       "ShapeError",
       {"cat", "[2, 3]", "[2, 4]"}},
      {"cat rank 0", [] { cat({f32({})}); }, "ShapeError", {"cat", "stack"}},
      {"stack",
       [=] {
         stack({x(), f32({2, 4})});
       },
       "ShapeError",
       {"stack", "[2, 3]", "[2, 4]"}},
      {"split", [=] { split(x(), 0); }, "ShapeError", {"split", "0"}},
      {"pad",
       [=] {
         pad(x(), {{1, 1}, {1, 1}, {1, 1}});
       },
       "ShapeError",
       {"pad", "3", "[2, 3]"}},
      {"slice_put shapes",
       [=] {
         slice_put(x(), {{0, 1, 1}}, f32({4}));
       },
       "ShapeError",
       {"[1, 3]", "[4]"}},
      {"slice_put dtypes",
       [] {
         slice_put(i64({1, 2}), {{0, 1, 1}}, 0.5);
       },
       "DTypeError",
       {"slice_put", "int64"}},
      {"tril", [] { tril(f32({3})); }, "ShapeError", {"tril", "[3]"}},
      {"negative extent",
       [] {
         f32({2, -1});
       },
       "ShapeError",
       {"[2, -1]"}},
  };
}

std::vector<Misuse> products_and_indices() {
  const auto x = [] { return f32({2, 3}); };
  return {
      {"matmul",
       [] {
         matmul(f32({128, 784}), f32({512, 10}));
       },
       "ShapeError",
       {"matmul: [128, 784] × [512, 10]: inner dimensions differ (784 and "
        "512)"}},
      {"matmul rank 0",
       [=] { matmul(x(), f32({})); },
       "ShapeError",
       {"matmul", "[2, 3]", "[]"}},
      {"matmul batches",
       [] {
         matmul(f32({2, 1, 1}), f32({3, 1, 1}));
       },
       "ShapeError",
       {"matmul", "[2, 1, 1]", "[3, 1, 1]"}},
      {"dot",
       [] { dot(f32({2}), f32({3})); },
       "ShapeError",
       {"dot", "[2]", "[3]"}},
      {"outer",
       [=] { outer(x(), f32({3})); },
       "ShapeError",
       {"outer", "[2, 3]", "[3]"}},
      {"index dtype",
       [=] { index_select(x(), 0, f32({2})); },
       "DTypeError",
       {"index_select", "int64", "float32"}},
      {"index range",
       [=] {
         materialize(index_select(x(), 0, i64({0, 2})));
       },
       "IndexError",
       {"index_select", "2"}},
      {"negative index range",
       [=] { materialize(index_select(x(), 1, i64({-4}))); },
       "IndexError",
       {"index_select", "-4", "3"}},
      {"gather rank",
       [=] { gather(x(), 0, i64({0})); },
       "ShapeError",
       {"gather", "[1]", "[2, 3]"}},
      {"scatter_add values",
       [=] {
         scatter_add(x(), 0, reshape(i64({0, 1}), {1, 2}), f32({5}));
       },
       "ShapeError",
       {"scatter_add", "[5]", "[1, 2]"}},
      {"index_add bools",
       [] { index_add(flags({2}), 0, i64({0}), true); },
       "DTypeError",
       {"index_add", "bool"}},
      {"index_put axis",
       [=] { index_put(x(), 2, i64({0}), 1.0); },
       "IndexError",
       {"index_put", "2", "[2, 3]"}},
      {"one_hot range",
       [] { materialize(one_hot(i64({3}), 3)); },
       "IndexError",
       {"one_hot", "3"}},
      {"softmax axis",
       [=] { softmax(x(), 2); },
       "IndexError",
       {"softmax", "2", "[2, 3]"}},
      {"cross_entropy target",
       [=] { cross_entropy(x(), i64({0})); },
       "ShapeError",
       {"cross_entropy", "[2, 3]", "[1]"}},
      {"cross_entropy dtype",
       [=] { cross_entropy(x(), f32({2})); },
       "DTypeError",
       {"cross_entropy", "target", "float32"}},
      {"cross_entropy range",
       [=] {
         cross_entropy(x(), i64({0, 3})).item<float>();
       },
       "IndexError",
       {"cross_entropy", "3"}},
      {"layer_norm weight",
       [=] { layer_norm(x(), f32({2}), {}); },
       "ShapeError",
       {"layer_norm", "weight", "[2]", "[3]"}},
      {"layer_norm rank 0",
       [] { layer_norm(f32({}), {}, {}); },
       "ShapeError",
       {"layer_norm"}},
  };
}

std::vector<Misuse> values_and_graphs() {
  return {
      {"item", [] { f32({2}).item<float>(); }, "ShapeError", {"[2]"}},
      {"undefined",
       [] { TrackedTensor().shape(); },
       "GraphError",
       {"undefined"}},
      {"undefined operand",
       [] { TrackedTensor() + TrackedTensor(); },
       "GraphError",
       {}},
      {"integer leaf", [] { param(i64({1})); }, "DTypeError", {"int64"}},
      {"assign shape",
       [] { param(f32({2})).assign(f32({3}).data()); },
       "ShapeError",
       {"assign", "[2]", "[3]"}},
      {"assign dtype",
       [] { param(f32({1})).assign(i64({1}).data()); },
       "DTypeError",
       {"assign", "float32", "int64"}},
      {"assign constant",
       [] { f32({1}).assign(f32({1}).data()); },
       "GraphError",
       {"assign"}},
      {"backward of a constant",
       [] { backward(sum(f32({2}))); },
       "GraphError",
       {"backward", "not tracked"}},
      {"backward without seed",
       [] { backward(param(f32({2})) * 2.0); },
       "GraphError",
       {"backward", "[2]", "seed"}},
      {"backward with a wrong seed",
       [] { backward(param(f32({2})) * 2.0, f32({3})); },
       "GraphError",
       {"backward", "[2]", "[3]"}},
      {"backward twice",
       [] {
         const TrackedTensor x = param(f32({2}));
         const TrackedTensor y = sum(exp(x));
         backward(y);
         backward(y);
       },
       "GraphError",
       {"backward", "retain_graph", "errors_test.cpp"}},
      {"gradient of a tensor",
       [] {
         gradient([](const TrackedTensor& x) { return x * 2.0; }, f32({2}));
       },
       "GraphError",
       {"gradient", "[2]"}},
      {"gradient of nothing",
       [] {
         gradient([](const TrackedTensor&) { return sum(f32({2})); }, f32({2}));
       },
       "GraphError",
       {"gradient", "none of the arguments"}},
      {"gradcheck dtype",
       [] {
         gradcheck([](const Values& v) { return v[0] * 2.0; }, {f32({2})});
       },
       "DTypeError",
       {"gradcheck", "float64", "float32"}},
      {"randint",
       [] { randint(3, 3, {2}, default_device()); },
       "Error",
       {"randint", "[3, 3)"}},
      {"rand dtype",
       [] {
         rand({2}, {DType::int64, default_device()});
       },
       "DTypeError",
       {"rand", "int64"}},
      {"from host",
       [] {
         tensor(std::vector<float>{1, 2}, {3}, default_device());
       },
       "ShapeError",
       {"2", "[3]"}},
  };
}

INSTANTIATE_TEST_SUITE_P(Operations, Misuses, ::testing::ValuesIn([] {
                           std::vector<Misuse> all;
                           for (auto* part :
                                {elementwise, reductions, shapes,
                                 products_and_indices, values_and_graphs})
                             for (Misuse& m : part())
                               all.push_back(std::move(m));
                           return all;
                         }()),
                         [](const ::testing::TestParamInfo<Misuse>& info) {
                           std::string name = info.param.name;
                           for (char& c : name)
                             if (c == ' ') c = '_';
                           return name;
                         });

// A call that is refused leaves its operands as they were.
TEST(AfterAnError, ValuesAndGradientsAreWhatTheyWere) {
  const TrackedTensor x =
      param(materialize(ones({3}, {DType::float64, default_device()})));
  const TrackedTensor pending = x * 3.0;
  backward(sum(x * x));
  EXPECT_THROW(pending + f32({2}), ShapeError);
  EXPECT_THROW(
      {
        materialize(index_select(pending, 0, i64({7})));
        synchronize(default_device());
      },
      IndexError);
  EXPECT_EQ(pending.to_host<double>(), (std::vector<double>{3, 3, 3}));
  EXPECT_EQ(x.grad().to_host<double>(), (std::vector<double>{2, 2, 2}));
  backward(sum(pending));
  EXPECT_EQ(x.grad().to_host<double>(), (std::vector<double>{5, 5, 5}));
}

}  // namespace
}  // namespace jacquard::conformance
