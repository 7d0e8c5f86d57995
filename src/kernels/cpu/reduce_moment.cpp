// Variances and logsumexp. A variance takes two passes over a block in the L1 cache, and blocks are merged in double by
// the formula of Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances"
// (1979).
#include <complex>

#include "kernels/cpu/reduce_make.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

constexpr int64_t kMomentBlock = 4096;

struct Moments {
  double count, mean, squares;
};

inline void merge_moments(Moments& a, const Moments& b) {
  if (b.count == 0) return;
  const double count = a.count + b.count, delta = b.mean - a.mean, share = b.count / count;
  a.mean += delta * share;
  a.squares += b.squares + delta * delta * a.count * share;
  a.count = count;
}

// params[0]: correction. Dividing by less than zero is dividing by zero, as in the reference.
inline double variance(double squares, int64_t n, double correction) {
  const double freedom = double(n) - correction;
  return squares / (freedom > 0 ? freedom : 0);
}

template <class C_, bool root>
struct VarOp {
  using C = C_;
  using State = Moments;
  using Result = C;
  using Result2 = C;
  static constexpr int group = 16;
  static State identity() { return {0, 0, 0}; }
  static void merge(State& a, const State& b) { merge_moments(a, b); }

  static void absorb(State& state, const C* p, int64_t n, int64_t, const double*) {
    constexpr int L = kLanes<C>;
    for (; n > 0; p += kMomentBlock, n -= kMomentBlock) {
      const int64_t m = n < kMomentBlock ? n : kMomentBlock;
      V<C> a{}, b{}, c{}, d{};
      int64_t i = 0;
      for (; i + 4 * L <= m; i += 4 * L) {
        a += load(p + i);
        b += load(p + i + L);
        c += load(p + i + 2 * L);
        d += load(p + i + 3 * L);
      }
      for (; i + L <= m; i += L) a += load(p + i);
      if (i < m) b += load_part(p + i, m - i, C(0));
      const C centre = C(double(sum_lanes<C>((a + b) + (c + d))) / double(m));
      // `a`, `c`: deviations, which the rounding of the centre left; `b`, `d`: their squares
      a = b = c = d = V<C>{};
      for (i = 0; i + 2 * L <= m; i += 2 * L) {
        const V<C> x = load(p + i) - centre, y = load(p + i + L) - centre;
        a += x;
        b = mad<C>(x, x, b);
        c += y;
        d = mad<C>(y, y, d);
      }
      for (; i < m; i += L) {
        const V<C> x = (i + L <= m ? load(p + i) : load_part(p + i, m - i, centre)) - centre;
        a += x;
        b = mad<C>(x, x, b);
      }
      const double rest = sum_lanes<C>(a + c), squares = sum_lanes<C>(b + d);
      if (std::isfinite(squares))
        merge(state, {double(m), centre + rest / double(m), squares - rest * rest / double(m)});
      else
        one_by_one(state, p, m, 1);
    }
  }
  // In double, for numbers whose squares overflow their own type.
  static void one_by_one(State& state, const C* p, int64_t n, int64_t step) {
    for (int64_t i = 0; i < n; i++) merge(state, {1, double(p[i * step]), 0});
  }

  // One pass: the column's first element is subtracted, which bounds the loss of digits by the number of rows, since
  // that element belongs to the data whose variance is sought.
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t, State* states, const double*) {
    C sums[kTileWidth + kLanes<C>], squares[kTileWidth + kLanes<C>];
    each_vector<C>(width, [&](int64_t j, auto whole) {
      const V<C> shift = load_columns(p + j, width - j, C(0), whole);
      V<C> s{}, q{};
      for (int64_t r = 1; r < rows; r++) {
        const V<C> x = load_columns(p + r * row_stride + j, width - j, C(0), whole) - shift;
        s += x;
        q = mad<C>(x, x, q);
      }
      store(sums + j, s);
      store(squares + j, q);
    });
    const double count = double(rows);
    for (int64_t j = 0; j < width; j++) {
      const double sum = sums[j], spread = double(squares[j]) - sum * sum / count;
      if (std::isfinite(spread))
        merge(states[j], {count, p[j] + sum / count, spread < 0 ? 0 : spread});
      else
        one_by_one(states[j], p + j, rows, row_stride);
    }
  }
  static void finish(const State& state, int64_t n, const double* params, Result* out, Result2* out2) {
    const double v = n == 0 ? std::numeric_limits<double>::quiet_NaN() : variance(state.squares, n, params[0]);
    *out = Result(root ? std::sqrt(v) : v);
    if (out2) *out2 = Result2(n == 0 ? std::numeric_limits<double>::quiet_NaN() : state.mean);
  }
};

struct ComplexMoments {
  double count, re, im, squares;
};

