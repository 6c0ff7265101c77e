#include "image/lz4_block.h"

namespace ptx_emulator {
namespace {

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> block) : block_(block) {}
  bool at_end() const { return position_ == block_.size(); }
  std::size_t left() const { return block_.size() - position_; }

  // False at the end of the block.
  bool byte(unsigned* value) {
    if (at_end()) return false;
    *value = block_[position_++];
    return true;
  }

  // A length whose first 4 bits are given: 15 means that bytes follow, the
  // last of them below 255.
  bool length(unsigned first, std::size_t* value) {
    *value = first;
    if (first != 15) return true;
    unsigned next = 255;
    while (next == 255) {
      if (!byte(&next)) return false;
      *value += next;
    }
    return true;
  }

  void literals(std::size_t count, std::string* out) {
    out->append(reinterpret_cast<const char*>(block_.data() + position_),
                count);
    position_ += count;
  }

 private:
  std::span<const std::uint8_t> block_;
  std::size_t position_ = 0;
};

}  // namespace

std::optional<std::string> decompress_lz4_block(
    std::span<const std::uint8_t> block, std::size_t size) {
  constexpr std::size_t kMinimumMatch = 4;
  std::string out;
  out.reserve(size);
  Reader reader(block);
  while (!reader.at_end()) {
    unsigned token = 0;
    std::size_t literals = 0;
    if (!reader.byte(&token)) return std::nullopt;
    if (!reader.length(token >> 4, &literals)) return std::nullopt;
    if (literals > reader.left() || out.size() + literals > size) {
      return std::nullopt;
    }
    reader.literals(literals, &out);
    if (reader.at_end()) break;  // the last sequence has no match

    unsigned low = 0, high = 0;
    std::size_t match = 0;
    if (!reader.byte(&low) || !reader.byte(&high)) return std::nullopt;
    if (!reader.length(token & 15, &match)) return std::nullopt;
    match += kMinimumMatch;
    const std::size_t distance = low | high << 8;
    if (distance == 0 || distance > out.size() || out.size() + match > size) {
      return std::nullopt;
    }
    // Matches may overlap what they write.
    for (std::size_t i = 0; i < match; ++i) {
      out.push_back(out[out.size() - distance]);
    }
  }
  if (out.size() != size) return std::nullopt;
  return out;
}

}  // namespace ptx_emulator
