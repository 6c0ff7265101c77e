#include "core/pointwise/program.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

#include "core/pointwise/levels.h"
#include "core/pointwise/rebuild.h"
#include "core/pointwise/reverse.h"

namespace jacquard::pointwise {
namespace {

std::uint64_t mix(std::uint64_t h, std::uint64_t x) {
  h = (h ^ x) * 0x9e3779b97f4a7c15u;
  return h ^ (h >> 29);
}

bool same_bits(Literal a, Literal b) { return a.i == b.i; }

// All programs of the process, never destroyed: a backend may run until the
// last moment.
struct Table {
  std::shared_mutex mutex;
  std::unordered_multimap<std::uint64_t, ProgramPtr> programs;
  // What callers built, where simplification changed it.
  std::unordered_multimap<std::uint64_t, std::pair<Code, ProgramPtr>> aliases;

  ProgramPtr find(const Code& code, std::uint64_t hash) const {
    const auto [a, b] = programs.equal_range(hash);
    for (auto it = a; it != b; ++it)
      if (it->second->code() == code) return it->second;
    const auto [c, d] = aliases.equal_range(hash);
    for (auto it = c; it != d; ++it)
      if (it->second.first == code) return it->second.second;
    return nullptr;
  }
};

Table& table() {
  static Table& t = *new Table;
  return t;
}

}  // namespace

bool operator==(const Code& a, const Code& b) {
  return a.instrs == b.instrs && a.leaves == b.leaves && a.slots == b.slots &&
         a.outputs == b.outputs &&
         std::ranges::equal(a.constants, b.constants, same_bits);
}

std::uint64_t hash_of(const Code& code) {
  std::uint64_t h = code.instrs.size();
  for (const Instr& i : code.instrs) {
    h = mix(h, static_cast<std::uint64_t>(i.op) |
                   static_cast<std::uint64_t>(i.dtype) << 8 |
                   static_cast<std::uint64_t>(i.imm) << 16 |
                   static_cast<std::uint64_t>(i.args[0]) << 32 |
                   static_cast<std::uint64_t>(i.args[1]) << 48);
    if (i.args[2] != kNoRef) h = mix(h, i.args[2]);
  }
  for (const Leaf& l : code.leaves)
    h = mix(h, static_cast<std::uint64_t>(l.op) |
                   static_cast<std::uint64_t>(l.dtype) << 8 |
                   static_cast<std::uint64_t>(l.per_row) << 16 |
                   static_cast<std::uint64_t>(l.seed_slot) << 32 |
                   static_cast<std::uint64_t>(l.offset_slot) << 48);
  for (DType t : code.slots) h = mix(h, static_cast<std::uint64_t>(t));
  for (Literal l : code.constants) h = mix(h, static_cast<std::uint64_t>(l.i));
  for (const Output& o : code.outputs)
    h = mix(h, static_cast<std::uint64_t>(o.value) |
                   static_cast<std::uint64_t>(o.reduction) << 16 |
                   static_cast<std::uint64_t>(o.once_a_row) << 24);
  return h;
}

ProgramPtr Program::intern(Code code) {
  Table& t = table();
  const std::uint64_t hash = pointwise::hash_of(code);
  {
    std::shared_lock lock(t.mutex);
    if (ProgramPtr found = t.find(code, hash)) return found;
  }
  Code simple = simplify(code);
  const bool changed = !(simple == code);
  const std::uint64_t simple_hash = changed ? pointwise::hash_of(simple) : hash;

  std::unique_lock lock(t.mutex);
  ProgramPtr program = t.find(simple, simple_hash);
  if (!program) {
    program = ProgramPtr(new Program(std::move(simple)));
    t.programs.emplace(simple_hash, program);
  }
  if (changed && !t.find(code, hash))
    t.aliases.emplace(hash, std::pair(std::move(code), program));
  return program;
}

Program::Program(Code code)
    : code_(std::move(code)),
      hash_(pointwise::hash_of(code_)),
      has_row_ops_(has_rows(code_)),
      has_attached_(std::ranges::any_of(
          code_.instrs, [](const Instr& i) { return i.op == Op::attach; })),
      reads_leaf_(code_.leaves.size(), false),
      reverse_(std::make_unique<ReverseCache>()) {
  for (const Instr& i : code_.instrs)
    if (is_leaf(i.op) && i.op != Op::slot && i.op != Op::constant)
      reads_leaf_[i.imm] = true;
  for (Level level : levels(code_))
    row_constant_.push_back(level != Level::full);
}

const Program& Program::without_attached() const {
  const Program* known = launched_.load(std::memory_order_acquire);
  if (!known) {
    Builder b(code_.leaves, code_.slots);
    std::vector<Ref> map;
    for (const Instr& i : code_.instrs)
      map.push_back(i.op == Op::attach ? map[i.args[0]]
                                       : rebuild(b, code_, i, map));
    for (const Output& o : code_.outputs)
      b.output({map[o.value], o.reduction, o.once_a_row});
    known = intern(b.take()).get();  // lives as long as the process
    launched_.store(known, std::memory_order_release);
  }
  return *known;
}

Program::~Program() = default;

}  // namespace jacquard::pointwise
