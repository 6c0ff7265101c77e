#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/tape/call.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "jacquard/custom.h"
#include "jacquard/error.h"
#include "jacquard/primitive.h"
#include "jacquard/shape_ops.h"

namespace jacquard {

using tape::Node;
using tape::NodePtr;
using tape::PullbackContext;
using tape::Saved;
using tape::Value;
using tape::ValuePtr;

bool Needs::operator[](std::size_t k) const {
  if (k >= size())
    throw IndexError("Needs: argument " + std::to_string(k) + " of " +
                     std::to_string(size()) + " that hold tensors");
  const auto begin = tensors_.begin();
  return std::find(begin + static_cast<std::ptrdiff_t>(first_[k]),
                   begin + static_cast<std::ptrdiff_t>(first_[k + 1]),
                   true) != begin + static_cast<std::ptrdiff_t>(first_[k + 1]);
}

bool Needs::tensor(std::size_t k) const {
  if (k >= tensors_.size())
    throw IndexError("Needs: tensor " + std::to_string(k) + " of " +
                     std::to_string(tensors_.size()));
  return tensors_[k];
}

namespace detail {
namespace {

std::string called(const RuleInfo& info, CallSite site) {
  std::string text = info.name;
  if (site.line)
    text += " (called at " + std::string(site.file) + ":" +
            std::to_string(site.line) + ")";
  return text;
}

// Of an error that the user's pullback throws: whose it is.
[[noreturn]] void rethrow_from(const std::string& where) {
#define JACQUARD_RETHROW(Name)    \
  catch (const Name& e) {         \
    throw Name(where + e.what()); \
  }
  try {
    throw;
  }
  JACQUARD_RETHROW(ShapeError)
  JACQUARD_RETHROW(DTypeError)
  JACQUARD_RETHROW(DeviceError)
  JACQUARD_RETHROW(IndexError)
  JACQUARD_RETHROW(GraphError)
  JACQUARD_RETHROW(CudaError)
  JACQUARD_RETHROW(OutOfMemory)
  JACQUARD_RETHROW(Error)
#undef JACQUARD_RETHROW
}

bool is_floating_tensor(const TrackedTensor& t) {
  return t.defined() && is_floating(t.dtype());
}

// What a pullback may read.
struct Kept {
  enum class Source : std::uint8_t { argument, result, inside, constant };
  Source source = Source::constant;
  std::size_t index = 0;  // of the argument's or the result's tensor
  TrackedTensor value;    // a constant, or undefined
  std::string name;
};

// An argument's tensor or a result, as rules need to know it.
struct Result {
  int place = -1;  // of a result among the floating ones; −1: not floating
  Shape shape;
  DType dtype = DType::float32;
  Device device;
};

// Everything about a recorded call.
struct Rule {
  RuleInfo info;
  CallSite site;
  std::vector<std::size_t> first;  // see Needs
  std::vector<std::string> names;  // of the arguments' tensors
  std::vector<Result> inputs = {};
  std::vector<Result> results = {};
  int floating = 0;  // how many results are
  std::vector<Kept> kept = {};
  RulePullback pullback;
  RulePush push;

  std::string called() const { return detail::called(info, site); }
};

// A value that depends on inputs in a way that can't be differentiated.
TrackedTensor opaque(const TrackedTensor& value, const Rule& rule,
                     std::span<const NodePtr> inputs, std::string message) {
  const Tensor array = value.data();
  auto node =
      make_intrusive<Node>(tape::next_id(), rule.info.name, rule.site,
                           array.shape(), array.dtype(), array.stream());
  auto pullback =
      tape::make_pullback([message = std::move(message)](PullbackContext&) {
        throw GraphError(message);
      });
  for (const NodePtr& n : inputs) pullback->add_edge(n);
  node->set_pullback(std::move(pullback));
  return tape::handle(make_intrusive<Value>(array, std::move(node)));
}

// The reverse of a call: of its only floating result, or of the node that is
// behind all results.
class RuleReverse final : public tape::PullbackBase {
 public:
  explicit RuleReverse(Rule rule) : rule_(std::move(rule)) {}

