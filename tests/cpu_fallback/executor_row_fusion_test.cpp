// Row operations that one kernel does together have the bits that they have one
// by one: each program is run beside one in which something else reads what is
// inside, or tells apart what is shared.
#include <limits>

#include "tests/cpu_fallback/executor_testing.h"

namespace jacquard::testing {
namespace {

const std::vector<Shape> kRows = {{1, 1},  {5, 1},   {4, 3},
                                  {9, 64}, {7, 257}, {3, 5000}};

template <class T>
std::vector<T> operand(std::int64_t n, unsigned seed) {
  std::vector<T> x;
  for (float v : random_floats(n, seed, -3, 3)) x.push_back(static_cast<T>(v));
  // Zeros of both signs, and what doesn't mix.
  for (std::size_t i = 0; i < x.size(); i += 7)
    x[i] = i % 2 == 0 ? T(0) : -T(0);
  if (n > 1000) {
    x[100] = std::numeric_limits<T>::infinity();
    x[600] = std::numeric_limits<T>::quiet_NaN();
  }
  return x;
}

// The first output of a program; the others are stored, too.
template <class T>
std::vector<T> first_output(const ProgramPtr& p, const Shape& space,
                            std::vector<backend::Binding> leaves,
                            std::vector<backend::Scalar> slots) {
  const std::size_t count = p->outputs().size();
  std::vector<std::vector<T>> out(
      count, std::vector<T>(static_cast<std::size_t>(space.numel())));
  std::vector<backend::OutputBinding> outputs;
  for (auto& o : out)
    outputs.push_back({o.data(), dtype_of<T>, contiguous_strides(space)});
  cpu_backend().run({p.get(), space, leaves, slots, outputs}, Stream());
  return out[0];
}

template <class T>
void check_softmax_vjp(Op product) {
  const auto make = [&](bool apart) {
    return program([&](Builder& b) {
      const Ref y = b.leaf({.dtype = dtype_of<T>});
      const Ref g = b.leaf({.dtype = dtype_of<T>});
      const Ref m = b.apply(product, g, y);
      b.output(
          {b.apply(Op::mul, b.apply(Op::sub, g, b.apply(Op::row_sum, m)), y)});
      if (apart) b.output({m});
    });
  };
  for (const Shape& space : kRows) {
    SCOPED_TRACE(to_string(space));
    const auto y = operand<T>(space.numel(), 1),
               g = operand<T>(space.numel(), 2);
    const std::vector<backend::Binding> leaves{dense(y, space),
                                               dense(g, space)};
    expect_same_bits(first_output<T>(make(false), space, leaves, {}),
                     first_output<T>(make(true), space, leaves, {}));
  }
}

TEST(ExecutorRowFusion, ASumOfProductsHasTheBitsOfTheProductsAndTheirSum) {
  check_softmax_vjp<float>(Op::mul);
  check_softmax_vjp<float>(Op::mulz);
  check_softmax_vjp<double>(Op::mulz);
}

template <class T>
void check_normalize() {
  // One epsilon, or two of the same value.
  const auto make = [&](bool apart) {
    return program([&](Builder& b) {
      const Ref x = b.leaf({.dtype = dtype_of<T>});
      const Ref g = b.leaf({.dtype = dtype_of<T>});
      const Ref first = b.slot(dtype_of<T>);
      const Ref second = b.slot(dtype_of<T>);
      const Ref normal = b.apply(Op::row_normalize, x, apart ? second : first);
      const Ref scaled = b.apply(Op::mul, g, g);
      const Ref vjp = b.apply(Op::row_normalize_vjp, x, scaled, first);
      b.output({b.apply(Op::sub, vjp, b.apply(Op::mul, g, normal))});
    });
  };
  for (const Shape& space : kRows) {
    SCOPED_TRACE(to_string(space));
    const auto x = operand<T>(space.numel(), 3),
               g = operand<T>(space.numel(), 4);
    const std::vector<backend::Binding> leaves{dense(x, space),
                                               dense(g, space)};
    const std::vector<backend::Scalar> slots{{.f = 1e-2}, {.f = 1e-2}};
    expect_same_bits(first_output<T>(make(false), space, leaves, slots),
                     first_output<T>(make(true), space, leaves, slots));
  }
}

TEST(ExecutorRowFusion, NormalisingAndItsReverseShareTheMoments) {
  check_normalize<float>();
  check_normalize<double>();
}

TEST(ExecutorRowFusion, NormalisingIsNotDoneAfterWhatNeedsIt) {
  // The cotangent itself depends on the normalised row.
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({});
    const Ref e = b.slot(DType::float32);
    const Ref normal = b.apply(Op::row_normalize, x, e);
    b.output({b.apply(Op::row_normalize_vjp, x, normal, e)});
  });
  const Shape space{2, 4};
  const std::vector<float> x{1, 2, 3, 4, -1, 0, 0, 7};
  const auto out =
      first_output<float>(p, space, {dense(x, space)}, {{.f = 1e-5}});
  // x̂ is orthogonal to what passes.
  for (const float v : out) EXPECT_NEAR(v, 0, 1e-4);
}

template <class T>
void check_cross_entropy_vjp() {
  const auto make = [&](bool apart, bool choice_first) {
    return program([&](Builder& b) {
      const Ref x = b.leaf({.dtype = dtype_of<T>});
      const Ref y = b.leaf({.dtype = DType::int64, .per_row = true});
      const Ref g = b.leaf({.dtype = dtype_of<T>, .per_row = true});
      const Ref softmax = b.apply(Op::row_softmax, x);
      const Ref choice =
          b.apply(Op::where, b.apply(Op::eq, b.row_index(), y),
                  b.apply(Op::neg, g), b.constant(0, dtype_of<T>));
      const Ref product = b.apply(Op::mulz, g, softmax);
      b.output({choice_first ? b.apply(Op::add, choice, product)
                             : b.apply(Op::add, product, choice)});
      if (apart) b.output({softmax});
    });
  };
  for (const Shape& space : kRows) {
    SCOPED_TRACE(to_string(space));
    const std::int64_t rows = space[0], cols = space[1];
    auto x = operand<T>(space.numel(), 5);
    // Places whose probability is 0: times a negative number, that is −0.
    for (std::size_t i = 2; i < x.size(); i += 3) x[i] = T(-2000);
    const auto g = operand<T>(rows, 6);
    std::vector<std::int64_t> y;
    for (std::int64_t r = 0; r < rows; ++r) y.push_back((r * 31 + 7) % cols);
    const std::vector<backend::Binding> leaves{dense(x, space),
                                               {y.data(), DType::int64, {1, 0}},
                                               {g.data(), dtype_of<T>, {1, 0}}};
    for (const bool choice_first : {false, true})
      expect_same_bits(
          first_output<T>(make(false, choice_first), space, leaves, {}),
          first_output<T>(make(true, choice_first), space, leaves, {}));
  }
}

TEST(ExecutorRowFusion, CrossEntropyGoesBackWithTheBitsOfItsSteps) {
  check_cross_entropy_vjp<float>();
  check_cross_entropy_vjp<double>();
}

}  // namespace
}  // namespace jacquard::testing
