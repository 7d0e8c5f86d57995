// The geometry that the pointwise engine and the copies share: dimensions without those of size one, sorted by the
// first operand's strides and merged where every operand allows it, cut into rectangular blocks.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/block_move.h"

namespace tabula::kernels {

inline constexpr int kMaxDims = 64;

template <int operands>
class StridedWalk {
 public:
  // strides[k] are operand k's, in elements, outermost first. A block has at most `block` elements, and at most `tile`
  // where the fast dimension of an operand is not that of the first one, so that the blocks have to be rectangles.
  StridedWalk(int ndim, const int64_t* sizes, int count, const int64_t* const* strides, int64_t block, int64_t tile)
      : count_(count) {
    for (int d = ndim - 1; d >= 0; d--) {
      if (sizes[d] == 1) continue;
      sizes_[ndim_] = sizes[d];
      for (int k = 0; k < count; k++) strides_[k][ndim_] = strides[k][d];
      ndim_++;
    }
    sort_dims();
    merge_dims();
    for (; ndim_ < 2; ndim_++) {
      sizes_[ndim_] = 1;
      for (int k = 0; k < count; k++) strides_[k][ndim_] = 0;
    }
    choose_blocks(block, tile);
    blocks_ = col_blocks_ = (sizes_[0] + cols_ - 1) / cols_;
    row_blocks_ = (sizes_[1] + rows_ - 1) / rows_;
    blocks_ *= row_blocks_;
    for (int d = 2; d < ndim_; d++) blocks_ *= sizes_[d];
  }

  int64_t blocks() const { return blocks_; }
  int64_t block_elements() const { return rows_ * cols_; }
  int64_t inner_stride(int k) const { return strides_[k][0]; }
  int64_t row_stride(int k) const { return strides_[k][1]; }
  // every row of a block of several is a run of memory of operand k, long enough for a call of its own
  bool has_long_rows(int k) const { return strides_[k][0] == 1 && rows_ > 1 && cols_ >= 32; }
  bool is_constant(int k) const {
    return std::all_of(strides_[k], strides_[k] + ndim_, [](int64_t s) { return s == 0; });
  }
  // every block sees one value of operand k
  bool is_row_constant(int k) const { return is_constant(k) || (strides_[k][0] == 0 && rows_ == 1); }
  // every block of operand k is one run of memory
  bool is_direct(int k) const {
    return (strides_[k][0] == 1 || sizes_[0] == 1) &&
           (rows_ == 1 || (cols_ == sizes_[0] && strides_[k][1] == sizes_[0]));
  }

  // A place in the sequence of blocks.
  struct Cursor {
    int64_t index[kMaxDims];  // block column, block row, outer dimensions
    int64_t rows, cols;       // of this block
    int64_t offset[operands] = {};
  };
  void seek(Cursor& c, int64_t block) const {
    c.index[0] = block % col_blocks_;
    block /= col_blocks_;
    c.index[1] = block % row_blocks_;
    block /= row_blocks_;
    for (int d = 2; d < ndim_; d++) {
      c.index[d] = block % sizes_[d];
      block /= sizes_[d];
    }
    settle(c);
  }
  void next(Cursor& c) const {
    if (++c.index[0] == col_blocks_) {
      c.index[0] = 0;
      if (++c.index[1] == row_blocks_) {
        c.index[1] = 0;
        for (int d = 2; d < ndim_; d++) {
          if (++c.index[d] < sizes_[d]) break;
          c.index[d] = 0;
        }
      }
    }
    settle(c);
  }
  Rectangle rectangle(const Cursor& c, int k) const { return {c.rows, c.cols, strides_[k][1], strides_[k][0]}; }

 private:
  // Smaller strides inward; the first operand that tells two dimensions apart decides.
  bool goes_inward(int a, int b) const {
    for (int k = 0; k < count_; k++) {
      const int64_t x = strides_[k][a], y = strides_[k][b];
      if (x == y || x == 0 || y == 0) continue;
      return x < y;
    }
    return false;
  }
  void swap_dims(int a, int b) {
    std::swap(sizes_[a], sizes_[b]);
    for (int k = 0; k < count_; k++) std::swap(strides_[k][a], strides_[k][b]);
  }
  void sort_dims() {
    for (int i = 1; i < ndim_; i++)
      for (int j = i; j > 0 && goes_inward(j, j - 1); j--) swap_dims(j, j - 1);
  }
  void merge_dims() {
    int last = 0;
    for (int d = 1; d < ndim_; d++) {
      bool fits = true;
      for (int k = 0; k < count_; k++) fits &= strides_[k][d] == strides_[k][last] * sizes_[last];
      if (fits) {
        sizes_[last] *= sizes_[d];
      } else {
        last++;
        sizes_[last] = sizes_[d];
        for (int k = 0; k < count_; k++) strides_[k][last] = strides_[k][d];
      }
    }
    if (ndim_ > 0) ndim_ = last + 1;
  }
  void choose_blocks(int64_t block, int64_t tile) {
    for (int k = 1; k < count_; k++) {
      if (strides_[k][0] <= 1) continue;
      int fast = 0;
      for (int d = 1; d < ndim_; d++)
        if (strides_[k][d] != 0 && strides_[k][d] < strides_[k][fast] && sizes_[d] >= 4) fast = d;
      if (fast == 0) continue;
      if (fast != 1) swap_dims(1, fast);
      // squares, as long a run of the one that is read across as of the others; measured
      cols_ = std::min(sizes_[0], std::max<int64_t>(1, tile / 64));
      rows_ = std::min(sizes_[1], tile / cols_);
      return;
    }
    cols_ = std::min(sizes_[0], block);
    rows_ = cols_ == sizes_[0] ? std::min(sizes_[1], std::max<int64_t>(1, block / cols_)) : 1;
  }
  void settle(Cursor& c) const {
    const int64_t col = c.index[0] * cols_, row = c.index[1] * rows_;
    c.cols = std::min(cols_, sizes_[0] - col);
    c.rows = std::min(rows_, sizes_[1] - row);
    for (int k = 0; k < count_; k++) {
      int64_t at = col * strides_[k][0] + row * strides_[k][1];
      for (int d = 2; d < ndim_; d++) at += c.index[d] * strides_[k][d];
      c.offset[k] = at;
    }
  }

  int count_, ndim_ = 0;
  int64_t cols_ = 1, rows_ = 1, blocks_ = 1, col_blocks_ = 1, row_blocks_ = 1;
  int64_t sizes_[kMaxDims + 2];
  int64_t strides_[operands][kMaxDims + 2];
};

}  // namespace tabula::kernels
