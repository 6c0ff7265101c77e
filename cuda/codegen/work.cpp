#include "cuda/codegen/work.h"

#include <algorithm>
#include <bit>

#include "cuda/codegen/names.h"
#include "cuda/codegen/text.h"
#include "cuda/runtime/capture.h"

namespace jacquard::cuda_backend {
namespace {

using pointwise::Instr;
using pointwise::kNoRef;

// The most values that are alive at one instruction, all of them kept from
// where they are made to where they are last read.
int most_alive(const pointwise::Program& program) {
  const auto instrs = program.instrs();
  std::vector<int> last(instrs.size(), -1);
  for (std::size_t i = 0; i < instrs.size(); ++i)
    for (const Ref a : instrs[i].args)
      if (a != kNoRef) last[a] = static_cast<int>(i);
  for (const auto& o : program.outputs())
    last[o.value] = static_cast<int>(instrs.size());
  std::vector<int> ends(instrs.size() + 1);
  int alive = 0, most = 0;
  for (std::size_t i = 0; i < instrs.size(); ++i) {
    const Op op = instrs[i].op;
    if (op != Op::constant && op != Op::slot && last[i] >= 0) {
      const int words = size_of(compute_type(instrs[i].dtype)) == 8 ? 2 : 1;
      alive += words;
      ends[static_cast<std::size_t>(last[i])] += words;
    }
    most = std::max(most, alive);
    alive -= ends[i];
  }
  return most;
}

}  // namespace

ProgramFacts::ProgramFacts(const pointwise::Program& program)
    : row_leaf(program.leaves().size(), false), live(most_alive(program)) {
  const auto instrs = program.instrs();
  for (std::size_t i = 0; i < instrs.size(); ++i) {
    const Instr& in = instrs[i];
    if (is_leaf(in.op) && in.op != Op::slot && in.op != Op::constant &&
        program.row_constant(static_cast<Ref>(i)))
      row_leaf[in.imm] = true;
    if (!is_row(in.op) || in.op == Op::row_index || in.op == Op::row_length)
      continue;
    if (in.op == Op::row_pick) checks_index = true;
    if (instrs[in.args[0]].dtype == DType::float64) wide_rows = true;
  }
}

void Work::begin(const backend::ProgramLaunch& launch, const ProgramFacts& f,
                 Skeleton s) {
  program = launch.program;
  facts = &f;
  leaves = launch.leaves;
  slots = launch.slots;
  slots_in_memory = !slots.empty() && Capture::current();
  shape = launch.space;
  skeleton = s;
  outputs.assign(launch.outputs.begin(), launch.outputs.end());
  modes.assign(outputs.size(), Mode::element);
  partials.assign(outputs.size(), nullptr);
  width = 1;
  block = 256;
  block_row = false;
  cached = true;
  grouped = false;
  steps = 1;
  staged.clear();
}

DType Work::value_dtype(int output) const {
  const Ref r = program->outputs()[static_cast<std::size_t>(output)].value;
  return program->instrs()[r].dtype;
}

std::string Work::slot_name(int slot) const {
  return text(slots_in_memory ? "f.s" : "a.s", slot);
}

void Work::find_needed() {
  needed.clear();
  if (std::find(modes.begin(), modes.end(), Mode::absent) == modes.end())
    return;
  const auto instrs = program->instrs();
  needed.assign(instrs.size(), false);
  for (std::size_t j = 0; j < modes.size(); ++j)
    if (modes[j] != Mode::absent) needed[program->outputs()[j].value] = true;
  for (std::size_t i = instrs.size(); i-- > 0;)
    if (needed[i])
      for (const Ref a : instrs[i].args)
        if (a != kNoRef) needed[a] = true;
}

void Work::lay_out(std::span<const int> element_axes,
                   std::span<const int> point_axes) {
  find_needed();
  elements.begin(shape, element_axes);
  points.begin(shape, point_axes);
  const auto add = [&](bool to_points, const Strides& strides) {
    return to_points ? points.add_operand(strides, point_axes)
                     : elements.add_operand(strides, element_axes);
  };
  leaf_operand.assign(leaves.size(), -1);
  const auto instrs = program->instrs();
  for (std::size_t i = 0; i < instrs.size(); ++i) {
    const Op op = instrs[i].op;
    if (!is_leaf(op) || op == Op::slot || op == Op::constant) continue;
    if (!is_needed(static_cast<Ref>(i))) continue;
    int& operand = leaf_operand[instrs[i].imm];
    if (operand >= 0) continue;
    operand = add(on_rows(instrs[i].imm), leaves[instrs[i].imm].strides);
  }
  output_operand.assign(outputs.size(), -1);
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    const Mode m = modes[j];
    if (m == Mode::element || m == Mode::once || m == Mode::folded)
      output_operand[j] = add(m != Mode::element, outputs[j].strides);
  }
  elements.collapse();
  points.collapse();
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    if (output_operand[j] < 0) continue;
    (modes[j] == Mode::element ? elements : points)
        .make_addressed(output_operand[j]);
  }
  small = elements.is_small() && points.is_small();
}

void Work::append_key(std::string& key) const {
  key += static_cast<char>(skeleton);
  key += static_cast<char>(width);
  key += static_cast<char>(block / 32);
  key += static_cast<char>(
      static_cast<int>(small) | static_cast<int>(block_row) << 1 |
      static_cast<int>(cached) << 2 | static_cast<int>(grouped) << 3 |
      static_cast<int>(slots_in_memory) << 4);
  key += static_cast<char>(steps);
  for (std::size_t j = 0; j < outputs.size(); ++j)
    key += static_cast<char>(static_cast<int>(modes[j]) << 4 |
                             static_cast<int>(outputs[j].dtype) << 1 |
                             static_cast<int>(outputs[j].accumulate));
  for (std::size_t i = 0; i < staged.size(); ++i)
    if (staged[i]) key += static_cast<char>(i + 1);
  elements.append_key(key);
  points.append_key(key);
}

