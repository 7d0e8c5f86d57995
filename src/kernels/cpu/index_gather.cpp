// gather, advanced indexing and plain moves: what only moves elements about.
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "core/parallel.h"
#include "kernels/cpu/block_move.h"
#include "kernels/cpu/index_check.h"

namespace tabula::kernels {

namespace {

// Is each of n indices in [low, high)? The signs of two differences say it, of which vectors can be made.
bool all_between_strided(const int64_t* p, int64_t stride, int64_t n, int64_t low, int64_t high) {
  uint64_t outside = 0;
  for (int64_t i = 0; i < n; i++) {
    const uint64_t x = uint64_t(p[i * stride]) - uint64_t(low);
    outside |= x | (uint64_t(high - low) - 1 - x);
  }
  return outside >> 63 == 0;
}
bool all_between(const int64_t* p, int64_t n, int64_t low, int64_t high) {
  constexpr int64_t block = 32;
  uint64_t outside[4] = {};
  int64_t i = 0;
  for (; i + block <= n; i += block) {
    for (int64_t k = 0; k < block; k += 8) __builtin_prefetch(p + i + k + kPrefetchAhead / 8);
    for (int64_t k = 0; k < block; k += 4) {
      for (int l = 0; l < 4; l++) {
        const uint64_t x = uint64_t(p[i + k + l]) - uint64_t(low);
        outside[l] |= x | (uint64_t(high - low) - 1 - x);
      }
    }
  }
  return (outside[0] | outside[1] | outside[2] | outside[3]) >> 63 == 0 &&
         all_between_strided(p + i, 1, n - i, low, high);
}

}  // namespace

void check_indices(const int64_t* index, IntList sizes, IntList strides, int64_t size, int64_t dim, IndexRule rule) {
  if (any_zero(sizes)) return;
  Dims own_sizes, own_strides;  // each stored index is looked at once
  for (size_t d = 0; d < sizes.size(); d++) {
    if (strides[d] == 0) continue;
    own_sizes.push_back(sizes[d]);
    own_strides.push_back(strides[d]);
  }
  const int64_t low = wraps(rule) ? -size : 0;
  const Walk<1> walk(own_sizes, {own_strides});
  parallel_for(walk.numel(), 65536, [&](int64_t begin, int64_t end) {
    walk.range(begin, end, [&](const Walk<1>::Offsets& at, int64_t n) {
      const int64_t* const p = index + at[0];
      const int64_t stride = walk.stride(0);
      if (stride == 1 ? all_between(p, n, low, size) : all_between_strided(p, stride, n, low, size)) return;
      int64_t bad = 0;
      for (int64_t i = n - 1; i >= 0; i--)
        if (p[i * stride] < low || p[i * stride] >= size) bad = p[i * stride];
      switch (rule) {
        case IndexRule::Self: fail(ErrorKind::Index, "index out of range in self");
        case IndexRule::Take:
          fail(ErrorKind::Index, "out of range: tried to access index ", bad, " on a tensor of ", size, " elements.");
        default:
          fail(rule == IndexRule::Gather ? ErrorKind::Runtime : ErrorKind::Index,
               rule == IndexRule::Copy ? "index_copy_(): " : "", "index ", bad, " is out of bounds for dimension ", dim,
               " with size ", size);
      }
    });
  });
}

namespace {

// Sixteen bytes of elements, the last one first. Without vectors of bytes, which this file's instruction set cannot
// turn round.
template <class T>
inline void store_reversed(T* to, const T* from) {
  typedef uint32_t Words __attribute__((vector_size(16)));
  if constexpr (sizeof(T) < 4) {
    uint64_t halves[2];
    std::memcpy(halves, from, sizeof halves);
    for (uint64_t& half : halves) {
      half = __builtin_bswap64(half);
      constexpr uint64_t even = 0x00FF00FF00FF00FF;
      if (sizeof(T) == 2) half = (half >> 8 & even) | (half & even) << 8;
    }
    std::swap(halves[0], halves[1]);
    std::memcpy(to, halves, sizeof halves);
  } else {
    Words words;
    std::memcpy(&words, from, sizeof words);
    if constexpr (sizeof(T) == 4) words = __builtin_shuffle(words, Words{3, 2, 1, 0});
    if constexpr (sizeof(T) == 8) words = __builtin_shuffle(words, Words{2, 3, 0, 1});
    std::memcpy(to, &words, sizeof words);
  }
}

// to[i] = from[-i]
template <class T>
void copy_reversed(T* to, const T* from, int64_t n) {
  constexpr int64_t group = 16 / int64_t(sizeof(T)), block = 4 * group, ahead = kPrefetchAhead / int64_t(sizeof(T));
  int64_t i = 0;
  for (; i + block <= n; i += block) {
    __builtin_prefetch(from - i - ahead, 0);
    __builtin_prefetch(to + i + ahead, 1);
    for (int64_t k = 0; k < block; k += group) store_reversed(to + i + k, from - i - k - (group - 1));
  }
  for (; i < n; i++) to[i] = from[-i];
}

template <class T>
inline void copy_row(T* to, int64_t to_stride, const T* from, int64_t from_stride, int64_t n) {
  if (to_stride == 1 && from_stride == 1) {
    std::memcpy(static_cast<void*>(to), from, size_t(n) * sizeof(T));
  } else if (to_stride == 1 && from_stride == -1) {
    copy_reversed(to, from, n);
  } else {
    for (int64_t i = 0; i < n; i++) to[i * to_stride] = from[i * from_stride];
  }
}

void gather_cpu(const GatherCall& call) {
  if (any_zero(call.sizes)) return;
  check_indices(call.index, call.sizes, call.index_strides, call.self_size, call.dim, call.rule);
  Dims rest(call.self_strides);
  const int64_t dim_stride = rest.empty() ? 1 : rest[call.dim];
  if (!rest.empty()) rest[call.dim] = 0;
  const int64_t wrap = wraps(call.rule) ? call.self_size : 0;
  const Walk<3> walk(call.sizes, {call.out_strides, call.index_strides, rest});
  visit_size(call.item, [&]<class T>() {
    parallel_for(walk.numel(), kIndexGrain, [&](int64_t begin, int64_t end) {
      const int64_t so = walk.stride(0), si = walk.stride(1), ss = walk.stride(2);
      walk.range(begin, end, [&](const Walk<3>::Offsets& at, int64_t n) {
        T* const out = static_cast<T*>(call.out) + at[0];
        const int64_t* const index = call.index + at[1];
        const T* const self = static_cast<const T*>(call.self) + at[2];
        const auto place = [&](int64_t i) { return (i < 0 ? i + wrap : i) * dim_stride; };
        if (si == 0) {
          copy_row(out, so, self + place(index[0]), ss, n);
        } else if (wrap == 0 && so == 1 && si == 1 && ss == 0 && dim_stride == 1) {
          for (int64_t i = 0; i < n; i++) out[i] = self[index[i]];
        } else {
          for (int64_t i = 0; i < n; i++) out[i * so] = self[i * ss + place(index[i * si])];
        }
      });
    });
  });
}

// The positions that advanced indexing touches: for each element of the indices' common shape the offset of data's
// block and that of values' block.
class Positions {
 public:
  explicit Positions(const IndexCall& call) : call_(call), count_(product(call.index_sizes)) {
    if (count_ == 0) return;
    for (const IndexOperand& index : call.indices)
      check_indices(index.data, call.index_sizes, index.strides, index.size, index.dim, call.rule);
    const Dims order = contiguous_strides(call.index_sizes);
    for (const IndexOperand& index : call.indices)
      indices_.emplace_back(call.index_sizes, std::array<IntList, 2>{order, index.strides}, WalkOrder::AsGiven);
    values_.emplace(call.index_sizes, std::array<IntList, 2>{order, call.value_index_strides}, WalkOrder::AsGiven);
  }
  int64_t count() const { return count_; }

