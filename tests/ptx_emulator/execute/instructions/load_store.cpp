// ld, ldu and st of all spaces but .param; prefetches, which do nothing.
#include <atomic>
#include <cstdint>
#include <cstring>

#include "execute/instruction_table.h"
#include "execute/instructions/memory_operations.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

// N values of one lane, read and written as a whole.
template <class M, int N>
struct alignas(sizeof(M) * N) Vector {
  M values[N];
};

// Memory may hold any type.
template <class T>
T read_as(Address address) {
  T value;
  std::memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
  return value;
}

AddressSpace space_of(const Instruction& i) {
  return static_cast<AddressSpace>(i.element);
}

// An .acquire or .release orders other accesses like a fence.
void fence_if_ordered(Warp& warp, const Instruction& i) {
  if (i.option != static_cast<std::uint8_t>(MemoryOrder::kOrdered)) return;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  warp.thread().shared.fence(warp.index());
}

// list: registers of the elements; element: AddressSpace; option: MemoryOrder.
// M is the type in memory, D the register's, to which M is extended.
template <class M, class D, int N>
void load(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  alignas(64) Address address[kWarpSize];
  lane_addresses(warp, i, address);
  const Pattern pattern = locate<AccessKind::kRead>(
      warp, i, space_of(i), lanes, sizeof(M) * N, i.option != 0, address);
  if constexpr (N == 1) {
    if (i.list[0] == kNoRow) return;
    D* d = warp.row<D>(i.list[0]);
    if (pattern == Pattern::kContiguous && sizeof(M) == sizeof(D)) {
      std::memcpy(d, reinterpret_cast<const void*>(address[0]),
                  sizeof(D) * kWarpSize);
    } else {
      write_lanes(d, lanes, [&](int l) {
        return static_cast<D>(read_as<M>(address[l]));
      });
    }
  } else {
    using V = Vector<M, N>;
    alignas(64) V values[kWarpSize];
    if (pattern == Pattern::kContiguous) {
      std::memcpy(values, reinterpret_cast<const void*>(address[0]),
                  sizeof values);
    } else {
      for (int l = 0; l < kWarpSize; ++l) values[l] = read_as<V>(address[l]);
    }
    for (int k = 0; k < N; ++k) {
      if (i.list[k] == kNoRow) continue;
      write_lanes(warp.row<D>(i.list[k]), lanes,
                  [&](int l) { return static_cast<D>(values[l].values[k]); });
    }
  }
  fence_if_ordered(warp, i);
}

template <class M, class D, int N>
void store(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  alignas(64) Address address[kWarpSize];
  lane_addresses(warp, i, address);
  fence_if_ordered(warp, i);
  const Pattern pattern = locate<AccessKind::kWrite>(
      warp, i, space_of(i), lanes, sizeof(M) * N, i.option != 0, address);
  if constexpr (N == 1) {
    const D* d = warp.row<D>(i.list[0]);
    if (pattern == Pattern::kContiguous && sizeof(M) == sizeof(D)) {
      std::memcpy(reinterpret_cast<void*>(address[0]), d,
                  sizeof(D) * kWarpSize);
      return;
    }
    for_each_lane(lanes, [&](int l) {
      const M value = static_cast<M>(d[l]);
      std::memcpy(reinterpret_cast<void*>(address[l]), &value, sizeof value);
    });
  } else {
    using V = Vector<M, N>;
    alignas(64) V values[kWarpSize];
    for (int k = 0; k < N; ++k) {
      const D* d = warp.row<D>(i.list[k]);
      for (int l = 0; l < kWarpSize; ++l) {
        values[l].values[k] = static_cast<M>(d[l]);
      }
    }
    if (pattern == Pattern::kContiguous) {
      std::memcpy(reinterpret_cast<void*>(address[0]), values, sizeof values);
      return;
    }
    for_each_lane(lanes, [&](int l) {
      std::memcpy(reinterpret_cast<void*>(address[l]), &values[l], sizeof(V));
    });
  }
}

template <bool kLoad, class M, class D>
Handler by_count(std::size_t count) {
  switch (count) {
    case 1:
      return kLoad ? load<M, D, 1> : store<M, D, 1>;
    case 2:
      return kLoad ? load<M, D, 2> : store<M, D, 2>;
    case 4:
      return kLoad ? load<M, D, 4> : store<M, D, 4>;
    case 8:
      if constexpr (sizeof(M) <= 4) {
        return kLoad ? load<M, D, 8> : store<M, D, 8>;
      }
      return nullptr;
    default:
      return nullptr;
  }
}

