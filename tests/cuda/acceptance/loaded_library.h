// Which shared libraries a process has loaded.
#pragma once

#include <link.h>

#include <string>
#include <string_view>

namespace jacquard::acceptance {

// The path of a loaded library whose file name begins so; empty if there is
// none.
inline std::string loaded_library(std::string_view name) {
  struct Search {
    std::string_view name;
    std::string found;
  } search{name, {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        auto& s = *static_cast<Search*>(data);
        const std::string_view path = info->dlpi_name;
        if (!path.substr(path.rfind('/') + 1).starts_with(s.name)) return 0;
        s.found = path;
        return 1;
      },
      &search);
  return search.found;
}

}  // namespace jacquard::acceptance
