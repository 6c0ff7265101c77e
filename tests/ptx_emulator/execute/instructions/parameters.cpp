// ld.param and st.param: parameters of the kernel, which all threads share,
// and those of functions, which each thread has for itself.
#include <cstdint>
#include <cstring>

#include "execute/instruction_table.h"
#include "execute/instructions/memory_operations.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

// element: bytes of an element in memory; option: sign-extends; count:
// elements; list: their registers, of width e. offset: where in the block.
struct Shape {
  std::size_t bytes, width, count;
  bool is_signed;
  explicit Shape(const Instruction& i)
      : bytes(i.element),
        width(static_cast<std::size_t>(i.e)),
        count(i.count),
        is_signed(i.option != 0) {}
};

std::uint64_t read_element(const std::byte* at, const Shape& shape) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, shape.bytes);
  const std::size_t unused = 64 - 8 * shape.bytes;
  if (shape.is_signed) {
    value = static_cast<std::uint64_t>(
        static_cast<std::int64_t>(value << unused) >> unused);
  }
  return value;
}

void write_register(Warp& warp, Row row, std::size_t width, int lane,
                    std::uint64_t value) {
  if (row == kNoRow) return;
  std::memcpy(warp.row<std::byte>(row) + static_cast<std::size_t>(lane) * width,
              &value, width);
}

template <class T>
void broadcast(Warp& warp, Row row, std::uint32_t lanes, std::uint64_t value) {
  write_lanes(warp.row<T>(row), lanes,
              [=](int) { return static_cast<T>(value); });
}

// A kernel parameter at a place that is known when it is decoded.
void load_kernel_parameter(Warp& warp, const Instruction& i,
                           std::uint32_t lanes) {
  const Shape shape(i);
  const std::byte* at = warp.thread().parameters + i.offset;
  for (std::size_t k = 0; k < shape.count; ++k) {
    if (i.list[k] == kNoRow) continue;
    const std::uint64_t value = read_element(at + k * shape.bytes, shape);
    switch (shape.width) {
      case 2:
        broadcast<std::uint16_t>(warp, i.list[k], lanes, value);
        break;
      case 4:
        broadcast<std::uint32_t>(warp, i.list[k], lanes, value);
        break;
      default:
        broadcast<std::uint64_t>(warp, i.list[k], lanes, value);
        break;
    }
  }
}

// The most frequent form: one element that fills its register.
template <class T>
void load_one_parameter(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  T value;
  std::memcpy(&value, warp.thread().parameters + i.offset, sizeof value);
  write_lanes(warp.row<T>(i.list[0]), lanes, [=](int) { return value; });
}

Handler kernel_parameter_handler(const Instruction& i) {
  const bool one = i.count == 1 && i.list[0] != kNoRow && i.e == i.element;
  if (one && i.e == 8) return load_one_parameter<std::uint64_t>;
  if (one && i.e == 4) return load_one_parameter<std::uint32_t>;
  return load_kernel_parameter;
}

// A kernel parameter at an address in a register.
void load_kernel_parameter_at(Warp& warp, const Instruction& i,
                              std::uint32_t lanes) {
  const Shape shape(i);
  Address address[kWarpSize];
  lane_addresses(warp, i, address);
  for (int l = 0; l < kWarpSize; ++l) address[l] &= kWindowOffset;
  warp.checked(i, [&] {
    check_parameters(warp.thread().parameters, warp.thread().parameter_bytes,
                     lanes, static_cast<unsigned>(shape.bytes * shape.count),
                     address);
  });
  for_each_lane(lanes, [&](int l) {
    const auto* at = reinterpret_cast<const std::byte*>(address[l]);
    for (std::size_t k = 0; k < shape.count; ++k) {
      write_register(warp, i.list[k], shape.width, l,
                     read_element(at + k * shape.bytes, shape));
    }
  });
}

// A function's area: row a, of `target` bytes for each lane.
void load_area(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const Shape shape(i);
  const auto* area = warp.row<std::byte>(i.a);
  for_each_lane(lanes, [&](int l) {
    const std::byte* at =
        area + static_cast<std::size_t>(l) * i.target + i.offset;
    for (std::size_t k = 0; k < shape.count; ++k) {
      write_register(warp, i.list[k], shape.width, l,
                     read_element(at + k * shape.bytes, shape));
    }
  });
}

