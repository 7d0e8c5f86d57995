// Vectors of float, double and their integer twins, over the compilers' vector extensions.
//
// Everything here and in simd_math.h lies in an inline namespace named after the instruction set, since hot files are
// compiled once per set and the linker must not merge, say, the AVX-512 body of exp with the baseline one.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define TABULA_VECTOR_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define TABULA_VECTOR_BYTES 32
#else
#define TABULA_VECTOR_BYTES 16
#endif

// The build names the variant it compiles (cmake/layers.cmake).
#ifndef TABULA_ISA
#if TABULA_VECTOR_BYTES == 64
#define TABULA_ISA avx512
#elif TABULA_VECTOR_BYTES == 32
#define TABULA_ISA avx2
#else
#define TABULA_ISA baseline
#endif
#endif

#if defined(__FMA__) || defined(__aarch64__)
#define TABULA_HAS_FMA 1
#else
#define TABULA_HAS_FMA 0
#endif

#define TABULA_INLINE __attribute__((always_inline)) inline
#define TABULA_ALWAYS __attribute__((always_inline))  // for lambdas

namespace tabula {
inline namespace TABULA_ISA {

namespace detail {
template <class T>
struct LaneInt {
  using type = T;
};
template <>
struct LaneInt<float> {
  using type = int32_t;
};
template <>
struct LaneInt<double> {
  using type = int64_t;
};

// Integer lanes wrap, so their arithmetic is done unsigned: signed overflow is undefined for vectors too.
template <class T>
struct Wrapping {
  using type = T;
};
template <>
struct Wrapping<int32_t> {
  using type = uint32_t;
};
template <>
struct Wrapping<int64_t> {
  using type = uint64_t;
};

template <class T, int bytes>
struct RawVector {
  typedef T type __attribute__((vector_size(bytes)));
};

template <class T>
struct Format;
template <>
struct Format<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr int32_t sign = INT32_MIN, magnitude = INT32_MAX, infinity = 0x7F800000;
  static constexpr float integer_limit = 0x1p23f;  // from here on every value is an integer
  static constexpr float magic = 0x1.8p23f;        // adding it rounds to an integer held in the low bits
};
template <>
struct Format<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr int64_t sign = INT64_MIN, magnitude = INT64_MAX, infinity = 0x7FF0000000000000;
  static constexpr double integer_limit = 0x1p52;
  static constexpr double magic = 0x1.8p52;
};
}  // namespace detail

template <class T>
struct Mask;

template <class T>
struct Vec {
  using Element = T;
  using Raw = typename detail::RawVector<T, TABULA_VECTOR_BYTES>::type;
  using Lanes = typename detail::RawVector<typename detail::Wrapping<T>::type, TABULA_VECTOR_BYTES>::type;
  using Int = Vec<typename detail::LaneInt<T>::type>;
  static constexpr int size = TABULA_VECTOR_BYTES / int(sizeof(T));
  static constexpr bool is_float = std::is_floating_point_v<T>;

  Raw v;

  Vec() = default;
  TABULA_INLINE explicit Vec(Raw raw) : v(raw) {}
  template <class S>
    requires std::is_arithmetic_v<S>
  TABULA_INLINE explicit Vec(S value) : v(Raw{} + T(value)) {
    // adding to zero would turn -0.0 into +0.0
    if constexpr (is_float) v = T(value) - Raw{};
  }

  static TABULA_INLINE Vec load(const T* p) {
    Vec r;
    std::memcpy(&r.v, p, sizeof(Raw));
    return r;
  }
  TABULA_INLINE void store(T* p) const { std::memcpy(p, &v, sizeof(Raw)); }

