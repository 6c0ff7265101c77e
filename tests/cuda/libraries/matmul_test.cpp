#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "jacquard/shape.h"
#include "tests/cuda/kernels/device_array.h"

namespace jacquard {
namespace {

using backend::MatmulLaunch;
using backend::MatrixBinding;
using testing::Bytes;
using testing::DeviceArray;
using testing::on_cpu;
using testing::on_cuda;

// How an operand lies in memory.
struct Layout {
  bool transposed = false;
  std::int64_t padding = 0;  // elements between lines
  Shape batch = {};          // extents or 1, where it is broadcast
  std::size_t offset = 0;    // elements from an aligned address
};

struct Case {
  Shape batch;
  std::int64_t m, n, k;
  Layout a = {}, b = {};
  std::size_t c_offset = 0;
};

MatrixBinding bind(const Layout& x, const Shape& batch, std::int64_t rows,
                   std::int64_t cols, std::int64_t& elements) {
  MatrixBinding m;
  const std::int64_t line = (x.transposed ? rows : cols) + x.padding;
  m.row_stride = x.transposed ? 1 : line;
  m.col_stride = x.transposed ? line : 1;
  elements = line * (x.transposed ? cols : rows);
  const Shape own = x.batch.rank() ? x.batch : batch;
  m.batch_strides = Strides::filled(batch.rank(), 0);
  for (int axis = batch.rank() - 1; axis >= 0; --axis) {
    if (own[axis] == 1) continue;
    m.batch_strides[axis] = elements;
    elements *= own[axis];
  }
  return m;
}

// The same product on both devices, with the same bytes; returns c.
struct Products {
  Bytes cuda, cpu;
};

Products multiply(const Case& c, DType dtype, DType out, bool accumulate,
                  const Bytes* a_values = nullptr,
                  const Bytes* b_values = nullptr) {
  MatmulLaunch l;
  l.dtype = dtype;
  l.out_dtype = out;
  l.batch = c.batch;
  l.m = c.m;
  l.n = c.n;
  l.k = c.k;
  l.accumulate = accumulate;
  std::int64_t a_size = 0, b_size = 0;
  l.a = bind(c.a, c.batch, c.m, c.k, a_size);
  l.b = bind(c.b, c.batch, c.k, c.n, b_size);
  const Bytes a =
      a_values ? *a_values : testing::small_integers(dtype, a_size, 1);
  const Bytes b =
      b_values ? *b_values : testing::small_integers(dtype, b_size, 2);
  Products r;
  r.cpu = testing::small_integers(out, c.batch.numel() * c.m * c.n, 3);

  const DeviceArray device_a(a, c.a.offset * size_of(dtype)),
      device_b(b, c.b.offset * size_of(dtype)),
      device_c(r.cpu, c.c_offset * size_of(out));
  MatmulLaunch on_device = l;
  on_device.a.data = device_a.data();
  on_device.b.data = device_b.data();
  on_device.c = device_c.data();
  on_cuda().matmul(on_device, testing::cuda_stream());
  r.cuda = device_c.read();

  l.a.data = a.data();
  l.b.data = b.data();
  l.c = r.cpu.data();
  on_cpu().matmul(l, on_cpu().current_stream(0));
  return r;
}

// Values are small integers, so that the order of sums can't show.
const Case kCases[] = {
    {{}, 5, 7, 3},
    {{}, 1, 1, 1},
    {{}, 1, 9, 4},
    {{}, 9, 1, 4},
    {{}, 4, 6, 1},
    {{}, 70, 67, 35},
    {{}, 5, 7, 3, {.transposed = true}},
    {{}, 5, 7, 3, {}, {.transposed = true}},
    {{}, 5, 7, 3, {.transposed = true}, {.transposed = true}},
    {{}, 8, 8, 8, {.padding = 3}, {.padding = 1}},
    {{}, 6, 5, 4, {.transposed = true, .padding = 1}, {.padding = 5}},
    {{}, 8, 8, 8, {.offset = 1}, {.offset = 3}, 1},
    {{4}, 3, 5, 2},
    {{4}, 3, 5, 2, {.transposed = true}, {.padding = 2}},
    {{4}, 3, 5, 2, {.batch = {1}}, {}},
    {{4}, 3, 5, 2, {}, {.batch = {1}}},
    {{2, 3}, 3, 4, 2},
    {{2, 3}, 3, 4, 2, {.batch = {1, 3}}, {}},
    {{2, 3}, 3, 4, 2, {.batch = {2, 1}}, {.batch = {1, 3}}},
    {{2, 1, 3, 2}, 2, 3, 4, {.batch = {2, 1, 1, 2}}, {.batch = {1, 1, 3, 2}}},
    // Empty sums, and nothing at all.
    {{}, 3, 4, 0},
    {{2}, 3, 4, 0},
    {{}, 0, 4, 3},
    {{}, 3, 0, 4},
    {{0}, 3, 4, 2},
};

struct Types {
  DType in, out;
};

class Matmul : public ::testing::TestWithParam<Types> {};

TEST_P(Matmul, gives_what_the_cpu_gives) {
  int number = 0;
  for (const Case& c : kCases) {
    for (const bool accumulate : {false, true}) {
      const Products r = multiply(c, GetParam().in, GetParam().out, accumulate);
      EXPECT_EQ(r.cuda, r.cpu)
          << "case " << number << (accumulate ? " added" : "");
    }
    ++number;
  }
}

// The second time with other memory, from plans that are there.
TEST_P(Matmul, repeats_a_product) {
  const Case c{{2}, 9, 5, 6};
  const Products first = multiply(c, GetParam().in, GetParam().out, false);
  const Products second = multiply(c, GetParam().in, GetParam().out, false);
  EXPECT_EQ(first.cuda, first.cpu);
  EXPECT_EQ(second.cuda, first.cuda);
}

INSTANTIATE_TEST_SUITE_P(
    , Matmul,
    ::testing::Values(Types{DType::int32, DType::int32},
                      Types{DType::int64, DType::int64},
                      Types{DType::float16, DType::float16},
                      Types{DType::float16, DType::float32},
                      Types{DType::bfloat16, DType::bfloat16},
                      Types{DType::bfloat16, DType::float32},
                      Types{DType::float32, DType::float32},
                      Types{DType::float64, DType::float64}),
    [](const ::testing::TestParamInfo<Types>& info) {
      return std::string(name_of(info.param.in)) + "_to_" +
             std::string(name_of(info.param.out));
    });

Bytes constant(DType dtype, std::int64_t count, double value) {
  return testing::elements_of(dtype, static_cast<std::size_t>(count),
                              [&] { return value; });
}

float first_float(const Bytes& bytes) {
  float x;
  std::memcpy(&x, bytes.data(), sizeof x);
  return x;
}

TEST(MatmulPrecision, of_float32_is_not_that_of_tf32) {
  const float x = 1 + 0x1p-20f;
  const Bytes a = constant(DType::float32, 8 * 8, x);
  const Bytes b = constant(DType::float32, 8 * 8, 1);
  const Products r =
      multiply({{}, 8, 8, 8}, DType::float32, DType::float32, false, &a, &b);
  EXPECT_EQ(first_float(r.cuda), 8 * x);
}

// In a process of its own, since the environment is read once.
TEST(MatmulPrecisionDeathTest, of_float32_is_that_of_tf32_if_asked_for) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [] {
    setenv("JACQUARD_TF32", "1", 1);
    const Bytes a = constant(DType::float32, 64 * 64, 1 + 0x1p-20);
    const Bytes b = constant(DType::float32, 64 * 64, 1);
    const Products r = multiply({{}, 64, 64, 64}, DType::float32,
                                DType::float32, false, &a, &b);
    std::_Exit(first_float(r.cuda) == 64 ? 7 : 1);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(7), "");
}

TEST(MatmulPrecision, of_halves_is_that_of_float32_until_the_end) {
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    // A sum kept in either half type would stop growing on the way.
    const Bytes ones = constant(dtype, 5000, 1);
    const Products wide =
        multiply({{}, 1, 1, 5000}, dtype, DType::float32, false, &ones, &ones);
    EXPECT_EQ(first_float(wide.cuda), 5000);
    const Products rounded =
        multiply({{}, 1, 1, 5000}, dtype, dtype, false, &ones, &ones);
    EXPECT_EQ(rounded.cuda, rounded.cpu);
  }
}

