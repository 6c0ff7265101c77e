// Chains give the bits of one tile function after another.
#include "isa_testing.h"

namespace jacquard::cpu_fallback {
namespace {

using pointwise::Op;

constexpr Op kOps[kLinks] = {Op::add, Op::sub, Op::mul, Op::mulz, Op::sub};

// Values among which roundings differ if an operation is contracted, zeros of
// both signs and infinities.
template <class T>
std::vector<T> operand(std::size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal(0, 2);
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(normal(engine));
  x[seed] = 0;
  x[seed + 7] = static_cast<T>(-0.0);
  x[seed + 14] = std::numeric_limits<T>::infinity();
  return x;
}

template <class T>
class Chains : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(Chains, Types);

TYPED_TEST(Chains, HaveTheBitsOfTheirOperationsOneByOne) {
  using T = TypeParam;
  constexpr std::size_t n = 200;
  constexpr auto type = static_cast<int>(dtype_of<T>);
  for_each_level([&](const KernelTable& table) {
    TileBuffer<T> a(operand<T>(n, 0)), b(operand<T>(n, 1)), c(operand<T>(n, 2)),
        d(operand<T>(n, 3)), out(n);
    const auto join = [&](std::size_t link, TileBuffer<T>& x,
                          TileBuffer<T>& y) {
      TileBuffer<T> result(n);
      const bool from = static_cast<Link>(link) == Link::from;
      op_of(table, kOps[link], dtype_of<T>)(
          (from ? y : x).get(), (from ? x : y).get(), nullptr, result.get(), n);
      return result;
    };
    const auto expect_same = [&](TileBuffer<T>& expected) {
      for (std::size_t e = 0; e < n; ++e) {
        if (std::isnan(expected[e]))
          EXPECT_TRUE(std::isnan(out[e])) << e;
        else
          EXPECT_TRUE(same_bits(out[e], expected[e])) << e;
      }
    };
    for (std::size_t i = 0; i < kLinks; ++i) {
      TileBuffer<T> first = join(i, a, b);
      for (std::size_t j = 0; j < kLinks; ++j) {
        TileBuffer<T> second = join(j, first, c);
        table.chain2[type][i][j](a.get(), b.get(), c.get(), nullptr, out.get(),
                                 n);
        expect_same(second);
        for (std::size_t k = 0; k < kLinks; ++k) {
          TileBuffer<T> third = join(k, second, d);
          table.chain3[type][i][j][k](a.get(), b.get(), c.get(), d.get(),
                                      out.get(), n);
          expect_same(third);
        }
      }
    }
  });
}

}  // namespace
}  // namespace jacquard::cpu_fallback