  // The first `count` (< size) elements; the other lanes are ones, a value that is harmless to every formula.
  static TABULA_INLINE Vec load_partial(const T* p, int64_t count) {
#if TABULA_VECTOR_BYTES == 64
    const Raw ones = Vec(T(1)).v;
    if constexpr (sizeof(T) == 4)
      return Vec((Raw)_mm512_mask_loadu_epi32((__m512i)ones, __mmask16((1u << count) - 1), p));
    else
      return Vec((Raw)_mm512_mask_loadu_epi64((__m512i)ones, __mmask8((1u << count) - 1), p));
#elif TABULA_VECTOR_BYTES == 32
    const Raw ones = Vec(T(1)).v;
    const __m256i mask = first_lanes(count);
    if constexpr (sizeof(T) == 4)
      return Vec((Raw)_mm256_blendv_epi8((__m256i)ones, _mm256_maskload_epi32((const int*)p, mask), mask));
    else
      return Vec((Raw)_mm256_blendv_epi8((__m256i)ones, _mm256_maskload_epi64((const long long*)p, mask), mask));
#else
    T buffer[size];
    for (int i = 0; i < size; i++) buffer[i] = i < count ? p[i] : T(1);
    return load(buffer);
#endif
  }
  TABULA_INLINE void store_partial(T* p, int64_t count) const {
#if TABULA_VECTOR_BYTES == 64
    if constexpr (sizeof(T) == 4)
      _mm512_mask_storeu_epi32(p, __mmask16((1u << count) - 1), (__m512i)v);
    else
      _mm512_mask_storeu_epi64(p, __mmask8((1u << count) - 1), (__m512i)v);
#elif TABULA_VECTOR_BYTES == 32
    if constexpr (sizeof(T) == 4)
      _mm256_maskstore_epi32((int*)p, first_lanes(count), (__m256i)v);
    else
      _mm256_maskstore_epi64((long long*)p, first_lanes(count), (__m256i)v);
#else
    for (int64_t i = 0; i < count; i++) p[i] = v[i];
#endif
  }
#if TABULA_VECTOR_BYTES == 32
  static TABULA_INLINE __m256i first_lanes(int64_t count) {
    if constexpr (sizeof(T) == 4)
      return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    else
      return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
  }
#endif

  TABULA_INLINE T operator[](int i) const { return v[i]; }

  friend TABULA_INLINE Vec operator+(Vec a, Vec b) { return Vec(Raw(Lanes(a.v) + Lanes(b.v))); }
  friend TABULA_INLINE Vec operator-(Vec a, Vec b) { return Vec(Raw(Lanes(a.v) - Lanes(b.v))); }
  friend TABULA_INLINE Vec operator*(Vec a, Vec b) { return Vec(Raw(Lanes(a.v) * Lanes(b.v))); }
  friend TABULA_INLINE Vec operator/(Vec a, Vec b) { return Vec(a.v / b.v); }
  friend TABULA_INLINE Vec operator-(Vec a) { return Vec(Raw(-Lanes(a.v))); }
  friend TABULA_INLINE Vec operator+(Vec a, T b) { return a + Vec(b); }
  friend TABULA_INLINE Vec operator-(Vec a, T b) { return a - Vec(b); }
  friend TABULA_INLINE Vec operator*(Vec a, T b) { return a * Vec(b); }
  friend TABULA_INLINE Vec operator/(Vec a, T b) { return a / Vec(b); }
  friend TABULA_INLINE Vec operator+(T a, Vec b) { return Vec(a) + b; }
  friend TABULA_INLINE Vec operator-(T a, Vec b) { return Vec(a) - b; }
  friend TABULA_INLINE Vec operator*(T a, Vec b) { return Vec(a) * b; }
  friend TABULA_INLINE Vec operator/(T a, Vec b) { return Vec(a) / b; }

  friend TABULA_INLINE Mask<T> operator<(Vec a, Vec b) { return Mask<T>(a.v < b.v); }
  friend TABULA_INLINE Mask<T> operator<=(Vec a, Vec b) { return Mask<T>(a.v <= b.v); }
  friend TABULA_INLINE Mask<T> operator>(Vec a, Vec b) { return Mask<T>(a.v > b.v); }
  friend TABULA_INLINE Mask<T> operator>=(Vec a, Vec b) { return Mask<T>(a.v >= b.v); }
  friend TABULA_INLINE Mask<T> operator==(Vec a, Vec b) { return Mask<T>(a.v == b.v); }
  friend TABULA_INLINE Mask<T> operator!=(Vec a, Vec b) { return Mask<T>(a.v != b.v); }

