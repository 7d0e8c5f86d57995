// Attention by blocks of queries and keys whose scores stay in the cache, after T. Dao et al., "FlashAttention: fast and
// memory-efficient exact attention with IO-awareness" (2022). Keys and values of a head are packed once; blocks that a
// causal mask hides are left out. The backward pass computes the scores again.
#include "kernels/attention.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/parallel.h"
#include "kernels/cpu/attention_isa.h"
#include "kernels/cpu/gemm_blocks.h"
#include "kernels/cpu/scratch.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kKeys = 256;           // of a block
constexpr int64_t kLongSequence = 2048;  // from here on, higher blocks lose little at a causal mask's edge
constexpr int64_t kPieces = 8;         // of the forward pass, at least, where there are few heads

template <class T>
struct Driver {
  const AttentionCall& call;
  const TileType<T>& type;
  const StorageKernels& storage;
  const int64_t rows = type.tiles.rows, panel = type.tiles.cols;
  const int64_t width = call.width, value_width = call.value_width, keys = call.keys, queries = call.queries;
  const int64_t height = (call.causal && call.queries < kLongSequence ? 4 : 8) * rows;  // of a block

  // One head: strides are those of rows and columns.
  struct Matrix {
    T* data;
    int64_t row, col;
    T* at(int64_t r) const { return data + r * row; }
  };
  Matrix matrix(const AttentionArray& array, int64_t b, int64_t h) const {
    return {reinterpret_cast<T*>(array.data) + b * array.strides[0] + h * array.strides[1], array.strides[2],
            array.strides[3]};
  }
  Matrix of_query_head(const AttentionArray& array, int64_t index) const {
    return matrix(array, index / call.heads, index % call.heads);
  }
  Matrix of_key_head(const AttentionArray& array, int64_t index) const {
    return matrix(array, index / call.heads, index % call.heads / (call.heads / call.key_heads));
  }

  // Rows [first, first + n) as the left factor.
  void pack_left(const Matrix& m, int64_t first, int64_t n, int64_t k, T* to) const {
    pack_rows(storage, type, reinterpret_cast<const char*>(m.at(first)), int64_t(sizeof(T)), m.row, m.col, n, k, false,
              to);
  }
  // Rows as the columns of the right factor: m^T.
  void pack_columns(const Matrix& m, int64_t first, int64_t n, int64_t k, T* to) const {
    for (int64_t j = 0; j < n; j += panel)
      storage.pack(reinterpret_cast<const char*>(m.at(first + j)), m.row, m.col, std::min(panel, n - j), panel, k,
                   to + j * k, false);
  }
  // Rows as they are, as the right factor: [n, columns].
  void pack_right(const Matrix& m, int64_t first, int64_t n, int64_t columns, T* to) const {
    for (int64_t j = 0; j < columns; j += panel)
      storage.pack(reinterpret_cast<const char*>(m.at(first) + j * m.col), m.col, m.row, std::min(panel, columns - j),
                   panel, n, to + j * n, false);
  }

  int64_t block_keys(int64_t j0) const { return std::min(kKeys, keys - j0); }
  // The keys that some row of [first, first + n) sees.
  int64_t seen_by(int64_t first, int64_t n) const { return call.causal ? std::min(keys, first + n) : keys; }

  // to[m, n] = scale * left right, without the columns that no row of a panel sees.
  void multiply(int64_t i0, int64_t m, int64_t j0, int64_t n, int64_t k, const T* left, const T* right, T scale,
                T* to) const {
    Finish<T> finish;
    finish.alpha = scale;
    if (seen_by(i0, 1) >= j0 + n) return type.tiles.packed(m, n, k, left, right, to, kKeys, finish);
    for (int64_t i = 0; i < m;) {
      const int64_t lines = panel_rows(m - i, rows), seen = seen_by(i0 + i, lines) - j0;
      if (seen > 0)
        type.tiles.packed(lines, std::min(n, round_up(seen, panel)), k, left + i * k, right, to + i * kKeys, kKeys,
                          finish);
      i += lines;
    }
  }

  AttentionBlock block(int64_t index, int64_t i0, int64_t m, int64_t j0, int64_t n, T* scores) const {
    AttentionBlock b{};
    b.dtype = call.dtype;
    b.rows = m;
    b.keys = n;
    b.stride = kKeys;
    b.scores = reinterpret_cast<char*>(scores);
    b.causal = call.causal;
    b.seen = i0 + 1 - j0;
    if (call.mask.data) {
      const int64_t* s = call.mask.strides;
      const int64_t item = call.mask_is_bool ? 1 : int64_t(sizeof(T));
      b.mask = call.mask.data +
               (index / call.heads * s[0] + index % call.heads * s[1] + i0 * s[2] + j0 * s[3]) * item;
      b.mask_is_bool = call.mask_is_bool;
      b.mask_row = s[2];
      b.mask_col = s[3];
    }
    return b;
  }

