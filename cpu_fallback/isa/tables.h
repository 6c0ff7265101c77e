// The levels that this build has, for the choice at start and for tests.
#pragma once

#include "cpu_fallback/isa/kernel_table.h"
#include "jacquard/export.h"

namespace jacquard::cpu_fallback {

// One table() a level, defined in the level's own objects (table.cpp).
#if defined(__x86_64__)
namespace x86_64_v2 {
const KernelTable& table();
}
namespace x86_64_v3 {
const KernelTable& table();
}
namespace x86_64_v4 {
const KernelTable& table();
}
#else
namespace generic {
const KernelTable& table();
}
#endif

// The tables that this machine can run, the best last.
struct RunnableTables {
  const KernelTable* tables[3];
  int count;
};
JACQUARD_API RunnableTables runnable_tables();

}  // namespace jacquard::cpu_fallback
