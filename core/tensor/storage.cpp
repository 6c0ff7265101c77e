#include "core/tensor/storage.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/backend/arena.h"
#include "core/backend/backend.h"
#include "core/backend/launch.h"
#include "core/tensor/layout.h"
#include "core/tensor/writable.h"

namespace jacquard {

namespace {

// From the arena that is in use: the memory lives at least as long as the
// storage.
IntrusivePtr<Storage> from_arena(backend::Arena& arena, std::size_t bytes,
                                 Stream stream) {
  void* data = arena.allocate(bytes, stream);
  try {
    return Storage::wrap(
        data, bytes, stream,
        [owner = arena.shared_from_this(), data] { owner->free(data); });
  } catch (...) {
    arena.free(data);
    throw;
  }
}

}  // namespace

IntrusivePtr<Storage> Storage::allocate(std::size_t bytes, Stream stream) {
  if (backend::Arena* arena = backend::Arena::in_use()) [[unlikely]]
    return from_arena(*arena, bytes, stream);
  backend::Backend& owner = backend::backend_of(stream.device().type);
  void* data = owner.allocate(bytes, stream);
  try {
    return IntrusivePtr<Storage>::adopt(new Storage(data, bytes, stream));
  } catch (...) {
    owner.free(data, bytes, stream);
    throw;
  }
}

IntrusivePtr<Storage> Storage::wrap(void* data, std::size_t bytes,
                                    Stream stream,
                                    std::function<void()> deleter) {
  auto storage = IntrusivePtr<Storage>::adopt(new Storage(data, bytes, stream));
  storage->deleter_ = deleter ? std::move(deleter) : [] {};
  return storage;
}

Storage::~Storage() {
  if (readers_ != nullptr) {
    try {
      wait_for_readers(stream_);
    } catch (...) {
      // The device is lost: there is no order left to keep.
    }
    delete readers_.load();
  }
  if (deleter_)
    deleter_();
  else
    backend::backend_of(stream_.device().type).free(data_, bytes_, stream_);
}

void* Storage::read_elsewhere(Stream stream) const {
  Readers* readers = readers_.load(std::memory_order_acquire);
  if (readers == nullptr) {
    auto made = std::make_unique<Readers>();
    if (readers_.compare_exchange_strong(readers, made.get(),
                                         std::memory_order_acq_rel))
      readers = made.release();
  }
  std::lock_guard lock(readers->mutex);
  auto& known = readers->streams;
  if (std::find(known.begin(), known.end(), stream) == known.end()) {
    known.push_back(stream);
    backend::order(stream, stream_);
  }
  return data_;
}

void* Storage::write_elsewhere(Stream stream) {
  wait_for_readers(stream);
  backend::order(stream, stream_);
  stream_ = stream;
  return data_;
}

void Storage::wait_for_readers(Stream stream) {
  Readers* readers = readers_.load(std::memory_order_acquire);
  if (readers == nullptr) return;
  std::lock_guard lock(readers->mutex);
  for (Stream reader : readers->streams) backend::order(stream, reader);
  readers->streams.clear();
}

IntrusivePtr<Storage> Storage::make_writable(Stream stream, long mine) {
  IntrusivePtr<Storage> writable;
  if (use_count() == mine) {
    writable = IntrusivePtr<Storage>(this);
    write_on(stream);
  } else {
    writable = allocate(bytes_, stream);
    backend::copy("make_writable", writable->data_, write_on(stream), bytes_,
                  stream);
    // The two objects trade memory: the sharers keep theirs and have the copy.
    std::swap(data_, writable->data_);
    std::swap(deleter_, writable->deleter_);
  }
  return writable;
}

Tensor TensorImpl::make(IntrusivePtr<Storage> storage, const Shape& shape,
                        const Strides& strides, std::int64_t offset,
                        DType dtype) {
  const bool contiguous = is_contiguous(shape, strides);
  return Tensor(make_intrusive<TensorImpl>(std::move(storage), shape, strides,
                                           offset, dtype, contiguous)
                    .detach());
}

Tensor TensorImpl::make(IntrusivePtr<Storage> storage, const Shape& shape,
                        DType dtype) {
  return Tensor(make_intrusive<TensorImpl>(std::move(storage), shape,
                                           contiguous_strides(shape), 0, dtype,
                                           true)
                    .detach());
}

}  // namespace jacquard
