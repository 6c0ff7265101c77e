// The other side: a program that answers lines (torch_peer.cpp says which).
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "compare/work.h"

namespace compare {

using Environment = std::vector<std::pair<std::string, std::string>>;

class Peer {
 public:
  // Starts the program; `settings` are added to its environment.
  // std::runtime_error if it does not say that it is ready.
  Peer(const std::vector<std::string>& command, const Environment& settings);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  const std::string& description() const { return description_; }
  // Sets the work up and runs it a few times; its checksum.
  double begin(const std::string& work, std::int64_t size, int threads);
  // Microseconds of the fastest run within about `seconds`.
  double fastest_us(double seconds, Clock clock);
  // Of all its threads since it started.
  double cpu_us() const;

 private:
  // What follows `expected` in the answer.
  std::string ask(const std::string& line, const std::string& expected);
  std::string read_answer(const std::string& expected);

  std::string name_, description_;
  pid_t pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

}  // namespace compare
