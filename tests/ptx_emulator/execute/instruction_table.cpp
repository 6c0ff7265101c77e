#include "execute/instruction_table.h"

namespace ptx_emulator {

const InstructionTable& instruction_table() {
  static const InstructionTable table = [] {
    InstructionTable all;
    // Of families that share an opcode, those for special cases come first.
    add_carry_instructions(&all);
    add_predicate_instructions(&all);
    add_integer_instructions(&all);
    add_dot_product_instructions(&all);
    add_bit_instructions(&all);
    add_bit_field_instructions(&all);
    add_rounded_float_instructions(&all);
    add_float_instructions(&all);
    add_half_instructions(&all);
    add_approximate_instructions(&all);
    add_comparison_instructions(&all);
    add_conversion_instructions(&all);
    add_parameter_instructions(&all);
    add_move_instructions(&all);
    add_load_store_instructions(&all);
    add_async_copy_instructions(&all);
    add_atomic_instructions(&all);
    add_warp_instructions(&all);
    add_matrix_instructions(&all);
    add_control_instructions(&all);
    add_call_instructions(&all);
    return all;
  }();
  return table;
}

}  // namespace ptx_emulator
