// cp.async: copies from global to shared memory. They are done when they are
// issued; waiting for them does nothing.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "execute/instruction_table.h"
#include "execute/instructions/memory_operations.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

// option: 1 = c holds the bytes to read, 2 = c is a predicate that skips the
// read; element: bytes to write; a, offset: shared address; b, target: global
// one.
void copy_async(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const unsigned bytes = i.element;
  Address to[kWarpSize], from[kWarpSize];
  lane_addresses(warp, i, to);
  const auto* source = warp.row<std::uint64_t>(i.b);
  for (int l = 0; l < kWarpSize; ++l) {
    from[l] = source[l] +
              static_cast<std::uint64_t>(static_cast<std::int32_t>(i.target));
  }
  std::uint32_t whole = lanes;  // lanes that read all bytes
  if (i.option == 1) {
    const auto* size = warp.row<std::uint32_t>(i.c);
    for_each_lane(lanes, [&](int l) {
      if (size[l] < bytes) whole &= ~(1u << l);
    });
  } else if (i.option == 2) {
    whole &= ~*warp.row<std::uint32_t>(i.c);
  }
  std::byte values[kWarpSize][16] = {};
  for_each_lane(lanes & ~whole, [&](int l) {
    const unsigned size = i.option == 1 ? warp.row<std::uint32_t>(i.c)[l] : 0;
    if (size == 0) return;
    std::memcpy(values[l], locate_bytes(warp, i, l, from[l], size), size);
  });
  if (whole != 0) {
    locate<AccessKind::kRead>(warp, i, AddressSpace::kGlobal, whole, bytes,
                              false, from);
    for_each_lane(whole, [&](int l) {
      std::memcpy(values[l], reinterpret_cast<const void*>(from[l]), bytes);
    });
  }
  locate<AccessKind::kWrite>(warp, i, AddressSpace::kShared, lanes, bytes,
                             false, to);
  for_each_lane(lanes, [&](int l) {
    std::memcpy(reinterpret_cast<void*>(to[l]), values[l], bytes);
  });
}

void nothing(Warp&, const Instruction&, std::uint32_t) {}

bool decode_wait(Decoder& decoder, Instruction& i) {
  i.handler = nothing;
  i.cls = InstructionClass::kControl;
  if (decoder.take("commit_group") || decoder.take("wait_all")) return true;
  if (!decoder.take("wait_group")) return false;
  decoder.immediate(0);
  return true;
}

bool decode(Decoder& decoder, Instruction& i) {
  if (!decoder.take("async") || decoder.has("bulk") ||
      decoder.has("mbarrier")) {
    return false;
  }
  if (decoder.has("commit_group") || decoder.has("wait_group") ||
      decoder.has("wait_all")) {
    return decode_wait(decoder, i);
  }
  decoder.take_memory_order();  // .ca, .cg and prefetch sizes
  if (!decoder.take("shared") && !decoder.take("shared::cta")) return false;
  if (!decoder.take("global")) return false;
  AddressSpace global = AddressSpace::kGlobal, shared = AddressSpace::kShared;
  Instruction source;
  decoder.address(1, &global, &source);
  if (source.option2 == 0) decoder.refuse("a 32-bit global address");
  decoder.address(0, &shared, &i);
  i.b = source.a;
  i.target = static_cast<std::uint32_t>(source.offset);
  if (source.offset != static_cast<std::int32_t>(source.offset)) {
    decoder.refuse("a global address of a variable");
  }
  const std::uint64_t bytes = decoder.immediate(2);
  if (bytes != 4 && bytes != 8 && bytes != 16) return false;
  i.element = static_cast<std::uint8_t>(bytes);
  if (decoder.operands() > 3) {
    const auto& last = decoder.operand(3);
    const bool ignore = decoder.register_type(last.name) == Type::kPred;
    i.option = ignore ? 2 : 1;
    i.c = decoder.source_of(last, ignore ? Type::kPred : Type::kU32);
  }
  i.handler = copy_async;
  i.cls = InstructionClass::kGlobal;
  return true;
}

}  // namespace

void add_async_copy_instructions(InstructionTable* table) {
  (*table)["cp"].push_back(decode);
}

}  // namespace ptx_emulator
