#include "memory/shared_access.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>

#include "memory/device_memory.h"
#include "memory/fault.h"

namespace ptx_emulator {
namespace {

constexpr std::uint32_t kAlways = std::numeric_limits<std::uint32_t>::max();
// Far enough from overflow for one block.
constexpr std::uint32_t kLatestBlockStart = kAlways / 2;

std::uint32_t warp_bit(unsigned warp) { return std::uint32_t{1} << warp; }

std::uint32_t warps_mask(unsigned warps) {
  return warps >= 32 ? ~0u : warp_bit(warps) - 1;
}

std::string offset_text(Address offset) {
  return " at shared memory offset " + std::to_string(offset);
}

std::string access_text(AccessKind kind, unsigned bytes, Address offset) {
  const char* verb = kind == AccessKind::kRead    ? "read"
                     : kind == AccessKind::kWrite ? "write"
                                                  : "atomic access";
  return std::string(verb) + " of " + std::to_string(bytes) +
         (bytes == 1 ? " byte" : " bytes") + offset_text(offset);
}

// The words at the offsets, which lie close together: bit i is the i-th word
// after the lowest.
std::uint64_t touched_words(const std::uint32_t* offset, std::uint32_t lowest) {
  std::uint32_t low = 0, high = 0;
  for (int l = 0; l < kWarpSize; ++l) {
    const std::uint32_t word = (offset[l] - lowest) / 4;
    const std::uint32_t bit = std::uint32_t{1} << (word % 32);
    low |= word < 32 ? bit : 0;
    high |= word < 32 ? 0 : bit;
  }
  return std::uint64_t{high} << 32 | low;
}

[[noreturn]] void fail_bounds(AccessKind kind, LaneMask mask, unsigned bytes,
                              const Address* address, std::size_t size) {
  const auto well = [&](Address a) {
    const Address offset = a & ~kSharedWindow;
    return offset % bytes == 0 && bytes <= size && offset <= size - bytes;
  };
  int lane = std::countr_zero(mask);
  while (well(address[lane])) ++lane;
  const Address offset = address[lane] & ~kSharedWindow;
  const std::string access = access_text(kind, bytes, offset);
  if (offset % bytes != 0) {
    throw AccessFault(
        FaultKind::kMisalignedAddress,
        access + ": not aligned to " + std::to_string(bytes) + " bytes", lane);
  }
  throw AccessFault(FaultKind::kIllegalAddress,
                    access + ": out of bounds, the block has " +
                        std::to_string(size) + " bytes of shared memory",
                    lane);
}

}  // namespace

void SharedAccess::History::clear(std::size_t size) {
  write_time.assign(size, 0);
  read_time.assign(size, 0);
  readers.assign(size, 0);
  writer.assign(size, 0);
}

void SharedAccess::History::copy(std::size_t to, const History& from,
                                 std::size_t index) {
  write_time[to] = from.write_time[index];
  read_time[to] = from.read_time[index];
  readers[to] = from.readers[index];
  writer[to] = from.writer[index];
}

SharedAccess::SharedAccess(LaunchCounters* counters) : counters_(counters) {}

void SharedAccess::begin_block(std::size_t bytes, unsigned warps) {
  bytes_ = bytes;
  warps_ = warps;
  for (const std::uint32_t word : split_words_) {
    words_history_.writer[word] &= ~kSplit;
  }
  split_words_.clear();
  const std::size_t words = (bytes + 3) / 4;
  if (words * 4 > data_.size() || now_ > kLatestBlockStart) {
    data_.resize(std::max(data_.size(), words * 4));
    words_history_.clear(data_.size() / 4);
    bytes_history_.clear(0);
    now_ = 0;
  }
  block_start_ = now_++;
  time_.fill(now_);
  all_known_.fill(block_start_);
  for (unsigned w = 0; w < warps_; ++w) {
    known_[w].fill(block_start_);
    known_[w][w] = kAlways;
    released_[w].fill(block_start_);
    acquired_[w].fill(block_start_);
  }
}

void SharedAccess::barrier(std::uint32_t arrived, std::uint32_t waiting) {
  const std::uint32_t all = warps_mask(warps_);
  arrived &= all;
  waiting &= all;
  Clocks joined;
  joined.fill(block_start_);
  if (arrived == all) {
    // A warp's own time is later than what others know of it.
    for (unsigned w = 0; w < warps_; ++w) joined[w] = time_[w];
  } else {
    for (std::uint32_t rest = arrived; rest != 0; rest &= rest - 1) {
      const unsigned w = static_cast<unsigned>(std::countr_zero(rest));
      for (unsigned q = 0; q < warps_; ++q) {
        joined[q] = std::max(joined[q], q == w ? time_[w] : known_[w][q]);
      }
    }
  }
  for (std::uint32_t rest = waiting; rest != 0; rest &= rest - 1) {
    learn(static_cast<unsigned>(std::countr_zero(rest)), joined);
  }
  ++now_;
  for (std::uint32_t rest = arrived; rest != 0; rest &= rest - 1) {
    time_[static_cast<unsigned>(std::countr_zero(rest))] = now_;
  }
}

void SharedAccess::fence(unsigned warp) {
  learn(warp, acquired_[warp]);
  released_[warp] = known_[warp];
  released_[warp][warp] = time_[warp];
  time_[warp] = ++now_;
}

void SharedAccess::learn(unsigned warp, const Clocks& clocks) {
  Clocks& known = known_[warp];
  Clock least = kAlways;
  for (unsigned q = 0; q < warps_; ++q) {
    known[q] = std::max(known[q], clocks[q]);
    least = std::min(least, known[q]);
  }
  all_known_[warp] = least;
}

// A strong read by `warp` of what `from` wrote.
void SharedAccess::acquire(unsigned warp, unsigned from) {
  for (unsigned q = 0; q < warps_; ++q) {
    acquired_[warp][q] = std::max(acquired_[warp][q], released_[from][q]);
  }
}

// Whether `warp` comes after all the readers, of which none read before `time`.
bool SharedAccess::ordered(unsigned warp, std::uint32_t readers,
                           Clock time) const {
  if (time <= all_known_[warp]) return true;
  for (; readers != 0; readers &= readers - 1) {
    if (known_[warp][static_cast<unsigned>(std::countr_zero(readers))] < time) {
      return false;
    }
  }
  return true;
}

// Whole, consecutive words, by plain accesses. False, with nothing recorded, if
// one of them needs a closer look.
template <AccessKind kKind>
[[gnu::always_inline]] inline bool SharedAccess::check_words(unsigned warp,
                                                             std::size_t first,
                                                             unsigned count) {
  Clock* const write_time = words_history_.write_time.data() + first;
  Clock* const read_time = words_history_.read_time.data() + first;
  std::uint32_t* const readers = words_history_.readers.data() + first;
  std::uint32_t* const writer = words_history_.writer.data() + first;
  const Clock all_known = all_known_[warp], now = time_[warp];
  const Clock start = block_start_;
  const std::uint32_t self = warp_bit(warp);
  std::uint32_t bad = 0;
  for (unsigned i = 0; i < count; ++i) {
    const bool after_write =
        (write_time[i] <= all_known) | ((writer[i] & kWarpBits) == warp);
    if constexpr (kKind == AccessKind::kRead) {
      bad |= static_cast<std::uint32_t>(!after_write) |
             static_cast<std::uint32_t>(write_time[i] <= start) |
             (writer[i] & (kSplit | kManyWriters));
    } else {
      const bool after_reads =
          (read_time[i] <= all_known) | ((readers[i] & ~self) == 0);
      bad |= static_cast<std::uint32_t>(!(after_write & after_reads)) |
             (writer[i] & kSplit);
    }
  }
  if (bad != 0) return false;
  for (unsigned i = 0; i < count; ++i) {
    if constexpr (kKind == AccessKind::kRead) {
      const bool replace =
          (read_time[i] <= all_known) | ((readers[i] & ~self) == 0);
      readers[i] = replace ? self : readers[i] | self;
      read_time[i] = replace ? now : std::min(read_time[i], now);
      writer[i] &= ~kStrongReads;
    } else {
      write_time[i] = now;
      writer[i] = warp;
      readers[i] = 0;
      read_time[i] = 0;
    }
  }
  return true;
}

// The words of a set: bit i is word first + i.
template <AccessKind kKind>
bool SharedAccess::check_runs(unsigned warp, std::size_t first,
                              std::uint64_t words) {
  while (words != 0) {
    const int skip = std::countr_zero(words);
    const int run = std::countr_one(words >> skip);
    const std::size_t at = first + static_cast<unsigned>(skip);
    const bool well =
        run == 1 ? check_words<kKind>(warp, at, 1)
                 : check_words<kKind>(warp, at, static_cast<unsigned>(run));
    if (!well) return false;
    if (skip + run == 64) break;
    words &= ~std::uint64_t{0} << (skip + run);
  }
  return true;
}

// The lanes one by one; of whole words most need no closer look.
template <AccessKind kKind>
void SharedAccess::check_lanes(unsigned warp, LaneMask mask, unsigned bytes,
                               const std::uint32_t* offset, bool strong) {
  const bool whole_words = !strong && bytes >= 4;
  for (LaneMask rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const std::size_t word = offset[l] / 4;
    bool done = false;
    if (whole_words) {
      switch (bytes) {
        case 4:
          done = check_words<kKind>(warp, word, 1);
          break;
        case 8:
          done = check_words<kKind>(warp, word, 2);
          break;
        case 16:
          done = check_words<kKind>(warp, word, 4);
          break;
        default:
          break;
      }
    }
    if (!done) check_lane<kKind>(warp, l, bytes, offset[l], strong);
  }
}

// Records an access; false if it races with an earlier one.
template <AccessKind kKind>
bool SharedAccess::check_entry(History& history, std::size_t index,
                               unsigned warp, bool strong) {
  Clock& write_time = history.write_time[index];
  Clock& read_time = history.read_time[index];
  std::uint32_t& readers = history.readers[index];
  std::uint32_t& writer = history.writer[index];
  const unsigned last = writer & kWarpBits;
  const bool strong_pair = strong && (writer & kStrongWrite) != 0;
  if (write_time > block_start_) {
    if (known_[warp][last] < write_time && !strong_pair) return false;
    if (kKind != AccessKind::kWrite && strong_pair && last != warp) {
      acquire(warp, last);
    }
  }
  const bool many = (writer & kManyWriters) != 0;
  if constexpr (kKind == AccessKind::kRead) {
    if (many && strong) return true;
    const bool after_all = ordered(warp, readers, read_time);
    if (many && !after_all) return false;
    if (after_all) {
      readers = 0;
      read_time = time_[warp];
      writer = (writer & ~kManyWriters) | kStrongReads;
    }
    readers |= warp_bit(warp);
    read_time = std::min(read_time, time_[warp]);
    if (!strong) writer &= ~kStrongReads;
    return true;
  }
  const bool strong_readers = strong && (many || (writer & kStrongReads) != 0);
  if (!strong_readers && !ordered(warp, readers, read_time)) return false;
  // Earlier strong writes that are not ordered before this one stay known.
  const bool unordered =
      write_time > block_start_ && known_[warp][last] < write_time;
  const bool keep =
      unordered || (strong_pair && many && !ordered(warp, readers, read_time));
  if (unordered) add_writer(history, index);
  if (!keep) {
    readers = 0;
    read_time = 0;
  }
  writer = warp | (writer & kSplit) | (strong ? kStrongWrite : 0) |
           (keep ? kManyWriters : 0);
  write_time = time_[warp];
  return true;
}

// The last writer becomes one of those before it.
void SharedAccess::add_writer(History& history, std::size_t index) {
  std::uint32_t& writer = history.writer[index];
  std::uint32_t& readers = history.readers[index];
  Clock& read_time = history.read_time[index];
  const Clock write_time = history.write_time[index];
  if ((writer & kManyWriters) == 0) readers = 0;
  read_time = readers == 0 ? write_time : std::min(read_time, write_time);
  readers |= warp_bit(writer & kWarpBits);
}

void SharedAccess::split(std::size_t word) {
  std::uint32_t& writer = words_history_.writer[word];
  if ((writer & kSplit) != 0) return;
  if (bytes_history_.writer.empty()) bytes_history_.clear(data_.size());
  for (std::size_t b = 0; b < 4; ++b) {
    bytes_history_.copy(word * 4 + b, words_history_, word);
  }
  writer |= kSplit;
  split_words_.push_back(static_cast<std::uint32_t>(word));
}

template <AccessKind kKind>
void SharedAccess::check_lane(unsigned warp, int lane, unsigned bytes,
                              Address offset, bool strong) {
  const std::size_t first = offset / 4, last = (offset + bytes - 1) / 4;
  for (std::size_t word = first; word <= last; ++word) {
    if (bytes < 4) split(word);
    const bool is_split = (words_history_.writer[word] & kSplit) != 0;
    History& history = is_split ? bytes_history_ : words_history_;
    std::size_t index =
        is_split ? std::max<std::size_t>(offset, word * 4) : word;
    const std::size_t end =
        is_split ? std::min<std::size_t>(offset + bytes, word * 4 + 4)
                 : word + 1;
    bool written = kKind == AccessKind::kWrite;
    for (; index < end; ++index) {
      written |= history.write_time[index] > block_start_;
      if (!check_entry<kKind>(history, index, warp, strong)) {
        fail_race(warp, lane, kKind, bytes, offset, history, index);
      }
    }
    if (!written) {
      throw AccessFault(FaultKind::kUninitializedRead,
                        access_text(kKind, bytes, offset) +
                            ": nothing wrote the word" + offset_text(word * 4),
                        lane);
    }
  }
}

void SharedAccess::fail_race(unsigned warp, int lane, AccessKind kind,
                             unsigned bytes, Address offset,
                             const History& history, std::size_t index) const {
  const unsigned writer = history.writer[index] & kWarpBits;
  const bool after_last = history.write_time[index] > block_start_ &&
                          known_[warp][writer] < history.write_time[index];
  const bool after_write =
      after_last || (history.writer[index] & kManyWriters) != 0;
  unsigned other = writer;
  if (!after_last) {
    std::uint32_t readers = history.readers[index];
    while (known_[warp][static_cast<unsigned>(std::countr_zero(readers))] >=
           history.read_time[index]) {
      readers &= readers - 1;
    }
    other = static_cast<unsigned>(std::countr_zero(readers));
  }
  throw AccessFault(FaultKind::kSharedMemoryRace,
                    "shared memory race: " + access_text(kind, bytes, offset) +
                        " by warp " + std::to_string(warp) + " after a " +
                        (after_write ? "write" : "read") + " by warp " +
                        std::to_string(other) + ", no barrier in between",
                    lane);
}

template <AccessKind kKind>
Pattern SharedAccess::check(unsigned warp, LaneMask mask, unsigned bytes,
                            Address* address, bool strong) {
  repeat_active_lane(mask, address);
  const int shift = std::countr_zero(bytes);
  std::uint32_t offset[kWarpSize];
  Address high_bits = 0;
  for (int l = 0; l < kWarpSize; ++l) {
    offset[l] = static_cast<std::uint32_t>(address[l]);
    high_bits |= (address[l] & ~kSharedWindow) >> 32;
  }
  const std::uint32_t first = offset[0];
  std::uint32_t highest = first, lowest = first, low_bits = 0;
  std::uint32_t differs = mask ^ kAllLanes;
  for (int l = 0; l < kWarpSize; ++l) {
    highest = std::max(highest, offset[l]);
    lowest = std::min(lowest, offset[l]);
    low_bits |= offset[l];
    differs |= offset[l] ^ (first + (static_cast<std::uint32_t>(l) << shift));
  }
  if (high_bits != 0 || bytes > bytes_ || highest > bytes_ - bytes ||
      (low_bits & (bytes - 1)) != 0) {
    fail_bounds(kKind, mask, bytes, address, bytes_);
  }
  Wavefronts wavefronts{1, 1};
  Pattern pattern = Pattern::kScattered;
  if (differs == 0) {
    pattern = Pattern::kContiguous;
    wavefronts.needed = wavefronts.taken = std::max(1u, bytes / 4);
    // A row of the whole warp consists of whole words for any width.
    const unsigned words = kWarpSize * bytes / 4;
    if (strong || first % 4 != 0 ||
        !check_words<kKind>(warp, first / 4, words)) {
      check_lanes<kKind>(warp, mask, bytes, offset, strong);
    }
  } else if (lowest == highest) {
    check_lanes<kKind>(warp, mask & (~mask + 1), bytes, offset, strong);
  } else if (highest / 4 - lowest / 4 < 64 && bytes == 4) {
    const std::uint64_t words = touched_words(offset, lowest);
    wavefronts.taken += ((words & (words >> 32)) & 0xffffffff) != 0;
    if (strong || !check_runs<kKind>(warp, lowest / 4, words)) {
      check_lanes<kKind>(warp, mask, bytes, offset, strong);
    }
  } else {
    if (counters_) wavefronts = count_wavefronts(mask, bytes, offset);
    check_lanes<kKind>(warp, mask, bytes, offset, strong);
  }
  if (counters_) count(mask, bytes, wavefronts);
  const Address base = reinterpret_cast<Address>(data_.data());
  for (int l = 0; l < kWarpSize; ++l) address[l] = base + offset[l];
  return pattern;
}

void SharedAccess::count(LaneMask mask, unsigned bytes, Wavefronts wavefronts) {
  SharedTraffic& traffic = counters_->shared;
  ++traffic.requests;
  traffic.bytes += static_cast<unsigned>(std::popcount(mask)) * bytes;
  traffic.wavefronts += wavefronts.taken;
  traffic.conflicts += wavefronts.taken - wavefronts.needed;
}

Pattern SharedAccess::load(unsigned warp, LaneMask mask, unsigned bytes,
                           Address* address, bool strong) {
  return check<AccessKind::kRead>(warp, mask, bytes, address, strong);
}

Pattern SharedAccess::store(unsigned warp, LaneMask mask, unsigned bytes,
                            Address* address, bool strong) {
  return check<AccessKind::kWrite>(warp, mask, bytes, address, strong);
}

Pattern SharedAccess::atomic(unsigned warp, LaneMask mask, unsigned bytes,
                             Address* address) {
  return check<AccessKind::kAtomic>(warp, mask, bytes, address, true);
}

}  // namespace ptx_emulator
