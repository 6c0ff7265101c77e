#include "core/plan/replay.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/backend/launch.h"
#include "core/plan/planner.h"
#include "core/tape/leaf_memory.h"
#include "core/tape/region.h"
#include "jacquard/create.h"
#include "jacquard/error.h"

namespace jacquard::plan {
namespace {

// Equal literals of different translation units have different addresses.
bool same_name(const char* a, const char* b) {
  return a == b || std::strcmp(a, b) == 0;
}

Tensor gradient_of(const tape::Node& node) {
  tape::Node::Extras* extras = node.find_extras();
  if (!extras) return {};
  std::lock_guard lock(extras->mutex);
  return extras->grad;
}

void set_gradient(tape::Node& node, Tensor t) {
  tape::Node::Extras& extras = node.extras();
  std::lock_guard lock(extras.mutex);
  std::swap(extras.grad, t);
}

bool same_item(const Item& a, const Item& b) {
  return a.kind == b.kind && a.shape == b.shape && a.dtype == b.dtype &&
         a.device == b.device && a.tracked == b.tracked && a.leaf == b.leaf &&
         a.strides == b.strides && a.zero == b.zero && a.stream == b.stream;
}

bool same_step(const Step& a, const Step& b) {
  const auto same_result = [](const Step::Result& x, const Step::Result& y) {
    return x.item == y.item && x.as_leaf == y.as_leaf;
  };
  return same_name(a.name, b.name) && a.modes == b.modes &&
         a.operands == b.operands && a.attributes == b.attributes &&
         a.scalars == b.scalars &&
         std::ranges::equal(a.results, b.results, same_result);
}

bool has_hooks(const Item& item) {
  if (item.kind != Item::Kind::leaf) return false;
  tape::Node::Extras* extras = item.leaf->cell->node->find_extras();
  if (!extras) return false;
  std::lock_guard lock(extras->mutex);
  return !extras->hooks.empty();
}

}  // namespace

bool Replay::may_begin(const Plan& plan) {
  if (std::ranges::any_of(plan.items, has_hooks)) return false;
  return std::ranges::all_of(plan.gradients, [](const Gradient& g) {
    const Tensor now = gradient_of(*g.node);
    return now.defined() == g.defined &&
           (!g.defined || now.strides() == g.strides);
  });
}

void Replay::begin(Plan& plan) {
  plan_ = &plan;
  cursor_ = 0;
  bound_.assign(plan.items.size(), nullptr);
  scalars_.resize(2 * static_cast<std::size_t>(plan.scalars));
}

bool Replay::bind_leaf(const Item& item, int number, Value* v) {
  Value* cell = item.leaf.get();
  const tape::Snapshot now = tape::snapshot_of(*cell);
  if (v != cell && (v != now.value.get() || cursor_ > plan_->first_write))
    return false;
  if (bound_[number] != cell &&
      !(now.value->tensor().strides() == item.strides))
    return false;
  bound_[number] = cell;
  return true;
}

bool Replay::bind_constant(const Item& item, int number, Value* v) {
  if (v->cell || v->planned() || v->tracked || !(v->shape == item.shape) ||
      v->dtype != item.dtype || !(v->device == item.device))
    return false;
  if (!(tape::force(*v).strides() == item.strides)) return false;
  for (const auto& [other, value] : constants_)
    if (value.get() == v) return false;
  bound_[number] = v;
  constants_.emplace_back(number, ValuePtr(v));
  return true;
}

bool Replay::bind(const Item& item, int number, Value* v) {
  if (bound_[number] == v) return true;
  switch (item.kind) {
    case Item::Kind::leaf:
      return bind_leaf(item, number, v);
    case Item::Kind::constant:
      return !bound_[number] && bind_constant(item, number, v);
    case Item::Kind::result:
      break;
  }
  return false;
}

void Replay::unbind(std::size_t constants) {
  while (constants_.size() > constants) {
    bound_[constants_.back().first] = nullptr;
    constants_.pop_back();
  }
}

bool Replay::matches(const Plan& plan, const Step& step, const tape::Call& c) {
  const auto n = static_cast<std::size_t>(c.operands.size());
  if (!same_name(step.name, c.name) || step.operands.size() != n ||
      step.scalars != c.scalars.size() ||
      !std::ranges::equal(step.attributes, c.attributes) ||
      !(step.modes == Modes::now(plan.stream.device())))
    return false;
  for (const Step::Guard& g : step.guards)
    if (c.scalars[g.scalar].i != g.bits) return false;
  const std::size_t before = constants_.size();
  for (std::size_t i = 0; i < n; ++i) {
    const int number = step.operands[i];
    Value* v = c.operands[static_cast<int>(i)]->value();
    const bool same = number == kUndefined
                          ? v == nullptr
                          : v != nullptr && bind(plan.items[number], number, v);
    if (same) continue;
    unbind(before);
    return false;
  }
  return true;
}

Value& Replay::stand_in(int number) {
  const Item& item = plan_->items[number];
  ValuePtr& v = plan_->stand_ins[number];
  if (!v || v->use_count() > 1) {
    v = make_intrusive<Value>(item.name, item.site, item.shape, item.dtype,
                              item.stream, item.tracked);
    if (item.zero) v->zero.store(true, std::memory_order_relaxed);
  }
  handed_.push_back(number);
  return *v;
}

void Replay::fill_in(tape::Call& c, const Step& step) {
  auto to = scalars_.begin() + 2 * step.first_scalar;
  for (const Literal& l : c.scalars) {
    to++->i = l.i;
    to++->f = static_cast<double>(l.i);
  }
  for (const Step::Result& r : step.results) {
    if (r.item == kUndefined) {
      c.results.push_back({});
      continue;
    }
    Value*& v = bound_[r.item];
    if (!v) v = &stand_in(r.item);
    const bool held = v->cell && !r.as_leaf;
    c.results.push_back(
        tape::handle(held ? tape::snapshot_of(*v).value : ValuePtr(v)));
  }
  ++cursor_;
}

bool Replay::answer(tape::Call& c) {
  if (cursor_ == plan_->steps.size()) return false;
  const Step& step = plan_->steps[cursor_];
  if (!matches(*plan_, step, c)) return false;
  fill_in(c, step);
  return true;
}

bool Replay::same_beginning(const Plan& other) const {
  if (other.steps.size() <= cursor_ || !(other.stream == plan_->stream))
    return false;
  for (std::size_t k = 0; k < cursor_; ++k) {
    const Step& a = plan_->steps[k];
    const Step& b = other.steps[k];
    if (!same_step(a, b)) return false;
    const auto same = [&](int i) {
      return i == kUndefined || same_item(plan_->items[i], other.items[i]);
    };
    for (int i : a.operands)
      if (!same(i)) return false;
    for (const Step::Result& r : a.results)
      if (!same(r.item)) return false;
    for (const Step::Guard& g : b.guards)
      if (scalars_[2 * (b.first_scalar + g.scalar)].i != g.bits) return false;
  }
  return true;
}

bool Replay::answer_with(Plan& other, tape::Call& c) {
  if (!same_beginning(other) || !may_begin(other)) return false;
  std::vector<Value*> bound = bound_;
  bound_.resize(other.items.size());
  if (!matches(other, other.steps[cursor_], c)) {
    bound_ = std::move(bound);
    return false;
  }
  for (int i : handed_) std::swap(other.stand_ins[i], plan_->stand_ins[i]);
  plan_ = &other;
  scalars_.resize(2 * static_cast<std::size_t>(other.scalars));
  fill_in(c, other.steps[cursor_]);
  return true;
}

bool Replay::all_results_are_known() const {
  return std::ranges::all_of(handed_, [&](int i) {
    return plan_->stand_ins[i]->use_count() == 1 || plan_->export_of[i] >= 0;
  });
}

bool Replay::lies_at(const Tensor& t, std::ptrdiff_t offset, int memory) {
  Place& place = places_[memory];
  const char* data =
      static_cast<const char*>(t.data_on(plan_->stream)) - offset;
  if (place.data) return place.data == data;
  place = {data, &t.storage()};
  return true;
}

bool Replay::find_memories() {
  places_.assign(plan_->memories.size(), {});
  for (const auto& [number, value] : constants_) {
    const Item& item = plan_->items[number];
    if (!lies_at(value->tensor(), item.offset, item.memory)) return false;
  }
  for (const Item& item : plan_->items) {
    if (item.kind != Item::Kind::leaf) continue;
    const tape::Snapshot now = tape::snapshot_of(*item.leaf);
    if (!lies_at(now.value->tensor(), item.offset, item.memory)) return false;
  }
  for (const Gradient& g : plan_->gradients)
    if (g.defined && plan_->list->names(plan_->memories[g.memory].list) &&
        !lies_at(gradient_of(*g.node), g.offset, g.memory))
      return false;
  return true;
}

// Gradients that the plan replaces and doesn't read: their memory may be where
// it writes the new ones.
void Replay::release_gradients() {
  for (const Gradient& g : plan_->gradients) {
    if (!g.defined || !g.changed ||
        plan_->list->names(plan_->memories[g.memory].list))
      continue;
    Tensor before = gradient_of(*g.node);
    const bool own = std::ranges::any_of(plan_->storages,
                                         [&](const IntrusivePtr<Storage>& s) {
                                           return s.get() == &before.storage();
                                         });
    if (own && g.result >= 0) before = {};
    released_.emplace_back(&g, std::move(before));
    set_gradient(*g.node, {});
  }
}

// A launch threw. What lies in the plan's memory is there unless the launch
// that replaces it has run.
void Replay::restore_gradients() noexcept {
  for (auto& [g, before] : released_)
    set_gradient(*g->node,
                 before.defined() ? std::move(before) : array(g->result));
  released_.clear();
}

// What others hold of earlier results moves to a copy.
void Replay::make_room() {
  bool moved = false;
  for (IntrusivePtr<Storage>& s : plan_->storages) {
    if (s->use_count() == 1) continue;
    s = s->make_writable(plan_->stream, 0);
    moved = true;
  }
  if (moved && !find_memories())
    throw GraphError("internal: memory of a compiled call came apart");
}

bool Replay::is_ready() {
  for (const Item& item : plan_->items)
    if (item.kind == Item::Kind::leaf &&
        plan_->list->writes(plan_->memories[item.memory].list))
      tape::make_leaf_writable(*item.leaf);
  return find_memories();
}

void Replay::run_plan() {
  release_gradients();
  try {
    make_room();
    launch();
  } catch (...) {
    restore_gradients();
    throw;
  }
  released_.clear();
  hand_out();
}

bool Replay::finish() {
  if (cursor_ != plan_->steps.size() || !all_results_are_known()) return false;
  const StreamScope scope(plan_->stream);
  if (!is_ready()) return false;
  run_plan();
  return true;
}

// The memory of constants that are not where the graph expects them is copied.
bool Replay::settle_graph() {
  bool same = plan_->tried_graph;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    Memory& m = plan_->memories[i];
    const char* at = places_[i].data;
    if (!at) continue;
    if (!m.own && m.fixed && m.fixed != at && m.constant)
      m.own = Storage::allocate(static_cast<std::size_t>(m.end - m.lowest),
                                plan_->stream);
    if (m.own) {
      backend::copy("compile", m.own->write_on(plan_->stream), at + m.lowest,
                    m.own->bytes(), plan_->stream);
      at = static_cast<const char*>(m.own->data()) - m.lowest;
    }
    same = same && m.fixed == at;
    m.fixed = at;
    plan_->list->place(m.list, at);
  }
  if (!same) {
    plan_->tried_graph = true;
    plan_->graph = plan_->list->make_graph(scalars_.size(), plan_->stream);
  }
  return plan_->graph != nullptr;
}

