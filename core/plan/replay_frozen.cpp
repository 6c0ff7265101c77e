// Runs the plan of a frozen function, of which nothing is compared but the
// arguments.
#include <algorithm>

#include "core/plan/replay.h"
#include "jacquard/create.h"

namespace jacquard::plan {

bool Replay::bind_frozen(std::span<const TrackedTensor> arguments) {
  if (arguments.size() != plan_->arguments.size()) return false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const int number = plan_->arguments[i];
    Value* v = arguments[i].value();
    const bool same = number == kUndefined
                          ? v == nullptr
                          : v && bind(plan_->items[number], number, v);
    if (!same) return false;
  }
  for (const auto& [number, value] : plan_->captured) {
    if (std::ranges::find(plan_->arguments, number) != plan_->arguments.end())
      continue;
    bound_[number] = value.get();
    constants_.emplace_back(number, value);
  }
  return true;
}

// Random numbers are drawn as the function would.
void Replay::draw() {
  GeneratorState state = generator_state();
  for (int scalar : plan_->draws) {
    scalars_[2 * scalar].i = static_cast<std::int64_t>(state.seed);
    scalars_[2 * (scalar + 1)].i = static_cast<std::int64_t>(state.offset++);
  }
  set_generator_state(state);
}

TrackedTensor Replay::result(int number) {
  if (number == kUndefined) return {};
  const Item& item = plan_->items[number];
  if (item.kind != Item::Kind::result)
    return tape::handle(ValuePtr(
        item.kind == Item::Kind::leaf ? item.leaf.get() : bound_[number]));
  NodePtr node;
  if (item.tracked)
    node = tape::Node::given_up(item.name, item.site, item.shape, item.dtype,
                                item.stream);
  const Export& e = plan_->exports[plan_->export_of[number]];
  auto v = make_intrusive<Value>(array(e.array), std::move(node));
  if (item.zero) v->zero.store(true, std::memory_order_relaxed);
  return tape::handle(std::move(v));
}

bool Replay::run_frozen(Plan& plan, std::span<const TrackedTensor> arguments,
                        std::span<const Literal> scalars,
                        std::vector<TrackedTensor>& results) {
  if (scalars.size() != static_cast<std::size_t>(plan.argument_scalars) ||
      !may_begin(plan))
    return false;
  for (const Step::Guard& g : plan.guards)
    if (scalars[g.scalar].i != g.bits) return false;
  begin(plan);
  const StreamScope scope(plan.stream);
  if (!bind_frozen(arguments) || !is_ready()) return false;
  for (int i = 0; i < plan.scalars; ++i) {
    const Literal& l = i < plan.argument_scalars ? scalars[i] : plan.values[i];
    scalars_[2 * i].i = l.i;
    scalars_[2 * i + 1].f = static_cast<double>(l.i);
  }
  draw();
  run_plan();
  for (int item : plan.results) results.push_back(result(item));
  return true;
}

}  // namespace jacquard::plan
