// Files that include this header are compiled once per instruction set, each time into another namespace (TABULA_ISA),
// so that the linker can never mix their templates. Vectors are GCC's, as wide as the instruction set's registers.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/dtype.h"
#include "kernels/cpu/block_move.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef TABULA_ISA
#define TABULA_ISA isa_base
#endif

namespace tabula::kernels::TABULA_ISA {

#if defined(__AVX512F__)
inline constexpr int kVecBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVecBytes = 32;
#else
inline constexpr int kVecBytes = 16;
#endif

template <class T, int bytes>
struct VecType {
  typedef T type __attribute__((vector_size(bytes)));
};
template <class T>
using V = typename VecType<T, kVecBytes>::type;
template <class T>
inline constexpr int kLanes = kVecBytes / int(sizeof(T));

template <class T>
[[gnu::always_inline]] inline V<T> load(const T* p) {
  V<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
// For one pass over long memory.
template <class T>
[[gnu::always_inline]] inline V<T> load_ahead(const T* p) {
  __builtin_prefetch(reinterpret_cast<const char*>(p) + kPrefetchAhead);
  return load(p);
}
template <class T>
[[gnu::always_inline]] inline void store(T* p, V<T> v) {
  std::memcpy(p, &v, sizeof v);
}
template <class T>
[[gnu::always_inline]] inline V<T> splat(T x) {
  return V<T>{} + x;
}

// The first `count` lanes from memory (no byte beyond them is read), `fill` in the others.
template <class T>
[[gnu::always_inline]] inline V<T> load_part(const T* p, int64_t count, T fill) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    auto v = _mm512_mask_loadu_epi32(std::bit_cast<__m512i>(splat(fill)), __mmask16((1u << count) - 1), p);
    return std::bit_cast<V<T>>(v);
  } else {
    auto v = _mm512_mask_loadu_epi64(std::bit_cast<__m512i>(splat(fill)), __mmask8((1u << count) - 1), p);
    return std::bit_cast<V<T>>(v);
  }
#else
  V<T> v = splat(fill);
  for (int64_t i = 0; i < count; i++) v[i] = p[i];
  return v;
#endif
}

// Folds the lanes in a fixed tree: halves onto halves.
template <class T, int bytes, class F>
[[gnu::always_inline]] inline T fold_lanes(typename VecType<T, bytes>::type v, F f) {
  if constexpr (bytes == 16) {
    if constexpr (sizeof(T) == 8)
      return f(v[0], v[1]);
    else
      return f(f(v[0], v[2]), f(v[1], v[3]));
  } else {
    using H = typename VecType<T, bytes / 2>::type;
    H half[2];
    std::memcpy(half, &v, sizeof v);
    return fold_lanes<T, bytes / 2>(H(f(half[0], half[1])), f);
  }
}
struct Add {
  template <class X>
  X operator()(X a, X b) const {
    return a + b;
  }
};
template <class T>
[[gnu::always_inline]] inline T sum_lanes(V<T> v) {
  return fold_lanes<T, kVecBytes>(v, Add());
}