void Replay::launch() {
  if (!plan_->tried_graph || plan_->graph) {
    if (settle_graph()) return plan_->graph->run(scalars_, plan_->stream);
  }
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (places_[i].data)
      plan_->list->place(plan_->memories[i].list, places_[i].data);
  plan_->list->run(scalars_);
}

Tensor Replay::array(int number) const {
  const Array& a = plan_->arrays[number];
  const auto size = static_cast<std::ptrdiff_t>(size_of(a.dtype));
  IntrusivePtr<Storage> storage;
  std::ptrdiff_t offset = a.offset;
  if (a.storage >= 0) {
    storage = plan_->storages[a.storage];
  } else {
    const Place& place = places_[a.memory];
    storage = IntrusivePtr<Storage>(place.storage);
    offset += place.data - static_cast<const char*>(storage->data());
  }
  return TensorImpl::make(std::move(storage), a.shape, a.strides, offset / size,
                          a.dtype);
}

void Replay::hand_out() {
  for (const Export& e : plan_->exports) {
    ValuePtr& v = plan_->stand_ins[e.item];
    if (!v || v->use_count() == 1) continue;
    NodePtr node;
    if (v->tracked)
      node =
          tape::Node::given_up(v->name, v->site, v->shape, v->dtype, v->stream);
    v->publish(array(e.array), std::move(node));
    v = nullptr;
  }
  for (const Gradient& g : plan_->gradients)
    if (g.changed)
      set_gradient(*g.node, g.result < 0 ? Tensor() : array(g.result));
}