  void run(PullbackContext& c) override {
    tape::report_user_code("pullback", rule_.site);
    const Needs needs = needs_of(c);
    const std::vector<TrackedTensor> cotangents = cotangents_of(c);
    const bool unrecorded = c.recording() && rule_.info.once_differentiable;
    std::vector<TrackedTensor> gradients;
    try {
      const std::vector<TrackedTensor> kept = restored(c, unrecorded);
      std::optional<NoGrad> constant;
      if (unrecorded) constant.emplace();
      gradients = rule_.pullback(kept, cotangents, needs);
    } catch (const Error&) {
      rethrow_from("in the pullback of " + rule_.called() + ": ");
    }
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      TrackedTensor& g = gradients[i];
      const int edge = static_cast<int>(i);
      if (!g.defined() || g.is_structural_zero() || !c.needs(edge)) continue;
      check(g, i, *edges()[edge]);
      if (unrecorded) g = once_only(g, cotangents);
      c.add(edge, std::move(g));
    }
  }

  bool push(tape::PushContext& c) override {
    if (!rule_.push) return false;
    if (c.lead() == 0) {
      c.set(pushed(c, [&](int i) { return c.tangent(i); }));
      return true;
    }
    std::int64_t batch = 0;
    for (int i = 0; i < edges().size() && batch == 0; ++i)
      if (c.has(i)) batch = c.tangent(i).shape()[0];
    std::vector<TrackedTensor> all;
    for (std::int64_t b = 0; b < batch; ++b) {
      all.push_back(
          pushed(c, [&](int i) { return select(c.tangent(i), 0, b); }));
      if (!all.back().defined()) return true;
    }
    c.set(stack(all, 0));
    return true;
  }

 private:
  // The tangent of the value that is asked for; undefined: a structural zero.
  template <class TangentOf>
  TrackedTensor pushed(const tape::PushContext& c, TangentOf tangent_of) const {
    tape::report_user_code("jvp", rule_.site);
    const bool unrecorded = c.recording() && rule_.info.once_differentiable;
    std::vector<TrackedTensor> tangents(rule_.inputs.size());
    for (std::size_t i = 0; i < tangents.size(); ++i) {
      const Result& x = rule_.inputs[i];
      const int edge = static_cast<int>(i);
      if (c.has(edge))
        tangents[i] = tangent_of(edge);
      else if (x.place >= 0)
        tangents[i] = tape::structural_zero(x.shape, x.dtype, x.device);
    }
    std::vector<TrackedTensor> all;
    try {
      const std::vector<TrackedTensor> kept = restored(c, unrecorded);
      std::optional<NoGrad> constant;
      if (unrecorded) constant.emplace();
      all = rule_.push(kept, tangents);
    } catch (const Error&) {
      rethrow_from("in the jvp of " + rule_.called() + ": ");
    }
    if (all.size() != rule_.results.size())
      throw GraphError(rule_.called() + ": the jvp's tangent has " +
                       std::to_string(all.size()) +
                       " tensors, but the result has " +
                       std::to_string(rule_.results.size()));
    for (std::size_t i = 0; i < all.size(); ++i)
      if (rule_.results[i].place == c.value())
        return unrecorded && all[i].defined() ? once_only(all[i], tangents)
                                              : all[i];
    return {};
  }

  Needs needs_of(const PullbackContext& c) const {
    std::vector<bool> needs;
    for (int i = 0; i < edges().size(); ++i) needs.push_back(c.needs(i));
    return {std::move(needs), rule_.first};
  }

  std::vector<TrackedTensor> cotangents_of(const PullbackContext& c) const {
    const std::vector<TrackedTensor> given = c.cotangents();
    std::vector<TrackedTensor> all(rule_.results.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Result& r = rule_.results[i];
      if (r.place < 0) continue;
      const TrackedTensor& g = given[static_cast<std::size_t>(r.place)];
      all[i] = g.defined() ? tape::apply_cast(rule_.info.name, g, r.dtype)
                           : tape::structural_zero(r.shape, r.dtype, r.device);
    }
    return all;
  }

  std::vector<TrackedTensor> restored(const tape::RuleContext& c,
                                      bool unrecorded) const {
    std::vector<TrackedTensor> values;
    for (const Kept& k : rule_.kept) {
      if (!c.recording() || unrecorded || !k.value.defined()) {
        values.push_back(k.value);
        continue;
      }
      const Tensor array = k.value.data();
      switch (k.source) {
        case Kept::Source::argument:
          values.push_back(
              c.restore({array, edges()[static_cast<int>(k.index)], false}));
          break;
        case Kept::Source::result:
          values.push_back(rule_.floating == 1
                               ? c.restore(tape::save_output(array))
                               : tape::joint_value(c.node(),
                                                   rule_.results[k.index].place,
                                                   rule_.floating, array));
          break;
        case Kept::Source::inside:
          values.push_back(
              opaque(k.value, rule_, inputs(), no_derivative_of_state(k.name)));
          break;
        case Kept::Source::constant:
          values.push_back(k.value);
      }
    }
    return values;
  }

