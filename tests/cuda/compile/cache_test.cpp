// What processes that share a cache on disk compile, and what they do where
// the cache fails them.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <vector>

#include "cuda/codegen/disk_cache.h"
#include "cuda/codegen/run_program.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/stream.h"
#include "tests/cuda/compile/child.h"
#include "tests/cuda/compile/temporary_folder.h"

namespace jacquard::cuda_backend {
namespace {

namespace fs = std::filesystem;
using backend::Binding;
using backend::OutputBinding;
using pointwise::Builder;
using pointwise::Op;
using pointwise::Program;

constexpr unsigned kPrograms = 4;

// x · 2, x · 3 …: each is a program of its own.
void expect_products(Stream stream) {
  const float one = 1;
  const Scratch x(sizeof one, stream), y(sizeof one, stream);
  upload(x.data(), &one, sizeof one, stream);
  for (unsigned i = 0; i < kPrograms; ++i) {
    Builder b;
    b.output(
        {b.apply(Op::mul, b.leaf({}), b.constant(2.0 + i, DType::float32))});
    const auto p = Program::intern(b.take());
    const Binding leaf{x.data(), DType::float32, {1}};
    const OutputBinding out{y.data(), DType::float32, {1}};
    run_program({p.get(), {1}, {&leaf, 1}, {}, {&out, 1}}, stream);
    float product = 0;
    download(&product, y.data(), sizeof product, stream);
    EXPECT_EQ(product, 2.0f + static_cast<float>(i));
  }
}

TEST(CacheChild, DISABLED_RunsPrograms) {
  expect_products(current_stream(0));
  report(kernel_counts());
}

// Files can't grow: every write fails.
TEST(CacheChild, DISABLED_RunsProgramsOnAFullDisk) {
  std::signal(SIGXFSZ, SIG_IGN);
  std::fflush(stdout);
  const rlimit none{0, 0};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  expect_products(current_stream(0));
  report(kernel_counts());
}

class CacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (device_count() == 0) GTEST_SKIP() << "there is no CUDA device";
  }

  Child start(const char* test = "CacheChild.DISABLED_RunsPrograms") const {
    return Child(test, {{"JACQUARD_CACHE_DIR", folder}});
  }
  // Runs a child to its end: how many programs it compiled, found on disk.
  void expect_counts(unsigned long compiled, unsigned long found,
                     const char* test = "CacheChild.DISABLED_RunsPrograms") {
    const auto counts = start(test).counts();
    ASSERT_EQ(counts.size(), 1u);
    EXPECT_EQ(counts[0].compiled, compiled);
    EXPECT_EQ(counts[0].found, found);
  }
  std::vector<fs::path> entries() const {
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(folder))
      all.push_back(entry.path());
    return all;
  }

  const TemporaryFolder root;
  const std::string folder = root.path() + "/kernels";
};

TEST_F(CacheTest, TheSecondProcessCompilesNothing) {
  expect_counts(kPrograms, 0);
  EXPECT_EQ(entries().size(), kPrograms);
  for (const fs::path& entry : entries()) {
    struct stat s;
    ASSERT_EQ(stat(entry.c_str(), &s), 0);
    EXPECT_EQ(s.st_mode & 0777, 0600u);
  }
  expect_counts(0, kPrograms);
}

TEST_F(CacheTest, OtherOptionsOfTheCompilerMakeOtherKernels) {
  expect_counts(kPrograms, 0);
  Child child("CacheChild.DISABLED_RunsPrograms",
              {{"JACQUARD_CACHE_DIR", folder},
               {"JACQUARD_NVRTC_OPTIONS", " -lineinfo --dopt=on"}});
  const auto counts = child.counts();
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts[0].compiled, kPrograms);
  expect_counts(0, kPrograms);
}

TEST_F(CacheTest, AFlippedBitCostsACompilation) {
  expect_counts(kPrograms, 0);
  const fs::path entry = entries().front();
  const auto middle = static_cast<std::streamoff>(fs::file_size(entry) / 2);
  std::fstream file(entry, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(middle);
  const int byte = file.get();
  file.seekp(middle);
  file.put(static_cast<char>(byte ^ 0x10));
  file.close();
  expect_counts(1, kPrograms - 1);
  // And was written anew.
  expect_counts(0, kPrograms);
}

TEST_F(CacheTest, AFullDiskCostsTime) {
  const char* full = "CacheChild.DISABLED_RunsProgramsOnAFullDisk";
  expect_counts(kPrograms, 0, full);
  EXPECT_TRUE(entries().empty());
  expect_counts(kPrograms, 0);
  expect_counts(0, kPrograms, full);
}

TEST_F(CacheTest, AFolderThatCantBeMadeCostsTime) {
  std::ofstream(root.path() + "/file") << "in the way";
  Child child("CacheChild.DISABLED_RunsPrograms",
              {{"JACQUARD_CACHE_DIR", root.path() + "/file/kernels"}});
  const auto counts = child.counts();
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts[0].compiled, kPrograms);
}

TEST_F(CacheTest, AFolderOfAnotherUserIsNeitherReadNorWritten) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  expect_counts(kPrograms, 0);
  constexpr uid_t nobody = 65534;
  ASSERT_EQ(chown(folder.c_str(), nobody, nobody), 0);
  EXPECT_FALSE(DiskCache(folder).usable());
  const auto before = entries();
  for (const fs::path& entry : before) fs::last_write_time(entry, {});
  expect_counts(kPrograms, 0);
  EXPECT_EQ(entries().size(), before.size());
  for (const fs::path& entry : before)
    EXPECT_EQ(fs::last_write_time(entry), fs::file_time_type{});
  // Nor entries of another user in a folder of ours.
  ASSERT_EQ(chown(folder.c_str(), 0, 0), 0);
  expect_counts(0, kPrograms);
  ASSERT_EQ(chown(before.front().c_str(), nobody, nobody), 0);
  expect_counts(1, kPrograms - 1);
}

TEST_F(CacheTest, EightProcessesStartAtOnce) {
  std::vector<Child> children;
  for (int i = 0; i < 8; ++i) children.push_back(start());
  for (Child& child : children) {
    const auto counts = child.counts();
    ASSERT_EQ(counts.size(), 1u);
    EXPECT_EQ(counts[0].compiled + counts[0].found, kPrograms);
  }
  // Whole entries are left, and no drafts.
  EXPECT_EQ(entries().size(), kPrograms);
  expect_counts(0, kPrograms);
}

}  // namespace
}  // namespace jacquard::cuda_backend
