// Reads the images in which programs carry their device code: the fat binary
// that nvcc embeds, or PTX text.
//
// A wrapper (section .nvFatBinSegment, one per translation unit) points to a
// container (section .nv_fatbin); wrappers of version 2 (relocatable device
// code) point to a list of containers that the device linker made. A container
// is a header and entries back to back:
//
//   offset type  meaning
//   0      u16   kind: 1 PTX, 2 ELF cubin, 8 LTO IR
//   4      u32   size of the entry's header; the payload follows it
//   8      u64   stored bytes of the payload, padded to 8
//   16     u32   compressed bytes; 0 if not compressed
//   28     u32   architecture, 80 for sm_80
//   40     u64   flags: 0x2000 LZ4 block, 0x8000 Zstandard frame
//   56     u64   bytes before compression; 0 if not compressed
#pragma once

#include <string>
#include <vector>

namespace ptx_emulator {

struct ImageEntry {
  enum class Kind { kPtx = 1, kCubin = 2, kLtoIr = 8 };
  Kind kind = Kind::kPtx;
  int architecture = 0;
  std::string data;  // decompressed for PTX, empty for other kinds
};

// All entries of an image: a wrapper of version 1 or 2, a container, or
// NUL-terminated PTX (one entry whose architecture is its .target). Throws
// ImageError (kInvalidImage) if it is none of them, is damaged, or is
// compressed by Zstandard and the emulator was built without that library.
std::vector<ImageEntry> read_image(const void* image);

// The PTX of the highest architecture up to `capability`. Throws ImageError
// (kNoPtxForDevice) naming the architectures that are there, or (kUnsupported)
// if several translation units would have to be linked.
std::string select_ptx(const void* image, int capability);

}  // namespace ptx_emulator
