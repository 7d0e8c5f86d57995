// Between storage and compute types: packing, strided loads, and the last step of a product. Included like
// gemm_micro.inl.

template <class S>
struct Compute;  // type: what S is multiplied in; parts: 2 for complex

#define TABULA_COMPUTE(S, T, P)     \
  template <>                       \
  struct Compute<S> {               \
    using type = T;                 \
    static constexpr int parts = P; \
  };
TABULA_COMPUTE(uint8_t, uint16_t, 1)
TABULA_COMPUTE(int8_t, uint16_t, 1)
TABULA_COMPUTE(int16_t, uint16_t, 1)
TABULA_COMPUTE(uint16_t, uint16_t, 1)
TABULA_COMPUTE(int32_t, uint32_t, 1)
TABULA_COMPUTE(uint32_t, uint32_t, 1)
TABULA_COMPUTE(int64_t, uint64_t, 1)
TABULA_COMPUTE(uint64_t, uint64_t, 1)
TABULA_COMPUTE(Half, float, 1)
TABULA_COMPUTE(BFloat16, float, 1)
TABULA_COMPUTE(float, float, 1)
TABULA_COMPUTE(double, double, 1)
TABULA_COMPUTE(c64, float, 2)
TABULA_COMPUTE(c128, double, 2)
#undef TABULA_COMPUTE

template <class S>
using ComputeOf = typename Compute<S>::type;
template <class S>
constexpr bool kSameType = std::is_floating_point_v<S> || (std::is_integral_v<S> && sizeof(S) == sizeof(ComputeOf<S>));

template <class S>
[[gnu::always_inline]] inline ComputeOf<S> widen(S x) {
  if constexpr (std::is_same_v<S, BFloat16>)
    return __builtin_bit_cast(float, uint32_t(x.bits) << 16);
  else if constexpr (std::is_same_v<S, Half>)
    return float(__builtin_bit_cast(_Float16, x.bits));
  else
    return ComputeOf<S>(x);
}

template <class S>
[[gnu::always_inline]] inline S narrow(ComputeOf<S> x) {
  if constexpr (std::is_same_v<S, BFloat16>) {
    const uint32_t u = __builtin_bit_cast(uint32_t, x);
    const uint16_t bits = x != x ? uint16_t(0x7FC0) : uint16_t((u + 0x7FFF + ((u >> 16) & 1)) >> 16);
    return __builtin_bit_cast(S, bits);
  } else if constexpr (std::is_same_v<S, Half>) {
    return __builtin_bit_cast(S, _Float16(x));
  } else {
    return S(x);
  }
}

template <class S, class T>
[[gnu::always_inline]] inline void widen_run(const S* from, int64_t stride, int64_t n, T* to) {
  int64_t i = 0;
  if (stride == 1) {
#if defined(__F16C__) && defined(__AVX__)
    // GCC 12 does not vectorise _Float16 conversions by itself
    if constexpr (std::is_same_v<S, Half>)
      for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
#endif
    for (; i < n; i++) to[i] = widen(from[i]);
  } else {
    for (; i < n; i++) to[i] = widen(from[i * stride]);
  }
}

#if defined(__AVX512F__)
constexpr bool kMaskedStores = true;
// The first `count` lanes.
template <class T>
[[gnu::always_inline]] inline void store_lanes(T* to, Vector<T> v, int count) {
  if (count == kLanes<T>)
    store_vector(to, v);
  else if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_epi32(to, __mmask16((1u << count) - 1), (__m512i)v);
  else
    _mm512_mask_storeu_epi64(to, __mmask8((1u << count) - 1), (__m512i)v);
}
#else
constexpr bool kMaskedStores = false;
template <class T>
[[gnu::always_inline]] inline void store_lanes(T* to, Vector<T> v, int) {
  store_vector(to, v);
}
#endif