void Replay::unwind(Planner* planner) {
  std::vector<TrackedTensor> values(plan_->items.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    if (bound_[i] && plan_->items[i].kind != Item::Kind::result)
      values[i] = tape::handle(ValuePtr(bound_[i]));
  for (std::size_t k = 0; k < cursor_; ++k) {
    const Step& step = plan_->steps[k];
    std::vector<TrackedTensor> operands;
    for (int i : step.operands)
      operands.push_back(i == kUndefined ? TrackedTensor() : values[i]);
    std::vector<Literal> scalars;
    for (int i = 0; i < step.scalars; ++i)
      scalars.push_back(scalars_[2 * (step.first_scalar + i)]);
    const Modes::Scope modes(step.modes);
    std::vector<TrackedTensor> results;
    if (planner) {
      results = planner->again(step, operands, scalars);
    } else {
      tape::Results made;
      step.body({.operands = operands.data(), .scalars = scalars.data()}, made);
      results.assign(made.begin(), made.end());
    }
    for (std::size_t j = 0; j < step.results.size(); ++j)
      if (const int i = step.results[j].item;
          i != kUndefined && !values[i].defined())
        values[i] = results[j];
  }
  for (auto i = handed_.rbegin(); i != handed_.rend(); ++i) {
    ValuePtr& v = plan_->stand_ins[*i];
    if (v->use_count() == 1) continue;
    const ValuePtr real = tape::snapshot(values[*i], "compile");
    if (planner)
      planner->force(*real);
    else
      tape::force(*real);
    v->publish(real->tensor(), real->node());
    if (planner) planner->equate(values[*i], *v);
    v = nullptr;
  }
  clear();
}

void Replay::clear() {
  if (!plan_) return;
  for (int i : handed_)
    if (ValuePtr& v = plan_->stand_ins[i]; v && v->use_count() > 1) v = nullptr;
  handed_.clear();
  constants_.clear();
  plan_ = nullptr;
}

}  // namespace jacquard::plan
