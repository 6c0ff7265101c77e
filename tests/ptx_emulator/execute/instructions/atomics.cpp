// atom and red: read, modify and write in one step that no other thread sees
// into. Blocks run on several host threads, so the host's atomic operations
// are used throughout.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "execute/instruction_table.h"
#include "execute/instructions/float_operations.h"
#include "execute/instructions/half_format.h"
#include "execute/instructions/memory_operations.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

enum class Operation : std::uint8_t {
  kAdd,
  kMin,
  kMax,
  kInc,
  kDec,
  kExchange,
  kCompareAndSwap,
  kAnd,
  kOr,
  kXor,
};

template <class T>
T integer_operation(Operation operation, T old, T b, T c) {
  using U = std::make_unsigned_t<T>;
  switch (operation) {
    case Operation::kAdd:
      return static_cast<T>(static_cast<U>(old) + static_cast<U>(b));
    case Operation::kMin:
      return b < old ? b : old;
    case Operation::kMax:
      return old < b ? b : old;
    case Operation::kInc:
      return old >= b ? T{0} : static_cast<T>(old + 1);
    case Operation::kDec:
      return old == 0 || old > b ? b : static_cast<T>(old - 1);
    case Operation::kExchange:
      return b;
    case Operation::kCompareAndSwap:
      return old == b ? c : old;
    case Operation::kAnd:
      return old & b;
    case Operation::kOr:
      return old | b;
    case Operation::kXor:
      break;
  }
  return old ^ b;
}

// How values of a type lie in memory (Word) and are combined. `global` says
// that the access goes to global memory.
template <class T>
struct Integer {
  using Word = std::make_unsigned_t<T>;
  static Word apply(Operation operation, Word old, Word b, Word c, bool) {
    return static_cast<Word>(integer_operation<T>(
        operation, static_cast<T>(old), static_cast<T>(b), static_cast<T>(c)));
  }
};

// Sums of f32 in global memory flush subnormal numbers (PTX ISA, atom).
struct Single {
  using Word = std::uint32_t;
  static Word apply(Operation, Word old, Word b, Word, bool global) {
    const auto x = std::bit_cast<float>(old), y = std::bit_cast<float>(b);
    const float sum = canonical(global ? flush(flush(x) + flush(y)) : x + y);
    return std::bit_cast<Word>(sum);
  }
};

struct Double {
  using Word = std::uint64_t;
  static Word apply(Operation, Word old, Word b, Word, bool) {
    return std::bit_cast<Word>(std::bit_cast<double>(old) +
                               std::bit_cast<double>(b));
  }
};

template <class Format>
struct HalfSum {
  using Word = std::uint16_t;
  static Word apply(Operation, Word old, Word b, Word, bool) {
    return Format::from_float(Format::to_float(old) + Format::to_float(b));
  }
};

template <class Format>
struct PackedSum {
  using Word = std::uint32_t;
  static Word apply(Operation, Word old, Word b, Word, bool) {
    const auto half = [](Word x, int shift) {
      return Format::to_float(static_cast<std::uint16_t>(x >> shift));
    };
    const Word low = Format::from_float(half(old, 0) + half(b, 0));
    const Word high = Format::from_float(half(old, 16) + half(b, 16));
    return high << 16 | low;
  }
};

