// Register tiles. Included inside an anonymous namespace by one file per instruction set, so that no instance compiled
// for a newer processor can be picked by the linker for an older one.

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <class T, int lanes>
struct VectorOf {
  typedef T type __attribute__((vector_size(lanes * sizeof(T))));
  typedef T loose __attribute__((vector_size(lanes * sizeof(T)), aligned(alignof(T)), may_alias));
};
template <class T>
constexpr int kLanes = kVectorBytes / int(sizeof(T));
template <class T>
using Vector = typename VectorOf<T, kLanes<T>>::type;

template <class V, class T>
[[gnu::always_inline]] inline V load_vector(const T* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
template <class V, class T>
[[gnu::always_inline]] inline void store_vector(T* to, V v) {
  __builtin_memcpy(to, &v, sizeof v);
}

// 32 registers: 14 x 2 accumulators, 2 of b, 1 of a; 16 registers: 6 x 2. Integer products are bound by the multiplier,
// so they get fewer instances.
template <class T>
constexpr int kTileRows = kVectorBytes == 64            ? (std::is_floating_point_v<T> ? 14 : 8)
                          : std::is_floating_point_v<T> ? 6
                                                        : 4;
template <class T>
constexpr int kTileCols = 2 * kLanes<T>;

template <class T, int NV>
[[gnu::always_inline]] inline void finish_row(const Vector<T>* acc, T* c, int64_t cols, const Finish<T>& f, int64_t row,
                                              int64_t col) {
  constexpr int L = kLanes<T>;
  if (cols == NV * L) {
    for (int v = 0; v < NV; v++) {
      Vector<T> x = acc[v] * f.alpha;
      if (f.beta != T(0)) x += load_vector<Vector<T>>(c + v * L) * f.beta;
      if (f.row_bias) x += f.row_bias[row];
      if (f.col_bias) x += load_vector<Vector<T>>(f.col_bias + col + v * L);
      if (f.relu) x = x < T(0) ? Vector<T>{} : x;
      store_vector(c + v * L, x);
    }
    return;
  }
  T values[NV * L];
  for (int v = 0; v < NV; v++) store_vector(values + v * L, acc[v]);
  for (int64_t j = 0; j < cols; j++) {
    T x = T(values[j] * f.alpha);
    if (f.beta != T(0)) x = T(x + c[j] * f.beta);
    if (f.row_bias) x = T(x + f.row_bias[row]);
    if (f.col_bias) x = T(x + f.col_bias[col + j]);
    if (f.relu) x = x < T(0) ? T(0) : x;
    c[j] = x;
  }
}

// While a tile is computed, the next panel of b comes nearer: a cache line every so many steps.
constexpr int kStepsPerLine = 4;

// ahead: what to fetch meanwhile, k / kStepsPerLine lines of it.
template <class T, int R, int NV, bool kPackedA>
[[gnu::noinline]] void tile(int64_t k, const T* __restrict a, int64_t a_row, int64_t a_k, const T* __restrict b,
                            int64_t b_k, T* c, int64_t ldc, int64_t cols, const Finish<T>& finish, int64_t row,
                            int64_t col, const char* ahead) {
  using V = Vector<T>;
  constexpr int L = kLanes<T>;
  // c is far apart in memory and needed at the end: fetched while the sums run
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
    for (int byte = 0; byte < NV * kVectorBytes; byte += 64)
      __builtin_prefetch(reinterpret_cast<char*>(c + r * ldc) + byte, 1);
  V acc[R][NV] = {};
  if constexpr (kPackedA) {
    const auto step = [&]() __attribute__((always_inline)) {
      V bv[NV];
#pragma GCC unroll 8
      for (int v = 0; v < NV; v++) bv[v] = load_vector<V>(b + v * L);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int v = 0; v < NV; v++) acc[r][v] += a[r] * bv[v];
      a += R;
      b += b_k;
    };
    int64_t p = 0;
    for (; p + kStepsPerLine <= k; p += kStepsPerLine) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += 64;
#pragma GCC unroll 4
      for (int s = 0; s < kStepsPerLine; s++) step();
    }
    for (; p < k; p++) step();
  } else {
    // groups of four rows share a base register: base, base + s, base + 2s, base + 3s are all addressable
    constexpr int kGroups = (R + 3) / 4;
    const T* base[kGroups];
    for (int g = 0; g < kGroups; g++) base[g] = a + 4 * g * a_row;
    const int64_t a_row3 = 3 * a_row;
    for (int64_t p = 0; p < k; p++) {
      V bv[NV];
#pragma GCC unroll 8
      for (int v = 0; v < NV; v++) bv[v] = load_vector<V>(b + v * L);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const T x = r % 4 == 3 ? base[r / 4][a_row3] : base[r / 4][(r % 4) * a_row];
#pragma GCC unroll 8
        for (int v = 0; v < NV; v++) acc[r][v] += x * bv[v];
      }
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; g++) base[g] += a_k;
      b += b_k;
    }
  }
  for (int r = 0; r < R; r++) finish_row<T, NV>(acc[r], c + r * ldc, cols, finish, row + r, col);
}

