#include "kernels/cpu/scratch.h"

#include <array>
#include <new>

#include "core/allocator.h"

namespace tabula::kernels {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr size_t kLargestKept = size_t(32) << 20;

struct Block {
  void* memory = nullptr;
  size_t capacity = 0;
};

struct Cache {
  std::array<Block, 6> blocks;
  ~Cache() {
    for (Block& block : blocks) ::operator delete(block.memory, kAlignment);
  }
};
thread_local Cache cache;

}  // namespace

Scratch::Scratch(size_t bytes) {
  Block* best = nullptr;
  for (Block& block : cache.blocks)
    if (block.memory && block.capacity >= bytes && (!best || block.capacity < best->capacity)) best = &block;
  if (best) {
    memory_ = best->memory;
    capacity_ = best->capacity;
    *best = Block();
  } else {
    capacity_ = kRecycle ? (bytes + 4095) / 4096 * 4096 : bytes;
    memory_ = ::operator new(capacity_, kAlignment);
  }
}

Scratch::~Scratch() {
  Block* smallest = &cache.blocks[0];
  for (Block& block : cache.blocks)
    if (block.capacity < smallest->capacity) smallest = &block;
  if (kRecycle && capacity_ <= kLargestKept && capacity_ > smallest->capacity) {
    ::operator delete(smallest->memory, kAlignment);
    *smallest = {memory_, capacity_};
  } else {
    ::operator delete(memory_, kAlignment);
  }
}

}  // namespace tabula::kernels
