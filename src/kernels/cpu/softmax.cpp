// Rows that lie in one piece (inner == 1) are done while they are in the L1 cache; otherwise columns go side by side in
// tiles. Halves are computed in float: rows are staged through a buffer.
#include <algorithm>
#include <memory>

#include "core/parallel.h"
#include "kernels/cpu/reduce_isa.h"
#include "kernels/cpu/softmax_isa.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

constexpr int64_t kPiece = 16384;  // elements of a piece of parallel work
constexpr int64_t kWidth = 256;    // columns of a tile
constexpr int64_t kSumBlock = 4096;

// A NaN may get lost here: its exponential makes the sum, and with it every result, a NaN all the same.
template <class C>
[[gnu::always_inline]] inline auto greater(auto best, auto x) {
  return x > best ? x : best;
}

template <class C>
C row_max(const C* p, int64_t n) {
  constexpr int L = kLanes<C>;
  V<C> a = splat(p[0]), b = a;
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    a = greater<C>(a, load(p + i));
    b = greater<C>(b, load(p + i + L));
  }
  for (; i < n; i += L) a = greater<C>(a, i + L <= n ? load(p + i) : load_part(p + i, n - i, p[i]));
  return fold_lanes<C, kVecBytes>(greater<C>(a, b), [](auto x, auto y) { return greater<C>(x, y); });
}

template <class C>
[[gnu::always_inline]] inline V<C> take(const C* p, int64_t left, C fill = C(0)) {
  return left >= kLanes<C> ? load(p) : load_part(p, left, fill);
}
template <class C>
[[gnu::always_inline]] inline void put(C* p, V<C> v, int64_t left) {
  if (left >= kLanes<C>)
    store(p, v);
  else
    std::memcpy(p, &v, size_t(left) * sizeof(C));
}

// Sum of exp(x - top); the terms go to out unless it is null. Blocks are added up in double.
template <class C>
double row_exp(const C* p, int64_t n, C top, C* out) {
  constexpr int L = kLanes<C>;
  double total = 0;
  for (int64_t done = 0; done < n; done += kSumBlock) {
    const int64_t end = std::min(done + kSumBlock, n);
    V<C> a{}, b{};
    int64_t i = done;
    for (; i + 2 * L <= end; i += 2 * L) {
      const V<C> x = exp_v<C>(load(p + i) - top), y = exp_v<C>(load(p + i + L) - top);
      a += x;
      b += y;
      if (out) {
        store(out + i, x);
        store(out + i + L, y);
      }
    }
    for (; i < end; i += L) {
      // lanes past the end hold -inf, whose exp is 0; where top is infinite the sum is NaN with or without them
      const V<C> x = exp_v<C>(take(p + i, end - i, -std::numeric_limits<C>::infinity()) - top);
      a += x;
      if (out) put(out + i, x, end - i);
    }
    total += sum_lanes<C>(a + b);
  }
  return total;
}

// A row that `count` vectors hold.
template <class C, int count>
[[gnu::always_inline]] inline void short_row(const C* x, int64_t n, C* y, bool log) {
  constexpr int L = kLanes<C>;
  V<C> v[count], e[count];
  V<C> most{}, total{};
  for (int k = 0; k < count; k++) {
    __builtin_prefetch(reinterpret_cast<const char*>(x + k * L) + kPrefetchAhead);
    v[k] = k + 1 < count ? load(x + k * L) : take(x + k * L, n - k * L, -std::numeric_limits<C>::infinity());
    most = k == 0 ? v[k] : V<C>(greater<C>(most, v[k]));
  }
  const C top = fold_lanes<C, kVecBytes>(most, [](auto a, auto b) { return greater<C>(a, b); });
  for (int k = 0; k < count; k++) {
    v[k] -= top;
    e[k] = exp_v<C>(v[k]);
    total = k == 0 ? e[k] : total + e[k];
  }
  const C sum = sum_lanes<C>(total);
  const C change = log ? C(std::log(sum)) : C(1) / sum;
  for (int k = 0; k < count; k++) {
    const V<C> result = log ? v[k] - change : e[k] * change;
    if (k + 1 < count)
      store(y + k * L, result);
    else
      put(y + k * L, result, n - k * L);
  }
}

template <class C>
void forward_row(const C* x, int64_t n, C* y, bool log) {
  constexpr int L = kLanes<C>;
  if (n <= L) return short_row<C, 1>(x, n, y, log);
  if (n <= 2 * L) return short_row<C, 2>(x, n, y, log);
  if (n <= 4 * L && n > 3 * L) return short_row<C, 4>(x, n, y, log);
  const C top = row_max(x, n);
  if (log) {
    const C shift = C(std::log(row_exp<C>(x, n, top, nullptr)));
    for (int64_t i = 0; i < n; i++) y[i] = x[i] - top - shift;
  } else {
    const C scale = C(1 / row_exp(x, n, top, y));
    for (int64_t i = 0; i < n; i++) y[i] *= scale;
  }
}

