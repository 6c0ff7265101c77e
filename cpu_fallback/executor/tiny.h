// Launches of at most kQuantum elements: no threads, no walks, no allocation.
#pragma once

#include "core/backend/backend.h"
#include "cpu_fallback/executor/plan.h"

namespace jacquard::cpu_fallback {

// Runs the launch if it is one: dense or constant leaves, outputs that are
// stored densely or reduced over everything, no rows. The bits are those of a
// launch by the ordinary way.
bool run_tiny(const Plan& plan, const backend::ProgramLaunch& launch);

}  // namespace jacquard::cpu_fallback
