// Triangular factors and the solvers that use them.
#include <cmath>

#include "kernels/cpu/lapack_batch.h"

namespace tabula::kernels {
namespace {

template <class T>
T conjugate(T x) {
  if constexpr (is_complex_v<T>)
    return std::conj(x);
  else
    return x;
}
double cube(int64_t n) { return double(n) * double(n) * double(n); }

// OpenBLAS compares pivots in a way that lets NaN pass. An infinite pivot makes NaN of the next one.
template <class T>
int32_t first_not_a_number(const T* factor, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const double pivot = real_number(factor[i + i * n]);
    if (!(pivot > 0)) return int32_t(i + 1);
    if (std::isinf(pivot) && i + 1 < n) return int32_t(i + 2);
  }
  return 0;
}

void run_cholesky(const LapackCall& call) {
  const int64_t n = call.n;
  visit_lapack(call.dtype, [&]<class T>() {
    each_matrix(call, cube(n) / 3, [&](const LapackLibrary& library, int64_t i) {
      T* a = nth<T>(call.a, i, n * n);
      LapackInt order(n), info;
      lapack<T>(library, Routine::potrf, call.upper ? 'U' : 'L', order, a, order, info);
      call.info[i] = info.result() ? info.result() : first_not_a_number(a, n);
      for (int64_t column = 0; column < n; column++) {
        T* const start = a + column * n;
        if (call.upper)
          std::fill(start + column + 1, start + n, T(0));
        else
          std::fill(start, start + column, T(0));
      }
    });
  });
}

void run_cholesky_inverse(const LapackCall& call) {
  const int64_t n = call.n;
  visit_lapack(call.dtype, [&]<class T>() {
    each_matrix(call, cube(n), [&](const LapackLibrary& library, int64_t i) {
      T* a = nth<T>(call.a, i, n * n);
      LapackInt order(n), info;
      lapack<T>(library, Routine::potri, call.upper ? 'U' : 'L', order, a, order, info);
      call.info[i] = info.result();
      for (int64_t column = 0; column < n; column++)
        for (int64_t row = column + 1; row < n; row++) {
          T &low = a[row + column * n], &high = a[column + row * n];
          (call.upper ? low : high) = conjugate(call.upper ? high : low);
        }
    });
  });
}

void run_cholesky_solve(const LapackCall& call) {
  const int64_t n = call.n, k = call.k;
  visit_lapack(call.dtype, [&]<class T>() {
    each_matrix(call, 2.0 * double(n) * double(n) * double(k), [&](const LapackLibrary& library, int64_t i) {
      LapackInt order(n), columns(k), info;
      lapack<T>(library, Routine::potrs, call.upper ? 'U' : 'L', order, columns, nth<T>(call.a, i, n * n), order,
                nth<T>(call.b, i, n * k), order, info);
    });
  });
}

void run_lu_factor(const LapackCall& call) {
  const int64_t m = call.m, n = call.n, inner = std::min(m, n);
  visit_lapack(call.dtype, [&]<class T>() {
    each_matrix(call, double(m) * double(n) * double(inner), [&](const LapackLibrary& library, int64_t i) {
      LapackInt rows(m), columns(n), info;
      Pivots pivots(library, call.pivots + i * inner, inner);
      lapack<T>(library, Routine::getrf, rows, columns, nth<T>(call.a, i, m * n), rows, pivots.data(), info);
      pivots.store();
      call.info[i] = info.result();
    });
  });
}

void run_lu_solve(const LapackCall& call) {
  const int64_t n = call.n, k = call.k;
  visit_lapack(call.dtype, [&]<class T>() {
    each_matrix(call, 2.0 * double(n) * double(n) * double(k), [&](const LapackLibrary& library, int64_t i) {
      LapackInt order(n), columns(k), info;
      Pivots pivots(library, call.pivots + i * n, n);
      pivots.load();
      lapack<T>(library, Routine::getrs, call.trans, order, columns, nth<T>(call.a, i, n * n), order, pivots.data(),
                nth<T>(call.b, i, n * k), order, info);
    });
  });
}

void run_lu_inverse(const LapackCall& call) {
  const int64_t n = call.n;
  visit_lapack(call.dtype, [&]<class T>() {
    each_matrix(call, 2 * cube(n), [&](const LapackLibrary& library, int64_t i) {
      T *const a = nth<T>(call.a, i, n * n), *const b = nth<T>(call.b, i, n * n);
      LapackInt order(n), info;
      Pivots pivots(library, call.pivots + i * n, n);
      pivots.load();
      if (call.info[i]) {
        std::fill_n(b, n * n, T(0));
        for (int64_t j = 0; j < n; j++) b[j + j * n] = T(1);
        lapack<T>(library, Routine::getrs, 'N', order, order, a, order, pivots.data(), b, order, info);
        return;
      }
      std::copy_n(a, n * n, b);
      const auto run = [&](T* work, LapackInt& size) {
        lapack<T>(library, Routine::getri, order, b, order, pivots.data(), work, size, info);
      };
      LapackInt size = asked_size<T>(run);
      run(memory<T>(size.value).template as<T>(), size);
    });
  });
}

void run_triangular_solve(const LapackCall& call) {
  const int64_t m = call.m, n = call.n, order = call.left ? m : n;
  visit_lapack(call.dtype, [&]<class T>() {
    each_matrix(call, double(m) * double(n) * double(order), [&](const LapackLibrary& library, int64_t i) {
      LapackInt rows(m), columns(n), leading(order);
      T one(1);
      lapack<T>(library, Routine::trsm, call.left ? 'L' : 'R', call.upper ? 'U' : 'L', call.trans,
                call.unit ? 'U' : 'N', rows, columns, &one, nth<T>(call.a, i, order * order), leading,
                nth<T>(call.b, i, m * n), rows);
    });
  });
}

void run_ldl_factor(const LapackCall& call) {
  const int64_t n = call.n;
  visit_lapack(call.dtype, [&]<class T>() {
    const Routine routine = call.hermitian && is_complex_v<T> ? Routine::hetrf : Routine::sytrf;
    each_matrix(call, cube(n) / 3, [&](const LapackLibrary& library, int64_t i) {
      T* a = nth<T>(call.a, i, n * n);
      LapackInt order(n), info;
      Pivots pivots(library, call.pivots + i * n, n);
      const auto run = [&](T* work, LapackInt& size) {
        lapack<T>(library, routine, 'L', order, a, order, pivots.data(), work, size, info);
      };
      LapackInt size = asked_size<T>(run);
      run(memory<T>(size.value).template as<T>(), size);
      pivots.store();
      call.info[i] = info.result();
    });
  });
}

void run_ldl_solve(const LapackCall& call) {
  const int64_t n = call.n, k = call.k;
  visit_lapack(call.dtype, [&]<class T>() {
    const Routine routine = call.hermitian && is_complex_v<T> ? Routine::hetrs : Routine::sytrs;
    each_matrix(call, 2.0 * double(n) * double(n) * double(k), [&](const LapackLibrary& library, int64_t i) {
      LapackInt order(n), columns(k), info;
      Pivots pivots(library, call.pivots + i * n, n);
      pivots.load();
      lapack<T>(library, routine, 'L', order, columns, nth<T>(call.a, i, n * n), order, pivots.data(),
                nth<T>(call.b, i, n * k), order, info);
    });
  });
}

void run_pivot_order(const PivotCall& call) {
  std::vector<int64_t> order(size_t(call.rows));
  for (int64_t b = 0; b < call.batch; b++) {
    for (int64_t i = 0; i < call.rows; i++) order[size_t(i)] = i;
    for (int64_t i = 0; i < call.count; i++)
      std::swap(order[size_t(i)], order[size_t(call.pivots[b * call.count + i] - 1)]);
    int64_t* const to = call.order + b * call.rows;
    for (int64_t i = 0; i < call.rows; i++) {
      const int64_t row = order[size_t(i)];
      (call.inverse ? to[row] : to[i]) = call.inverse ? i : row;
    }
  }
}

}  // namespace

Kernel<void(const PivotCall&)> pivot_order{"pivot_order", run_pivot_order};
LapackKernel cholesky{"cholesky", run_cholesky};
LapackKernel cholesky_inverse{"cholesky_inverse", run_cholesky_inverse};
LapackKernel cholesky_solve{"cholesky_solve", run_cholesky_solve};
LapackKernel lu_factor{"lu_factor", run_lu_factor};
LapackKernel lu_solve{"lu_solve", run_lu_solve};
LapackKernel lu_inverse{"lu_inverse", run_lu_inverse};
LapackKernel triangular_solve{"triangular_solve", run_triangular_solve};
LapackKernel ldl_factor{"ldl_factor", run_ldl_factor};
LapackKernel ldl_solve{"ldl_solve", run_ldl_solve};

}  // namespace tabula::kernels