// a * b + c in one rounding where the instruction set has it.
template <class T>
[[gnu::always_inline]] inline V<T> mad(V<T> a, V<T> b, V<T> c) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (V<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  else
    return (V<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
  if constexpr (sizeof(T) == 4)
    return (V<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  else
    return (V<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
  return a * b + c;
#endif
}

// e^x: x = n ln 2 + r with |r| <= ln 2 / 2, and a Taylor series for e^r whose first omitted term is below a tenth of an
// ULP. 2^n is applied in two factors, so that results may be subnormal or overflow to infinity.
template <class T>
[[gnu::always_inline]] inline V<T> exp_v(V<T> x) {
  constexpr bool f32 = sizeof(T) == 4;
  using I = std::conditional_t<f32, int32_t, int64_t>;
  constexpr int mantissa = f32 ? 23 : 52, bias = f32 ? 127 : 1023;
  const V<T> highest = splat(T(f32 ? 89.0 : 710.0)), lowest = splat(T(f32 ? -104.0 : -746.0));
  x = x > highest ? highest : x;
  // masked-out elements (-inf) are common: they must not take the processor's slow way through subnormal results
  const auto vanishing = x < lowest;
  x = vanishing ? splat(T(0)) : x;
  constexpr T magic = f32 ? T(12582912.0) : T(6755399441055744.0);  // 1.5 * 2^mantissa: adding it rounds to an integer
  const V<T> shifted = mad<T>(x, splat(T(1.4426950408889634)), splat(magic));
  const V<I> n = (V<I>)shifted - (V<I>)splat(magic);
  const V<T> k = shifted - magic;
  constexpr T ln2_high = f32 ? T(0.693359375) : T(6.93147180369123816490e-01);
  constexpr T ln2_low = f32 ? T(-2.12194440054690583e-4) : T(1.90821492927058770002e-10);
  const V<T> r = mad<T>(k, splat(-ln2_low), mad<T>(k, splat(-ln2_high), x));
  constexpr double inverse_factorial[] = {1.0,
                                          1.0,
                                          1.0 / 2,
                                          1.0 / 6,
                                          1.0 / 24,
                                          1.0 / 120,
                                          1.0 / 720,
                                          1.0 / 5040,
                                          1.0 / 40320,
                                          1.0 / 362880,
                                          1.0 / 3628800,
                                          1.0 / 39916800,
                                          1.0 / 479001600,
                                          1.0 / 6227020800};
  constexpr int degree = f32 ? 7 : 13;
  V<T> poly = splat(T(inverse_factorial[degree]));
#pragma GCC unroll 16
  for (int i = degree - 1; i >= 0; i--) poly = mad<T>(poly, r, splat(T(inverse_factorial[i])));
  const V<I> half = n >> 1;
  const V<T> scale1 = (V<T>)((half + bias) << mantissa), scale2 = (V<T>)((n - half + bias) << mantissa);
  return vanishing ? splat(T(0)) : poly * scale1 * scale2;
}

// Contiguous halves by the F16C instructions, which the compiler does not use for loops. They return how many elements
// are done.
#if defined(__AVX2__)
inline int64_t widen_halves(const Half* src, int64_t n, float* dst) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i))));
  return i;
}
inline int64_t narrow_to_halves(const float* src, int64_t n, Half* dst) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
  return i;
}
#else
inline int64_t widen_halves(const Half*, int64_t, float*) { return 0; }
inline int64_t narrow_to_halves(const float*, int64_t, Half*) { return 0; }
#endif

// bfloat16 as floats, by the same names.
[[gnu::always_inline]] inline V<float> load(const BFloat16* p) {
  typedef uint16_t Narrow __attribute__((vector_size(kVecBytes / 2)));
  typedef uint32_t Wide __attribute__((vector_size(kVecBytes)));
  Narrow bits;
  std::memcpy(&bits, p, sizeof bits);
  return (V<float>)(__builtin_convertvector(bits, Wide) << 16);
}
[[gnu::always_inline]] inline V<float> load_ahead(const BFloat16* p) {
  __builtin_prefetch(reinterpret_cast<const char*>(p) + kPrefetchAhead);
  return load(p);
}
// Twice as many elements at once: those at even places and those at odd ones, which is two instructions each where
// widening neighbours takes a shuffle.
[[gnu::always_inline]] inline void load_ahead(const BFloat16* p, V<float>& even, V<float>& odd) {
  __builtin_prefetch(reinterpret_cast<const char*>(p) + kPrefetchAhead);
  V<uint32_t> pairs;
  std::memcpy(&pairs, p, sizeof pairs);
  even = (V<float>)(pairs << 16);
  odd = (V<float>)(pairs & 0xffff0000u);
}
[[gnu::always_inline]] inline V<float> load_part(const BFloat16* p, int64_t count, float fill) {
  V<float> v = splat(fill);
  for (int64_t i = 0; i < count; i++) v[i] = float(p[i]);
  return v;
}
inline int64_t widen_bfloat16(const BFloat16* src, int64_t n, float* dst) {
  constexpr int64_t L = kLanes<float>;
  int64_t i = 0;
  for (; i + L <= n; i += L) store(dst + i, load_ahead(src + i));
  return i;
}

// dst[i] = convert(src[i * stride]).
template <class S, class C>
inline void read_block(const S* src, int64_t stride, int64_t n, C* dst) {
  if (stride == 1) {
    int64_t i = 0;
    if constexpr (std::is_same_v<S, Half> && std::is_same_v<C, float>) i = widen_halves(src, n, dst);
    if constexpr (std::is_same_v<S, BFloat16> && std::is_same_v<C, float>) i = widen_bfloat16(src, n, dst);
    for (; i < n; i++) dst[i] = convert<C>(src[i]);
  } else {
    for (int64_t i = 0; i < n; i++) dst[i] = convert<C>(src[i * stride]);
  }
}
template <class C, class S>
inline void write_block(const C* src, int64_t n, S* dst) {
  int64_t i = 0;
  if constexpr (std::is_same_v<S, Half> && std::is_same_v<C, float>) i = narrow_to_halves(src, n, dst);
  for (; i < n; i++) dst[i] = convert<S>(src[i]);
}

}  // namespace tabula::kernels::TABULA_ISA
