#include "cpu_fallback/executor/tiny.h"

#include "cpu_fallback/executor/launch.h"
#include "cpu_fallback/executor/scratch.h"
#include "cpu_fallback/executor/splat.h"

namespace jacquard::cpu_fallback {
namespace {

enum class Layout : std::uint8_t { constant, dense, other };

Layout layout_of(const Shape& space, const Strides& strides) {
  std::int64_t expected = 1;
  bool dense = true, constant = true;
  for (int a = space.rank() - 1; a >= 0; --a) {
    if (space[a] == 1) continue;
    dense &= strides[a] == expected;
    constant &= strides[a] == 0;
    expected *= space[a];
  }
  return constant ? Layout::constant : dense ? Layout::dense : Layout::other;
}

bool fits(const Plan& plan, const backend::ProgramLaunch& launch,
          std::int64_t n) {
  if (n > static_cast<std::int64_t>(kQuantum) || n == 0 || plan.rows)
    return false;
  if (n == 1) return true;
  for (const backend::Binding& leaf : launch.leaves)
    if (layout_of(launch.space, leaf.strides) == Layout::other) return false;
  for (std::size_t i = 0; i < launch.outputs.size(); ++i) {
    const Layout layout = layout_of(launch.space, launch.outputs[i].strides);
    const bool stored = plan.outputs[i].reduction == Reduction::store;
    if (layout != (stored ? Layout::dense : Layout::constant)) return false;
  }
  return true;
}

void load_leaf(const LeafPlan& leaf, const backend::Binding& binding,
               const backend::ProgramLaunch& launch, void* to, std::size_t n) {
  const KernelTable& k = kernels();
  const int type = static_cast<int>(leaf.leaf.dtype);
  const bool constant =
      n == 1 || layout_of(launch.space, binding.strides) == Layout::constant;
  const std::int64_t stride = constant ? 0 : 1;
  if (leaf.leaf.op == Op::load) {
    k.load[type](binding.data, stride, to, n);
  } else if (leaf.leaf.op == Op::index) {
    auto* out = static_cast<std::int64_t*>(to);
    for (std::size_t i = 0; i < n; ++i)
      out[i] = static_cast<std::int64_t>(i) * stride;
  } else {
    const auto f =
        leaf.leaf.op == Op::uniform ? k.uniform[type] : k.normal[type];
    f(static_cast<std::uint64_t>(launch.slots[leaf.leaf.seed_slot].i),
      static_cast<std::uint64_t>(launch.slots[leaf.leaf.offset_slot].i), 0,
      stride, to, n);
  }
}

void write_output(const OutputPlan& plan, const backend::OutputBinding& binding,
                  const void* value, std::size_t n, void* converted) {
  const KernelTable& k = kernels();
  const int to_type = static_cast<int>(binding.dtype);
  if (plan.reduction != Reduction::store) {
    OutputState out{};
    out.plan = &plan;
    out.dtype = binding.dtype;
    out.accumulate = binding.accumulate;
    out.reducer.divisor = static_cast<double>(n);
    const Reduction op =
        plan.reduction == Reduction::mean ? Reduction::sum : plan.reduction;
    const DType type = compute_type(plan.dtype);
    alignas(8) char acc[8];
    fill_neutral(op, type, acc, 1);
    k.fold[static_cast<int>(op)][static_cast<int>(type)](value, n, acc);
    write_results(out, acc, 1, static_cast<char*>(binding.data), 1);
    return;
  }
  if (binding.dtype != plan.dtype &&
      binding.dtype != compute_type(plan.dtype)) {
    k.cast[static_cast<int>(plan.dtype)][to_type](value, nullptr, nullptr,
                                                  converted, n);
    value = converted;
  }
  const auto store = binding.accumulate ? k.store_add : k.store;
  store[to_type](value, binding.data, 1, n);
}

}  // namespace

bool run_tiny(const Plan& plan, const backend::ProgramLaunch& launch) {
  const std::int64_t numel = launch.space.numel();
  if (!fits(plan, launch, numel)) return false;
  const auto n = static_cast<std::size_t>(numel);
  Scratch& s = scratch();
  s.launch = 0;
  const std::size_t reg = kQuantum * static_cast<std::size_t>(plan.width);
  const std::size_t registers = reg * static_cast<std::size_t>(plan.registers);
  char* base = s.reserve(registers + kQuantum * 8);
  if (s.pointers.size() < plan.home.size()) s.pointers.resize(plan.home.size());
  void** ptr = s.pointers.data();
  const std::uint16_t none = plan.none();
  for (std::size_t v = 0; v < none; ++v) ptr[v] = base + plan.home[v] * reg;
  ptr[none] = nullptr;

  for (const FixedPlan& f : plan.fixed)
    splat_scalar(
        f.op == Op::slot ? launch.slots[f.index] : plan.constants[f.index],
        f.dtype, ptr[f.value], n);
  for (std::size_t i = 0; i < plan.leaves.size(); ++i)
    if (plan.leaves[i].value != none)
      load_leaf(plan.leaves[i], launch.leaves[i], launch,
                ptr[plan.leaves[i].value], n);
  for (const Step& step : plan.steps) step.run(ptr, n);
  for (std::size_t i = 0; i < plan.outputs.size(); ++i)
    write_output(plan.outputs[i], launch.outputs[i], ptr[plan.outputs[i].value],
                 n, base + registers);
  return true;
}

}  // namespace jacquard::cpu_fallback
