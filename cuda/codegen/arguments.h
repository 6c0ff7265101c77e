// The parameters of a generated kernel: one struct of 8-byte fields.
//
// One pass over what a launch is made of gives both the declaration, when the
// source is written, and the values, at each launch; so they can't disagree.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/codegen/text.h"

namespace jacquard::cuda_backend {

class Arguments {
 public:
  // With a declaration, as the members of a struct, if `declaration` is not
  // null.
  void begin(std::string* declaration) {
    words_.clear();
    declaration_ = declaration;
  }

  // A field of C++ type `type` with the name that the parts make.
  template <class... Parts>
  void add(std::uint64_t word, const char* type, const Parts&... name) {
    words_.push_back(word);
    if (!declaration_) [[likely]]
      return;
    cuda_backend::add(*declaration_, "  alignas(8) ", type, " ");
    cuda_backend::add(*declaration_, name...);
    cuda_backend::add(*declaration_, ";\n");
  }
  template <class... Parts>
  void add_pointer(const void* data, const char* type, const Parts&... name) {
    add(reinterpret_cast<std::uintptr_t>(data), type, name...);
  }
  // Positions and counts.
  template <class... Parts>
  void add_index(std::int64_t value, const Parts&... name) {
    add(static_cast<std::uint64_t>(value), "Index", name...);
  }

  std::uint64_t* data() { return words_.data(); }
  std::size_t bytes() const { return words_.size() * sizeof(std::uint64_t); }
  std::size_t count() const { return words_.size(); }

 private:
  std::vector<std::uint64_t> words_;
  std::string* declaration_ = nullptr;
};

}  // namespace jacquard::cuda_backend
