#include "cpu_fallback/isa/pointwise.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {

void fill_pointwise_f32(KernelTable& table) {
  fill_floating<float>(table, DType::float32);
  for (auto& op : table.op) {
    const TileFn fn = op[static_cast<int>(DType::float32)];
    op[static_cast<int>(DType::float16)] = fn;
    op[static_cast<int>(DType::bfloat16)] = fn;
  }
}

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
