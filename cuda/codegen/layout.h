// How operands lie in an iteration space, as generated code needs to know.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cuda/codegen/arguments.h"
#include "jacquard/shape.h"

namespace jacquard::cuda_backend {

inline constexpr int kMaxDims = kMaxRank;

// The layout class of one operand.
struct Access {
  enum class Kind : std::uint8_t {
    fixed,    // the same element everywhere
    dense,    // at the linear position
    strided,  // by coordinates
  };
  // The stride on the innermost axis.
  enum class Inner : std::uint8_t { none, unit, other };

  Kind kind = Kind::fixed;
  Inner inner = Inner::none;
  std::uint8_t varies = 0;  // bit d: the stride on axis d is not 0

  // Whether neighbours in the space are neighbours in memory.
  bool unit() const {
    return kind == Kind::dense ||
           (kind == Kind::strided && inner == Inner::unit);
  }
};

// A row-major space and the strides of its operands.
class Space {
 public:
  // Axes of `shape`, in the order given.
  void begin(const Shape& shape, std::span<const int> axes);
  // Returns the operand's number.
  int add_operand(const Strides& strides, std::span<const int> axes);
  // Drops axes of extent 1 and merges neighbours that all operands can merge,
  // then classifies. Stored outputs are never `fixed`.
  void collapse();

  int rank() const { return rank_; }
  std::int64_t extent(int d) const { return extent_[d]; }
  std::int64_t stride(int operand, int d) const {
    return stride_[static_cast<std::size_t>(operand)][d];
  }
  const Access& access(int operand) const {
    return access_[static_cast<std::size_t>(operand)];
  }
  // Makes an operand whose space has one element dense.
  void make_addressed(int operand);
  std::int64_t numel() const;
  // Whether positions and offsets fit into 31 bits with room to spare.
  bool is_small() const;

  // Bytes that tell layout classes apart.
  void append_key(std::string& key) const;
  // The extents by which positions are divided, as fields <name>d<axis> and
  // <name>m<axis>. Nothing if no operand needs coordinates.
  void add_extents(Arguments& to, const char* name) const;
  bool needs_coordinates() const;

 private:
  void classify(int operand);

  int rank_ = 0;
  std::size_t count_ = 0;
  std::array<std::int64_t, kMaxDims> extent_;
  std::vector<std::array<std::int64_t, kMaxDims>> stride_;
  std::vector<Access> access_;
};

}  // namespace jacquard::cuda_backend
