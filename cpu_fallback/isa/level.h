// What the sources of one instruction-set level share: the level's namespace
// and the parts that fill its table.
//
// Everything else in these sources has internal linkage, so that the linker
// never keeps one level's code for another's.
#pragma once

#include "cpu_fallback/isa/kernel_table.h"

#ifndef JACQUARD_ISA_LEVEL
#error "compiled once per level, with -DJACQUARD_ISA_LEVEL=<namespace>"
#endif

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {

void fill_pointwise_f32(KernelTable& table);
void fill_pointwise_f64(KernelTable& table);
void fill_pointwise_int(KernelTable& table);
void fill_chains(KernelTable& table);
void fill_casts(KernelTable& table);
void fill_memory(KernelTable& table);
void fill_reductions(KernelTable& table);
void fill_rows(KernelTable& table);
void fill_random(KernelTable& table);
void fill_gemm(KernelTable& table);

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
