// The fundamental types of PTX.
#pragma once

#include <cstdint>
#include <string_view>

namespace ptx_emulator::ptx {

enum class Type : std::uint8_t {
  kNone,
  kPred,
  kB8,
  kU8,
  kS8,
  kB16,
  kU16,
  kS16,
  kF16,
  kBF16,
  kB32,
  kU32,
  kS32,
  kF32,
  kF16x2,
  kBF16x2,
  kB64,
  kU64,
  kS64,
  kF64,
  kB128,
};

// kNone if `name` (without its dot) is no type.
Type type_named(std::string_view name);
std::string_view type_name(Type type);

// Bytes of one value; 4 for a predicate, whose row holds a 32-bit lane mask.
constexpr int type_size(Type type) {
  if (type <= Type::kPred) return 4;
  if (type <= Type::kS8) return 1;
  if (type <= Type::kBF16) return 2;
  if (type <= Type::kBF16x2) return 4;
  if (type <= Type::kF64) return 8;
  return 16;
}

constexpr bool is_float(Type type) {
  return type == Type::kF16 || type == Type::kBF16 || type == Type::kF32 ||
         type == Type::kF64;
}

constexpr bool is_packed(Type type) {
  return type == Type::kF16x2 || type == Type::kBF16x2;
}

constexpr bool is_signed(Type type) {
  return type == Type::kS8 || type == Type::kS16 || type == Type::kS32 ||
         type == Type::kS64;
}

// Signed, unsigned and untyped bits.
constexpr bool is_integer(Type type) {
  return type > Type::kPred && !is_float(type) && !is_packed(type);
}

}  // namespace ptx_emulator::ptx
