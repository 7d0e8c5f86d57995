// pow, fmod, remainder, hypot, nextafter for Vec<float> and Vec<double>.
#pragma once

#include "kernels/simd_single.h"

namespace tabula {
inline namespace TABULA_ISA {

TABULA_INLINE Vec<double> pow(Vec<double> x, Vec<double> y) {
  return map_lanes([](double a, double b) { return std::pow(a, b); }, x, y);
}

namespace detail {
// Float arguments only: y * log(x) then has ten digits more than the result needs.
TABULA_INLINE Vec<double> pow_short(Vec<double> x, Vec<double> y) {
  using V = Vec<double>;
  const V a = abs(x), infinity(__builtin_inf());
  V r = exp_double<false>(y * log_double<false>(a));
  const V whole = trunc(y), half = y * V(0.5);
  const auto is_odd = (whole == y) & (trunc(half) != half) & (abs(y) < infinity);
  r = select(is_odd, copysign(r, x), r);
  r = select((x < V(0)) & (whole != y) & (a < infinity), V(__builtin_nan("")), r);
  r = select((a == V(1)) & (abs(y) == infinity), V(1), r);
  return select((y == V(0)) | (x == V(1)), V(1), r);
}
}  // namespace detail

TABULA_INLINE Vec<float> pow(Vec<float> x, Vec<float> y) {
  return detail::by_double(x, y,
                           [](Vec<double> a, Vec<double> b) TABULA_ALWAYS { return detail::pow_short(a, b); });
}

namespace detail {
// x - y * trunc(x / y) is exact while the quotient fits the bits that a product with y leaves free; `limit` says so.
template <class F>
TABULA_INLINE Vec<double> fmod_double(Vec<double> x, Vec<double> y, double limit, F exact) {
  using V = Vec<double>;
  const V a = abs(x), b = abs(y), q = a / b;
  V r = fma(-trunc(q), b, a);
  r = select(r < V(0), r + b, r);
  r = select(r >= b, r - b, r);
  r = copysign(r, x);
  const auto easy = (q < V(limit)) & (b > V(1e-290)) & (b < V(1e300));
  if (any(!easy)) [[unlikely]]
    return select(easy, r, map_lanes(exact, x, y));
  return r;
}
}  // namespace detail

TABULA_INLINE Vec<double> fmod(Vec<double> x, Vec<double> y) {
  const auto exact = [](double a, double b) { return std::fmod(a, b); };
#if TABULA_HAS_FMA
  return detail::fmod_double(x, y, 0x1p50, exact);
#else
  return map_lanes(exact, x, y);
#endif
}
TABULA_INLINE Vec<float> fmod(Vec<float> x, Vec<float> y) {
  return detail::by_double(x, y, [](Vec<double> a, Vec<double> b) TABULA_ALWAYS {
    return detail::fmod_double(a, b, 0x1p28, [](double c, double d) { return std::fmod(c, d); });
  });
}

// Python's modulo: the result has the divisor's sign
template <LaneFloat T>
TABULA_INLINE Vec<T> remainder(Vec<T> x, Vec<T> y) {
  const Vec<T> r = fmod(x, y);
  return select((r != Vec<T>(0)) & ((r < Vec<T>(0)) ^ (y < Vec<T>(0))), r + y, r);
}

TABULA_INLINE Vec<double> hypot(Vec<double> x, Vec<double> y) {
  return map_lanes([](double a, double b) { return std::hypot(a, b); }, x, y);
}
TABULA_INLINE Vec<float> hypot(Vec<float> x, Vec<float> y) {
  const auto r = detail::by_double(
      x, y, [](Vec<double> a, Vec<double> b) TABULA_ALWAYS { return sqrt(a * a + b * b); });
  return select(isinf(x) | isinf(y), Vec<float>(__builtin_inff()), r);
}

template <LaneFloat T>
TABULA_INLINE Vec<T> nextafter(Vec<T> x, Vec<T> y) {
  using I = typename Vec<T>::Int;
  const Vec<T> smallest = copysign(from_bits(I(1)), y);
  const I step = select(Mask<T>((x < y).v ^ signbit(x).v), I(1), I(-1));
  const Vec<T> moved = select(x == Vec<T>(0), smallest, from_bits(bits_of(x) + step));
  return select(isnan(x) | isnan(y), x + y, select(x == y, y, moved));
}

}  // namespace TABULA_ISA
}  // namespace tabula
