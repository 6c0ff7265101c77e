// The reverse programs derived from a program so far.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "core/pointwise/program.h"

namespace jacquard::pointwise {

// A reverse before its unread leaves are dropped: one output for each tracked
// leaf that has a gradient.
struct FullReverse {
  Code code;
  std::vector<int> sources;
  std::vector<std::uint16_t> means;
  std::vector<std::uint16_t> wanted;
};

// The reverse for all leaves in `tracked`, its sources chosen.
FullReverse full_reverse(const Code& forward, std::uint64_t tracked);

// What is left of it for the leaves in `wanted`.
Reverse reduced_reverse(const FullReverse& full, std::uint64_t wanted);

// Which instructions have a gradient that leads to a tracked leaf.
std::vector<bool> active_instrs(const Code& code, std::uint64_t tracked);

// The code with what is differentiated by its expansion expanded.
Code expanded(const Code& code, std::uint64_t tracked);

// The code with the leaves that it reads only; `read`: their sources.
Code without_unread_leaves(Code code, const std::vector<int>& sources,
                           std::vector<int>& read);

// `reverse`: for all leaves in `tracked`.
Pushforward pushforward_of(const Code& forward, const Reverse& reverse,
                           std::uint64_t tracked, std::uint64_t with);

struct Program::ReverseCache {
  std::mutex mutex;
  std::map<std::uint64_t, FullReverse> full;  // by tracked
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::unique_ptr<Reverse>>
      reduced;  // by tracked and wanted
  std::map<std::pair<std::uint64_t, std::uint64_t>,
           std::unique_ptr<Pushforward>>
      pushed;  // by tracked and with
};

}  // namespace jacquard::pointwise
