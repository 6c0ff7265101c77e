// ptx_check FILE.ptx...: decodes every kernel of the files and names what the
// emulator lacks. Exits with 1 if any kernel is refused.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "execute/engine.h"

namespace {

// Newer than any device: takes whatever the file's target is.
constexpr int kAnyCapability = 10000;

bool check_file(const char* path) {
  std::ifstream file(path);
  if (!file) {
    std::printf("%s: can't be read\n", path);
    return false;
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto module = ptx_emulator::Module::load(text.c_str(), kAnyCapability);
  const auto names = module->kernel_names();
  std::size_t decoded = 0;
  for (const std::string& name : names) {
    try {
      module->find_kernel(name)->attributes();
      ++decoded;
    } catch (const ptx_emulator::ImageError& error) {
      std::printf("  %s\n", error.what());
    }
  }
  std::printf("%s: %zu of %zu kernels decode\n", path, decoded, names.size());
  return decoded == names.size();
}

}  // namespace

int main(int count, char** arguments) {
  bool all = true;
  for (int k = 1; k < count; ++k) {
    try {
      all &= check_file(arguments[k]);
    } catch (const std::exception& error) {
      std::printf("%s: %s\n", arguments[k], error.what());
      all = false;
    }
  }
  return all ? 0 : 1;
}
