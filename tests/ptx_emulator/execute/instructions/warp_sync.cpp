// Instructions that the lanes of a warp execute together: shfl, vote, match,
// redux, elect, bar.warp.sync; and activemask. When a handler runs, all lanes
// that the member mask (row e) names have arrived: they are its lanes.
#include <bit>
#include <cstdint>

#include "execute/instruction_table.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

enum class Shuffle : std::uint8_t { kUp, kDown, kButterfly, kIndex };

// The source lane of lane l, and whether it lies in range (PTX ISA, pseudo
// code of shfl).
int source_lane(Shuffle mode, int l, std::uint32_t b, std::uint32_t c,
                bool* in_range) {
  const int value = static_cast<int>(b & 31);
  const int clamp = static_cast<int>(c & 31);
  const int segment = static_cast<int>(c >> 8 & 31);
  const int last = (l & segment) | (clamp & ~segment);
  const int first = l & segment;
  int source = l;
  switch (mode) {
    case Shuffle::kUp:
      source = l - value;
      *in_range = source >= last;
      return source;
    case Shuffle::kDown:
      source = l + value;
      break;
    case Shuffle::kButterfly:
      source = l ^ value;
      break;
    case Shuffle::kIndex:
      source = first | (value & ~segment);
      break;
  }
  *in_range = source <= last;
  return source;
}

// option: Shuffle; list[0]: the predicate destination.
void shuffle(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const auto* a = warp.row<std::uint32_t>(i.a);
  const auto* b = warp.row<std::uint32_t>(i.b);
  const auto* c = warp.row<std::uint32_t>(i.c);
  std::uint32_t result[kWarpSize];
  std::uint32_t valid = 0;
  for_each_lane(lanes, [&](int l) {
    bool in_range = false;
    int source =
        source_lane(static_cast<Shuffle>(i.option), l, b[l], c[l], &in_range);
    if (!in_range) source = l;
    if ((lanes >> source & 1) == 0) {
      warp.fault(i, l, FaultKind::kMissingLanes,
                 "a shuffle reads lane " + std::to_string(source) +
                     ", which does not take part in it");
    }
    result[l] = a[source];
    valid |= static_cast<std::uint32_t>(in_range) << l;
  });
  if (i.d != kNoRow) {
    auto* d = warp.row<std::uint32_t>(i.d);
    for_each_lane(lanes, [&](int l) { d[l] = result[l]; });
  }
  if (i.list[0] != kNoRow) write_predicate(warp, i.list[0], lanes, valid);
}

// The member mask is the last operand of all these instructions.
void take_members(Decoder& decoder, Instruction& i, std::size_t index) {
  i.flow = Flow::kWarpSync;
  i.cls = InstructionClass::kWarp;
  i.e = decoder.source(index, Type::kB32);
  decoder.take("sync");
}

bool decode_shuffle(Decoder& decoder, Instruction& i) {
  if (!decoder.has("sync") || decoder.take_type() != Type::kB32) return false;
  i.handler = shuffle;
  constexpr std::pair<const char*, Shuffle> kModes[] = {
      {"up", Shuffle::kUp},
      {"down", Shuffle::kDown},
      {"bfly", Shuffle::kButterfly},
      {"idx", Shuffle::kIndex}};
  bool known = false;
  for (const auto& [name, mode] : kModes) {
    if (!decoder.take(name)) continue;
    i.option = static_cast<std::uint8_t>(mode);
    known = true;
  }
  if (!known) return false;
  i.d = decoder.destination_of(decoder.operand(0), Type::kB32);
  i.list[0] = decoder.second_destination(0);
  i.a = decoder.source(1, Type::kB32);
  i.b = decoder.source(2, Type::kB32);
  i.c = decoder.source(3, Type::kB32);
  take_members(decoder, i, 4);
  return true;
}

enum class Vote : std::uint8_t { kAll, kAny, kUniform, kBallot };

// option: Vote; option2: the predicate a is negated.
void vote(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  std::uint32_t votes = *warp.row<std::uint32_t>(i.a);
  if (i.option2 != 0) votes = ~votes;
  votes &= lanes;
  bool result = false;
  switch (static_cast<Vote>(i.option)) {
    case Vote::kAll:
      result = votes == lanes;
      break;
    case Vote::kAny:
      result = votes != 0;
      break;
    case Vote::kUniform:
      result = votes == lanes || votes == 0;
      break;
    case Vote::kBallot:
      write_lanes(warp.row<std::uint32_t>(i.d), lanes,
                  [=](int) { return votes; });
      return;
  }
  write_predicate(warp, i.d, lanes, result ? ~0u : 0u);
}

bool decode_vote(Decoder& decoder, Instruction& i) {
  if (!decoder.has("sync")) return false;
  const Type type = decoder.take_type();
  i.handler = vote;
  constexpr std::pair<const char*, Vote> kVotes[] = {{"all", Vote::kAll},
                                                     {"any", Vote::kAny},
                                                     {"uni", Vote::kUniform},
                                                     {"ballot", Vote::kBallot}};
  bool known = false;
  for (const auto& [name, value] : kVotes) {
    if (!decoder.take(name)) continue;
    i.option = static_cast<std::uint8_t>(value);
    known = true;
  }
  const bool ballot = i.option == static_cast<std::uint8_t>(Vote::kBallot);
  if (!known || type != (ballot ? Type::kB32 : Type::kPred)) return false;
  i.d = decoder.destination(0, type);
  i.a = decoder.predicate(1, &i.option2);
  take_members(decoder, i, 2);
  return true;
}

