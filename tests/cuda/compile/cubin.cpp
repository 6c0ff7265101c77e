#include "tests/cuda/compile/cubin.h"

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>

namespace jacquard::cuda_backend {
namespace {

// Section .nv.info is a list of attributes: a byte for the format, a byte that
// names the attribute, then two bytes: the value, or in format kSized the size
// of the value that follows. Those below are of a function: the number of its
// symbol and a count.
constexpr unsigned kSized = 4;
constexpr unsigned kFrameSize = 0x11, kRegisterCount = 0x2f;

class Elf {
 public:
  explicit Elf(const std::string& image) : image_(image) {
    header_ = at<Elf64_Ehdr>(0);
    if (std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0)
      throw std::runtime_error("not an ELF file");
  }

  template <class T>
  T at(std::uint64_t offset) const {
    T value;
    if (offset > image_.size() || image_.size() - offset < sizeof value)
      throw std::runtime_error("an ELF file that ends too early");
    std::memcpy(&value, image_.data() + offset, sizeof value);
    return value;
  }
  // The section of that name; of size 0 if there is none.
  Elf64_Shdr section(const std::string& name) const {
    const std::uint64_t names = header(header_.e_shstrndx).sh_offset;
    for (unsigned i = 0; i < header_.e_shnum; ++i)
      if (text(names + header(i).sh_name) == name) return header(i);
    return {};
  }
  std::string symbol(std::uint32_t number) const {
    const auto entry = at<Elf64_Sym>(section(".symtab").sh_offset +
                                     number * sizeof(Elf64_Sym));
    return text(section(".strtab").sh_offset + entry.st_name);
  }

 private:
  Elf64_Shdr header(unsigned i) const {
    return at<Elf64_Shdr>(header_.e_shoff + i * sizeof(Elf64_Shdr));
  }
  std::string text(std::uint64_t offset) const {
    if (offset >= image_.size())
      throw std::runtime_error("an ELF file that ends too early");
    return image_.c_str() + offset;
  }

  const std::string& image_;
  Elf64_Ehdr header_;
};

}  // namespace

std::vector<KernelResources> resources_of(const std::string& cubin) {
  const Elf elf(cubin);
  const Elf64_Shdr info = elf.section(".nv.info");
  std::map<std::uint32_t, KernelResources> found;
  std::uint64_t next = info.sh_offset;
  while (next < info.sh_offset + info.sh_size) {
    const auto format = elf.at<std::uint8_t>(next);
    const auto attribute = elf.at<std::uint8_t>(next + 1);
    const auto size = elf.at<std::uint16_t>(next + 2);
    next += 4;
    if (format != kSized) continue;
    if (attribute == kFrameSize || attribute == kRegisterCount) {
      const auto symbol = elf.at<std::uint32_t>(next);
      const auto count = elf.at<std::uint32_t>(next + 4);
      KernelResources& kernel = found[symbol];
      (attribute == kFrameSize ? kernel.stack : kernel.registers) = count;
    }
    next += size;
  }
  std::vector<KernelResources> all;
  for (auto& [symbol, kernel] : found) {
    kernel.name = elf.symbol(symbol);
    all.push_back(kernel);
  }
  return all;
}

}  // namespace jacquard::cuda_backend
