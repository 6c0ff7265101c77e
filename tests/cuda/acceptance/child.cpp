#include "tests/cuda/acceptance/child.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <stdexcept>

namespace jacquard::acceptance {

Child run_child(
    const std::string& test,
    const std::vector<std::pair<std::string, std::string>>& environment) {
  std::string command = "env";
  for (const auto& [name, value] : environment)
    command += " '" + name + "=" + value + "'";
  command += " '" + std::filesystem::read_symlink("/proc/self/exe").string() +
             "' --gtest_also_run_disabled_tests '--gtest_filter=" + test +
             "' 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) throw std::runtime_error("can't run " + command);
  Child child{};
  std::array<char, 4096> buffer;
  while (const std::size_t n =
             std::fread(buffer.data(), 1, buffer.size(), pipe))
    child.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  child.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  // A filter that matches nothing passes, and so does a test that skips itself.
  if (child.output.find("[ RUN ") == std::string::npos ||
      child.output.find("[  SKIPPED ]") != std::string::npos)
    child.status = -1;
  return child;
}

std::vector<std::string> Child::lines(std::string_view prefix) const {
  std::vector<std::string> found;
  std::istringstream in(output);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(prefix)) found.push_back(line.substr(prefix.size()));
  return found;
}

}  // namespace jacquard::acceptance
