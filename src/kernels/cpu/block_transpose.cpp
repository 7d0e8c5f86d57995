// Columns of memory into the rows of a block, by squares that fit the registers. Compiled once per instruction set.
#include "kernels/cpu/block_transpose.h"
#include "kernels/cpu/square.h"
#include "kernels/simd.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {
namespace {

template <class T>
struct Register {
  typedef T Lanes __attribute__((vector_size(TABULA_VECTOR_BYTES)));
};

template <class T>
void transpose(void* to, const void* from, const Rectangle& r) {
  constexpr int L = TABULA_VECTOR_BYTES / int(sizeof(T));
  T* const block = static_cast<T*>(to);
  const T* const columns = static_cast<const T*>(from);
  const int64_t whole_cols = r.cols / L * L, whole_rows = r.rows / L * L;
  for (int64_t j = 0; j < whole_cols; j += L) {
    const T* const column = columns + j * r.col_stride;
    const T* const ahead = column + r.cols * r.col_stride;  // the same columns of the block that most often comes next
    for (int64_t i = 0; i < whole_rows; i += L) {
      typename Register<T>::Lanes rows[L];
#pragma GCC unroll 16
      for (int k = 0; k < L; k++) {
        __builtin_prefetch(ahead + k * r.col_stride + i);
        std::memcpy(&rows[k], column + k * r.col_stride + i, sizeof rows[k]);
      }
      transpose_square(rows);
#pragma GCC unroll 16
      for (int k = 0; k < L; k++) std::memcpy(block + (i + k) * r.cols + j, &rows[k], sizeof rows[k]);
    }
    for (int64_t i = whole_rows; i < r.rows; i++)
      for (int k = 0; k < L; k++) block[i * r.cols + j + k] = column[k * r.col_stride + i];
  }
  for (int64_t j = whole_cols; j < r.cols; j++)
    for (int64_t i = 0; i < r.rows; i++) block[i * r.cols + j] = columns[j * r.col_stride + i];
}

}  // namespace

void define_transposes(TransposeTable& table) {
  table.four = transpose<uint32_t>;
  table.eight = transpose<uint64_t>;
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
