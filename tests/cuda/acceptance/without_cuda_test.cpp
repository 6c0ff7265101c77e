// A program that computes on the CPU needs none of CUDA's libraries, and loads
// none when the CPU was asked for.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/cuda/acceptance/child.h"
#include "tests/cuda/acceptance/loaded_library.h"
#include "tests/cuda/acceptance/models.h"

namespace jacquard::acceptance {
namespace {

namespace fs = std::filesystem;

void train_on_the_cpu() {
  manual_seed(1);
  MlpTraining training;
  const float first = training.step().item<float>();
  training.step();
  EXPECT_LT(training.step().item<float>(), first);
}

// Children.

TEST(WithoutCuda, DISABLED_TheCpuIsTheDefault) {
  EXPECT_FALSE(is_available(cuda()));
  EXPECT_EQ(default_device(), cpu());
  train_on_the_cpu();
  try {
    set_default_device(cuda());
    ADD_FAILURE() << "there is a CUDA device";
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("cuda"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(zeros({3}, {DType::float32, cuda()}), DeviceError);
  train_on_the_cpu();
}

TEST(WithoutCuda, DISABLED_NothingOfCudaIsLoaded) {
  EXPECT_EQ(default_device(), cpu());
  train_on_the_cpu();
  EXPECT_EQ(loaded_library("libjacquard_cuda"), "");
  EXPECT_EQ(loaded_library("libcuda"), "");
}

// A folder with Jacquard's libraries but for those that are left out.
class Libraries {
 public:
  explicit Libraries(const std::string& left_out = {}) {
    const fs::path from =
        fs::path(loaded_library("libjacquard_core")).parent_path();
    for (const auto& file : fs::directory_iterator(from)) {
      const std::string name = file.path().filename();
      if (name.starts_with("libjacquard") &&
          (left_out.empty() || !name.starts_with(left_out)))
        fs::copy(file.path(), folder_ / name, fs::copy_options::copy_symlinks);
    }
  }
  ~Libraries() { fs::remove_all(folder_); }
  Libraries(const Libraries&) = delete;
  Libraries& operator=(const Libraries&) = delete;

  const fs::path& folder() const { return folder_; }

 private:
  static fs::path make_folder() {
    std::string name = fs::temp_directory_path() / "jacquard-XXXXXX";
    if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp failed");
    return name;
  }

  fs::path folder_ = make_folder();
};

void expect_pass(const char* test, const fs::path& libraries,
                 const char* device = "") {
  const Child child = run_child(test, {{"LD_LIBRARY_PATH", libraries},
                                       {"CUDA_VISIBLE_DEVICES", ""},
                                       {"JACQUARD_DEVICE", device}});
  EXPECT_EQ(child.status, 0) << child.output;
}

constexpr const char* kTheCpuIsTheDefault =
    "WithoutCuda.DISABLED_TheCpuIsTheDefault";

TEST(WithoutCuda, AProgramRunsWhenTheBackendIsNotInstalled) {
  const Libraries libraries("libjacquard_cuda");
  expect_pass(kTheCpuIsTheDefault, libraries.folder());
}

TEST(WithoutCuda, AProgramRunsWhenTheRuntimeCannotBeLoaded) {
  if (!is_available(cuda())) GTEST_SKIP() << "there is no CUDA device";
  const Libraries libraries;
  // In the place of the runtime, a file that is no library.
  const fs::path runtime = loaded_library("libcudart.so");
  ASSERT_FALSE(runtime.empty());
  std::ofstream(libraries.folder() / runtime.filename()) << "no library";
  expect_pass(kTheCpuIsTheDefault, libraries.folder());
}

TEST(WithoutCuda, AProgramRunsWhenThereIsNoDriverOrNoDevice) {
  const Libraries libraries;
  expect_pass(kTheCpuIsTheDefault, libraries.folder());
}

TEST(WithoutCuda, AProgramThatAsksForTheCpuLoadsNothingOfCuda) {
  const Libraries libraries;
  expect_pass("WithoutCuda.DISABLED_NothingOfCudaIsLoaded", libraries.folder(),
              "cpu");
}

}  // namespace
}  // namespace jacquard::acceptance
