// Bit sets with one bit a byte of memory: was it written? Bit i of a set is bit
// i % 8 of byte i / 8. Distinct bytes of a set may be changed by several
// threads at a time; so may the bits of one byte.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ptx_emulator {

// Bits [first, first + count) of the set.
void set_bits(std::uint8_t* set, std::size_t first, std::size_t count,
              bool value);
// The first of them that is 0, counted from `first`; `count` if there is none.
std::size_t find_clear_bit(const std::uint8_t* set, std::size_t first,
                           std::size_t count);
// Copies bits within a set; the ranges may overlap.
void copy_bits(std::uint8_t* set, std::size_t to, std::size_t from,
               std::size_t count);

}  // namespace ptx_emulator