Work::Grouping Work::grouping(std::int64_t row) const {
  if (width == 1) return {true, 0};
  const int rank = elements.rank();
  const bool flat = !elements.needs_coordinates();
  if (row > 0 && row % width != 0) return {false, 0};
  if (!flat && rank > 1 && elements.extent(rank - 1) % width != 0)
    return {false, 0};
  std::int64_t skew = -1;
  bool fits = true;
  const auto check = [&](int operand, const void* data, DType dtype) {
    const Access& a = elements.access(operand);
    if (!a.unit()) return;
    const auto size = size_of(dtype);
    const auto address = reinterpret_cast<std::uintptr_t>(data);
    const auto phase = static_cast<std::int64_t>(address / size %
                                                 static_cast<unsigned>(width));
    if (skew < 0) skew = phase;
    fits &= address % size == 0 && phase == skew;
    if (a.kind == Access::Kind::strided)
      for (int d = 0; d + 1 < rank; ++d)
        fits &= elements.stride(operand, d) % width == 0;
  };
  for (std::size_t i = 0; i < leaves.size(); ++i)
    if (reads(static_cast<int>(i)) && !on_rows(static_cast<int>(i)) &&
        !is_staged(static_cast<int>(i)) && program->leaves()[i].op == Op::load)
      check(leaf_operand[i], leaves[i].data, leaves[i].dtype);
  for (std::size_t j = 0; j < outputs.size(); ++j)
    if (modes[j] == Mode::element)
      check(output_operand[j], outputs[j].data, outputs[j].dtype);
  skew = std::max<std::int64_t>(skew, 0);
  // Groups that begin elsewhere are for spaces without rows or coordinates.
  if (skew != 0 &&
      (row > 0 || (!flat && rank > 1) || skeleton > Skeleton::list))
    fits = false;
  return {fits, fits ? skew : 0};
}

void Work::add_operands(Arguments& to) const {
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const int leaf = static_cast<int>(i);
    if (!reads(leaf)) continue;
    if (program->leaves()[i].op == Op::load)
      to.add_pointer(leaves[i].data,
                     const_pointer_to(program->leaves()[i].dtype), 'l', i);
    const Space& space = on_rows(leaf) ? points : elements;
    const Access& a = leaf_access(leaf);
    if (a.kind != Access::Kind::strided) continue;
    for (int d = 0; d < space.rank(); ++d)
      if (a.varies >> d & 1)
        to.add_index(space.stride(leaf_operand[i], d), 'l', i, 's', d);
  }
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const DType dtype = program->code().slots[i];
    if (slots_in_memory)
      to.add_pointer(Capture::current()->slot(slots[i], dtype),
                     "const unsigned long long*", 's', i);
    else
      to.add(slot_word(slots[i], dtype), "unsigned long long", 's', i);
  }
  add_outputs(to);
  elements.add_extents(to, "e");
  points.add_extents(to, "q");
  to.add_index(elements.numel(), "n");
}

void Work::add_outputs(Arguments& to) const {
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    const Mode m = modes[j];
    if (m == Mode::absent) continue;
    to.add_pointer(outputs[j].data, pointer_to(outputs[j].dtype), 'o', j);
    if (m == Mode::column)
      to.add_index(outputs[j].strides[outputs[j].strides.rank() - 1], 'o', j,
                   "s0");
    if (output_operand[j] >= 0) {
      const Space& space = m == Mode::element ? elements : points;
      const Access& a = space.access(output_operand[j]);
      if (a.kind == Access::Kind::strided)
        for (int d = 0; d < space.rank(); ++d)
          if (a.varies >> d & 1)
            to.add_index(space.stride(output_operand[j], d), 'o', j, 's', d);
    }
    if (m != Mode::folded && m != Mode::column && m != Mode::total) continue;
    const DType type = compute_type(value_dtype(static_cast<int>(j)));
    to.add_pointer(partials[j], pointer_to(type), 'p', j);
    if (program->outputs()[j].reduction != Reduction::mean) continue;
    // Elements that go into one result.
    const int rank = shape.rank();
    std::int64_t count = 1;
    for (int a = 0; a < rank; ++a)
      if (outputs[j].strides[a] == 0 && !(m == Mode::total && a == rank - 1))
        count *= shape[a];
    if (type == DType::float64)
      to.add(std::bit_cast<std::uint64_t>(static_cast<double>(count)), "double",
             'c', j);
    else
      to.add(std::bit_cast<std::uint32_t>(static_cast<float>(count)), "float",
             'c', j);
  }
}

std::uint64_t slot_word(backend::Scalar value, DType dtype) {
  const auto bits = [](float x) {
    return static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(x));
  };
  switch (dtype) {
    case DType::bool_:
      return value.i != 0;
    case DType::int32:
      return static_cast<std::uint32_t>(value.i);
    case DType::int64:
      return static_cast<std::uint64_t>(value.i);
    case DType::float16:
      return bits(half_to_float(float_to_half(static_cast<float>(value.f))));
    case DType::bfloat16:
      return bits(
          bfloat16_to_float(float_to_bfloat16(static_cast<float>(value.f))));
    case DType::float32:
      return bits(static_cast<float>(value.f));
    case DType::float64:
      return std::bit_cast<std::uint64_t>(value.f);
  }
  return 0;
}

}  // namespace jacquard::cuda_backend
