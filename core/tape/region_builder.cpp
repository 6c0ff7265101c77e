#include "core/tape/region_builder.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_map>

#include "core/tape/anomaly.h"
#include "core/tape/region.h"
#include "jacquard/error.h"

namespace jacquard::tape {

using pointwise::Code;
using pointwise::Instr;
using pointwise::kNoRef;
using pointwise::ProgramPtr;
using pointwise::Ref;

DType dtype_of_arg(Op op, int i, DType operand_dtype) {
  if (op == Op::where && i == 0) return DType::bool_;
  if (op == Op::row_pick && i == 1) return DType::int64;
  return operand_dtype;
}

namespace {
std::size_t spread(const void* key) {
  return static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(key) >> 4) *
                                      0x9e3779b97f4a7c15ull >>
                                  32);
}
}  // namespace

int PointerMap::find(const void* key) const {
  if (size_ <= kShort) {
    for (std::size_t i = 0; i < size_; ++i)
      if (short_[i].key == key) return short_[i].value;
    return -1;
  }
  const std::size_t mask = table_.size() - 1;
  for (std::size_t i = spread(key) & mask;; i = (i + 1) & mask) {
    if (table_[i].key == key) return table_[i].value;
    if (!table_[i].key) return -1;
  }
}

void PointerMap::insert(const void* key, int value) {
  if (size_ < kShort) {
    short_[size_++] = {key, value};
    return;
  }
  if (size_ == kShort) {
    if (table_.empty()) table_.resize(4 * kShort);
    for (const Entry& e : short_) place(e.key) = e;
  } else if (2 * (size_ + 1) > table_.size()) {
    grow();
  }
  place(key) = {key, value};
  ++size_;
}

PointerMap::Entry& PointerMap::place(const void* key) {
  const std::size_t mask = table_.size() - 1;
  std::size_t i = spread(key) & mask;
  while (table_[i].key) i = (i + 1) & mask;
  return table_[i];
}

void PointerMap::clear() {
  if (size_ > kShort) std::fill(table_.begin(), table_.end(), Entry{});
  size_ = 0;
}

void PointerMap::grow() {
  std::vector<Entry> old(2 * table_.size());
  old.swap(table_);
  for (const Entry& e : old)
    if (e.key) place(e.key) = e;
}

void RegionBuilder::begin(const Shape& s, std::span<Value* const> stops) {
  release();
  space = s;
  stops_ = stops;
}

void RegionBuilder::release() {
  // Users before operands were pinned, and keep them alive.
  while (!pinned_.empty()) {
    pinned_.back()->unpin();
    pinned_.pop_back();
  }
  labels.clear();
  code.instrs.clear();
  code.leaves.clear();
  code.slots.clear();
  code.constants.clear();
  code.outputs.clear();
  leaves.clear();
  slots.clear();
  output_shapes_.clear();
  inside.clear();
  repeated.clear();
  products.clear();
  refs_.clear();
  stack_.clear();
  has_row = false;
  has_stop = false;
  root_ = nullptr;
}

bool RegionBuilder::add_output(Value& v) {
  if (v.reduction == Reduction::store) {
    if (v.written()) return false;
    root_ = &v;
    output(visit(v), Reduction::store, v.shape);
    return true;
  }
  const Expression* e = v.pin();
  if (!e) return false;
  pinned_.push_back(&v);
  root_ = nullptr;
  Value& operand = *e->args[0].value;
  Ref r = visit(operand);
  if (code.instrs[r].dtype != e->operand_dtype)
    r = push({Op::cast, e->operand_dtype, 0, {r, kNoRef, kNoRef}});
  output(r, e->reduction, operand.shape);
  return true;
}

Ref RegionBuilder::add_value(Value& v) {
  root_ = &v;
  return visit(v);
}

// Whether the frame's value is in the inside; else it became a leaf.
bool RegionBuilder::open(Frame& f) {
  Value& v = *f.value;
  bool stop = v.reduction != Reduction::store || v.product;
  for (Value* s : stops_) stop = stop || (s == &v && &v != root_);
  if (!stop) f.expression = v.pin();
  if (!f.expression) {
    if (v.product && !v.written()) products.push_back(&v);
    refs_.insert(&v, leaf(v));
    return false;
  }
  pinned_.push_back(&v);
  f.leaves_before = leaves.size();
  return true;
}

