// The choice of the instruction-set level.
#include <cstdlib>
#include <cstring>
#include <string>

#include "cpu_fallback/isa/tables.h"
#include "jacquard/error.h"

namespace jacquard::cpu_fallback {
namespace {

const KernelTable* level_named(const RunnableTables& all, const char* name) {
  for (int i = 0; i < all.count; ++i) {
    const char* level = all.tables[i]->level;
    const char* dash = std::strrchr(level, '-');
    if (std::strcmp(dash ? dash + 1 : level, name) == 0) return all.tables[i];
  }
  return nullptr;
}

const KernelTable& choose() {
  const RunnableTables all = runnable_tables();
  if (all.count == 0)
    throw DeviceError(
        "cpu: this processor lacks SSE4.2 and POPCNT (x86-64-v2), which the "
        "CPU backend needs");
  const KernelTable* best = all.tables[all.count - 1];
  const char* wanted = std::getenv("JACQUARD_ISA");
  if (wanted == nullptr || *wanted == '\0') return *best;
  if (const KernelTable* table = level_named(all, wanted)) return *table;
  std::string message = "JACQUARD_ISA=" + std::string(wanted) +
                        ": not a level that this machine and build can run (";
  for (int i = 0; i < all.count; ++i) {
    const char* level = all.tables[i]->level;
    const char* dash = std::strrchr(level, '-');
    message += std::string(i ? ", " : "") + (dash ? dash + 1 : level);
  }
  throw DeviceError(message + ")");
}

}  // namespace

RunnableTables runnable_tables() {
  RunnableTables all = {};
#if defined(__x86_64__)
  // The features that tell the levels apart; the others come with them.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))
    all.tables[all.count++] = &x86_64_v2::table();
  else
    return all;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
    all.tables[all.count++] = &x86_64_v3::table();
  else
    return all;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    all.tables[all.count++] = &x86_64_v4::table();
#else
  all.tables[all.count++] = &generic::table();
#endif
  return all;
}

const KernelTable& kernels() {
  static const KernelTable& chosen = choose();
  return chosen;
}

}  // namespace jacquard::cpu_fallback