// panel[p * width + l] = lines[l][p] for a run of contiguous lines.
template <class T>
[[gnu::always_inline]] inline void transpose_lines(const T* lines, int64_t line_stride, int64_t count, int64_t width,
                                                   int64_t k, T* panel) {
  int64_t l = 0;
  if constexpr (sizeof(T) >= 4 && kLanes<T> > 4) {
    constexpr int L = kLanes<T>;
    const int64_t whole = k / L * L;
    // a square may lack lines where the last ones can be left out when it is stored
    for (; l + (kMaskedStores ? (L + 1) / 2 : L) <= count; l += L) {
      const T* from = lines + l * line_stride;
      const int there = count - l < L ? int(count - l) : L;
      for (int64_t p = 0; p < whole; p += L) {
        Vector<T> square[L];
#pragma GCC unroll 16
        for (int i = 0; i < L; i++)
          square[i] = i < there ? load_vector<Vector<T>>(from + i * line_stride + p) : Vector<T>{};
        transpose_square(square);
#pragma GCC unroll 16
        for (int i = 0; i < L; i++) store_lanes(panel + (p + i) * width + l, square[i], there);
      }
      for (int64_t p = whole; p < k; p++)
        for (int i = 0; i < there; i++) panel[p * width + l + i] = from[i * line_stride + p];
    }
  }
  if constexpr (sizeof(T) >= 4 && 4 * sizeof(T) <= kVectorBytes) {
    using V = typename VectorOf<T, 4>::type;
    using I = typename VectorOf<std::conditional_t<sizeof(T) == 4, int32_t, int64_t>, 4>::type;
    for (; l + 4 <= count; l += 4) {
      const T* from = lines + l * line_stride;
      int64_t p = 0;
      for (; p + 4 <= k; p += 4) {
        const V a = load_vector<V>(from + p), b = load_vector<V>(from + line_stride + p),
                c = load_vector<V>(from + 2 * line_stride + p), d = load_vector<V>(from + 3 * line_stride + p);
        const V ab_low = __builtin_shuffle(a, b, I{0, 4, 1, 5}), ab_high = __builtin_shuffle(a, b, I{2, 6, 3, 7});
        const V cd_low = __builtin_shuffle(c, d, I{0, 4, 1, 5}), cd_high = __builtin_shuffle(c, d, I{2, 6, 3, 7});
        T* to = panel + p * width + l;
        store_vector(to, V(__builtin_shuffle(ab_low, cd_low, I{0, 1, 4, 5})));
        store_vector(to + width, V(__builtin_shuffle(ab_low, cd_low, I{2, 3, 6, 7})));
        store_vector(to + 2 * width, V(__builtin_shuffle(ab_high, cd_high, I{0, 1, 4, 5})));
        store_vector(to + 3 * width, V(__builtin_shuffle(ab_high, cd_high, I{2, 3, 6, 7})));
      }
      for (; p < k; p++)
        for (int i = 0; i < 4; i++) panel[p * width + l + i] = from[i * line_stride + p];
    }
  }
  for (; l < count; l++)
    for (int64_t p = 0; p < k; p++) panel[p * width + l] = lines[l * line_stride + p];
}

template <class T>
[[gnu::always_inline]] inline void clear_lines(int64_t from, int64_t width, int64_t k, T* panel) {
  if (from < width)
    for (int64_t p = 0; p < k; p++)
      for (int64_t l = from; l < width; l++) panel[p * width + l] = T(0);
}

// panel[p][l] = rows[p][l]: a width that the compiler knows is a few moves.
template <class T, int width>
[[gnu::always_inline]] inline void copy_rows(const T* row, int64_t stride, int64_t k, T* panel) {
  for (int64_t p = 0; p < k; p++) __builtin_memcpy(panel + p * width, row + p * stride, width * sizeof(T));
}

