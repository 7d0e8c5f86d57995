// Orthogonal factors, eigenvalues, singular values and least squares.
#include "kernels/cpu/lapack_batch.h"

namespace tabula::kernels {
namespace {

void run_geqrf(const LapackCall& call) {
  const int64_t m = call.m, n = call.n, inner = std::min(m, n);
  visit_lapack(call.dtype, [&]<class T>() {
    each_matrix(call, 2.0 * double(m) * double(n) * double(inner), [&](const LapackLibrary& library, int64_t i) {
      LapackInt rows(m), columns(n), leading(std::max<int64_t>(1, m)), info;
      T *const a = nth<T>(call.a, i, m * n), *const tau = nth<T>(call.b, i, inner);
      const auto run = [&](T* work, LapackInt& size) {
        lapack<T>(library, Routine::geqrf, rows, columns, a, leading, tau, work, size, info);
      };
      LapackInt size = asked_size<T>(run);
      run(memory<T>(size.value).template as<T>(), size);
    });
  });
}

void run_orgqr(const LapackCall& call) {
  const int64_t m = call.m, n = call.n, k = call.k;
  visit_lapack(call.dtype, [&]<class T>() {
    each_matrix(call, 2.0 * double(m) * double(n) * double(std::max<int64_t>(k, 1)),
                [&](const LapackLibrary& library, int64_t i) {
                  LapackInt rows(m), columns(n), reflections(k), leading(std::max<int64_t>(1, m)), info;
                  T *const a = nth<T>(call.a, i, m * n), *const tau = nth<T>(call.b, i, k);
                  const auto run = [&](T* work, LapackInt& size) {
                    lapack<T>(library, Routine::orgqr, rows, columns, reflections, a, leading, tau, work, size, info);
                  };
                  LapackInt size = asked_size<T>(run);
                  run(memory<T>(size.value).template as<T>(), size);
                });
  });
}

void run_ormqr(const LapackCall& call) {
  const int64_t m = call.m, n = call.n, k = call.k, order = call.left ? m : n;
  visit_lapack(call.dtype, [&]<class T>() {
    const char trans = call.trans == 'N' ? 'N' : is_complex_v<T> ? 'C' : 'T';
    each_matrix(call, 2.0 * double(m) * double(n) * double(k), [&](const LapackLibrary& library, int64_t i) {
      LapackInt rows(m), columns(n), reflections(k), leading(std::max<int64_t>(1, order)),
          leading_c(std::max<int64_t>(1, m)), info;
      T *const a = nth<T>(call.a, i, order * k), *const tau = nth<T>(call.b, i, k), *const c = nth<T>(call.c, i, m * n);
      const auto run = [&](T* work, LapackInt& size) {
        lapack<T>(library, Routine::ormqr, call.left ? 'L' : 'R', trans, rows, columns, reflections, a, leading, tau, c,
                  leading_c, work, size, info);
      };
      LapackInt size = asked_size<T>(run);
      run(memory<T>(size.value).template as<T>(), size);
    });
  });
}

void run_eigh(const LapackCall& call) {
  const int64_t n = call.n;
  visit_lapack(call.dtype, [&]<class T>() {
    using S = real_of<T>;
    const char job = call.vectors ? 'V' : 'N', triangle = call.upper ? 'U' : 'L';
    each_matrix(call, 9.0 * double(n) * double(n) * double(n), [&](const LapackLibrary& library, int64_t i) {
      LapackInt order(n), info;
      T* const a = nth<T>(call.a, i, n * n);
      S* const w = nth<S>(call.b, i, n);
      T best(1);
      S best_real(1);
      LapackInt best_integer(1), query(-1);
      const auto run = [&](T* work, LapackInt& size, S* real_work, LapackInt& real_size, int64_t* integers,
                           LapackInt& integer_size) {
        if constexpr (is_complex_v<T>)
          lapack<T>(library, Routine::syevd, job, triangle, order, a, order, w, work, size, real_work, real_size,
                    integers, integer_size, info);
        else
          lapack<T>(library, Routine::syevd, job, triangle, order, a, order, w, work, size, integers, integer_size,
                    info);
      };
      run(&best, query, &best_real, query, &best_integer.value, query);
      LapackInt size = int64_t(real_number(best)), real_size = int64_t(best_real), integer_size = best_integer.result();
      const Scratch work = memory<T>(size.value), real_work = memory<S>(real_size.value),
                    integers = memory<int64_t>(integer_size.value);
      run(work.as<T>(), size, real_work.as<S>(), real_size, integers.as<int64_t>(), integer_size);
      call.info[i] = info.result();
    });
  });
}

// Conjugate pairs of eigenvectors of a real matrix are stored as a real and an imaginary column.
template <class S>
void join_pairs(int64_t n, const S* real, const S* imaginary, const S* packed, std::complex<S>* values,
                std::complex<S>* vectors) {
  for (int64_t j = 0; j < n; j++) values[j] = {real[j], imaginary[j]};
  if (!vectors) return;
  for (int64_t j = 0; j < n; j++) {
    const bool pair = imaginary[j] != S(0) && j + 1 < n;
    for (int64_t row = 0; row < n; row++) {
      const S first = packed[row + j * n];
      vectors[row + j * n] = {first, pair ? packed[row + (j + 1) * n] : S(0)};
      if (pair) vectors[row + (j + 1) * n] = std::conj(vectors[row + j * n]);
    }
    if (pair) j++;
  }
}

void run_eig(const LapackCall& call) {
  const int64_t n = call.n;
  visit_lapack(call.dtype, [&]<class T>() {
    using S = real_of<T>;
    using C = std::complex<S>;
    const char job = call.vectors ? 'V' : 'N';
    each_matrix(call, 25.0 * double(n) * double(n) * double(n), [&](const LapackLibrary& library, int64_t i) {
      LapackInt order(n), one(1), info;
      T* const a = nth<T>(call.a, i, n * n);
      C *const values = nth<C>(call.b, i, n), *const vectors = nth<C>(call.c, i, n * n);
      if constexpr (is_complex_v<T>) {
        const Scratch real_work = memory<S>(2 * n);
        const auto run = [&](T* work, LapackInt& size) {
          lapack<T>(library, Routine::geev, 'N', job, order, a, order, values, a, one, call.vectors ? vectors : a,
                    order, work, size, real_work.as<S>(), info);
        };
        LapackInt size = asked_size<T>(run);
        run(memory<T>(size.value).template as<T>(), size);
      } else {
        const Scratch parts = memory<S>(2 * n), packed = memory<S>(call.vectors ? n * n : 1);
        S *const real = parts.as<S>(), *const imaginary = real + n;
        const auto run = [&](T* work, LapackInt& size) {
          lapack<T>(library, Routine::geev, 'N', job, order, a, order, real, imaginary, a, one, packed.as<S>(), order,
                    work, size, info);
        };
        LapackInt size = asked_size<T>(run);
        run(memory<T>(size.value).template as<T>(), size);
        if (info.result() == 0)
          join_pairs(n, real, imaginary, packed.as<S>(), values, call.vectors ? vectors : nullptr);
      }
      call.info[i] = info.result();
    });
  });
}

void run_svd(const LapackCall& call) {
  const int64_t m = call.m, n = call.n, low = std::min(m, n), high = std::max(m, n);
  visit_lapack(call.dtype, [&]<class T>() {
    using S = real_of<T>;
    const char job = !call.vectors ? 'N' : call.full ? 'A' : 'S';
    const int64_t u_columns = call.full ? m : low, v_rows = call.full ? n : low;
    const int64_t real_count = !is_complex_v<T> ? 1
                               : call.vectors   ? low * std::max(5 * low + 7, 2 * high + 2 * low + 1)
                                                : 7 * low;
    each_matrix(call, 20.0 * double(m) * double(n) * double(low), [&](const LapackLibrary& library, int64_t i) {
      LapackInt rows(m), columns(n), leading_v(v_rows), info;
      T *const a = nth<T>(call.a, i, m * n), *const u = call.vectors ? nth<T>(call.c, i, m * u_columns) : a,
               *const v = call.vectors ? nth<T>(call.d, i, v_rows * n) : a;
      S* const s = nth<S>(call.b, i, low);
      const Scratch real_work = memory<S>(real_count), integers = memory<int64_t>(8 * low);
      const auto run = [&](T* work, LapackInt& size) {
        if constexpr (is_complex_v<T>)
          lapack<T>(library, Routine::gesdd, job, rows, columns, a, rows, s, u, rows, v, leading_v, work, size,
                    real_work.as<S>(), integers.as<int64_t>(), info);
        else
          lapack<T>(library, Routine::gesdd, job, rows, columns, a, rows, s, u, rows, v, leading_v, work, size,
                    integers.as<int64_t>(), info);
      };
      LapackInt size = asked_size<T>(run);
      run(memory<T>(size.value).template as<T>(), size);
      call.info[i] = info.result();
    });
  });
}

void run_lstsq(const LstsqCall& call) {
  const int64_t m = call.m, n = call.n, k = call.k, low = std::min(m, n), high = std::max(m, n);
  visit_lapack(call.dtype, [&]<class T>() {
    using S = real_of<T>;
    each_matrix(call, 4.0 * double(m) * double(n) * double(low), [&](const LapackLibrary& library, int64_t i) {
      LapackInt rows(m), columns(n), sides(k), leading_a(std::max<int64_t>(1, m)),
          leading_b(std::max<int64_t>(1, high)), rank, info;
      T *const a = nth<T>(call.a, i, m * n), *const b = nth<T>(call.b, i, high * k);
      S *const s = nth<S>(call.c, i, low), limit = S(call.rcond);
      int64_t integer_count = n;
      int64_t real_count = call.driver == LstsqDriver::gelsy ? 2 * n : 5 * low;
      if (call.driver == LstsqDriver::gelsd) {
        // The sizes that gelsd's documentation gives: its tree of subproblems ends at 25 unknowns.
        int64_t levels = 0;
        for (int64_t left = low / 26; left > 0; left /= 2) levels++;
        levels++;
        integer_count = 3 * low * levels + 11 * low;
        real_count = 10 * high + 2 * high * 25 + 8 * high * levels + 3 * 25 * k +
                     std::max<int64_t>(26 * 26, high * (1 + k) + 2 * k);
      }
      const Scratch integers = memory<int64_t>(integer_count), real_work = memory<S>(is_complex_v<T> ? real_count : 1);
      std::fill_n(integers.as<int64_t>(), integer_count, 0);  // for gelsy: every column may be exchanged
      const auto run = [&](T* work, LapackInt& size) {
        if (call.driver == LstsqDriver::gels) {
          lapack<T>(library, Routine::gels, 'N', rows, columns, sides, a, leading_a, b, leading_b, work, size, info);
        } else if constexpr (is_complex_v<T>) {
          if (call.driver == LstsqDriver::gelsy)
            lapack<T>(library, Routine::gelsy, rows, columns, sides, a, leading_a, b, leading_b, integers.as<int64_t>(),
                      &limit, rank, work, size, real_work.as<S>(), info);
          else if (call.driver == LstsqDriver::gelsd)
            lapack<T>(library, Routine::gelsd, rows, columns, sides, a, leading_a, b, leading_b, s, &limit, rank, work,
                      size, real_work.as<S>(), integers.as<int64_t>(), info);
          else
            lapack<T>(library, Routine::gelss, rows, columns, sides, a, leading_a, b, leading_b, s, &limit, rank, work,
                      size, real_work.as<S>(), info);
        } else {
          if (call.driver == LstsqDriver::gelsy)
            lapack<T>(library, Routine::gelsy, rows, columns, sides, a, leading_a, b, leading_b, integers.as<int64_t>(),
                      &limit, rank, work, size, info);
          else if (call.driver == LstsqDriver::gelsd)
            lapack<T>(library, Routine::gelsd, rows, columns, sides, a, leading_a, b, leading_b, s, &limit, rank, work,
                      size, integers.as<int64_t>(), info);
          else
            lapack<T>(library, Routine::gelss, rows, columns, sides, a, leading_a, b, leading_b, s, &limit, rank, work,
                      size, info);
        }
      };
      LapackInt size = asked_size<T>(run);
      rank = 0;
      run(memory<T>(size.value).template as<T>(), size);
      if (call.rank) call.rank[i] = rank.result();
      call.info[i] = info.result();
    });
  });
}

}  // namespace

LapackKernel geqrf{"geqrf", run_geqrf};
LapackKernel orgqr{"orgqr", run_orgqr};
LapackKernel ormqr{"ormqr", run_ormqr};
LapackKernel eigh{"eigh", run_eigh};
LapackKernel eig{"eig", run_eig};
LapackKernel svd{"svd", run_svd};
Kernel<void(const LstsqCall&)> lstsq{"lstsq", run_lstsq};

}  // namespace tabula::kernels
