#include "core/allocator.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "core/large_blocks.h"
#include "core/source_place.h"

namespace tabula {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kHuge = size_t(1) << 21;  // above this, ask for 2 MiB pages

// Eight classes per power of two from 64 B up: at most 12.5 % is lost to rounding.
int size_class(size_t bytes) {
  const size_t units = (bytes + kAlign - 1) / kAlign;
  if (units <= 8) return int(units ? units : 1) - 1;
  const int top = std::bit_width(units - 1) - 4;
  return 8 * top + int((units - 1) >> top);
}
size_t class_bytes(int index) {
  if (index < 8) return size_t(index + 1) * kAlign;
  const int top = index / 8 - 1;
  return ((size_t(index % 8) + 8 + 1) << top) * kAlign;
}
constexpr int kClasses = 8 * 58;

size_t memory_limit() {
  long long limit = (long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/memory.max", "re")) {
    long long quota = 0;
    if (std::fscanf(file, "%lld", &quota) == 1 && quota > 0 && quota < limit) limit = quota;
    std::fclose(file);
  }
  return size_t(limit);
}

class Pool {
 public:
  void* allocate(size_t bytes) {
    void* block = take(bytes);
    if (bytes >= kLargeBlock) [[unlikely]]
      large_blocks().add(block, bytes, current_place());
    return block;
  }

  void free(void* block, size_t bytes) {
    if (bytes >= kLargeBlock) [[unlikely]]
      large_blocks().remove(block);
    give(block, bytes);
  }

  void empty() {
    std::lock_guard guard(lock_);
    for (auto& list : free_) {
      for (void* block : list) std::free(block);
      list.clear();
    }
    cached_ = 0;
  }

  void lock() {
    lock_.lock();
    large_blocks().lock();
  }
  void unlock() {
    large_blocks().unlock();
    lock_.unlock();
  }

  AllocatorStats stats() {
    std::lock_guard guard(lock_);
    return {allocated_, cached_, peak_};
  }
  void reset_peak() {
    std::lock_guard guard(lock_);
    peak_ = allocated_;
  }

 private:
  void* take(size_t bytes) {
    const int index = checked_class(bytes);
    const size_t size = class_bytes(index);
    {
      std::lock_guard guard(lock_);
      allocated_ += size;
      if (allocated_ > peak_) peak_ = allocated_;
      auto& list = free_[index];
      if (!list.empty()) {
        void* block = list.back();
        list.pop_back();
        cached_ -= size;
        return block;
      }
    }
    void* block = fresh(kRecycle ? size : bytes);
    if (!block) {
      empty();
      block = fresh(kRecycle ? size : bytes);
    }
    if (!block) {
      {
        std::lock_guard guard(lock_);
        allocated_ -= size;
      }
      refuse(bytes);
    }
    return block;
  }

  void give(void* block, size_t bytes) {
    const int index = size_class(bytes);
    const size_t size = class_bytes(index);
    {
      std::lock_guard guard(lock_);
      allocated_ -= size;
      if (kRecycle && cached_ + size <= limit()) {
        free_[index].push_back(block);
        cached_ += size;
        return;
      }
    }
    std::free(block);
  }

  static constexpr size_t kListed = 10;  // lines of an error about memory

  // A quarter of the memory this process may use, so that a cache never starves its neighbours.
  static size_t limit() {
    static const size_t value = memory_limit() / 4;
    return value;
  }
  [[noreturn]] static void refuse(size_t bytes) {
    fail(ErrorKind::Runtime,
         "[enforce fail at alloc_cpu.cpp] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate ",
         bytes, " bytes. Error code 12 (Cannot allocate memory)", large_blocks().text(kListed));
  }
  static int checked_class(size_t bytes) {
    if (bytes > (size_t(1) << 62)) refuse(bytes);
    return size_class(bytes);
  }
  static void* fresh(size_t size) {
    if (!kRecycle) {
      void* exact = nullptr;
      return posix_memalign(&exact, kAlign, size ? size : 1) == 0 ? exact : nullptr;
    }
    const size_t alignment = size >= kHuge ? kHuge : kAlign;
    const size_t rounded = (size + alignment - 1) / alignment * alignment;
    void* block = std::aligned_alloc(alignment, rounded);
    if (block && size >= kHuge) madvise(block, rounded, MADV_HUGEPAGE);
    return block;
  }

  std::mutex lock_;
  std::vector<void*> free_[kClasses];
  size_t allocated_ = 0, cached_ = 0, peak_ = 0;
};

// Never destroyed: tensors may outlive static destructors.
Pool& pool() {
  static Pool* const instance = [] {
    // a child must not inherit the lock from a thread that it does not have
    pthread_atfork([] { pool().lock(); }, [] { pool().unlock(); }, [] { pool().unlock(); });
    return new Pool;
  }();
  return *instance;
}

}  // namespace

void* cpu_allocate(size_t bytes) { return pool().allocate(bytes); }
void cpu_free(void* block, size_t bytes) { pool().free(block, bytes); }
void cpu_discard(char* from, size_t bytes) {
  static const uintptr_t page = uintptr_t(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(from) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(from) + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}
void cpu_empty_cache() { pool().empty(); }
AllocatorStats cpu_allocator_stats() { return pool().stats(); }
void cpu_reset_peak() { pool().reset_peak(); }

}  // namespace tabula
