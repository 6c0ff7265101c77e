// Storage: memory on a device, shared by the tensors that view it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "core/tensor/pool.h"
#include "core/tensor/ref_count.h"
#include "jacquard/tensor.h"

namespace jacquard {

class JACQUARD_API Storage : public RefCounted<Storage>,
                             public PooledNew<Storage> {
 public:
  // Allocates from the device's backend, on the current stream.
  static IntrusivePtr<Storage> allocate(std::size_t bytes, Stream stream);
  // Memory of somebody else. `deleter` may be empty and must not throw.
  static IntrusivePtr<Storage> wrap(void* data, std::size_t bytes,
                                    Stream stream,
                                    std::function<void()> deleter);
  ~Storage();

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Stream stream() const { return stream_; }

  // The one door for in-place writers (DESIGN §2.7): returns storage at the
  // same address that only the caller holds. Others who share this storage
  // keep their contents: it is moved to a copy on `stream` first. `mine` is how
  // many references the caller itself holds (tensors that view it count one
  // each). If nobody else shares, it is this storage itself; else it is a new
  // one, and this object, which the others hold, has the copy. All or nothing.
  // Of a tensor: make_writable in core/tensor/writable.h.
  IntrusivePtr<Storage> make_writable(Stream stream, long mine);

 private:
  Storage(void* data, std::size_t bytes, Stream stream)
      : data_(data), bytes_(bytes), stream_(stream) {}
  friend class RefCounted<Storage>;

  void* data_;
  std::size_t bytes_;
  Stream stream_;
  std::function<void()> deleter_;  // empty: the backend's memory
};

// What a Tensor points to: immutable.
struct JACQUARD_API TensorImpl : RefCounted<TensorImpl>, PooledNew<TensorImpl> {
  IntrusivePtr<Storage> storage;
  Shape shape;
  Strides strides;
  std::int64_t offset;  // in elements
  DType dtype;
  bool contiguous;

  TensorImpl(IntrusivePtr<Storage> storage, const Shape& shape,
             const Strides& strides, std::int64_t offset, DType dtype,
             bool contiguous)
      : storage(std::move(storage)),
        shape(shape),
        strides(strides),
        offset(offset),
        dtype(dtype),
        contiguous(contiguous) {}

  static Tensor make(IntrusivePtr<Storage> storage, const Shape& shape,
                     const Strides& strides, std::int64_t offset, DType dtype);
  // Row-major from the start of the storage.
  static Tensor make(IntrusivePtr<Storage> storage, const Shape& shape,
                     DType dtype);
  // nullptr of an undefined tensor.
  static TensorImpl* of(const Tensor& tensor) { return tensor.impl_; }
};

}  // namespace jacquard
