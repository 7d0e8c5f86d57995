#include "kernels/sparse.h"

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "core/parallel.h"
#include "kernels/cpu/index_check.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kGrain = 32768;  // multiplications in a piece

// Pointers and indices come from users: nothing may be read through them before they are known to fit.
template <class I>
void check_matrix(const CompressedMatrix& m) {
  const I *pointers = static_cast<const I*>(m.pointers), *indices = static_cast<const I*>(m.indices);
  check(m.lines == 0 || (pointers[0] == 0 && pointers[m.lines] == m.nnz),
        "the compressed indices of a sparse tensor must begin with 0 and end with ", m.nnz);
  for (int64_t l = 0; l < m.lines; l++)
    check(pointers[l] <= pointers[l + 1], "the compressed indices of a sparse tensor must not fall");
  bool inside = true;
  for (int64_t k = 0; k < m.nnz; k++) inside &= indices[k] >= 0 && indices[k] < m.width;
  check(inside, "an index of a sparse tensor is out of range for a dimension of size ", m.width);
}

template <class F>
void with_index(const CompressedMatrix& m, F&& f) {
  if (m.index_dtype == DType::Int32) {
    check_matrix<int32_t>(m);
    f(static_cast<const int32_t*>(m.pointers), static_cast<const int32_t*>(m.indices));
  } else {
    check_matrix<int64_t>(m);
    f(static_cast<const int64_t*>(m.pointers), static_cast<const int64_t*>(m.indices));
  }
}

// to += factor * from. Of its own, so that the compiler vectorises it.
template <class C, class T>
void add_scaled(C* to, C factor, const T* from, int64_t n) {
  for (int64_t c = 0; c < n; c++) to[c] = C(to[c] + factor * convert<C>(from[c]));
}

template <class T, class I>
void gather_rows(const SparseTimesDenseCall& call, const I* pointers, const I* indices) {
  using C = compute_t<T>;
  const int64_t n = call.columns;
  const T *values = static_cast<const T*>(call.values), *dense = static_cast<const T*>(call.dense);
  T* const out = static_cast<T*>(call.out);
  const int64_t per_line = std::max<int64_t>(1, n * (1 + call.matrix.nnz / std::max<int64_t>(1, call.matrix.lines)));
  parallel_for(call.matrix.lines, std::max<int64_t>(1, kGrain / per_line), [&](int64_t begin, int64_t end) {
    const auto sums = std::make_unique_for_overwrite<C[]>(size_t(n));
    for (int64_t line = begin; line < end; line++) {
      std::fill(sums.get(), sums.get() + n, C(0));
      for (int64_t k = pointers[line]; k < pointers[line + 1]; k++)
        add_scaled(sums.get(), convert<C>(values[k]), dense + int64_t(indices[k]) * n, n);
      T* const to = out + line * n;
      for (int64_t c = 0; c < n; c++) to[c] = convert<T>(sums[size_t(c)]);
    }
  });
}

// Pieces own columns of the result, so that no two write to one place.
template <class T, class I>
void scatter_rows(const SparseTimesDenseCall& call, const I* pointers, const I* indices) {
  using C = compute_t<T>;
  const int64_t n = call.columns, rows = call.matrix.width;
  const T *values = static_cast<const T*>(call.values), *dense = static_cast<const T*>(call.dense);
  T* const out = static_cast<T*>(call.out);
  const int64_t per_column = std::max<int64_t>(1, call.matrix.nnz + rows);
  const int64_t grain = std::max<int64_t>(16, kGrain / per_column);
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    const int64_t width = end - begin;
    const auto sums = std::make_unique<C[]>(size_t(rows * width));
    for (int64_t line = 0; line < call.matrix.lines; line++)
      for (int64_t k = pointers[line]; k < pointers[line + 1]; k++)
        add_scaled(sums.get() + int64_t(indices[k]) * width, convert<C>(values[k]), dense + line * n + begin, width);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < width; c++) out[r * n + begin + c] = convert<T>(sums[size_t(r * width + c)]);
  });
}

void times_dense_cpu(const SparseTimesDenseCall& call) {
  with_index(call.matrix, [&](const auto* pointers, const auto* indices) {
    visit(call.dtype, "sparse_times_dense", [&]<class T>() {
      if (call.scatter)
        scatter_rows<T>(call, pointers, indices);
      else
        gather_rows<T>(call, pointers, indices);
    });
  });
}

void row_products_cpu(const SparseRowProductsCall& call) {
  with_index(call.matrix, [&](const auto* pointers, const auto* indices) {
    visit(call.dtype, "sparse_row_products", [&]<class T>() {
      using C = compute_t<T>;
      const int64_t n = call.columns;
      const T *by_line = static_cast<const T*>(call.by_line), *by_index = static_cast<const T*>(call.by_index);
      T* const out = static_cast<T*>(call.out);
      const int64_t per_line =
          std::max<int64_t>(1, n * (1 + call.matrix.nnz / std::max<int64_t>(1, call.matrix.lines)));
      parallel_for(call.matrix.lines, std::max<int64_t>(1, kGrain / per_line), [&](int64_t begin, int64_t end) {
        for (int64_t line = begin; line < end; line++) {
          for (int64_t k = pointers[line]; k < pointers[line + 1]; k++) {
            const T *a = by_line + line * n, *b = by_index + int64_t(indices[k]) * n;
            C sum(0);
            for (int64_t c = 0; c < n; c++) sum = C(sum + convert<C>(a[c]) * convert<C>(b[c]));
            out[k] = convert<T>(sum);
          }
        }
      });
    });
  });
}

}  // namespace

Kernel<void(const SparseTimesDenseCall&)> sparse_times_dense{"sparse_times_dense", times_dense_cpu};
Kernel<void(const SparseRowProductsCall&)> sparse_row_products{"sparse_row_products", row_products_cpu};

}  // namespace tabula::kernels
