#include "core/plan/planner.h"

#include <algorithm>
#include <utility>

#include "core/tape/planned_scalar.h"
#include "core/tape/region.h"
#include "core/tensor/layout.h"
#include "jacquard/error.h"

namespace jacquard::plan {

using backend::LaunchList;

namespace {

constinit thread_local Planner* planning = nullptr;

}  // namespace

Planner::Planner() : plan_(std::make_unique<Plan>()) {
  plan_->stream = current_stream(default_device());
  plan_->list = std::make_unique<LaunchList>();
  planning = this;
}

Planner::~Planner() {
  planning = nullptr;
  for (Mark& m : marks_) m.take_off();
}

Planner* Planner::current() { return planning; }

void touch_gradient(tape::Node& node) {
  if (planning) [[unlikely]]
    planning->touch_gradient(node);
}

void Planner::fail(std::string why) {
  if (failure_.empty()) failure_ = std::move(why);
}

bool Planner::on_device(Device device) {
  if (!std::exchange(knows_device_, true))
    plan_->stream = current_stream(device);
  if (device == plan_->stream.device()) return true;
  fail("it works on " + to_string(plan_->stream.device()) + " and " +
       to_string(device));
  return false;
}

int Planner::memory_of(Storage& storage) {
  const int known = memories_.find(storage.data());
  if (known >= 0) return known;
  const int number = static_cast<int>(plan_->memories.size());
  Memory& m = plan_->memories.emplace_back();
  m.list = plan_->list->declare(storage.data(), storage.bytes());
  memories_.insert(storage.data(), number);
  return number;
}

void Planner::place(Item& item, const Tensor& t) {
  item.strides = t.strides();
  item.memory = memory_of(t.storage());
  item.offset = static_cast<const char*>(t.data_ptr()) -
                static_cast<const char*>(t.storage().data());
  Memory& m = plan_->memories[item.memory];
  if (item.kind != Item::Kind::constant) {
    m.constant = false;
    return;
  }
  const auto size = static_cast<std::ptrdiff_t>(size_of(t.dtype()));
  const Reach reach = reach_of(t.shape(), t.strides());
  const std::ptrdiff_t lowest = item.offset + reach.lowest * size;
  const std::ptrdiff_t end = item.offset + (reach.highest + 1) * size;
  const bool first = m.lowest == m.end;
  m.lowest = first ? lowest : std::min(m.lowest, lowest);
  m.end = first ? end : std::max(m.end, end);
}

int Planner::leaf_item(Value& cell) {
  const tape::Snapshot now = tape::snapshot_of(cell);
  const int known = leaves_.find(&cell);
  if (known >= 0) {
    for (const auto& [item, version] : versions_)
      if (item == known && version != now.version)
        fail("it replaces what a leaf holds, or keeps what one held");
    return known;
  }
  if (!on_device(cell.device)) return kUndefined;
  const int number = static_cast<int>(plan_->items.size());
  Item& item = plan_->items.emplace_back();
  item.kind = Item::Kind::leaf;
  item.shape = cell.shape;
  item.dtype = cell.dtype;
  item.device = cell.device;
  item.tracked = true;
  item.leaf = ValuePtr(&cell);
  place(item, now.value->tensor());
  leaves_.insert(&cell, number);
  versions_.emplace_back(number, now.version);
  return number;
}

int Planner::snapshot_item(const Value& v) {
  for (const auto& [item, version] : versions_) {
    const tape::Snapshot now = tape::snapshot_of(*plan_->items[item].leaf);
    if (now.value.get() == &v && now.version == version) return item;
  }
  return kUndefined;
}

int Planner::constant_item(const TrackedTensor& t) {
  Value& v = *t.value();
  const int known = constants_.find(&v);
  if (known >= 0) return known;
  if (v.tracked) {
    fail(std::string("it uses ") + v.name + called_at(v.site) +
         ", which was recorded outside of it");
    return kUndefined;
  }
  if (!on_device(v.device)) return kUndefined;
  const Tensor array = tape::force(v);
  const int number = static_cast<int>(plan_->items.size());
  Item& item = plan_->items.emplace_back();
  item.kind = Item::Kind::constant;
  item.shape = v.shape;
  item.dtype = v.dtype;
  item.device = v.device;
  place(item, array);
  constants_.insert(&v, number);
  held_.emplace_back(&v);
  return number;
}

int Planner::item_of(const TrackedTensor& t) {
  Value* v = t.value();
  if (!v) return kUndefined;
  if (const Mark* m = Mark::of(*v, this)) return m->item;
  if (v->cell) return leaf_item(*v);
  if (v->written() && v->node() && v->node()->leaf) {
    const int item = snapshot_item(*v);
    if (item == kUndefined) fail("it uses what a leaf held before");
    return item;
  }
  return constant_item(t);
}

Step::Result Planner::result_of(const TrackedTensor& t) {
  Value* v = t.value();
  if (!v) return {};
  if (const Mark* m = Mark::of(*v, this)) return {m->item, false};
  if (v->cell) {
    const int item = leaves_.find(v);
    if (item < 0) fail("it makes a new leaf");
    return {item, true};
  }
  if (v->written() && v->node() && v->node()->leaf)
    if (const int item = snapshot_item(*v); item >= 0) return {item, false};
  if (const int item = constants_.find(v); item >= 0) return {item, false};
  on_device(v->device);
  const int number = static_cast<int>(plan_->items.size());
  Item& item = plan_->items.emplace_back();
  item.shape = v->shape;
  item.dtype = v->dtype;
  item.device = v->device;
  item.tracked = v->tracked;
  item.name = v->name;
  item.site = v->site;
  item.stream = v->stream;
  item.zero = v->zero.load(std::memory_order_relaxed);
  marks_.emplace_back(this, number).put_on(*v);
  return {number, false};
}

void Planner::note_writes() {
  if (plan_->first_write < plan_->steps.size()) return;
  for (const auto& [item, version] : versions_) {
    const Memory& m = plan_->memories[plan_->items[item].memory];
    if (plan_->list->writes(m.list)) plan_->first_write = plan_->steps.size();
  }
}

namespace {

// The thread's stream on the device when the modes were taken.
Stream stream_on(Device device, const Modes& modes) {
  return modes.stream.device() == device ? modes.stream
                                         : current_stream(device);
}

}  // namespace

template <class Run>
void Planner::take_down(Step step,
                        std::span<const TrackedTensor* const> operands,
                        std::span<Literal> scalars, Run run) {
  for (const TrackedTensor* t : operands) step.operands.push_back(item_of(*t));
  step.first_scalar = plan_->scalars;
  step.scalars = static_cast<int>(scalars.size());
  plan_->scalars += step.scalars;
  for (int i = 0; i < step.scalars; ++i) {
    plan_->values.push_back(scalars[i]);
    if (scalars[i].origin == 0)
      scalars[i].origin = origin_of(step.first_scalar + i);
  }
  seen_.clear();
  const std::vector<Literal> values(scalars.begin(), scalars.end());
  std::span<const TrackedTensor> results;
  {
    const LaunchList::Recording recording(*plan_->list);
    const tape::PlannedScalar::Watch watch(seen_);
    results = run();
  }
  for (std::uint32_t origin : seen_) {
    const int scalar = static_cast<int>(origin - 1) / 2 - step.first_scalar;
    if (scalar >= 0) step.guards.push_back({scalar, values[scalar].i});
  }
  guard(seen_);
  for (const TrackedTensor& t : results) step.results.push_back(result_of(t));
  note_writes();
  // Of the first call the device is known by now.
  step.modes.stream = stream_on(plan_->stream.device(), step.modes);
  plan_->steps.push_back(std::move(step));
}

void Planner::freeze() { plan_->frozen = true; }

void Planner::add_argument(const TrackedTensor& t) {
  plan_->arguments.push_back(item_of(t));
}

std::uint32_t Planner::add_argument(Literal scalar) {
  plan_->values.push_back(scalar);
  ++plan_->argument_scalars;
  return origin_of(plan_->scalars++);
}

void Planner::guard(std::span<const std::uint32_t> seen) {
  for (std::uint32_t origin : seen) {
    const int scalar = static_cast<int>(origin - 1) / 2;
    if (scalar < plan_->argument_scalars)
      plan_->guards.push_back({scalar, plan_->values[scalar].i});
  }
}

void Planner::add_result(const TrackedTensor& t) {
  const int item = item_of(t);
  if (item == kUndefined && t.defined()) fail("a result is unknown");
  plan_->results.push_back(item);
}

void Planner::call(tape::Call& c) {
  if (!failure_.empty()) return c.run();
  if (c.has_function) {
    fail(std::string(c.name) + called_at(c.site) +
         " takes a function, which may be another at each call");
    return c.run();
  }
  Step step;
  step.name = c.name;
  step.site = c.site;
  step.modes = Modes::now(plan_->stream.device());
  step.attributes.assign(c.attributes.begin(), c.attributes.end());
  step.body = c.body();
  if (c.random) plan_->draws.push_back(plan_->scalars);
  take_down(std::move(step),
            {c.operands.data(), static_cast<std::size_t>(c.operands.size())},
            {c.scalars.data(), static_cast<std::size_t>(c.scalars.size())},
            [&] {
              c.run();
              return std::span<const TrackedTensor>(
                  c.results.data(), static_cast<std::size_t>(c.results.size()));
            });
}

std::vector<TrackedTensor> Planner::again(
    const Step& before, std::span<const TrackedTensor> operands,
    std::span<const Literal> scalars) {
  std::vector<const TrackedTensor*> pointers;
  for (const TrackedTensor& t : operands) pointers.push_back(&t);
  std::vector<Literal> own(scalars.begin(), scalars.end());
  tape::Results results;
  const auto run = [&] {
    before.body({.operands = operands.data(), .scalars = own.data()}, results);
    return std::span<const TrackedTensor>(
        results.data(), static_cast<std::size_t>(results.size()));
  };
  if (!failure_.empty()) {
    run();
  } else {
    Step step;
    step.name = before.name;
    step.site = before.site;
    step.modes = before.modes;
    step.attributes = before.attributes;
    step.body = before.body;
    take_down(std::move(step), pointers, own, run);
  }
  return {results.begin(), results.end()};
}

void Planner::equate(const TrackedTensor& known, Value& other) {
  const Mark* m = known.value() ? Mark::of(*known.value(), this) : nullptr;
  if (m) marks_.emplace_back(this, m->item).put_on(other);
}

void Planner::force(Value& v) {
  const LaunchList::Recording recording(*plan_->list);
  tape::force(v);
}

void Planner::read(const TrackedTensor& x) {
  const Value* v = x.value();
  if (!v || (!v->cell && !Mark::of(*v, this))) return;
  fail(v->cell ? "the value of a leaf is read on the host"
               : "the value of " + std::string(v->name) + called_at(v->site) +
                     " is read on the host");
}

void Planner::touch_gradient(tape::Node& node) {
  for (const Gradient& g : plan_->gradients)
    if (g.node.get() == &node) return;
  if (!node.leaf)
    return fail("the gradient of " + std::string(node.name) +
                called_at(node.site) + ", which is no leaf, is kept");
  Gradient g;
  g.node = NodePtr(&node);
  if (tape::Node::Extras* extras = node.find_extras()) {
    std::lock_guard lock(extras->mutex);
    if (extras->grad.defined()) {
      Item at;
      place(at, extras->grad);
      g.defined = true;
      g.strides = at.strides;
      g.memory = at.memory;
      g.offset = at.offset;
      g.before = extras->grad;
    }
  }
  plan_->gradients.push_back(std::move(g));
}

int Planner::array_of(const Tensor& t) {
  Storage& storage = t.storage();
  Array array;
  array.shape = t.shape();
  array.strides = t.strides();
  array.dtype = t.dtype();
  array.offset = static_cast<const char*>(t.data_ptr()) -
                 static_cast<const char*>(storage.data());
  array.memory = memories_.find(storage.data());
  if (array.memory < 0) {
    if (!plan_->list->arena().holds(storage.data())) {
      fail("a result lies in memory that was not made in it");
      return -1;
    }
    array.storage = storages_.find(&storage);
    if (array.storage < 0) {
      array.storage = static_cast<int>(plan_->storages.size());
      plan_->storages.emplace_back(&storage);
      storages_.insert(&storage, array.storage);
    }
  }
  plan_->arrays.push_back(array);
  return static_cast<int>(plan_->arrays.size()) - 1;
}

void Planner::add_export(int item, Value& v) {
  if (plan_->export_of[item] >= 0) return;
  if (v.tracked && !(v.written() && v.node()->is_given_up()))
    return fail("its result " + std::string(v.name) + called_at(v.site) +
                " is recorded on a tape that is reversed outside of it");
  force(v);
  plan_->export_of[item] = static_cast<int>(plan_->exports.size());
  plan_->exports.push_back({item, array_of(v.tensor())});
}

void Planner::finish_gradients() {
  for (Gradient& g : plan_->gradients) {
    Tensor now;
    if (tape::Node::Extras* extras = g.node->find_extras()) {
      std::lock_guard lock(extras->mutex);
      now = extras->grad;
    }
    const bool same = now.defined() && g.before.defined() &&
                      now.data_ptr() == g.before.data_ptr();
    g.before = {};
    g.changed = !same && (now.defined() || g.defined);
    if (g.changed && now.defined()) g.result = array_of(now);
  }
}

std::unique_ptr<Plan> Planner::finish() {
  plan_->export_of.assign(plan_->items.size(), -1);
  for (auto m = marks_.rbegin(); m != marks_.rend(); ++m)
    if (const ValuePtr v = m->take_off(); v && failure_.empty())
      add_export(m->item, *v);
  finish_gradients();
  for (const auto& [item, version] : versions_)
    if (tape::snapshot_of(*plan_->items[item].leaf).version != version)
      fail("it replaces what a leaf holds, or keeps what one held");
  if (!plan_->list->failure().empty()) fail(plan_->list->failure());
  if (!failure_.empty()) return nullptr;
  for (const ValuePtr& v : held_)
    if (plan_->frozen)
      plan_->captured.emplace_back(constants_.find(v.get()), v);
  plan_->stand_ins.resize(plan_->items.size());
  return std::move(plan_);
}

}  // namespace jacquard::plan