template <class T>
struct PanelWalk {
  int64_t m, k;
  const T* a;
  int64_t a_row, a_k;
  const T* b;
  int64_t b_k;
  T* c;
  int64_t ldc, cols;
  const Finish<T>& finish;
  int64_t col;
  const T* next;  // the panel of b after this one
  int64_t i = 0, fetched = 0;

  template <int R, int NV, bool kPackedA>
  [[gnu::always_inline]] inline void rows() {
    for (; i + R <= m; i += R) {
      tile<T, R, NV, kPackedA>(k, kPackedA ? a + i * k : a + i * a_row, a_row, a_k, b, b_k, c + i * ldc, ldc, cols,
                               finish, i, col, reinterpret_cast<const char*>(next + fetched));
      const int64_t share = k / kStepsPerLine * (64 / int64_t(sizeof(T)));
      if (fetched + 2 * share <= k * kTileCols<T>) fetched += share;
    }
  }
  template <int NV, bool kPackedA>
  void all() {
    rows<kTileRows<T>, NV, kPackedA>();
    if constexpr (kTileRows<T> > 8) rows<8, NV, kPackedA>();
    if constexpr (kTileRows<T> > 4) rows<4, NV, kPackedA>();
    rows<2, NV, kPackedA>();
    rows<1, NV, kPackedA>();
  }
};

template <class T, bool kPackedA>
void block_product(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_k, const T* b, int64_t b_panel,
                   int64_t b_k, T* c, int64_t ldc, const Finish<T>& finish) {
  constexpr int L = kLanes<T>, N = kTileCols<T>;
  for (int64_t j = 0; j < n; j += N, b += b_panel) {
    const int64_t cols = n - j < N ? n - j : N;
    PanelWalk<T> walk{m, k, a, a_row, a_k, b, b_k, c + j, ldc, cols, finish, j, n - j > N ? b + b_panel : b};
    if (cols > L)
      walk.template all<2, kPackedA>();
    else
      walk.template all<1, kPackedA>();
  }
}

template <class T>
void packed_product(int64_t m, int64_t n, int64_t k, const T* a, const T* b, T* c, int64_t ldc,
                    const Finish<T>& finish) {
  block_product<T, true>(m, n, k, a, 0, 0, b, kTileCols<T> * k, kTileCols<T>, c, ldc, finish);
}

template <class T>
void product_with_rows(int64_t m, int64_t n, int64_t k, const T* a, const T* b, int64_t b_k, T* c, int64_t ldc,
                       const Finish<T>& finish) {
  block_product<T, true>(m, n, k, a, 0, 0, b, kTileCols<T>, b_k, c, ldc, finish);
}

// Complex tiles keep real and imaginary parts in separate registers: four fused multiply-adds per product, no shuffles.
template <class T>
constexpr int kComplexRows = kVectorBytes == 64 ? 12 : 4;
template <class T>
constexpr int kComplexCols = kLanes<T>;

