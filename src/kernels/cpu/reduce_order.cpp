// Maxima and minima, with and without the index. NaN wins over numbers and the first of equals over later ones. An
// index costs a second look only at the blocks that improve on the best value so far: about log(blocks) of them.
#include "kernels/cpu/reduce_make.h"

namespace tabula::kernels::TABULA_ISA {
namespace {

constexpr int64_t kScanBlock = 1024;

template <class C, bool greatest>
struct Order {
  static C identity() {
    using Limits = std::numeric_limits<C>;
    if constexpr (Limits::has_infinity)
      return greatest ? -Limits::infinity() : Limits::infinity();
    else
      return greatest ? Limits::lowest() : Limits::max();
  }
  // For a value or a vector: whichever of best and x ranks first; a NaN that is already there stays.
  template <class X>
  [[gnu::always_inline]] static X pick(X best, X x) {
    if constexpr (std::is_floating_point_v<C>)
      return (greatest ? (x > best) | (x != x) : (x < best) | (x != x)) ? x : best;
    else
      return (greatest ? x > best : x < best) ? x : best;
  }
  static bool better(C x, C best) {
    if (best != best) return false;
    return (greatest ? x > best : x < best) || x != x;
  }
};

template <class C, bool absolute>
[[gnu::always_inline]] inline auto prepare(auto x) {
  if constexpr (absolute)
    return x < 0 ? -x : x;
  else
    return x;
}

template <class C, bool greatest, bool absolute>
C best_of(const C* p, int64_t n) {
  using O = Order<C, greatest>;
  constexpr int L = kLanes<C>;
  const C fill = O::identity();
  V<C> a = splat(fill), b = a, c = a, d = a;
  auto pick = [](V<C> x, V<C> y) { return O::pick(x, y); };
  auto get = [](V<C> x) { return prepare<C, absolute>(x); };
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) {
    a = pick(a, get(load_ahead(p + i)));
    b = pick(b, get(load_ahead(p + i + L)));
    c = pick(c, get(load_ahead(p + i + 2 * L)));
    d = pick(d, get(load_ahead(p + i + 3 * L)));
  }
  for (; i + L <= n; i += L) a = pick(a, get(load(p + i)));
  if (i < n) b = pick(b, get(load_part(p + i, n - i, p[i])));
  return fold_lanes<C, kVecBytes>(pick(pick(a, b), pick(c, d)), [](auto s, auto t) { return O::pick(s, t); });
}

template <class C_, bool greatest, bool absolute = false>
struct BestOp {
  using C = C_;
  using State = C;
  using Result = C;
  using Result2 = C;
  using O = Order<C, greatest>;
  static constexpr int group = 64;
  static State identity() { return O::identity(); }
  static void merge(State& a, const State& b) { a = O::pick(a, b); }
  static void absorb(State& state, const C* p, int64_t n, int64_t, const double*) {
    state = O::pick(state, best_of<C, greatest, absolute>(p, n));
  }
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t, State* states, const double*) {
    for (int64_t r = 0; r < rows; r += 4) {
      const C* row = p + r * row_stride;
      const int64_t count = rows - r < 4 ? rows - r : 4;
      each_vector<C>(width, [&](int64_t j, auto whole) {
        const int64_t left = width - j;
        V<C> best = load_columns(states + j, left, C(0), whole);
        for (int64_t k = 0; k < count; k++)
          best = O::pick(best, prepare<C, absolute>(load_columns(row + k * row_stride + j, left, C(0), whole)));
        if constexpr (whole)
          store(states + j, best);
        else
          std::memcpy(states + j, &best, size_t(left) * sizeof(C));
      });
    }
  }
  static void finish(const State& state, int64_t, const double*, Result* out, Result2*) { *out = state; }
};

template <class C>
struct Indexed {
  C value;
  int64_t index;  // -1: none yet
};

