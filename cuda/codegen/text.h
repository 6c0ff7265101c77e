// Text made of parts: strings and integers.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace jacquard::cuda_backend {

inline void append(std::string& to, std::string_view part) { to += part; }
inline void append(std::string& to, char part) { to += part; }
template <std::integral T>
void append(std::string& to, T part) {
  to += std::to_string(part);
}

template <class... Parts>
std::string& add(std::string& to, const Parts&... parts) {
  (append(to, parts), ...);
  return to;
}
template <class... Parts>
std::string text(const Parts&... parts) {
  std::string made;
  add(made, parts...);
  return made;
}

}  // namespace jacquard::cuda_backend
