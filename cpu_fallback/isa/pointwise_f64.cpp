#include "cpu_fallback/isa/pointwise.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {

void fill_pointwise_f64(KernelTable& table) {
  fill_floating<double>(table, DType::float64);
}

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
