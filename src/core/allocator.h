// CPU memory. Fresh large blocks cost a page fault every 4 KiB, several times what it takes to fill them; so freed blocks
// are kept by size class and reused.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

namespace tabula {

// Under the address sanitizer nothing is recycled, rounded up or kept inline: it can then see every overrun and stale use.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kRecycle = false;
#else
inline constexpr bool kRecycle = true;
#endif

// Blocks are aligned to 64 bytes. Throws with PyTorch's text when the system refuses.
void* cpu_allocate(size_t bytes);
void cpu_free(void* block, size_t bytes);

// Gives the whole pages of a range inside a block back to the system; they read as anything, mostly zeros, from then on.
void cpu_discard(char* from, size_t bytes);

// Returns all cached blocks to the system.
void cpu_empty_cache();

// While somebody profiles memory: called with each block that a storage takes (bytes above 0) or gives back.
using StorageWatch = void (*)(const void* block, int64_t bytes);
extern std::atomic<StorageWatch> storage_watch;

struct AllocatorStats {
  size_t allocated, cached, peak;  // bytes
};
AllocatorStats cpu_allocator_stats();
void cpu_reset_peak();

// Small objects of one type are recycled through this list instead of the general heap. Thread-local storage of a shared
// object is scarce, so only a pointer lies there.
template <class T, int Limit = 256>
class Recycler {
 public:
  static void* take() {
    List* list = local;
    if (list && list->count) [[likely]]
      return list->items[--list->count];
    return ::operator new(sizeof(T), std::align_val_t(alignof(T)));
  }
  static void give(void* memory) {
    if (!kRecycle) return ::operator delete(memory, std::align_val_t(alignof(T)));
    List* list = local;
    if (!list) [[unlikely]]
      list = first_use();
    if (list && list->count < Limit)
      list->items[list->count++] = memory;
    else
      ::operator delete(memory, std::align_val_t(alignof(T)));
  }

 private:
  struct List {
    int count = 0;
    void* items[Limit];
  };
  // Frees the list at thread exit; later frees of that thread go straight to the heap.
  struct Owner {
    ~Owner() {
      closed = true;
      while (local && local->count) ::operator delete(local->items[--local->count], std::align_val_t(alignof(T)));
      delete local;
      local = nullptr;
    }
  };
  [[gnu::noinline]] static List* first_use() {
    if (closed) return nullptr;
    static thread_local Owner owner;
    (void)owner;
    local = new List;
    return local;
  }
  static inline thread_local constinit List* local __attribute__((tls_model("initial-exec"))) = nullptr;
  static inline thread_local constinit bool closed __attribute__((tls_model("initial-exec"))) = false;
};

}  // namespace tabula
