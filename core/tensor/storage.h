// Storage: memory on a device, shared by the tensors that view it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

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

  std::size_t bytes() const { return bytes_; }
  // The stream that wrote it last.
  Stream stream() const { return stream_; }

  // The memory, for work on `stream` that is enqueued next: that work comes
  // after what wrote the memory and, if it writes, after what reads it. The
  // memory lives until the work is done. Costs nothing on the stream that wrote
  // it, else an event the first time.
  void* read_on(Stream stream) const {
    if (stream == stream_) [[likely]]
      return data_;
    return read_elsewhere(stream);
  }
  // Only whoever holds the storage alone may write.
  void* write_on(Stream stream) {
    if (stream == stream_ && readers_ == nullptr) [[likely]]
      return data_;
    return write_elsewhere(stream);
  }
  // The memory, for who keeps the order himself.
  void* data() const { return data_; }

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

  // The other streams that have read the memory since it was written.
  struct Readers {
    std::mutex mutex;
    std::vector<Stream> streams;
  };
  void* read_elsewhere(Stream stream) const;
  void* write_elsewhere(Stream stream);
  // `stream` comes after all readers.
  void wait_for_readers(Stream stream);

  void* data_;
  std::size_t bytes_;
  Stream stream_;
  std::function<void()> deleter_;  // empty: the backend's memory
  mutable std::atomic<Readers*> readers_{nullptr};
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
