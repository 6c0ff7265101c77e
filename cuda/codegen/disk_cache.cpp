#include "cuda/codegen/disk_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

namespace jacquard::cuda_backend {
namespace {

namespace fs = std::filesystem;

constexpr char kMagic[8] = {'J', 'Q', 'K', 'E', 'R', 'N', '0', '1'};

struct Header {
  char magic[8];
  std::uint64_t key[2];
  std::uint64_t bytes;
  std::uint64_t checksum;
};

std::uint64_t mix(std::uint64_t h, std::uint64_t x) {
  h = (h ^ x) * 0x9fb21c651e98df25ull;
  return h ^ (h >> 29);
}

std::uint64_t hash_of(const std::string& text, std::uint64_t h) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    h = mix(h, word);
  }
  std::uint64_t rest = 0;
  std::memcpy(&rest, text.data() + i, text.size() - i);
  return mix(mix(h, rest), text.size());
}

std::string standard_folder() {
  if (const char* own = std::getenv("JACQUARD_CACHE_DIR")) return own;
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg && *xdg)
    return std::string(xdg) + "/jacquard";
  if (const char* home = std::getenv("HOME"); home && *home)
    return std::string(home) + "/.cache/jacquard";
  return "";
}

// Ours, and closed to others.
bool is_private(const std::string& folder) {
  struct stat s;
  return lstat(folder.c_str(), &s) == 0 && S_ISDIR(s.st_mode) &&
         s.st_uid == geteuid() && (s.st_mode & 077) == 0;
}

bool make_private(const std::string& folder) {
  std::error_code error;
  const fs::path parent = fs::path(folder).parent_path();
  if (!parent.empty()) fs::create_directories(parent, error);
  (void)mkdir(folder.c_str(), 0700);
  return is_private(folder);
}

class File {
 public:
  File(const std::string& path, int flags)
      : descriptor_(open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600)) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int descriptor() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }
  bool read_all(void* to, std::size_t bytes) const {
    char* at = static_cast<char*>(to);
    while (bytes > 0) {
      const ssize_t n = ::read(descriptor_, at, bytes);
      if (n <= 0) return false;
      at += n;
      bytes -= static_cast<std::size_t>(n);
    }
    return true;
  }
  bool write_all(const void* from, std::size_t bytes) const {
    const char* at = static_cast<const char*>(from);
    while (bytes > 0) {
      const ssize_t n = ::write(descriptor_, at, bytes);
      if (n <= 0) return false;
      at += n;
      bytes -= static_cast<std::size_t>(n);
    }
    return true;
  }

 private:
  int descriptor_;
};

}  // namespace

std::string CacheKey::name() const {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%016llx%016llx",
                static_cast<unsigned long long>(words[0]),
                static_cast<unsigned long long>(words[1]));
  return buffer;
}

CacheKeyMaker& CacheKeyMaker::add(const std::string& text) {
  a_ = hash_of(text, a_);
  b_ = hash_of(text, mix(b_, 0x2545f4914f6cdd1dull));
  return *this;
}

CacheKey CacheKeyMaker::key() const { return {{a_, b_}}; }

DiskCache& DiskCache::standard() {
  static DiskCache cache(standard_folder());
  return cache;
}

DiskCache::DiskCache(const std::string& folder, std::uint64_t limit)
    : folder_(!folder.empty() && make_private(folder) ? folder : ""),
      limit_(limit) {}

std::optional<std::string> DiskCache::read(const CacheKey& key) const {
  if (!usable()) return std::nullopt;
  const File file(folder_ + '/' + key.name(), O_RDONLY);
  struct stat s;
  if (!file.is_open() || fstat(file.descriptor(), &s) != 0 ||
      !S_ISREG(s.st_mode) || s.st_uid != geteuid())
    return std::nullopt;
  Header h;
  if (!file.read_all(&h, sizeof h) ||
      std::memcmp(h.magic, kMagic, sizeof kMagic) != 0 ||
      h.key[0] != key.words[0] || h.key[1] != key.words[1] ||
      h.bytes + sizeof h != static_cast<std::uint64_t>(s.st_size))
    return std::nullopt;
  std::string image(h.bytes, '\0');
  if (!file.read_all(image.data(), image.size()) ||
      hash_of(image, h.key[0]) != h.checksum)
    return std::nullopt;
  (void)futimens(file.descriptor(), nullptr);  // used now
  return image;
}

void DiskCache::write(const CacheKey& key, const std::string& image) const {
  if (!usable()) return;
  static std::atomic<unsigned> number{0};
  const std::string path = folder_ + '/' + key.name();
  const std::string draft = path + '.' + std::to_string(getpid()) + '.' +
                            std::to_string(number.fetch_add(1));
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.key[0] = key.words[0];
  h.key[1] = key.words[1];
  h.bytes = image.size();
  h.checksum = hash_of(image, h.key[0]);
  bool written = false;
  {
    const File file(draft, O_WRONLY | O_CREAT | O_EXCL);
    if (!file.is_open()) return;
    written = file.write_all(&h, sizeof h) &&
              file.write_all(image.data(), image.size());
  }
  if (!written || std::rename(draft.c_str(), path.c_str()) != 0)
    (void)unlink(draft.c_str());
  trim();
}

void DiskCache::trim() const {
  struct Entry {
    fs::file_time_type used;
    std::uint64_t bytes;
    fs::path path;
  };
  std::vector<Entry> entries;
  std::uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;
    const std::uint64_t bytes = it->file_size(gone);
    if (gone) continue;
    const auto used = it->last_write_time(gone);
    if (gone) continue;
    entries.push_back({used, bytes, it->path()});
    total += bytes;
  }
  if (total <= limit_) return;
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (const Entry& e : entries) {
    if (total <= limit_) break;
    fs::remove(e.path, error);
    total -= e.bytes;
  }
}

}  // namespace jacquard::cuda_backend
