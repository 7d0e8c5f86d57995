// The blocking of matrix products, after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
// (2008): b is packed once into shared memory, each piece of work packs its rows of a and writes one block of c. An
// element of c is summed in the same order however the work is cut, so results do not depend on the number of threads.
#include "kernels/gemm.h"

#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/dot_isa.h"
#include "kernels/cpu/gemm_blocks.h"
#include "kernels/cpu/scratch.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kBlockRows = 112;                       // of a, packed: 112 KiB in float32, for the L2 cache
constexpr int64_t kPackedBytes = 8 << 20;                 // of b, packed at a time
constexpr int64_t kLongestK = 8192;                       // beyond it, k is cut so that packed b keeps enough columns
constexpr int64_t kPieceProducts = 512 * 1024;            // multiplications that are worth a piece of their own
constexpr int64_t kWideRows = 256, kWideBytes = 1 << 20;  // of a, packed whole
constexpr int64_t kFewRows = 16;                          // products with no more rows than this do not pack b

void multiply(const GemmCall& call);

GemmCall transposed(const GemmCall& call) {
  GemmCall t = call;
  std::swap(t.m, t.n);
  std::swap(t.a, t.b);
  t.a_row = call.b_col;
  t.a_col = call.b_row;
  t.b_row = call.a_col;
  t.b_col = call.a_row;
  std::swap(t.c_row, t.c_col);
  std::swap(t.bias_row, t.bias_col);
  std::swap(t.conj_a, t.conj_b);
  return t;
}

// alpha, beta, bias and epilogue for blocks written straight into c. The bias is made contiguous once per call.
template <class T>
struct DirectFinish {
  Finish<T> first, middle, last, only;
  DirectFinish(const GemmCall& call, const StorageKernels& storage, T* bias) {
    auto scalar = [](double x) {
      if constexpr (std::is_integral_v<T>)
        return T(int64_t(x));
      else
        return T(x);
    };
    first.alpha = middle.alpha = last.alpha = only.alpha = scalar(call.alpha.real());
    first.beta = only.beta = scalar(call.beta.real());
    middle.beta = last.beta = T(1);
    if (call.bias) {
      const bool by_row = call.bias_row != 0;
      storage.load(call.bias, by_row ? call.bias_row : call.bias_col, by_row ? call.m : call.n, bias);
      (by_row ? only.row_bias : only.col_bias) = bias;
      (by_row ? last.row_bias : last.col_bias) = bias;
    }
    only.relu = last.relu = call.epilogue == Epilogue::Relu;
  }
  Finish<T> at(bool is_first, bool is_last, int64_t row, int64_t col) const {
    Finish<T> f = is_first ? (is_last ? only : first) : is_last ? last : middle;
    if (f.row_bias) f.row_bias += row;
    if (f.col_bias) f.col_bias += col;
    return f;
  }
};

size_t bias_bytes(const GemmCall& call, size_t item) {
  return call.bias ? size_t(call.bias_row != 0 ? call.m : call.n) * item : 0;
}

// Integers compute in unsigned arithmetic, where relu would not see a sign.
bool writes_direct(const GemmCall& call) {
  return stored_as_computed(call.dtype) && call.c_col == 1 &&
         (is_floating(call.dtype) || call.epilogue == Epilogue::None);
}

// k == 0: nothing is summed, but c, the bias and the epilogue still count.
void write_nothing(const GemmCall& call, const StorageKernels& storage) {
  constexpr int64_t kRun = 1024;
  const Scratch zeros(kRun * 16);
  std::memset(zeros.as<char>(), 0, kRun * 16);
  for (int64_t i = 0; i < call.m; i++)
    for (int64_t j = 0; j < call.n; j += kRun)
      storage.write(zeros.as<char>(), kRun, i, 1, j, std::min(kRun, call.n - j), call);
}

