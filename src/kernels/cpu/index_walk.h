// Walks N strided operands of one shape together, as few and as long rows as their strides allow.
#pragma once

#include <array>
#include <cstdint>

#include "core/small_vec.h"

namespace tabula::kernels {

inline int64_t product(IntList sizes) {
  int64_t n = 1;
  for (const int64_t size : sizes) n *= size;
  return n;
}

inline Dims contiguous_strides(IntList sizes) {
  Dims strides(int64_t(sizes.size()), 1);
  for (int64_t d = int64_t(sizes.size()) - 2; d >= 0; d--)
    strides[d] = strides[d + 1] * (sizes[size_t(d) + 1] > 1 ? sizes[size_t(d) + 1] : 1);
  return strides;
}

// Which dimension comes next is decided by the first operand's strides (then the second's, ...): memory order. Random
// numbers depend on it, so ties follow the same rule as PyTorch's iterators: broadcast dimensions (stride 0) do not
// take part, and of two equal strides the larger dimension is the outer one.
enum class WalkOrder { Memory, AsGiven };

template <int N>
class Walk {
 public:
  using Offsets = std::array<int64_t, N>;

  Walk(IntList sizes, const std::array<IntList, N>& strides, WalkOrder order = WalkOrder::Memory) {
    const int rank = int(sizes.size());
    SmallVec<int, 8> inner_first;
    for (int d = rank - 1; d >= 0; d--) inner_first.push_back(d);
    if (order == WalkOrder::Memory) {
      for (int i = 1; i < rank; i++) {
        int moving = i;
        for (int at = i - 1; at >= 0; at--) {
          const int verdict = compare(sizes, strides, inner_first[at], inner_first[moving]);
          if (verdict < 0) break;
          if (verdict > 0) {
            std::swap(inner_first[at], inner_first[moving]);
            moving = at;
          }
        }
      }
    }
    numel_ = product(sizes);
    for (const int d : inner_first) {
      const int64_t size = sizes[size_t(d)];
      if (size == 1) continue;
      bool merges = !sizes_.empty();
      for (int k = 0; merges && k < N; k++)
        merges = strides[size_t(k)][size_t(d)] == strides_[size_t(k)].back() * sizes_.back();
      if (merges) {
        sizes_.back() *= size;
        continue;
      }
      sizes_.push_back(size);
      for (int k = 0; k < N; k++) strides_[size_t(k)].push_back(strides[size_t(k)][size_t(d)]);
    }
    if (sizes_.empty()) {
      sizes_.push_back(1);
      for (auto& list : strides_) list.push_back(0);
    }
  }

  int64_t numel() const { return numel_; }
  int64_t inner() const { return sizes_[0]; }
  int64_t stride(int operand) const { return strides_[size_t(operand)][0]; }  // along a row
  bool single_row() const { return sizes_.size() == 1; }

  // Calls f(offsets, count) for the parts of rows that cover the elements [begin, end) of the walk.
  template <class F>
  void range(int64_t begin, int64_t end, F&& f) const {
    if (begin >= end) return;
    const int64_t rank = sizes_.size();
    Dims at(rank, 0);
    Offsets offsets{};
    int64_t rest = begin;
    for (int64_t d = 0; d < rank; d++) {
      at[d] = rest % sizes_[d];
      rest /= sizes_[d];
      for (int k = 0; k < N; k++) offsets[size_t(k)] += at[d] * strides_[size_t(k)][d];
    }
    while (true) {
      const int64_t count = std::min(sizes_[0] - at[0], end - begin);
      f(static_cast<const Offsets&>(offsets), count);
      begin += count;
      if (begin >= end) return;
      for (int k = 0; k < N; k++) offsets[size_t(k)] -= at[0] * strides_[size_t(k)][0];
      at[0] = 0;
      for (int64_t d = 1; d < rank; d++) {
        for (int k = 0; k < N; k++) offsets[size_t(k)] += strides_[size_t(k)][d];
        if (++at[d] < sizes_[d]) break;
        for (int k = 0; k < N; k++) offsets[size_t(k)] -= sizes_[d] * strides_[size_t(k)][d];
        at[d] = 0;
      }
    }
  }
  template <class F>
  void all(F&& f) const {
    range(0, numel_, f);
  }

 private:
  // negative: a is rightly inside b; positive: they must change places; 0: undecided
  static int compare(IntList sizes, const std::array<IntList, N>& strides, int a, int b) {
    for (int k = 0; k < N; k++) {
      const int64_t sa = strides[size_t(k)][size_t(a)], sb = strides[size_t(k)][size_t(b)];
      if (sa == 0 || sb == 0) continue;
      if (sa != sb) return sa < sb ? -1 : 1;
      if (sizes[size_t(a)] > sizes[size_t(b)]) return 1;
    }
    return 0;
  }

  int64_t numel_ = 1;
  Dims sizes_;  // innermost first
  std::array<Dims, N> strides_;
};

}  // namespace tabula::kernels
