// A stable sort of integer keys that carry their positions: by comparison when short, by digits when long.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "core/dtype.h"
#include "core/parallel.h"
#include "kernels/cpu/scratch.h"

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
  const int widest = key_bits <= 8 || n < 16384 || key_bits == 16 ? 8 : 11;
  const int passes = (key_bits + widest - 1) / widest;
  if (passes == 0) return items;
  const int digit_bits = (key_bits + passes - 1) / passes;
  const int64_t buckets = int64_t(1) << digit_bits;
  const uint64_t mask = uint64_t(buckets - 1);
  const int64_t piece = std::max<int64_t>(65536, (n + 63) / 64), pieces = (n + piece - 1) / piece;
  const Scratch memory(size_t(pieces * buckets) * sizeof(int64_t));
  int64_t* const counts = memory.as<int64_t>();
  for (int shift = 0; shift < key_bits; shift += digit_bits) {
    parallel_for(n, piece, [&](int64_t begin, int64_t end) {
      int64_t* const count = counts + begin / piece * buckets;
      std::fill(count, count + buckets, 0);
      for (int64_t i = begin; i < end; i++) count[items[i].key() >> shift & mask]++;
    });
    int64_t sum = 0;
    bool trivial = false;
    for (int64_t b = 0; b < buckets; b++) {
      const int64_t before = sum;
      for (int64_t p = 0; p < pieces; p++) {
        const int64_t count = counts[p * buckets + b];
        counts[p * buckets + b] = sum;
        sum += count;
      }
      trivial |= sum - before == n;
    }
    if (trivial) continue;
    parallel_for(n, piece, [&](int64_t begin, int64_t end) {
      int64_t* const place = counts + begin / piece * buckets;
      for (int64_t i = begin; i < end; i++) spare[place[items[i].key() >> shift & mask]++] = items[i];
    });
    std::swap(items, spare);
  }
  return items;
}

// The keys of a line, to be sorted upwards: those of a descending order are turned over. They are counted from the
// least one, so that there are no more digits than differ; long integers of a small range then fit the narrow items.
template <class T>
class LineKeys {
 public:
  using Key = SortKey<T>;
  using Unsigned = typename Key::Unsigned;

  LineKeys(const T* in, int64_t stride, int64_t n, bool descending)
      : in_(in), stride_(stride), n_(n), flip_(descending ? Unsigned(-1) : Unsigned(0)), bits_(int(sizeof(T)) * 8) {
    if (n < kRadixFrom || sizeof(T) < 4) return;
    Unsigned high = 0;
    low_ = Unsigned(-1);
    for (int64_t i = 0; i < n; i++) {
      const Unsigned key = at(i);
      low_ = std::min(low_, key);
      high = std::max(high, key);
    }
    bits_ = int(std::bit_width(Unsigned(high - low_)));
    span_ = uint64_t(Unsigned(high - low_)) + 1;
  }

  int bits() const { return bits_; }
  // Where element i is counted among all keys between the least and the greatest.
  uint64_t rank(int64_t i) const { return uint64_t(Unsigned(at(i) - low_)); }
  // How many keys there are between them; 0: not known, or as many as the type has.
  uint64_t span() const { return span_; }
  bool narrow() const { return bits_ <= 32 && n_ <= int64_t(UINT32_MAX); }
  template <class Item>
  void fill(Item* items) const {
    parallel_for(n_, 65536, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) items[i] = Item::make(rank(i), i);
    });
  }
  // The element that an item stands for, and the one of a rank among integers.
  template <class Item>
  T value(const Item& item) const {
    const Unsigned key = key_of(item.key());
    return Key::reversible(key) ? Key::back(key) : in_[item.index() * stride_];
  }
  T value_at(uint64_t rank) const { return Key::back(key_of(rank)); }
  // Calls f with room for 2 n items of the kind that the keys fit.
  template <class F>
  void with_items(F&& f) const {
    if (narrow())
      room<NarrowItem>(f);
    else
      room<WideItem>(f);
  }

 private:
  Unsigned at(int64_t i) const { return Unsigned(Key::of(in_[i * stride_]) ^ flip_); }
  Unsigned key_of(uint64_t rank) const { return Unsigned(Unsigned(Unsigned(rank) + low_) ^ flip_); }
  template <class Item, class F>
  void room(F& f) const {
    const Scratch memory(size_t(2 * n_) * sizeof(Item));
    f(memory.as<Item>());
  }

  const T* in_;
  int64_t stride_, n_;
  Unsigned flip_, low_ = 0;
  int bits_;
  uint64_t span_ = 0;
};

}  // namespace tabula::kernels