template <class T>
void multiply_blocked(const GemmCall& call, const TileType<T>& type, const StorageKernels& storage) {
  const int64_t m = call.m, n = call.n, k = call.k, parts = type.parts, item = item_size(call.dtype);
  const int64_t panel = type.tiles.cols;
  const int64_t element = int64_t(sizeof(T)) * parts;
  const bool direct = writes_direct(call);
  const Scratch bias(direct ? bias_bytes(call, sizeof(T)) : 0);
  const DirectFinish<T> finish(direct ? call : GemmCall(), storage, bias.as<T>());

  const int64_t k_chunk = std::min(k, kLongestK);
  const int64_t n_chunk =
      std::min(round_up(n, panel), round_up(std::max<int64_t>(kPackedBytes / element / k_chunk, 4 * panel), panel));
  // sums of other types wait in a buffer of the compute type, which bounds the rows done at a time
  const int64_t m_chunk = direct ? m : std::min(m, std::max<int64_t>(8 * kBlockRows, (4 << 20) / n_chunk));
  const Scratch packed(size_t(k_chunk * n_chunk * element));
  const Scratch sums(direct ? 0 : size_t(m_chunk * n_chunk * element));
  T* const packed_b = packed.as<T>();

  // the block of c that is one piece: halved until there are enough pieces or each is small
  int64_t rows = std::min(round_up(m_chunk, type.tiles.rows), kBlockRows / type.tiles.rows * type.tiles.rows);
  int64_t cols = n_chunk;
  auto pieces = [&] { return ((m_chunk + rows - 1) / rows) * ((n_chunk + cols - 1) / cols); };
  const int64_t enough = num_threads() == 1 ? 1 : 16;  // how the work is cut changes no result
  while (pieces() < enough && rows * cols * k > kPieceProducts) {
    if (rows > 4 * type.tiles.rows && (rows * 2 > cols || cols <= 8 * panel))
      rows = round_up(rows / 2, type.tiles.rows);
    else if (cols > 4 * panel)
      cols = round_up(cols / 2, panel);
    else
      break;
  }

  // a is packed once as well where it is small and several pieces read its rows; otherwise each piece packs its own
  // rows, pass by pass, which stay in its cache
  const bool shares_a = cols < n_chunk && m_chunk * k_chunk * element <= kPackedBytes;
  const Scratch packed_rows(shares_a ? size_t(m_chunk * k_chunk * element) : 0);

  for (int64_t j0 = 0; j0 < n; j0 += n_chunk) {
    const int64_t nc = std::min(n_chunk, n - j0), padded = round_up(nc, panel);
    for (int64_t i0 = 0; i0 < m; i0 += m_chunk) {
      const int64_t mc = std::min(m_chunk, m - i0);
      for (int64_t k0 = 0; k0 < k; k0 += k_chunk) {
        const int64_t kc = std::min(k_chunk, k - k0);
        const int64_t panels = padded / panel;
        // rows [p, p + run) of k, all in one pass, of panel q
        auto pack_b = [&](int64_t q, int64_t p, int64_t run) {
          const int64_t start = p / kPassLength * kPassLength, pass = std::min(kPassLength, kc - start);
          storage.pack(call.b + ((k0 + p) * call.b_row + (j0 + q * panel) * call.b_col) * item, call.b_col, call.b_row,
                       std::min(panel, nc - q * panel), panel, run,
                       packed_b + (start * padded + q * panel * pass + (p - start) * panel) * parts, call.conj_b);
        };
        if (call.b_col == 1) {
          const int64_t runs = (kc + kRowsTogether - 1) / kRowsTogether;
          parallel_for(runs, std::max<int64_t>(1, 65536 / (kRowsTogether * padded)), [&](int64_t begin, int64_t end) {
            for (int64_t p = begin * kRowsTogether; p < std::min(kc, end * kRowsTogether); p += kRowsTogether)
              for (int64_t q = 0; q < panels; q++) pack_b(q, p, std::min(kRowsTogether, kc - p));
          });
        } else {
          parallel_for(panels, std::max<int64_t>(1, 65536 / (kc * panel)), [&](int64_t begin, int64_t end) {
            for (int64_t q = begin; q < end; q++)
              for (int64_t p = 0; p < kc; p += kPassLength) pack_b(q, p, std::min(kPassLength, kc - p));
          });
        }
        const int64_t across = (nc + cols - 1) / cols, down = (mc + rows - 1) / rows;
        auto pack_a = [&](int64_t i, int64_t p, T* to) {
          pack_rows(storage, type, call.a + ((i0 + i) * call.a_row + (k0 + p) * call.a_col) * item, item, call.a_row,
                    call.a_col, std::min(rows, mc - i), std::min(kPassLength, kc - p), call.conj_a, to);
        };
        if (shares_a)
          parallel_for(down, std::max<int64_t>(1, 65536 / (kc * rows)), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin * rows; i < std::min(mc, end * rows); i += rows)
              for (int64_t p = 0; p < kc; p += kPassLength)
                pack_a(i, p, packed_rows.as<T>() + (p * mc + i * std::min(kPassLength, kc - p)) * parts);
          });
        parallel_for(across * down, 1, [&](int64_t begin, int64_t end) {
          const Scratch own(shares_a ? 0 : size_t(rows * std::min(kPassLength, kc) * element));
          for (int64_t piece = begin; piece < end; piece++) {
            const int64_t i = piece / across * rows, j = piece % across * cols;
            const int64_t height = std::min(rows, mc - i), width = std::min(cols, nc - j);
            for (int64_t p = 0; p < kc; p += kPassLength) {
              const int64_t pass = std::min(kPassLength, kc - p);
              const bool is_first = k0 + p == 0, is_last = k0 + p + pass == k;
              const T* a = shares_a ? packed_rows.as<T>() + (p * mc + i * pass) * parts : own.as<T>();
              if (!shares_a) pack_a(i, p, own.as<T>());
              const T* b = packed_b + (p * padded + j * pass) * parts;
              if (direct) {
                T* c = reinterpret_cast<T*>(call.c) + (i0 + i) * call.c_row + j0 + j;
                type.tiles.packed(height, width, pass, a, b, c, call.c_row,
                                  finish.at(is_first, is_last, i0 + i, j0 + j));
              } else {
                // complex rows hold the real parts of this piece's columns, then the imaginary ones
                const int64_t ld = n_chunk * parts;
                T* sum = sums.as<T>() + i * ld + j;
                Finish<T> accumulate;
                accumulate.beta = is_first ? T(0) : T(1);
                type.tiles.packed(height, width, pass, a, b, sum, ld, accumulate);
                if (is_last) storage.write(sum, ld, i0 + i, height, j0 + j, width, call);
              }
            }
          }
        });
      }
    }
  }
}

