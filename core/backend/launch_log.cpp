#include "jacquard/launch_log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <type_traits>

#include "core/backend/launch_logs.h"

namespace jacquard {

std::atomic<int> LaunchLogs::alive{0};
constinit thread_local LaunchLog* LaunchLogs::innermost = nullptr;

bool LaunchLogs::timed() {
  for (const LaunchLog* log = innermost; log != nullptr; log = log->outer_)
    if (log->timed_) return true;
  return false;
}

void LaunchLogs::append(const LaunchRecord& record) {
  for (LaunchLog* log = innermost; log != nullptr; log = log->outer_) {
    log->records_.push_back(record);
    if (!log->timed_) log->records_.back().seconds = 0;
  }
}

void LaunchLogs::add(LaunchLog& log) {
  log.outer_ = innermost;
  innermost = &log;
  alive.fetch_add(1, std::memory_order_relaxed);
}

void LaunchLogs::remove(LaunchLog& log) noexcept {
  LaunchLog** link = &innermost;
  while (*link != nullptr && *link != &log) link = &(*link)->outer_;
  if (*link != nullptr) *link = log.outer_;
  alive.fetch_sub(1, std::memory_order_relaxed);
}

LaunchLog::LaunchLog(bool timed) : timed_(timed) { LaunchLogs::add(*this); }
LaunchLog::~LaunchLog() { LaunchLogs::remove(*this); }

namespace {

bool is_launch(const LaunchRecord& record) {
  const std::string_view kind = record.kind;
  return kind != "upload" && kind != "host-read";
}

template <class Field>
auto total(const std::vector<LaunchRecord>& records, Field field) {
  std::remove_cvref_t<decltype(records[0].*field)> sum{};
  for (const LaunchRecord& record : records)
    if (is_launch(record)) sum += record.*field;
  return sum;
}

std::string human_bytes(std::size_t bytes) {
  if (bytes < 10'000) return std::to_string(bytes) + " B";
  constexpr std::array units = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1e3;
  std::size_t unit = 0;
  for (; value >= 9999.5 && unit + 1 < units.size(); ++unit) value /= 1e3;
  char text[32];
  std::snprintf(text, sizeof text, "%.4g %s", value, units[unit]);
  return text;
}

std::string human_time(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f us", seconds * 1e6);
  return text;
}

using Row = std::array<std::string, 6>;

// Columns padded to their widest cell; the numbers are flush right.
std::string table(const std::vector<Row>& rows, std::size_t columns) {
  std::array<std::size_t, 6> widths{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < columns; ++i)
      widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < columns; ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      if (i > 0) line += "  ";
      line += i < 3 ? row[i] + padding : padding + row[i];
    }
    text += line + "\n";
  }
  return text;
}

std::string counted(std::size_t n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

}  // namespace

std::size_t LaunchLog::count(std::string_view kind) const {
  return static_cast<std::size_t>(std::count_if(
      records_.begin(), records_.end(),
      [&](const LaunchRecord& record) { return record.kind == kind; }));
}

std::size_t LaunchLog::launches() const {
  return static_cast<std::size_t>(
      std::count_if(records_.begin(), records_.end(), is_launch));
}

std::size_t LaunchLog::bytes_read() const {
  return total(records_, &LaunchRecord::bytes_read);
}

std::size_t LaunchLog::bytes_written() const {
  return total(records_, &LaunchRecord::bytes_written);
}

double LaunchLog::seconds() const {
  return total(records_, &LaunchRecord::seconds);
}

std::string LaunchLog::to_string() const {
  std::vector<Row> rows = {{"kind", "op", "device", "read", "written", "time"}};
  for (const LaunchRecord& r : records_)
    rows.push_back({r.kind, r.op, jacquard::to_string(r.stream.device()),
                    human_bytes(r.bytes_read), human_bytes(r.bytes_written),
                    human_time(r.seconds)});
  std::string text = table(rows, timed_ ? 6 : 5);
  text += counted(launches(), "launch", "launches") + ", " +
          human_bytes(bytes_read()) + " read, " + human_bytes(bytes_written()) +
          " written, " + counted(count("upload"), "upload", "uploads") + ", " +
          counted(host_reads(), "host read", "host reads");
  if (timed_) text += ", " + human_time(seconds());
  return text + "\n";
}

}  // namespace jacquard