template <bool kLoad, class M>
Handler by_register(int bytes, std::size_t count) {
  if constexpr (sizeof(M) <= 2) {
    if (bytes == 2) return by_count<kLoad, M, std::uint16_t>(count);
  }
  if constexpr (sizeof(M) <= 4) {
    if (bytes == 4) return by_count<kLoad, M, std::uint32_t>(count);
  }
  if (bytes == 8) return by_count<kLoad, M, std::uint64_t>(count);
  return nullptr;
}

template <bool kLoad>
Handler handler_of(Type type, int register_bytes, std::size_t count) {
  // Stores cut, so the sign does not matter.
  const bool extends_sign = kLoad && ptx::is_signed(type);
  switch (ptx::type_size(type)) {
    case 1:
      return extends_sign
                 ? by_register<kLoad, std::int8_t>(register_bytes, count)
                 : by_register<kLoad, std::uint8_t>(register_bytes, count);
    case 2:
      return extends_sign
                 ? by_register<kLoad, std::int16_t>(register_bytes, count)
                 : by_register<kLoad, std::uint16_t>(register_bytes, count);
    case 4:
      return extends_sign
                 ? by_register<kLoad, std::int32_t>(register_bytes, count)
                 : by_register<kLoad, std::uint32_t>(register_bytes, count);
    case 8:
      return by_register<kLoad, std::uint64_t>(register_bytes, count);
    default:
      return nullptr;
  }
}

InstructionClass class_of_space(AddressSpace space) {
  switch (space) {
    case AddressSpace::kShared:
      return InstructionClass::kShared;
    case AddressSpace::kLocal:
      return InstructionClass::kLocal;
    default:
      return InstructionClass::kGlobal;
  }
}

std::size_t take_vector_length(Decoder& decoder) {
  if (decoder.take("v2")) return 2;
  if (decoder.take("v4")) return 4;
  if (decoder.take("v8")) return 8;
  return 1;
}

template <bool kLoad>
bool decode(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  AddressSpace space = decoder.take_space();
  i.option = static_cast<std::uint8_t>(decoder.take_memory_order());
  const std::size_t count = take_vector_length(decoder);
  const auto& value = decoder.operand(kLoad ? 0 : 1);
  std::vector<ptx::Operand> elements = value.elements;
  if (value.kind != ptx::Operand::Kind::kVector) elements = {value};
  if (elements.size() != count) decoder.refuse("a vector of another length");
  // All registers have one width; constants and sinks take that of the others.
  int width = 0;
  for (const ptx::Operand& element : elements) {
    if (element.kind != ptx::Operand::Kind::kRegister) continue;
    const Type declared = decoder.register_type(element.name);
    const int bytes =
        declared == Type::kNone ? 4 : std::max(2, ptx::type_size(declared));
    if (width != 0 && width != bytes) {
      decoder.refuse("registers of different widths");
    }
    width = bytes;
  }
  if (width == 0) width = std::max(2, ptx::type_size(type));
  const Type as = width == ptx::type_size(type) ? type
                  : width == 2                  ? Type::kB16
                  : width == 4                  ? Type::kB32
                                                : Type::kB64;
  for (std::size_t k = 0; k < count; ++k) {
    i.list[k] = kLoad ? decoder.destination_of(elements[k], as)
                      : decoder.source_of(elements[k], as);
  }
  decoder.address(kLoad ? 1 : 0, &space, &i);
  i.element = static_cast<std::uint8_t>(space);
  i.cls = class_of_space(space);
  i.handler = handler_of<kLoad>(type, width, count);
  return i.handler != nullptr;
}

void nothing(Warp&, const Instruction&, std::uint32_t) {}

bool decode_hint(Decoder& decoder, Instruction& i) {
  i.handler = nothing;
  i.cls = InstructionClass::kControl;
  while (!decoder.take_any().empty()) {
  }
  for (std::size_t k = 0; k < decoder.operands(); ++k) decoder.operand(k);
  return true;
}

}  // namespace

void add_load_store_instructions(InstructionTable* table) {
  (*table)["ld"].push_back(decode<true>);
  (*table)["ldu"].push_back(decode<true>);
  (*table)["st"].push_back(decode<false>);
  for (const char* hint : {"prefetch", "prefetchu", "applypriority"}) {
    (*table)[hint].push_back(decode_hint);
  }
}

}  // namespace ptx_emulator
