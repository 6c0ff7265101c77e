// Decompression of the LZ4 block format, which nvcc uses for
// -compress-mode=speed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace ptx_emulator {

// The decompressed bytes, or nothing if the block is damaged or does not hold
// exactly `size` bytes. Format: lz4_Block_format.md of the LZ4 project.
std::optional<std::string> decompress_lz4_block(
    std::span<const std::uint8_t> block, std::size_t size);

}  // namespace ptx_emulator
