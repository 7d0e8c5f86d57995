// A stable sort of integer keys that carry their positions: by comparison when short, by digits when long.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>

#include "core/dtype.h"
#include "core/parallel.h"

namespace tabula::kernels {

// Keys that order as the values do: unsigned, sign removed, one key for both zeros and one for all NaNs.
template <class T>
struct SortKey {
  static constexpr bool wide = sizeof(T) == 8;
  using Short = std::conditional_t<sizeof(T) == 1, uint8_t, uint16_t>;
  using Unsigned = std::conditional_t<sizeof(T) <= 2, Short, std::conditional_t<wide, uint64_t, uint32_t>>;
  static constexpr Unsigned top = Unsigned(Unsigned(1) << (sizeof(T) * 8 - 1));

  static Unsigned of(T value) {
    if constexpr (std::is_integral_v<T>) {
      return std::is_signed_v<T> ? Unsigned(Unsigned(value) ^ top) : Unsigned(value);
    } else {
      if (value != value) return Unsigned(-1);
      Unsigned u = std::bit_cast<Unsigned>(value);
      if (u == top) u = 0;
      return u & top ? Unsigned(~u) : Unsigned(u | top);
    }
  }
  // What several bit patterns share cannot be turned back; such values are fetched from the input.
  static bool reversible(Unsigned key) {
    if constexpr (std::is_integral_v<T>)
      return true;
    else
      return key != top && key != Unsigned(-1);
  }
  static T back(Unsigned key) {
    if constexpr (std::is_same_v<T, bool>)
      return key != 0;
    else if constexpr (std::is_integral_v<T>)
      return T(std::is_signed_v<T> ? Unsigned(key ^ top) : key);
    else
      return std::bit_cast<T>(key & top ? Unsigned(key ^ top) : Unsigned(~key));
  }
};

// Keys of up to 32 bits travel in one word with their positions, which then also settle ties.
struct NarrowItem {
  uint64_t word;
  uint64_t key() const { return word >> 32; }
  int64_t index() const { return int64_t(word & 0xffffffffu); }
  static NarrowItem make(uint64_t key, int64_t index) { return {key << 32 | uint64_t(index)}; }
  bool operator<(const NarrowItem& other) const { return word < other.word; }
};
struct WideItem {
  uint64_t bits;
  int64_t position;
  uint64_t key() const { return bits; }
  int64_t index() const { return position; }
  static WideItem make(uint64_t key, int64_t index) { return {key, index}; }
  bool operator<(const WideItem& other) const {
    return bits != other.bits ? bits < other.bits : position < other.position;
  }
};

inline constexpr int64_t kRadixFrom = 384;  // shorter ones are sorted faster by comparison

// Sorts n items by key; they come in order of position. Returns where the result lies: items or spare.
template <class Item>
Item* sort_items(Item* items, Item* spare, int64_t n, int key_bits) {
  if (n < kRadixFrom) {
    std::sort(items, items + n);
    return items;
  }
  const int digit_bits = key_bits <= 8 ? key_bits : n < 16384 || key_bits == 16 ? 8 : 11;
  const int64_t buckets = int64_t(1) << digit_bits;
  const uint64_t mask = uint64_t(buckets - 1);
  const int64_t piece = std::max<int64_t>(65536, (n + 63) / 64), pieces = (n + piece - 1) / piece;
  const auto counts = std::make_unique_for_overwrite<int64_t[]>(size_t(pieces * buckets));
  for (int shift = 0; shift < key_bits; shift += digit_bits) {
    parallel_for(n, piece, [&](int64_t begin, int64_t end) {
      int64_t* const count = counts.get() + begin / piece * buckets;
      std::fill(count, count + buckets, 0);
      for (int64_t i = begin; i < end; i++) count[items[i].key() >> shift & mask]++;
    });
    int64_t sum = 0;
    bool trivial = false;
    for (int64_t b = 0; b < buckets; b++) {
      const int64_t before = sum;
      for (int64_t p = 0; p < pieces; p++) {
        const int64_t count = counts[size_t(p * buckets + b)];
        counts[size_t(p * buckets + b)] = sum;
        sum += count;
      }
      trivial |= sum - before == n;
    }
    if (trivial) continue;
    parallel_for(n, piece, [&](int64_t begin, int64_t end) {
      int64_t* const place = counts.get() + begin / piece * buckets;
      for (int64_t i = begin; i < end; i++) spare[place[items[i].key() >> shift & mask]++] = items[i];
    });
    std::swap(items, spare);
  }
  return items;
}

// The items of a line in order. Scratch has room for 2 n.
template <class Item, class T>
const Item* sort_line(const T* in, int64_t stride, int64_t n, bool descending, Item* scratch) {
  using Key = SortKey<T>;
  using Unsigned = typename Key::Unsigned;
  const Unsigned flip = descending ? Unsigned(-1) : Unsigned(0);
  parallel_for(n, 65536, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      scratch[i] = Item::make(uint64_t(Unsigned(Key::of(in[i * stride]) ^ flip)), i);
  });
  return sort_items(scratch, scratch + n, n, int(sizeof(T)) * 8);
}

}  // namespace tabula::kernels