  // Calls f(data's offset, values' offset) for the positions [begin, end), in order.
  template <class F>
  void each(int64_t begin, int64_t end, F&& f) const {
    constexpr int64_t part = 512;
    int64_t data[part], values[part];
    for (; begin < end; begin += part) {
      const int64_t n = std::min(part, end - begin);
      std::fill_n(data, n, 0);
      for (size_t k = 0; k < indices_.size(); k++) add_offsets(k, begin, begin + n, data);
      values_->range(begin, begin + n, [&](const Walk<2>::Offsets& at, int64_t length) {
        const int64_t stride = values_->stride(1);
        for (int64_t i = 0; i < length; i++) values[at[0] - begin + i] = at[1] + i * stride;
      });
      for (int64_t i = 0; i < n; i++) f(data[i], values[i]);
    }
  }

 private:
  void add_offsets(size_t k, int64_t begin, int64_t end, int64_t* data) const {
    const IndexOperand& index = call_.indices[k];
    const Walk<2>& walk = indices_[k];
    walk.range(begin, end, [&](const Walk<2>::Offsets& at, int64_t n) {
      const int64_t* const p = index.data + at[1];
      const int64_t stride = walk.stride(1), wrap = wraps(call_.rule) ? index.size : 0;
      for (int64_t i = 0; i < n; i++) {
        const int64_t x = p[i * stride];
        data[at[0] - begin + i] += (x < 0 ? x + wrap : x) * index.stride;
      }
    });
  }