Ref RegionBuilder::visit(Value& root) {
  stack_.push_back({&root, nullptr, 0, 0});
  while (!stack_.empty()) {
    Frame& f = stack_.back();
    Value& v = *f.value;
    if (!f.expression && (refs_.find(&v) >= 0 || !open(f))) {
      stack_.pop_back();
      continue;
    }
    const Arg* args = f.expression->args;
    while (f.next < 3 &&
           (!args[f.next].value || refs_.find(args[f.next].value.get()) >= 0))
      ++f.next;
    if (f.next < 3) {
      stack_.push_back({args[f.next].value.get(), nullptr, 0, 0});
      continue;
    }
    refs_.insert(&v, emit(v, *f.expression));
    if (looks_for_anomalies())
      labels.resize(code.instrs.size(), {v.name, v.site});
    if (&v != root_ && v.inlined.load(std::memory_order_relaxed) &&
        v.use_count() > 1 && !v.has_row && leaves.size() > f.leaves_before &&
        v.shape == space)
      repeated.push_back(&v);
    inside.push_back(&v);
    stack_.pop_back();
  }
  return static_cast<Ref>(refs_.find(&root));
}

int RegionBuilder::leaf(Value& v) {
  const auto number = static_cast<std::uint16_t>(code.leaves.size());
  code.leaves.push_back({Op::load, v.dtype, 0, 0, false});
  leaves.push_back(&v);
  return push({Op::load, v.dtype, number, {kNoRef, kNoRef, kNoRef}});
}

std::uint16_t RegionBuilder::slot(const Arg& a, DType dtype) {
  slots.push_back(a.scalar);
  code.slots.push_back(dtype);
  return static_cast<std::uint16_t>(slots.size() - 1);
}

int RegionBuilder::virtual_leaf(Value& v, const Expression& e) {
  const auto number = static_cast<std::uint16_t>(code.leaves.size());
  pointwise::Leaf l{e.op, v.dtype, 0, 0, false};
  if (e.op != Op::index) {
    l.seed_slot = slot(e.args[0], DType::int64);
    l.offset_slot = slot(e.args[1], DType::int64);
  }
  code.leaves.push_back(l);
  leaves.push_back(&v);
  return push({e.op, v.dtype, number, {kNoRef, kNoRef, kNoRef}});
}

int RegionBuilder::emit(Value& v, const Expression& e) {
  if (e.op == Op::index || e.op == Op::uniform || e.op == Op::normal)
    return virtual_leaf(v, e);
  if (e.op == Op::slot)
    return push({Op::slot,
                 v.dtype,
                 slot(e.args[0], v.dtype),
                 {kNoRef, kNoRef, kNoRef}});
  if (pointwise::is_row(e.op)) {
    has_row = true;
    const Shape& row = e.args[0].value->shape;
    const int before = space.rank() - row.rank();
    for (int i = std::max(0, -before); i < row.rank(); ++i)
      if (space[before + i] == 1) space[before + i] = row[i];
  }
  Instr instr{e.op, v.dtype, 0, {kNoRef, kNoRef, kNoRef}};
  for (int i = 0; i < pointwise::info(e.op).arity; ++i) {
    const Arg& a = e.args[i];
    const DType t = dtype_of_arg(e.op, i, e.operand_dtype);
    switch (a.kind) {
      case Arg::Kind::value:
        instr.args[i] = operand(v, e, i);
        break;
      case Arg::Kind::slot:
        instr.args[i] =
            push({Op::slot, t, slot(a, t), {kNoRef, kNoRef, kNoRef}});
        break;
      case Arg::Kind::literal:
        code.constants.push_back(a.scalar);
        instr.args[i] =
            push({Op::constant,
                  t,
                  static_cast<std::uint16_t>(code.constants.size() - 1),
                  {kNoRef, kNoRef, kNoRef}});
        break;
      case Arg::Kind::none:
        break;
    }
  }
  return push(instr);
}

Ref RegionBuilder::operand(const Value& user, const Expression& e, int i) {
  const Value& a = *e.args[i].value;
  auto r = static_cast<Ref>(refs_.find(&a));
  // Recorded through `user`, but the operand was not recorded when called.
  if (user.tracked && !a.tracked && a.leads_to_tracked &&
      code.instrs[r].op != Op::load)
    r = push({Op::stop_gradient, a.dtype, 0, {r, kNoRef, kNoRef}});
  const DType want =
      e.op == Op::cast ? a.dtype : dtype_of_arg(e.op, i, e.operand_dtype);
  if (a.dtype != want) r = push({Op::cast, want, 0, {r, kNoRef, kNoRef}});
  return r;
}

