// call: of functions of the module, through a register, and of the functions
// that the device's runtime provides (vprintf, __assertfail).
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "execute/instruction_table.h"
#include "execute/instructions/memory_operations.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Operand;
using ptx::Type;

// The value of a call's argument in a lane.
std::uint64_t argument(Warp& warp, const Instruction& i, std::size_t index,
                       int lane) {
  const auto& [row, bytes] = i.call->arguments[index];
  std::uint64_t value = 0;
  std::memcpy(&value,
              warp.row<std::byte>(row) + static_cast<std::size_t>(lane) * bytes,
              std::min<std::size_t>(bytes, sizeof value));
  return value;
}

std::string read_string(Warp& warp, const Instruction& i, int lane,
                        Address address) {
  std::string text;
  for (;; ++address) {
    const auto c = static_cast<char>(*locate_bytes(warp, i, lane, address, 1));
    if (c == '\0') return text;
    text += c;
  }
}

// Formats as printf does; arguments lie one after another, aligned to their
// sizes, at an address of the caller.
class Formatter {
 public:
  Formatter(Warp& warp, const Instruction& i, int lane, Address arguments)
      : warp_(warp), instruction_(i), lane_(lane), arguments_(arguments) {}

  std::string format(const std::string& text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] != '%') {
        out += text[at];
        continue;
      }
      std::string spec = "%";
      while (++at < text.size()) {
        spec += text[at];
        if (std::strchr("diouxXeEfFgGaAcsp%", text[at]) != nullptr) break;
        if (text[at] == '*') {
          spec.pop_back();
          spec += std::to_string(static_cast<std::int32_t>(next(4)));
        }
      }
      out += convert(spec);
    }
    return out;
  }

 private:
  std::uint64_t next(std::uint32_t bytes) {
    offset_ = (offset_ + bytes - 1) / bytes * bytes;
    std::uint64_t value = 0;
    std::memcpy(
        &value,
        locate_bytes(warp_, instruction_, lane_, arguments_ + offset_, bytes),
        bytes);
    offset_ += bytes;
    return value;
  }

  std::string convert(const std::string& spec) {
    const char kind = spec.back();
    if (kind == '%') return "%";
    char out[512];
    const bool wide = spec.find_first_of("lzjt") != std::string::npos;
    if (kind == 's') {
      const std::string text = read_string(warp_, instruction_, lane_, next(8));
      return print(out, spec, text.c_str());
    }
    if (std::strchr("eEfFgGaA", kind) != nullptr) {
      return print(out, spec, std::bit_cast<double>(next(8)));
    }
    if (kind == 'p') {
      return print(out, spec, reinterpret_cast<const void*>(next(8)));
    }
    if (wide) return print(out, spec, static_cast<std::int64_t>(next(8)));
    return print(out, spec, static_cast<std::int32_t>(next(4)));
  }

  // The format comes from the kernel, checked for its argument's type above.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
  template <class T>
  std::string print(char (&out)[512], const std::string& spec, T value) {
    std::snprintf(out, sizeof out, spec.c_str(), value);
    return out;
  }
#pragma GCC diagnostic pop

  Warp& warp_;
  const Instruction& instruction_;
  int lane_;
  Address arguments_;
  std::uint32_t offset_ = 0;
};

// int vprintf(const char* format, void* arguments)
void print(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  for_each_lane(lanes, [&](int l) {
    Formatter formatter(warp, i, l, argument(warp, i, 1, l));
    const std::string text =
        formatter.format(read_string(warp, i, l, argument(warp, i, 0, l)));
    std::fputs(text.c_str(), stdout);
    if (i.call->results.empty()) return;
    const auto& [row, bytes] = i.call->results[0];
    const auto length = static_cast<std::int32_t>(text.size());
    std::memcpy(warp.row<std::byte>(row) + static_cast<std::size_t>(l) * bytes,
                &length, std::min<std::size_t>(bytes, sizeof length));
  });
}

// void __assertfail(message, file, unsigned line, function, size_t char_size)
void fail_assertion(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const int l = std::countr_zero(lanes);
  const auto text = [&](std::size_t index) {
    return read_string(warp, i, l, argument(warp, i, index, l));
  };
  warp.fault(i, l, FaultKind::kDeviceAssert,
             text(1) + ":" + std::to_string(argument(warp, i, 2, l)) + ": " +
                 text(3) + ": assertion `" + text(0) + "` failed");
}

void add_areas(Decoder& decoder, const Operand& list,
               std::vector<std::pair<Row, std::uint32_t>>* areas) {
  for (const Operand& element : list.elements) {
    const Code::Area* area = decoder.parameter_area(element.name);
    if (area == nullptr) {
      decoder.refuse("argument " + element.name + " is no .param variable");
    }
    areas->emplace_back(area->row, area->bytes);
  }
}

void resolve(Decoder& decoder, const Operand& target, CallSite* site) {
  if (target.kind == Operand::Kind::kRegister) {
    site->target = decoder.source_of(target, Type::kB64);
    decoder.decode_function_tables();
    return;
  }
  site->name = target.name;
  const ptx::Function* function = decoder.find_function(target.name);
  if (function == nullptr) decoder.refuse("unknown function " + target.name);
  if (function->has_body) {
    site->callee = decoder.callee(target.name);
  } else if (target.name == "vprintf") {
    site->built_in = print;
  } else if (target.name == "__assertfail") {
    site->built_in = fail_assertion;
  } else {
    decoder.refuse("function " + target.name + " has no body");
  }
  const std::size_t expected = target.name == "vprintf" ? 2 : 5;
  if (site->built_in != nullptr && site->arguments.size() != expected) {
    decoder.refuse("wrong number of arguments");
  }
}

// call{.uni} {(result),} target {, (arguments)} {, prototype}
bool decode(Decoder& decoder, Instruction& i) {
  decoder.take("uni");
  i.flow = Flow::kCall;
  i.cls = InstructionClass::kControl;
  auto site = std::make_unique<CallSite>();
  std::size_t at = 0;
  if (decoder.operand(0).kind == Operand::Kind::kList) {
    add_areas(decoder, decoder.operand(0), &site->results);
    at = 1;
  }
  const Operand& target = decoder.operand(at++);
  if (at < decoder.operands() &&
      decoder.operand(at).kind == Operand::Kind::kList) {
    add_areas(decoder, decoder.operand(at), &site->arguments);
    ++at;
  }
  // A prototype or a list of targets says nothing more.
  if (at < decoder.operands() && target.kind == Operand::Kind::kRegister) {
    decoder.operand(at);
  }
  i.call = site.get();
  CallSite* kept = site.get();
  decoder.code().calls.push_back(std::move(site));
  resolve(decoder, target, kept);
  return true;
}

}  // namespace

void add_call_instructions(InstructionTable* table) {
  (*table)["call"].push_back(decode);
}

}  // namespace ptx_emulator
