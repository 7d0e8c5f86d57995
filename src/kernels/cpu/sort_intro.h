// Introsort as libstdc++ has it, since its order of equal elements is what PyTorch's unstable sort leaves behind:
// quicksort by the median of three elements, heapsort when that goes too deep (D. Musser, "Introspective sorting and
// selection algorithms", 1997), insertion of what is left. The same elements change places here, but a partition finds
// them a block at a time without branches (S. Edelkamp, A. Weiss, "BlockQuicksort", 2016).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace tabula::kernels {

inline constexpr int64_t kInsertionLength = 16;  // up to this length the sort is an insertion sort, which is stable

template <class Item>
struct Introsort {
  static bool before(const Item& a, const Item& b) { return a.key() < b.key(); }

  static void insert(Item* first, Item* last) {
    for (Item* at = first + 1; at < last; at++) {
      const Item item = *at;
      Item* to = at;
      for (; to > first && before(item, to[-1]); to--) *to = to[-1];
      *to = item;
    }
  }

  // The median of three elements changes places with the first.
  static void choose_pivot(Item* first, Item* last) {
    Item *a = first + 1, *b = first + (last - first) / 2, *c = last - 1;
    if (!before(*a, *b)) std::swap(a, b);
    Item* const median = before(*b, *c) ? b : before(*a, *c) ? c : a;
    std::swap(*first, *median);
  }

  // Hoare's partition of (first, last) by *first: pairs of an element from the left that is not less and one from the
  // right that is not greater change places until the two sides meet. Returns the beginning of the right part.
  static Item* partition(Item* first, Item* last) {
    constexpr int64_t block = 64;
    const Item pivot = *first;
    Item *left = first + 1, *right = last;  // what lies between has not been looked at, but for the open blocks
    uint8_t lefts[block], rights[block];
    int64_t left_count = 0, left_at = 0, right_count = 0, right_at = 0;
    while (right - left >= 2 * block) {
      if (left_at == left_count) {
        left_at = left_count = 0;
        for (int64_t i = 0; i < block; i++) {
          lefts[left_count] = uint8_t(i);
          left_count += !before(left[i], pivot);
        }
      }
      if (right_at == right_count) {
        right_at = right_count = 0;
        for (int64_t i = 0; i < block; i++) {
          rights[right_count] = uint8_t(i);
          right_count += !before(pivot, right[-1 - i]);
        }
      }
      const int64_t pairs = std::min(left_count - left_at, right_count - right_at);
      for (int64_t i = 0; i < pairs; i++) std::swap(left[lefts[left_at + i]], right[-1 - rights[right_at + i]]);
      left_at += pairs;
      right_at += pairs;
      if (left_at == left_count) left += block;
      if (right_at == right_count) right -= block;
    }
    // an open block begins again at its first element that still waits
    if (left_at < left_count) left += lefts[left_at];
    if (right_at < right_count) right -= rights[right_at];
    while (true) {
      while (before(*left, pivot)) left++;
      right--;
      while (before(pivot, *right)) right--;
      if (!(left < right)) return left;
      std::swap(*left, *right);
      left++;
    }
  }

  static void range(Item* first, Item* last, int depth) {
    while (last - first > kInsertionLength) {
      if (depth-- == 0) {
        std::partial_sort(first, last, last, before);
        return;
      }
      choose_pivot(first, last);
      Item* const cut = partition(first, last);
      range(cut, last, depth);
      last = cut;
    }
    insert(first, last);
  }

  static void sort(Item* items, int64_t n) { range(items, items + n, 2 * (int(std::bit_width(uint64_t(n))) - 1)); }
};

}  // namespace tabula::kernels
