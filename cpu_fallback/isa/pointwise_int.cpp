#include "cpu_fallback/isa/pointwise.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

void fill_bool(KernelTable& table) {
  using T = std::uint8_t;
  using pointwise::Op;
  constexpr int d = static_cast<int>(DType::bool_);
  fill_structure<T>(table, DType::bool_);
#define JACQUARD_LOGIC(name, arity) \
  table.op[static_cast<int>(Op::name)][d] = &tile_value<Fn_##name, T, arity>;
  JACQUARD_LOGIC(logical_and, 2)
  JACQUARD_LOGIC(logical_or, 2)
  JACQUARD_LOGIC(logical_xor, 2)
  JACQUARD_LOGIC(logical_not, 1)
  JACQUARD_LOGIC(minimum, 2)
  JACQUARD_LOGIC(maximum, 2)
#undef JACQUARD_LOGIC
#define JACQUARD_COMPARE(name) \
  table.op[static_cast<int>(Op::name)][d] = &tile_test<Fn_##name, T, 2>;
  JACQUARD_COMPARE(eq)
  JACQUARD_COMPARE(ne)
  JACQUARD_COMPARE(lt)
  JACQUARD_COMPARE(le)
  JACQUARD_COMPARE(gt)
  JACQUARD_COMPARE(ge)
#undef JACQUARD_COMPARE
}

}  // namespace

void fill_pointwise_int(KernelTable& table) {
  fill_integer<std::int32_t>(table, DType::int32);
  fill_integer<std::int64_t>(table, DType::int64);
  fill_bool(table);
}

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
