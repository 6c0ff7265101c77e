// Intrusive reference counting: one word in the object, one word a handle.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace jacquard {

template <class T>
class RefCounted {
 public:
  void retain() const noexcept {
    count_.fetch_add(1, std::memory_order_relaxed);
  }
  // Instead of the first retain, while nobody else knows the object.
  void retain_first() const noexcept {
    count_.store(1, std::memory_order_relaxed);
  }
  // Unless the count has fallen to zero, for who keeps the memory from being
  // freed meanwhile.
  bool retain_if_held() const noexcept {
    std::int32_t n = count_.load(std::memory_order_relaxed);
    while (n > 0)
      if (count_.compare_exchange_weak(n, n + 1, std::memory_order_relaxed))
        return true;
    return false;
  }
  // A sole owner needs no read-modify-write: nobody is left who could retain.
  void release() const noexcept {
    if (count_.load(std::memory_order_acquire) == 1 ||
        count_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete static_cast<const T*>(this);
  }
  long use_count() const noexcept {
    return count_.load(std::memory_order_acquire);
  }

 protected:
  RefCounted() = default;
  ~RefCounted() = default;
  // For classes with a release() of their own: counts down; whether it was the
  // last reference.
  bool drop() const noexcept {
    return count_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

 private:
  mutable std::atomic<std::int32_t> count_{0};
};

// A handle to a RefCounted object; empty when default-constructed.
template <class T>
class IntrusivePtr {
 public:
  IntrusivePtr() noexcept = default;
  IntrusivePtr(std::nullptr_t) noexcept {}
  explicit IntrusivePtr(T* p) noexcept : p_(p) {
    if (p_) p_->retain();
  }
  IntrusivePtr(const IntrusivePtr& o) noexcept : p_(o.p_) {
    if (p_) p_->retain();
  }
  IntrusivePtr(IntrusivePtr&& o) noexcept : p_(o.p_) { o.p_ = nullptr; }
  IntrusivePtr& operator=(IntrusivePtr o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~IntrusivePtr() {
    if (p_) p_->release();
  }

  // Takes over an object that nobody holds yet.
  static IntrusivePtr adopt(T* p) noexcept {
    IntrusivePtr result;
    result.p_ = p;
    p->retain_first();
    return result;
  }

  // Empty if nobody holds the object any more (see retain_if_held).
  static IntrusivePtr if_held(T* p) noexcept {
    IntrusivePtr result;
    if (p->retain_if_held()) result.p_ = p;
    return result;
  }

  T* get() const noexcept { return p_; }
  T* operator->() const noexcept { return p_; }
  T& operator*() const noexcept { return *p_; }
  explicit operator bool() const noexcept { return p_ != nullptr; }
  // Gives up the reference without counting it down.
  T* detach() noexcept { return std::exchange(p_, nullptr); }
  friend bool operator==(const IntrusivePtr&, const IntrusivePtr&) = default;

 private:
  T* p_ = nullptr;
};

template <class T, class... Args>
IntrusivePtr<T> make_intrusive(Args&&... args) {
  return IntrusivePtr<T>::adopt(new T(std::forward<Args>(args)...));
}

}  // namespace jacquard
