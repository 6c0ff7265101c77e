// Matrix instructions of a warp: mma.sync of m16n8k16, m16n8k8 and m16n8k4
// with f16, bf16 or tf32 operands and f32 sums, and ldmatrix. A product's sum
// is taken in f64 and rounded once; the order that the hardware sums in is
// not specified.
#include <bit>
#include <cstdint>
#include <cstring>

#include "execute/instruction_table.h"
#include "execute/instructions/half_format.h"
#include "execute/instructions/memory_operations.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

constexpr int kRows = 16, kColumns = 8, kLargestDepth = 16;

void require_all_lanes(Warp& warp, const Instruction& i, LaneMask lanes) {
  if (lanes != kAllLanes) {
    warp.fault(i, std::countr_zero(lanes), FaultKind::kMissingLanes,
               "a matrix instruction without all lanes of the warp");
  }
}

struct Operands {
  double a[kRows][kLargestDepth];
  double b[kLargestDepth][kColumns];
  double c[kRows][kColumns];
};

// Where the fragments' elements lie: PTX ISA, "Matrix Fragments for
// mma.m16n8k8" and so on. Lane l belongs to group l / 4 and is its l % 4-th.
template <class Format>
void read_halves(Warp& warp, const std::vector<std::uint32_t>& rows, int depth,
                 Operands* in) {
  const auto value = [&](std::uint32_t row, int lane, int half) -> double {
    const auto word = warp.row<std::uint32_t>(static_cast<Row>(row))[lane];
    return Format::to_float(static_cast<std::uint16_t>(word >> (16 * half)));
  };
  const int a_registers = depth / 4, b_registers = depth / 8;
  for (int l = 0; l < kWarpSize; ++l) {
    const int group = l / 4, member = l % 4;
    for (int half = 0; half < 2; ++half) {
      for (int r = 0; r < a_registers; ++r) {
        in->a[group + 8 * (r % 2)][2 * member + half + 8 * (r / 2)] =
            value(rows[static_cast<std::size_t>(4 + r)], l, half);
      }
      for (int r = 0; r < b_registers; ++r) {
        in->b[2 * member + half + 8 * r][group] =
            value(rows[static_cast<std::size_t>(4 + a_registers + r)], l, half);
      }
    }
  }
}

void read_tf32(Warp& warp, const std::vector<std::uint32_t>& rows, int depth,
               Operands* in) {
  const auto value = [&](std::uint32_t row, int lane) -> double {
    // The low 13 bits don't take part.
    return std::bit_cast<float>(
        warp.row<std::uint32_t>(static_cast<Row>(row))[lane] & ~0x1fffu);
  };
  const int a_registers = depth / 2, b_registers = depth / 4;
  for (int l = 0; l < kWarpSize; ++l) {
    const int group = l / 4, member = l % 4;
    for (int r = 0; r < a_registers; ++r) {
      in->a[group + 8 * (r % 2)][member + 4 * (r / 2)] =
          value(rows[static_cast<std::size_t>(4 + r)], l);
    }
    for (int r = 0; r < b_registers; ++r) {
      in->b[member + 4 * r][group] =
          value(rows[static_cast<std::size_t>(4 + a_registers + r)], l);
    }
  }
}

// table: the rows of d, a, b and c; element: type of a and b; count: depth.
void multiply_matrices(Warp& warp, const Instruction& i, LaneMask lanes) {
  require_all_lanes(warp, i, lanes);
  const std::vector<std::uint32_t>& rows = *i.table;
  const int depth = i.count;
  Operands in;
  switch (static_cast<Type>(i.element)) {
    case Type::kF16:
      read_halves<Half>(warp, rows, depth, &in);
      break;
    case Type::kBF16:
      read_halves<Brain>(warp, rows, depth, &in);
      break;
    default:
      read_tf32(warp, rows, depth, &in);
      break;
  }
  const std::size_t c = rows.size() - 4;
  const auto cell = [](int lane, std::size_t r, int* row, int* column) {
    *row = lane / 4 + (r >= 2 ? 8 : 0);
    *column = 2 * (lane % 4) + static_cast<int>(r % 2);
  };
  float sums[4][kWarpSize];
  for (std::size_t r = 0; r < 4; ++r) {
    const auto* addend = warp.row<float>(static_cast<Row>(rows[c + r]));
    for (int l = 0; l < kWarpSize; ++l) {
      int row = 0, column = 0;
      cell(l, r, &row, &column);
      double sum = addend[l];
      for (int k = 0; k < depth; ++k) sum += in.a[row][k] * in.b[k][column];
      sums[r][l] = static_cast<float>(sum);
    }
  }
  for (std::size_t r = 0; r < 4; ++r) {
    std::memcpy(warp.row<float>(static_cast<Row>(rows[r])), sums[r],
                sizeof sums[r]);
  }
}

