// The random generator of the CPU: the Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998) with PyTorch's way of
// seeding it, of drawing 64-bit numbers, and of writing its state down. One draw is one tempered 32-bit output.
#pragma once

#include <cstdint>
#include <mutex>

#include "core/device.h"
#include "core/state.h"

namespace tabula {

class Generator {
 public:
  static constexpr uint64_t kDefaultSeed = 67280421310721;
  static constexpr int64_t kStateBytes = 5056;

  explicit Generator(Device device = {}, uint64_t seed = kDefaultSeed);
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  Device device() const { return device_; }
  uint64_t initial_seed() const { return seed_; }

  void manual_seed(uint64_t seed);
  uint64_t seed();  // takes a seed from the operating system and returns it

  // kStateBytes bytes in PyTorch's own layout, so that states travel between the two.
  void get_state(uint8_t* out) const;
  void set_state(const uint8_t* in, int64_t bytes);
  void copy_state(const Generator& other);

  uint32_t u32() {
    if (left_ == 1) [[unlikely]]
      twist();
    left_--;
    return temper(state_[next_++]);
  }
  uint64_t u64() {
    const uint64_t high = u32();
    return high << 32 | u32();
  }
  double d53() { return double(u64() & ((uint64_t(1) << 53) - 1)) * 0x1p-53; }

  // Hands out the coming draws in runs: `count` is lowered to what is ready without another twist. The words are
  // untempered, for kernels that temper and convert them in one vector loop; temper() does it.
  const uint32_t* take(int64_t& count) {
    if (left_ == 1) twist();
    if (count > left_ - 1) count = left_ - 1;
    const uint32_t* words = state_ + next_;
    next_ += int(count);
    left_ -= int(count);
    return words;
  }
  static constexpr uint32_t temper(uint32_t y) {
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
  }

  // One standard normal by the polar form of Box and Muller. The other of each pair waits for the next call.
  double normal();

  // Made by an operation before it draws: no other thread does meanwhile. A loop of the operation keeps the
  // interpreter's lock, which a thread that waits here may hold.
  class Drawing {
   public:
    explicit Drawing(Generator& generator) : keep_(thread_state.keeps_interpreter, true), lock_(generator.mutex_) {}

   private:
    Restore<bool> keep_;
    std::lock_guard<std::mutex> lock_;
  };

 private:
  std::mutex mutex_;
  static constexpr int kWords = 624;
  void twist();

  Device device_;
  uint64_t seed_;
  int left_, next_;  // draws before the next twist plus one; position of the next word
  bool has_normal_;
  double cached_normal_;
  alignas(64) uint32_t state_[kWords + 1];  // one word more lets the twist read past the end, to a copy of the first
};

Generator& default_generator();

}  // namespace tabula