// option: Operation; element: AddressSpace; count: MemoryOrder; b, c: operands;
// d: the old value.
template <class Kind>
void atomic(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  using Word = typename Kind::Word;
  Address address[kWarpSize];
  lane_addresses(warp, i, address);
  const auto space = static_cast<AddressSpace>(i.element);
  std::uint32_t global = 0;
  for (int l = 0; l < kWarpSize; ++l) {
    global |= static_cast<std::uint32_t>(
                  space == AddressSpace::kGlobal ||
                  (space == AddressSpace::kGeneric && address[l] >> 56 == 0))
              << l;
  }
  const bool fenced =
      i.count == static_cast<std::uint8_t>(MemoryOrder::kOrdered);
  if (fenced) warp.thread().shared.fence(warp.index());
  locate<AccessKind::kAtomic>(warp, i, space, lanes, sizeof(Word), true,
                              address);
  const auto operation = static_cast<Operation>(i.option);
  const Word* b = warp.row<Word>(i.b);
  const Word* c = warp.row<Word>(i.c);
  Word* d = i.d == kNoRow ? nullptr : warp.row<Word>(i.d);
  for_each_lane(lanes, [&](int l) {
    auto* word = reinterpret_cast<Word*>(address[l]);
    Word old = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    Word wanted = 0;
    do {
      wanted = Kind::apply(operation, old, b[l], c[l], (global >> l & 1) != 0);
    } while (!__atomic_compare_exchange_n(word, &old, wanted, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    if (d != nullptr) d[l] = old;
  });
  if (fenced) warp.thread().shared.fence(warp.index());
}

bool take_operation(Decoder& decoder, Operation* operation) {
  constexpr std::pair<const char*, Operation> kNames[] = {
      {"add", Operation::kAdd},
      {"min", Operation::kMin},
      {"max", Operation::kMax},
      {"inc", Operation::kInc},
      {"dec", Operation::kDec},
      {"exch", Operation::kExchange},
      {"cas", Operation::kCompareAndSwap},
      {"and", Operation::kAnd},
      {"or", Operation::kOr},
      {"xor", Operation::kXor}};
  for (const auto& [name, value] : kNames) {
    if (decoder.take(name)) {
      *operation = value;
      return true;
    }
  }
  return false;
}

Handler handler_of(Type type, Operation operation) {
  const bool adds = operation == Operation::kAdd;
  switch (type) {
    case Type::kB16:
    case Type::kU16:
      return operation == Operation::kCompareAndSwap ||
                     operation == Operation::kExchange
                 ? atomic<Integer<std::uint16_t>>
                 : nullptr;
    case Type::kB32:
    case Type::kU32:
      return atomic<Integer<std::uint32_t>>;
    case Type::kS32:
      return atomic<Integer<std::int32_t>>;
    case Type::kB64:
    case Type::kU64:
      return atomic<Integer<std::uint64_t>>;
    case Type::kS64:
      return atomic<Integer<std::int64_t>>;
    case Type::kF32:
      return adds ? atomic<Single> : nullptr;
    case Type::kF64:
      return adds ? atomic<Double> : nullptr;
    case Type::kF16:
      return adds ? atomic<HalfSum<Half>> : nullptr;
    case Type::kBF16:
      return adds ? atomic<HalfSum<Brain>> : nullptr;
    case Type::kF16x2:
      return adds ? atomic<PackedSum<Half>> : nullptr;
    case Type::kBF16x2:
      return adds ? atomic<PackedSum<Brain>> : nullptr;
    default:
      return nullptr;
  }
}

bool decode(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  Operation operation{};
  if (!take_operation(decoder, &operation)) return false;
  i.count = static_cast<std::uint8_t>(decoder.take_memory_order());
  AddressSpace space = decoder.take_space();
  const std::size_t first = decoder.opcode() == "atom" ? 1 : 0;
  if (first == 1) {
    i.d = decoder.destination_of(decoder.operand(0), type);
  }
  decoder.address(first, &space, &i);
  i.b = i.c = decoder.source(first + 1, type);
  if (operation == Operation::kCompareAndSwap) {
    i.c = decoder.source(first + 2, type);
  }
  i.option = static_cast<std::uint8_t>(operation);
  i.element = static_cast<std::uint8_t>(space);
  i.cls = InstructionClass::kAtomic;
  i.handler = handler_of(type, operation);
  return i.handler != nullptr;
}

}  // namespace

void add_atomic_instructions(InstructionTable* table) {
  (*table)["atom"].push_back(decode);
  (*table)["red"].push_back(decode);
}

}  // namespace ptx_emulator