// Few enough rows for all of a to stay in the cache: a piece packs its own columns of b, pass by pass, and is done with
// them before they leave its cache.
template <class T>
void multiply_wide(const GemmCall& call, const TileType<T>& type, const StorageKernels& storage) {
  const int64_t m = call.m, n = call.n, k = call.k, item = item_size(call.dtype), panel = type.tiles.cols;
  const Scratch bias(bias_bytes(call, sizeof(T))), rows(size_t(m * k) * sizeof(T));
  const DirectFinish<T> finish(call, storage, bias.as<T>());
  const int64_t passes = (k + kPassLength - 1) / kPassLength, block = 2 * type.tiles.rows;
  const int64_t blocks = (m + block - 1) / block;
  parallel_for(passes * blocks, std::max<int64_t>(1, 16384 / (kPassLength * block)), [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; index++) {
      const int64_t p = index / blocks * kPassLength, i = index % blocks * block, pass = std::min(kPassLength, k - p);
      pack_rows(storage, type, call.a + (i * call.a_row + p * call.a_col) * item, item, call.a_row, call.a_col,
                std::min(block, m - i), pass, call.conj_a, rows.as<T>() + p * m + i * pass);
    }
  });
  const int64_t panels = (n + panel - 1) / panel, together = std::clamp<int64_t>(panels / 8, 1, 4);
  parallel_for(panels, together, [&](int64_t begin, int64_t end) {
    const int64_t j = begin * panel, width = std::min(n, end * panel) - j;
    const Scratch columns(size_t((end - begin) * panel * std::min(k, kPassLength)) * sizeof(T));
    for (int64_t p = 0; p < k; p += kPassLength) {
      const int64_t pass = std::min(kPassLength, k - p);
      for (int64_t q = 0; q < width; q += panel)
        storage.pack(call.b + (p * call.b_row + (j + q) * call.b_col) * item, call.b_col, call.b_row,
                     std::min(panel, width - q), panel, pass, columns.as<T>() + q * pass, call.conj_b);
      type.tiles.packed(m, width, pass, rows.as<T>() + p * m, columns.as<T>(), reinterpret_cast<T*>(call.c) + j,
                        call.c_row, finish.at(p == 0, p + pass == k, 0, j));
    }
  });
}

