// Sums, products, norms and counts. Blocks are summed in several vector lanes of the compute type, blocks are added up
// in double: the error of a float sum is that of about 64 additions whatever the length.
#include <complex>

#include "kernels/cpu/reduce_make.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

constexpr int64_t kSumBlock = 4096;

struct Identity {
  template <class X>
  static X map(X x) {
    return x;
  }
};
struct NanToZero {
  template <class X>
  static X map(X x) {
    return x == x ? x : X{};
  }
};
struct Absolute {
  template <class X>
  static X map(X x) {
    return x < 0 ? -x : x;
  }
};
struct Square {
  template <class X>
  static X map(X x) {
    return x * x;
  }
};

struct Plus {
  static constexpr int identity = 0;
  template <class X>
  X operator()(X a, X b) const {
    return a + b;
  }
};
struct Times {
  static constexpr int identity = 1;
  template <class X>
  X operator()(X a, X b) const {
    return a * b;
  }
};

enum class Finish { plain, divide, root };

template <class T>
using wide_t = std::conditional_t<std::is_floating_point_v<T>, double, T>;

// Sums of few floats are added in the order that PyTorch's results show, and agree with it to the last bit: eight lanes,
// each from four sums, then what is left over and the lanes one by one.
constexpr int64_t kFew = 512;
template <class X>
[[gnu::always_inline]] inline void four_sums(const float* p, int64_t n, X& total) {
  X sums[4] = {}, row;
  const auto add = [&](int64_t i, int k) {
    std::memcpy(&row, p + i * int64_t(sizeof row / sizeof *p), sizeof row);
    sums[k] += row;
  };
  int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int k = 0; k < 4; k++) add(i + k, k);
  for (; i < n; i++) add(i, 0);
  total = ((sums[0] + sums[1]) + sums[2]) + sums[3];
}
inline float sum_of_few(const float* p, int64_t n) {
  float few;
  if (n < 8) return four_sums(p, n, few), few;
  VecType<float, 32>::type lanes;
  four_sums(p, n / 8, lanes);
  float total = 0;
  for (int64_t i = n / 8 * 8; i < n; i++) total += p[i];
  for (int k = 0; k < 8; k++) total += lanes[k];
  return total;
}

// Columns of a tile combined into acc, which need not be initialised.
template <class C, class Map, class Combine>
void fold_tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, C* acc) {
  const C fill = C(Combine::identity);
  const Combine f;
  for (int64_t r = 0; r < rows; r += 4) {
    const C* row = p + r * row_stride;
    const int64_t left = rows - r;
    each_vector<C>(width, [&](int64_t j, auto whole) {
      auto row_at = [&](int64_t k) { return Map::map(load_columns(row + k * row_stride + j, width - j, fill, whole)); };
      V<C> v = row_at(0);
      if (left >= 4)
        v = f(f(v, row_at(1)), f(row_at(2), row_at(3)));
      else
        for (int64_t k = 1; k < left; k++) v = f(v, row_at(k));
      if (r > 0) v = f(load(acc + j), v);
      store(acc + j, v);
    });
  }
}

template <class C_, class Map, class Combine, Finish how, class Result_ = C_>
struct FoldOp {
  using C = C_;
  using State = wide_t<C>;
  using Result = Result_;
  using Result2 = Result_;
  static constexpr int group = 64;
  static State identity() { return State(Combine::identity); }
  static void merge(State& a, const State& b) { a = Combine()(a, b); }

  static void absorb(State& state, const C* p, int64_t n, int64_t, const double*) { absorb_elements(state, p, n); }
  template <class E>
    requires std::is_same_v<E, C> || (std::is_same_v<E, BFloat16> && std::is_same_v<C, float>)
  static void absorb_elements(State& state, const E* p, int64_t n) {
    constexpr int L = kLanes<C>;
    const C fill = C(Combine::identity);
    const Combine f;
    if constexpr (std::is_same_v<E, float> && std::is_same_v<Map, Identity> && std::is_same_v<Combine, Plus>) {
      if (n <= kFew) {
        state += State(sum_of_few(p, n));
        return;
      }
    }
    for (; n > 0; p += kSumBlock, n -= kSumBlock) {
      const int64_t m = n < kSumBlock ? n : kSumBlock;
      V<C> a = splat(fill), b = a, c = a, d = a;
      int64_t i = 0;
      for (; i + 4 * L <= m; i += 4 * L) {
        V<C> x[4];
        if constexpr (std::is_same_v<E, BFloat16>) {
          load_ahead(p + i, x[0], x[1]);
          load_ahead(p + i + 2 * L, x[2], x[3]);
        } else {
          for (int k = 0; k < 4; k++) x[k] = load_ahead(p + i + k * L);
        }
        a = f(a, Map::map(x[0]));
        b = f(b, Map::map(x[1]));
        c = f(c, Map::map(x[2]));
        d = f(d, Map::map(x[3]));
      }
      for (; i + L <= m; i += L) a = f(a, Map::map(load(p + i)));
      if (i < m) b = f(b, Map::map(load_part(p + i, m - i, fill)));
      state = f(state, State(fold_lanes<C, kVecBytes>(f(f(a, b), f(c, d)), f)));
    }
  }
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t, State* states, const double*) {
    C acc[kTileWidth + kLanes<C>];
    fold_tile<C, Map, Combine>(p, rows, row_stride, width, acc);
    for (int64_t j = 0; j < width; j++) states[j] = Combine()(states[j], State(acc[j]));
  }
  static void finish(const State& state, int64_t n, const double*, Result* out, Result2*) {
    if constexpr (how == Finish::divide)
      *out = Result(state / State(n));
    else if constexpr (how == Finish::root)
      *out = Result(std::sqrt(state));
    else
      *out = Result(state);
  }
};