template <class S>
void pack_real(const char* source, int64_t line_stride, int64_t k_stride, int64_t lines, int64_t width, int64_t k,
               void* target, bool) {
  using T = ComputeOf<S>;
  const S* from = reinterpret_cast<const S*>(source);
  T* panel = static_cast<T*>(target);
  clear_lines(lines, width, k, panel);
  if (line_stride == 1) {
    if (kSameType<S> && lines == kTileCols<T> && width == lines) {
      copy_rows<T, kTileCols<T>>(reinterpret_cast<const T*>(from), k_stride, k, panel);
    } else if (kSameType<S> && lines == kTileRows<T> && width == lines) {
      copy_rows<T, kTileRows<T>>(reinterpret_cast<const T*>(from), k_stride, k, panel);
    } else {
      for (int64_t p = 0; p < k; p++) widen_run(from + p * k_stride, 1, lines, panel + p * width);
    }
  } else if (k_stride == 1) {
    if constexpr (kSameType<S>) {
      transpose_lines(reinterpret_cast<const T*>(from), line_stride, lines, width, k, panel);
    } else {
      constexpr int64_t kRun = 32;
      T staged[kTileCols<T> * kRun];
      for (int64_t p = 0; p < k; p += kRun) {
        const int64_t run = k - p < kRun ? k - p : kRun;
        for (int64_t l = 0; l < lines; l++) widen_run(from + l * line_stride + p, 1, run, staged + l * kRun);
        transpose_lines<T>(staged, kRun, lines, width, run, panel + p * width);
      }
    }
  } else {
    for (int64_t p = 0; p < k; p++)
      for (int64_t l = 0; l < lines; l++) panel[p * width + l] = widen(from[l * line_stride + p * k_stride]);
  }
}

template <class S>
void pack_complex(const char* source, int64_t line_stride, int64_t k_stride, int64_t lines, int64_t width, int64_t k,
                  void* target, bool conj) {
  using T = ComputeOf<S>;
  const T* from = reinterpret_cast<const T*>(source);
  T* panel = static_cast<T*>(target);
  const T sign = conj ? T(-1) : T(1);
  for (int64_t p = 0; p < k; p++) {
    T* to = panel + 2 * p * width;
    for (int64_t l = 0; l < lines; l++) {
      const T* x = from + 2 * (l * line_stride + p * k_stride);
      to[l] = x[0];
      to[width + l] = sign * x[1];
    }
    for (int64_t l = lines; l < width; l++) to[l] = to[width + l] = T(0);
  }
}

template <class S>
void load_run(const char* source, int64_t stride, int64_t n, void* out) {
  if constexpr (Compute<S>::parts == 2) {
    using T = ComputeOf<S>;
    const T* from = reinterpret_cast<const T*>(source);
    T* to = static_cast<T*>(out);
    for (int64_t i = 0; i < n; i++) {
      to[2 * i] = from[2 * i * stride];
      to[2 * i + 1] = from[2 * i * stride + 1];
    }
  } else {
    widen_run(reinterpret_cast<const S*>(source), stride, n, static_cast<ComputeOf<S>*>(out));
  }
}

// A scalar of the call in the compute type; integers go by way of int64 so that negative ones wrap.
template <class T>
[[gnu::always_inline]] inline T scalar(double x) {
  if constexpr (std::is_integral_v<T>)
    return T(int64_t(x));
  else
    return T(x);
}

