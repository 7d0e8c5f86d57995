#include "core/meta_memory.h"

#include <atomic>

namespace tabula {
namespace {

std::atomic<size_t> allocated{0}, peak{0};

}  // namespace

void meta_allocate(size_t bytes) {
  const size_t now = allocated.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  size_t seen = peak.load(std::memory_order_relaxed);
  while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
  }
}
void meta_free(size_t bytes) { allocated.fetch_sub(bytes, std::memory_order_relaxed); }

MetaStats meta_stats() { return {allocated.load(), peak.load()}; }
void meta_reset_peak() { peak = allocated.load(); }

}  // namespace tabula