bool suits_wide(const GemmCall& call, int64_t panel, int64_t element) {
  return writes_direct(call) && call.m <= kWideRows && call.m * call.k * element <= kWideBytes && call.n >= 4 * panel;
}

// Nothing is packed: for few rows (b is read once) and for matrices that fit the cache as they lie.
template <class T>
void multiply_unpacked(const GemmCall& call, const TileType<T>& type, const StorageKernels& storage) {
  const int64_t panel = type.tiles.cols, vector = panel / 2, m = call.m, n = call.n, k = call.k;
  const Scratch bias(bias_bytes(call, sizeof(T)));
  const DirectFinish<T> finish(call, storage, bias.as<T>());
  const T *a = reinterpret_cast<const T*>(call.a), *b = reinterpret_cast<const T*>(call.b);
  T* c = reinterpret_cast<T*>(call.c);
  // whole vectors would be read past the last column: the columns after `whole` are copied
  const int64_t whole = n / vector * vector;
  const Scratch tail(whole < n ? size_t(k * panel) * sizeof(T) : 0);
  if (whole < n)
    storage.pack(reinterpret_cast<const char*>(b + whole), 1, call.b_row, n - whole, panel, k, tail.as<T>(), false);
  const int64_t rows =
      std::min(m, round_up(std::max<int64_t>(1, kPieceProducts / (std::min(n, 4 * panel) * k)), type.tiles.rows));
  const int64_t cols = round_up(std::max<int64_t>(1, kPieceProducts / (rows * k)), panel);
  const int64_t across = (n + cols - 1) / cols, down = (m + rows - 1) / rows;
  parallel_for(across * down, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; piece++) {
      const int64_t i = piece / across * rows, j = piece % across * cols;
      const int64_t height = std::min(rows, m - i), end_col = std::min(n, j + cols), inside = std::min(whole, end_col);
      for (int64_t p = 0; p < k; p += kPassLength) {
        const int64_t pass = std::min(kPassLength, k - p);
        const bool is_first = p == 0, is_last = p + pass == k;
        const T* from = a + i * call.a_row + p * call.a_col;
        if (inside > j)
          type.tiles.direct(height, inside - j, pass, from, call.a_row, call.a_col, b + p * call.b_row + j, panel,
                            call.b_row, c + i * call.c_row + j, call.c_row, finish.at(is_first, is_last, i, j));
        if (inside < end_col)
          type.tiles.direct(height, n - whole, pass, from, call.a_row, call.a_col, tail.as<T>() + p * panel, panel,
                            panel, c + i * call.c_row + whole, call.c_row, finish.at(is_first, is_last, i, whole));
      }
    }
  });
}

bool suits_unpacked(const GemmCall& call) {
  if (call.b_col != 1 || !writes_direct(call)) return false;
  return call.m <= kFewRows || call.k <= 32 || call.n <= 32 || (call.n <= 128 && call.k <= 128);
}

// Few rows against columns that are contiguous along k (x @ W.T with a small batch; a matrix times a vector): inner
// products, so that nothing has to be transposed. Any storage type, by way of a staged run of each column.
template <class T>
void multiply_dots(const GemmCall& call, const TileType<T>& type, const StorageKernels& storage) {
  const int64_t m = call.m, n = call.n, k = call.k, item = item_size(call.dtype);
  const bool same = stored_as_computed(call.dtype) && call.b_row == 1;
  const bool left_in_place = stored_as_computed(call.dtype) && call.a_col == 1;
  const Scratch copied(left_in_place ? 0 : size_t(m * k) * sizeof(T));
  const T* const left = left_in_place ? reinterpret_cast<const T*>(call.a) : copied.as<T>();
  const int64_t left_row = left_in_place ? call.a_row : k;
  for (int64_t i = 0; i < m && !left_in_place; i++)
    storage.load(call.a + i * call.a_row * item, call.a_col, k, copied.as<T>() + i * k);
  constexpr int64_t kColumns = 4;
  const int64_t grain = round_up(std::max<int64_t>(1, 131072 / (m * k)), kColumns);
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    const Scratch out(size_t(m * count) * sizeof(T));
    if (same) {
      type.tiles.dots(m, count, k, left, left_row, reinterpret_cast<const T*>(call.b) + begin * call.b_col, call.b_col,
                      out.as<T>(), count);
    } else {
      const Scratch staged(size_t(kColumns * k) * sizeof(T));
      for (int64_t j = 0; j < count; j += kColumns) {
        const int64_t group = std::min(kColumns, count - j);
        for (int64_t g = 0; g < group; g++)
          storage.load(call.b + (begin + j + g) * call.b_col * item, call.b_row, k, staged.as<T>() + g * k);
        type.tiles.dots(m, group, k, left, left_row, staged.as<T>(), k, out.as<T>() + j, count);
      }
    }
    storage.write(out.as<T>(), count, 0, m, begin, count, call);
  });
}

