// The pullback of a region: its program, reversed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/backend/backend.h"
#include "core/pointwise/program.h"
#include "core/tape/node.h"
#include "core/tape/record.h"
#include "core/tape/region_builder.h"

namespace jacquard::tape {

class PendingRoot;

// What a region was made of, kept in anomaly mode.
struct RegionAnatomy {
  pointwise::Code code;
  std::vector<ValuePtr> leaves;
  std::vector<Label> labels;
};

class RegionPullback final : public PullbackBase {
 public:
  // Of a region with one output, which was computed into `result`. There is an
  // edge for each tracked leaf that the gradient flows to, in the order of the
  // leaves. Keeps only what the reverse reads.
  RegionPullback(const pointwise::ProgramPtr& program, const Region& region,
                 const Shape& result_over_space, const Tensor& result);

  void run(PullbackContext& context) override;
  bool push(PushContext& context) override;
  bool inlines_cotangent() const override { return true; }
  void blame(const Node& node, const TrackedTensor& cotangent) override;
  std::size_t saved_bytes() const override;
  // The result is not written yet: the reverse's launch writes it along.
  void set_root(PendingRoot* root) { root_ = root; }

 private:
  // A leaf of the reverse program.
  struct SavedLeaf {
    int source;
    Saved saved;      // tensor undefined: a leaf without memory …
    Shape own_shape;  // … of this shape
  };
  using Reverse = pointwise::Reverse;

  const Reverse& reverse_for(std::uint64_t wanted) const {
    return wanted == tracked_ ? *full_ : program_->reverse(tracked_, wanted);
  }
  const SavedLeaf* find_saved(int source) const;
  const SavedLeaf& saved_of(int source) const;
  // A source of a derived program, which is no (co)tangent, as a value.
  TrackedTensor value_of(const RuleContext& context, const SavedLeaf& s) const;
  // The reduction by which the region ends, of a tangent over the space.
  TrackedTensor reduce_tangent(const PushContext& context,
                               TrackedTensor tangent) const;
  std::uint64_t needed(const PullbackContext& context) const;
  // Gradients that need no launch, or share another's; returns what is left.
  std::uint64_t pass_on(PullbackContext& context, const Reverse& reverse,
                        std::uint64_t wanted);
  // Pairs of edges with the same gradient that may share its memory; takes the
  // second ones out of `wanted`.
  struct Equal {
    int from, to;
  };
  std::vector<Equal> equal_ones(const PullbackContext& context,
                                const Reverse& reverse,
                                std::uint64_t& wanted) const;
  std::vector<backend::Binding> bind_sources(const Reverse& reverse,
                                             const Tensor& cotangent) const;
  void launch(PullbackContext& context, const Reverse& reverse);
  // As tracked (or pending) values.
  void instantiate(PullbackContext& context, const Reverse& reverse);
  int edge_of(unsigned leaf) const;
  double inverse_count() const;
  bool reduced(const Shape& leaf) const { return !(leaf == space_); }

  PendingRoot* root_ = nullptr;
  pointwise::ProgramPtr program_;
  std::uint64_t tracked_ = 0;
  const Reverse* full_ = nullptr;  // for all of `tracked_`; program_ owns it
  Shape space_;
  Shape result_over_space_;  // with reduced axes kept as 1
  bool once_a_row_ = false;
  std::vector<Literal> slots_;
  std::vector<SavedLeaf> saved_;
  std::unique_ptr<RegionAnatomy> anatomy_;
};

// `program` with its outputs in `mask` (bit j) summed instead of stored.
pointwise::ProgramPtr with_sums(const pointwise::ProgramPtr& program,
                                std::uint64_t mask);

// The outputs of `program` as values, given its leaves and slots; `space` is
// the shape of the row axis' owner (used by row_index and row_length only).
std::vector<TrackedTensor> instantiate(const pointwise::Program& program,
                                       std::span<const TrackedTensor> leaves,
                                       std::span<const Literal> slots,
                                       const Shape& space, const char* name,
                                       CallSite site);
// The same; with a label for each instruction each value is written at once.
std::vector<TrackedTensor> instantiate(const pointwise::Code& code,
                                       std::span<const TrackedTensor> leaves,
                                       std::span<const Literal> slots,
                                       const Shape& space,
                                       std::span<const Label> labels);

}  // namespace jacquard::tape
