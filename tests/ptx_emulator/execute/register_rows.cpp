#include "execute/register_rows.h"

#include <algorithm>
#include <set>

#include "memory/address.h"

namespace ptx_emulator {
namespace {

using ptx::Operand;
using ptx::Statement;

struct Interval {
  std::string_view name;
  ptx::Type type = ptx::Type::kNone;
  std::int64_t begin = -1;
  std::int64_t end = -1;
  // Whether the first mention sets all of it for every lane that comes there.
  bool starts_with_definition = false;
};

struct Loop {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// Opcodes whose first operand is not a destination, or may not be one.
bool first_operand_is_read(const Statement& statement) {
  static const std::set<std::string_view> kReading = {
      "st",  "red",     "bra", "brx",      "call",    "bar",
      "ret", "barrier", "cp",  "prefetch", "mbarrier"};
  return kReading.contains(statement.opcode);
}

class Lifetimes {
 public:
  explicit Lifetimes(const ptx::Function& function) : function_(function) {
    const auto count = static_cast<std::int64_t>(function.statements.size());
    for (std::int64_t at = 0; at < count; ++at) {
      visit(function.statements[static_cast<std::size_t>(at)], at);
    }
    widen();
  }

  std::vector<Interval> sorted() const {
    std::vector<Interval> list;
    for (const auto& [name, interval] : intervals_) list.push_back(interval);
    std::sort(list.begin(), list.end(),
              [](const Interval& a, const Interval& b) {
                return a.begin != b.begin ? a.begin < b.begin : a.name < b.name;
              });
    return list;
  }

 private:
  void visit(const Statement& statement, std::int64_t at) {
    // Sources first: a register that is read and written begins with a read.
    if (!statement.guard.empty()) mention(statement.guard, at, false);
    const bool defines =
        !first_operand_is_read(statement) && statement.guard.empty();
    for (std::size_t k = statement.operands.size(); k-- > 0;) {
      visit(statement.operands[k], at, k == 0 && defines);
    }
    if (statement.opcode == "bra" || statement.opcode == "brx") {
      for (const Operand& operand : statement.operands) {
        add_loops(operand.name, statement.scope, at);
      }
    }
  }

  void visit(const Operand& operand, std::int64_t at, bool defines) {
    const bool is_address = operand.kind == Operand::Kind::kAddress;
    if (!operand.name.empty())
      mention(operand.name, at, defines && !is_address);
    if (!operand.second.empty()) mention(operand.second, at, defines);
    for (const Operand& element : operand.elements) {
      visit(element, at, defines);
    }
  }

  void mention(std::string_view name, std::int64_t at, bool defines) {
    const auto declared = function_.registers.find(name);
    if (declared == function_.registers.end()) return;
    Interval& interval = intervals_[declared->first];
    if (interval.begin < 0) {
      interval = {declared->first, declared->second, at, at, defines};
    }
    interval.end = at;
  }

  void add_loops(std::string_view target, std::uint32_t scope,
                 std::int64_t at) {
    const auto table = function_.tables.find(target);
    if (table != function_.tables.end()) {
      for (const std::string& label : table->second) {
        add_loops(label, scope, at);
      }
      return;
    }
    const std::int64_t begin = function_.find_label(target, scope);
    if (begin >= 0 && begin <= at) loops_.push_back({begin, at});
  }

  // A value that comes into a loop, or out of it, or from one turn to the
  // next, lives in all of it.
  void widen() {
    for (bool changed = true; changed;) {
      changed = false;
      for (const Loop& loop : loops_) {
        for (auto& [name, interval] : intervals_) {
          changed |= widen(loop, &interval);
        }
      }
    }
  }

  static bool widen(const Loop& loop, Interval* interval) {
    if (interval->begin > loop.end || interval->end < loop.begin) return false;
    const bool inside =
        interval->begin >= loop.begin && interval->end <= loop.end;
    if (inside && interval->starts_with_definition) return false;
    const std::int64_t begin = std::min(interval->begin, loop.begin);
    const std::int64_t end = std::max(interval->end, loop.end);
    const bool changed = begin != interval->begin || end != interval->end;
    if (begin != interval->begin) interval->starts_with_definition = false;
    interval->begin = begin;
    interval->end = end;
    return changed;
  }

  const ptx::Function& function_;
  std::unordered_map<std::string_view, Interval> intervals_;
  std::vector<Loop> loops_;
};

std::uint32_t row_bytes(ptx::Type type) {
  if (type == ptx::Type::kPred) return sizeof(LaneMask);
  return kWarpSize *
         static_cast<std::uint32_t>(std::max(2, ptx::type_size(type)));
}

}  // namespace

std::unordered_map<std::string_view, RegisterRow> assign_register_rows(
    const ptx::Function& function, std::uint32_t* top) {
  std::unordered_map<std::string_view, RegisterRow> rows;
  std::map<std::uint32_t, std::vector<Row>> idle;  // by bytes
  struct Use {
    std::int64_t end;
    Row row;
    std::uint32_t bytes;
    bool operator<(const Use& other) const {
      return end != other.end ? end < other.end : row < other.row;
    }
  };
  std::set<Use> alive;
  for (const Interval& interval : Lifetimes(function).sorted()) {
    while (!alive.empty() && alive.begin()->end < interval.begin) {
      idle[alive.begin()->bytes].push_back(alive.begin()->row);
      alive.erase(alive.begin());
    }
    const std::uint32_t bytes = row_bytes(interval.type);
    auto& free_rows = idle[bytes];
    Row row = kNoRow;
    if (free_rows.empty()) {
      row = static_cast<Row>(*top);
      *top += bytes;
      // Rows of lanes begin at multiples of 64 bytes.
      if (bytes >= 64) {
        row =
            static_cast<Row>((static_cast<std::uint32_t>(row) + 63) / 64 * 64);
        *top = static_cast<std::uint32_t>(row) + bytes;
      }
    } else {
      row = free_rows.back();
      free_rows.pop_back();
    }
    rows[interval.name] = {row, interval.type};
    alive.insert({interval.end, row, bytes});
  }
  return rows;
}

}  // namespace ptx_emulator