// One row times a matrix whose rows are contiguous: rows are added up, run by run of columns that stay in the L1 cache.
template <class T>
void multiply_axpys(const GemmCall& call, const TileType<T>& type, const StorageKernels& storage) {
  const int64_t n = call.n, k = call.k, item = item_size(call.dtype);
  const bool same = stored_as_computed(call.dtype);
  const Scratch left(size_t(k) * sizeof(T));
  storage.load(call.a, call.a_col, k, left.as<T>());
  constexpr int64_t kRun = 1024, kRows = 8;
  parallel_for(n, kRun, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    T sums[kRun];
    std::fill_n(sums, count, T(0));
    if (same) {
      type.tiles.axpys(count, k, left.as<T>(), reinterpret_cast<const T*>(call.b) + begin, call.b_row, sums);
    } else {
      const Scratch staged(size_t(kRows * count) * sizeof(T));
      for (int64_t p = 0; p < k; p += kRows) {
        const int64_t rows = std::min(kRows, k - p);
        for (int64_t r = 0; r < rows; r++)
          storage.load(call.b + ((p + r) * call.b_row + begin) * item, 1, count, staged.as<T>() + r * count);
        type.tiles.axpys(count, rows, left.as<T>() + p, staged.as<T>(), count, sums);
      }
    }
    storage.write(sums, count, 0, 1, begin, count, call);
  });
}

// Below 64 products an inner product is mostly its final sum across lanes; beyond four rows staging columns costs as
// much as packing them.
bool suits_dots(int64_t rows, int64_t along_k, const GemmCall& call) {
  return along_k == 1 && call.k >= 64 && rows <= (stored_as_computed(call.dtype) ? kFewRows : 4);
}

template <class T>
void multiply_large(const GemmCall& call, const TileType<T>& type, const StorageKernels& storage) {
  if (type.parts == 1) {
    if (call.n == 1 && call.m > 1) return multiply(transposed(call));
    if (call.m == 1 && call.b_col == 1 && call.n > 1) return multiply_axpys(call, type, storage);
    if (call.m == 1 || suits_dots(call.m, call.b_row, call)) return multiply_dots(call, type, storage);
    if (suits_dots(call.n, call.a_col, call) && call.m > kFewRows) return multiply(transposed(call));
    if (suits_unpacked(call)) return multiply_unpacked(call, type, storage);
  }
  if (call.c_col != 1 && call.c_row == 1) return multiply(transposed(call));
  if (type.parts == 1 && suits_wide(call, type.tiles.cols, sizeof(T))) return multiply_wide(call, type, storage);
  multiply_blocked(call, type, storage);
}

void multiply(const GemmCall& call) {
  if (call.m <= 0 || call.n <= 0) return;
  const GemmIsa& isa = gemm_isa();
  const StorageKernels& storage = isa.storage[int(call.dtype)];
  if (storage.small && call.k > 0 && call.m <= kSmallProduct && call.n <= kSmallProduct &&
      call.m * call.n <= kSmallProduct && call.m * call.n * call.k <= kSmallProduct)
    return storage.small(call);
  visit_tiles(isa, call.dtype, "addmm_impl_cpu_", [&](const auto& type) {
    if (call.k <= 0)
      write_nothing(call, storage);
    else
      multiply_large(call, type, storage);
  });
}

