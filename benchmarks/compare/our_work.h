// Jacquard's side.
#pragma once

#include "compare/work.h"

namespace compare {

// std::invalid_argument for a name that there is not.
std::unique_ptr<Work> our_work(const std::string& name, std::int64_t size);

}  // namespace compare
