// Orders of elements along a dimension. NaN counts as the largest value and equals itself; -0 equals 0. Real dtypes and
// bool; strides are in elements.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"
#include "core/small_vec.h"

namespace tabula::kernels {

// Results have the input's shape, but for the length along `dim`. A null pointer leaves a result out. The input must
// not overlap the results.
struct SortCall {
  DType dtype;
  IntList sizes;  // of the input
  int64_t dim;    // ignored for a 0-d input, which counts as one element
  const void* in;
  IntList in_strides;
  void* values;
  IntList value_strides;
  int64_t* indices;
  IntList index_strides;
};

// stable: equal elements keep their order, in both directions. Otherwise they come in the order that PyTorch's sort
// leaves behind.
extern Kernel<void(const SortCall&, bool descending, bool stable)> sort;
// Results are k long; 0 <= k <= the input's length. Unsorted ones come in the order of the selection.
extern Kernel<void(const SortCall&, int64_t k, bool largest, bool sorted)> topk;
// Results are 1 long, and the input at least 1.
extern Kernel<void(const SortCall&, int64_t k)> kthvalue;  // k counts from 1
extern Kernel<void(const SortCall&, bool ignore_nan)> median;
extern Kernel<void(const SortCall&)> mode;

// Distinct values of n contiguous elements. The results have room for n; `found` says how many were used.
struct UniqueCall {
  DType dtype;
  int64_t n;
  const void* in;
  void* values;
  int64_t* inverse;  // null: not wanted
  int64_t* counts;   // null: not wanted
};
extern Kernel<void(const UniqueCall&, int64_t& found)> unique;  // sorted
extern Kernel<void(const UniqueCall&, int64_t& found)> unique_consecutive;

// Distinct rows of a contiguous [rows, columns] matrix; first[g] is a row that represents group g. Sorted
// lexicographically, or in order of appearance when only neighbours are compared.
struct UniqueRowsCall {
  DType dtype;
  int64_t rows, columns;
  const void* in;
  int64_t* first;    // room for `rows`
  int64_t* inverse;  // null: not wanted
  int64_t* counts;   // null: not wanted
  bool consecutive;
};
extern Kernel<void(const UniqueRowsCall&, int64_t& found)> unique_rows;

// For each value the position in a row of `boundaries` before which it belongs (right: after equal ones). Contiguous
// rows; `boundary_rows` is 1 (shared) or `rows`. `sorter` (null: none) permutes each row. out is int64 or int32.
struct SearchCall {
  DType dtype;  // of boundaries and values
  const void* boundaries;
  int64_t boundary_rows, length;
  const int64_t* sorter;
  const void* values;
  int64_t rows, width;
  DType out_dtype;
  void* out;
  bool right;
};
extern Kernel<void(const SearchCall&)> searchsorted;

}  // namespace tabula::kernels
