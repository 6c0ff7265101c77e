#include <string>

#include "jacquard/error.h"
#include "tests/cpu_fallback/executor_testing.h"

namespace jacquard::testing {
namespace {

using backend::IndexLaunch;

struct Case {
  std::int64_t outer, extent, count, inner;
  bool each;  // an index for each element, else one for each count
};
const std::vector<Case> kCases = {
    {1, 5, 3, 1, false},        {1, 5, 3, 7, false},
    {4, 5, 3, 7, true},         {4, 5, 30, 7, true},
    {1, 1000, 50000, 1, false}, {1, 300, 400, 130, false},
    {3, 50, 4000, 3, true},     {2, 5, 0, 3, false},
    {20, 40, 60, 5, true}};

std::size_t index_of(std::int64_t i) { return static_cast<std::size_t>(i); }

IndexLaunch launch_of(const Case& c, const std::vector<std::int64_t>& index,
                      DType dtype) {
  IndexLaunch l;
  l.op = "gather";
  l.dtype = dtype;
  l.outer = c.outer;
  l.extent = c.extent;
  l.count = c.count;
  l.inner = c.inner;
  l.index = index.data();
  l.index_strides[0] = c.each ? c.count * c.inner : 0;
  l.index_strides[1] = c.each ? c.inner : 1;
  l.index_strides[2] = c.each ? 1 : 0;
  return l;
}

std::vector<std::int64_t> random_indices(const Case& c) {
  std::mt19937 engine(1);
  std::vector<std::int64_t> index(
      index_of(c.each ? c.outer * c.count * c.inner : c.count));
  for (auto& i : index)
    i = static_cast<std::int64_t>(engine() % index_of(2 * c.extent)) - c.extent;
  return index;
}

// f(offset in x, offset in values), in rising j.
template <class F>
void for_each_pair(const Case& c, const std::vector<std::int64_t>& index,
                   F&& f) {
  for (std::int64_t o = 0; o < c.outer; ++o)
    for (std::int64_t j = 0; j < c.count; ++j)
      for (std::int64_t i = 0; i < c.inner; ++i) {
        std::int64_t at =
            index[index_of(c.each ? (o * c.count + j) * c.inner + i : j)];
        if (at < 0) at += c.extent;
        f(index_of((o * c.extent + at) * c.inner + i),
          index_of((o * c.count + j) * c.inner + i));
      }
}

template <class T>
class Indexing : public ::testing::Test {};
using Types = ::testing::Types<unsigned char, float, double, std::int64_t>;
TYPED_TEST_SUITE(Indexing, Types);

template <class T>
DType type_of() {
  if constexpr (std::is_same_v<T, unsigned char>)
    return DType::bool_;
  else
    return dtype_of<T>;
}

TYPED_TEST(Indexing, GathersAndScatters) {
  using T = TypeParam;
  for (const Case& c : kCases) {
    const auto index = random_indices(c);
    IndexLaunch l = launch_of(c, index, type_of<T>());
    std::vector<T> x(index_of(c.outer * c.extent * c.inner));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i % 97);
    std::vector<T> values(index_of(c.outer * c.count * c.inner));
    l.source = x.data();
    l.target = values.data();
    cpu_backend().gather(l, Stream());
    for_each_pair(c, index, [&](std::size_t from, std::size_t to) {
      ASSERT_EQ(values[to], x[from]);
    });

    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<T>(i % 89);
    std::vector<T> target = x, want = x;
    l.source = values.data();
    l.target = target.data();
    cpu_backend().scatter(l, Stream());
    for_each_pair(c, index, [&](std::size_t at, std::size_t from) {
      want[at] = values[from];
    });
    EXPECT_EQ(target, want);
  }
}

TEST(ScatterAdd, AddsRepeatedIndicesInOrderOnAnyNumberOfThreads) {
  for (const Case& c : kCases) {
    const auto index = random_indices(c);
    IndexLaunch l = launch_of(c, index, DType::float32);
    const auto x = random_floats(c.outer * c.extent * c.inner, 2);
    const auto values = random_floats(c.outer * c.count * c.inner, 3);
    auto want = x;
    for_each_pair(c, index, [&](std::size_t at, std::size_t from) {
      want[at] += values[from];
    });
    for (const int threads : {1, 2, 3}) {
      const WithThreads with(threads);
      auto target = x;
      l.source = values.data();
      l.target = target.data();
      cpu_backend().scatter_add(l, Stream());
      expect_same_bits(target, want);
    }
  }
}

TEST(ScatterAdd, IntegersWrapAndHalvesRound) {
  const std::vector<std::int64_t> index = {1, 1, -2};
  const Case c = {1, 3, 3, 1, false};
  IndexLaunch l = launch_of(c, index, DType::int32);
  std::vector<std::int32_t> x = {0, 2147483647, 0};
  const std::vector<std::int32_t> ones = {1, 1, 1};
  l.source = ones.data();
  l.target = x.data();
  cpu_backend().scatter_add(l, Stream());
  EXPECT_EQ(x[1], -2147483647 - 1 + 2);
  std::vector<std::uint16_t> h(3, float_to_half(2048.0f));
  const std::vector<std::uint16_t> one(3, float_to_half(1.0f));
  l.dtype = DType::float16;
  l.source = one.data();
  l.target = h.data();
  cpu_backend().scatter_add(l, Stream());
  EXPECT_EQ(half_to_float(h[1]), 2048.0f);  // 2049 rounds back to even
}

TEST(IndexingErrors, RefusesIndicesOutOfRangeBeforeItWrites) {
  for (const std::int64_t bad : {5, -6}) {
    const std::vector<std::int64_t> index = {0, 1, bad};
    const Case c = {1, 5, 3, 1, false};
    IndexLaunch l = launch_of(c, index, DType::float32);
    const std::vector<float> source = {1, 2, 3, 4, 5};
    std::vector<float> target(5, 0.0f);
    l.source = source.data();
    l.target = target.data();
    using Call = void (backend::Backend::*)(const IndexLaunch&, Stream);
    for (const Call call :
         {&backend::Backend::gather, &backend::Backend::scatter,
          &backend::Backend::scatter_add}) {
      try {
        (cpu_backend().*call)(l, Stream());
        FAIL() << "no error";
      } catch (const IndexError& e) {
        EXPECT_EQ(std::string(e.what()),
                  "gather: index " + std::to_string(bad) +
                      " is out of range for an axis of extent 5");
      }
      EXPECT_EQ(target, std::vector<float>(5, 0.0f));
    }
  }
}

}  // namespace
}  // namespace jacquard::testing