  const IndexCall& call_;
  int64_t count_;
  std::vector<Walk<2>> indices_;
  std::optional<Walk<2>> values_;
};

// Calls f(data, its stride, values, their stride, count) for row after row. A piece covers a range of kept elements and
// all positions, in order (`ordered`, for writes that may meet), or a range of positions and all kept elements.
template <class T, class F>
void for_blocks(const IndexCall& call, bool ordered, F&& f) {
  const Positions positions(call);
  const Walk<2> kept(call.kept_sizes, {call.data_kept_strides, call.value_kept_strides});
  const int64_t block = kept.numel();
  if (positions.count() == 0 || block == 0) return;
  T* const data = static_cast<T*>(call.data);
  T* const values = static_cast<T*>(call.values);
  const auto piece = [&](int64_t from, int64_t to, int64_t first, int64_t last) {
    const int64_t sd = kept.stride(0), sv = kept.stride(1);
    if (block == 1) {
      positions.each(from, to, [&](int64_t d, int64_t v) { f(data + d, 1, values + v, 1, 1); });
      return;
    }
    positions.each(from, to, [&](int64_t data_at, int64_t values_at) {
      T* const d = data + data_at;
      T* const v = values + values_at;
      if (kept.single_row())
        f(d + first * sd, sd, v + first * sv, sv, last - first);
      else
        kept.range(first, last, [&](const Walk<2>::Offsets& at, int64_t n) { f(d + at[0], sd, v + at[1], sv, n); });
    });
  };
  if (ordered) {
    const int64_t grain = std::max<int64_t>(64, kIndexGrain / positions.count());
    parallel_for(block, grain, [&](int64_t first, int64_t last) { piece(0, positions.count(), first, last); });
  } else {
    const int64_t grain = std::max<int64_t>(1, kIndexGrain / block);
    parallel_for(positions.count(), grain, [&](int64_t from, int64_t to) { piece(from, to, 0, block); });
  }
}

void index_get_cpu(const IndexCall& call) {
  visit_size(item_size(call.dtype), [&]<class T>() {
    for_blocks<T>(call, false, [](const T* data, int64_t data_stride, T* values, int64_t value_stride, int64_t n) {
      copy_row(values, value_stride, data, data_stride, n);
    });
  });
}

void index_put_cpu(const IndexCall& call, bool accumulate) {
  if (!accumulate) {
    visit_size(item_size(call.dtype), [&]<class T>() {
      for_blocks<T>(call, true, [](T* data, int64_t data_stride, const T* values, int64_t value_stride, int64_t n) {
        copy_row(data, data_stride, values, value_stride, n);
      });
    });
    return;
  }
  visit(call.dtype, "index_put", [&]<class T>() {
    for_blocks<T>(call, true, [](T* data, int64_t data_stride, const T* values, int64_t value_stride, int64_t n) {
      using C = compute_t<T>;
      for (int64_t i = 0; i < n; i++)
        data[i * data_stride] = convert<T>(convert<C>(data[i * data_stride]) + convert<C>(values[i * value_stride]));
    });
  });
}

void move_cpu(const MoveCall& call) {
  const Walk<2> walk(call.sizes, {call.out_strides, call.in_strides});
  visit_size(call.item, [&]<class T>() {
    parallel_for(walk.numel(), 32768, [&](int64_t begin, int64_t end) {
      walk.range(begin, end, [&](const Walk<2>::Offsets& at, int64_t n) {
        copy_row(static_cast<T*>(call.out) + at[0], walk.stride(0), static_cast<const T*>(call.in) + at[1],
                 walk.stride(1), n);
      });
    });
  });
}

// Every shifted dimension falls into two parts that swap places, so the result is a grid of plain moves.
void roll_cpu(const MoveCall& call, IntList shifts) {
  if (any_zero(call.sizes)) return;
  const int64_t rank = int64_t(call.sizes.size());
  Dims shift(rank, 0);
  int64_t grid = 1;
  for (int64_t d = 0; d < rank; d++) {
    const int64_t size = call.sizes[size_t(d)];
    shift[d] = (shifts[size_t(d)] % size + size) % size;
    if (shift[d] != 0) grid *= 2;
  }
  for (int64_t cell = 0; cell < grid; cell++) {
    Dims sizes(call.sizes);
    int64_t from = 0, to = 0, bits = cell;
    for (int64_t d = 0; d < rank; d++) {
      if (shift[d] == 0) continue;
      const bool wrapped = (bits & 1) != 0;
      bits >>= 1;
      const int64_t head = sizes[d] - shift[d];
      to += wrapped ? 0 : shift[d] * call.out_strides[size_t(d)];
      from += wrapped ? head * call.in_strides[size_t(d)] : 0;
      sizes[d] = wrapped ? shift[d] : head;
    }
    move_cpu({call.item, sizes, static_cast<char*>(call.out) + to * call.item, call.out_strides,
              static_cast<const char*>(call.in) + from * call.item, call.in_strides});
  }
}

void triangle_cpu(const MoveCall& call, int64_t diagonal, bool upper) {
  if (any_zero(call.sizes)) return;
  const size_t rank = call.sizes.size();
  const int64_t rows = call.sizes[rank - 2], columns = call.sizes[rank - 1];
  const int64_t k = std::clamp(diagonal, -rows, columns);  // beyond, nothing changes
  const int64_t ro = call.out_strides[rank - 2], ri = call.in_strides[rank - 2];
  const int64_t co = call.out_strides[rank - 1], ci = call.in_strides[rank - 1];
  const Walk<2> batch(call.sizes.first(rank - 2), {call.out_strides.first(rank - 2), call.in_strides.first(rank - 2)});
  visit_size(call.item, [&]<class T>() {
    batch.all([&](const Walk<2>::Offsets& at, int64_t n) {
      parallel_for(n * rows, std::max<int64_t>(1, 32768 / columns), [&](int64_t begin, int64_t end) {
        for (int64_t line = begin; line < end; line++) {
          const int64_t i = line / rows, r = line % rows;
          T* const out = static_cast<T*>(call.out) + at[0] + i * batch.stride(0) + r * ro;
          const T* const in = static_cast<const T*>(call.in) + at[1] + i * batch.stride(1) + r * ri;
          // the first column above (upper), or beyond the diagonal
          const int64_t cut = std::clamp<int64_t>(r + k + (upper ? 0 : 1), 0, columns);
          const int64_t keep_from = upper ? cut : 0, keep_to = upper ? columns : cut;
          for (int64_t c = 0; c < keep_from; c++) out[c * co] = T{};
          if (out != in || co != ci) copy_row(out + keep_from * co, co, in + keep_from * ci, ci, keep_to - keep_from);
          for (int64_t c = keep_to; c < columns; c++) out[c * co] = T{};
        }
      });
    });
  });
}

}  // namespace

Kernel<void(const GatherCall&)> gather{"gather", gather_cpu};
Kernel<void(const IndexCall&)> index_get{"index", index_get_cpu};
Kernel<void(const IndexCall&, bool)> index_put{"index_put_", index_put_cpu};
Kernel<void(const MoveCall&)> move_elements{"move_elements", move_cpu};
Kernel<void(const MoveCall&, IntList)> roll{"roll", roll_cpu};
Kernel<void(const MoveCall&, int64_t, bool)> triangle{"triangle", triangle_cpu};

}  // namespace tabula::kernels
