// Products of a compressed sparse matrix with dense ones. Its lines are rows, or columns: then its indices are rows.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

struct CompressedMatrix {
  DType index_dtype;     // int32 or int64
  const void* pointers;  // [lines + 1]
  const void* indices;   // [nnz]
  int64_t lines, nnz;
  int64_t width;  // bound of the indices
};

// out[line] += value * dense[index], or with `scatter` out[index] += value * dense[line]. Matrices are row-major and
// have `columns` columns; out has as many rows as lines (scatter: as the width), all of which are written.
struct SparseTimesDenseCall {
  DType dtype;
  CompressedMatrix matrix;
  bool scatter;
  const void* values;
  const void* dense;
  int64_t columns;
  void* out;
};
extern Kernel<void(const SparseTimesDenseCall&)> sparse_times_dense;

// out[k] = the sum of by_line[line] * by_index[index] over `columns`, for each element k of the matrix.
struct SparseRowProductsCall {
  DType dtype;
  CompressedMatrix matrix;
  const void* by_line;
  const void* by_index;
  int64_t columns;
  void* out;
};
extern Kernel<void(const SparseRowProductsCall&)> sparse_row_products;

}  // namespace tabula::kernels
