#include "core/storage.h"

#include <algorithm>
#include <cstring>

#include "core/allocator.h"

namespace tabula {

static bool fits_inline(size_t bytes, size_t room) { return kRecycle && bytes <= room; }

Ref<Storage> Storage::make(size_t bytes, Device device) {
  auto* storage = new (Recycler<Storage>::take()) Storage;
  Ref<Storage> owner(storage);
  storage->device_ = device;
  storage->acquire(bytes);
  return owner;
}

Ref<Storage> Storage::borrow(void* data, size_t bytes, Device device, void (*release)(void*), void* context) {
  auto* storage = new (Recycler<Storage>::take()) Storage;
  storage->device_ = device;
  storage->data_ = static_cast<char*>(data);
  storage->bytes_ = bytes;
  storage->release_ = release;
  storage->context_ = context;
  return Ref<Storage>(storage);
}

void Storage::destroy(Storage* storage) {
  storage->release_memory();
  storage->~Storage();
  Recycler<Storage>::give(storage);
}

void Storage::acquire(size_t bytes) {
  data_ = nullptr;
  if (device_.is_cpu()) data_ = fits_inline(bytes, kInline) ? inline_ : static_cast<char*>(cpu_allocate(bytes));
  bytes_ = bytes;
}

void Storage::release_memory() {
  if (release_)
    release_(context_);
  else if (data_ && data_ != inline_)
    cpu_free(data_, bytes_);
  data_ = nullptr;
}

void Storage::resize(size_t bytes) {
  check(resizable(), "Trying to resize storage that is not resizable");
  if (bytes == bytes_) return;
  if (!device_.is_cpu()) {
    bytes_ = bytes;
    return;
  }
  char* bigger = fits_inline(bytes, kInline) ? inline_ : static_cast<char*>(cpu_allocate(bytes));
  if (bigger != data_) {
    std::memcpy(bigger, data_, std::min(bytes, bytes_));
    if (data_ != inline_) cpu_free(data_, bytes_);
  }
  data_ = bigger;
  bytes_ = bytes;
}

}  // namespace tabula