  std::vector<NodePtr> inputs() const {
    std::vector<NodePtr> nodes;
    for (int i = 0; i < edges().size(); ++i)
      if (edges()[i]) nodes.push_back(edges()[i]);
    return nodes;
  }

  std::string no_derivative_of_state(const std::string& name) const {
    return rule_.called() +
           ": a second derivative is asked for, but the state holds a tensor "
           "(" +
           name +
           ") that is neither an argument nor a result: how it depends on the "
           "arguments is not known; keep arguments and results, make it a "
           "further result, or say constant_state if it depends on none";
  }

  TrackedTensor once_only(const TrackedTensor& g,
                          const std::vector<TrackedTensor>& given) const {
    std::vector<NodePtr> from = inputs();
    for (const TrackedTensor& t : given)
      if (t.defined() && t.is_tracked()) {
        const ValuePtr v = tape::snapshot(t, rule_.info.name);
        tape::force(*v);
        from.push_back(v->node());
      }
    return opaque(g, rule_, from,
                  rule_.called() +
                      ": a second derivative is asked for, but the rule was "
                      "made with once_differentiable");
  }

  void check(const TrackedTensor& g, std::size_t i, const Node& to) const {
    const auto message = [&](const std::string& what, const std::string& is,
                             const std::string& expected) {
      return rule_.called() + ": the pullback's gradient of " + rule_.names[i] +
             " has " + what + " " + is + ", but must have that of the " +
             "argument, " + expected;
    };
    if (!(g.shape() == to.shape))
      throw ShapeError(
          message("shape", to_string(g.shape()), to_string(to.shape)));
    if (!(g.device() == to.device))
      throw DeviceError(
          message("device", to_string(g.device()), to_string(to.device)));
    if (g.dtype() != to.dtype &&
        !(is_half(to.dtype) && g.dtype() == DType::float32))
      throw DTypeError(message("dtype", std::string(name_of(g.dtype())),
                               std::string(name_of(to.dtype))));
  }

  Rule rule_;
};

}  // namespace

RuleInfo rule_info(const RuleOptions& options) {
  return {kept_name(options.name), options.once_differentiable,
          options.constant_state};
}

using RuleBody = std::function<std::vector<TrackedTensor>(
    const std::vector<TrackedTensor>&)>;

static std::vector<TrackedTensor> run_rule(std::vector<TrackedTensor> tensors,
                                           const RuleBody& body) {
  return body(tensors);
}

std::vector<TrackedTensor> call_rule(const RuleInfo& info, CallSite site,
                                     std::vector<TrackedTensor> tensors,
                                     RuleBody body) {
  return tape::call(info.name, site, run_rule, std::move(tensors),
                    std::move(body));
}

void check_gradient_count(const RuleInfo& info, CallSite site,
                          std::string_view of, std::size_t expected,
                          std::size_t given) {
  if (given == expected) return;
  throw GraphError(called(info, site) + ": the pullback's gradient of " +
                   std::string(of) + " has " + std::to_string(given) +
                   " tensors, but there are " + std::to_string(expected));
}

struct RuleScope::State {
  NoGrad unrecorded;
  tape::ScopeEdge edge;
};

RuleScope::RuleScope() : state_(std::make_unique<State>()) {}
RuleScope::~RuleScope() = default;

struct RuleCall::State {
  RuleInfo info;
  CallSite site;
  std::vector<ValuePtr> inputs;          // null: undefined
  std::vector<TrackedTensor> constants;  // what f sees
  std::vector<std::size_t> first;        // number of each argument's first
  std::vector<std::string> names;
  bool records = false;

  NodePtr node_of(std::size_t i) const {
    return inputs[i] ? inputs[i]->node() : NodePtr();
  }