  friend TABULA_INLINE Vec operator&(Vec a, Vec b)
    requires(!is_float)
  {
    return Vec(a.v & b.v);
  }
  friend TABULA_INLINE Vec operator|(Vec a, Vec b)
    requires(!is_float)
  {
    return Vec(a.v | b.v);
  }
  friend TABULA_INLINE Vec operator^(Vec a, Vec b)
    requires(!is_float)
  {
    return Vec(a.v ^ b.v);
  }
  TABULA_INLINE Vec shift_left(int by) const
    requires(!is_float)
  {
    return Vec(v << by);
  }
  // zeros come in from the left
  TABULA_INLINE Vec shift_right(int by) const
    requires(!is_float)
  {
    using Unsigned = typename detail::RawVector<std::make_unsigned_t<T>, TABULA_VECTOR_BYTES>::type;
    return Vec(Raw(Unsigned(v) >> by));
  }
};

// All ones or all zeros per lane.
template <class T>
struct Mask {
  using Raw = typename Vec<T>::Int::Raw;
  Raw v;
  TABULA_INLINE explicit Mask(Raw raw) : v(raw) {}
  friend TABULA_INLINE Mask operator&(Mask a, Mask b) { return Mask(a.v & b.v); }
  friend TABULA_INLINE Mask operator|(Mask a, Mask b) { return Mask(a.v | b.v); }
  friend TABULA_INLINE Mask operator^(Mask a, Mask b) { return Mask(a.v ^ b.v); }
  friend TABULA_INLINE Mask operator!(Mask a) { return Mask(~a.v); }
};

template <class T>
TABULA_INLINE bool any(Mask<T> m) {
#if TABULA_VECTOR_BYTES == 64
  return _mm512_test_epi32_mask((__m512i)m.v, (__m512i)m.v) != 0;
#elif TABULA_VECTOR_BYTES == 32
  return !_mm256_testz_si256((__m256i)m.v, (__m256i)m.v);
#else
  uint64_t words[2];
  std::memcpy(words, &m.v, sizeof words);
  return (words[0] | words[1]) != 0;
#endif
}

// any(x > limit), without the way through a vector that a mask takes
TABULA_INLINE bool any_above(Vec<float> x, Vec<float> limit) {
#if TABULA_VECTOR_BYTES == 64
  return _mm512_cmp_ps_mask((__m512)x.v, (__m512)limit.v, _CMP_GT_OQ) != 0;
#else
  return any(x > limit);
#endif
}

template <class T>
TABULA_INLINE Vec<T> select(Mask<T> m, Vec<T> yes, Vec<T> no) {
  return Vec<T>(m.v ? yes.v : no.v);
}
TABULA_INLINE Vec<int32_t> select(Mask<float> m, Vec<int32_t> yes, Vec<int32_t> no) {
  return Vec<int32_t>(m.v ? yes.v : no.v);
}
TABULA_INLINE Vec<int64_t> select(Mask<double> m, Vec<int64_t> yes, Vec<int64_t> no) {
  return Vec<int64_t>(m.v ? yes.v : no.v);
}
template <class T>
concept ScalarValue = std::is_arithmetic_v<T>;

template <class T>
TABULA_INLINE typename Vec<T>::Int bits_of(Vec<T> x) {
  return typename Vec<T>::Int((typename Vec<T>::Int::Raw)x.v);
}
TABULA_INLINE Vec<float> from_bits(Vec<int32_t> x) { return Vec<float>((Vec<float>::Raw)x.v); }
TABULA_INLINE Vec<double> from_bits(Vec<int64_t> x) { return Vec<double>((Vec<double>::Raw)x.v); }

template <class T>
concept LaneFloat = std::is_same_v<T, float> || std::is_same_v<T, double>;

template <LaneFloat T>
TABULA_INLINE Vec<T> abs(Vec<T> x) {
  return from_bits(bits_of(x) & typename Vec<T>::Int(detail::Format<T>::magnitude));
}
template <LaneFloat T>
TABULA_INLINE Vec<T> copysign(Vec<T> magnitude, Vec<T> sign) {
  using F = detail::Format<T>;
  using I = typename Vec<T>::Int;
  return from_bits((bits_of(magnitude) & I(F::magnitude)) | (bits_of(sign) & I(F::sign)));
}
// x with its sign flipped where `sign` is negative
template <LaneFloat T>
TABULA_INLINE Vec<T> flip_sign(Vec<T> x, Vec<T> sign) {
  return from_bits(bits_of(x) ^ (bits_of(sign) & typename Vec<T>::Int(detail::Format<T>::sign)));
}
template <LaneFloat T>
TABULA_INLINE Mask<T> signbit(Vec<T> x) {
  return Mask<T>(bits_of(x).v < 0);
}
template <LaneFloat T>
TABULA_INLINE Mask<T> isnan(Vec<T> x) {
  return x != x;
}
template <LaneFloat T>
TABULA_INLINE Mask<T> isinf(Vec<T> x) {
  return abs(x) == from_bits(typename Vec<T>::Int(detail::Format<T>::infinity));
}
template <LaneFloat T>
TABULA_INLINE Mask<T> isfinite(Vec<T> x) {
  return abs(x) < from_bits(typename Vec<T>::Int(detail::Format<T>::infinity));
}

