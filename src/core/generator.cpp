#include "core/generator.h"

#include <cmath>
#include <cstring>
#include <random>

#include "core/error.h"

namespace tabula {

namespace {

// PyTorch's saved state, field by field; the words take eight bytes each.
struct SavedState {
  uint64_t seed;
  int32_t left, seeded;
  uint64_t next;
  uint64_t words[624];
  double unused_x, normal, unused_rho;
  int32_t has_normal, padding;
  float float_normal;
  int32_t has_float_normal;
};
static_assert(sizeof(SavedState) == Generator::kStateBytes);

constexpr int kShift = 397;

inline uint32_t recur(uint32_t upper, uint32_t lower, uint32_t shifted) {
  const uint32_t y = (upper & 0x80000000u) | (lower & 0x7fffffffu);
  return shifted ^ (y >> 1) ^ (-(lower & 1) & 0x9908b0dfu);
}

}  // namespace

Generator::Generator(Device device, uint64_t seed) : device_(device) { manual_seed(seed); }

void Generator::manual_seed(uint64_t seed) {
  seed_ = seed;
  uint32_t word = uint32_t(seed);
  state_[0] = word;
  for (int i = 1; i < kWords; i++) state_[i] = word = 1812433253u * (word ^ (word >> 30)) + uint32_t(i);
  left_ = 1;
  next_ = 0;
  has_normal_ = false;
  cached_normal_ = 0;
}

uint64_t Generator::seed() {
  std::random_device entropy;
  // 53 bits, so that the seed survives a trip through a double
  const uint64_t seed = (uint64_t(entropy()) << 32 | entropy()) & ((uint64_t(1) << 53) - 1);
  manual_seed(seed);
  return seed;
}

// Split at the places where the recurrence starts to read what it has written, which leaves loops without a
// dependence shorter than 227 words: the compiler turns them into vector code.
void Generator::twist() {
  uint32_t* const s = state_;
  for (int i = 0; i < kWords - kShift; i++) s[i] = recur(s[i], s[i + 1], s[i + kShift]);
  s[kWords] = s[0];
  constexpr int reach = kWords - kShift;
  for (int start = reach; start < kWords; start += reach) {
    const int end = start + reach < kWords ? start + reach : kWords;
#pragma GCC ivdep
    for (int i = start; i < end; i++) s[i] = recur(s[i], s[i + 1], s[i - reach]);
  }
  left_ = kWords + 1;
  next_ = 0;
}

double Generator::normal() {
  if (has_normal_) {
    has_normal_ = false;
    return cached_normal_;
  }
  const double u1 = d53(), u2 = d53();
  const double radius = std::sqrt(-2.0 * std::log1p(-u2)), angle = 2.0 * M_PI * u1;
  cached_normal_ = radius * std::sin(angle);
  has_normal_ = true;
  return radius * std::cos(angle);
}

void Generator::get_state(uint8_t* out) const {
  SavedState saved{};
  saved.seed = seed_;
  saved.left = left_;
  saved.seeded = 1;
  saved.next = uint64_t(next_);
  for (int i = 0; i < kWords; i++) saved.words[i] = state_[i];
  saved.normal = has_normal_ ? cached_normal_ : 0;
  saved.has_normal = has_normal_;
  std::memcpy(out, &saved, sizeof(saved));
}

void Generator::set_state(const uint8_t* in, int64_t bytes) {
  check(bytes == kStateBytes, "Expected a CPUGeneratorImplState of size ", kStateBytes,
        " but found the input RNG state size to be ", bytes);
  SavedState saved;
  std::memcpy(&saved, in, sizeof(saved));
  check(saved.seeded == 1 && saved.left > 0 && saved.left <= kWords && saved.next <= kWords &&
            int64_t(saved.next) + saved.left - 1 <= kWords,
        "Invalid mt19937 state");
  seed_ = saved.seed;
  left_ = saved.left;
  next_ = int(saved.next);
  for (int i = 0; i < kWords; i++) state_[i] = uint32_t(saved.words[i]);
  has_normal_ = saved.has_normal != 0;
  cached_normal_ = saved.normal;
}

void Generator::copy_state(const Generator& other) {
  seed_ = other.seed_;
  left_ = other.left_;
  next_ = other.next_;
  has_normal_ = other.has_normal_;
  cached_normal_ = other.cached_normal_;
  std::memcpy(state_, other.state_, sizeof(state_));
}

Generator& default_generator() {
  static Generator generator;
  return generator;
}

}  // namespace tabula
