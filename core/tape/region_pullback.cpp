#include "core/tape/region_pullback.h"

#include <bit>
#include <map>
#include <mutex>

#include "core/backend/launch.h"
#include "core/tape/anomaly.h"
#include "core/tape/bindings.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/pending_root.h"
#include "core/tape/region.h"
#include "jacquard/error.h"
#include "jacquard/shape_ops.h"

namespace jacquard::tape {

using pointwise::Program;
using pointwise::ProgramPtr;

namespace {

// The leaves that are read where a gradient flows.
std::uint64_t unstopped_leaves(const pointwise::Code& code) {
  std::vector<bool> flows(code.instrs.size());
  for (const pointwise::Output& o : code.outputs) flows[o.value] = true;
  std::uint64_t leaves = 0;
  for (std::size_t r = code.instrs.size(); r-- > 0;) {
    const pointwise::Instr& instr = code.instrs[r];
    if (!flows[r]) continue;
    if (instr.op == Op::load) leaves |= std::uint64_t{1} << instr.imm;
    for (int k = 0; k < pointwise::info(instr.op).arity; ++k)
      if (!pointwise::stops_gradient(instr.op, k)) flows[instr.args[k]] = true;
  }
  return leaves;
}

}  // namespace

RegionPullback::RegionPullback(const ProgramPtr& program, const Region& region,
                               const Shape& result_over_space,
                               const Tensor& result)
    : program_(program),
      space_(region.space),
      result_over_space_(result_over_space),
      once_a_row_(program->outputs()[0].once_a_row),
      slots_(region.slots) {
  const std::uint64_t reached =
      region.has_stop ? unstopped_leaves(region.code) : ~std::uint64_t{0};
  for (std::size_t i = 0; i < region.leaves.size(); ++i) {
    const Value& leaf = *region.leaves[i];
    const std::uint64_t bit = std::uint64_t{1} << i;
    if (!leaf.known_node() || !(reached & bit)) continue;
    tracked_ |= bit;
    add_edge(leaf.known_node());
  }
  if (looks_for_anomalies() && !region.labels.empty()) {
    anatomy_ = std::make_unique<RegionAnatomy>(
        RegionAnatomy{region.code, {}, region.labels});
    for (Value* leaf : region.leaves) anatomy_->leaves.emplace_back(leaf);
  }
  full_ = &program_->reverse(tracked_, tracked_);
  for (int source : full_->sources) {
    if (source <= Reverse::kCotangent) continue;
    if (source < 0) {
      saved_.push_back({source, save_output(result), {}});
      continue;
    }
    const Value& leaf = *region.leaves[source];
    if (leaf.written())
      saved_.push_back({source, Saved{leaf.tensor(), leaf.node(), false}, {}});
    else
      saved_.push_back({source, {}, leaf.shape});
  }
}

const RegionPullback::SavedLeaf* RegionPullback::find_saved(int source) const {
  for (const SavedLeaf& s : saved_)
    if (s.source == source) return &s;
  return nullptr;
}

const RegionPullback::SavedLeaf& RegionPullback::saved_of(int source) const {
  if (const SavedLeaf* s = find_saved(source)) return *s;
  throw GraphError("internal: a reverse program reads what was not saved");
}

int RegionPullback::edge_of(unsigned leaf) const {
  return std::popcount(tracked_ & ((std::uint64_t{1} << leaf) - 1));
}

std::uint64_t RegionPullback::needed(const PullbackContext& context) const {
  std::uint64_t wanted = 0;
  int edge = 0;
  for (std::uint64_t left = tracked_; left; left &= left - 1, ++edge)
    if (context.needs(edge)) wanted |= left & -left;
  return wanted;
}

double RegionPullback::inverse_count() const {
  std::int64_t n = 1;
  for (int i = 0; i < space_.rank() - (once_a_row_ ? 1 : 0); ++i)
    n *= space_[i];
  const std::int64_t results = result_over_space_.numel();
  return results == 0 ? 0
                      : static_cast<double>(results) / static_cast<double>(n);
}

std::size_t RegionPullback::saved_bytes() const {
  std::size_t bytes = 0;
  for (const SavedLeaf& leaf : saved_) bytes += bytes_of(leaf.saved);
  return bytes;
}

void RegionPullback::run(PullbackContext& context) {
  const std::uint64_t wanted = needed(context);
  const std::uint64_t left = pass_on(context, reverse_for(wanted), wanted);
  if (left == 0) return;
  const Reverse& reverse = reverse_for(left);
  if (reverse.wanted.empty()) return;
  if (context.recording() || (context.cotangent().is_pending() &&
                              !context.cotangent().value()->product)) {
    instantiate(context, reverse);
    return;
  }
  std::uint64_t distinct = left;
  const std::vector<Equal> equal = equal_ones(context, reverse, distinct);
  launch(context, equal.empty() ? reverse : reverse_for(distinct));
  for (const Equal& e : equal) context.share(e.from, e.to);
}

std::vector<RegionPullback::Equal> RegionPullback::equal_ones(
    const PullbackContext& context, const Reverse& reverse,
    std::uint64_t& wanted) const {
  std::vector<Equal> equal;
  const auto outputs = reverse.program->outputs();
  std::uint64_t taken = 0;  // outputs that another shares already
  for (std::size_t j = 1; j < outputs.size(); ++j) {
    const int to = edge_of(reverse.wanted[j]);
    for (std::size_t i = 0; i < j; ++i) {
      if (!(outputs[i] == outputs[j]) || (taken >> i & 1)) continue;
      const int from = edge_of(reverse.wanted[i]);
      if (!context.can_share(from, to)) continue;
      equal.push_back({from, to});
      taken |= std::uint64_t{1} << j;
      wanted &= ~(std::uint64_t{1} << reverse.wanted[j]);
      break;
    }
  }
  return equal;
}

std::uint64_t RegionPullback::pass_on(PullbackContext& context,
                                      const Reverse& reverse,
                                      std::uint64_t wanted) {
  std::uint64_t left = wanted;
  const auto instrs = reverse.program->instrs();
  for (std::size_t j = 0; j < reverse.wanted.size(); ++j) {
    const pointwise::Output& out = reverse.program->outputs()[j];
    const pointwise::Instr& instr = instrs[out.value];
    if (instr.op != Op::load ||
        reverse.sources[instr.imm] != Reverse::kCotangent || out.once_a_row)
      continue;
    const int edge = edge_of(reverse.wanted[j]);
    if (reduced(context.shape_of(edge))) continue;
    if (context.cotangent().shape() == space_) {
      context.add(edge, context.cotangent());
    } else {
      context.add(edge, expand(reshape(context.cotangent(), result_over_space_),
                               space_));
    }
    left &= ~(std::uint64_t{1} << reverse.wanted[j]);
  }
  return left;
}

std::vector<backend::Binding> RegionPullback::bind_sources(
    const Reverse& reverse, const Tensor& cotangent) const {
  std::vector<backend::Binding> leaves;
  for (int source : reverse.sources) {
    if (source <= Reverse::kCotangent) {
      leaves.push_back(bind(cotangent, space_));
      continue;
    }
    const SavedLeaf& s = saved_of(source);
    leaves.push_back(s.saved.tensor.defined()
                         ? bind(s.saved.tensor, space_)
                         : bind_virtual(s.own_shape,
                                        program_->leaves()[source].dtype,
                                        space_));
  }
  return leaves;
}

namespace {

// The space without the axes that no leaf varies over.
Shape varied_space(std::span<const backend::Binding> leaves, Shape space) {
  for (int d = 0; d < space.rank(); ++d) {
    bool varies = false;
    for (const auto& b : leaves) varies = varies || b.strides[d] != 0;
    if (!varies && space[d] > 1) space[d] = 1;
  }
  return space;
}

}  // namespace

void RegionPullback::launch(PullbackContext& context, const Reverse& reverse) {
  const Tensor cotangent =
      force(context.cotangent(), "backward").reshape(result_over_space_);
  const std::vector<backend::Binding> leaves = bind_sources(reverse, cotangent);
  std::uint64_t sums = 0;
  std::vector<Shape> shapes;
  for (std::size_t j = 0; j < reverse.wanted.size(); ++j) {
    shapes.push_back(context.shape_of(edge_of(reverse.wanted[j])));
    if (reduced(shapes[j])) sums |= std::uint64_t{1} << j;
  }
  // What is the same along an axis is computed once and expanded.
  const bool may_shrink = sums == 0 && !program_->has_row_ops() && !root_;
  const Shape space = may_shrink ? varied_space(leaves, space_) : space_;
  const bool shrunk = !(space == space_);
  std::vector<backend::OutputBinding> outputs;
  std::vector<Tensor> results(reverse.wanted.size());
  for (std::size_t j = 0; j < reverse.wanted.size(); ++j) {
    const int edge = edge_of(reverse.wanted[j]);
    if (shrunk) {
      results[j] = Tensor::empty(
          space,
          reverse.program->instrs()[reverse.program->outputs()[j].value].dtype,
          cotangent.device());
      outputs.push_back(bind_output(results[j], space, space, false));
      continue;
    }
    PullbackContext::Target t = context.target(edge);
    // Two leaves of one node: the second is added later, not in this launch.
    for (const auto& o : outputs)
      if (t.accumulate && o.data == t.tensor.data_ptr()) {
        results[j] = t.tensor =
            Tensor::empty(shapes[j], t.tensor.dtype(), cotangent.device());
        t.accumulate = false;
        break;
      }
    outputs.push_back(bind_output(t.tensor, shapes[j], space, t.accumulate));
  }
  std::vector<Literal> slots = slots_;
  for (std::size_t i = 0; i < reverse.means.size(); ++i)
    slots.push_back({.f = inverse_count()});
  const ProgramPtr program = with_sums(reverse.program, sums);
  const bool along =
      root_ && root_->launch_along(reverse, program, bind(cotangent, space_),
                                   slots, outputs);
  if (root_) root_->finish();
  if (!along)
    backend::launch(context.name(),
                    {program.get(), space, leaves, slots, outputs},
                    current_stream(cotangent.device()));
  for (std::size_t j = 0; j < results.size(); ++j)
    if (results[j].defined())
      context.add(edge_of(reverse.wanted[j]),
                  shrunk ? expand(results[j], space_) : results[j]);
}

namespace {

// The gradient of a leaf of shape `leaf`, which was broadcast over `space`,
// from its contribution `g`, which may itself vary over fewer axes. A pending
// sum where one is needed.
TrackedTensor sum_to(TrackedTensor g, const Shape& leaf, const Shape& space,
                     bool once_a_row, const char* name, CallSite site) {
  const int pad = space.rank() - leaf.rank();
  unsigned axes = 0;
  double times = 1;
  for (int d = 0; d < space.rank(); ++d) {
    const bool broadcast = d < pad || leaf[d - pad] != space[d];
    if (!broadcast) continue;
    if (once_a_row && d == space.rank() - 1) continue;
    const int own = d - (space.rank() - g.rank());
    if (own >= 0 && g.shape()[own] == space[d])
      axes |= 1u << own;
    else
      times *= static_cast<double>(space[d]);
  }
  if (times != 1) g = apply(name, Op::mul, g, times);
  if (axes)
    g = apply_reduction(name, Reduction::sum, g, axes, true, g.dtype(), site);
  return g;
}

}  // namespace

TrackedTensor RegionPullback::value_of(const RuleContext& context,
                                       const SavedLeaf& s) const {
  if (s.saved.tensor.defined()) return context.restore(s.saved);
  const pointwise::Leaf& l = program_->leaves()[s.source];
  return l.op == Op::index
             ? apply_index(context.name(), s.own_shape, l.dtype,
                           context.device())
             : apply_leaf(context.name(), l.op, s.own_shape, l.dtype,
                          context.device(),
                          {slots_[l.seed_slot], slots_[l.offset_slot]});
}

bool RegionPullback::push(PushContext& context) {
  // A mean of nothing is not a number; its derivative has no terms.
  if (space_.numel() == 0) return true;
  std::uint64_t with = 0;
  int edge = 0;
  for (std::uint64_t left = tracked_; left; left &= left - 1, ++edge)
    if (context.has(edge)) with |= left & -left;
  const pointwise::Pushforward& pushed = program_->pushforward(tracked_, with);
  if (!pushed.program) return true;
  std::vector<TrackedTensor> leaves;
  for (const int source : pushed.sources) {
    if (source <= pointwise::Pushforward::kTangent) {
      const auto leaf =
          static_cast<unsigned>(pointwise::Pushforward::kTangent - source);
      const TrackedTensor t = context.aligned(edge_of(leaf), space_.rank());
      leaves.push_back(apply_cast(context.name(), t, compute_type(t.dtype())));
      continue;
    }
    const SavedLeaf* saved = find_saved(source);
    if (!saved) return false;
    leaves.push_back(value_of(context, *saved));
  }
  TrackedTensor tangent =
      tape::instantiate(*pushed.program, leaves, slots_, space_, context.name(),
                        context.site())[0];
  tangent = reduce_tangent(context, std::move(tangent));
  const Shape whole = context.led(result_over_space_);
  if (!(tangent.shape() == whole)) tangent = expand(tangent, whole);
  if (!(whole == context.shape())) tangent = reshape(tangent, context.shape());
  context.set(std::move(tangent));
  return true;
}

TrackedTensor RegionPullback::reduce_tangent(const PushContext& context,
                                             TrackedTensor tangent) const {
  const pointwise::Output& out = program_->outputs()[0];
  if (out.reduction == Reduction::store) return tangent;
  // Axes over which the tangent itself does not vary may be missing.
  const int own = tangent.rank() - space_.rank();
  unsigned axes = 0;
  double times = 1;
  for (int d = 0; d < space_.rank(); ++d) {
    if (result_over_space_[d] == space_[d]) continue;
    if (out.once_a_row && d == space_.rank() - 1) continue;
    if (d + own >= 0 && tangent.shape()[d + own] == space_[d])
      axes |= 1u << (d + own);
    else
      times *= static_cast<double>(space_[d]);
  }
  if (times != 1 && out.reduction == Reduction::sum)
    tangent = apply(context.name(), Op::mul, std::move(tangent), times);
  if (axes == 0) return tangent;
  const DType dtype = tangent.dtype();
  return apply_reduction(context.name(), out.reduction, std::move(tangent),
                         axes, true, dtype, context.site());
}

void RegionPullback::instantiate(PullbackContext& context,
                                 const Reverse& reverse) {
  if (root_) root_->finish();
  const TrackedTensor cotangent =
      result_over_space_ == context.cotangent().shape()
          ? context.cotangent()
          : reshape(context.cotangent(), result_over_space_);
  std::vector<TrackedTensor> leaves;
  std::vector<Literal> slots = slots_;
  for (int source : reverse.sources) {
    if (source <= Reverse::kCotangent) {
      leaves.push_back(cotangent);
      continue;
    }
    leaves.push_back(value_of(context, saved_of(source)));
  }
  for (std::size_t i = 0; i < reverse.means.size(); ++i)
    slots.push_back({.f = inverse_count()});
  std::vector<TrackedTensor> values = tape::instantiate(
      *reverse.program, leaves, slots, space_, context.name(), context.site());
  std::vector<Value*> pending;
  for (std::size_t j = 0; j < values.size(); ++j) {
    const Shape& leaf = context.shape_of(edge_of(reverse.wanted[j]));
    if (!values[j].defined()) continue;
    values[j] = sum_to(std::move(values[j]), leaf, space_,
                       reverse.program->outputs()[j].once_a_row, context.name(),
                       context.site());
    pending.push_back(values[j].value());
  }
  context.force(pending);
  for (std::size_t j = 0; j < values.size(); ++j) {
    const int edge = edge_of(reverse.wanted[j]);
    const Shape& leaf = context.shape_of(edge);
    if (!values[j].defined()) continue;
    // Of axes that the leaf doesn't have, 1 is left.
    Shape own = values[j].shape();
    while (own.rank() > leaf.rank()) own.erase(0);
    if (!(own == values[j].shape())) values[j] = reshape(values[j], own);
    if (!(own == leaf)) values[j] = expand(values[j], leaf);
    context.add(edge, std::move(values[j]));
  }
}

ProgramPtr with_sums(const ProgramPtr& program, std::uint64_t mask) {
  if (mask == 0) return program;
  thread_local std::map<std::pair<const Program*, std::uint64_t>, ProgramPtr>
      known;
  ProgramPtr& p = known[{program.get(), mask}];
  if (!p) {
    pointwise::Code code = program->code();
    for (std::size_t j = 0; j < code.outputs.size(); ++j)
      if (mask >> j & 1) code.outputs[j].reduction = Reduction::sum;
    p = Program::intern(std::move(code));
  }
  return p;
}

std::vector<TrackedTensor> instantiate(const Program& program,
                                       std::span<const TrackedTensor> leaves,
                                       std::span<const Literal> slots,
                                       const Shape& space, const char* name,
                                       CallSite site) {
  const Label label{name, site};
  return instantiate(program.code(), leaves, slots, space,
                     std::span(&label, 1));
}

std::vector<TrackedTensor> instantiate(const pointwise::Code& code,
                                       std::span<const TrackedTensor> leaves,
                                       std::span<const Literal> slots,
                                       const Shape& space,
                                       std::span<const Label> labels) {
  const auto& instrs = code.instrs;
  const bool labelled = labels.size() > 1;
  const char* name = labels[0].name;
  const Device device = leaves.empty() ? default_device() : leaves[0].device();
  const std::int64_t cols = space.rank() ? space[space.rank() - 1] : 1;
  std::vector<Arg> args(instrs.size());
  auto as_value = [&](TrackedTensor t) {
    return Arg{snapshot(t, name), {}, Arg::Kind::value};
  };
  for (std::size_t r = 0; r < instrs.size(); ++r) {
    const pointwise::Instr& in = instrs[r];
    const Label& label = labels[labelled ? r : 0];
    switch (in.op) {
      case Op::load:
      case Op::index:
      case Op::uniform:
      case Op::normal:
        args[r] = as_value(leaves[in.imm]);
        continue;
      case Op::slot:
        args[r] = {{}, slots[in.imm], Arg::Kind::slot};
        continue;
      case Op::constant:
        args[r] = {{}, code.constants[in.imm], Arg::Kind::literal};
        continue;
      case Op::row_index:
        args[r] = as_value(apply_index(name, {cols}, DType::int64, device));
        continue;
      case Op::row_length: {
        Literal n;
        if (is_floating(in.dtype))
          n.f = static_cast<double>(cols);
        else
          n.i = cols;
        args[r] = {{}, n, Arg::Kind::literal};
        continue;
      }
      default:
        break;
    }
    Arg own[3];
    for (int k = 0; k < pointwise::info(in.op).arity; ++k)
      own[k] = args[in.args[k]];
    if (pointwise::is_row(in.op)) {
      const Arg& a = own[0];
      if (!a.value) {
        own[0] = as_value(apply_fill(name, {cols}, in.dtype, device, a.scalar));
      } else if (a.value->shape.rank() == 0 ||
                 a.value->shape[a.value->shape.rank() - 1] != cols) {
        Shape wide = a.value->shape;
        if (wide.rank() == 0) wide.push_back(1);
        wide[wide.rank() - 1] = cols;
        own[0] = as_value(expand(handle(a.value), wide));
      }
    }
    const int typed = in.op == Op::where ? 1 : 0;
    const DType operand = instrs[in.args[typed]].dtype;
    if (!own[0].value && !own[1].value && !own[2].value) {
      own[typed] =
          as_value(apply_fill(name, {}, operand, device, own[typed].scalar));
    }
    args[r] = as_value(make_pending(label.name, label.site, in.op, in.dtype,
                                    operand, device, own[0], own[1], own[2]));
    if (labelled) force(*args[r].value);
  }
  std::vector<TrackedTensor> out;
  for (const pointwise::Output& o : code.outputs) {
    const Arg& a = args[o.value];
    out.push_back(
        a.value ? handle(a.value)
                : TrackedTensor(apply_fill(name, {}, instrs[o.value].dtype,
                                           device, a.scalar)));
  }
  return out;
}

}  // namespace jacquard::tape