template <class T, int R>
[[gnu::noinline]] void complex_tile(int64_t k, const T* __restrict a, const T* __restrict b, T* c, int64_t ldc,
                                    int64_t cols, bool accumulate) {
  using V = Vector<T>;
  constexpr int L = kLanes<T>;
  V re[R] = {}, im[R] = {};
  for (int64_t p = 0; p < k; p++, a += 2 * R, b += 2 * L) {
    const V br = load_vector<V>(b), bi = load_vector<V>(b + L);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      re[r] += a[r] * br;
      im[r] += a[r] * bi;
      re[r] -= a[R + r] * bi;
      im[r] += a[R + r] * br;
    }
  }
  T values[2][L];
  for (int r = 0; r < R; r++) {
    store_vector(values[0], re[r]);
    store_vector(values[1], im[r]);
    for (int part = 0; part < 2; part++) {
      T* out = c + r * ldc + part * (ldc / 2);
      if (accumulate)
        for (int64_t j = 0; j < cols; j++) out[j] += values[part][j];
      else
        for (int64_t j = 0; j < cols; j++) out[j] = values[part][j];
    }
  }
}

template <class T>
void complex_product(int64_t m, int64_t n, int64_t k, const T* a, const T* b, T* c, int64_t ldc,
                     const Finish<T>& finish) {
  constexpr int N = kComplexCols<T>;
  const bool accumulate = finish.beta != T(0);
  for (int64_t j = 0; j < n; j += N, b += 2 * N * k) {
    const int64_t cols = n - j < N ? n - j : N;
    int64_t i = 0;
    auto rows = [&]<int R>(std::integral_constant<int, R>) {
      for (; i + R <= m; i += R) complex_tile<T, R>(k, a + 2 * i * k, b, c + i * ldc + j, ldc, cols, accumulate);
    };
    rows(std::integral_constant<int, kComplexRows<T>>());
    if constexpr (kComplexRows<T> > 8) rows(std::integral_constant<int, 8>());
    if constexpr (kComplexRows<T> > 4) rows(std::integral_constant<int, 4>());
    rows(std::integral_constant<int, 2>());
    rows(std::integral_constant<int, 1>());
  }
}

template <class T>
[[gnu::always_inline]] inline T sum_lanes(Vector<T> v) {
  // halves are folded onto each other: the order every instance shares
  T lanes[kLanes<T>];
  store_vector(lanes, v);
  for (int width = kLanes<T> / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] = T(lanes[i] + lanes[i + width]);
  return lanes[0];
}

template <class T, int R, int N>
[[gnu::always_inline]] inline void dot_tile(int64_t k, const T* a, int64_t a_row, const T* b, int64_t b_row, T* out,
                                            int64_t ldo) {
  using V = Vector<T>;
  constexpr int L = kLanes<T>;
  // more accumulator sets where a tile alone would wait for the adder
  constexpr int U = R * N >= 8 ? 1 : R * N >= 4 ? 2 : 4;
  V acc[U][R][N] = {};
  int64_t p = 0;
  for (; p + U * L <= k; p += U * L)
#pragma GCC unroll 4
    for (int u = 0; u < U; u++) {
      V bv[N];
#pragma GCC unroll 8
      for (int j = 0; j < N; j++) bv[j] = load_vector<V>(b + j * b_row + p + u * L);
#pragma GCC unroll 8
      for (int r = 0; r < R; r++) {
        const V av = load_vector<V>(a + r * a_row + p + u * L);
#pragma GCC unroll 8
        for (int j = 0; j < N; j++) acc[u][r][j] += av * bv[j];
      }
    }
  for (int r = 0; r < R; r++)
    for (int j = 0; j < N; j++) {
      V v = acc[0][r][j];
#pragma GCC unroll 4
      for (int u = 1; u < U; u++) v += acc[u][r][j];
      T total = sum_lanes<T>(v);
      for (int64_t q = p; q < k; q++) total = T(total + a[r * a_row + q] * b[j * b_row + q]);
      out[r * ldo + j] = total;
    }
}

