#include "kernels/pad.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/parallel.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kPiece = 16384;  // elements per piece of parallel work

int64_t rows_per_piece(int64_t row) { return std::max<int64_t>(1, kPiece / std::max<int64_t>(1, row)); }

// Moves items of `Item`'s size; the longest consecutive run of the last map is one block copy.
template <class Item>
void move(const PadCall& c) {
  const int64_t* last = c.map[2];
  int64_t begin = 0, end = 0;
  for (int64_t i = 0; i < c.out[2];) {
    int64_t j = i + 1;
    while (j < c.out[2] && last[j] == last[j - 1] + 1) j++;
    if (j - i > end - begin) begin = i, end = j;
    i = j;
  }
  parallel_for(c.outer * c.out[0] * c.out[1], rows_per_piece(c.out[2]), [&](int64_t first, int64_t behind) {
    for (int64_t row = first; row < behind; row++) {
      const int64_t j = row % c.out[1], i = row / c.out[1] % c.out[0], o = row / (c.out[0] * c.out[1]);
      const Item* from = reinterpret_cast<const Item*>(c.from) + ((o * c.in[0] + c.map[0][i]) * c.in[1] + c.map[1][j]) * c.in[2];
      Item* to = reinterpret_cast<Item*>(c.to) + row * c.out[2];
      for (int64_t k = 0; k < begin; k++) to[k] = from[last[k]];
      if (end > begin) std::memcpy(to + begin, from + last[begin], size_t(end - begin) * sizeof(Item));
      for (int64_t k = end; k < c.out[2]; k++) to[k] = from[last[k]];
    }
  });
}

void pad_cpu(const PadCall& c) {
  struct Wide {
    uint64_t part[2];
  };
  switch (item_size(c.dtype)) {
    case 1: return move<uint8_t>(c);
    case 2: return move<uint16_t>(c);
    case 4: return move<uint32_t>(c);
    case 8: return move<uint64_t>(c);
    default: return move<Wide>(c);
  }
}

// For each input index the output indices that read it, in increasing order.
struct Inverse {
  std::vector<int64_t> start, items;
  Inverse(const int64_t* map, int64_t in, int64_t out) : start(size_t(in + 1)), items(size_t(out)) {
    for (int64_t o = 0; o < out; o++) start[size_t(map[o] + 1)]++;
    for (size_t i = 1; i < start.size(); i++) start[i] += start[i - 1];
    std::vector<int64_t> next(start.begin(), start.end() - 1);
    for (int64_t o = 0; o < out; o++) items[size_t(next[size_t(map[o])]++)] = o;
  }
};

template <class T>
void gather_sums(const PadCall& c) {
  using Sum = std::conditional_t<is_reduced_float(dtype_of<T>), float, T>;
  const Inverse slow(c.map[0], c.in[0], c.out[0]), mid(c.map[1], c.in[1], c.out[1]);
  const int64_t* last = c.map[2];
  parallel_for(c.outer * c.in[0] * c.in[1], rows_per_piece(c.in[2]), [&](int64_t first, int64_t behind) {
    std::vector<Sum> sums(size_t(c.in[2]));
    for (int64_t row = first; row < behind; row++) {
      const size_t j = size_t(row % c.in[1]), i = size_t(row / c.in[1] % c.in[0]);
      const int64_t o = row / (c.in[0] * c.in[1]);
      std::fill(sums.begin(), sums.end(), Sum(0));
      for (int64_t p = slow.start[i]; p < slow.start[i + 1]; p++)
        for (int64_t q = mid.start[j]; q < mid.start[j + 1]; q++) {
          const T* from = reinterpret_cast<const T*>(c.from) + ((o * c.out[0] + slow.items[size_t(p)]) * c.out[1] + mid.items[size_t(q)]) * c.out[2];
          for (int64_t k = 0; k < c.out[2]; k++) sums[size_t(last[k])] += Sum(from[k]);
        }
      T* to = reinterpret_cast<T*>(c.to) + row * c.in[2];
      for (int64_t k = 0; k < c.in[2]; k++) to[k] = T(sums[size_t(k)]);
    }
  });
}

void pad_backward_cpu(const PadCall& c) {
  visit(c.dtype, "pad_backward", [&]<class T>() {
    if constexpr (!std::is_same_v<T, bool>) gather_sums<T>(c);
  });
}

}  // namespace

Kernel<void(const PadCall&)> pad_map("pad_map", pad_cpu);
Kernel<void(const PadCall&)> pad_map_backward("pad_map_backward", pad_backward_cpu);

}  // namespace tabula::kernels
