# Writes a C++ file with the contents of text files:
#   cmake -DOUTPUT=embedded.cpp "-DINPUTS=a.h;b.cuh" -P embed_texts.cmake
set(entries "")
foreach(input IN LISTS INPUTS)
  file(READ "${input}" contents)
  string(REPLACE "#pragma once\n" "" contents "${contents}")
  cmake_path(GET input FILENAME name)
  string(APPEND entries "    {\"${name}\", R\"jacquard(\n${contents})jacquard\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "// Made by embed_texts.cmake.
#include \"cuda/codegen/embedded.h\"

#include <stdexcept>
#include <string>

namespace jacquard::cuda_backend {
namespace {

struct Text {
  std::string_view name, contents;
};
constexpr Text kTexts[] = {
${entries}};

}  // namespace

std::string_view embedded(std::string_view name) {
  for (const Text& text : kTexts)
    if (text.name == name) return text.contents;
  throw std::logic_error(\"no embedded text \" + std::string(name));
}

}  // namespace jacquard::cuda_backend
")