// The tile an element falls in, and with it the order of its sum, depends on the sizes alone.
template <class T>
void dot_products(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, const T* b, int64_t b_row, T* out,
                  int64_t ldo) {
  constexpr int R = kVectorBytes == 64 ? 4 : 2;
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) {
    int64_t i = 0;
    for (; i + R <= m; i += R) dot_tile<T, R, 4>(k, a + i * a_row, a_row, b + j * b_row, b_row, out + i * ldo + j, ldo);
    for (; i < m; i++) dot_tile<T, 1, 4>(k, a + i * a_row, a_row, b + j * b_row, b_row, out + i * ldo + j, ldo);
  }
  for (; j < n; j++)
    for (int64_t i = 0; i < m; i++)
      dot_tile<T, 1, 1>(k, a + i * a_row, a_row, b + j * b_row, b_row, out + i * ldo + j, ldo);
}

template <class T>
void axpys(int64_t n, int64_t k, const T* x, const T* b, int64_t b_row, T* out) {
  using V = Vector<T>;
  constexpr int L = kLanes<T>;
  constexpr int kRows = 8;
  int64_t p = 0;
  for (; p + kRows <= k; p += kRows) {
    const T* rows = b + p * b_row;
    int64_t j = 0;
    for (; j + L <= n; j += L) {
      V sum = load_vector<V>(out + j);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) sum += x[p + r] * load_vector<V>(rows + r * b_row + j);
      store_vector(out + j, sum);
    }
    for (; j < n; j++)
      for (int r = 0; r < kRows; r++) out[j] = T(out[j] + x[p + r] * rows[r * b_row + j]);
  }
  for (; p < k; p++)
    for (int64_t j = 0; j < n; j++) out[j] = T(out[j] + x[p] * b[p * b_row + j]);
}

// NV vectors, the last one `last` elements behind the first.
template <class T, int lanes, int NV>
[[gnu::always_inline]] inline void tap_tile(int64_t taps, const T* source, const int64_t* offsets, const T* weights,
                                            T* out, int64_t last = (NV - 1) * lanes) {
  using V = typename VectorOf<T, lanes>::type;
  V acc[NV] = {};
  for (int64_t t = 0; t < taps; t++)
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++)
      acc[v] += weights[t] * load_vector<V>(source + offsets[t] + (v == NV - 1 ? last : v * lanes));
  for (int v = 0; v < NV; v++) store_vector(out + (v == NV - 1 ? last : v * lanes), acc[v]);
}

template <class T>
void tap_sums(int64_t n, int64_t taps, const T* source, const int64_t* offsets, const T* weights, T* out) {
  constexpr int L = kLanes<T>;
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) tap_tile<T, L, 4>(taps, source + i, offsets, weights, out + i);
  if (i < n && n >= L) {
    // what is left, in one pass over the taps: the last vector overlaps the one before, or, if it is the only one, what
    // the loop has written; its elements come out the same
    const int64_t rest = n - i, last = rest - L;
    if (rest > 3 * L)
      tap_tile<T, L, 4>(taps, source + i, offsets, weights, out + i, last);
    else if (rest > 2 * L)
      tap_tile<T, L, 3>(taps, source + i, offsets, weights, out + i, last);
    else if (rest > L)
      tap_tile<T, L, 2>(taps, source + i, offsets, weights, out + i, last);
    else
      tap_tile<T, L, 1>(taps, source + i, offsets, weights, out + i, last);
    return;
  }
  if constexpr (L > 8)
    for (; i + 8 <= n; i += 8) tap_tile<T, 8, 1>(taps, source + i, offsets, weights, out + i);
  if constexpr (L > 4)
    for (; i + 4 <= n; i += 4) tap_tile<T, 4, 1>(taps, source + i, offsets, weights, out + i);
  for (; i < n; i++) tap_tile<T, 1, 1>(taps, source + i, offsets, weights, out + i);
}
