#include "jacquard/update.h"

#include <string>

#include "core/backend/launch.h"
#include "core/tape/bindings.h"
#include "core/tape/call.h"
#include "core/tape/leaf_memory.h"
#include "core/tape/modes.h"
#include "core/tape/region_builder.h"
#include "core/tape/value.h"
#include "core/tensor/storage.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"

namespace jacquard {

using tape::RegionBuilder;
using tape::Value;
using tape::ValuePtr;
using Group = std::vector<TrackedTensor>;

namespace {

void check_groups(const std::vector<Group>& groups, int outputs) {
  const Group& first = groups[0];
  if (outputs < 1 || static_cast<std::size_t>(outputs) > first.size())
    throw GraphError("update_in_place: " + std::to_string(outputs) +
                     " outputs of groups of " + std::to_string(first.size()) +
                     " tensors");
  tape::PointerMap written;
  for (const Group& g : groups) {
    if (g.size() != first.size())
      throw ShapeError("update_in_place: groups of " +
                       std::to_string(first.size()) + " and " +
                       std::to_string(g.size()) + " tensors");
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (!(g[i].shape() == g[0].shape()))
        throw ShapeError("update_in_place: tensors of one group differ: " +
                         to_string(g[0].shape()) + " and " +
                         to_string(g[i].shape()));
      if (g[i].dtype() != first[i].dtype())
        throw DTypeError("update_in_place: groups differ in dtype: " +
                         std::string(name_of(first[i].dtype())) + " and " +
                         std::string(name_of(g[i].dtype())));
      if (!(g[i].device() == first[0].device()))
        throw DeviceError("update_in_place: tensors on " +
                          to_string(first[0].device()) + " and " +
                          to_string(g[i].device()));
      if (static_cast<int>(i) < outputs && !g[i].is_leaf())
        throw GraphError(
            "update_in_place: what is written must be a leaf "
            "(param)");
      if (static_cast<int>(i) >= outputs) continue;
      if (written.find(g[i].value()) >= 0)
        throw GraphError("update_in_place: one leaf would be written twice");
      written.insert(g[i].value(), 1);
    }
  }
}

class AlwaysFused {
 public:
  AlwaysFused() : before_(tape::set_always_fused(true)) {}
  ~AlwaysFused() { tape::set_always_fused(before_); }
  AlwaysFused(const AlwaysFused&) = delete;
  AlwaysFused& operator=(const AlwaysFused&) = delete;

 private:
  bool before_;
};

// The rule's program over stand-ins for the tensors of the first group.
struct Traced {
  pointwise::ProgramPtr program;
  std::vector<tape::Literal> slots;
  std::vector<std::size_t> leaf_of;  // program leaf → tensor of a group
};

Traced trace_rule(const Group& group, int outputs, const UpdateRule& f) {
  const tape::Unobserved aside;
  Group stand_ins;
  for (const TrackedTensor& t : group)
    stand_ins.emplace_back(
        Tensor::empty({}, t.dtype(), t.device())
            .view(t.shape(), Strides::filled(t.rank(), 0), 0));
  NoGrad constant;
  const AlwaysFused fused;
  const std::vector<TrackedTensor> results = f(stand_ins);
  if (static_cast<int>(results.size()) != outputs)
    throw GraphError("update_in_place: the rule returned " +
                     std::to_string(results.size()) + " values, expected " +
                     std::to_string(outputs));
  RegionBuilder region;
  region.begin(group[0].shape(), {});
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!(results[i].shape() == group[0].shape()) ||
        results[i].dtype() != group[i].dtype())
      throw ShapeError("update_in_place: result " + std::to_string(i) + " is " +
                       std::string(name_of(results[i].dtype())) +
                       to_string(results[i].shape()) + ", the tensor is " +
                       std::string(name_of(group[i].dtype())) +
                       to_string(group[i].shape()));
    ValuePtr v = tape::snapshot(results[i], "update_in_place");
    region.output(region.add_value(*v), tape::Reduction::store,
                  group[i].shape());
  }
  region.finish();
  Traced t;
  for (const Value* leaf : region.leaves) {
    std::size_t k = 0;
    while (k < stand_ins.size() && stand_ins[k].value() != leaf) ++k;
    if (k == stand_ins.size())
      throw GraphError(
          "update_in_place: the rule may use its tensors, "
          "elementwise operations and host scalars only");
    t.leaf_of.push_back(k);
  }
  t.program = tape::program_of(region.code);
  t.slots = region.slots;
  return t;
}

}  // namespace

static void run_update(const std::vector<Group>& groups, int outputs,
                       const pointwise::ProgramPtr& program,
                       const std::vector<std::size_t>& leaf_of,
                       const std::vector<tape::Literal>& slots) {
  std::vector<std::vector<backend::Binding>> leaves(groups.size());
  std::vector<std::vector<backend::OutputBinding>> targets(groups.size());
  std::vector<backend::ProgramLaunch> work;
  // What is only read is taken first: an array that another entry writes then
  // counts as shared and keeps its contents. Addresses are read when none
  // changes any more.
  std::vector<std::vector<Tensor>> tensors(groups.size());
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (std::size_t i = 0; i < groups[g].size(); ++i)
      tensors[g].push_back(static_cast<int>(i) < outputs ? Tensor()
                                                         : groups[g][i].data());
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (std::size_t i = 0; i < static_cast<std::size_t>(outputs); ++i)
      tensors[g][i] = tape::make_leaf_writable(*groups[g][i].value());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const Shape& space = groups[g][0].shape();
    for (std::size_t k : leaf_of)
      leaves[g].push_back(tape::bind(tensors[g][k], space));
    for (std::size_t i = 0; i < static_cast<std::size_t>(outputs); ++i)
      targets[g].push_back(
          tape::bind_output(tensors[g][i], space, space, false));
    work.push_back({program.get(), space, leaves[g], slots, targets[g]});
  }
  backend::launch_list("update_in_place", work,
                       current_stream(tensors[0][0].device()));
}

void update_in_place(const std::vector<Group>& groups, int outputs,
                     const UpdateRule& f, CallSite site) {
  if (groups.empty()) return;
  check_groups(groups, outputs);
  Traced rule = trace_rule(groups[0], outputs, f);
  tape::call("update_in_place", site, run_update, groups, outputs, rule.program,
             rule.leaf_of, std::move(rule.slots));
}

void update(const TrackedTensor& x, Operand delta) {
  if (!x.is_leaf())
    throw GraphError("update: only leaves (param) are changed in place");
  const NoGrad constant;
  const TrackedTensor change =
      expand(cast(std::move(delta), x.dtype()), x.shape());
  update_in_place({{x, change}}, 1,
                  [](const Group& t) -> Group { return {t[0] + t[1]}; });
  x.clear_grad();
}

}  // namespace jacquard