template <class R, bool root>
struct ComplexVar {
  using C = std::complex<R>;
  using State = ComplexMoments;
  using Result = R;
  using Result2 = C;
  static constexpr int group = 64;
  static State identity() { return {0, 0, 0, 0}; }
  static void merge(State& a, const State& b) {
    Moments re{a.count, a.re, a.squares}, im{a.count, a.im, 0};
    merge_moments(re, {b.count, b.re, b.squares});
    merge_moments(im, {b.count, b.im, 0});
    a = {re.count, re.mean, im.mean, re.squares + im.squares};
  }
  static void step(State& s, C x) {
    s.count += 1;
    const double re = x.real() - s.re, im = x.imag() - s.im;
    s.re += re / s.count;
    s.im += im / s.count;
    s.squares += re * (x.real() - s.re) + im * (x.imag() - s.im);
  }
  static void absorb(State& state, const C* p, int64_t n, int64_t, const double*) {
    for (int64_t i = 0; i < n; i++) step(state, p[i]);
  }
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t, State* states, const double*) {
    for (int64_t r = 0; r < rows; r++, p += row_stride)
      for (int64_t j = 0; j < width; j++) step(states[j], p[j]);
  }
  static void finish(const State& state, int64_t n, const double* params, Result* out, Result2* out2) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double v = n == 0 ? nan : variance(state.squares, n, params[0]);
    *out = Result(root ? std::sqrt(v) : v);
    if (out2) *out2 = n == 0 ? C(R(nan), R(nan)) : C(R(state.re), R(state.im));
  }
};

struct ScaledSum {
  double top, sum;  // sum of exp(x - top)
};

template <class C_>
struct LogSumExpOp {
  using C = C_;
  using State = ScaledSum;
  using Result = C;
  using Result2 = C;
  static constexpr int group = 16;
  static constexpr double kLowest = -std::numeric_limits<double>::infinity();
  static State identity() { return {kLowest, 0}; }
  static void merge(State& a, const State& b) {
    if (a.top != a.top || b.top == kLowest) return;
    if (b.top > a.top || b.top != b.top) {
      a.sum = std::isfinite(a.top) && std::isfinite(b.top) ? b.sum + a.sum * std::exp(a.top - b.top) : b.sum;
      a.top = b.top;
    } else if (std::isfinite(a.top)) {
      a.sum += b.sum * std::exp(b.top - a.top);
    }
  }
  static V<C> greater(V<C> best, V<C> x) { return ((x > best) | (x != x)) ? x : best; }

  static void absorb(State& state, const C* p, int64_t n, int64_t, const double*) {
    constexpr int L = kLanes<C>;
    constexpr int64_t block = 2048;
    for (; n > 0; p += block, n -= block) {
      const int64_t m = n < block ? n : block;
      V<C> a = splat(p[0]), b = a;
      int64_t i = 0;
      for (; i + 2 * L <= m; i += 2 * L) {
        a = greater(a, load(p + i));
        b = greater(b, load(p + i + L));
      }
      for (; i < m; i += L) a = greater(a, i + L <= m ? load(p + i) : load_part(p + i, m - i, p[i]));
      auto pick = [](auto x, auto y) { return ((y > x) | (y != y)) ? y : x; };
      const C top = fold_lanes<C, kVecBytes>(greater(a, b), pick);
      double sum = 0;
      if (std::isfinite(top)) {
        V<C> s{}, t{};
        for (i = 0; i + 2 * L <= m; i += 2 * L) {
          s += exp_v<C>(load(p + i) - top);
          t += exp_v<C>(load(p + i + L) - top);
        }
        constexpr C lowest = -std::numeric_limits<C>::infinity();
        for (; i < m; i += L) s += exp_v<C>((i + L <= m ? load(p + i) : load_part(p + i, m - i, lowest)) - top);
        sum = sum_lanes<C>(s + t);
      }
      merge(state, {top, sum});
    }
  }
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t, State* states, const double*) {
    C tops[kTileWidth + kLanes<C>], sums[kTileWidth + kLanes<C>];
    each_vector<C>(width, [&](int64_t j, auto whole) {
      auto row = [&](int64_t r) { return load_columns(p + r * row_stride + j, width - j, C(0), whole); };
      V<C> top = row(0), sum{};
      for (int64_t r = 1; r < rows; r++) top = greater(top, row(r));
      for (int64_t r = 0; r < rows; r++) sum += exp_v<C>(row(r) - top);
      store(tops + j, top);
      store(sums + j, sum);
    });
    for (int64_t j = 0; j < width; j++) merge(states[j], {tops[j], sums[j]});
  }
  static void finish(const State& state, int64_t, const double*, Result* out, Result2*) {
    *out = Result(std::isfinite(state.top) ? state.top + std::log(state.sum) : state.top);
  }
};

template <class C>
ReduceOps real_ops(Core op) {
  switch (op) {
    case Core::var: return make_ops<VarOp<C, false>>();
    case Core::std: return make_ops<VarOp<C, true>>();
    case Core::logsumexp: return make_ops<LogSumExpOp<C>>();
    default: return {};
  }
}

template <class R>
ReduceOps complex_ops(Core op) {
  if (op == Core::var) return make_ops<ComplexVar<R, false>>();
  if (op == Core::std) return make_ops<ComplexVar<R, true>>();
  return {};
}

}  // namespace

ReduceOps moment_ops(Core op, DType compute) {
  switch (compute) {
    case DType::Float32: return real_ops<float>(op);
    case DType::Float64: return real_ops<double>(op);
    case DType::Complex64: return complex_ops<float>(op);
    case DType::Complex128: return complex_ops<double>(op);
    default: return {};
  }
}

}  // namespace tabula::kernels::TABULA_ISA
