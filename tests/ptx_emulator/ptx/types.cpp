#include "ptx/types.h"

#include <array>

namespace ptx_emulator::ptx {
namespace {

constexpr std::array<std::string_view, 21> kNames = {
    "",      "pred",   "b8",   "u8",  "s8",  "b16", "u16",
    "s16",   "f16",    "bf16", "b32", "u32", "s32", "f32",
    "f16x2", "bf16x2", "b64",  "u64", "s64", "f64", "b128"};

}  // namespace

Type type_named(std::string_view name) {
  for (std::size_t i = 1; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Type>(i);
  }
  return Type::kNone;
}

std::string_view type_name(Type type) {
  return kNames[static_cast<std::size_t>(type)];
}

}  // namespace ptx_emulator::ptx
