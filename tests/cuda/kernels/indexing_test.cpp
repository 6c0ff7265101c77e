#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "jacquard/error.h"
#include "tests/cuda/kernels/device_array.h"

namespace jacquard {
namespace {

using backend::Backend;
using backend::IndexLaunch;
using testing::Bytes;
using testing::DeviceArray;
using testing::on_cpu;
using testing::on_cuda;

using Operation = void (Backend::*)(const IndexLaunch&, Stream);

// Axes over which the index differs.
enum class Varies { rows, outer_rows, elements, shared_elements };

struct Sizes {
  std::int64_t outer, extent, count, inner;
};

IndexLaunch launch_of(DType dtype, const Sizes& s, Varies varies) {
  IndexLaunch l;
  l.op = "test_index";
  l.dtype = dtype;
  l.outer = s.outer;
  l.extent = s.extent;
  l.count = s.count;
  l.inner = s.inner;
  const auto set = [&](std::int64_t o, std::int64_t j, std::int64_t i) {
    l.index_strides[0] = o;
    l.index_strides[1] = j;
    l.index_strides[2] = i;
  };
  switch (varies) {
    case Varies::rows:
      set(0, 1, 0);
      break;
    case Varies::outer_rows:
      set(s.count, 1, 0);
      break;
    case Varies::elements:
      set(s.count * s.inner, s.inner, 1);
      break;
    case Varies::shared_elements:
      set(0, s.inner, 1);
      break;
  }
  return l;
}

std::vector<std::int64_t> random_indices(const Sizes& s, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int64_t> at(-s.extent, s.extent - 1);
  std::vector<std::int64_t> indices(
      static_cast<std::size_t>(s.outer * s.count * s.inner));
  for (std::int64_t& index : indices) index = at(random);
  return indices;
}

// The target afterwards, on CUDA and on the CPU, for arrays that begin
// `offset` elements after an aligned address.
struct Results {
  Bytes cuda, cpu;
};

Results run(Operation operation, IndexLaunch l, const Bytes& source,
            const Bytes& target, const std::vector<std::int64_t>& indices,
            std::size_t offset = 0) {
  Results r{{}, target};
  IndexLaunch host = l;
  host.index = indices.data();
  host.source = source.data();
  host.target = r.cpu.data();
  (on_cpu().*operation)(host, on_cpu().current_stream(0));

  const std::size_t shift = offset * size_of(l.dtype);
  const DeviceArray index(testing::bytes_of(indices)), from(source, shift),
      to(target, shift);
  l.index = static_cast<const std::int64_t*>(index.data());
  l.source = from.data();
  l.target = to.data();
  (on_cuda().*operation)(l, testing::cuda_stream());
  r.cuda = to.read();
  return r;
}

Bytes values(const IndexLaunch& l, std::int64_t axis, unsigned seed) {
  return testing::uneven_elements(l.dtype, l.outer * axis * l.inner, seed);
}

using Case = std::tuple<DType, Varies>;

class Indexing : public ::testing::TestWithParam<Case> {
 protected:
  void compare(Operation operation, const Sizes& s, std::size_t offset = 0) {
    const auto [dtype, varies] = GetParam();
    const IndexLaunch l = launch_of(dtype, s, varies);
    const bool gathers = operation == &Backend::gather;
    const std::int64_t from = gathers ? s.extent : s.count;
    const std::int64_t to = gathers ? s.count : s.extent;
    const Results r = run(operation, l, values(l, from, 1), values(l, to, 2),
                          random_indices(s, 3), offset);
    EXPECT_EQ(r.cuda, r.cpu) << s.outer << " " << s.extent << " " << s.count
                             << " " << s.inner << " at " << offset;
  }
};

// Widths that allow accesses of 16 bytes and of less, one and many lists, axes
// shorter and longer than the index.
constexpr Sizes kSizes[] = {{1, 5, 7, 1},   {3, 4, 6, 1},   {2, 9, 17, 3},
                            {1, 6, 40, 16}, {3, 2, 33, 64}, {5, 300, 1, 2},
                            {1, 1, 300, 1}, {2, 3, 5, 32}};

TEST_P(Indexing, gathers_as_the_cpu_does) {
  for (const Sizes& s : kSizes)
    for (const std::size_t offset : {0, 1, 2})
      compare(&Backend::gather, s, offset);
}

TEST_P(Indexing, scatters_as_the_cpu_does) {
  for (const Sizes& s : kSizes)
    for (const std::size_t offset : {0, 1})
      compare(&Backend::scatter, s, offset);
}

TEST_P(Indexing, adds_in_the_order_of_the_cpu) {
  for (const Sizes& s : kSizes)
    for (const std::size_t offset : {0, 1})
      compare(&Backend::scatter_add, s, offset);
}

// So many indices that they are sorted: by one block, and by several passes.
TEST_P(Indexing, sorts_long_lists) {
  for (const Sizes& s : {Sizes{1, 70, 300, 1}, Sizes{2, 3, 400, 5},
                         Sizes{1, 500, 700, 16}, Sizes{1, 9000, 12000, 1}}) {
    compare(&Backend::scatter, s);
    compare(&Backend::scatter_add, s);
    compare(&Backend::scatter_add, s, 1);
  }
}

std::string name_of_case(const ::testing::TestParamInfo<Case>& info) {
  constexpr const char* kVaries[] = {"rows", "outer_rows", "elements",
                                     "shared_elements"};
  return std::string(name_of(std::get<0>(info.param))) + "_" +
         kVaries[static_cast<int>(std::get<1>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(
    , Indexing,
    ::testing::Combine(::testing::Values(DType::bool_, DType::int32,
                                         DType::int64, DType::float16,
                                         DType::bfloat16, DType::float32,
                                         DType::float64),
                       ::testing::Values(Varies::rows, Varies::outer_rows,
                                         Varies::elements,
                                         Varies::shared_elements)),
    name_of_case);

// Without this the comparisons above could not see a wrong order.
TEST(IndexingOrder, shows_in_the_bits_of_a_sum) {
  const Sizes s{1, 3, 600, 1};
  const IndexLaunch l = launch_of(DType::float32, s, Varies::rows);
  const std::vector<std::int64_t> same(600, 1);
  Bytes source = values(l, s.count, 1);
  const Bytes target = values(l, s.extent, 2);
  const Results forward = run(&Backend::scatter_add, l, source, target, same);
  auto* first = reinterpret_cast<float*>(source.data());
  std::reverse(first, first + s.count);
  const Results backward = run(&Backend::scatter_add, l, source, target, same);
  EXPECT_EQ(forward.cuda, forward.cpu);
  EXPECT_EQ(backward.cuda, backward.cpu);
  EXPECT_NE(forward.cuda, backward.cuda);
}

TEST(IndexingLarge, counts_beyond_32_bits) {
  // Only the first rows of the long axis are touched, and exist.
  const Sizes real{1, 50, 600, 1};
  IndexLaunch l = launch_of(DType::float32, real, Varies::rows);
  std::vector<std::int64_t> indices = random_indices(real, 3);
  for (std::int64_t& index : indices)
    if (index < 0) index += real.extent;
  const Bytes source = values(l, real.count, 1),
              target = values(l, real.extent, 2);
  for (const std::int64_t extent : {std::int64_t{1} << 33, real.extent}) {
    l.extent = extent;
    for (const Operation operation :
         {&Backend::scatter_add, &Backend::scatter}) {
      const Results r = run(operation, l, source, target, indices);
      EXPECT_EQ(r.cuda, r.cpu) << extent;
    }
    const Results r = run(&Backend::gather, l, target, source, indices);
    EXPECT_EQ(r.cuda, r.cpu) << extent;
  }
}

TEST(IndexingEmpty, writes_nothing) {
  for (const Sizes& s : {Sizes{0, 3, 2, 2}, Sizes{2, 3, 0, 2},
                         Sizes{2, 3, 2, 0}, Sizes{2, 0, 0, 2}}) {
    const IndexLaunch l = launch_of(DType::float32, s, Varies::rows);
    const Results r = run(&Backend::scatter_add, l, values(l, s.count, 1),
                          values(l, s.extent, 2), {});
    EXPECT_EQ(r.cuda, r.cpu);
    const Results g = run(&Backend::gather, l, values(l, s.extent, 1),
                          values(l, s.count, 2), {});
    EXPECT_EQ(g.cuda, g.cpu);
  }
}

class IndexingErrors
    : public ::testing::TestWithParam<std::tuple<int, std::int64_t>> {};

TEST_P(IndexingErrors, are_thrown_at_the_next_synchronisation) {
  constexpr Operation kOperations[] = {&Backend::gather, &Backend::scatter,
                                       &Backend::scatter_add};
  const Operation operation = kOperations[std::get<0>(GetParam())];
  const std::int64_t count = std::get<1>(GetParam());
  const bool gathers = operation == &Backend::gather;
  for (const std::int64_t wrong : {9, -10}) {
    IndexLaunch l = launch_of(DType::float32, {1, 9, count, 1}, Varies::rows);
    std::vector<std::int64_t> indices(static_cast<std::size_t>(count), 1);
    indices[1] = wrong;
    const Bytes before = values(l, gathers ? count : l.extent, 2);
    const DeviceArray index(testing::bytes_of(indices)),
        from(values(l, gathers ? l.extent : count, 1)), to(before);
    l.index = static_cast<const std::int64_t*>(index.data());
    l.source = from.data();
    l.target = to.data();
    (on_cuda().*operation)(l, testing::cuda_stream());
    try {
      on_cuda().synchronize(testing::cuda_stream());
      ADD_FAILURE() << "no error";
    } catch (const IndexError& e) {
      EXPECT_EQ(std::string(e.what()),
                "test_index: index " + std::to_string(wrong) +
                    " is out of range for an axis of extent 9");
    }
    // The stream works on, and only row 1 was written.
    Bytes after = to.read();
    if (gathers) continue;
    EXPECT_NE(after, before);
    for (int i = 0; i < 9; ++i) {
      if (i == 1) continue;
      for (int b = 4 * i; b < 4 * i + 4; ++b)
        EXPECT_EQ(after[static_cast<std::size_t>(b)],
                  before[static_cast<std::size_t>(b)]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, IndexingErrors,
                         ::testing::Combine(::testing::Range(0, 3),
                                            ::testing::Values(3, 600)));

TEST(IndexingNaN, survives_scatter_add) {
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    const IndexLaunch l = launch_of(dtype, {1, 1, 2, 1}, Varies::rows);
    const Bytes source = testing::elements_of(
        dtype, 2, [] { return std::numeric_limits<double>::quiet_NaN(); });
    const Bytes result =
        run(&Backend::scatter_add, l, source, values(l, 1, 1), {0, 0}).cuda;
    std::uint16_t bits;
    std::memcpy(&bits, result.data(), 2);
    const float sum =
        dtype == DType::float16 ? half_to_float(bits) : bfloat16_to_float(bits);
    EXPECT_TRUE(std::isnan(sum));
  }
}

}  // namespace
}  // namespace jacquard
