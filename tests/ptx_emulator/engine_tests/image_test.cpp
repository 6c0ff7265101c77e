// Images: containers, compression, choice of PTX, and what is refused.
#include <gtest/gtest.h>
#ifdef PTX_EMULATOR_ZSTD
#include <zstd.h>
#endif

#include <cstring>

#include "engine_tests/run_ptx.h"
#include "image/fat_binary.h"
#include "image/lz4_block.h"

namespace ptx_emulator {
namespace {

template <class T>
void append(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string entry(std::uint16_t kind, std::uint32_t architecture,
                  std::string payload, std::uint64_t flags = 0x11,
                  std::uint64_t uncompressed = 0) {
  const std::size_t stored = payload.size();
  payload.resize((stored + 7) / 8 * 8);
  std::string out;
  append<std::uint16_t>(&out, kind);
  append<std::uint16_t>(&out, 0x0101);
  append<std::uint32_t>(&out, 64);
  append<std::uint64_t>(&out, payload.size());
  append<std::uint32_t>(
      &out, uncompressed == 0 ? 0 : static_cast<std::uint32_t>(stored));
  append<std::uint32_t>(&out, 0);
  append<std::uint16_t>(&out, 0);
  append<std::uint16_t>(&out, 9);
  append<std::uint32_t>(&out, architecture);
  append<std::uint64_t>(&out, 0);
  append<std::uint64_t>(&out, flags);
  append<std::uint64_t>(&out, 0);
  append<std::uint64_t>(&out, uncompressed);
  return out + payload;
}

std::string container(const std::string& entries) {
  std::string out;
  append<std::uint32_t>(&out, 0xba55ed50);
  append<std::uint16_t>(&out, 1);
  append<std::uint16_t>(&out, 16);
  append<std::uint64_t>(&out, entries.size());
  return out + entries;
}

struct Wrapper {
  std::uint32_t magic = 0x466243b1;
  std::uint32_t version = 1;
  const void* data = nullptr;
  const void* linked = nullptr;
};

ImageError::Reason reason_of(const void* image, int capability) {
  try {
    select_ptx(image, capability);
  } catch (const ImageError& error) {
    return error.reason();
  }
  ADD_FAILURE() << "nothing was refused";
  return ImageError::Reason::kUnknownFunction;
}

TEST(Image, TakesTheHighestPtxUpToTheCapability) {
  const std::string image =
      container(entry(1, 80, "eighty") + entry(2, 90, "binary") +
                entry(1, 120, "hundred and twenty") + entry(1, 75, "old"));
  EXPECT_EQ(select_ptx(image.data(), 80), "eighty");
  EXPECT_EQ(select_ptx(image.data(), 90), "eighty");
  EXPECT_EQ(select_ptx(image.data(), 120), "hundred and twenty");
  EXPECT_EQ(select_ptx(image.data(), 75), "old");
  EXPECT_EQ(reason_of(image.data(), 70), ImageError::Reason::kNoPtxForDevice);
}

TEST(Image, WrappersOfBothVersions) {
  const std::string first = container(entry(1, 80, "linked"));
  const std::string second = container(entry(2, 80, "library"));
  Wrapper plain;
  plain.data = first.data();
  EXPECT_EQ(select_ptx(&plain, 80), "linked");
  const void* linked[] = {first.data(), second.data(), nullptr};
  Wrapper relocatable{0x466243b1, 2, second.data(), linked};
  EXPECT_EQ(select_ptx(&relocatable, 80), "linked");
  // Two translation units would have to be linked.
  const void* units[] = {first.data(), first.data(), nullptr};
  relocatable.linked = units;
  EXPECT_EQ(reason_of(&relocatable, 80), ImageError::Reason::kUnsupported);
}

TEST(Image, Lz4Blocks) {
  // "abcd" and a match of 12 at distance 4, then "xyz" without a match.
  const std::string block{
      "\x48"
      "abcd"
      "\x04\x00"
      "\x30"
      "xyz",
      11};
  const std::string image = container(entry(1, 80, block, 0x2011, 19));
  EXPECT_EQ(select_ptx(image.data(), 80), "abcdabcdabcdabcdxyz");
  const std::string wrong = container(entry(1, 80, block, 0x2011, 18));
  EXPECT_EQ(reason_of(wrong.data(), 80), ImageError::Reason::kInvalidImage);
}

TEST(Image, Lz4LengthsAbove15AndDamage) {
  std::string block = "\xf0";
  block += '\x01';  // 15 + 1 literals
  block += std::string(16, 'q');
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(block.data());
  EXPECT_EQ(decompress_lz4_block({bytes, block.size()}, 16),
            std::string(16, 'q'));
  for (std::size_t cut = 1; cut < block.size(); ++cut) {
    EXPECT_FALSE(decompress_lz4_block({bytes, cut}, 16)) << cut;
  }
  // A match before the start of the output.
  const std::uint8_t outside[] = {0x10, 'a', 2, 0};
  EXPECT_FALSE(decompress_lz4_block(outside, 5));
}

#ifdef PTX_EMULATOR_ZSTD
TEST(Image, ZstandardFrames) {
  const std::string text(1000, 'z');
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  frame.resize(
      ZSTD_compress(frame.data(), frame.size(), text.data(), text.size(), 3));
  const std::string image = container(entry(1, 80, frame, 0x8011, text.size()));
  EXPECT_EQ(select_ptx(image.data(), 80), text);
  frame[frame.size() / 2] ^= 0x55;
  const std::string broken = container(
      entry(1, 80, frame.substr(0, frame.size() - 2), 0x8011, text.size()));
  EXPECT_EQ(reason_of(broken.data(), 80), ImageError::Reason::kInvalidImage);
}
#endif

TEST(Image, DamageIsReported) {
  EXPECT_EQ(reason_of(nullptr, 80), ImageError::Reason::kInvalidImage);
  EXPECT_EQ(reason_of("", 80), ImageError::Reason::kInvalidImage);
  EXPECT_EQ(reason_of("no image at all", 80),
            ImageError::Reason::kInvalidImage);
  std::string image = container(entry(1, 80, "text"));
  image[16 + 8] = '\x70';  // the entry claims more than there is
  EXPECT_EQ(reason_of(image.data(), 80), ImageError::Reason::kInvalidImage);
}

TEST(Image, PtxTextHasTheArchitectureOfItsTarget) {
  const std::string text = with_header(".visible .entry kernel() { ret; }");
  EXPECT_EQ(read_image(text.c_str()).at(0).architecture, 80);
  EXPECT_EQ(reason_of(text.c_str(), 75), ImageError::Reason::kNoPtxForDevice);
}

std::string refusal(const std::string& statement) {
  const auto module = load_ptx(
      ".visible .entry kernel()\n{\n.reg .b32 %r<9>;\n.reg .b64 %rd<9>;\n"
      ".reg .f32 %f<4>;\n.reg .pred %p<4>;\n" +
      statement + "\nret;\n}");
  try {
    module->find_kernel("kernel")->attributes();
  } catch (const ImageError& error) {
    return error.what();
  }
  return "";
}

TEST(Decoder, RefusesWhatItDoesNotKnowWithKernelAndLine) {
  EXPECT_EQ(refusal("add.u32 %r0, %r1, %r2;"), "");
  EXPECT_EQ(refusal("add.u32.sideways %r0, %r1, %r2;"),
            "kernel kernel, PTX line 10, add.u32.sideways: modifier .sideways "
            "is not emulated here");
  EXPECT_NE(refusal("tex.2d.v4.f32.s32 {%r0, %r1, %r2, %r3}, %rd0;")
                .find("PTX line 10, tex.2d.v4.f32.s32"),
            std::string::npos);
  EXPECT_NE(refusal("add.u32 %r0, %r1, %r2, %r3;").find("operand 4"),
            std::string::npos);
  EXPECT_NE(refusal("add.u32 %r0, %rd1, %r2;").find("another size"),
            std::string::npos);
  EXPECT_NE(refusal("add.u32 %r0, %r1, %x2;").find("unknown register %x2"),
            std::string::npos);
  EXPECT_NE(refusal("add.ftz.f64 %rd0, %rd1, %rd2;").find(".ftz"),
            std::string::npos);
  EXPECT_NE(refusal("bra nowhere;").find("unknown label nowhere"),
            std::string::npos);
  EXPECT_NE(refusal("ld.global.v2.u32 {%r0, %r1, %r2}, [%rd0];")
                .find("another length"),
            std::string::npos);
  EXPECT_NE(refusal("add.f32 %f0, %f1, 3;").find("floating-point"),
            std::string::npos);
}

TEST(Parser, ReportsTheLineOfAnError) {
  const auto problem = [](const std::string& text) -> std::string {
    try {
      load_ptx(text)->find_kernel("kernel")->attributes();
    } catch (const ImageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(problem(".nonsense\n"),
            "PTX line 4: unsupported directive .nonsense");
  EXPECT_EQ(problem(".visible .entry kernel()\n{\nret\n}"),
            "PTX line 7: expected an operand, found '}'");
  EXPECT_EQ(problem(".visible .entry kernel()\n{\nret;\n"),
            "PTX line 7: a function without end");
  EXPECT_NE(problem(".global .u32 x = {1, 2};"
                    ".visible .entry kernel() { ret; }")
                .find("too many initial values"),
            std::string::npos);
}

}  // namespace
}  // namespace ptx_emulator
