// Reference-counted bytes on one device, shared by the tensors that view them.
#pragma once

#include <cstddef>

#include "core/device.h"
#include "core/intrusive.h"

namespace tabula {

class Storage : public RefCounted {
 public:
  // Uninitialised memory; on the meta device none at all.
  static Ref<Storage> make(size_t bytes, Device device);
  // Memory of somebody else's: `release(context)` is called when nobody uses it any more.
  static Ref<Storage> borrow(void* data, size_t bytes, Device device, void (*release)(void*), void* context);
  static void destroy(Storage*);

  char* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  bool resizable() const { return !release_ && !exported_; }
  // Somebody outside (a NumPy array, a DLPack capsule) holds the address from now on.
  void forbid_resize() { exported_ = true; }
  // Keeps the common prefix; throws for borrowed memory. A smaller size gives pages back to the system but keeps the
  // addresses, since tensors made before may still reach there.
  void resize(size_t bytes);

  uint32_t version = 0;       // bumped by every in-place write; shared by all views
  void* python = nullptr;     // the Python object that wraps this storage, if any (not owned)

 private:
  static constexpr size_t kInline = 64;  // tiny tensors keep their elements here, saving an allocation
  Storage() = default;
  ~Storage() = default;
  void acquire(size_t bytes);
  void release_memory();

  char* data_ = nullptr;
  size_t bytes_ = 0, capacity_ = 0;
  Device device_;
  void (*release_)(void*) = nullptr;
  void* context_ = nullptr;
  bool exported_ = false;
  alignas(16) char inline_[kInline];
};

}  // namespace tabula
