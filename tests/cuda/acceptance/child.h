// A test of this program that runs in a process of its own, under other
// variables of the environment.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jacquard::acceptance {

struct Child {
  int status;          // 0: it passed
  std::string output;  // all that it printed

  // The rest of each line that begins so, in order.
  std::vector<std::string> lines(std::string_view prefix) const;
};

// `test` is disabled ("Suite.DISABLED_Name"), so that it runs as a child only.
Child run_child(
    const std::string& test,
    const std::vector<std::pair<std::string, std::string>>& environment);

}  // namespace jacquard::acceptance