  Kept kept(const TrackedTensor& t, const std::vector<TrackedTensor>& results,
            std::string name) const {
    Kept k{.value = t, .name = std::move(name)};
    if (!t.defined() || !is_floating(t.dtype())) return k;
    const auto same = [&](const TrackedTensor& other) {
      return other.value() == t.value();
    };
    const auto find = [&](const std::vector<TrackedTensor>& among,
                          Kept::Source source) {
      const auto at = std::ranges::find_if(among, same);
      if (at == among.end()) return false;
      k.source = source;
      k.index = static_cast<std::size_t>(at - among.begin());
      return true;
    };
    if (find(constants, Kept::Source::argument)) {
      if (!node_of(k.index)) k.source = Kept::Source::constant;
    } else if (!find(results, Kept::Source::result) && !info.constant_state) {
      k.source = Kept::Source::inside;
    }
    return k;
  }

  std::vector<std::size_t> ends() const {
    std::vector<std::size_t> all = first;
    all.push_back(inputs.size());
    return all;
  }
};

RuleCall::RuleCall(const RuleInfo& info, CallSite site)
    : state_(std::make_unique<State>()) {
  state_->info = info;
  state_->site = site;
}

RuleCall::~RuleCall() = default;

void RuleCall::begin_argument() {
  state_->first.push_back(state_->inputs.size());
}

TrackedTensor RuleCall::add(const TrackedTensor& t) {
  if (!t.defined()) {
    state_->inputs.emplace_back();
    state_->constants.emplace_back();
    return {};
  }
  ValuePtr v = tape::snapshot(t, state_->info.name);
  tape::force(*v);
  if (v->node() && tape::grad_enabled()) state_->records = true;
  state_->constants.emplace_back(v->tensor());
  state_->inputs.push_back(std::move(v));
  return state_->constants.back();
}

bool RuleCall::records() const { return state_->records; }

void RuleCall::add_names(const std::vector<std::string>& paths) {
  std::size_t argument = 0;
  while (argument + 1 < state_->first.size() &&
         state_->first[argument + 1] <= state_->names.size())
    ++argument;
  for (const std::string& path : paths)
    state_->names.push_back("argument " + std::to_string(argument) +
                            (path.empty() ? "" : " (" + path + ")"));
}

std::vector<TrackedTensor> RuleCall::finish(
    std::vector<TrackedTensor> results) {
  std::vector<TrackedTensor> defined;
  std::ranges::copy_if(results, std::back_inserter(defined),
                       &TrackedTensor::defined);
  materialize(defined);
  for (TrackedTensor& t : results)
    if (t.defined() && t.is_tracked()) t = TrackedTensor(t.data());
  return results;
}

std::vector<TrackedTensor> RuleCall::finish(
    std::vector<TrackedTensor> results, const std::vector<TrackedTensor>& kept,
    std::vector<std::string> kept_names, RulePullback pullback, RulePush push) {
  const State& s = *state_;
  Rule rule{.info = s.info,
            .site = s.site,
            .first = s.ends(),
            .names = s.names,
            .pullback = std::move(pullback),
            .push = std::move(push)};
  for (const TrackedTensor& t : s.constants)
    rule.inputs.push_back(is_floating_tensor(t)
                              ? Result{0, t.shape(), t.dtype(), t.device()}
                              : Result{});
  for (std::size_t i = 0; i < kept.size(); ++i)
    rule.kept.push_back(s.kept(kept[i], results, std::move(kept_names[i])));
  results = finish(std::move(results));
  for (Kept& k : rule.kept) {
    if (!k.value.defined()) continue;
    // As the array alone: what f made may have more to hold on to.
    k.value = TrackedTensor(k.value.data());
  }
  std::vector<Tensor> floating;
  for (const TrackedTensor& t : results) {
    Result r;
    if (is_floating_tensor(t)) {
      r = {rule.floating++, t.shape(), t.dtype(), t.device()};
      floating.push_back(t.data());
    }
    rule.results.push_back(r);
  }
  const auto reverse =
      tape::PullbackPtr::adopt(new RuleReverse(std::move(rule)));
  for (std::size_t i = 0; i < s.inputs.size(); ++i)
    reverse->add_edge(s.node_of(i));
  std::vector<TrackedTensor> tracked =
      tape::record_joint(s.info.name, s.site, std::move(floating), reverse);
  std::size_t next = 0;
  for (TrackedTensor& t : results)
    if (is_floating_tensor(t)) t = std::move(tracked[next++]);
  return results;
}

}  // namespace detail
}  // namespace jacquard