// a * b + c, rounded once where the instruction set can
#if TABULA_VECTOR_BYTES == 64
TABULA_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return Vec<float>((Vec<float>::Raw)_mm512_fmadd_ps((__m512)a.v, (__m512)b.v, (__m512)c.v));
}
TABULA_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return Vec<double>((Vec<double>::Raw)_mm512_fmadd_pd((__m512d)a.v, (__m512d)b.v, (__m512d)c.v));
}
// the forms with a full mask: g++ 12 warns of an uninitialised value in its own header's plain ones
TABULA_INLINE Vec<float> sqrt(Vec<float> x) {
  return Vec<float>((Vec<float>::Raw)_mm512_maskz_sqrt_ps(0xFFFF, (__m512)x.v));
}
TABULA_INLINE Vec<double> sqrt(Vec<double> x) {
  return Vec<double>((Vec<double>::Raw)_mm512_maskz_sqrt_pd(0xFF, (__m512d)x.v));
}
#elif TABULA_VECTOR_BYTES == 32
TABULA_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return Vec<float>((Vec<float>::Raw)_mm256_fmadd_ps((__m256)a.v, (__m256)b.v, (__m256)c.v));
}
TABULA_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return Vec<double>((Vec<double>::Raw)_mm256_fmadd_pd((__m256d)a.v, (__m256d)b.v, (__m256d)c.v));
}
TABULA_INLINE Vec<float> sqrt(Vec<float> x) { return Vec<float>((Vec<float>::Raw)_mm256_sqrt_ps((__m256)x.v)); }
TABULA_INLINE Vec<double> sqrt(Vec<double> x) { return Vec<double>((Vec<double>::Raw)_mm256_sqrt_pd((__m256d)x.v)); }
#else
template <LaneFloat T>
TABULA_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
#if TABULA_HAS_FMA
  Vec<T> r;
  for (int i = 0; i < Vec<T>::size; i++) {
    if constexpr (sizeof(T) == 4)
      r.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
    else
      r.v[i] = __builtin_fma(a.v[i], b.v[i], c.v[i]);
  }
  return r;
#else
  return a * b + c;
#endif
}
template <LaneFloat T>
TABULA_INLINE Vec<T> sqrt(Vec<T> x) {
#if defined(__SSE2__)
  if constexpr (sizeof(T) == 4)
    return Vec<T>((typename Vec<T>::Raw)_mm_sqrt_ps((__m128)x.v));
  else
    return Vec<T>((typename Vec<T>::Raw)_mm_sqrt_pd((__m128d)x.v));
#else
  Vec<T> r;
  for (int i = 0; i < Vec<T>::size; i++) r.v[i] = T(__builtin_sqrt(x.v[i]));
  return r;
#endif
}
#endif

// Rounds to the nearest integer, halves to even: at the limit below which fractions exist, addition does just that.
template <LaneFloat T>
TABULA_INLINE Vec<T> round_even(Vec<T> x) {
  const Vec<T> limit(detail::Format<T>::integer_limit), a = abs(x);
  return select(a < limit, copysign((a + limit) - limit, x), x);
}
template <LaneFloat T>
TABULA_INLINE Vec<T> trunc(Vec<T> x) {
  const Vec<T> a = abs(x), r = round_even(a);
  return copysign(select(r > a, r - Vec<T>(1), r), x);
}
template <LaneFloat T>
TABULA_INLINE Vec<T> floor(Vec<T> x) {
  const Vec<T> r = round_even(x);
  return copysign(select(r > x, r - Vec<T>(1), r), x);
}
template <LaneFloat T>
TABULA_INLINE Vec<T> ceil(Vec<T> x) {
  const Vec<T> r = round_even(x);
  return copysign(select(r < x, r + Vec<T>(1), r), x);
}

