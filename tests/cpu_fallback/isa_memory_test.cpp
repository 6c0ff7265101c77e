// Loads and stores of every dtype, rounding to the half types, and reductions.
#include "isa_testing.h"

namespace jacquard::cpu_fallback {
namespace {

using pointwise::Reduction;

// Nearest of the 65536 values of a half type, ties to even bits, by search.
class Halves {
 public:
  explicit Halves(DType dtype) : dtype_(dtype) {
    for (int bits = 0; bits < 0x8000; ++bits) {
      const float x = value(static_cast<std::uint16_t>(bits));
      if (std::isfinite(x)) finite_.push_back(x);
    }
  }
  float value(std::uint16_t bits) const {
    const bool half = dtype_ == DType::float16;
    const int fraction = half ? 10 : 7, exponent = half ? 31 : 255;
    const int e = (bits >> fraction) & exponent;
    const int f = bits & ((1 << fraction) - 1);
    const int bias = exponent / 2;
    double x = e == 0 ? std::ldexp(f, 1 - bias - fraction)
               : e < exponent
                   ? std::ldexp(f + (1 << fraction), e - bias - fraction)
               : f == 0 ? HUGE_VAL
                        : std::nan("");
    return static_cast<float>(bits & 0x8000 ? -x : x);
  }
  float nearest(float x) const {
    if (std::isnan(x)) return x;
    const double a = std::fabs(x);
    const double largest = finite_.back();
    const double step = largest - finite_[finite_.size() - 2];
    if (a >= largest + step / 2)
      return std::copysign(std::numeric_limits<float>::infinity(), x);
    const auto above = std::lower_bound(finite_.begin(), finite_.end(), a);
    if (above == finite_.end()) return std::copysign(finite_.back(), x);
    if (above == finite_.begin()) return std::copysign(*above, x);
    const double up = *above - a, down = a - above[-1];
    const bool even = (above - finite_.begin()) % 2 == 0;
    return std::copysign(up < down || (up == down && even) ? *above : above[-1],
                         x);
  }

 private:
  DType dtype_;
  std::vector<float> finite_;
};

bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) ||
         (a == b && std::signbit(a) == std::signbit(b));
}

TEST(IsaMemory, EveryHalfLoadsExactlyAndStoresBack) {
  for (DType dtype : {DType::float16, DType::bfloat16}) {
    const Halves halves(dtype);
    std::vector<std::uint16_t> bits(65536), back(65536);
    for (int i = 0; i < 65536; ++i) bits[i] = static_cast<std::uint16_t>(i);
    for_each_level([&](const KernelTable& table) {
      TileBuffer<float> tile(65536);
      table.load[static_cast<int>(dtype)](bits.data(), 1, tile.get(), 65536);
      table.store[static_cast<int>(dtype)](tile.get(), back.data(), 1, 65536);
      for (int i = 0; i < 65536; ++i) {
        const float x = halves.value(bits[i]);
        ASSERT_TRUE(same(tile[i], x)) << i;
        if (std::isnan(x))
          ASSERT_TRUE(std::isnan(halves.value(back[i]))) << i;
        else
          ASSERT_EQ(back[i], bits[i]);
      }
    });
  }
}

TEST(IsaMemory, RoundingToHalvesIsToNearestEven) {
  std::vector<float> x;
  std::mt19937 engine(2);
  for (int i = 0; i < 20000; ++i) {
    const std::uint32_t bits = engine();
    float v;
    std::memcpy(&v, &bits, sizeof v);
    x.push_back(v);
    x.push_back(std::ldexp(static_cast<float>(engine() % 8192), -26));
    x.push_back(static_cast<float>(engine() % 140000));
    // Ties of either type.
    x.push_back(std::ldexp(static_cast<float>(engine() % 4096 + 2048),
                           static_cast<int>(engine() % 24) - 20));
    x.push_back(std::ldexp(static_cast<float>(engine() % 512 + 256),
                           static_cast<int>(engine() % 200) - 100));
  }
  for (float v : {65504.0f, 65519.9f, 65520.0f, -65536.0f, 1e30f, 3.4e38f})
    x.push_back(v);
  x.push_back(std::numeric_limits<float>::infinity());
  x.push_back(-0.0f);
  const Halves half(DType::float16), bfloat(DType::bfloat16);
  std::vector<float> exact_half, exact_bfloat;
  for (float v : x) {
    exact_half.push_back(half.nearest(v));
    exact_bfloat.push_back(bfloat.nearest(v));
  }
  std::vector<double> wide(x.begin(), x.end());
  for_each_level([&](const KernelTable& table) {
    TileBuffer<float> in(x), out(x.size());
    TileBuffer<double> in64(wide);
    const auto check = [&](DType dtype, const std::vector<float>& exact) {
      const int d = static_cast<int>(dtype);
      (dtype == DType::float16 ? table.round_half : table.round_bfloat)(
          in.get(), nullptr, nullptr, out.get(), x.size());
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_TRUE(same(out[i], exact[i])) << x[i] << " " << out[i];
      table.cast[static_cast<int>(DType::float64)][d](
          in64.get(), nullptr, nullptr, out.get(), x.size());
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_TRUE(same(out[i], exact[i])) << x[i] << " " << out[i];
      // A store rounds, too.
      std::vector<std::uint16_t> bits(x.size());
      table.store[d](in.get(), bits.data(), 1, x.size());
      const Halves& type = dtype == DType::float16 ? half : bfloat;
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_TRUE(same(type.value(bits[i]), exact[i])) << x[i];
    };
    check(DType::float16, exact_half);
    check(DType::bfloat16, exact_bfloat);
  });
}

