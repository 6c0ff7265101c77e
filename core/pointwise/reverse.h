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

struct Program::ReverseCache {
  std::mutex mutex;
  std::map<std::uint64_t, FullReverse> full;  // by tracked
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::unique_ptr<Reverse>>
      reduced;  // by tracked and wanted
};

}  // namespace jacquard::pointwise