TEST(MatmulPrecision, of_integers_wraps) {
  const Bytes large = testing::bytes_of(
      std::vector<std::int64_t>(20 * 20, (std::int64_t{1} << 62) + 12345));
  const Products r = multiply({{}, 20, 20, 20}, DType::int64, DType::int64,
                              true, &large, &large);
  EXPECT_EQ(r.cuda, r.cpu);
  const Bytes large32 = testing::bytes_of(
      std::vector<std::int32_t>(20 * 20, (std::int32_t{1} << 30) + 12345));
  const Products s = multiply({{}, 20, 20, 20}, DType::int32, DType::int32,
                              true, &large32, &large32);
  EXPECT_EQ(s.cuda, s.cpu);
}

TEST(MatmulPrecision, keeps_nan_and_infinity) {
  Bytes a = constant(DType::float32, 16, 1);
  const float nan = std::nanf(""), infinity = HUGE_VALF;
  std::memcpy(a.data(), &nan, 4);
  std::memcpy(a.data() + 16, &infinity, 4);
  const Bytes b = constant(DType::float32, 16, 1);
  const Products r =
      multiply({{}, 4, 4, 4}, DType::float32, DType::float32, false, &a, &b);
  std::vector<float> c(16);
  std::memcpy(c.data(), r.cuda.data(), 64);
  for (std::size_t j = 0; j < 4; ++j) {
    EXPECT_TRUE(std::isnan(c[j]));
    EXPECT_EQ(c[4 + j], infinity);
    EXPECT_EQ(c[8 + j], 4);
  }
}

TEST(MatmulThreads, share_plans_on_streams_of_their_own) {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (std::int64_t k = 1; k < 20; ++k) {
        const Products r =
            multiply({{2}, 3, 4, k}, DType::float32, DType::float32, true);
        right += r.cuda == r.cpu;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 4 * 19);
}

}  // namespace
}  // namespace jacquard