// option: whether all values must agree; list[0]: whether they do.
template <class T>
void match(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const T* a = warp.row<T>(i.a);
  std::uint32_t equal[kWarpSize] = {};
  for_each_lane(lanes, [&](int l) {
    for_each_lane(lanes, [&](int other) {
      if (a[other] == a[l]) equal[l] |= 1u << other;
    });
  });
  const bool all = equal[std::countr_zero(lanes)] == lanes;
  auto* d = warp.row<std::uint32_t>(i.d);
  for_each_lane(lanes, [&](int l) {
    d[l] = i.option == 0 ? equal[l] : all ? lanes : 0;
  });
  if (i.list[0] != kNoRow) {
    write_predicate(warp, i.list[0], lanes, all ? ~0u : 0u);
  }
}

bool decode_match(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  i.option = decoder.take("all");
  if (i.option == 0 && !decoder.take("any")) return false;
  if (type != Type::kB32 && type != Type::kB64) return false;
  i.handler = type == Type::kB64 ? match<std::uint64_t> : match<std::uint32_t>;
  i.d = decoder.destination(0, Type::kB32);
  i.list[0] = decoder.second_destination(0);
  i.a = decoder.source(1, type);
  take_members(decoder, i, 2);
  return true;
}

enum class Reduction : std::uint8_t { kAdd, kMin, kMax, kAnd, kOr, kXor };

template <class T>
void reduce(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const T* a = warp.row<T>(i.a);
  T result = a[std::countr_zero(lanes)];
  for_each_lane(lanes & (lanes - 1), [&](int l) {
    switch (static_cast<Reduction>(i.option)) {
      case Reduction::kAdd:
        result = static_cast<T>(static_cast<std::uint32_t>(result) +
                                static_cast<std::uint32_t>(a[l]));
        break;
      case Reduction::kMin:
        result = a[l] < result ? a[l] : result;
        break;
      case Reduction::kMax:
        result = result < a[l] ? a[l] : result;
        break;
      case Reduction::kAnd:
        result &= a[l];
        break;
      case Reduction::kOr:
        result |= a[l];
        break;
      case Reduction::kXor:
        result ^= a[l];
        break;
    }
  });
  write_lanes(warp.row<T>(i.d), lanes, [=](int) { return result; });
}

bool decode_reduce(Decoder& decoder, Instruction& i) {
  const Type type = decoder.take_type();
  if (!ptx::is_integer(type) || ptx::type_size(type) != 4) return false;
  constexpr std::pair<const char*, Reduction> kNames[] = {
      {"add", Reduction::kAdd}, {"min", Reduction::kMin},
      {"max", Reduction::kMax}, {"and", Reduction::kAnd},
      {"or", Reduction::kOr},   {"xor", Reduction::kXor}};
  bool known = false;
  for (const auto& [name, value] : kNames) {
    if (!decoder.take(name)) continue;
    i.option = static_cast<std::uint8_t>(value);
    known = true;
  }
  if (!known) return false;
  i.handler = type == Type::kS32 ? reduce<std::int32_t> : reduce<std::uint32_t>;
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  take_members(decoder, i, 2);
  return true;
}

// Elects the first lane.
void elect(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const int leader = std::countr_zero(lanes);
  if (i.d != kNoRow) {
    write_lanes(warp.row<std::uint32_t>(i.d), lanes,
                [=](int) { return static_cast<std::uint32_t>(leader); });
  }
  if (i.list[0] != kNoRow) {
    write_predicate(warp, i.list[0], lanes, 1u << leader);
  }
}

bool decode_elect(Decoder& decoder, Instruction& i) {
  i.handler = elect;
  i.d = decoder.destination_of(decoder.operand(0), Type::kB32);
  i.list[0] = decoder.second_destination(0);
  take_members(decoder, i, 1);
  return true;
}

void nothing(Warp&, const Instruction&, std::uint32_t) {}

bool decode_warp_barrier(Decoder& decoder, Instruction& i) {
  if (!decoder.take("warp")) return false;
  i.handler = nothing;
  take_members(decoder, i, 0);
  i.cls = InstructionClass::kBarrier;
  return true;
}

void active_mask(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  write_lanes(warp.row<std::uint32_t>(i.d), lanes, [=](int) { return lanes; });
}

bool decode_active_mask(Decoder& decoder, Instruction& i) {
  if (decoder.take_type() != Type::kB32) return false;
  i.handler = active_mask;
  i.cls = InstructionClass::kWarp;
  i.d = decoder.destination(0, Type::kB32);
  return true;
}

}  // namespace

void add_warp_instructions(InstructionTable* table) {
  (*table)["shfl"].push_back(decode_shuffle);
  (*table)["vote"].push_back(decode_vote);
  (*table)["match"].push_back(decode_match);
  (*table)["redux"].push_back(decode_reduce);
  (*table)["elect"].push_back(decode_elect);
  (*table)["bar"].push_back(decode_warp_barrier);
  (*table)["activemask"].push_back(decode_active_mask);
}

}  // namespace ptx_emulator
