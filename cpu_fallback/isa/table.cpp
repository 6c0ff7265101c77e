#include "cpu_fallback/isa/level.h"
#include "cpu_fallback/isa/tables.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

KernelTable make_table() {
  KernelTable table = {};
  table.level = JACQUARD_ISA_NAME;
  fill_pointwise_f32(table);
  fill_pointwise_f64(table);
  fill_pointwise_int(table);
  fill_chains(table);
  fill_casts(table);
  fill_memory(table);
  fill_reductions(table);
  fill_rows(table);
  fill_random(table);
  fill_gemm(table);
  return table;
}

}  // namespace

const KernelTable& table() {
  static const KernelTable instance = make_table();
  return instance;
}

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
