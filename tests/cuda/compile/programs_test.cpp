// The listed programs are run once, which leaves their sources in a folder;
// each source is then compiled to machine code for each architecture.
#include "tests/cuda/compile/programs.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <thread>

#include "cuda/codegen/nvrtc.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/stream.h"
#include "tests/cuda/compile/cubin.h"
#include "tests/cuda/compile/temporary_folder.h"

namespace jacquard::cuda_backend {
namespace {

namespace fs = std::filesystem;

constexpr int kArchitectures[] = {75, 80, 90, 100, 103, 110, 120};

struct Source {
  fs::path file;
  const ListedProgram* program;
};

std::vector<Source> sources_of(const std::vector<ListedProgram>& programs,
                               const std::string& folder) {
  const Stream stream = current_stream(0);
  std::vector<Source> sources;
  std::set<fs::path> known;
  for (const ListedProgram& p : programs) {
    run_listed(p, stream);
    const std::size_t before = known.size();
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".cu" &&
          known.insert(entry.path()).second)
        sources.push_back({entry.path(), &p});
    EXPECT_GT(known.size(), before) << p.name << " is there twice";
  }
  synchronize(stream);
  return sources;
}

class Compilations {
 public:
  explicit Compilations(const std::vector<Source>& sources)
      : sources_(sources) {}

  void run() {
    const auto start = std::chrono::steady_clock::now();
    std::thread other([this] { work(); });
    work();
    other.join();
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - start;
    std::printf(
        "%zu kernels for %zu architectures in %.1f s, at most %u "
        "registers\n",
        sources_.size(), std::size(kArchitectures), took.count(),
        most_registers_);
  }

 private:
  void work() {
    for (std::size_t i; (i = next_++) < sources_.size();) {
      std::ifstream in(sources_[i].file);
      const std::string source{std::istreambuf_iterator<char>(in), {}};
      for (const int architecture : kArchitectures)
        compile_one(*sources_[i].program, source,
                    sources_[i].file.stem().string(), architecture);
    }
  }

  void compile_one(const ListedProgram& program, const std::string& source,
                   const std::string& name, int architecture) {
    const std::string what =
        program.name + " for sm_" + std::to_string(architecture);
    try {
      const auto found = resources_of(
          compile(source, name, {architecture, true}, false).image);
      const std::lock_guard lock(mutex_);
      bool is_there = false;
      // Beside the kernel there may be functions of ptxas's own that it calls.
      for (const KernelResources& k : found) {
        is_there |= k.name == name && k.registers > 0;
        EXPECT_TRUE(k.stack == 0 || program.angles)
            << what << ": " << k.stack << " bytes of local memory";
        most_registers_ = std::max(most_registers_, k.registers);
      }
      EXPECT_TRUE(is_there) << what;
    } catch (const std::exception& e) {
      const std::lock_guard lock(mutex_);
      ADD_FAILURE() << what << ": " << e.what();
    }
  }

  const std::vector<Source>& sources_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  unsigned most_registers_ = 0;
};

TEST(Programs, CompileToMachineCodeWithoutLocalMemory) {
  if (device_count() == 0) GTEST_SKIP() << "there is no CUDA device";
  const TemporaryFolder folder;
  setenv("JACQUARD_CUDA_DUMP", folder.path().c_str(), 1);
  const std::vector<ListedProgram> programs = listed_programs();
  EXPECT_EQ(programs.size(), 150u);
  const std::vector<Source> sources = sources_of(programs, folder.path());
  Compilations(sources).run();
}

}  // namespace
}  // namespace jacquard::cuda_backend