GemmCall item_of(const BatchedGemmCall& call, int64_t index, int64_t item) {
  GemmCall one = call;
  one.a += index * call.a_batch * item;
  one.b += index * call.b_batch * item;
  one.c += index * call.c_batch * item;
  return one;
}

void multiply_batch(const BatchedGemmCall& call) {
  const int64_t item = item_size(call.dtype);
  // one right-hand matrix for all: a single product with batch * m rows
  if (call.batch > 1 && call.b_batch == 0 && call.a_batch == call.m * call.a_row &&
      call.c_batch == call.m * call.c_row && call.bias_row == 0) {
    GemmCall whole = call;
    whole.m *= call.batch;
    return multiply(whole);
  }
  const int64_t products = std::max<int64_t>(1, call.m * call.n * call.k);
  if (call.batch >= 16 || products < 8 * kPieceProducts) {
    parallel_for(call.batch, std::max<int64_t>(1, 32768 / products), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) multiply(item_of(call, i, item));
    });
  } else {
    for (int64_t i = 0; i < call.batch; i++) multiply(item_of(call, i, item));
  }
}

template <class T>
void dot_typed(const DotCall& call, const TileType<T>& type, const StorageKernels& storage) {
  constexpr int64_t kPiece = 16384, kRun = 1024;
  const int64_t item = item_size(call.dtype), pieces = (call.n + kPiece - 1) / kPiece;
  const bool in_place = stored_as_computed(call.dtype) && call.a_stride == 1 && call.b_stride == 1;
  const Scratch partials(size_t(std::max<int64_t>(1, pieces)) * 2 * sizeof(T));
  T* const sums = partials.as<T>();
  parallel_for(call.n, kPiece, [&](int64_t begin, int64_t end) {
    T re = T(0), im = T(0);
    for (int64_t i = begin; i < end; i += kRun) {
      const int64_t run = std::min(kRun, end - i);
      const char *a = call.a + i * call.a_stride * item, *b = call.b + i * call.b_stride * item;
      T x[2 * kRun], y[2 * kRun], part[4];
      const auto add_products = [&](const T* left, const T* right) {
        if constexpr (std::is_same_v<T, float>)
          part[0] = TABULA_PICK(dot_line)(left, right, run);
        else
          type.real.dots(1, 1, run, left, run, right, run, part, 1);
        re = T(re + part[0]);
      };
      if (in_place) {
        add_products(reinterpret_cast<const T*>(a), reinterpret_cast<const T*>(b));
      } else if (type.parts == 1) {
        storage.load(a, call.a_stride, run, x);
        storage.load(b, call.b_stride, run, y);
        add_products(x, y);
      } else {
        // one panel as wide as the run: all real parts, then all imaginary ones
        storage.pack(a, call.a_stride, 1, run, run, 1, x, call.conj_a);
        storage.pack(b, call.b_stride, 1, run, run, 1, y, false);
        type.real.dots(2, 2, run, x, run, y, run, part, 2);
        re = T(re + (part[0] - part[3]));
        im = T(im + (part[1] + part[2]));
      }
    }
    sums[2 * (begin / kPiece)] = re;
    sums[2 * (begin / kPiece) + 1] = im;
  });
  T total[2] = {};
  for (int64_t i = 0; i < pieces; i++) {
    total[0] = T(total[0] + sums[2 * i]);
    total[1] = T(total[1] + sums[2 * i + 1]);
  }
  GemmCall out;
  out.dtype = call.dtype;
  out.c = call.out;
  storage.write(total, 2, 0, 1, 0, 1, out);
}

void dot_any(const DotCall& call) {
  const GemmIsa& isa = gemm_isa();
  visit_tiles(isa, call.dtype, "dot", [&](const auto& type) { dot_typed(call, type, isa.storage[int(call.dtype)]); });
}

}  // namespace

Kernel<void(const GemmCall&)> gemm("gemm", multiply);
Kernel<void(const BatchedGemmCall&)> batched_gemm("batched_gemm", multiply_batch);
Kernel<void(const DotCall&)> dot("dot", dot_any);

}  // namespace tabula::kernels
