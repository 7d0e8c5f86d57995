// Reference-counted pointers with the count inside the object.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace tabula {

class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;
  uint32_t use_count() const { return refs_.load(std::memory_order_acquire); }

 protected:
  template <class T>
  friend class Ref;
  mutable std::atomic<uint32_t> refs_{0};
};

// T derives from RefCounted and gives `static void destroy(T*)`.
template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* object) : object_(object) { retain(); }
  Ref(const Ref& other) : object_(other.object_) { retain(); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  ~Ref() { drop(); }
  Ref& operator=(const Ref& other) {
    Ref copy(other);
    std::swap(object_, copy.object_);
    return *this;
  }
  Ref& operator=(Ref&& other) noexcept {
    Ref moved(std::move(other));
    std::swap(object_, moved.object_);
    return *this;
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  bool operator==(const Ref& other) const { return object_ == other.object_; }
  void reset() { *this = Ref(); }
  // Gives up ownership: whoever takes the pointer must make a Ref by `adopt`.
  T* release() { return std::exchange(object_, nullptr); }
  static Ref adopt(T* object) {
    Ref ref;
    ref.object_ = object;
    return ref;
  }

 private:
  void retain() const {
    if (object_) object_->refs_.fetch_add(1, std::memory_order_relaxed);
  }
  void drop() {
    if (!object_) return;
    // a sole owner needs no locked instruction
    if (object_->refs_.load(std::memory_order_acquire) == 1 ||
        object_->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      T::destroy(object_);
  }
  T* object_ = nullptr;
};

}  // namespace tabula
