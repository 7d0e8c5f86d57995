// exp, log and their relatives, tanh, sinh, cosh, erf for Vec<double>, and for Vec<float> those that have no float
// version of their own in simd_single.h.
//
// A double function is written once, over a flag `precise`: without it the tables are short and the corrections beyond
// double precision are left out, which still gives a float argument's result nearly correctly rounded.
#pragma once

#include <cmath>

#include "kernels/simd.h"
#include "kernels/simd_tables.h"

namespace tabula {
inline namespace TABULA_ISA {
namespace detail {

template <class V, class T, int n>
TABULA_INLINE V polynomial(V x, const T (&c)[n]) {
  V r(c[n - 1]);
  for (int i = n - 2; i >= 0; i--) r = fma(r, x, V(c[i]));
  return r;
}

// Estrin's scheme: shorter chains for the long tables of erfc and asin
template <class V, class T, int n>
TABULA_INLINE V polynomial_wide(V x, const T (&c)[n]) {
  constexpr int pairs = (n + 1) / 2;
  const V x2 = x * x;
  V r = n % 2 ? V(c[n - 1]) : fma(V(c[n - 1]), x, V(c[n - 2]));
  for (int i = pairs - 2; i >= 0; i--) r = fma(r, x2, fma(V(c[2 * i + 1]), x, V(c[2 * i])));
  return r;
}

// What a * b lost when it was rounded to p. Without fma: T. J. Dekker, "A floating-point technique for extending the
// available precision" (1971).
TABULA_INLINE Vec<double> product_error(Vec<double> a, Vec<double> b, Vec<double> p) {
#if TABULA_HAS_FMA
  return fma(a, b, -p);
#else
  const Vec<double> splitter(134217729.0);
  const Vec<double> ta = a * splitter, tb = b * splitter;
  const Vec<double> ah = ta - (ta - a), bh = tb - (tb - b), al = a - ah, bl = b - bh;
  return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}
TABULA_INLINE Vec<double> clear_low_half(Vec<double> x) {
  return from_bits(bits_of(x) & Vec<int64_t>(INT64_C(-4294967296)));
}

// The integer nearest to x (|x| < 2^22 or 2^51) as a float and, in the low bits, as an integer.
template <class T>
struct Nearest {
  Vec<T> value;
  typename Vec<T>::Int bits;
};
template <class T>
TABULA_INLINE Nearest<T> nearest(Vec<T> x) {
  const Vec<T> magic(Format<T>::magic), shifted = x + magic;
  return {shifted - magic, bits_of(shifted)};
}

// x * 2^n for integral n, correct into the subnormal range and past overflow (|n| < 2 * bias)
template <class T>
TABULA_INLINE Vec<T> scale_by_power(Vec<T> x, Vec<T> n) {
#if TABULA_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4)
    return Vec<T>((typename Vec<T>::Raw)_mm512_maskz_scalef_ps(0xFFFF, (__m512)x.v, (__m512)n.v));
  else
    return Vec<T>((typename Vec<T>::Raw)_mm512_maskz_scalef_pd(0xFF, (__m512d)x.v, (__m512d)n.v));
#else
  using F = Format<T>;
  using I = typename Vec<T>::Int;
  const Vec<T> half = nearest(n * Vec<T>(0.5)).value, rest = n - half;
  const auto power = [](Vec<T> k) TABULA_ALWAYS {
    const I biased = bits_of(k + Vec<T>(F::magic)) - bits_of(Vec<T>(F::magic)) + I(F::bias);
    return from_bits(biased.shift_left(F::mantissa));
  };
  return x * power(half) * power(rest);
#endif
}

template <class V>
struct Scaled {  // mantissa * 2^exponent
  V mantissa, exponent;
};

// exp(x + tail) for |tail| far below x's last bit
template <bool precise>
TABULA_INLINE Scaled<Vec<double>> exp_scaled(Vec<double> x, Vec<double> tail) {
  using V = Vec<double>;
  x = select(x > V(711.0), V(711.0), select(x < V(-1000.0), V(-1000.0), x));
  const V n = nearest(x * V(1.4426950408889634)).value;
  // log(2) in two parts; the first has 32 bits, so that n times it is exact
  const V r = x - n * V(6.93147180369123816490e-01), low = n * V(1.90821492927058770002e-10) - tail;
  const V t = r - low;
  if constexpr (precise) {
    const V error = (r - t) - low;
    return {V(1) + (t + fma(t * t, polynomial(t, tables::kExp), error)), n};
  } else {
    return {V(1) + fma(t * t, polynomial(t, tables::kExpShort), t), n};
  }
}

template <bool precise>
TABULA_INLINE Vec<double> exp_double(Vec<double> x) {
  const auto e = exp_scaled<precise>(x, Vec<double>(0));
  return scale_by_power(e.mantissa, e.exponent);
}

template <bool precise>
TABULA_INLINE Vec<double> exp2_double(Vec<double> x) {
  using V = Vec<double>;
  x = select(x > V(1100.0), V(1100.0), select(x < V(-1100.0), V(-1100.0), x));
  const V n = nearest(x).value, r = x - n;
  V p;
  if constexpr (precise)
    p = polynomial(r, tables::kExp2);
  else
    p = polynomial(r, tables::kExp2Short);
  return scale_by_power(fma(r, p, V(1)), n);
}

template <bool precise>
TABULA_INLINE Vec<double> expm1_double(Vec<double> x) {
  using V = Vec<double>;
  const V input = x;
  x = select(x > V(711.0), V(711.0), select(x < V(-50.0), V(-50.0), x));
  // reducing 0.42 by log(2) would double the rounding errors of a result below 1/2
  const V n = select(abs(x) < V(0.42), V(0), nearest(x * V(1.4426950408889634)).value);
  const V r = x - n * V(6.93147180369123816490e-01), low = n * V(1.90821492927058770002e-10), t = r - low;
  V e;
  if constexpr (precise)
    e = t + fma(t * t, polynomial(t, tables::kExpm1), (r - t) - low);
  else
    e = fma(t * t, polynomial(t, tables::kExpm1Short), t);
  // 2^n (1 + e) - 1; past 2^1000 the one no longer counts and the power itself would overflow too early
  const V power = scale_by_power(V(1), select(n > V(1000.0), V(0), n));
  const V near = fma(power, e, power - V(1)), far = scale_by_power(V(1) + e, n);
  return select(input == V(0), input, select(n > V(1000.0), far, near));
}

// x = 2^k * m with least <= m < 2 * least, for positive x
template <class T>
struct Decomposed {
  Vec<T> m, k;
};
template <class T>
TABULA_INLINE Decomposed<T> decompose(Vec<T> x, T least = T(0.70710678118654752)) {
  using F = Format<T>;
  using I = typename Vec<T>::Int;
  const Vec<T> tiny = from_bits(I(1).shift_left(F::mantissa));
  const Mask<T> subnormal = x < tiny;
  constexpr T up = sizeof(T) == 4 ? T(0x1p24) : T(0x1p54);
  x = select(subnormal, x * Vec<T>(up), x);
  const I root = bits_of(Vec<T>(least));
  const I shifted = bits_of(x) - root + I(F::bias).shift_left(F::mantissa);
  const I mask = I(1).shift_left(F::mantissa) - I(1);
  // the biased exponent becomes a float by placing it in the low bits of a large power of two
  const Vec<T> base(F::integer_limit);
  const Vec<T> k = from_bits(shifted.shift_right(F::mantissa) | bits_of(base)) - (base + Vec<T>(T(F::bias)));
  constexpr T down = sizeof(T) == 4 ? T(24) : T(54);
  return {from_bits((shifted & mask) + root), select(subnormal, k - Vec<T>(down), k)};
}

// log's values outside the positive finite numbers
template <class T>
TABULA_INLINE Vec<T> log_special(Vec<T> x, Vec<T> r) {
  const Vec<T> infinity{T(__builtin_inf())};
  r = select(x == Vec<T>(0), -infinity, r);
  r = select(x == infinity, x, r);
  return select((x < Vec<T>(0)) | isnan(x), Vec<T>(T(__builtin_nan(""))), r);
}

template <bool precise>
TABULA_INLINE Vec<double> log_series(Vec<double> z) {
  if constexpr (precise)
    return z * polynomial(z, tables::kLog);
  else
    return z * polynomial(z, tables::kLogShort);
}

// log(2^k (1 + f)) + tail: log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)) with s = f / (2 + f)
template <bool precise>
TABULA_INLINE Vec<double> log_sum(Vec<double> f, Vec<double> k, Vec<double> tail) {
  using V = Vec<double>;
  const V s = f / (V(2) + f), half = V(0.5) * f * f, r = log_series<precise>(s * s);
  const V low = fma(s, half + r, fma(k, V(1.90821492927058770002e-10), tail));
  return k * V(6.93147180369123816490e-01) - ((half - low) - f);
}

template <bool precise>
TABULA_INLINE Vec<double> log_double(Vec<double> x) {
  const auto d = decompose(x);
  return log_special(x, log_sum<precise>(d.m - Vec<double>(1), d.k, Vec<double>(0)));
}

template <bool precise>
TABULA_INLINE Vec<double> log1p_double(Vec<double> x) {
  using V = Vec<double>;
  const V u = V(1) + x;
  // what rounding 1 + x lost, taken from the larger of the two
  const V lost = select(x > V(1), V(1) - (u - x), x - (u - V(1)));
  const auto d = decompose(u);
  const V r = log_sum<precise>(d.m - V(1), d.k, lost / u);
  return select(x == V(0), x, log_special(u, r));
}

// k * unit + log(m) / log(base), the logarithm split in two so that its product with 1 / log(base) keeps all bits
template <bool precise>
TABULA_INLINE Vec<double> log_in_base(Vec<double> x, double inverse_high, double inverse_low, double unit_high,
                                      double unit_low) {
  using V = Vec<double>;
  const auto d = decompose(x);
  const V f = d.m - V(1), s = f / (V(2) + f), half = V(0.5) * f * f, r = log_series<precise>(s * s);
  const V high = clear_low_half(f - half), low = ((f - high) - half) + s * (half + r);
  const V main = high * V(inverse_high), base = d.k * V(unit_high);
  V rest = fma(low + high, V(inverse_low), fma(low, V(inverse_high), d.k * V(unit_low)));
  const V sum = base + main;
  rest = rest + ((base - sum) + main);
  return log_special(x, rest + sum);
}
template <bool precise>
TABULA_INLINE Vec<double> log2_double(Vec<double> x) {
  return log_in_base<precise>(x, 1.44269504072144627571e+00, 1.67517131648865118353e-10, 1.0, 0.0);
}
template <bool precise>
TABULA_INLINE Vec<double> log10_double(Vec<double> x) {
  return log_in_base<precise>(x, 4.34294481878168880939e-01, 2.50829467116452752298e-11, 3.01029995663611771306e-01,
                              3.69423907715893078616e-13);
}

template <bool precise>
TABULA_INLINE Vec<double> sinh_double(Vec<double> x) {
  using V = Vec<double>;
  const V a = abs(x), z = a * a;
  V small;
  if constexpr (precise)
    small = fma(a * z, polynomial(z, tables::kSinh), a);
  else
    small = fma(a * z, polynomial(z, tables::kSinhShort), a);
  const auto e = exp_scaled<precise>(a, V(0));
  const V half = scale_by_power(e.mantissa, e.exponent - V(1));
  return copysign(select(a < V(1.5), small, half - V(0.25) / half), x);
}
template <bool precise>
TABULA_INLINE Vec<double> cosh_double(Vec<double> x) {
  using V = Vec<double>;
  const auto e = exp_scaled<precise>(abs(x), V(0));
  const V half = scale_by_power(e.mantissa, e.exponent - V(1));
  return half + V(0.25) / half;
}

TABULA_INLINE Vec<double> tanh_double(Vec<double> x) {
  using V = Vec<double>;
  const V a = abs(x), z = a * a;
  const V small = fma(a * z, polynomial(z, tables::kTanh), a);
  const V large = V(1) - V(2) / (exp_double<true>(a + a) + V(1));
  return copysign(select(a < V(0.55), small, large), x);
}

// exp(x^2) erfc(x) for x >= 0
template <bool precise>
TABULA_INLINE Vec<double> erfcx_positive(Vec<double> x) {
  using V = Vec<double>;
  const V u = (x - V(4)) / (x + V(4));
  V p;
  if constexpr (precise)
    p = polynomial_wide(u, tables::kErfcx);
  else
    p = polynomial_wide(u, tables::kErfcxShort);
  return p / fma(x, V(2), V(1));
}
template <bool precise>
TABULA_INLINE Vec<double> erfc_positive(Vec<double> x) {
  using V = Vec<double>;
  x = select(x > V(30.0), V(30.0), x);
  const V square = x * x;
  const auto e = exp_scaled<precise>(-square, precise ? -product_error(x, x, square) : V(0));
  return scale_by_power(e.mantissa * erfcx_positive<precise>(x), e.exponent);
}
TABULA_INLINE Vec<double> erf_small(Vec<double> x) {
  return fma(x, polynomial_wide(x * x, tables::kErf), x);
}
TABULA_INLINE Vec<double> erf_double(Vec<double> x) {
  using V = Vec<double>;
  const V a = abs(x);
  return copysign(select(a < V(0.85), erf_small(a), V(1) - erfc_positive<true>(a)), x);
}
template <bool precise>
TABULA_INLINE Vec<double> erfc_double(Vec<double> x) {
  using V = Vec<double>;
  const V a = abs(x), tail = erfc_positive<precise>(a);
  return select(a < V(0.5), V(1) - erf_small(x), select(x < V(0), V(2) - tail, tail));
}

}  // namespace detail

TABULA_INLINE Vec<double> exp(Vec<double> x) { return detail::exp_double<true>(x); }
TABULA_INLINE Vec<double> log(Vec<double> x) { return detail::log_double<true>(x); }
TABULA_INLINE Vec<double> tanh(Vec<double> x) { return detail::tanh_double(x); }
TABULA_INLINE Vec<double> erf(Vec<double> x) { return detail::erf_double(x); }

#define TABULA_BOTH_WIDTHS(name)                                                                              \
  TABULA_INLINE Vec<double> name(Vec<double> x) { return detail::name##_double<true>(x); }                    \
  TABULA_INLINE Vec<float> name(Vec<float> x) {                                                               \
    return detail::by_double(x, [](Vec<double> d) TABULA_ALWAYS { return detail::name##_double<false>(d); }); \
  }
TABULA_BOTH_WIDTHS(exp2)
TABULA_BOTH_WIDTHS(expm1)
TABULA_BOTH_WIDTHS(log2)
TABULA_BOTH_WIDTHS(log10)
TABULA_BOTH_WIDTHS(log1p)
TABULA_BOTH_WIDTHS(sinh)
TABULA_BOTH_WIDTHS(cosh)
TABULA_BOTH_WIDTHS(erfc)

}  // namespace TABULA_ISA
}  // namespace tabula
