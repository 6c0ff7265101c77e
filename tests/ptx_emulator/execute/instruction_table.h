// The families of instructions. Each adds what it decodes to the table.
#pragma once

#include "execute/decoder.h"

namespace ptx_emulator {

void add_integer_instructions(InstructionTable* table);
void add_carry_instructions(InstructionTable* table);
void add_dot_product_instructions(InstructionTable* table);
void add_bit_instructions(InstructionTable* table);
void add_bit_field_instructions(InstructionTable* table);
void add_float_instructions(InstructionTable* table);
void add_rounded_float_instructions(InstructionTable* table);
void add_approximate_instructions(InstructionTable* table);
void add_half_instructions(InstructionTable* table);
void add_comparison_instructions(InstructionTable* table);
void add_predicate_instructions(InstructionTable* table);
void add_conversion_instructions(InstructionTable* table);
void add_move_instructions(InstructionTable* table);
void add_load_store_instructions(InstructionTable* table);
void add_parameter_instructions(InstructionTable* table);
void add_async_copy_instructions(InstructionTable* table);
void add_atomic_instructions(InstructionTable* table);
void add_warp_instructions(InstructionTable* table);
void add_matrix_instructions(InstructionTable* table);
void add_control_instructions(InstructionTable* table);
void add_call_instructions(InstructionTable* table);

// All families together.
const InstructionTable& instruction_table();

}  // namespace ptx_emulator
