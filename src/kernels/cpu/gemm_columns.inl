// The columns of convolutions. Included like gemm_micro.inl.

#if defined(__AVX512F__)
// Numbers of 4 or 8 bytes go by whole registers: masked loads neither fault nor wait for what they leave out.
template <class T>
constexpr bool kMaskedRuns = sizeof(T) == 4 || sizeof(T) == 8;

// Bits [low, high).
inline uint32_t bit_range(int64_t low, int64_t high) {
  return low < high ? (~0u >> (32 - high)) & ~((1u << low) - 1) : 0;
}
template <class T>
[[gnu::always_inline]] inline __m512i load_lanes(const T* from, uint32_t lanes) {
  if constexpr (sizeof(T) == 4)
    return _mm512_maskz_loadu_epi32(__mmask16(lanes), from);
  else
    return _mm512_maskz_loadu_epi64(__mmask8(lanes), from);
}
// Every second element.
template <class T>
[[gnu::always_inline]] inline __m512i load_even_lanes(const T* from, int64_t low, int64_t high) {
  constexpr int kCount = 64 / int(sizeof(T));
  const uint32_t lanes = bit_range(2 * low, 2 * high - 1);
  const __m512i near = load_lanes(from, lanes), far = load_lanes(from + kCount, lanes >> kCount);
  if constexpr (sizeof(T) == 4)
    return _mm512_permutex2var_epi32(near, _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30),
                                     far);
  else
    return _mm512_permutex2var_epi64(near, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), far);
}
#else
template <class T>
constexpr bool kMaskedRuns = false;
#endif
template <class T>
constexpr int64_t kLongestRun = kMaskedRuns<T> ? 64 / int64_t(sizeof(T)) : INT32_MAX;

template <class T>
[[gnu::always_inline]] inline void column_run(const ColumnRun& run, const T* source, int64_t step, T* to) {
  T* const out = to + run.to;
  const T* const from = source + run.from;
  int64_t i = 0;
  for (; i < run.low; i++) out[i] = T(0);
  if (step == 1)
    for (; i < run.high; i++) out[i] = from[i];
  else if (step == 2)
    for (; i < run.high; i++) out[i] = from[2 * i];
  else
    for (; i < run.high; i++) out[i] = from[i * step];
  for (; i < run.length; i++) out[i] = T(0);
}

template <class T>
void column_runs(const ColumnRun* runs, int64_t count, const T* source, int64_t step, T* to) {
#if defined(__AVX512F__)
  if constexpr (kMaskedRuns<T>) {
    const auto each = [&](auto load) {
      for (int64_t r = 0; r < count; r++) {
        const ColumnRun& run = runs[r];
        const __m512i values = load(source + run.from, run);
        if constexpr (sizeof(T) == 4)
          _mm512_mask_storeu_epi32(to + run.to, __mmask16(bit_range(0, run.length)), values);
        else
          _mm512_mask_storeu_epi64(to + run.to, __mmask8(bit_range(0, run.length)), values);
      }
    };
    if (step == 1) return each([](const T* from, const ColumnRun& run) { return load_lanes(from, run.lanes); });
    if (step == 2)
      return each([](const T* from, const ColumnRun& run) { return load_even_lanes(from, run.low, run.high); });
  }
#endif
  for (int64_t r = 0; r < count; r++) column_run(runs[r], source, step, to);
}
