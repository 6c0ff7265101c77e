// Tensor: a materialised array on a device. No autodiff.
#pragma once

#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "jacquard/device.h"
#include "jacquard/dtype.h"
#include "jacquard/error.h"
#include "jacquard/export.h"
#include "jacquard/shape.h"

namespace jacquard {

class Storage;
struct TensorImpl;

// A cheap handle: copies share the array. The contents are immutable through
// this interface; only optimizers and their like write in place, and then move
// other sharers to a copy first. A default-constructed Tensor is undefined.
class JACQUARD_API Tensor {
 public:
  Tensor() noexcept = default;
  Tensor(const Tensor& other) noexcept;
  Tensor(Tensor&& other) noexcept : impl_(other.impl_) {
    other.impl_ = nullptr;
  }
  Tensor& operator=(const Tensor& other) noexcept;
  Tensor& operator=(Tensor&& other) noexcept;
  ~Tensor();

  // An array whose contents nobody has written.
  static Tensor empty(const Shape& shape, DType dtype,
                      Device device = default_device());
  // Copies from the host, row-major. ShapeError if the counts differ.
  template <class T>
  static Tensor from_host(std::span<const T> values, const Shape& shape,
                          Device device = default_device()) {
    return from_host_bytes(values.data(), values.size(), dtype_of<T>, shape,
                           device);
  }
  static Tensor from_host_bytes(const void* values, std::size_t count,
                                DType dtype, const Shape& shape, Device device);
  // Memory that the caller owns; `deleter` is called when the last sharer goes.
  static Tensor from_device(void* data, const Shape& shape,
                            const Strides& strides, DType dtype, Device device,
                            Stream stream, std::function<void()> deleter);

  bool defined() const { return impl_ != nullptr; }
  const Shape& shape() const;
  const Strides& strides() const;  // in elements; negative after flip
  DType dtype() const;
  Device device() const;
  Stream stream() const;  // the one that wrote it
  int rank() const { return shape().rank(); }
  std::int64_t numel() const { return shape().numel(); }
  std::size_t bytes() const {
    return static_cast<std::size_t>(numel()) * size_of(dtype());
  }
  bool is_contiguous() const;
  // The first element, on the device. Valid for work on stream(); for other
  // streams there is data_on.
  void* data_ptr() const;
  // The same, to be read by work that the caller enqueues on `stream` next: it
  // comes after what wrote the array, and the memory outlives it.
  void* data_on(Stream stream) const;

  // Views: no copy. The offset counts from the first element of this tensor;
  // IndexError if the view would reach outside of the memory.
  Tensor view(const Shape& shape, const Strides& strides,
              std::int64_t offset_in_elements) const;
  // A view if the layout allows, else a contiguous copy. ShapeError if the
  // counts differ; one extent may be −1.
  Tensor reshape(const Shape& shape) const;
  Tensor contiguous() const;  // itself if it is
  Tensor clone() const;       // a copy, contiguous
  // Converted as a cast does; itself if nothing changes.
  Tensor to(DType dtype) const;
  Tensor to(Device device) const;

  // Waits and copies to the host, row-major, converted to T.
  template <class T>
  std::vector<T> to_host() const {
    // std::vector<bool> has no data(): bytes are copied one by one.
    if constexpr (std::is_same_v<T, bool>) {
      auto bytes = to_host_bytes(DType::bool_);
      return std::vector<bool>(bytes.begin(), bytes.end());
    } else {
      std::vector<T> out(static_cast<std::size_t>(numel()));
      copy_to_host(out.data(), dtype_of<T>);
      return out;
    }
  }
  // The only element. ShapeError if there is not exactly one.
  template <class T>
  T item() const {
    T value{};
    item_into(&value, dtype_of<T>);
    return value;
  }
  void copy_to_host(void* out, DType as) const;

  // How many handles share the memory; those of one other view count once.
  long use_count() const;

  // Internal: the shared memory.
  Storage& storage() const;

 private:
  friend struct TensorImpl;
  explicit Tensor(TensorImpl* impl) : impl_(impl) {}
  std::vector<unsigned char> to_host_bytes(DType as) const;
  void item_into(void* out, DType as) const;

  TensorImpl* impl_ = nullptr;
};

// Like NumPy's: nested brackets, columns aligned, 4 significant digits,
// summarised beyond 1,000 elements; followed by shape, dtype and device.
JACQUARD_API std::string to_string(const Tensor& tensor);

}  // namespace jacquard