// `only`: the result is the index; else value and index.
template <class C_, bool greatest, bool only>
struct ArgOp {
  using C = C_;
  using State = Indexed<C>;
  using Result = std::conditional_t<only, int64_t, C>;
  using Result2 = int64_t;
  using O = Order<C, greatest>;
  static constexpr int group = 64;
  static State identity() { return {O::identity(), -1}; }
  static void merge(State& a, const State& b) {
    if (b.index >= 0 && (a.index < 0 || O::better(b.value, a.value))) a = b;
  }
  static int64_t find(const C* p, int64_t n, C value) {
    constexpr int L = kLanes<C>;
    const bool nan = value != value;
    int64_t i = 0;
    for (; i + L <= n; i += L) {
      const V<C> x = load(p + i);
      const auto hit = nan ? x != x : x == value;
      bool any = false;
      for (int k = 0; k < L; k++) any |= hit[k] != 0;
      if (any) break;
    }
    while (nan ? p[i] == p[i] : p[i] != value) i++;
    return i;
  }
  static void absorb(State& state, const C* p, int64_t n, int64_t base, const double*) {
    for (int64_t i = 0; i < n; i += kScanBlock) {
      const int64_t m = n - i < kScanBlock ? n - i : kScanBlock;
      const C best = best_of<C, greatest, false>(p + i, m);
      if (state.index < 0 || O::better(best, state.value)) state = {best, base + i + find(p + i, m, best)};
    }
  }
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t base, State* states,
                   const double*) {
    using I = std::conditional_t<sizeof(C) == 4, int32_t, int64_t>;
    C best[kTileWidth + kLanes<C>];
    I at[kTileWidth + kLanes<C>];
    std::memcpy(best, p, size_t(width) * sizeof(C));
    std::memset(best + width, 0, kLanes<C> * sizeof(C));
    std::memset(at, 0, size_t(width + kLanes<C>) * sizeof(I));
    for (int64_t r = 1; r < rows; r++) {
      const C* row = p + r * row_stride;
      each_vector<C>(width, [&](int64_t j, auto whole) {
        const V<C> x = load_columns(row + j, width - j, C(0), whole), b = load(best + j);
        auto win = greatest ? x > b : x < b;
        if constexpr (std::is_floating_point_v<C>) win |= (x != x) & (b == b);
        store(best + j, V<C>(win ? x : b));
        store(at + j, V<I>(win ? splat(I(r)) : load(at + j)));
      });
    }
    for (int64_t j = 0; j < width; j++)
      if (states[j].index < 0 || O::better(best[j], states[j].value)) states[j] = {best[j], base + at[j]};
  }
  static void finish(const State& state, int64_t, const double*, Result* out, Result2* out2) {
    if constexpr (only) {
      *out = state.index;
    } else {
      *out = state.value;
      *out2 = state.index;
    }
  }
};

template <class C>
struct Range {
  C low, high;
};

template <class C_>
struct BothOp {
  using C = C_;
  using State = Range<C>;
  using Result = C;
  using Result2 = C;
  using Low = Order<C, false>;
  using High = Order<C, true>;
  static constexpr int group = 64;
  static State identity() { return {Low::identity(), High::identity()}; }
  static void merge(State& a, const State& b) { a = {Low::pick(a.low, b.low), High::pick(a.high, b.high)}; }
  static void absorb(State& state, const C* p, int64_t n, int64_t, const double*) {
    for (int64_t i = 0; i < n; i += kScanBlock) {
      const int64_t m = n - i < kScanBlock ? n - i : kScanBlock;
      merge(state, {best_of<C, false, false>(p + i, m), best_of<C, true, false>(p + i, m)});
    }
  }
  static void tile(const C* p, int64_t rows, int64_t row_stride, int64_t width, int64_t, State* states, const double*) {
    for (int64_t r = 0; r < rows; r++, p += row_stride)
      for (int64_t j = 0; j < width; j++) merge(states[j], {p[j], p[j]});
  }
  static void finish(const State& state, int64_t, const double*, Result* out, Result2* out2) {
    *out = state.low;
    *out2 = state.high;
  }
};

template <class C>
ReduceOps typed_ops(Core op) {
  switch (op) {
    case Core::max: return make_ops<BestOp<C, true>>();
    case Core::min: return make_ops<BestOp<C, false>>();
    case Core::arg_max: return make_ops<ArgOp<C, true, true>>();
    case Core::arg_min: return make_ops<ArgOp<C, false, true>>();
    case Core::max_with_index: return make_ops<ArgOp<C, true, false>>();
    case Core::min_with_index: return make_ops<ArgOp<C, false, false>>();
    case Core::both: return make_ops<BothOp<C>>();
    default: break;
  }
  if constexpr (std::is_floating_point_v<C>) {
    if (op == Core::abs_max) return make_ops<BestOp<C, true, true>>();
    if (op == Core::abs_min) return make_ops<BestOp<C, false, true>>();
  }
  return {};
}

}  // namespace

ReduceOps order_ops(Core op, DType compute) {
  switch (compute) {
    case DType::Float32: return typed_ops<float>(op);
    case DType::Float64: return typed_ops<double>(op);
    case DType::Int32: return typed_ops<int32_t>(op);
    case DType::Int64: return typed_ops<int64_t>(op);
    default: return {};
  }
}

}  // namespace tabula::kernels::TABULA_ISA
