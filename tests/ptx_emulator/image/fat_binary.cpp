#include "image/fat_binary.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "execute/fault.h"
#include "image/lz4_block.h"
#ifdef PTX_EMULATOR_ZSTD
#include <zstd.h>
#endif

namespace ptx_emulator {
namespace {

constexpr std::uint32_t kWrapperMagic = 0x466243b1;
constexpr std::uint32_t kContainerMagic = 0xba55ed50;
constexpr std::uint64_t kLz4Flag = 0x2000;
constexpr std::uint64_t kZstdFlag = 0x8000;
// More than any real program's code: sizes above it mean a damaged header.
constexpr std::uint64_t kLargestEntry = std::uint64_t{1} << 32;

struct Wrapper {
  std::uint32_t magic;
  std::uint32_t version;
  const void* container;
  const void* const* linked;  // version 2: containers, then null
};

struct ContainerHeader {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t header_size;
  std::uint64_t size;
};

struct EntryHeader {
  std::uint16_t kind;
  std::uint16_t attributes;
  std::uint32_t header_size;
  std::uint64_t payload_size;
  std::uint32_t compressed_size;
  std::uint32_t options_offset;
  std::uint16_t minor_version;
  std::uint16_t major_version;
  std::uint32_t architecture;
  std::uint32_t name_offset;
  std::uint32_t name_length;
  std::uint64_t flags;
  std::uint64_t hash;
  std::uint64_t uncompressed_size;
};
static_assert(sizeof(EntryHeader) == 64);

[[noreturn]] void damaged(const std::string& what) {
  throw ImageError(ImageError::Reason::kInvalidImage, "fat binary: " + what);
}

std::string decompress_zstd([[maybe_unused]] const std::uint8_t* data,
                            [[maybe_unused]] std::size_t stored,
                            [[maybe_unused]] std::size_t size) {
#ifdef PTX_EMULATOR_ZSTD
  std::string out(size, '\0');
  const std::size_t got = ZSTD_decompress(out.data(), size, data, stored);
  if (ZSTD_isError(got) || got != size) damaged("broken Zstandard frame");
  return out;
#else
  damaged(
      "the PTX is compressed by Zstandard and the emulator was built without "
      "it; build the program with nvcc -compress-mode=none");
#endif
}

std::string payload(const EntryHeader& header, const std::uint8_t* data) {
  if (header.compressed_size > header.payload_size ||
      header.uncompressed_size > kLargestEntry) {
    damaged("sizes of an entry contradict each other");
  }
  std::string text;
  if (header.flags & kLz4Flag) {
    auto out = decompress_lz4_block({data, header.compressed_size},
                                    header.uncompressed_size);
    if (!out) damaged("broken LZ4 block");
    text = std::move(*out);
  } else if (header.flags & kZstdFlag) {
    text =
        decompress_zstd(data, header.compressed_size, header.uncompressed_size);
  } else {
    text.assign(reinterpret_cast<const char*>(data), header.payload_size);
  }
  text.resize(std::strlen(text.c_str()));  // padded with NULs
  return text;
}

void read_container(const void* container, std::vector<ImageEntry>* entries) {
  ContainerHeader top;
  std::memcpy(&top, container, sizeof top);
  if (top.magic != kContainerMagic) damaged("no container where one should be");
  if (top.version != 1 || top.header_size < sizeof top) {
    damaged("container version " + std::to_string(top.version));
  }
  const auto* at =
      static_cast<const std::uint8_t*>(container) + top.header_size;
  std::uint64_t left = top.size;
  while (left > 0) {
    EntryHeader header;
    if (left < sizeof header) damaged("an entry is cut short");
    std::memcpy(&header, at, sizeof header);
    if (header.header_size < sizeof header || header.header_size > left ||
        header.payload_size > left - header.header_size) {
      damaged("an entry is cut short");
    }
    ImageEntry entry;
    entry.kind = static_cast<ImageEntry::Kind>(header.kind);
    entry.architecture = static_cast<int>(header.architecture);
    if (entry.kind == ImageEntry::Kind::kPtx) {
      entry.data = payload(header, at + header.header_size);
    }
    entries->push_back(std::move(entry));
    at += header.header_size + header.payload_size;
    left -= header.header_size + header.payload_size;
  }
}

// The number after "sm_" in the .target directive, or 0.
int target_of(const char* ptx) {
  const char* target = std::strstr(ptx, ".target");
  const char* number = target ? std::strstr(target, "sm_") : nullptr;
  return number ? std::atoi(number + 3) : 0;
}

bool looks_like_ptx(const char* text) {
  const std::string_view head(text, strnlen(text, 4096));
  return head.find(".version") != std::string_view::npos;
}

}  // namespace

std::vector<ImageEntry> read_image(const void* image) {
  if (image == nullptr) damaged("null image");
  std::vector<ImageEntry> entries;
  std::uint32_t magic = 0;
  // PTX may be shorter than a magic number.
  const auto* bytes = static_cast<const unsigned char*>(image);
  for (int i = 0; i < 4 && (i == 0 || bytes[i - 1] != 0); ++i) {
    magic |= std::uint32_t{bytes[i]} << (8 * i);
  }
  if (magic == kWrapperMagic) {
    Wrapper wrapper;
    std::memcpy(&wrapper, image, sizeof wrapper);
    if (wrapper.version == 1) {
      read_container(wrapper.container, &entries);
    } else if (wrapper.version == 2) {
      for (const void* const* linked = wrapper.linked;
           linked != nullptr && *linked != nullptr; ++linked) {
        read_container(*linked, &entries);
      }
    } else {
      damaged("wrapper version " + std::to_string(wrapper.version));
    }
  } else if (magic == kContainerMagic) {
    read_container(image, &entries);
  } else if (const auto* text = static_cast<const char*>(image);
             looks_like_ptx(text)) {
    entries.push_back({ImageEntry::Kind::kPtx, target_of(text), text});
  } else {
    throw ImageError(ImageError::Reason::kInvalidImage,
                     "the image is neither a fat binary nor PTX");
  }
  return entries;
}

std::string select_ptx(const void* image, int capability) {
  auto entries = read_image(image);
  ImageEntry* best = nullptr;
  std::string there;
  for (ImageEntry& entry : entries) {
    const bool is_ptx = entry.kind == ImageEntry::Kind::kPtx;
    there += (there.empty() ? "" : ", ") +
             std::string(is_ptx ? "PTX " : "binary ") +
             std::to_string(entry.architecture);
    if (!is_ptx || entry.architecture > capability) continue;
    if (best != nullptr && entry.architecture == best->architecture) {
      throw ImageError(ImageError::Reason::kUnsupported,
                       "the image has several PTX modules to link "
                       "(relocatable device code); build without -rdc");
    }
    if (best == nullptr || entry.architecture > best->architecture) {
      best = &entry;
    }
  }
  if (best == nullptr) {
    throw ImageError(ImageError::Reason::kNoPtxForDevice,
                     "the image has no PTX for a device of capability " +
                         std::to_string(capability) +
                         "; it has: " + (there.empty() ? "nothing" : there));
  }
  return std::move(best->data);
}

}  // namespace ptx_emulator
