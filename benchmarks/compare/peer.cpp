#include "compare/peer.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace compare {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what);
}

// This process's environment with the settings in place of variables of their
// names.
std::vector<std::string> environment(const Environment& settings) {
  std::vector<std::string> all;
  for (char** e = environ; *e != nullptr; ++e) {
    const std::string entry = *e;
    bool replaced = false;
    for (const auto& [name, value] : settings)
      replaced |= entry.starts_with(name + "=");
    if (!replaced) all.push_back(entry);
  }
  for (const auto& [name, value] : settings) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

struct Pipe {
  std::array<int, 2> ends{};
  Pipe() {
    if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe: no file descriptors");
  }
};

}  // namespace

Peer::Peer(const std::vector<std::string>& command, const Environment& settings)
    : name_(command.at(0)) {
  signal(SIGPIPE, SIG_IGN);
  const Pipe in, out;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.ends[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.ends[1], STDOUT_FILENO);
  auto args = command;
  auto env = environment(settings);
  const int error = posix_spawnp(&pid_, name_.c_str(), &actions, nullptr,
                                 pointers(args).data(), pointers(env).data());
  posix_spawn_file_actions_destroy(&actions);
  close(in.ends[0]);
  close(out.ends[1]);
  to_ = fdopen(in.ends[1], "w");
  from_ = fdopen(out.ends[0], "r");
  if (error != 0) {
    pid_ = -1;
    std::fclose(to_);
    std::fclose(from_);
    fail(name_ + " can't be started: " + std::strerror(error));
  }
  description_ = read_answer("ready");
}

Peer::~Peer() {
  std::fclose(to_);  // it leaves at the end of its input
  std::fclose(from_);
  waitpid(pid_, nullptr, 0);
}

double Peer::begin(const std::string& work, std::int64_t size, int threads) {
  return std::stod(ask("begin " + work + " " + std::to_string(size) + " " +
                           std::to_string(threads),
                       "ok"));
}

double Peer::fastest_us(double seconds, Clock clock) {
  return std::stod(ask("time " + std::to_string(seconds) +
                           (clock == Clock::cpu ? " cpu" : " wall"),
                       "us"));
}

double Peer::cpu_us() const {
  clockid_t clock{};
  timespec t{};
  clock_getcpuclockid(pid_, &clock);
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) * 1e6 +
         static_cast<double>(t.tv_nsec) * 1e-3;
}

std::string Peer::ask(const std::string& line, const std::string& expected) {
  std::fprintf(to_, "%s\n", line.c_str());
  std::fflush(to_);
  return read_answer(expected);
}

std::string Peer::read_answer(const std::string& expected) {
  std::string line;
  for (int c = std::fgetc(from_); c != '\n'; c = std::fgetc(from_)) {
    if (c == EOF) fail(name_ + " ended without an answer");
    line += static_cast<char>(c);
  }
  if (!line.starts_with(expected + " ")) fail(name_ + ": " + line);
  return line.substr(expected.size() + 1);
}

}  // namespace compare
