#include "jacquard/dlpack.h"

#include <memory>
#include <string>

#include "jacquard/error.h"

// The binary interface of DLPack 1.1, dlpack/dlpack.h.
namespace {

enum DeviceCode : std::int32_t { kCpu = 1, kCuda = 2, kCudaHost = 3 };
enum TypeCode : std::uint8_t { kInt = 0, kFloat = 2, kBfloat = 4, kBool = 6 };
constexpr std::uint64_t kReadOnly = 1;

struct DlTensor {
  void* data;
  DeviceCode device_type;
  std::int32_t device_id;
  std::int32_t ndim;
  struct {
    std::uint8_t code;
    std::uint8_t bits;
    std::uint16_t lanes;
  } dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};

}  // namespace

struct DLManagedTensor {
  DlTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor*);
};

struct DLManagedTensorVersioned {
  std::uint32_t major, minor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned*);
  std::uint64_t flags;
  DlTensor dl_tensor;
};

namespace jacquard {
namespace {

struct TypeEntry {
  DType dtype;
  std::uint8_t code, bits;
};
constexpr TypeEntry kTypes[] = {
    {DType::bool_, kBool, 8},       {DType::int32, kInt, 32},
    {DType::int64, kInt, 64},       {DType::float16, kFloat, 16},
    {DType::bfloat16, kBfloat, 16}, {DType::float32, kFloat, 32},
    {DType::float64, kFloat, 64},
};

// What an array given away keeps alive.
template <class Managed>
struct Given {
  Managed managed{};
  Tensor tensor;
  Shape shape;
  Strides strides;
};

template <class Managed>
Managed* give(const Tensor& tensor, Stream consumer) {
  const Device device = tensor.device();
  if (consumer.device() != device)
    throw DeviceError("to_dlpack: the consumer's stream belongs to " +
                      to_string(consumer.device()) + ", the array to " +
                      to_string(device));
  auto given = std::make_unique<Given<Managed>>();
  given->tensor = tensor;
  given->shape = tensor.shape();
  given->strides = tensor.strides();
  DlTensor& out = given->managed.dl_tensor;
  out.data = tensor.data_on(consumer);
  out.device_type = device.type == DeviceType::cpu ? kCpu : kCuda;
  out.device_id = device.index;
  out.ndim = given->shape.rank();
  for (const TypeEntry& type : kTypes)
    if (type.dtype == tensor.dtype()) out.dtype = {type.code, type.bits, 1};
  out.shape = given->shape.begin();
  out.strides = given->strides.begin();
  given->managed.manager_ctx = given.get();
  given->managed.deleter = [](Managed* self) {
    delete static_cast<Given<Managed>*>(self->manager_ctx);
  };
  return &given.release()->managed;
}

DType dtype_of_dlpack(const DlTensor& from) {
  if (from.dtype.lanes == 1)
    for (const TypeEntry& type : kTypes)
      if (type.code == from.dtype.code && type.bits == from.dtype.bits)
        return type.dtype;
  throw DTypeError("from_dlpack: type code " + std::to_string(from.dtype.code) +
                   " of " + std::to_string(from.dtype.bits) + " bits and " +
                   std::to_string(from.dtype.lanes) +
                   " lanes has no counterpart among bool_, int32, int64, "
                   "float16, bfloat16, float32 and float64");
}

Device device_of_dlpack(const DlTensor& from) {
  if (from.device_type == kCpu || from.device_type == kCudaHost) return cpu();
  if (from.device_type == kCuda) return cuda(from.device_id);
  throw DeviceError("from_dlpack: device type " +
                    std::to_string(from.device_type) +
                    " is neither CPU (1), CUDA (2) nor pinned memory (3)");
}

template <class Managed>
Tensor take(Managed* managed, Stream producer) {
  const DlTensor& from = managed->dl_tensor;
  const DType dtype = dtype_of_dlpack(from);
  const auto rank = static_cast<std::size_t>(from.ndim);
  const Shape shape(std::span<const std::int64_t>(from.shape, rank));
  const Strides strides =
      from.strides == nullptr
          ? contiguous_strides(shape)
          : Strides(std::span<const std::int64_t>(from.strides, rank));
  return Tensor::from_device(static_cast<char*>(from.data) + from.byte_offset,
                             shape, strides, dtype, device_of_dlpack(from),
                             producer, [managed] {
                               if (managed->deleter) managed->deleter(managed);
                             });
}

}  // namespace

DLManagedTensor* to_dlpack(const Tensor& tensor, Stream consumer) {
  return give<DLManagedTensor>(tensor, consumer);
}

DLManagedTensorVersioned* to_dlpack_versioned(const Tensor& tensor,
                                              Stream consumer) {
  auto* managed = give<DLManagedTensorVersioned>(tensor, consumer);
  managed->major = 1;
  managed->minor = 1;
  managed->flags = kReadOnly;
  return managed;
}

Tensor from_dlpack(DLManagedTensor* managed, Stream producer) {
  return take(managed, producer);
}

Tensor from_dlpack(DLManagedTensorVersioned* managed, Stream producer) {
  if (managed->major != 1)
    throw Error("from_dlpack: DLPack version " +
                std::to_string(managed->major) + "." +
                std::to_string(managed->minor) + "; 1.x is read");
  return take(managed, producer);
}

}  // namespace jacquard