  void forward() const {
    const int64_t heads = call.batch * call.heads, blocks = (queries + height - 1) / height;
    const int64_t chunks = std::min(blocks, std::max<int64_t>(1, kPieces / std::max<int64_t>(1, heads)));
    const int64_t chunk = (blocks + chunks - 1) / chunks * height;
    parallel_for(heads * chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; piece++) {
        const int64_t first = piece % chunks * chunk;
        if (first < queries) forward_rows(piece / chunks, first, std::min(queries, first + chunk));
      }
    });
  }

  void forward_rows(int64_t index, int64_t begin, int64_t end) const {
    const Matrix q = of_query_head(call.query, index), k = of_key_head(call.key, index),
                 v = of_key_head(call.value, index), out = of_query_head(call.output, index);
    T* const log_total = reinterpret_cast<T*>(call.log_total) + index * queries;
    const int64_t seen = seen_by(begin, end - begin), columns = round_up(value_width, panel);
    const Scratch packed_keys(size_t(round_up(seen, panel) * width) * sizeof(T));
    const Scratch packed_values(size_t(round_up(seen, kKeys) * columns) * sizeof(T));
    pack_columns(k, 0, seen, width, packed_keys.as<T>());
    for (int64_t j0 = 0; j0 < seen; j0 += kKeys)
      pack_right(v, j0, std::min(kKeys, seen - j0), value_width, packed_values.as<T>() + j0 * columns);

    const Scratch left(size_t(height * width) * sizeof(T)), scores(size_t(height * kKeys) * sizeof(T));
    const Scratch sums(size_t(height * value_width) * sizeof(T)), state(size_t(2 * height) * sizeof(T));
    T *const largest = state.as<T>(), *const total = largest + height;
    Finish<T> add;
    add.beta = T(1);
    for (int64_t i0 = begin; i0 < end; i0 += height) {
      const int64_t m = std::min(height, end - i0), limit = seen_by(i0, m);
      pack_left(q, i0, m, width, left.as<T>());
      std::fill_n(largest, m, -std::numeric_limits<T>::infinity());
      std::fill_n(total, m, T(0));
      std::fill_n(sums.as<T>(), m * value_width, T(0));
      for (int64_t j0 = 0; j0 < limit; j0 += kKeys) {
        const int64_t packed = std::min(kKeys, seen - j0), n = std::min(packed, limit - j0);
        multiply(i0, m, j0, n, width, left.as<T>(), packed_keys.as<T>() + j0 * width, T(call.scale), scores.as<T>());
        AttentionBlock b = block(index, i0, m, j0, n, scores.as<T>());
        b.largest = reinterpret_cast<char*>(largest);
        b.total = reinterpret_cast<char*>(total);
        b.sums = sums.as<char>();
        b.width = value_width;
        TABULA_PICK(attention_exponentials)(b);
        type.tiles.direct(m, value_width, n, scores.as<T>(), kKeys, 1, packed_values.as<T>() + j0 * columns,
                          panel * packed, panel, sums.as<T>(), value_width, add);
      }
      for (int64_t r = 0; r < m; r++) {
        const T share = total[r] == T(0) ? T(0) : T(1) / total[r];
        const T* from = sums.as<T>() + r * value_width;
        T* const to = out.at(i0 + r);
        for (int64_t c = 0; c < value_width; c++) to[c] = from[c] * share;
        log_total[i0 + r] = largest[r] + std::log(total[r]);
      }
    }
  }

  // A piece is a head of keys and values with all heads of queries that it serves, so that nothing is added by two.
  void backward() const {
    parallel_for(call.batch * call.key_heads, 1, [&](int64_t begin, int64_t end) {
      const int64_t shared = call.heads / call.key_heads;
      for (int64_t piece = begin; piece < end; piece++) backward_head(piece * shared, shared);
    });
  }

  void backward_head(int64_t first_head, int64_t heads) const {
    const Matrix k = of_key_head(call.key, first_head), v = of_key_head(call.value, first_head);
    const Matrix dk = of_key_head(call.grad_key, first_head), dv = of_key_head(call.grad_value, first_head);
    const int64_t columns = round_up(width, panel), value_columns = round_up(value_width, panel);
    const int64_t padded = round_up(keys, panel);
    const Scratch key_columns(size_t(padded * width) * sizeof(T)), value_rows(size_t(padded * value_width) * sizeof(T));
    const Scratch key_right(size_t(round_up(keys, kKeys) * columns) * sizeof(T));
    pack_columns(k, 0, keys, width, key_columns.as<T>());
    pack_columns(v, 0, keys, value_width, value_rows.as<T>());
    for (int64_t j0 = 0; j0 < keys; j0 += kKeys)
      pack_right(k, j0, block_keys(j0), width, key_right.as<T>() + j0 * columns);
    for (int64_t j = 0; j < keys; j++) {
      std::fill_n(dk.at(j), width, T(0));
      std::fill_n(dv.at(j), value_width, T(0));
    }

    const Scratch left(size_t(height * width) * sizeof(T)), grad_left(size_t(height * value_width) * sizeof(T));
    const Scratch right(size_t(height * columns) * sizeof(T)), grad_right(size_t(height * value_columns) * sizeof(T));
    const Scratch scores(size_t(height * kKeys) * sizeof(T)), slopes(size_t(height * kKeys) * sizeof(T));
    const Scratch line(size_t(2 * value_width + height) * sizeof(T));
    T* const products = line.as<T>() + 2 * value_width;
    Finish<T> add, scaled, first;
    add.beta = scaled.beta = T(1);
    scaled.alpha = first.alpha = T(call.scale);
    for (int64_t index = first_head; index < first_head + heads; index++) {
      const Matrix q = of_query_head(call.query, index), out = of_query_head(call.output, index),
                   g = of_query_head(call.grad_output, index), dq = of_query_head(call.grad_query, index);
      const T* const log_total = reinterpret_cast<const T*>(call.log_total) + index * queries;
      for (int64_t i0 = 0; i0 < queries; i0 += height) {
        const int64_t m = std::min(height, queries - i0), limit = seen_by(i0, m);
        pack_left(q, i0, m, width, left.as<T>());
        pack_left(g, i0, m, value_width, grad_left.as<T>());
        pack_right(q, i0, m, width, right.as<T>());
        pack_right(g, i0, m, value_width, grad_right.as<T>());
        for (int64_t r = 0; r < m; r++) {
          storage.load(reinterpret_cast<const char*>(out.at(i0 + r)), out.col, value_width, line.as<T>());
          storage.load(reinterpret_cast<const char*>(g.at(i0 + r)), g.col, value_width, line.as<T>() + value_width);
          type.tiles.dots(1, 1, value_width, line.as<T>(), 0, line.as<T>() + value_width, 0, products + r, 1);
        }
        for (int64_t j0 = 0; j0 < limit; j0 += kKeys) {
          const int64_t packed = block_keys(j0), n = std::min(packed, limit - j0);
          multiply(i0, m, j0, n, width, left.as<T>(), key_columns.as<T>() + j0 * width, T(call.scale), scores.as<T>());
          multiply(i0, m, j0, n, value_width, grad_left.as<T>(), value_rows.as<T>() + j0 * value_width, T(1),
                   slopes.as<T>());
          AttentionBlock b = block(index, i0, m, j0, n, scores.as<T>());
          b.slopes = slopes.as<char>();
          b.log_total = reinterpret_cast<const char*>(log_total + i0);
          b.product = reinterpret_cast<const char*>(products);
          TABULA_PICK(attention_slopes)(b);
          type.tiles.direct(m, width, n, slopes.as<T>(), kKeys, 1, key_right.as<T>() + j0 * columns, panel * packed,
                            panel, dq.at(i0), dq.row, j0 ? scaled : first);
          type.tiles.direct(n, value_width, m, scores.as<T>(), 1, kKeys, grad_right.as<T>(), panel * m, panel,
                            dv.at(j0), dv.row, add);
          type.tiles.direct(n, width, m, slopes.as<T>(), 1, kKeys, right.as<T>(), panel * m, panel, dk.at(j0), dk.row,
                            scaled);
        }
      }
    }
  }
};

template <class F>
void drive(const AttentionCall& call, F&& f) {
  const GemmIsa& isa = gemm_isa();
  const StorageKernels& storage = isa.storage[int(call.dtype)];
  if (call.dtype == DType::Float64)
    f(Driver<double>{call, {isa.f64, 1, isa.f64}, storage});
  else
    f(Driver<float>{call, {isa.f32, 1, isa.f32}, storage});
}

void attention_cpu(const AttentionCall& call) {
  drive(call, [](const auto& driver) { driver.forward(); });
}
void attention_backward_cpu(const AttentionCall& call) {
  drive(call, [](const auto& driver) { driver.backward(); });
}

}  // namespace

Kernel<void(const AttentionCall&)> attention("attention", attention_cpu);
Kernel<void(const AttentionCall&)> attention_backward("attention_backward", attention_backward_cpu);

}  // namespace tabula::kernels