// g: gradient of the output, y: the output.
template <class C>
void backward_row(const C* g, const C* y, int64_t n, C* dx, bool log) {
  constexpr int L = kLanes<C>;
  V<C> a{}, b{};
  int64_t i = 0;
  auto term = [&](int64_t at, int64_t count) {
    if (count >= L) return log ? load(g + at) : load(g + at) * load(y + at);
    const V<C> part = load_part(g + at, count, C(0));
    return log ? part : part * load_part(y + at, count, C(0));
  };
  for (; i + 2 * L <= n; i += 2 * L) {
    a += term(i, L);
    b += term(i + L, L);
  }
  for (; i < n; i += L) a += term(i, n - i);
  const C sum = sum_lanes<C>(a + b);
  if (log) {
    for (i = 0; i + L <= n; i += L) store(dx + i, load(g + i) - exp_v<C>(load(y + i)) * sum);
    if (i < n) put(dx + i, load_part(g + i, n - i, C(0)) - exp_v<C>(load_part(y + i, n - i, C(0))) * sum, n - i);
  } else {
    for (i = 0; i < n; i++) dx[i] = (g[i] - sum) * y[i];
  }
}

// A row as values of the compute type: in place where it is one already, else in `buffer`.
template <class C>
const C* staged(DType dtype, const char* base, int64_t first, int64_t n, C* buffer) {
  if (dtype == dtype_of<C>) return reinterpret_cast<const C*>(base) + first;
  visit(dtype, "softmax", [&]<class S>() { read_block(reinterpret_cast<const S*>(base) + first, 1, n, buffer); });
  return buffer;
}
template <class C>
void unstage(DType dtype, char* base, int64_t first, int64_t n, const C* buffer) {
  visit_floating(dtype, "softmax", [&]<class S>() { write_block(buffer, n, reinterpret_cast<S*>(base) + first); });
}

template <class C>
void forward_rows(const SoftmaxCall& call) {
  const int64_t n = call.dim;
  const bool direct_out = call.out_dtype == dtype_of<C>;
  parallel_for(call.outer, std::max<int64_t>(1, kPiece / n), [&](int64_t begin, int64_t end) {
    std::unique_ptr<C[]> in, out;
    if (call.in_dtype != dtype_of<C>) in = std::make_unique_for_overwrite<C[]>(size_t(n));
    if (!direct_out) out = std::make_unique_for_overwrite<C[]>(size_t(n));
    for (int64_t r = begin; r < end; r++) {
      const C* x = staged(call.in_dtype, call.in, r * n, n, in.get());
      forward_row(x, n, direct_out ? reinterpret_cast<C*>(call.out) + r * n : out.get(), call.log);
      if (!direct_out) unstage(call.out_dtype, call.out, r * n, n, out.get());
    }
  });
}

template <class C>
void backward_rows(const SoftmaxCall& call) {
  const int64_t n = call.dim;
  const bool direct_out = call.out_dtype == dtype_of<C>;
  parallel_for(call.outer, std::max<int64_t>(1, kPiece / n), [&](int64_t begin, int64_t end) {
    std::unique_ptr<C[]> in, result, out;
    if (call.in_dtype != dtype_of<C>) in = std::make_unique_for_overwrite<C[]>(size_t(n));
    if (call.result_dtype != dtype_of<C>) result = std::make_unique_for_overwrite<C[]>(size_t(n));
    if (!direct_out) out = std::make_unique_for_overwrite<C[]>(size_t(n));
    for (int64_t r = begin; r < end; r++) {
      const C* g = staged(call.in_dtype, call.in, r * n, n, in.get());
      const C* y = staged(call.result_dtype, call.result, r * n, n, result.get());
      backward_row(g, y, n, direct_out ? reinterpret_cast<C*>(call.out) + r * n : out.get(), call.log);
      if (!direct_out) unstage(call.out_dtype, call.out, r * n, n, out.get());
    }
  });
}

// Calls f(first element, columns) for tiles of columns. Elements of a column are call.inner apart.
template <class F>
void each_tile(const SoftmaxCall& call, F f) {
  const int64_t across = (call.inner + kWidth - 1) / kWidth;
  const int64_t grain = std::max<int64_t>(1, kPiece / (call.dim * std::min(call.inner, kWidth)));
  parallel_for(call.outer * across, grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t first = t % across * kWidth;
      f(t / across * call.dim * call.inner + first, std::min(kWidth, call.inner - first));
    }
  });
}

