#include "core/ops/parts.h"

#include <utility>

#include "core/ops/as_tensor.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "jacquard/pointwise.h"

namespace jacquard::ops {
namespace {

using tape::PullbackContext;

// For each element which part wrote it last.
TrackedTensor last_writers(const char* name, const Shape& shape, Device device,
                           const std::vector<SliceRegion>& regions) {
  Tensor writers = Tensor::empty(shape, DType::int32, device);
  for (std::size_t i = 0; i < regions.size(); ++i) {
    if (regions[i].count.numel() == 0) continue;
    const HostScalar writer{.integral = true,
                            .i = static_cast<std::int64_t>(i)};
    tape::compute_into(
        regions[i].view(writers),
        fill(name, regions[i].shape(), DType::int32, device, writer), false,
        name);
  }
  return writers;
}

struct Pullback {
  const char* name;
  Shape shape;
  std::vector<SliceRegion> regions;
  std::vector<bool> shadowed;

  void operator()(PullbackContext& c) const {
    TrackedTensor writers;
    for (std::size_t i = 0; i < regions.size(); ++i) {
      const int input = static_cast<int>(i);
      if (!c.needs(input)) continue;
      const TrackedTensor g = take(name, {}, c.cotangent(), regions[i]);
      if (!shadowed[i]) {
        c.add(input, g);
        continue;
      }
      if (!writers.defined())
        writers = last_writers(name, shape, g.device(), regions);
      c.add(input, where(eq(take(name, {}, writers, regions[i]), input), g, 0));
    }
  }
};

}  // namespace

TrackedTensor join(const char* name, CallSite site, const Shape& shape,
                   DType dtype, std::vector<Part> parts) {
  std::vector<const TrackedTensor*> inputs;
  for (const Part& part : parts) inputs.push_back(&part.value);
  const bool recorded = tape::would_record(inputs);
  if (recorded) {
    // The node's edges lead to written values; those over one space are one
    // launch.
    std::vector<TrackedTensor> tracked;
    for (const Part& part : parts)
      if (part.value.is_tracked()) tracked.push_back(part.value);
    materialize(tracked);
  }
  Tensor result = Tensor::empty(shape, dtype, parts[0].value.device());
  for (const Part& part : parts)
    if (part.value.numel() != 0)
      tape::compute_into(part.region.view(result), part.value, false, name);
  if (!recorded) return TrackedTensor(std::move(result));

  Pullback pullback{name, shape, {}, {}};
  for (Part& part : parts) {
    pullback.regions.push_back(std::move(part.region));
    pullback.shadowed.push_back(part.shadowed);
  }
  return tape::record_with(name, site, std::move(result), inputs,
                           tape::make_pullback(std::move(pullback)));
}

}  // namespace jacquard::ops
