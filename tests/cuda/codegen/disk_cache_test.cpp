#include "cuda/codegen/disk_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace jacquard::cuda_backend {
namespace {

namespace fs = std::filesystem;

class DiskCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (fs::temp_directory_path() / "jacquard-cache-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root = pattern;
    folder = root + "/kernels";
  }
  void TearDown() override { fs::remove_all(root); }

  static CacheKey key(const std::string& text) {
    return CacheKeyMaker().add(text).key();
  }
  std::string path(const CacheKey& k) const { return folder + '/' + k.name(); }

  std::string root, folder;
};

TEST_F(DiskCacheTest, GivesBackWhatWasWritten) {
  const DiskCache cache(folder);
  ASSERT_TRUE(cache.usable());
  EXPECT_FALSE(cache.read(key("a")));
  const std::string image("x\0y", 3);
  cache.write(key("a"), image);
  EXPECT_EQ(cache.read(key("a")), image);
  EXPECT_FALSE(cache.read(key("b")));
  // Another process's view.
  EXPECT_EQ(DiskCache(folder).read(key("a")), image);
  struct stat s;
  ASSERT_EQ(stat(folder.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0700u);
}

TEST_F(DiskCacheTest, KeysTellTextsAndTheirBordersApart) {
  const auto name = [](const char* a, const char* b) {
    return CacheKeyMaker().add(a).add(b).key().name();
  };
  EXPECT_NE(name("ab", "c"), name("a", "bc"));
  EXPECT_NE(name("", "x"), name("x", ""));
  EXPECT_NE(name("12345678", ""), name("1234567", "8"));
  EXPECT_EQ(name("ab", "c"), name("ab", "c"));
}

TEST_F(DiskCacheTest, CorruptEntriesAreAbsent) {
  const DiskCache cache(folder);
  const std::string image(1000, 'k');
  cache.write(key("a"), image);
  const auto size = static_cast<std::streamoff>(fs::file_size(path(key("a"))));
  for (std::streamoff at = 0; at < size; at += 7) {
    cache.write(key("a"), image);
    std::fstream file(path(key("a")),
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file.put('!');
    file.close();
    EXPECT_FALSE(cache.read(key("a"))) << at;
  }
  for (const std::uintmax_t left : {0u, 10u, 40u, 500u}) {
    cache.write(key("a"), image);
    fs::resize_file(path(key("a")), left);
    EXPECT_FALSE(cache.read(key("a")));
  }
  // An entry of another key under this one's name.
  cache.write(key("b"), image);
  fs::copy_file(path(key("b")), path(key("a")),
                fs::copy_options::overwrite_existing);
  EXPECT_FALSE(cache.read(key("a")));
  cache.write(key("a"), image);
  EXPECT_EQ(cache.read(key("a")), image);
}

TEST_F(DiskCacheTest, AFolderThatOthersCanEnterIsNotUsed) {
  fs::create_directory(folder);
  ASSERT_EQ(chmod(folder.c_str(), 0755), 0);
  const DiskCache open_to_others(folder);
  EXPECT_FALSE(open_to_others.usable());
  open_to_others.write(key("a"), "image");
  EXPECT_FALSE(open_to_others.read(key("a")));
  EXPECT_TRUE(fs::is_empty(folder));
  // Nor a link to a private one.
  ASSERT_EQ(chmod(folder.c_str(), 0700), 0);
  fs::create_symlink(folder, root + "/link");
  EXPECT_FALSE(DiskCache(root + "/link").usable());
  EXPECT_FALSE(DiskCache("/dev/null/kernels").usable());
  EXPECT_FALSE(DiskCache("").usable());
}

TEST_F(DiskCacheTest, EntriesUnusedForLongestGo) {
  const DiskCache cache(folder, 5000);
  const std::string image(1000, 'k');
  const auto age = [&](const char* name, int hours) {
    fs::last_write_time(path(key(name)), fs::file_time_type::clock::now() -
                                             std::chrono::hours(hours));
  };
  for (const char* name : {"a", "b", "c", "d"}) cache.write(key(name), image);
  age("a", 4);
  age("b", 3);
  age("c", 2);
  age("d", 1);
  EXPECT_TRUE(cache.read(key("a")));  // used now
  cache.write(key("e"), image);
  EXPECT_TRUE(cache.read(key("a")));
  EXPECT_FALSE(cache.read(key("b")));
  EXPECT_TRUE(cache.read(key("e")));
}

TEST_F(DiskCacheTest, EightProcessesShareIt) {
  constexpr int kProcesses = 8;
  pid_t children[kProcesses];
  for (pid_t& child : children) {
    child = fork();
    if (child != 0) continue;
    const DiskCache cache(folder, 20000);
    bool good = cache.usable();
    for (int i = 0; i < 200; ++i) {
      const std::string name(1, static_cast<char>('a' + i % 16));
      const std::string image(2000, name[0]);
      if (const auto found = cache.read(key(name))) good &= *found == image;
      cache.write(key(name), image);
    }
    _exit(good ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  std::uintmax_t total = 0;
  for (const auto& entry : fs::directory_iterator(folder))
    total += entry.file_size();
  EXPECT_LE(total, 20000u);
}

}  // namespace
}  // namespace jacquard::cuda_backend
