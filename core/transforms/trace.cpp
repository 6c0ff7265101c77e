#include "jacquard/trace.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/tape/call.h"
#include "core/tape/modes.h"
#include "core/tape/region.h"
#include "core/tape/value.h"
#include "jacquard/create.h"
#include "jacquard/error.h"

namespace jacquard {
namespace detail {
namespace {

using tape::Call;
using tape::Value;

struct Modes {
  bool grad;
  int depth;

  static Modes now() { return {tape::grad_enabled(), tape::level_depth()}; }
};

// The modes that a recorded call was made in, as far as the function set them
// itself.
class ModesOfCall {
 public:
  ModesOfCall(const Modes& call, const Modes& start)
      : levels_(call.depth - start.depth), before_(tape::grad_enabled()) {
    tape::change_level_depth(levels_);
    if (levels_ > 0 || call.grad != start.grad)
      tape::set_grad_enabled(call.grad);
  }
  ~ModesOfCall() {
    tape::set_grad_enabled(before_);
    tape::change_level_depth(-levels_);
  }
  ModesOfCall(const ModesOfCall&) = delete;
  ModesOfCall& operator=(const ModesOfCall&) = delete;

 private:
  int levels_;
  bool before_;
};

// What is needed to make a call again.
struct Step {
  int entry;
  const char* name;
  CallSite site;
  tape::Attributes attributes;
  tape::Scalars scalars;
  bool random;
  bool has_function;
  std::string text;
  tape::Body body;
  Modes modes;
};

// A recorded call on other operands. Another observer sees it as it saw the
// first.
class CallAgain final : public Call {
 public:
  CallAgain(const Step& step, const std::vector<TrackedTensor>& inputs)
      : Call(step.name, step.site), step_(step), inputs_(inputs) {
    for (const TrackedTensor& x : inputs_) operands.push_back(&x);
    attributes = step.attributes;
    scalars = step.scalars;
    random = step.random;
    has_function = step.has_function;
    if (random) draw();
  }
  tape::Body body() const override { return step_.body; }
  std::string text() const override { return step_.text; }

 protected:
  void invoke() override {
    step_.body({inputs_.data(), scalars.data()}, results);
  }

 private:
  void draw() {
    GeneratorState state = generator_state();
    scalars[0].i = static_cast<std::int64_t>(state.seed);
    scalars[1].i = static_cast<std::int64_t>(state.offset++);
    set_generator_state(state);
  }

  const Step& step_;
  const std::vector<TrackedTensor>& inputs_;
};

TapeEntry::Value describe(const TrackedTensor& t) {
  if (!t.defined()) return {};
  return {true, t.shape(), t.dtype(), t.is_tracked()};
}

// Throws the error that is being handled, with what was being done.
[[noreturn]] void rethrow_with(const std::string& where) {
  try {
    throw;
  } catch (const ShapeError& e) {
    throw ShapeError(where + e.what());
  } catch (const DTypeError& e) {
    throw DTypeError(where + e.what());
  } catch (const DeviceError& e) {
    throw DeviceError(where + e.what());
  } catch (const IndexError& e) {
    throw IndexError(where + e.what());
  } catch (const GraphError& e) {
    throw GraphError(where + e.what());
  } catch (const OutOfMemory& e) {
    throw OutOfMemory(where + e.what());
  } catch (const CudaError& e) {
    throw CudaError(where + e.what());
  } catch (const Error& e) {
    throw Error(where + e.what());
  }
}

std::string place_of(const TapeEntry& e) {
  std::string place = "%" + std::to_string(e.id) + " " + e.operation;
  if (e.site.line != 0)
    place += " (called at " + std::string(e.site.file) + ":" +
             std::to_string(e.site.line) + ")";
  return place;
}

std::string named(const std::string& path) {
  return path.empty() ? "the argument" : "argument " + path;
}

}  // namespace

void throw_other_argument(int argument) {
  throw GraphError("replay: argument " + std::to_string(argument) +
                   " is not what it was when the function was traced; what "
                   "may change must be a tensor or a floating scalar");
}

struct Recording::State final : tape::CallObserver {
  explicit State(TraceOptions options) : options(options) {}

  TraceOptions options;
  std::vector<TapeEntry> entries;
  std::vector<TapeRef> results;
  std::vector<Step> steps;
  std::map<int, TrackedTensor> captured;  // entry → value
  std::vector<int> arguments;
  std::vector<TapeRef> reads;
  // Entries that may differ in a replay: arguments, leaves, random numbers, and
  // what is made of them.
  std::set<int> changing;
  std::string unlisted;  // an operation that was recorded by no call
  Modes start{true, 0};
  std::uint64_t started = 0;  // the number of the first call
  std::optional<tape::Observing> observing;

