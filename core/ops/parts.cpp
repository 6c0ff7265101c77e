#include "core/ops/parts.h"

#include <utility>

#include "core/backend/launch.h"
#include "core/ops/as_tensor.h"
#include "core/tape/bindings.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "core/tape/region_builder.h"
#include "core/tensor/writable.h"
#include "jacquard/pointwise.h"

namespace jacquard::ops {
namespace {

using tape::PullbackContext;
using tape::PushContext;

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

// Copies written values of one dtype, none of which is overwritten by another,
// into their places: one launch.
void copy_all(const char* name, const Tensor& result,
              const std::vector<const Part*>& parts) {
  const tape::ValuePtr first = tape::snapshot(parts[0]->value, name);
  tape::RegionBuilder region;
  region.begin(first->shape, {});
  region.output(region.add_value(*first), tape::Reduction::store, first->shape);
  region.finish();
  const pointwise::ProgramPtr program = tape::program_of(region.code);
  const Stream stream = current_stream(result.device());
  std::vector<Shape> spaces;
  std::vector<backend::Binding> sources;
  std::vector<backend::OutputBinding> targets;
  for (const Part* part : parts) {
    const Tensor target = part->region.view(result);
    spaces.push_back(target.shape());
    sources.push_back(tape::bind(part->value.data(), target.shape()));
    targets.push_back(
        {write_on(target, stream), target.dtype(), target.strides(), false});
  }
  std::vector<backend::ProgramLaunch> work;
  for (std::size_t i = 0; i < parts.size(); ++i)
    work.push_back(
        {program.get(), spaces[i], {&sources[i], 1}, {}, {&targets[i], 1}});
  backend::launch_list(name, work, stream);
}

// Pending values are computed in their places. What others overwrite is written
// before them.
void write_all(const char* name, const Tensor& result,
               const std::vector<Part>& parts) {
  std::vector<const Part*> copied;
  for (const Part& part : parts) {
    if (part.value.numel() == 0) continue;
    const bool alike =
        copied.empty() || part.value.dtype() == copied[0]->value.dtype();
    if (!part.shadowed && !part.value.is_pending() && alike)
      copied.push_back(&part);
    else
      tape::compute_into(part.region.view(result), part.value, false, name);
  }
  if (!copied.empty()) copy_all(name, result, copied);
}

struct Rules {
  const char* name;
  Shape shape;
  DType dtype;
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

  void push(PushContext& c) const {
    std::vector<Part> tangents;
    for (std::size_t i = 0; i < regions.size(); ++i)
      tangents.push_back(
          {c.tangent_or_zeros(static_cast<int>(i), regions[i].shape(), dtype),
           regions[i].led(c.lead(), c.shape()), shadowed[i]});
    c.set(join(name, {}, c.shape(), dtype, std::move(tangents)));
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
  write_all(name, result, parts);
  if (!recorded)
    return tape::constant_result(name, site, std::move(result), inputs);

  Rules rules{name, shape, dtype, {}, {}};
  for (Part& part : parts) {
    rules.regions.push_back(std::move(part.region));
    rules.shadowed.push_back(part.shadowed);
  }
  auto push = [rules](PushContext& c) { rules.push(c); };
  return tape::record_with(
      name, site, std::move(result), inputs,
      tape::make_pullback(std::move(rules), std::move(push)));
}

}  // namespace jacquard::ops