void store_area(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const Shape shape(i);
  auto* area = warp.row<std::byte>(i.a);
  for_each_lane(lanes, [&](int l) {
    const auto lane = static_cast<std::size_t>(l);
    std::byte* at = area + lane * i.target + i.offset;
    for (std::size_t k = 0; k < shape.count; ++k) {
      std::memcpy(at + k * shape.bytes,
                  warp.row<std::byte>(i.list[k]) + lane * shape.width,
                  shape.bytes);
    }
  });
}

void take_elements(Decoder& decoder, Instruction& i, Type type, bool load) {
  std::size_t count = 1;
  if (decoder.take("v2")) count = 2;
  if (decoder.take("v4")) count = 4;
  const auto& value = decoder.operand(load ? 0 : 1);
  std::vector<ptx::Operand> elements = value.elements;
  if (value.kind != ptx::Operand::Kind::kVector) elements = {value};
  if (elements.size() != count) decoder.refuse("a vector of another length");
  int width = 0;
  for (std::size_t k = 0; k < count; ++k) {
    int bytes = 0;
    i.list[k] = load ? decoder.wide_destination(elements[k], type, &bytes)
                     : decoder.wide_source(elements[k], type, &bytes);
    if (i.list[k] == kNoRow) continue;
    if (bytes < ptx::type_size(type) || (width != 0 && width != bytes)) {
      decoder.refuse("registers that do not fit the type");
    }
    width = bytes;
  }
  i.element = static_cast<std::uint8_t>(ptx::type_size(type));
  i.count = static_cast<std::uint8_t>(count);
  i.option = load && ptx::is_signed(type);
  i.e = width;
}

bool take_param(Decoder& decoder) {
  return decoder.take("param") || decoder.take("param::entry") ||
         decoder.take("param::func");
}

void check_range(Decoder& decoder, const Instruction& i, std::uint64_t size) {
  const auto bytes = std::uint64_t{i.element} * i.count;
  if (i.offset < 0 || static_cast<std::uint64_t>(i.offset) + bytes > size) {
    decoder.refuse("outside of the parameter");
  }
}

bool decode_load(Decoder& decoder, Instruction& i) {
  if (!take_param(decoder)) return false;
  const Type type = decoder.take_type();
  decoder.take("volatile");
  take_elements(decoder, i, type, true);
  i.cls = InstructionClass::kMove;
  const auto& address = decoder.operand(1);
  if (const Code::Area* area = decoder.parameter_area(address.name)) {
    i.handler = load_area;
    i.a = area->row;
    i.target = area->bytes;
    i.offset = address.offset;
    check_range(decoder, i, area->bytes);
    return true;
  }
  const std::int64_t parameter = decoder.kernel_parameter(address.name);
  if (parameter >= 0) {
    i.handler = kernel_parameter_handler(i);
    i.offset = parameter + address.offset;
    check_range(decoder, i, decoder.kernel_parameter_bytes());
    return true;
  }
  if (!decoder.in_kernel()) {
    decoder.refuse("a function's parameter at an address in a register");
  }
  AddressSpace space = AddressSpace::kGlobal;
  decoder.address(1, &space, &i);
  i.handler = load_kernel_parameter_at;
  return true;
}

bool decode_store(Decoder& decoder, Instruction& i) {
  if (!take_param(decoder)) return false;
  const Type type = decoder.take_type();
  decoder.take("volatile");
  take_elements(decoder, i, type, false);
  i.cls = InstructionClass::kMove;
  const auto& address = decoder.operand(0);
  const Code::Area* area = decoder.parameter_area(address.name);
  if (area == nullptr) decoder.refuse("unknown parameter " + address.name);
  i.handler = store_area;
  i.a = area->row;
  i.target = area->bytes;
  i.offset = address.offset;
  check_range(decoder, i, area->bytes);
  return true;
}

}  // namespace

void add_parameter_instructions(InstructionTable* table) {
  (*table)["ld"].push_back(decode_load);
  (*table)["st"].push_back(decode_store);
}

}  // namespace ptx_emulator