  // Only while f runs. A value is found by the number of its call, a constant
  // by its address; constants are held meanwhile, so that it stays theirs.
  std::map<std::uint64_t, TapeRef> numbered;
  std::unordered_map<const void*, TapeRef> constants;
  std::vector<TrackedTensor> held;
  std::map<std::uint64_t, tape::NodePtr> nodes;
  std::vector<std::set<std::uint64_t>> computed_ids;
  int depth = 0;

  TapeEntry& add(TapeEntry::Kind kind, std::string operation) {
    TapeEntry& e = entries.emplace_back();
    e.id = static_cast<int>(entries.size()) - 1;
    e.kind = kind;
    e.depth = depth;
    e.operation = std::move(operation);
    return e;
  }

  void know(const TrackedTensor& t, TapeRef ref) {
    if (!t.defined()) return;
    const Value& v = *t.value();
    if (v.id == 0) {
      held.push_back(t);
      constants[&v] = ref;
      return;
    }
    numbered[v.id] = ref;
    if (!v.cell && (v.product || v.written())) nodes[v.id] = v.known_node();
  }

  TapeRef find(const TrackedTensor& t) {
    if (!t.defined()) return {};
    const Value& v = *t.value();
    if (v.id == 0) {
      const auto at = constants.find(&v);
      if (at != constants.end()) return at->second;
    } else if (const auto at = numbered.find(v.id); at != numbered.end()) {
      return at->second;
    }
    // Made inside an operation: listed with it, or not at all.
    if (depth > 0) return {};
    TapeEntry& e =
        add(TapeEntry::Kind::captured, t.is_leaf() ? "param" : "constant");
    e.results.push_back(describe(t));
    if (t.is_leaf()) changing.insert(e.id);
    const TapeRef ref{e.id, 0};
    captured.emplace(e.id, t);
    know(t, ref);
    if (!t.is_leaf() && v.id >= started && unlisted.empty()) unlisted = v.name;
    return ref;
  }

  void call(Call& c) override {
    std::vector<TapeRef> operands;
    bool changes = c.random;
    for (const TrackedTensor* x : c.operands) {
      operands.push_back(find(*x));
      changes = changes || changing.count(operands.back().entry) != 0;
    }
    const std::size_t entries_before = entries.size();
    const std::size_t steps_before = steps.size();
    TapeEntry& e = add(TapeEntry::Kind::operation, c.name);
    const int id = e.id;
    if (changes) changing.insert(id);
    e.attributes = c.text();
    e.operands = std::move(operands);
    e.site = c.site;
    if (depth == 0)
      steps.push_back({id, c.name, c.site, c.attributes, c.scalars, c.random,
                       c.has_function, e.attributes, c.body(), Modes::now()});
    ++depth;
    try {
      c.run();
    } catch (...) {
      --depth;
      entries.resize(entries_before);
      steps.resize(steps_before);
      throw;
    }
    --depth;
    for (int i = 0; i < c.results.size(); ++i) {
      entries[static_cast<std::size_t>(id)].results.push_back(
          describe(c.results[i]));
      know(c.results[i], {id, i});
    }
  }

  void read(const TrackedTensor& t) override {
    const TapeRef ref = find(t);
    if (changing.count(ref.entry) != 0) reads.push_back(ref);
  }

  void computes(std::span<Value* const> inside,
                std::span<Value* const> written) override {
    std::set<std::uint64_t>& ids = computed_ids.emplace_back();
    for (const Value* v : inside) ids.insert(v->id);
    for (const Value* v : written) ids.insert(v->id);
  }

  void written(const Value& v) override { nodes[v.id] = v.node(); }

  void bypassed(const char* name, CallSite site) override {
    if (depth == 0 && unlisted.empty()) {
      unlisted = name;
      if (site.line != 0)
        unlisted += " (called at " + std::string(site.file) + ":" +
                    std::to_string(site.line) + ")";
    }
  }

  bool nested() const override { return options.nested; }