template <class R>
struct ComplexPair {
  double re, im;
};

// Complex sums are real sums over twice as many columns.
template <class R, Finish how>
struct ComplexSum {
  using C = std::complex<R>;
  using State = ComplexPair<R>;
  using Result = C;
  using Result2 = C;
  static constexpr int group = 64;
  static State identity() { return {0, 0}; }
  static void merge(State& a, const State& b) {
    a.re += b.re;
    a.im += b.im;
  }
  static void absorb(State& state, const C* p, int64_t n, int64_t, const double*) {
    constexpr int L = kLanes<R>;
    const R* q = reinterpret_cast<const R*>(p);
    for (n *= 2; n > 0; q += kSumBlock, n -= kSumBlock) {
      const int64_t m = n < kSumBlock ? n : kSumBlock;
      V<R> a{}, b{};
      int64_t i = 0;
      for (; i + 2 * L <= m; i += 2 * L) {
        a += load(q + i);
        b += load(q + i + L);
      }
      for (; i + L <= m; i += L) a += load(q + i);
      if (i < m) b += load_part(q + i, m - i, R(0));
      a += b;
      R even = 0, odd = 0;
      for (int k = 0; k < L; k += 2) {
        even += a[k];
        odd += a[k + 1];
      }
      state.re += even;
      state.im += odd;
    }
  }
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t, State* states, const double*) {
    R acc[2 * kTileWidth + kLanes<R>];
    fold_tile<R, Identity, Plus>(reinterpret_cast<const R*>(p), rows, 2 * row_stride, 2 * width, acc);
    for (int64_t j = 0; j < width; j++) {
      states[j].re += acc[2 * j];
      states[j].im += acc[2 * j + 1];
    }
  }
  static void finish(const State& state, int64_t n, const double*, Result* out, Result2*) {
    const double count = how == Finish::divide ? double(n) : 1;
    *out = how == Finish::divide ? C(R(state.re / count), R(state.im / count)) : C(R(state.re), R(state.im));
  }
};

template <class R>
struct ComplexProduct {
  using C = std::complex<R>;
  using State = ComplexPair<R>;
  using Result = C;
  using Result2 = C;
  static constexpr int group = 64;
  static State identity() { return {1, 0}; }
  static void merge(State& a, const State& b) { a = {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
  static void absorb(State& state, const C* p, int64_t n, int64_t, const double*) {
    for (int64_t i = 0; i < n; i++) merge(state, {p[i].real(), p[i].imag()});
  }
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t, State* states, const double*) {
    for (int64_t r = 0; r < rows; r++, p += row_stride)
      for (int64_t j = 0; j < width; j++) merge(states[j], {p[j].real(), p[j].imag()});
  }
  static void finish(const State& state, int64_t, const double*, Result* out, Result2*) {
    *out = C(R(state.re), R(state.im));
  }
};

// sum |x|^p for a p that has no kernel of its own; params[0] is p.
template <class C_>
struct PowerNorm {
  using C = C_;
  using State = double;
  using Result = C;
  using Result2 = C;
  static constexpr int group = 64;
  static State identity() { return 0; }
  static void merge(State& a, const State& b) { a += b; }
  static void absorb(State& state, const C* p, int64_t n, int64_t, const double* params) {
    const C power = C(params[0]);
    for (int64_t i = 0; i < n; i++) state += std::pow(std::fabs(p[i]), power);
  }
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t, State* states,
                   const double* params) {
    const C power = C(params[0]);
    for (int64_t r = 0; r < rows; r++, p += row_stride)
      for (int64_t j = 0; j < width; j++) states[j] += std::pow(std::fabs(p[j]), power);
  }
  static void finish(const State& state, int64_t, const double* params, Result* out, Result2*) {
    *out = Result(std::pow(state, 1 / params[0]));
  }
};

