// Which large blocks of memory are in use, for what, and which line of the program asked for them: what an error about
// memory that has run out can say. Small blocks are not listed, since they come in numbers and seldom are the reason.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

#include "core/dtype.h"
#include "core/geometry.h"

namespace tabula {

// Filling this much takes a hundred times as long as noting it.
inline constexpr size_t kLargeBlock = size_t(1) << 20;

class LargeBlocks {
 public:
  void add(const void* block, size_t bytes, uint32_t place);
  void remove(const void* block);
  // A tensor of this shape is the first to lie there.
  void describe(const void* block, IntList sizes, DType dtype);
  // The largest ones, alike ones in one line, and their lines; empty if there are none.
  std::string text(size_t lines);

  void lock() { lock_.lock(); }
  void unlock() { lock_.unlock(); }

 private:
  struct Entry {
    size_t bytes;
    uint32_t place;
    bool described = false;
    DType dtype = DType::Float32;
    Dims sizes;
  };
  std::mutex lock_;
  std::unordered_map<const void*, Entry> entries_;
};

// Never destroyed, like the allocator whose blocks it lists.
LargeBlocks& large_blocks();

}  // namespace tabula
