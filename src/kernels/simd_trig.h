// sin, cos, tan, their inverses and the inverse hyperbolic functions for Vec<float> and Vec<double>. For `precise` see
// simd_exp.h.
#pragma once

#include "kernels/simd_single.h"

namespace tabula {
inline namespace TABULA_ISA {
namespace detail {

// x = quadrant * pi/2 + high + low for |x| below kReducible. pi/2 is cut into pieces of 33 bits, so that their products
// with the quadrant (at most 20 bits) are exact: W. J. Cody and W. Waite, "Software Manual for the Elementary
// Functions" (1980).
inline constexpr double kReducible = 1e6;
struct Reduced {
  Vec<double> high, low;
  Vec<int64_t> quadrant;
};
template <bool precise>
TABULA_INLINE Reduced reduce(Vec<double> x) {
  using V = Vec<double>;
  const auto n = nearest(x * V(0.63661977236758134308));
  const V r = x - n.value * V(1.57079632673412561417e+00);
  if constexpr (precise) {
    const V w = n.value * V(6.07710050630396597660e-11), t = r - w;
    const V back = t - r, error = (r - (t - back)) - (w + back);
    const V rest = n.value * V(2.02226624871116645580e-21) - (error - n.value * V(8.47842766036889956997e-32));
    const V high = t - rest;
    return {high, (t - high) - rest, n.bits};
  } else {
    return {r - n.value * V(6.07710050650619224932e-11), V(0), n.bits};
  }
}

struct SinCos {
  Vec<double> sin, cos, sin_low, cos_low;
};
// sine and cosine of a reduced argument; the low parts are what the final rounding lost
template <bool precise>
TABULA_INLINE SinCos sin_cos(const Reduced& a) {
  using V = Vec<double>;
  const V x = a.high, z = x * x, half = V(0.5) * z;
  if constexpr (precise) {
    const V s_rest = fma(z * x, polynomial(z, tables::kSin), a.low * (V(1) - half));
    const V w = V(1) - half;
    const V c_rest = ((V(1) - w) - half) - product_error(x, x, z) * V(0.5) +
                     fma(z * z, polynomial(z, tables::kCos), -(x * a.low));
    const V s = x + s_rest, c = w + c_rest;
    return {s, c, (x - s) + s_rest, (w - c) + c_rest};
  } else {
    return {fma(z * x, polynomial(z, tables::kSinShort), x),
            fma(z * z, polynomial(z, tables::kCosShort), V(1) - half), V(0), V(0)};
  }
}

TABULA_INLINE Mask<double> odd(Vec<int64_t> n) { return Mask<double>((n & Vec<int64_t>(1)).v != 0); }
// flips x's sign where bit 1 of n is set
TABULA_INLINE Vec<double> flip_by_bit1(Vec<double> x, Vec<int64_t> n) {
  return from_bits(bits_of(x) ^ (n & Vec<int64_t>(2)).shift_left(62));
}

// Lanes beyond the reduction's range go to the C library.
template <class F>
TABULA_INLINE Vec<double> mend_large(Vec<double> x, Vec<double> r, F scalar) {
  const Mask<double> large = abs(x) > Vec<double>(kReducible);
  if (any(large)) [[unlikely]]
    return select(large, map_lanes(scalar, x), r);
  return r;
}

template <class F>
TABULA_INLINE Vec<float> mend_large(Vec<float> x, Vec<float> r, F in_double) {
  const Vec<float> limit(kReducibleSingle);
  if (any_above(abs(x), limit)) [[unlikely]]
    return select(abs(x) > limit, by_double(x, in_double), r);
  return r;
}

template <bool precise>
TABULA_INLINE Vec<double> sin_double(Vec<double> x) {
  const auto a = reduce<precise>(abs(x));
  const auto t = sin_cos<precise>(a);
  const Vec<double> r = flip_by_bit1(select(odd(a.quadrant), t.cos, t.sin), a.quadrant);
  return mend_large(x, flip_sign(r, x), [](double v) { return std::sin(v); });
}
template <bool precise>
TABULA_INLINE Vec<double> cos_double(Vec<double> x) {
  const auto a = reduce<precise>(abs(x));
  const auto t = sin_cos<precise>(a);
  const Vec<double> r = flip_by_bit1(select(odd(a.quadrant), t.sin, t.cos), a.quadrant + Vec<int64_t>(1));
  return mend_large(x, r, [](double v) { return std::cos(v); });
}

// num / den and, in `low`, what the rounding of the quotient and of its operands left out
template <bool precise>
TABULA_INLINE Vec<double> divide(Vec<double> num, Vec<double> den, Vec<double> num_low, Vec<double> den_low,
                                 Vec<double>& low) {
  const Vec<double> q = num / den;
  if constexpr (precise) {
    const Vec<double> p = q * den;
    low = (((num - p) - product_error(q, den, p)) + (num_low - q * den_low)) / den;
  } else {
    low = Vec<double>(0);
  }
  return q;
}

template <bool precise>
TABULA_INLINE Vec<double> tan_double(Vec<double> x) {
  using V = Vec<double>;
  const auto a = reduce<precise>(abs(x));
  const auto t = sin_cos<precise>(a);
  const auto swap = odd(a.quadrant);
  V low;
  const V q = divide<precise>(select(swap, -t.cos, t.sin), select(swap, t.sin, t.cos),
                              select(swap, -t.cos_low, t.sin_low), select(swap, t.sin_low, t.cos_low), low);
  return mend_large(x, flip_sign(select(x == V(0), V(0), q + low), x), [](double v) { return std::tan(v); });
}

// The angle of (den, num) for 0 <= num, 0 < den, num <= den, added to `quarters` * pi/4 or subtracted from it. Above
// tan(pi/8) the argument is turned by pi/4.
template <bool precise>
TABULA_INLINE Vec<double> angle_from(Vec<double> num, Vec<double> den, Vec<double> quarters, Vec<double> sign) {
  using V = Vec<double>;
  const auto turned = num > den * V(0.41421356237309503);
  const V difference = num - den, sum = num + den;
  V difference_low(0), sum_low(0), low;
  if constexpr (precise) {
    difference_low = (num - difference) - den;  // exact: num <= den <= 2.42 num where it is used
    difference_low = select(turned, difference_low, V(0));
    sum_low = select(turned, (den - sum) + num, V(0));
  }
  const V q = divide<precise>(select(turned, difference, num), select(turned, sum, den), difference_low, sum_low, low);
  const V z = q * q;
  V p;
  if constexpr (precise)
    p = polynomial(z, tables::kAtan);
  else
    p = polynomial(z, tables::kAtanShort);
  const V k = quarters + select(turned, sign, V(0));
  // pi/4 with its last bits cleared, so that up to four times it is exact
  const V base = k * V(0x1.921fb54442d1p-1), tail = k * V(0x8.469898cc51701b839p-53);
  const V rest = flip_sign(low + q * z * p, sign) + tail, main = flip_sign(q, sign), r = base + main;
  return r + (((base - r) + main) + rest);
}

template <bool precise>
TABULA_INLINE Vec<double> atan_double(Vec<double> x) {
  using V = Vec<double>;
  V a = abs(x);
  a = select(a > V(0x1p70), V(0x1p70), a);
  const auto steep = a > V(1);
  return copysign(angle_from<precise>(select(steep, V(1), a), select(steep, a, V(1)), select(steep, V(2), V(0)),
                                      select(steep, V(-1), V(1))), x);
}

template <bool precise>
TABULA_INLINE Vec<double> atan2_double(Vec<double> y, Vec<double> x) {
  using V = Vec<double>;
  const V ay = abs(y), ax = abs(x), infinity(__builtin_inf());
  const auto steep = ay > ax;
  V num = select(steep, ax, ay), den = select(steep, ay, ax);
  const V up = select(den > V(0x1p500), V(0x1p-600), select(den < V(0x1p-400), V(0x1p600), V(1)));
  num = num * up;
  den = den * up;
  num = select(den == infinity, select(num == infinity, V(1), V(0)), num);
  den = select((den == infinity) | (den == V(0)), V(1), den);
  const auto left = signbit(x);
  V quarters = select(steep, V(2), V(0)), sign = select(steep, V(-1), V(1));
  quarters = select(left, V(4) - quarters, quarters);
  sign = select(left, -sign, sign);
  const V r = copysign(angle_from<precise>(num, den, quarters, sign), y);
  return select(isnan(x) | isnan(y), x + y, r);
}

template <bool precise>
TABULA_INLINE Vec<double> asin_series(Vec<double> z) {
  if constexpr (precise)
    return z * polynomial_wide(z, tables::kAsin);
  else
    return z * polynomial_wide(z, tables::kAsinShort);
}
// Above 1/2: asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)), the root carried in two parts.
struct AsinParts {
  Vec<double> root, root_low, series;
};
template <bool precise>
TABULA_INLINE AsinParts asin_parts(Vec<double> z) {
  const Vec<double> s = sqrt(z), high = clear_low_half(s);
  const Vec<double> low = select(z == Vec<double>(0), Vec<double>(0), (z - high * high) / (s + high));
  return {high, low, s * asin_series<precise>(z)};
}
template <bool precise>
TABULA_INLINE Vec<double> asin_double(Vec<double> x) {
  using V = Vec<double>;
  const V a = abs(x), z = a * a;
  const auto p = asin_parts<precise>(V(0.5) * (V(1) - a));
  const V quarter(0x1.921fb54442d18p-1), half_low(0x1.1a62633145c07p-54);
  const V large = quarter - ((V(2) * p.series - (half_low - V(2) * p.root_low)) - (quarter - V(2) * p.root));
  return copysign(select(a < V(0.5), a + a * asin_series<precise>(z), large), x);
}
template <bool precise>
TABULA_INLINE Vec<double> acos_double(Vec<double> x) {
  using V = Vec<double>;
  const V a = abs(x), z = x * x;
  const auto p = asin_parts<precise>(V(0.5) * (V(1) - a));
  const V half(0x1.921fb54442d18p+0), half_low(0x1.1a62633145c07p-54);
  const V middle = half - (x - (half_low - x * asin_series<precise>(z)));
  const V rest = p.root_low + p.series;
  const V right = V(2) * (p.root + rest), left = V(2) * (half - ((p.root + rest) - half_low));
  return select(a < V(0.5), middle, select(x < V(0), left, right));
}

template <bool precise>
TABULA_INLINE Vec<double> asinh_double(Vec<double> x) {
  using V = Vec<double>;
  const V a = abs(x), capped = select(a > V(0x1p28), V(1), a), square = capped * capped;
  const V near = log1p_double<precise>(capped + square / (V(1) + sqrt(V(1) + square)));
  const V far = log_double<precise>(a) + V(0.69314718055994531);
  return copysign(select(a > V(0x1p28), far, near), x);
}
template <bool precise>
TABULA_INLINE Vec<double> acosh_double(Vec<double> x) {
  using V = Vec<double>;
  const V t = x - V(1);
  const V near = log1p_double<precise>(t + sqrt(V(2) * t + t * t));
  return select(x < V(1), V(__builtin_nan("")),
                select(x > V(0x1p28), log_double<precise>(x) + V(0.69314718055994531), near));
}
template <bool precise>
TABULA_INLINE Vec<double> atanh_double(Vec<double> x) {
  using V = Vec<double>;
  const V a = abs(x);
  return copysign(V(0.5) * log1p_double<precise>(V(2) * a / (V(1) - a)), x);
}

}  // namespace detail

TABULA_INLINE Vec<double> sin(Vec<double> x) { return detail::sin_double<true>(x); }
TABULA_INLINE Vec<double> cos(Vec<double> x) { return detail::cos_double<true>(x); }
#if TABULA_HAS_FMA
TABULA_INLINE Vec<float> sin(Vec<float> x) {
  return detail::mend_large(x, detail::sin_shifted(x, 0, x),
                            [](Vec<double> d) TABULA_ALWAYS { return detail::sin_double<false>(d); });
}
TABULA_INLINE Vec<float> cos(Vec<float> x) {
  return detail::mend_large(x, detail::sin_shifted(x, 1, Vec<float>(0)),
                            [](Vec<double> d) TABULA_ALWAYS { return detail::cos_double<false>(d); });
}
#else
TABULA_INLINE Vec<float> sin(Vec<float> x) {
  return detail::by_double(x, [](Vec<double> d) TABULA_ALWAYS { return detail::sin_double<false>(d); });
}
TABULA_INLINE Vec<float> cos(Vec<float> x) {
  return detail::by_double(x, [](Vec<double> d) TABULA_ALWAYS { return detail::cos_double<false>(d); });
}
#endif
TABULA_BOTH_WIDTHS(tan)
TABULA_BOTH_WIDTHS(atan)
TABULA_BOTH_WIDTHS(asin)
TABULA_BOTH_WIDTHS(acos)
TABULA_BOTH_WIDTHS(asinh)
TABULA_BOTH_WIDTHS(acosh)
TABULA_BOTH_WIDTHS(atanh)

TABULA_INLINE Vec<double> atan2(Vec<double> y, Vec<double> x) { return detail::atan2_double<true>(y, x); }
TABULA_INLINE Vec<float> atan2(Vec<float> y, Vec<float> x) {
  return detail::by_double(
      y, x, [](Vec<double> a, Vec<double> b) TABULA_ALWAYS { return detail::atan2_double<false>(a, b); });
}

}  // namespace TABULA_ISA
}  // namespace tabula