template <class S>
void write_real(const void* source, int64_t ldt, int64_t row, int64_t m, int64_t col, int64_t n, const GemmCall& call) {
  using T = ComputeOf<S>;
  const T* tile = static_cast<const T*>(source);
  const T alpha = scalar<T>(call.alpha.real()), beta = scalar<T>(call.beta.real());
  const S* bias = reinterpret_cast<const S*>(call.bias);
  const bool relu = call.epilogue == Epilogue::Relu;
  // the pixels of convolutions: short runs that are copied, at most with one bias for all of them
  if (kSameType<S> && alpha == T(1) && beta == T(0) && !relu && (!bias || call.bias_col == 0)) {
    for (int64_t i = 0; i < m; i++) {
      const T* from = tile + i * ldt;
      T* c = reinterpret_cast<T*>(call.c) + (row + i) * call.c_row + col * call.c_col;
      const auto copy = [&](auto value) {
        if (call.c_col == 1)
          for (int64_t j = 0; j < n; j++) c[j] = value(from[j]);
        else if (call.c_col == 2)
          for (int64_t j = 0; j < n; j++) c[2 * j] = value(from[j]);
        else
          for (int64_t j = 0; j < n; j++) c[j * call.c_col] = value(from[j]);
      };
      if (bias) {
        const T added = widen(bias[(row + i) * call.bias_row]);
        copy([&](T x) { return T(x + added); });
      } else {
        copy([](T x) { return x; });
      }
    }
    return;
  }
  constexpr int64_t kRun = 128;
  T line[kRun];
  for (int64_t i = 0; i < m; i++)
    for (int64_t j0 = 0; j0 < n; j0 += kRun) {
      const int64_t run = n - j0 < kRun ? n - j0 : kRun;
      const T* from = tile + i * ldt + j0;
      S* c = reinterpret_cast<S*>(call.c) + (row + i) * call.c_row + (col + j0) * call.c_col;
      for (int64_t j = 0; j < run; j++) line[j] = T(from[j] * alpha);
      if (beta != T(0))
        for (int64_t j = 0; j < run; j++) line[j] = T(line[j] + widen(c[j * call.c_col]) * beta);
      if (bias) {
        const S* x = bias + (row + i) * call.bias_row + (col + j0) * call.bias_col;
        for (int64_t j = 0; j < run; j++) line[j] = T(line[j] + widen(x[j * call.bias_col]));
      }
      if (relu) {
        // the sign is that of the stored type: integers compute in unsigned arithmetic
        if constexpr (std::is_integral_v<S>) {
          for (int64_t j = 0; j < run; j++) line[j] = S(line[j]) < S(0) ? T(0) : line[j];
        } else {
          for (int64_t j = 0; j < run; j++) line[j] = line[j] < T(0) ? T(0) : line[j];
        }
      }
      int64_t j = 0;
      if (call.c_col == 1) {
#if defined(__F16C__) && defined(__AVX__)
        if constexpr (std::is_same_v<S, Half>)
          for (; j + 8 <= run; j += 8)
            _mm_storeu_si128(reinterpret_cast<__m128i*>(c + j),
                             _mm256_cvtps_ph(_mm256_loadu_ps(line + j), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#endif
        for (; j < run; j++) c[j] = narrow<S>(line[j]);
      } else {
        for (; j < run; j++) c[j * call.c_col] = narrow<S>(line[j]);
      }
    }
}

template <class S>
void write_complex(const void* source, int64_t ldt, int64_t row, int64_t m, int64_t col, int64_t n,
                   const GemmCall& call) {
  using T = ComputeOf<S>;
  const T* tile = static_cast<const T*>(source);
  const T alpha_re = T(call.alpha.real()), alpha_im = T(call.alpha.imag());
  const T beta_re = T(call.beta.real()), beta_im = T(call.beta.imag());
  const bool scaled = alpha_re != T(1) || alpha_im != T(0);
  const bool reads = beta_re != T(0) || beta_im != T(0);
  for (int64_t i = 0; i < m; i++) {
    T* c = reinterpret_cast<T*>(call.c) + 2 * ((row + i) * call.c_row + col * call.c_col);
    for (int64_t j = 0; j < n; j++, c += 2 * call.c_col) {
      T re = tile[i * ldt + j], im = tile[i * ldt + ldt / 2 + j];
      if (scaled) {
        const T product = re * alpha_re - im * alpha_im;
        im = re * alpha_im + im * alpha_re;
        re = product;
      }
      if (reads) {
        re += c[0] * beta_re - c[1] * beta_im;
        im += c[0] * beta_im + c[1] * beta_re;
      }
      if (call.bias) {
        const T* x =
            reinterpret_cast<const T*>(call.bias) + 2 * ((row + i) * call.bias_row + (col + j) * call.bias_col);
        re += x[0];
        im += x[1];
      }
      c[0] = re;
      c[1] = im;
    }
  }
}
