// The inner loops of matrix products, compiled once per instruction set; the blocking around them is compiled once.
#pragma once

#include <cstdint>

#include "kernels/gemm.h"

namespace tabula::kernels {

// How an accumulated value becomes an element of c. Bias pointers belong to the block's first row and column.
template <class T>
struct Finish {
  T alpha = 1, beta = 0;
  const T* row_bias = nullptr;
  const T* col_bias = nullptr;
  bool relu = false;
};

// A stretch of a convolution's columns: elements [low, high) of `length` are source[from + i * step], the others zero.
// Where runs fit one register, `lanes` says which elements those are, bit by bit: with a step of one they need not be
// neighbours, and low and high are not read.
struct ColumnRun {
  int64_t from;
  int32_t to, low, high, length;
  uint32_t lanes;
};

// Products of blocks that are in the cache. Packed a: panels of panel_rows() rows, each [k][rows]; the panel of row i
// begins at i * k. Packed b: panels of `cols` columns, zero-padded, each [k][cols]; the panel of column j begins at
// j * k. Complex panels hold [k][2][rows]: real parts, then imaginary parts, and c's imaginary parts begin ldc / 2
// after the real ones.
template <class T>
struct TileKernels {
  int rows, cols;
  void (*packed)(int64_t m, int64_t n, int64_t k, const T* a, const T* b, T* c, int64_t ldc, const Finish<T>& finish);
  // b is not packed but has rows b_k apart, readable up to whole vectors. Null if complex.
  void (*rows_of_b)(int64_t m, int64_t n, int64_t k, const T* a, const T* b, int64_t b_k, T* c, int64_t ldc,
                    const Finish<T>& finish);
  // a is read in place, b from panels of `cols` columns that lie b_panel apart with rows b_k apart. Null if complex.
  void (*direct)(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_k, const T* b, int64_t b_panel,
                 int64_t b_k, T* c, int64_t ldc, const Finish<T>& finish);
  // out[i * ldo + j] = sum over p of a[i * a_row + p] * b[j * b_row + p]. Null if complex.
  void (*dots)(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, const T* b, int64_t b_row, T* out,
               int64_t ldo);
  // out[j] += sum over p of x[p] * b[p * b_row + j]. Null if complex.
  void (*axpys)(int64_t n, int64_t k, const T* x, const T* b, int64_t b_row, T* out);
  // out[i] = sum over t of weights[t] * source[offsets[t] + i]. Null if complex.
  void (*taps)(int64_t n, int64_t taps, const T* source, const int64_t* offsets, const T* weights, T* out);
  // Fills the runs, none of which may be longer than `longest_run`. Null if complex.
  void (*columns)(const ColumnRun* runs, int64_t count, const T* source, int64_t step, T* to);
  int64_t longest_run;
};

// The height of the panel that begins where `left` rows are left of a block.
constexpr int64_t panel_rows(int64_t left, int64_t rows) {
  return left >= rows ? rows : left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

// Storage to compute type and back: one entry per dtype that has matrix products.
struct StorageKernels {
  // Lines of k elements become one panel [k][width] in the compute type; lines beyond `lines` are zero.
  void (*pack)(const char* source, int64_t line_stride, int64_t k_stride, int64_t lines, int64_t width, int64_t k,
               void* panel, bool conj);
  // A strided run in the compute type (complex: interleaved as stored).
  void (*load)(const char* source, int64_t stride, int64_t n, void* out);
  // c = epilogue(alpha * tile + beta * c + bias), element by element; `ldt` as ldc above.
  void (*write)(const void* tile, int64_t ldt, int64_t row, int64_t m, int64_t col, int64_t n, const GemmCall& call);
  // A whole product of a few thousand multiplications, without packing or scratch memory; null where there is none.
  void (*small)(const GemmCall& call);
};

struct GemmIsa {
  const char* name;
  TileKernels<float> f32;
  TileKernels<double> f64;
  TileKernels<uint16_t> u16;
  TileKernels<uint32_t> u32;
  TileKernels<uint64_t> u64;
  TileKernels<float> complex64;
  TileKernels<double> complex128;
  StorageKernels storage[kDTypes];
};

inline constexpr int64_t kSmallProduct = 4096;

const GemmIsa& gemm_isa_baseline();
const GemmIsa& gemm_isa_avx2();
const GemmIsa& gemm_isa_avx512();

// The best one this processor runs; TABULA_ISA=baseline|avx2|avx512 in the environment lowers it for tests.
const GemmIsa& gemm_isa();

}  // namespace tabula::kernels