// A memory form of small numbers: element k of the array is k mod 2 for bool,
// else k mod 50, which every dtype holds.
template <class T>
T element(DType dtype, std::size_t k) {
  const int v = dtype == DType::bool_ ? static_cast<int>(k % 2)
                                      : static_cast<int>(k % 50);
  if (dtype != DType::float16 && dtype != DType::bfloat16)
    return static_cast<T>(v);
  std::uint32_t bits;
  const float x = static_cast<float>(v);
  std::memcpy(&bits, &x, sizeof bits);
  if (dtype == DType::bfloat16) return static_cast<T>(bits >> 16);
  if (v == 0) return T(0);
  return static_cast<T>(((bits >> 13) & 0x3ff) | (((bits >> 23) - 112) << 10));
}

template <class M, class R>
void check_transfers(DType dtype) {
  const int d = static_cast<int>(dtype);
  SCOPED_TRACE(d);
  constexpr std::size_t guard = 8;
  for_each_level([&](const KernelTable& table) {
    for (std::size_t n : {1u, 5u, 16u, 63u, 64u, 65u, 300u, 1000u})
      for (std::int64_t stride : {1, 0, 2, -3, 7}) {
        const std::size_t span =
            stride == 0 ? 1 : (n - 1) * std::abs(stride) + 1;
        const auto place = [&](std::size_t i) {
          return stride < 0 ? span - 1 - i * static_cast<std::size_t>(-stride)
                            : i * static_cast<std::size_t>(stride);
        };
        std::vector<M> memory(span);
        for (std::size_t k = 0; k < span; ++k) memory[k] = element<M>(dtype, k);
        TileBuffer<R> tile(n);
        table.load[d](&memory[place(0)], stride, tile.get(), n);
        for (std::size_t i = 0; i < n; ++i)
          ASSERT_EQ(tile[i],
                    static_cast<R>(dtype == DType::bool_ ? place(i) % 2
                                                         : place(i) % 50));
        if (stride == 0) continue;
        // Only the places of the elements are written.
        std::vector<M> target(span + 2 * guard, M(17));
        table.store[d](tile.get(), &target[guard + place(0)], stride, n);
        std::vector<M> expected(span + 2 * guard, M(17));
        for (std::size_t i = 0; i < n; ++i)
          expected[guard + place(i)] = memory[place(i)];
        ASSERT_EQ(target, expected);
        if (dtype == DType::bool_) continue;
        TileBuffer<R> more(n, R(3));
        table.store_add[d](more.get(), &target[guard + place(0)], stride, n);
        TileBuffer<R> sums(n);
        table.load[d](&target[guard + place(0)], stride, sums.get(), n);
        for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(sums[i], tile[i] + R(3));
      }
    // Non-temporal stores at every alignment.
    for (std::size_t shift = 0; shift < 70; ++shift)
      for (std::size_t n : {1u, 40u, 130u, 257u, 512u}) {
        TileBuffer<R> tile(n);
        for (std::size_t i = 0; i < n; ++i)
          tile[i] = static_cast<R>(i % (dtype == DType::bool_ ? 2 : 50));
        std::vector<M> target(n + shift + guard, M(17)), expected = target;
        for (std::size_t i = 0; i < n; ++i)
          expected[shift + i] = element<M>(dtype, i);
        table.store_stream[d](tile.get(), &target[shift], 1, n);
        table.fence();
        ASSERT_EQ(target, expected) << shift << " " << n;
      }
  });
}

TEST(IsaMemory, LoadsAndStoresTouchTheirElementsAlone) {
  check_transfers<std::uint8_t, std::uint8_t>(DType::bool_);
  check_transfers<std::int32_t, std::int32_t>(DType::int32);
  check_transfers<std::int64_t, std::int64_t>(DType::int64);
  check_transfers<std::uint16_t, float>(DType::float16);
  check_transfers<std::uint16_t, float>(DType::bfloat16);
  check_transfers<float, float>(DType::float32);
  check_transfers<double, double>(DType::float64);
}

TEST(IsaMemory, AddingWithStrideZeroAddsEachElement) {
  for_each_level([](const KernelTable& table) {
    TileBuffer<float> tile(100, 2.0f);
    float total = 1;
    table.store_add[static_cast<int>(DType::float32)](tile.get(), &total, 0,
                                                      100);
    EXPECT_EQ(total, 201);
  });
}