// 1 in each byte that is not 0.
inline uint64_t nonzero_bytes(uint64_t word) {
  constexpr uint64_t low7 = 0x7F7F7F7F7F7F7F7F, ones = 0x0101010101010101;
  return ((((word & low7) + low7) | word) >> 7) & ones;
}

enum class Counted { number, every, some };

template <Counted what>
struct CountOp {
  using C = uint8_t;
  using State = int64_t;
  using Result = std::conditional_t<what == Counted::number, int64_t, bool>;
  using Result2 = Result;
  static constexpr int group = 128;  // a count of rows fits a byte
  static State identity() { return 0; }
  static void merge(State& a, const State& b) { a += b; }
  static void absorb(State& state, const C* p, int64_t n, int64_t, const double*) {
    if (what == Counted::some && state > 0) return;
    int64_t i = 0;
    for (; i + 1024 <= n; i += 1024) {
      // at most 16 words land on each of the 8 sums, hence no byte of one overflows
      uint64_t sums[8] = {};
      for (int k = 0; k < 16; k++) {
        uint64_t words[8];
        std::memcpy(words, p + i + 64 * k, sizeof words);
        for (int l = 0; l < 8; l++) sums[l] += nonzero_bytes(words[l]);
      }
      uint64_t total = 0;
      for (uint64_t sum : sums) total += sum;
      constexpr uint64_t even = 0x00FF00FF00FF00FF;
      total = (total & even) + ((total >> 8) & even);
      state += int64_t((total * 0x0001000100010001) >> 48);
      if (what == Counted::some && state > 0) return;
    }
    for (; i + 8 <= n; i += 8) {
      uint64_t word;
      std::memcpy(&word, p + i, sizeof word);
      state += int64_t((nonzero_bytes(word) * 0x0101010101010101) >> 56);
    }
    for (; i < n; i++) state += p[i] != 0;
  }
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t, State* states, const double*) {
    uint8_t acc[kTileWidth] = {};
    for (int64_t r = 0; r < rows; r++, p += row_stride)
      for (int64_t j = 0; j < width; j++) acc[j] += p[j] != 0;
    for (int64_t j = 0; j < width; j++) states[j] += acc[j];
  }
  static void finish(const State& state, int64_t n, const double*, Result* out, Result2*) {
    if constexpr (what == Counted::number)
      *out = state;
    else
      *out = what == Counted::some ? state > 0 : state == n;
  }
};

template <class C>
ReduceOps real_ops(Core op) {
  switch (op) {
    case Core::sum: return make_ops<FoldOp<C, Identity, Plus, Finish::plain>>();
    case Core::nansum: return make_ops<FoldOp<C, NanToZero, Plus, Finish::plain>>();
    case Core::prod: return make_ops<FoldOp<C, Identity, Times, Finish::plain>>();
    case Core::mean: return make_ops<FoldOp<C, Identity, Plus, Finish::divide>>();
    case Core::norm1: return make_ops<FoldOp<C, Absolute, Plus, Finish::plain>>();
    case Core::norm2: return make_ops<FoldOp<C, Square, Plus, Finish::root>>();
    case Core::norm_p: return make_ops<PowerNorm<C>>();
    default: return {};
  }
}

template <class R>
ReduceOps complex_ops(Core op) {
  switch (op) {
    case Core::sum: return make_ops<ComplexSum<R, Finish::plain>>();
    case Core::prod: return make_ops<ComplexProduct<R>>();
    case Core::mean: return make_ops<ComplexSum<R, Finish::divide>>();
    default: return {};
  }
}

}  // namespace

ReduceOps sum_ops(Core op, DType compute) {
  switch (compute) {
    case DType::Float32: return real_ops<float>(op);
    case DType::Float64: return real_ops<double>(op);
    case DType::Complex64: return complex_ops<float>(op);
    case DType::Complex128: return complex_ops<double>(op);
    case DType::Int64:  // unsigned, so that overflow wraps
      if (op == Core::sum || op == Core::nansum)
        return make_ops<FoldOp<uint64_t, Identity, Plus, Finish::plain, int64_t>>();
      if (op == Core::prod) return make_ops<FoldOp<uint64_t, Identity, Times, Finish::plain, int64_t>>();
      return {};
    case DType::Bool:
      if (op == Core::nonzero) return make_ops<CountOp<Counted::number>>();
      if (op == Core::all) return make_ops<CountOp<Counted::every>>();
      if (op == Core::any) return make_ops<CountOp<Counted::some>>();
      return {};
    default: return {};
  }
}

}  // namespace tabula::kernels::TABULA_ISA
