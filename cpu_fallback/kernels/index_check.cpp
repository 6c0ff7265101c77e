#include "cpu_fallback/kernels/index_check.h"

#include <algorithm>
#include <string>

#include "jacquard/error.h"

namespace jacquard::cpu_fallback {

void check_indices(const backend::IndexLaunch& l) {
  const auto distinct = [&](int axis, std::int64_t extent) {
    return l.index_strides[axis] == 0 ? std::min<std::int64_t>(extent, 1)
                                      : extent;
  };
  const std::int64_t outer = distinct(0, l.outer), count = distinct(1, l.count),
                     inner = distinct(2, l.inner);
  if (l.outer == 0 || l.count == 0 || l.inner == 0) return;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t j = 0; j < count; ++j) {
      const std::int64_t* row =
          l.index + o * l.index_strides[0] + j * l.index_strides[1];
      for (std::int64_t i = 0; i < inner; ++i) {
        const std::int64_t index = row[i * l.index_strides[2]];
        if (index >= -l.extent && index < l.extent) continue;
        throw IndexError(std::string(l.op) + ": index " +
                         std::to_string(index) +
                         " is out of range for an axis of extent " +
                         std::to_string(l.extent));
      }
    }
  }
}

}  // namespace jacquard::cpu_fallback