template <class T>
void check_folds(DType dtype) {
  const int d = static_cast<int>(dtype);
  const auto of = [&](const KernelTable& table, Reduction r) {
    return table.fold[static_cast<int>(r)][d];
  };
  std::mt19937 engine(4);
  for_each_level([&](const KernelTable& table) {
    for (std::size_t n : {0u, 1u, 2u, 9u, 16u, 31u, 64u, 200u, 1000u}) {
      // Exactly n elements: the vector ends there, for a sanitizer to see.
      std::vector<T> x(n);
      T sum = 5, product = 3, largest = -90, smallest = 90;
      for (T& v : x) {
        v = static_cast<T>(static_cast<int>(engine() % 100) - 50);
        sum += v;
        largest = std::max(largest, v);
        smallest = std::min(smallest, v);
      }
      T acc = 5;
      of(table, Reduction::sum)(x.data(), n, &acc);
      EXPECT_EQ(acc, sum);
      acc = 5;
      of(table, Reduction::mean)(x.data(), n, &acc);
      EXPECT_EQ(acc, sum);
      acc = -90;
      of(table, Reduction::max)(x.data(), n, &acc);
      EXPECT_EQ(acc, largest);
      acc = 90;
      of(table, Reduction::min)(x.data(), n, &acc);
      EXPECT_EQ(acc, smallest);
      std::vector<T> factors(n, T(1));
      for (std::size_t i = 0; i < n; i += 50) factors[i] = -2, product *= -2;
      acc = 3;
      of(table, Reduction::prod)(factors.data(), n, &acc);
      EXPECT_EQ(acc, product);
      std::vector<T> total(n, T(4)), expected(n);
      for (std::size_t i = 0; i < n; ++i) expected[i] = std::max(T(4), x[i]);
      table.combine[static_cast<int>(Reduction::max)][d](x.data(), total.data(),
                                                         n);
      EXPECT_EQ(total, expected);
      total.assign(n, T(4));
      for (std::size_t i = 0; i < n; ++i) expected[i] = T(4) + x[i];
      table.combine[static_cast<int>(Reduction::sum)][d](x.data(), total.data(),
                                                         n);
      EXPECT_EQ(total, expected);
    }
  });
}

TEST(IsaMemory, FoldsAndCombinationsOfSmallIntegersAreExact) {
  check_folds<float>(DType::float32);
  check_folds<double>(DType::float64);
  check_folds<std::int32_t>(DType::int32);
  check_folds<std::int64_t>(DType::int64);
}

TEST(IsaMemory, ExtremeFoldsStartFromAnyValueAndKeepNaN) {
  for_each_level([](const KernelTable& table) {
    const int f = static_cast<int>(DType::float32);
    const int max = static_cast<int>(Reduction::max);
    const int min = static_cast<int>(Reduction::min);
    const float inf = std::numeric_limits<float>::infinity();
    std::vector<float> low(77, -inf);
    float acc = -inf;
    table.fold[max][f](low.data(), low.size(), &acc);
    EXPECT_EQ(acc, -inf);
    for (std::size_t at : {0u, 13u, 64u, 76u}) {
      std::vector<float> x(77, 1.0f);
      x[at] = std::nanf("");
      acc = -inf;
      table.fold[max][f](x.data(), x.size(), &acc);
      EXPECT_TRUE(std::isnan(acc));
      acc = inf;
      table.fold[min][f](x.data(), x.size(), &acc);
      EXPECT_TRUE(std::isnan(acc));
    }
    std::vector<std::int64_t> smallest(5, INT64_MIN);
    std::int64_t big = INT64_MIN;
    table.fold[max][static_cast<int>(DType::int64)](smallest.data(), 5, &big);
    EXPECT_EQ(big, INT64_MIN);
    std::vector<std::uint8_t> bools(90, 0);
    std::uint8_t any = 0;
    table.fold[max][static_cast<int>(DType::bool_)](bools.data(), 90, &any);
    EXPECT_EQ(any, 0);
    bools[81] = 1;
    table.fold[max][static_cast<int>(DType::bool_)](bools.data(), 90, &any);
    EXPECT_EQ(any, 1);
    std::uint8_t all = 1;
    table.fold[min][static_cast<int>(DType::bool_)](bools.data(), 90, &all);
    EXPECT_EQ(all, 0);
  });
}

TEST(IsaMemory, SumsOfATileLoseLittle) {
  std::mt19937 engine(6);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<float> x(4096);
  double exact = 0;
  for (float& v : x) exact += v = uniform(engine);
  for_each_level([&](const KernelTable& table) {
    float acc = 0;
    table.fold[static_cast<int>(Reduction::sum)]
              [static_cast<int>(DType::float32)](x.data(), x.size(), &acc);
    EXPECT_NEAR(acc, exact, 2e-6 * exact);
  });
}

}  // namespace
}  // namespace jacquard::cpu_fallback
