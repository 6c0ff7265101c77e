#include "core/backend/compilation_watch.h"

#include <atomic>
#include <cstdio>

namespace jacquard::backend {
namespace {

constexpr int kStepsToSettle = 3;
constexpr std::uint64_t kMostAfter = 32;

std::atomic<std::uint64_t> compiled{0};
std::atomic<int> steps{0};
// What was compiled when the third step was over.
std::atomic<std::uint64_t> compiled_at_first{0};
std::atomic<bool> told{false};

}  // namespace

void note_compilation() { compiled.fetch_add(1, std::memory_order_relaxed); }

std::uint64_t compilations() {
  return compiled.load(std::memory_order_relaxed);
}

void note_step() {
  if (steps.load(std::memory_order_relaxed) >= kStepsToSettle) [[likely]]
    return;
  compiled_at_first = compilations();
  ++steps;
}

void compiled_for(const char* op, CallSite site) {
  if (steps < kStepsToSettle ||
      compilations() - compiled_at_first <= kMostAfter || told.exchange(true))
    return;
  std::fprintf(
      stderr,
      "jacquard: more than %d kernels were compiled after the third step, the "
      "last one for %s, called at %s:%d. A kernel is compiled for each new "
      "combination of operations, element types and ranks; sizes and numbers "
      "don't matter. JACQUARD_FUSION=off compiles one for each operation.\n",
      static_cast<int>(kMostAfter), op, site.file, site.line);
}

}  // namespace jacquard::backend
