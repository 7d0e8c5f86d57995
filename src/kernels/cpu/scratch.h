// Working memory of kernels: blocks are kept per thread and reused, because fresh pages cost more than packing.
#pragma once

#include <cstddef>

namespace tabula::kernels {

// 64-byte aligned, uninitialised. Several may be alive in one thread.
class Scratch {
 public:
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_);
  }

 private:
  void* memory_;
  size_t capacity_;
};

}  // namespace tabula::kernels
