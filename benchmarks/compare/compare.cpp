// Jacquard beside libtorch: the same work in turns, ours and theirs, the
// ratio of the fastest runs of a turn; the median of the ratios of all turns.
#include <gnu/libc-version.h>
#include <jacquard/jacquard.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compare/our_work.h"
#include "compare/peer.h"
#include "cpu_fallback/isa/kernel_table.h"
#include "cpu_fallback/runtime/threads.h"

namespace compare {
namespace {

struct Case {
  const char* name;
  std::int64_t size;
  double bar;  // their time / ours
};
constexpr Case kCases[] = {
    {"chain", 10'000, 3},      {"chain", 1'000'000, 2.5},
    {"chain", 10'000'000, 2},  {"cross_entropy", 4096, 2.5},
    {"layer_norm", 4096, 1.4}, {"softmax", 4096, 1.4},
    {"mlp_step", 128, 1.4},    {"sgemm", 1024, 0.95},
};

struct Options {
  std::string json, python;
  std::vector<std::string> only;
  std::vector<int> threads = {1, 2};
  int rounds = 5;
  double seconds = 0.3;
  double patience = 20;
  Clock clock = Clock::wall;
};

struct Result {
  std::string peer;
  Case work;
  int threads;
  double ours_us, peer_us;
  double ratio, lowest, highest;
  double others;  // the most cores that others used in a turn that counts
  bool has_bar;
  bool met() const { return ratio >= work.bar; }
};

// --- what libtorch is given -------------------------------------------------

bool has_avx512() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("flags"))
      return (line + " ").find(" avx512bw ") != std::string::npos;
  return false;
}

// Memory that a big tensor had stays in the process, in huge pages: else each
// result costs a page fault for every 4 KiB.
constexpr const char* kTunables =
    "glibc.malloc.mmap_threshold=1073741824:"
    "glibc.malloc.trim_threshold=4294967296:"
    "glibc.malloc.top_pad=268435456:glibc.malloc.hugetlb=1";

// What the user has set in the environment is left.
void set_unless_set(Environment& settings, const char* name,
                    const std::string& value) {
  if (std::getenv(name) == nullptr) settings.emplace_back(name, value);
}

Environment tuned() {
  Environment settings;
  set_unless_set(settings, "GLIBC_TUNABLES", kTunables);
  if (has_avx512()) set_unless_set(settings, "ATEN_CPU_CAPABILITY", "avx512");
  return settings;
}

// OpenBLAS takes slow kernels on a CPU that is younger than itself, so each
// set that may fit is tried; whatever the environment says is one of them.
void tune_openblas(const std::vector<std::string>& command,
                   Environment& settings) {
  std::vector<std::string> cores = {"", "Haswell", "Zen"};
  if (has_avx512()) cores.insert(cores.end(), {"SkylakeX", "Cooperlake"});
  double best = 1e300;
  std::string fastest;
  for (const std::string& core : cores) {
    Environment with = settings;
    if (!core.empty()) with.emplace_back("OPENBLAS_CORETYPE", core);
    Peer peer(command, with);
    if (peer.description().find("OpenBLAS") == std::string::npos) return;
    peer.begin("sgemm", 1024, 1);
    const double us = peer.fastest_us(0.3, Clock::cpu);
    std::printf("  OPENBLAS_CORETYPE=%-12s sgemm 1024³ %4.0f GFLOP/s\n",
                core.empty() ? "(as it is)" : core.c_str(),
                2 * std::pow(1024.0, 3) / us / 1e3);
    if (us < best) best = us, fastest = core;
  }
  if (!fastest.empty()) settings.emplace_back("OPENBLAS_CORETYPE", fastest);
}

// --- the load of other programs ---------------------------------------------

// Of all cores since the machine started, time that a hypervisor took included.
double busy_us() {
  std::ifstream stat("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0,
         steal = 0;
  stat >> cpu >> user >> nice >> system >> idle >> wait >> irq >> soft >> steal;
  return 1e6 * (user + nice + system + irq + soft + steal) /
         static_cast<double>(sysconf(_SC_CLK_TCK));
}

// --- measuring --------------------------------------------------------------

struct Turn {
  double ours_us, peer_us;
  double others;  // cores that other programs kept busy meanwhile
};

// Above this many cores a turn counts as disturbed.
constexpr double kDisturbed = 0.1;

Turn take_turn(Work& ours, Peer& peer, bool ours_first,
               const Options& options) {
  const double start = now_us(Clock::wall), busy = busy_us(),
               own = now_us(Clock::cpu) + peer.cpu_us();
  Turn t{};
  const auto take_ours = [&] {
    t.ours_us = fastest_us(ours, options.seconds, options.clock);
  };
  if (ours_first) take_ours();
  t.peer_us = peer.fastest_us(options.seconds, options.clock);
  if (!ours_first) take_ours();
  const double all = busy_us() - busy;
  const double both = now_us(Clock::cpu) + peer.cpu_us() - own;
  t.others = std::max(0.0, all - both) / (now_us(Clock::wall) - start);
  return t;
}

std::ptrdiff_t undisturbed(const std::vector<Turn>& turns) {
  return std::count_if(turns.begin(), turns.end(),
                       [](const Turn& t) { return t.others <= kDisturbed; });
}

Result measure(const std::string& name, Peer& peer, const Case& c, int threads,
               const Options& options, bool has_bar) {
  jacquard::cpu_fallback::set_num_threads(threads);
  const auto ours = our_work(c.name, c.size);
  for (int i = 0; i < kWarmUps; ++i) ours->run();
  const double our_sum = ours->checksum();
  const double their_sum = peer.begin(c.name, c.size, threads);
  if (!(std::abs(our_sum - their_sum) <= 1e-3 * std::abs(their_sum)))
    throw std::runtime_error(std::string(c.name) +
                             ": the results differ; the checksum is " +
                             std::to_string(our_sum) + " here and " +
                             std::to_string(their_sum) + " in " + name);

  Result r{name, c, threads, 1e300, 1e300, 0, 0, 0, 0, has_bar};
  std::vector<Turn> turns;
  const double patient_until = now_us(Clock::wall) + options.patience * 1e6;
  do {
    turns.push_back(take_turn(*ours, peer, turns.size() % 2 == 0, options));
  } while (std::ssize(turns) < options.rounds ||
           (undisturbed(turns) < options.rounds &&
            now_us(Clock::wall) < patient_until));

  std::sort(turns.begin(), turns.end(),
            [](const Turn& a, const Turn& b) { return a.others < b.others; });
  turns.resize(static_cast<std::size_t>(options.rounds));
  std::vector<double> ratios;
  for (const Turn& t : turns) {
    r.ours_us = std::min(r.ours_us, t.ours_us);
    r.peer_us = std::min(r.peer_us, t.peer_us);
    ratios.push_back(t.peer_us / t.ours_us);
  }
  r.others = turns.back().others;
  std::sort(ratios.begin(), ratios.end());
  r.ratio = ratios[ratios.size() / 2];
  r.lowest = ratios.front();
  r.highest = ratios.back();
  return r;
}

void print(const Result& r) {
  std::printf("%-14s %9lld %3d %11.1f %11.1f %7.2f  %5.2f–%-6.2f %6.2f",
              r.work.name, static_cast<long long>(r.work.size), r.threads,
              r.ours_us, r.peer_us, r.ratio, r.lowest, r.highest, r.others);
  if (r.has_bar)
    std::printf(" %5.2f  %s", r.work.bar, r.met() ? "met" : "MISSED");
  std::puts("");
  std::fflush(stdout);
}

std::vector<Result> compare_with(const std::string& name,
                                 const std::vector<std::string>& command,
                                 const Environment& settings,
                                 const Options& options, bool has_bar) {
  Peer peer(command, settings);
  std::printf("\n%s\n", peer.description().c_str());
  for (const auto& [variable, value] : settings)
    std::printf("  %s=%s\n", variable.c_str(), value.c_str());
  std::printf("%-14s %9s %3s %11s %11s %7s  %-12s %6s %5s\n", "case", "size",
              "thr", "ours µs", "peer µs", " ratio", "  spread", "others",
              has_bar ? "bar" : "");
  std::vector<Result> results;
  for (const Case& c : kCases) {
    if (!options.only.empty() &&
        std::find(options.only.begin(), options.only.end(), c.name) ==
            options.only.end())
      continue;
    for (const int threads : options.threads) {
      results.push_back(measure(name, peer, c, threads, options, has_bar));
      print(results.back());
    }
  }
  return results;
}

void write_json(const std::string& file, const std::vector<Result>& results) {
  std::ofstream out(file);
  out.precision(6);
  out << "[";
  const char* separator = "\n";
  for (const Result& r : results) {
    out << separator << R"(  {"case": ")" << r.work.name << R"(", "size": )"
        << r.work.size << R"(, "threads": )" << r.threads << R"(, "ours_us": )"
        << r.ours_us << R"(, "peer_us": )" << r.peer_us << R"(, "ratio": )"
        << r.ratio << R"(, "ratio_lowest": )" << r.lowest
        << R"(, "ratio_highest": )" << r.highest << R"(, "others": )"
        << r.others << R"(, "peer": ")" << r.peer << R"("})";
    separator = ",\n";
  }
  out << "\n]\n";
  if (!out) throw std::runtime_error(file + " can't be written");
}

// --- the program ------------------------------------------------------------

std::string own_folder() {
  char path[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
  if (n <= 0) throw std::runtime_error("/proc/self/exe can't be read");
  const std::string_view all(path, static_cast<std::size_t>(n));
  return std::string(all.substr(0, all.rfind('/')));
}

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "CPU";
}

int run(const Options& options) {
  jacquard::set_default_device(jacquard::cpu());
  double load = 0;
  getloadavg(&load, 1);
  std::printf(
      "%s, %ld cores, load average %.1f, glibc %s\n"
      "jacquard " JACQUARD_VERSION
      ", %s, %d rounds of %g s, ratio = peer / "
      "ours\n",
      cpu_model().c_str(), sysconf(_SC_NPROCESSORS_ONLN), load,
      gnu_get_libc_version(), jacquard::cpu_fallback::kernels().level,
      options.rounds, options.seconds);

  Environment settings = tuned();
  const std::string program = own_folder() + "/jacquard_torch_peer";
  tune_openblas({program}, settings);
  auto results =
      compare_with("libtorch", {program}, settings, options, /*has_bar=*/true);
  if (!options.python.empty()) {
    for (const bool compiled : {false, true}) {
      std::vector<std::string> command = {options.python, JACQUARD_TORCH_PY};
      if (compiled) command.push_back("--compile");
      const auto more =
          compare_with(compiled ? "torch-compiled" : "torch-eager", command,
                       settings, options, /*has_bar=*/false);
      results.insert(results.end(), more.begin(), more.end());
    }
  }
  if (!options.json.empty()) write_json(options.json, results);
  const auto missed =
      std::count_if(results.begin(), results.end(),
                    [](const Result& r) { return r.has_bar && !r.met(); });
  if (std::any_of(results.begin(), results.end(),
                  [](const Result& r) { return r.others > kDisturbed; }))
    std::puts(
        "\nothers: cores that other programs kept busy; ratios above 0.1, "
        "those "
        "of two threads first of all, say little");
  std::printf("\n%lld of the bars missed\n", static_cast<long long>(missed));
  return missed == 0 ? 0 : 2;
}

}  // namespace
}  // namespace compare

int main(int argc, char** argv) {
  compare::Options options;
  CLI::App app("Times Jacquard beside libtorch. Exit status 2: a bar missed.");
  app.add_option("--json", options.json, "Where the results go");
  app.add_option("--python", options.python,
                 "A Python with PyTorch: compared with as well, eager and "
                 "compiled");
  app.add_option("--case", options.only, "Only these cases");
  app.add_option("--threads", options.threads)->delimiter(',');
  app.add_option("--rounds", options.rounds)->check(CLI::Range(1, 1000));
  app.add_option("--seconds", options.seconds, "Of one side in one round")
      ->check(CLI::PositiveNumber);
  app.add_flag_callback(
      "--cpu-time",
      [&] {
        options.clock = compare::Clock::cpu;
        options.threads = {1};
      },
      "Time the process instead of the wall, one thread only: for a machine "
      "that others use as well");
  app.add_option("--patience", options.patience,
                 "Seconds that a case may take to repeat rounds in which other "
                 "programs ran");
  CLI11_PARSE(app, argc, argv);
  try {
    return compare::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "jacquard_compare: %s\n", error.what());
    return 1;
  }
}
