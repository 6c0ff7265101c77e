// The launch log: what was launched, by which operation, and how many bytes it
// has to move.
//
//   LaunchLog log;
//   backward(loss);
//   std::cout << log.to_string();
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jacquard/device.h"
#include "jacquard/export.h"

namespace jacquard {

// One piece of work that was handed to a backend.
//
// Bytes are what has to be moved at least: of each distinct operand its
// distinct elements once (a broadcast operand counts its own elements, operands
// of the same memory and layout count once), each output once; an output that
// is accumulated into counts as read, too.
struct LaunchRecord {
  // "map", "map-reduce", "row", "list", "matmul", "gather", "scatter",
  // "scatter_add", "raw", "copy", "upload" or "host-read".
  const char* kind = "";
  const char* op = "";  // the operation that asked for it
  Stream stream;
  std::size_t bytes_read = 0;
  std::size_t bytes_written = 0;
  double seconds = 0;  // in a timed log, else 0
};

// Records what the calling thread launches while the log is alive. Logs nest;
// each records all of it. A log is destroyed by the thread that made it. While
// no log is alive, a launch pays for one relaxed load.
class JACQUARD_API LaunchLog {
 public:
  // `timed` waits for the stream before and after each launch and notes how
  // long it took; the work no longer overlaps.
  explicit LaunchLog(bool timed = false);
  ~LaunchLog();
  LaunchLog(const LaunchLog&) = delete;
  LaunchLog& operator=(const LaunchLog&) = delete;

  const std::vector<LaunchRecord>& records() const { return records_; }
  void clear() { records_.clear(); }

  // Records of one kind.
  std::size_t count(std::string_view kind) const;
  // Work on the device: all records but those of kind upload and host-read.
  std::size_t launches() const;
  std::size_t host_reads() const { return count("host-read"); }

  // Totals over the launches; uploads and host-reads are not among them.
  std::size_t bytes_read() const;
  std::size_t bytes_written() const;
  std::size_t bytes() const { return bytes_read() + bytes_written(); }
  double seconds() const;

  // A table, one record a line, with the totals below.
  std::string to_string() const;

 private:
  friend struct LaunchLogs;

  std::vector<LaunchRecord> records_;
  LaunchLog* outer_ = nullptr;
  bool timed_ = false;
};

}  // namespace jacquard