Ref RegionBuilder::push(Instr instr) {
  has_stop = has_stop || pointwise::stops_gradient(instr.op);
  code.instrs.push_back(instr);
  return static_cast<Ref>(code.instrs.size() - 1);
}

bool Region::is_per_row(const Shape& shape) const {
  if (!has_row || space.rank() == 0 || space[space.rank() - 1] == 1)
    return false;
  return shape.rank() == 0 || shape[shape.rank() - 1] == 1;
}

void RegionBuilder::finish() {
  for (Value* v : products) force(*v);
  if (!has_row) return;
  for (std::size_t i = 0; i < leaves.size(); ++i)
    code.leaves[i].per_row = is_per_row(leaves[i]->shape);
  for (std::size_t i = 0; i < code.outputs.size(); ++i)
    code.outputs[i].once_a_row = output_shapes_[i]->rank() == space.rank() &&
                                 is_per_row(*output_shapes_[i]);
}

std::vector<Inside> RegionBuilder::held_inside(std::span<Value* const> outputs,
                                               const RegionBuilder& all) const {
  std::vector<Inside> held;
  if (std::ranges::none_of(outputs, &Value::tracked)) return held;
  for (Value* v : inside)
    if (v->tracked && v->use_count() > 1 &&
        std::ranges::find(outputs, v) == outputs.end())
      held.push_back({v, static_cast<Ref>(refs_.find(v))});
  if (held.empty()) return held;

  std::vector<long> uses(held.size());
  PointerMap place;
  for (std::size_t i = 0; i < held.size(); ++i)
    place.insert(held[i].value, static_cast<int>(i));
  for (const Value* v : all.pinned_)
    for (const Arg& a : v->pinned().args)
      if (const int i = a.value ? place.find(a.value.get()) : -1; i >= 0)
        ++uses[static_cast<std::size_t>(i)];
  std::size_t i = 0;
  std::erase_if(
      held, [&](const Inside& h) { return h.value->use_count() <= uses[i++]; });
  return held;
}

RegionSize measure(const Arg* args) {
  thread_local RegionBuilder builder;
  builder.begin({}, {});
  RegionSize size;
  for (int i = 0; i < 3; ++i) {
    if (!args[i].value) continue;
    if (args[i].value->written())
      ++size.leaves;  // perhaps counted twice: a bound
    else
      builder.add_value(*args[i].value);
  }
  size.instructions = static_cast<unsigned>(builder.inside.size());
  size.leaves += static_cast<unsigned>(builder.leaves.size());
  builder.release();
  return size;
}

namespace {

std::uint64_t mix(std::uint64_t h, std::uint64_t x) {
  h = (h ^ x) * 0x9e3779b97f4a7c15ull;
  return h ^ (h >> 32);
}

std::uint64_t quick_hash(const Code& c) {
  static_assert(sizeof(Instr) == 10);
  std::uint64_t h = c.instrs.size() * 31 + c.leaves.size();
  for (const Instr& i : c.instrs) {
    std::uint64_t words = 0;
    std::uint16_t rest;
    std::memcpy(&words, &i, 8);
    std::memcpy(&rest, reinterpret_cast<const char*>(&i) + 8, 2);
    h = mix(h, words ^ (std::uint64_t{rest} << 17));
  }
  for (const auto& l : c.leaves)
    h = mix(h, static_cast<unsigned>(l.op) << 8 |
                   static_cast<unsigned>(l.dtype) << 1 | l.per_row);
  for (const auto& k : c.constants) h = mix(h, static_cast<std::uint64_t>(k.i));
  for (const auto& o : c.outputs)
    h = mix(h, o.value << 8 | static_cast<unsigned>(o.reduction) << 1 |
                   o.once_a_row);
  return h;
}

}  // namespace

const Known& known(const Code& code) {
  thread_local std::unordered_multimap<std::uint64_t, Known> seen;
  const std::uint64_t h = quick_hash(code);
  const auto [first, last] = seen.equal_range(h);
  for (auto it = first; it != last; ++it)
    if (*it->second.code == code) return it->second;
  Known fresh{std::make_shared<const Code>(code),
              pointwise::Program::intern(code)};
  return seen.emplace(h, std::move(fresh))->second;
}

}  // namespace jacquard::tape