// NaN in either argument is the result; of equal ones (zeros of both signs) it is the second.
template <LaneFloat T>
TABULA_INLINE Vec<T> maximum(Vec<T> a, Vec<T> b) {
  return select(isnan(a), a, select(a > b, a, b));
}
template <LaneFloat T>
TABULA_INLINE Vec<T> minimum(Vec<T> a, Vec<T> b) {
  return select(isnan(a), a, select(a < b, a, b));
}

// The smaller or larger of x and a limit; NaN stays. The processors' own instructions, which the compiler finds from a
// comparison and a selection only if NaN does not matter.
#if TABULA_VECTOR_BYTES == 64
TABULA_INLINE Vec<float> at_most(Vec<float> x, Vec<float> limit) {
  return Vec<float>((Vec<float>::Raw)_mm512_maskz_min_ps(0xFFFF, (__m512)limit.v, (__m512)x.v));
}
TABULA_INLINE Vec<float> at_least(Vec<float> x, Vec<float> limit) {
  return Vec<float>((Vec<float>::Raw)_mm512_maskz_max_ps(0xFFFF, (__m512)limit.v, (__m512)x.v));
}
#elif TABULA_VECTOR_BYTES == 32
TABULA_INLINE Vec<float> at_most(Vec<float> x, Vec<float> limit) {
  return Vec<float>((Vec<float>::Raw)_mm256_min_ps((__m256)limit.v, (__m256)x.v));
}
TABULA_INLINE Vec<float> at_least(Vec<float> x, Vec<float> limit) {
  return Vec<float>((Vec<float>::Raw)_mm256_max_ps((__m256)limit.v, (__m256)x.v));
}
#else
TABULA_INLINE Vec<float> at_most(Vec<float> x, Vec<float> limit) { return select(x > limit, limit, x); }
TABULA_INLINE Vec<float> at_least(Vec<float> x, Vec<float> limit) { return select(x < limit, limit, x); }
#endif

namespace detail {

// Reads a float vector as two double ones, applies f and rounds back: correctly rounded but for about one case in 2^20.
template <class T, int bytes>
using HalfRaw = typename RawVector<T, bytes / 2>::type;

TABULA_INLINE void widen(Vec<float> x, Vec<double>& low, Vec<double>& high) {
  HalfRaw<float, TABULA_VECTOR_BYTES> halves[2];
  std::memcpy(halves, &x.v, sizeof x.v);
  low = Vec<double>(__builtin_convertvector(halves[0], Vec<double>::Raw));
  high = Vec<double>(__builtin_convertvector(halves[1], Vec<double>::Raw));
}
TABULA_INLINE Vec<float> narrow(Vec<double> low, Vec<double> high) {
  using Half = HalfRaw<float, TABULA_VECTOR_BYTES>;
  const Half halves[2] = {__builtin_convertvector(low.v, Half), __builtin_convertvector(high.v, Half)};
  Vec<float> r;
  std::memcpy(&r.v, halves, sizeof r.v);
  return r;
}
template <class F>
TABULA_INLINE Vec<float> by_double(Vec<float> x, F f) {
  Vec<double> low, high;
  widen(x, low, high);
  return narrow(f(low), f(high));
}
template <class F>
TABULA_INLINE Vec<float> by_double(Vec<float> x, Vec<float> y, F f) {
  Vec<double> low_x, high_x, low_y, high_y;
  widen(x, low_x, high_x);
  widen(y, low_y, high_y);
  return narrow(f(low_x, low_y), f(high_x, high_y));
}

}  // namespace detail

// Applies a scalar function lane by lane.
template <class T, class F, class... More>
TABULA_INLINE Vec<T> map_lanes(F f, Vec<T> x, More... more) {
  constexpr int n = Vec<T>::size;
  T lanes[n];
  for (int i = 0; i < n; i++) lanes[i] = T(f(x[i], more[i]...));
  return Vec<T>::load(lanes);
}

}  // namespace TABULA_ISA
}  // namespace tabula
