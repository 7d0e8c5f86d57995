// Products so small that packing, scratch memory and threads would cost more than they do. Included like
// gemm_micro.inl.

template <class T, int lanes, int R>
[[gnu::always_inline]] inline void small_tile(int64_t k, const T* a, int64_t a_row, int64_t a_k, const T* b,
                                              int64_t b_k, T* out, int64_t ldo) {
  using V = typename VectorOf<T, lanes>::type;
  V acc[R] = {};
  for (int64_t p = 0; p < k; p++, a += a_k, b += b_k) {
    const V bv = load_vector<V>(b);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) acc[r] += a[r * a_row] * bv;
  }
  for (int r = 0; r < R; r++) store_vector(out + r * ldo, acc[r]);
}

template <class T, int lanes>
[[gnu::always_inline]] inline void small_columns(int64_t m, int64_t k, const T* a, int64_t a_row, int64_t a_k,
                                                 const T* b, int64_t b_k, T* out, int64_t ldo) {
  int64_t i = 0;
  for (; i + 4 <= m; i += 4) small_tile<T, lanes, 4>(k, a + i * a_row, a_row, a_k, b, b_k, out + i * ldo, ldo);
  for (; i < m; i++) small_tile<T, lanes, 1>(k, a + i * a_row, a_row, a_k, b, b_k, out + i * ldo, ldo);
}

template <class T>
void small_block(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_k, const T* b, int64_t b_k,
                 T* out, int64_t ldo) {
  int64_t j = 0;
  constexpr int L = kLanes<T>;
  for (; j + L <= n; j += L) small_columns<T, L>(m, k, a, a_row, a_k, b + j, b_k, out + j, ldo);
  if constexpr (L > 8)
    for (; j + 8 <= n; j += 8) small_columns<T, 8>(m, k, a, a_row, a_k, b + j, b_k, out + j, ldo);
  if constexpr (L > 4)
    for (; j + 4 <= n; j += 4) small_columns<T, 4>(m, k, a, a_row, a_k, b + j, b_k, out + j, ldo);
  for (; j < n; j++) small_columns<T, 1>(m, k, a, a_row, a_k, b + j, b_k, out + j, ldo);
}

template <class S>
[[gnu::noinline]] void small_staged(const GemmCall& call) {
  using T = ComputeOf<S>;
  const int64_t m = call.m, n = call.n, k = call.k;
  T a[kSmallProduct], b[kSmallProduct], out[kSmallProduct];
  const S* from_a = reinterpret_cast<const S*>(call.a);
  const S* from_b = reinterpret_cast<const S*>(call.b);
  for (int64_t i = 0; i < m; i++) widen_run(from_a + i * call.a_row, call.a_col, k, a + i * k);
  for (int64_t p = 0; p < k; p++) widen_run(from_b + p * call.b_row, call.b_col, n, b + p * n);
  small_block<T>(m, n, k, a, k, 1, b, n, out, n);
  write_real<S>(out, n, 0, m, 0, n, call);
}

// Only for m, n, k >= 1 with m * n * k <= kSmallProduct.
template <class S>
void small_real(const GemmCall& call) {
  if constexpr (kSameType<S>) {
    using T = ComputeOf<S>;
    const bool plain = call.alpha == 1.0 && call.beta == 0.0 && !call.bias && call.epilogue == Epilogue::None;
    if (plain && call.b_col == 1 && call.c_col == 1) {
      small_block<T>(call.m, call.n, call.k, reinterpret_cast<const T*>(call.a), call.a_row, call.a_col,
                     reinterpret_cast<const T*>(call.b), call.b_row, reinterpret_cast<T*>(call.c), call.c_row);
      return;
    }
    if (plain && call.a_row == 1 && call.c_row == 1) {
      small_block<T>(call.n, call.m, call.k, reinterpret_cast<const T*>(call.b), call.b_col, call.b_row,
                     reinterpret_cast<const T*>(call.a), call.a_col, reinterpret_cast<T*>(call.c), call.c_col);
      return;
    }
  }
  small_staged<S>(call);
}

template <class S>
void small_complex(const GemmCall& call) {
  using T = ComputeOf<S>;
  const T *a = reinterpret_cast<const T*>(call.a), *b = reinterpret_cast<const T*>(call.b);
  const T sign_a = call.conj_a ? T(-1) : T(1), sign_b = call.conj_b ? T(-1) : T(1);
  for (int64_t i = 0; i < call.m; i++)
    for (int64_t j = 0; j < call.n; j++) {
      T sum[2] = {};
      for (int64_t p = 0; p < call.k; p++) {
        const T* x = a + 2 * (i * call.a_row + p * call.a_col);
        const T* y = b + 2 * (p * call.b_row + j * call.b_col);
        const T xi = sign_a * x[1], yi = sign_b * y[1];
        sum[0] += x[0] * y[0] - xi * yi;
        sum[1] += x[0] * yi + xi * y[0];
      }
      write_complex<S>(sum, 2, i, 1, j, 1, call);
    }
}
