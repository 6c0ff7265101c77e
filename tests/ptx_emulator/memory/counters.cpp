#include "memory/counters.h"

#include <cstdio>
#include <iomanip>
#include <ostream>
#include <utility>

namespace ptx_emulator {
namespace {

template <std::size_t kSize>
void add(std::array<std::uint64_t, kSize>& to,
         const std::array<std::uint64_t, kSize>& from) {
  for (std::size_t i = 0; i < kSize; ++i) to[i] += from[i];
}

std::string sizes(const std::array<std::uint32_t, 3>& s) {
  return std::to_string(s[0]) + "x" + std::to_string(s[1]) + "x" +
         std::to_string(s[2]);
}

void print_row(std::ostream& out, const std::string& kernel,
               const std::string& grid, const std::string& block,
               const LaunchCounters& c) {
  std::uint64_t instructions = 0;
  for (const std::uint64_t n : c.thread_instructions) instructions += n;
  const std::string columns[] = {grid,
                                 block,
                                 std::to_string(c.threads),
                                 std::to_string(instructions),
                                 std::to_string(c.f64_instructions()),
                                 std::to_string(c.loads.bytes),
                                 std::to_string(c.loads.sectors),
                                 std::to_string(c.stores.bytes),
                                 std::to_string(c.stores.sectors),
                                 std::to_string(c.shared.wavefronts),
                                 std::to_string(c.shared.conflicts)};
  out << std::left << std::setw(48) << kernel.substr(0, 47) << std::right;
  for (const std::string& column : columns)
    out << ' ' << std::setw(12) << column;
  out << '\n';
}

void print_header(std::ostream& out) {
  out << std::left << std::setw(48) << "kernel" << std::right;
  for (const char* column :
       {"grid", "block", "threads", "instructions", "f64", "load bytes",
        "sectors", "store bytes", "sectors", "wavefronts", "conflicts"}) {
    out << ' ' << std::setw(12) << column;
  }
  out << '\n';
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      result += escape;
    } else {
      result += c;
    }
  }
  return result + '"';
}

template <class Array>
void write_array(std::ostream& out, const Array& values) {
  out << '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    out << (i == 0 ? "" : ", ") << values[i];
  }
  out << ']';
}

void write_traffic(std::ostream& out, const GlobalTraffic& traffic) {
  out << "{\"requests\": " << traffic.requests
      << ", \"bytes\": " << traffic.bytes
      << ", \"sectors\": " << traffic.sectors << ", \"bytes_by_width\": {";
  for (std::size_t i = 0; i < traffic.bytes_by_width.size(); ++i) {
    out << (i == 0 ? "" : ", ") << '"' << (1u << i)
        << "\": " << traffic.bytes_by_width[i];
  }
  out << "}}";
}

void write_record(std::ostream& out, const LaunchRecord& record) {
  const LaunchCounters& c = record.counters;
  out << "{\"kernel\": " << quoted(record.kernel) << ", \"grid\": ";
  write_array(out, record.grid);
  out << ", \"block\": ";
  write_array(out, record.block);
  out << ", \"shared_bytes\": " << record.shared_bytes
      << ", \"stream\": " << record.stream << ", \"threads\": " << c.threads
      << ", \"warp_instructions\": " << c.warp_instructions
      << ", \"instructions\": {";
  for (std::size_t i = 0; i < kInstructionClasses; ++i) {
    out << (i == 0 ? "" : ", ") << '"'
        << to_string(static_cast<InstructionClass>(i))
        << "\": " << c.thread_instructions[i];
  }
  out << "}, \"loads\": ";
  write_traffic(out, c.loads);
  out << ", \"stores\": ";
  write_traffic(out, c.stores);
  out << ", \"shared\": {\"requests\": " << c.shared.requests
      << ", \"bytes\": " << c.shared.bytes
      << ", \"wavefronts\": " << c.shared.wavefronts
      << ", \"conflicts\": " << c.shared.conflicts
      << "}, \"barriers\": " << c.barriers << '}';
}

}  // namespace

const char* to_string(InstructionClass c) {
  static constexpr const char* kNames[] = {
      "integer", "move",    "conversion", "f16",     "f32",
      "f64",     "special", "matrix",     "control", "barrier",
      "warp",    "global",  "shared",     "local",   "atomic"};
  static_assert(std::size(kNames) == kInstructionClasses);
  return kNames[static_cast<std::size_t>(c)];
}

GlobalTraffic& GlobalTraffic::operator+=(const GlobalTraffic& other) {
  requests += other.requests;
  bytes += other.bytes;
  sectors += other.sectors;
  add(bytes_by_width, other.bytes_by_width);
  return *this;
}

SharedTraffic& SharedTraffic::operator+=(const SharedTraffic& other) {
  requests += other.requests;
  bytes += other.bytes;
  wavefronts += other.wavefronts;
  conflicts += other.conflicts;
  return *this;
}

LaunchCounters& LaunchCounters::operator+=(const LaunchCounters& other) {
  threads += other.threads;
  warp_instructions += other.warp_instructions;
  add(thread_instructions, other.thread_instructions);
  loads += other.loads;
  stores += other.stores;
  shared += other.shared;
  barriers += other.barriers;
  return *this;
}

LaunchTable& LaunchTable::instance() {
  static LaunchTable* table = new LaunchTable;
  return *table;
}

void LaunchTable::add(LaunchRecord record) {
  const std::scoped_lock lock(mutex_);
  records_.push_back(std::move(record));
}

std::vector<LaunchRecord> LaunchTable::records() const {
  const std::scoped_lock lock(mutex_);
  return records_;
}

void LaunchTable::clear() {
  const std::scoped_lock lock(mutex_);
  records_.clear();
}

void LaunchTable::print(std::ostream& out) const {
  const std::scoped_lock lock(mutex_);
  LaunchCounters sum;
  print_header(out);
  for (const LaunchRecord& record : records_) {
    print_row(out, record.kernel, sizes(record.grid), sizes(record.block),
              record.counters);
    sum += record.counters;
  }
  print_row(out, std::to_string(records_.size()) + " launches", "", "", sum);
}

void LaunchTable::write_json(std::ostream& out) const {
  const std::scoped_lock lock(mutex_);
  out << "{\"launches\": [";
  for (std::size_t i = 0; i < records_.size(); ++i) {
    out << (i == 0 ? "\n  " : ",\n  ");
    write_record(out, records_[i]);
  }
  out << "\n]}\n";
}

}  // namespace ptx_emulator