// Calls f(j, columns left) for each vector of columns. Buffers are kWidth long, hence need no such care.
template <class C, class F>
[[gnu::always_inline]] inline void each_vector(int64_t width, F f) {
  for (int64_t j = 0; j < width; j += kLanes<C>) f(j, width - j);
}

template <class C>
void forward_columns(const SoftmaxCall& call) {
  const bool direct_out = call.out_dtype == dtype_of<C>;
  each_tile(call, [&](int64_t first, int64_t width) {
    C top[kWidth], sum[kWidth] = {}, in[kWidth], value[kWidth];
    auto row = [&](int64_t k) { return staged(call.in_dtype, call.in, first + k * call.inner, width, in); };
    auto out_row = [&](int64_t k) {
      return direct_out ? reinterpret_cast<C*>(call.out) + first + k * call.inner : value;
    };
    for (int64_t k = 0; k < call.dim; k++) {
      const C* x = row(k);
      each_vector<C>(width, [&](int64_t j, int64_t left) {
        const V<C> v = take(x + j, left);
        store(top + j, k == 0 ? v : V<C>(greater<C>(load(top + j), v)));
      });
    }
    const bool keep = direct_out && !call.log;  // the exponentials wait in the output for their scale
    for (int64_t k = 0; k < call.dim; k++) {
      const C* x = row(k);
      C* y = out_row(k);
      each_vector<C>(width, [&](int64_t j, int64_t left) {
        const V<C> e = exp_v<C>(take(x + j, left) - load(top + j));
        store(sum + j, V<C>(load(sum + j) + e));
        if (keep) put(y + j, e, left);
      });
    }
    for (int64_t j = 0; j < width; j++) sum[j] = call.log ? std::log(sum[j]) : C(1) / sum[j];
    for (int64_t k = 0; k < call.dim; k++) {
      C* y = out_row(k);
      const C* x = keep ? y : row(k);
      each_vector<C>(width, [&](int64_t j, int64_t left) {
        const V<C> v = take(x + j, left), t = load(top + j), s = load(sum + j);
        put(y + j, V<C>(keep ? v * s : call.log ? v - t - s : exp_v<C>(v - t) * s), left);
      });
      if (!direct_out) unstage(call.out_dtype, call.out, first + k * call.inner, width, value);
    }
  });
}

template <class C>
void backward_columns(const SoftmaxCall& call) {
  const bool direct_out = call.out_dtype == dtype_of<C>;
  each_tile(call, [&](int64_t first, int64_t width) {
    C sum[kWidth] = {}, gradient[kWidth], result[kWidth], value[kWidth];
    auto g_row = [&](int64_t k) { return staged(call.in_dtype, call.in, first + k * call.inner, width, gradient); };
    auto y_row = [&](int64_t k) {
      return staged(call.result_dtype, call.result, first + k * call.inner, width, result);
    };
    for (int64_t k = 0; k < call.dim; k++) {
      const C *g = g_row(k), *y = call.log ? g : y_row(k);
      each_vector<C>(width, [&](int64_t j, int64_t left) {
        const V<C> v = take(g + j, left);
        store(sum + j, V<C>(load(sum + j) + (call.log ? v : v * take(y + j, left))));
      });
    }
    for (int64_t k = 0; k < call.dim; k++) {
      const C *g = g_row(k), *y = y_row(k);
      C* dx = direct_out ? reinterpret_cast<C*>(call.out) + first + k * call.inner : value;
      each_vector<C>(width, [&](int64_t j, int64_t left) {
        const V<C> v = take(g + j, left), r = take(y + j, left), s = load(sum + j);
        put(dx + j, V<C>(call.log ? v - exp_v<C>(r) * s : (v - s) * r), left);
      });
      if (!direct_out) unstage(call.out_dtype, call.out, first + k * call.inner, width, value);
    }
  });
}

}  // namespace

void softmax_forward(const SoftmaxCall& call) {
  if (call.outer * call.dim * call.inner == 0) return;
  if (call.out_dtype == DType::Float64)
    call.inner == 1 ? forward_rows<double>(call) : forward_columns<double>(call);
  else
    call.inner == 1 ? forward_rows<float>(call) : forward_columns<float>(call);
}

void softmax_gradient(const SoftmaxCall& call) {
  if (call.outer * call.dim * call.inner == 0) return;
  const bool wide = call.in_dtype == DType::Float64 || call.result_dtype == DType::Float64;
  if (wide)
    call.inner == 1 ? backward_rows<double>(call) : backward_columns<double>(call);
  else
    call.inner == 1 ? backward_rows<float>(call) : backward_columns<float>(call);
}

}  // namespace tabula::kernels::TABULA_ISA