void add_rows(Decoder& decoder, std::size_t index, std::size_t count, Type type,
              bool is_destination, std::vector<std::uint32_t>* rows) {
  const auto& elements = decoder.operand(index).elements;
  if (elements.size() != count) decoder.refuse("a fragment of another size");
  for (const auto& element : elements) {
    const Row row = is_destination ? decoder.destination_of(element, type)
                                   : decoder.source_of(element, type);
    if (row == kNoRow) decoder.refuse("a part of the result that is dropped");
    rows->push_back(static_cast<std::uint32_t>(row));
  }
}

bool decode_multiply(Decoder& decoder, Instruction& i) {
  if (!decoder.take("sync") || !decoder.take("aligned") ||
      !decoder.take("row") || !decoder.take("col")) {
    return false;
  }
  std::size_t depth = 0;
  if (decoder.take("m16n8k16")) depth = 16;
  if (decoder.take("m16n8k8")) depth = 8;
  if (decoder.take("m16n8k4")) depth = 4;
  if (depth == 0) return false;
  Type type = Type::kF32;
  if (decoder.take("tf32")) {
    if (!decoder.take("tf32") || depth == 16) return false;
  } else {
    // d, a, b, c: sums in f32.
    if (decoder.take_type() != Type::kF32) return false;
    type = decoder.take_type();
    if (decoder.take_type() != type || depth == 4) return false;
    if (type != Type::kF16 && type != Type::kBF16) return false;
  }
  while (decoder.take("f32")) {
  }
  const std::size_t per_register = type == Type::kF32 ? 1 : 2;
  auto rows = std::make_unique<std::vector<std::uint32_t>>();
  add_rows(decoder, 0, 4, Type::kF32, true, rows.get());
  add_rows(decoder, 1, depth / 2 / per_register, Type::kB32, false, rows.get());
  add_rows(decoder, 2, depth / 4 / per_register, Type::kB32, false, rows.get());
  add_rows(decoder, 3, 4, Type::kF32, false, rows.get());
  i.handler = multiply_matrices;
  i.cls = InstructionClass::kMatrix;
  i.element = static_cast<std::uint8_t>(type);
  i.count = static_cast<std::uint8_t>(depth);
  i.table = rows.get();
  decoder.code().tables.push_back(std::move(rows));
  return true;
}

// count: matrices; list: their registers; option: .trans. Lane l gives the
// address of row l % 8 of matrix l / 8.
void load_matrices(Warp& warp, const Instruction& i, LaneMask lanes) {
  require_all_lanes(warp, i, lanes);
  Address address[kWarpSize];
  lane_addresses(warp, i, address);
  const int matrices = i.count;
  const LaneMask giving =
      matrices == 4 ? kAllLanes : (1u << (8 * matrices)) - 1;
  locate<AccessKind::kRead>(warp, i, AddressSpace::kShared, giving, 16, false,
                            address);
  std::uint16_t cells[4][8][8];
  for (int l = 0; l < 8 * matrices; ++l) {
    std::memcpy(cells[l / 8][l % 8], reinterpret_cast<const void*>(address[l]),
                16);
  }
  for (int m = 0; m < matrices; ++m) {
    auto* d = warp.row<std::uint32_t>(i.list[static_cast<std::size_t>(m)]);
    for (int l = 0; l < kWarpSize; ++l) {
      const int row = l / 4, column = 2 * (l % 4);
      const auto& matrix = cells[m];
      const std::uint32_t low =
          i.option != 0 ? matrix[column][row] : matrix[row][column];
      const std::uint32_t high =
          i.option != 0 ? matrix[column + 1][row] : matrix[row][column + 1];
      d[l] = high << 16 | low;
    }
  }
}

bool decode_load(Decoder& decoder, Instruction& i) {
  if (!decoder.take("sync") || !decoder.take("aligned") ||
      !decoder.take("m8n8") || decoder.take_type() != Type::kB16) {
    return false;
  }
  if (!decoder.take("shared") && !decoder.take("shared::cta")) return false;
  std::uint8_t count = 0;
  if (decoder.take("x1")) count = 1;
  if (decoder.take("x2")) count = 2;
  if (decoder.take("x4")) count = 4;
  i.option = decoder.take("trans");
  const auto& elements = decoder.operand(0).elements;
  if (count == 0 || elements.size() != count) return false;
  for (std::size_t k = 0; k < count; ++k) {
    i.list[k] = decoder.destination_of(elements[k], Type::kB32);
    if (i.list[k] == kNoRow) return false;
  }
  AddressSpace space = AddressSpace::kShared;
  decoder.address(1, &space, &i);
  i.count = count;
  i.handler = load_matrices;
  i.cls = InstructionClass::kMatrix;
  return true;
}

}  // namespace

void add_matrix_instructions(InstructionTable* table) {
  (*table)["mma"].push_back(decode_multiply);
  (*table)["ldmatrix"].push_back(decode_load);
}

}  // namespace ptx_emulator
