#include "tests/cuda/compile/child.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace jacquard::cuda_backend {
namespace {

constexpr const char* kReport = "kernels made:";

std::string read_all(int from) {
  std::string all;
  char buffer[4096];
  for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;)
    all.append(buffer, static_cast<std::size_t>(n));
  return all;
}

}  // namespace

Child::Child(const std::string& test, const Environment& environment)
    : name_(test) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("no pipe");
  const std::string filter = "--gtest_filter=" + test;
  pid_ = fork();
  if (pid_ == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    unsetenv("JACQUARD_CUDA_DUMP");  // of this process; it bypasses the cache
    for (const auto& [name, value] : environment)
      setenv(name.c_str(), value.c_str(), 1);
    execl("/proc/self/exe", "child", "--gtest_also_run_disabled_tests",
          filter.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  output_ = ends[0];
  if (pid_ < 0) {
    close(output_);
    throw std::runtime_error("no process");
  }
}

Child::Child(Child&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, -1)),
      output_(std::exchange(other.output_, -1)) {}

Child::~Child() {
  if (output_ >= 0) close(output_);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

std::vector<KernelCounts> Child::counts() {
  const std::string said = read_all(output_);
  int status = 0;
  waitpid(std::exchange(pid_, -1), &status, 0);
  std::vector<KernelCounts> found;
  std::istringstream lines(said);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kReport)) continue;
    KernelCounts c;
    std::istringstream(line.substr(std::string(kReport).size())) >>
        c.compiled >> c.found >> c.seconds;
    found.push_back(c);
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0 && !found.empty())
      << name_ << " as a process of its own:\n"
      << said;
  return found;
}

void report(const KernelCounts& c) {
  std::printf("\n%s %lu %lu %.6f\n", kReport, c.compiled, c.found, c.seconds);
  std::fflush(stdout);
}

}  // namespace jacquard::cuda_backend
