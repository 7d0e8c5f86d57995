// The softmax of attention, block by block: M. Milakov and N. Gimelshein, "Online normalizer calculation for softmax"
// (2018).
#include <algorithm>

#include "kernels/cpu/attention_isa.h"
#include "kernels/cpu/reduce_isa.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

template <class C>
constexpr C kNothing = -std::numeric_limits<C>::infinity();

template <class C>
[[gnu::always_inline]] inline V<C> part_of(const C* p, int64_t left, C fill) {
  return left >= kLanes<C> ? load(p) : load_part(p, left, fill);
}
template <class C>
[[gnu::always_inline]] inline void put(C* p, V<C> v, int64_t left) {
  if (left >= kLanes<C>)
    store(p, v);
  else
    std::memcpy(p, &v, size_t(left) * sizeof(C));
}

template <class C>
void apply_mask(const AttentionBlock& block, int64_t r, C* scores, int64_t n) {
  if (block.mask_is_bool) {
    const bool* seen = reinterpret_cast<const bool*>(block.mask) + r * block.mask_row;
    for (int64_t j = 0; j < n; j++) scores[j] = seen[j * block.mask_col] ? scores[j] : kNothing<C>;
    return;
  }
  const C* added = reinterpret_cast<const C*>(block.mask) + r * block.mask_row;
  if (block.mask_col == 1)
    for (int64_t j = 0; j < n; j++) scores[j] += added[j];
  else
    for (int64_t j = 0; j < n; j++) scores[j] += added[j * block.mask_col];
}

int64_t visible(const AttentionBlock& block, int64_t r) {
  return block.causal ? std::clamp<int64_t>(block.seen + r, 0, block.keys) : block.keys;
}

template <class C>
C largest_of(const C* p, int64_t n) {
  constexpr int L = kLanes<C>;
  V<C> best = splat(kNothing<C>), other = best;
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    const V<C> x = load(p + i), y = load(p + i + L);
    best = x > best ? x : best;
    other = y > other ? y : other;
  }
  for (; i < n; i += L) {
    const V<C> x = part_of(p + i, n - i, kNothing<C>);
    best = x > best ? x : best;
  }
  best = other > best ? other : best;
  return fold_lanes<C, kVecBytes>(best, [](auto x, auto y) { return x > y ? x : y; });
}

template <class C>
void exponentials(const AttentionBlock& block) {
  constexpr int L = kLanes<C>;
  for (int64_t r = 0; r < block.rows; r++) {
    C* const p = reinterpret_cast<C*>(block.scores) + r * block.stride;
    C& largest = reinterpret_cast<C*>(block.largest)[r];
    C& total = reinterpret_cast<C*>(block.total)[r];
    const int64_t n = visible(block, r);
    if (block.mask) apply_mask(block, r, p, n);
    const C top = std::max(largest, largest_of(p, n));
    if (top == kNothing<C>) {
      // comparisons do not see a NaN
      if (std::any_of(p, p + n, [](C x) { return x != x; })) total = std::numeric_limits<C>::quiet_NaN();
      std::fill_n(p, block.keys, C(0));
      continue;
    }
    V<C> sum{}, other{};
    int64_t i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
      const V<C> x = exp_v<C>(load(p + i) - top), y = exp_v<C>(load(p + i + L) - top);
      sum += x;
      other += y;
      store(p + i, x);
      store(p + i + L, y);
    }
    for (; i < n; i += L) {
      const V<C> x = exp_v<C>(part_of(p + i, n - i, kNothing<C>) - top);
      sum += x;
      put(p + i, x, n - i);
    }
    std::fill(p + n, p + block.keys, C(0));
    if (top != largest) {
      const C shrink = std::exp(largest - top);
      total *= shrink;
      C* const row = reinterpret_cast<C*>(block.sums) + r * block.width;
      for (int64_t i = 0; i < block.width; i++) row[i] *= shrink;
      largest = top;
    }
    total += sum_lanes<C>(sum + other);
  }
}

template <class C>
void slopes(const AttentionBlock& block) {
  constexpr int L = kLanes<C>;
  for (int64_t r = 0; r < block.rows; r++) {
    C* const p = reinterpret_cast<C*>(block.scores) + r * block.stride;
    C* const d = reinterpret_cast<C*>(block.slopes) + r * block.stride;
    const C log_total = reinterpret_cast<const C*>(block.log_total)[r];
    const C product = reinterpret_cast<const C*>(block.product)[r];
    const int64_t n = log_total == kNothing<C> ? 0 : visible(block, r);
    if (block.mask) apply_mask(block, r, p, n);
    int64_t i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
      const V<C> x = exp_v<C>(load(p + i) - log_total), y = exp_v<C>(load(p + i + L) - log_total);
      store(p + i, x);
      store(p + i + L, y);
      store<C>(d + i, x * (load(d + i) - product));
      store<C>(d + i + L, y * (load(d + i + L) - product));
    }
    for (; i < n; i += L) {
      const V<C> x = exp_v<C>(part_of(p + i, n - i, kNothing<C>) - log_total);
      put(p + i, x, n - i);
      put<C>(d + i, x * (part_of(d + i, n - i, C(0)) - product), n - i);
    }
    std::fill(p + n, p + block.keys, C(0));
    std::fill(d + n, d + block.keys, C(0));
  }
}

}  // namespace

void attention_exponentials(const AttentionBlock& block) {
  block.dtype == DType::Float64 ? exponentials<double>(block) : exponentials<float>(block);
}
void attention_slopes(const AttentionBlock& block) {
  block.dtype == DType::Float64 ? slopes<double>(block) : slopes<float>(block);
}

}  // namespace tabula::kernels::TABULA_ISA
