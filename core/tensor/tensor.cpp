#include "jacquard/tensor.h"

#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "core/backend/launch.h"
#include "core/pointwise/program.h"
#include "core/tensor/host_scalar.h"
#include "core/tensor/layout.h"
#include "core/tensor/storage.h"
#include "core/tensor/writable.h"

namespace jacquard {
namespace {

[[noreturn]] void throw_undefined() {
  throw Error("this Tensor is undefined: default-constructed or moved from");
}

const TensorImpl& checked(const TensorImpl* impl) {
  if (impl == nullptr) [[unlikely]]
    throw_undefined();
  return *impl;
}

// The program out = cast(in), of one instruction beside the load.
const pointwise::ProgramPtr& conversion(DType from, DType to) {
  struct Entry {
    std::once_flag once;
    pointwise::ProgramPtr program;
  };
  // Never destroyed: static tensors may outlive it.
  static auto* const cache = new Entry[kDTypeCount * kDTypeCount];
  Entry& entry =
      cache[static_cast<int>(from) * kDTypeCount + static_cast<int>(to)];
  std::call_once(entry.once, [&] {
    pointwise::Builder builder;
    pointwise::Ref value = builder.leaf({.dtype = from});
    if (from != to) value = builder.cast(value, to);
    builder.output({.value = value});
    entry.program = pointwise::Program::intern(builder.take());
  });
  return entry.program;
}

Tensor allocate(const char* op, const Shape& shape, DType dtype,
                Stream stream) {
  auto storage = Storage::allocate(bytes_of(shape, dtype, op), stream);
  return TensorImpl::make(std::move(storage), shape, dtype);
}

// A contiguous array of the same values, as `dtype`.
Tensor converted(const char* op, const Tensor& from, DType dtype,
                 Stream stream) {
  Tensor result = allocate(op, from.shape(), dtype, stream);
  if (from.numel() == 0) return result;
  if (from.dtype() == dtype && from.is_contiguous()) {
    backend::copy(op, result.data_ptr(), from.data_on(stream), from.bytes(),
                  stream);
    return result;
  }
  const backend::Binding leaf{from.data_on(stream), from.dtype(),
                              from.strides()};
  const backend::OutputBinding output{result.data_ptr(), dtype,
                                      result.strides()};
  backend::launch(op,
                  {.program = conversion(from.dtype(), dtype).get(),
                   .space = from.shape(),
                   .leaves = {&leaf, 1},
                   .slots = {},
                   .outputs = {&output, 1}},
                  stream);
  return result;
}

void check_inside(const Storage& storage, const Shape& shape,
                  const Strides& strides, std::int64_t offset, DType dtype) {
  const auto elements =
      static_cast<std::int64_t>(storage.bytes() / size_of(dtype));
  const Reach reach = reach_of(shape, strides);
  if (shape.numel() != 0 && (offset + reach.lowest < 0 ||
                             offset + reach.highest >= elements)) [[unlikely]]
    throw IndexError("view: " + to_string(shape) + " with strides " +
                     to_string(strides) + " from element " +
                     std::to_string(offset) + " reaches outside of memory of " +
                     std::to_string(elements) + " elements");
}

}  // namespace

Tensor::Tensor(const Tensor& other) noexcept : impl_(other.impl_) {
  if (impl_ != nullptr) impl_->retain();
}

Tensor& Tensor::operator=(const Tensor& other) noexcept {
  Tensor copy(other);
  std::swap(impl_, copy.impl_);
  return *this;
}

Tensor& Tensor::operator=(Tensor&& other) noexcept {
  Tensor taken(std::move(other));
  std::swap(impl_, taken.impl_);
  return *this;
}

Tensor::~Tensor() {
  if (impl_ != nullptr) impl_->release();
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  return allocate("empty", shape, dtype, jacquard::current_stream(device));
}

Tensor Tensor::from_host_bytes(const void* values, std::size_t count,
                               DType dtype, const Shape& shape, Device device) {
  const std::size_t bytes = bytes_of(shape, dtype, "from_host");
  if (bytes != count * size_of(dtype))
    throw ShapeError("from_host: " + std::to_string(count) +
                     " values do not fill " + to_string(shape) +
                     ", which has " + std::to_string(shape.numel()));
  const Stream stream = jacquard::current_stream(device);
  Tensor result = allocate("from_host", shape, dtype, stream);
  backend::upload("from_host", result.data_ptr(), values, bytes, stream);
  return result;
}

Tensor Tensor::from_device(void* data, const Shape& shape,
                           const Strides& strides, DType dtype, Device device,
                           Stream stream, std::function<void()> deleter) {
  bytes_of(shape, dtype, "from_device");
  if (shape.rank() != strides.rank())
    throw ShapeError("from_device: shape " + to_string(shape) +
                     " and strides " + to_string(strides) + " differ in rank");
  if (stream.device() != device)
    throw DeviceError("from_device: the stream belongs to " +
                      to_string(stream.device()) + ", the memory to " +
                      to_string(device));
  const auto size = static_cast<std::int64_t>(size_of(dtype));
  const Reach reach = reach_of(shape, strides);
  auto storage = Storage::wrap(
      static_cast<char*>(data) + reach.lowest * size,
      static_cast<std::size_t>((reach.highest - reach.lowest + 1) * size),
      stream, std::move(deleter));
  return TensorImpl::make(std::move(storage), shape, strides, -reach.lowest,
                          dtype);
}

const Shape& Tensor::shape() const { return checked(impl_).shape; }
const Strides& Tensor::strides() const { return checked(impl_).strides; }
DType Tensor::dtype() const { return checked(impl_).dtype; }
Device Tensor::device() const { return stream().device(); }
Stream Tensor::stream() const { return storage().stream(); }
bool Tensor::is_contiguous() const { return checked(impl_).contiguous; }
Storage& Tensor::storage() const { return *checked(impl_).storage; }

void* Tensor::data_ptr() const {
  const TensorImpl& impl = checked(impl_);
  return static_cast<char*>(impl.storage->data()) +
         impl.offset * static_cast<std::int64_t>(size_of(impl.dtype));
}

void* Tensor::data_on(Stream stream) const {
  const TensorImpl& impl = checked(impl_);
  return static_cast<char*>(impl.storage->read_on(stream)) +
         impl.offset * static_cast<std::int64_t>(size_of(impl.dtype));
}

void* write_on(const Tensor& tensor, Stream stream) {
  const TensorImpl& impl = *TensorImpl::of(tensor);
  return static_cast<char*>(impl.storage->write_on(stream)) +
         impl.offset * static_cast<std::int64_t>(size_of(impl.dtype));
}

long Tensor::use_count() const {
  const TensorImpl& impl = checked(impl_);
  return impl.storage->use_count() + impl.use_count() - 1;
}

Tensor Tensor::view(const Shape& shape, const Strides& strides,
                    std::int64_t offset_in_elements) const {
  const TensorImpl& impl = checked(impl_);
  const std::int64_t offset = impl.offset + offset_in_elements;
  if (shape.rank() != strides.rank())
    throw ShapeError("view: shape " + to_string(shape) + " and strides " +
                     to_string(strides) + " differ in rank");
  check_inside(*impl.storage, shape, strides, offset, impl.dtype);
  return TensorImpl::make(impl.storage, shape, strides, offset, impl.dtype);
}

Tensor Tensor::reshape(const Shape& shape) const {
  const TensorImpl& impl = checked(impl_);
  const Shape to = resolve_reshape(impl.shape, shape, "reshape");
  if (to == impl.shape) return *this;
  const auto strides = reshape_strides(impl.shape, impl.strides, to);
  if (strides) return view(to, *strides, 0);
  return converted("reshape", *this, impl.dtype, current_stream(device()))
      .view(to, contiguous_strides(to), 0);
}

Tensor Tensor::contiguous() const {
  if (is_contiguous()) return *this;
  return converted("contiguous", *this, dtype(), current_stream(device()));
}

Tensor Tensor::clone() const {
  return converted("clone", *this, dtype(), current_stream(device()));
}

Tensor Tensor::to(DType target) const {
  if (target == dtype()) return *this;
  return converted("to", *this, target, current_stream(device()));
}

Tensor Tensor::to(Device target) const {
  if (target == device()) return *this;
  const Tensor source = contiguous();
  const Stream stream = jacquard::current_stream(target);
  Tensor result = allocate("to", shape(), dtype(), stream);
  if (target.type == DeviceType::cpu) {
    backend::read_back("to", result.data_ptr(), source.data_ptr(), bytes(),
                       source.stream());
  } else if (device().type == DeviceType::cpu) {
    source.stream().synchronize();
    backend::upload("to", result.data_ptr(), source.data_ptr(), bytes(),
                    stream);
  } else {
    std::vector<unsigned char> host(bytes());
    backend::read_back("to", host.data(), source.data_ptr(), bytes(),
                       source.stream());
    backend::upload("to", result.data_ptr(), host.data(), bytes(), stream);
  }
  return result;
}

void Tensor::copy_to_host(void* out, DType as) const {
  // On the stream that wrote it: the read waits for the write.
  const Tensor source = as == dtype() && is_contiguous()
                            ? *this
                            : converted("to_host", *this, as, stream());
  backend::read_back("to_host", out, source.data_ptr(), source.bytes(),
                     source.stream());
}

std::vector<unsigned char> Tensor::to_host_bytes(DType as) const {
  std::vector<unsigned char> bytes(static_cast<std::size_t>(numel()) *
                                   size_of(as));
  copy_to_host(bytes.data(), as);
  return bytes;
}

void Tensor::item_into(void* out, DType as) const {
  if (numel() != 1)
    throw ShapeError("item: " + to_string(shape()) + " has " +
                     std::to_string(numel()) +
                     " elements, not exactly one; use to_host");
  unsigned char element[8];
  backend::read_back("item", element, data_ptr(), size_of(dtype()), stream());
  write_scalar(read_scalar(element, dtype()), out, as);
}

Tensor make_writable(Tensor tensor, Stream stream) {
  const TensorImpl& impl = *TensorImpl::of(tensor);
  // A handle beside this one shares the storage, though it isn't counted there.
  const bool shared_handle = impl.use_count() > 1;
  auto storage = impl.storage->make_writable(stream, shared_handle ? 0 : 1);
  if (storage == impl.storage) return tensor;
  return TensorImpl::make(std::move(storage), impl.shape, impl.strides,
                          impl.offset, impl.dtype);
}

}  // namespace jacquard
