#include "core/storage.h"

#include <cstring>

#include "core/allocator.h"
#include "core/meta_memory.h"

namespace tabula {

std::atomic<StorageWatch> storage_watch{nullptr};

namespace {

inline void watch(const void* block, int64_t bytes) {
  if (const StorageWatch seen = storage_watch.load(std::memory_order_relaxed)) [[unlikely]]
    seen(block, bytes);
}

}  // namespace

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
  bytes_ = capacity_ = bytes;
  if (device_.is_meta()) meta_allocate(bytes);
  if (!device_.is_cpu()) return;
  const bool fits = kRecycle && bytes <= kInline;
  data_ = fits ? inline_ : static_cast<char*>(cpu_allocate(bytes));
  if (fits) capacity_ = kInline;
  watch(data_, int64_t(bytes));
}

void Storage::release_memory() {
  if (!release_ && data_) watch(data_, -int64_t(bytes_));
  if (release_)
    release_(context_);
  else if (data_ && data_ != inline_)
    cpu_free(data_, capacity_);
  else if (device_.is_meta())
    meta_free(bytes_);
  data_ = nullptr;
}

void Storage::resize(size_t bytes) {
  check(resizable(), "Trying to resize storage that is not resizable");
  if (device_.is_cpu() && bytes > capacity_) {
    char* bigger = static_cast<char*>(cpu_allocate(bytes));
    std::memcpy(bigger, data_, bytes_);
    if (data_ != inline_) cpu_free(data_, capacity_);
    data_ = bigger;
    capacity_ = bytes;
  } else if (device_.is_cpu() && data_ != inline_ && bytes < bytes_) {
    cpu_discard(data_ + bytes, bytes_ - bytes);
  } else if (device_.is_meta()) {
    meta_free(bytes_);
    meta_allocate(bytes);
  }
  if (device_.is_cpu()) watch(data_, int64_t(bytes) - int64_t(bytes_));
  bytes_ = bytes;
}

}  // namespace tabula
