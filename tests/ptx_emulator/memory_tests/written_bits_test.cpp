#include "memory/written_bits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace ptx_emulator {
namespace {

constexpr std::size_t kBits = 512;

class Model {
 public:
  std::vector<bool> bits = std::vector<bool>(kBits);
  std::vector<std::uint8_t> set = std::vector<std::uint8_t>(kBits / 8);

  void expect_same() const {
    for (std::size_t i = 0; i < kBits; ++i) {
      ASSERT_EQ((set[i / 8] >> (i % 8) & 1) != 0, bits[i]) << "bit " << i;
    }
  }
};

TEST(WrittenBits, AgreeWithAnArrayOfBools) {
  std::mt19937 random(1);
  Model m;
  for (int step = 0; step < 20000; ++step) {
    const std::size_t first = random() % kBits;
    const std::size_t count = random() % (kBits - first + 1);
    if (step % 3 == 0) {
      const bool value = random() % 2 == 0;
      set_bits(m.set.data(), first, count, value);
      std::fill_n(m.bits.begin() + static_cast<long>(first), count, value);
    } else if (step % 3 == 1) {
      const std::size_t to = random() % (kBits - count + 1);
      copy_bits(m.set.data(), to, first, count);
      const std::vector<bool> copied(
          m.bits.begin() + static_cast<long>(first),
          m.bits.begin() + static_cast<long>(first + count));
      std::copy(copied.begin(), copied.end(),
                m.bits.begin() + static_cast<long>(to));
    } else {
      const auto begin = m.bits.begin() + static_cast<long>(first);
      const auto clear =
          std::find(begin, begin + static_cast<long>(count), false);
      ASSERT_EQ(find_clear_bit(m.set.data(), first, count),
                static_cast<std::size_t>(clear - begin));
    }
    m.expect_same();
    if (HasFatalFailure()) return;
  }
}

TEST(WrittenBits, FindsTheOneClearBitOfALongRange) {
  std::vector<std::uint8_t> set(64, 0xff);
  EXPECT_EQ(find_clear_bit(set.data(), 3, 500), 500u);
  set[40] = 0xbf;
  EXPECT_EQ(find_clear_bit(set.data(), 3, 500), 40u * 8 + 6 - 3);
  EXPECT_EQ(find_clear_bit(set.data(), 8, 500), 40u * 8 + 6 - 8);
}

}  // namespace
}  // namespace ptx_emulator
