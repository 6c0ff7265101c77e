// Compiled kernels on disk, shared by processes.
//
// The folder is $JACQUARD_CACHE_DIR (empty: no cache), else
// $XDG_CACHE_HOME/jacquard, else ~/.cache/jacquard. Machine code is executed,
// so it must be ours and closed to others (0700), or nothing is read or
// written. An entry carries its key and a checksum; what is corrupt is
// compiled again, what can't be written is not. Entries are written under
// another name and renamed. Above kLimit bytes, those unused for longest go.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace jacquard::cuda_backend {

struct CacheKey {
  std::uint64_t words[2];

  std::string name() const;  // 32 hexadecimal digits
};

// Of texts, each ended by a NUL.
class CacheKeyMaker {
 public:
  CacheKeyMaker& add(const std::string& text);
  CacheKey key() const;

 private:
  std::uint64_t a_ = 0x9ae16a3b2f90404full, b_ = 0xc3a5c85c97cb3127ull;
};

class DiskCache {
 public:
  static constexpr std::uint64_t kLimit = 256ull << 20;

  // The folder as above; made if it isn't there.
  static DiskCache& standard();
  explicit DiskCache(const std::string& folder, std::uint64_t limit = kLimit);

  // False: the folder can't be used.
  bool usable() const { return !folder_.empty(); }
  // nullopt if there is no such entry, or none that is intact.
  std::optional<std::string> read(const CacheKey& key) const;
  void write(const CacheKey& key, const std::string& image) const;

 private:
  void trim() const;

  std::string folder_;
  std::uint64_t limit_;
};

}  // namespace jacquard::cuda_backend
