#include "memory/written_bits.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace ptx_emulator {
namespace {

void change_some(std::uint8_t& byte, std::uint8_t mask, bool value) {
  std::uint8_t old = __atomic_load_n(&byte, __ATOMIC_RELAXED);
  if (value) {
    if ((old & mask) != mask) __atomic_fetch_or(&byte, mask, __ATOMIC_RELAXED);
  } else {
    if ((old & mask) != 0) {
      __atomic_fetch_and(&byte, static_cast<std::uint8_t>(~mask),
                         __ATOMIC_RELAXED);
    }
  }
}

// Bits [first, end) of a byte.
std::uint8_t byte_mask(std::size_t first, std::size_t end) {
  return static_cast<std::uint8_t>((0xffu << first) & (0xffu >> (8 - end)));
}

// The 8 bits from `first` on; those from `end` on may be anything.
std::uint8_t bits_at(const std::uint8_t* set, std::size_t first,
                     std::size_t end) {
  const std::size_t byte = first / 8, shift = first % 8;
  unsigned bits = set[byte];
  if (shift != 0 && (byte + 1) * 8 < end) {
    bits |= static_cast<unsigned>(set[byte + 1]) << 8;
  }
  return static_cast<std::uint8_t>(bits >> shift);
}

}  // namespace

void set_bits(std::uint8_t* set, std::size_t first, std::size_t count,
              bool value) {
  if (count == 0) return;
  const std::size_t end = first + count;
  std::size_t byte = first / 8;
  const std::size_t last = end / 8;
  if (byte == last) {
    change_some(set[byte], byte_mask(first % 8, end % 8), value);
    return;
  }
  if (first % 8 != 0) change_some(set[byte++], byte_mask(first % 8, 8), value);
  std::memset(set + byte, value ? 0xff : 0, last - byte);
  if (end % 8 != 0) change_some(set[last], byte_mask(0, end % 8), value);
}

std::size_t find_clear_bit(const std::uint8_t* set, std::size_t first,
                           std::size_t count) {
  std::size_t done = 0;
  while (done < count) {
    const std::size_t at = first + done;
    if (at % 8 == 0 && count - done >= 64) {
      std::uint64_t word;
      std::memcpy(&word, set + at / 8, sizeof word);
      if (word == ~std::uint64_t{0}) {
        done += 64;
        continue;
      }
      return done + static_cast<std::size_t>(std::countr_one(word));
    }
    const unsigned bits = set[at / 8] >> (at % 8);
    const std::size_t ones = static_cast<std::size_t>(std::countr_one(bits));
    const std::size_t present = 8 - at % 8;
    if (ones < present) return std::min(count, done + ones);
    done += present;
  }
  return count;
}

void copy_bits(std::uint8_t* set, std::size_t to, std::size_t from,
               std::size_t count) {
  if (count == 0) return;
  if (find_clear_bit(set, from, count) == count) {
    set_bits(set, to, count, true);
    return;
  }
  // The bits in the alignment of their destination.
  const std::size_t shift = to % 8;
  std::vector<std::uint8_t> moved((shift + count + 7) / 8 + 1);
  for (std::size_t i = 0; i < count; i += 8) {
    const std::size_t at = i + shift;
    const unsigned bits =
        static_cast<unsigned>(bits_at(set, from + i, from + count)) << (at % 8);
    moved[at / 8] |= static_cast<std::uint8_t>(bits);
    moved[at / 8 + 1] |= static_cast<std::uint8_t>(bits >> 8);
  }
  std::uint8_t* target = set + to / 8;
  const std::size_t end = shift + count;
  for (std::size_t byte = 0; byte * 8 < end; ++byte) {
    const std::uint8_t mask = byte_mask(
        byte == 0 ? shift : 0, std::min<std::size_t>(8, end - byte * 8));
    if (mask == 0xff) {
      target[byte] = moved[byte];
    } else {
      change_some(target[byte], mask & moved[byte], true);
      change_some(target[byte], mask & static_cast<std::uint8_t>(~moved[byte]),
                  false);
    }
  }
}

}  // namespace ptx_emulator
