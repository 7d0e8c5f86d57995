#include "kernels/fold.h"

#include <algorithm>
#include <vector>

#include "core/parallel.h"

namespace tabula::kernels {
namespace {

// The blocks whose position at kernel offset `k` of dimension `d` lies inside the image: [begin, end).
struct Inside {
  int64_t begin, end, first;  // first: image position of block 0, negative in the padding
  Inside(const FoldCall& c, int d, int64_t k) : first(k * c.dilation[d] - c.padding[d]) {
    const int64_t s = c.stride[d];
    begin = std::clamp<int64_t>(first < 0 ? (-first + s - 1) / s : 0, 0, c.blocks[d]);
    end = std::clamp<int64_t>(c.image[d] > first ? (c.image[d] - first + s - 1) / s : 0, begin, c.blocks[d]);
  }
};

template <class T>
void unfold(const FoldCall& c) {
  const int64_t window = c.kernel[0] * c.kernel[1], blocks = c.blocks[0] * c.blocks[1];
  parallel_for(c.planes * window, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, blocks)), [&](int64_t first, int64_t behind) {
    for (int64_t item = first; item < behind; item++) {
      const T* image = reinterpret_cast<const T*>(c.from) + item / window * c.image[0] * c.image[1];
      T* column = reinterpret_cast<T*>(c.to) + item * blocks;
      const Inside h(c, 0, item % window / c.kernel[1]), w(c, 1, item % c.kernel[1]);
      for (int64_t i = 0; i < c.blocks[0]; i++, column += c.blocks[1]) {
        if (i < h.begin || i >= h.end) {
          std::fill_n(column, c.blocks[1], T(0));
          continue;
        }
        const T* row = image + (h.first + i * c.stride[0]) * c.image[1] + w.first;
        std::fill(column, column + w.begin, T(0));
        if (c.stride[1] == 1)
          std::copy(row + w.begin, row + w.end, column + w.begin);
        else
          for (int64_t j = w.begin; j < w.end; j++) column[j] = row[j * c.stride[1]];
        std::fill(column + w.end, column + c.blocks[1], T(0));
      }
    }
  });
}

template <class T>
void fold(const FoldCall& c) {
  using Sum = std::conditional_t<is_reduced_float(dtype_of<T>), float, T>;
  const int64_t window = c.kernel[0] * c.kernel[1], blocks = c.blocks[0] * c.blocks[1], pixels = c.image[0] * c.image[1];
  parallel_for(c.planes, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, window * blocks)), [&](int64_t begin, int64_t end) {
    std::vector<Sum> sums(size_t(pixels), Sum(0));
    for (int64_t plane = begin; plane < end; plane++) {
      std::fill(sums.begin(), sums.end(), Sum(0));
      const T* column = reinterpret_cast<const T*>(c.from) + plane * window * blocks;
      for (int64_t p = 0; p < c.kernel[0]; p++)
        for (int64_t q = 0; q < c.kernel[1]; q++, column += blocks) {
          const Inside h(c, 0, p), w(c, 1, q);
          for (int64_t i = h.begin; i < h.end; i++) {
            const T* from = column + i * c.blocks[1];
            Sum* row = sums.data() + (h.first + i * c.stride[0]) * c.image[1];
            for (int64_t j = w.begin; j < w.end; j++) row[w.first + j * c.stride[1]] += Sum(from[j]);
          }
        }
      T* to = reinterpret_cast<T*>(c.to) + plane * pixels;
      for (int64_t i = 0; i < pixels; i++) to[i] = T(sums[size_t(i)]);
    }
  });
}

void unfold_cpu(const FoldCall& c) {
  visit(c.dtype, "im2col_out_cpu", [&]<class T>() { unfold<T>(c); });
}
void fold_cpu(const FoldCall& c) {
  visit(c.dtype, "col2im_out_cpu", [&]<class T>() {
    if constexpr (std::is_same_v<T, bool>) {
      FoldCall bytes = c;  // as numbers, sums of bools would not be 0 or 1
      bytes.dtype = DType::UInt8;
      fold<uint8_t>(bytes);
      auto* to = reinterpret_cast<uint8_t*>(c.to);
      for (int64_t i = 0; i < c.planes * c.image[0] * c.image[1]; i++) to[i] = to[i] != 0;
    } else {
      fold<T>(c);
    }
  });
}

}  // namespace

Kernel<void(const FoldCall&)> unfold_windows("im2col", unfold_cpu);
Kernel<void(const FoldCall&)> fold_windows("col2im", fold_cpu);

}  // namespace tabula::kernels