  void find_bytes_and_launches();
  std::vector<std::size_t> last_uses() const;
  void check(const std::vector<TapeEntry>& all,
             const std::vector<Argument>& given, ReplayOptions replay) const;
};

// What the tape keeps for the entries after the run, and the launches that
// computed them.
void Recording::State::find_bytes_and_launches() {
  // Consumers first: what nobody else leads to is not kept.
  while (!nodes.empty()) {
    const auto last = std::prev(nodes.end());
    const auto at = numbered.find(last->first);
    const tape::NodePtr node = std::move(last->second);
    nodes.erase(last);
    if (!node || node->leaf || node->use_count() == 1 || at == numbered.end())
      continue;
    TapeEntry& e = entries[static_cast<std::size_t>(at->second.entry)];
    if (e.kind != TapeEntry::Kind::operation) continue;
    const tape::PullbackPtr pullback = node->pullback();
    e.given_up = node->is_given_up();
    e.bytes_saved += pullback ? pullback->saved_bytes() : 0;
  }
  std::map<std::size_t, int> names;
  for (const auto& [id, ref] : numbered) {
    TapeEntry& e = entries[static_cast<std::size_t>(ref.entry)];
    if (e.kind != TapeEntry::Kind::operation) continue;
    for (std::size_t i = 0; i < computed_ids.size() && e.launch < 0; ++i)
      if (computed_ids[i].count(id) != 0)
        e.launch =
            names.emplace(i, static_cast<int>(names.size())).first->second;
  }
}

// For each step, how many of the values are not needed after it: the entries
// to drop, as a step for each entry.
std::vector<std::size_t> Recording::State::last_uses() const {
  std::vector<std::size_t> last(entries.size(), 0);
  for (std::size_t s = 0; s < steps.size(); ++s) {
    last[static_cast<std::size_t>(steps[s].entry)] = s;
    for (const TapeRef& x :
         entries[static_cast<std::size_t>(steps[s].entry)].operands)
      if (x.entry >= 0) last[static_cast<std::size_t>(x.entry)] = s;
  }
  for (const TapeRef& r : results)
    if (r.entry >= 0) last[static_cast<std::size_t>(r.entry)] = steps.size();
  return last;
}

void Recording::State::check(const std::vector<TapeEntry>& all,
                             const std::vector<Argument>& given,
                             ReplayOptions replay) const {
  if (!unlisted.empty())
    throw GraphError("replay: the function used " + unlisted +
                     ", which a tape does not list");
  if (!reads.empty() && !replay.host_reads)
    throw GraphError(
        "replay: the host read the value of " +
        place_of(all[static_cast<std::size_t>(reads[0].entry)]) +
        " during the trace; what it did with it is not on the tape (see "
        "ReplayOptions::host_reads)");
  if (given.size() != arguments.size())
    throw GraphError("replay: the arguments have " +
                     std::to_string(given.size()) + " tensors, in the trace " +
                     std::to_string(arguments.size()));
  for (std::size_t i = 0; i < given.size(); ++i) {
    const TapeEntry& e = all[static_cast<std::size_t>(arguments[i])];
    const TapeEntry::Value& before = e.results[0];
    const TrackedTensor& now = given[i].value;
    const std::string where = "replay: " + named(given[i].path);
    if (given[i].path != e.operation || now.defined() != before.defined)
      throw GraphError(where + " was " + named(e.operation) +
                       (before.defined ? "" : ", undefined,") +
                       " in the trace: the structures differ");
    if (!before.defined) continue;
    if (now.dtype() != before.dtype)
      throw DTypeError(where + " is " + std::string(name_of(now.dtype())) +
                       ", in the trace " + std::string(name_of(before.dtype)));
    if (!replay.other_shapes && !(now.shape() == before.shape))
      throw ShapeError(where + " is " + to_string(now.shape()) +
                       ", in the trace " + to_string(before.shape) +
                       " (see ReplayOptions::other_shapes)");
  }
}

Recording::Recording(TraceOptions options)
    : state_(std::make_unique<State>(options)) {}
Recording::~Recording() = default;
Recording::Recording(Recording&&) noexcept = default;
Recording& Recording::operator=(Recording&&) noexcept = default;

void Recording::add_argument(std::string path, const TrackedTensor& x) {
  TapeEntry& e = state_->add(TapeEntry::Kind::argument, std::move(path));
  e.results.push_back(describe(x));
  state_->arguments.push_back(e.id);
  // The first place of a tied tensor stands for all.
  state_->changing.insert(e.id);
  const TapeRef own{e.id, 0};
  if (!x.defined()) return;
  const Value& v = *x.value();
  if (v.id == 0 ? state_->constants.count(&v) == 0
                : state_->numbered.count(v.id) == 0)
    state_->know(x, own);
}

void Recording::start() {
  state_->start = Modes::now();
  state_->started = tape::next_id();
  state_->observing.emplace(*state_);
}

void Recording::stop() { state_->observing.reset(); }

void Recording::add_result(const TrackedTensor& y) {
  if (y.defined()) {
    const tape::Observing on(*state_);
    const tape::Unobserved aside;
    tape::force(y, "trace");
  }
  state_->results.push_back(state_->find(y));
}

void Recording::finish(std::vector<TapeEntry>& entries,
                       std::vector<TapeRef>& results) {
  State& s = *state_;
  s.find_bytes_and_launches();
  s.numbered.clear();
  s.constants.clear();
  s.held.clear();
  s.computed_ids.clear();
  entries = s.entries;
  results = s.results;
}

std::vector<TrackedTensor> Recording::replay(
    const std::vector<TapeEntry>& entries, const std::vector<Argument>& given,
    ReplayOptions options) const {
  const State& s = *state_;
  s.check(entries, given, options);
  std::vector<std::vector<TrackedTensor>> values(entries.size());
  for (std::size_t i = 0; i < given.size(); ++i)
    values[static_cast<std::size_t>(s.arguments[i])] = {given[i].value};
  for (const auto& [entry, value] : s.captured)
    values[static_cast<std::size_t>(entry)] = {value};
  const auto value_of = [&](const TapeRef& r) {
    return r.entry < 0 ? TrackedTensor()
                       : values[static_cast<std::size_t>(r.entry)]
                               [static_cast<std::size_t>(r.result)];
  };
  const std::vector<std::size_t> last = s.last_uses();
  for (std::size_t k = 0; k < s.steps.size(); ++k) {
    const Step& step = s.steps[k];
    const TapeEntry& e = entries[static_cast<std::size_t>(step.entry)];
    std::vector<TrackedTensor> inputs;
    for (const TapeRef& x : e.operands) inputs.push_back(value_of(x));
    for (const TapeRef& x : e.operands)
      if (x.entry >= 0 && last[static_cast<std::size_t>(x.entry)] == k)
        values[static_cast<std::size_t>(x.entry)].clear();
    CallAgain call(step, inputs);
    try {
      const ModesOfCall modes(step.modes, s.start);
      if (tape::observation.active)
        tape::show(call);
      else
        call.run();
    } catch (const Error&) {
      rethrow_with("replay: " + place_of(e) + ": ");
    }
    if (last[static_cast<std::size_t>(step.entry)] != k)
      values[static_cast<std::size_t>(step.entry)].assign(
          std::make_move_iterator(call.results.begin()),
          std::make_move_iterator(call.results.end()));
  }
  std::vector<TrackedTensor> out;
  for (const TapeRef& r : s.results) out.push_back(value_of(r));
  return out;
}

}  // namespace detail

Tape tape_of(const TrackedTensor& y) {
  Tape out;
  const tape::Unobserved aside;
  tape::ValuePtr v = tape::snapshot(y, "tape_of");
  tape::force(*v);
  std::vector<tape::NodePtr> nodes;
  std::unordered_map<const tape::Node*, int> places;
  const auto visit = [&](const tape::NodePtr& node) {
    if (node && places.emplace(node.get(), 0).second) nodes.push_back(node);
  };
  visit(v->node());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const tape::PullbackPtr pullback = nodes[i]->pullback();
    if (!pullback) continue;
    const tape::Edges& edges = pullback->edges();
    for (int k = 0; k < edges.size(); ++k) visit(edges[k]);
  }
  std::ranges::sort(nodes, {}, [](const auto& n) { return n->id; });
  for (std::size_t i = 0; i < nodes.size(); ++i)
    places[nodes[i].get()] = static_cast<int>(i);
  for (const tape::NodePtr& node : nodes) {
    TapeEntry& e = out.entries_.emplace_back();
    e.id = places[node.get()];
    e.kind =
        node->leaf ? TapeEntry::Kind::captured : TapeEntry::Kind::operation;
    e.operation = node->name;
    e.site = node->site;
    e.given_up = node->is_given_up();
    e.results.push_back({true, node->shape, node->dtype, true});
    const tape::PullbackPtr pullback = node->pullback();
    if (!pullback) continue;
    e.bytes_saved = pullback->saved_bytes();
    const tape::Edges& edges = pullback->edges();
    for (int k = 0; k < edges.size(); ++k)
      e.operands.push_back({edges[k] ? places[edges[k].get()] : -1, 0});
  }
  if (v->node()) out.results_.push_back({places[v->node().get()], 0});
  return out;
}

}  // namespace jacquard
