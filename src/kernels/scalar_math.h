// The names that formulas call, for plain float and double. Vec<T> has its own (simd_*.h), complex numbers theirs
// (complex_math.h); this header also gives Vec the special functions that are computed one lane at a time.
#pragma once

#include <cmath>

#include "kernels/simd_power.h"
#include "kernels/simd_trig.h"
#include "kernels/special_math.h"

namespace tabula {
inline namespace TABULA_ISA {

template <ScalarValue T>
TABULA_INLINE T select(bool condition, T yes, T no) {
  return condition ? yes : no;
}
TABULA_INLINE bool any(bool condition) { return condition; }

#define TABULA_SCALAR(name)          \
  template <LaneFloat T>             \
  TABULA_INLINE T name(T x) {        \
    return T(std::name(x));          \
  }
TABULA_SCALAR(exp)
TABULA_SCALAR(exp2)
TABULA_SCALAR(expm1)
TABULA_SCALAR(log)
TABULA_SCALAR(log2)
TABULA_SCALAR(log10)
TABULA_SCALAR(log1p)
TABULA_SCALAR(sin)
TABULA_SCALAR(cos)
TABULA_SCALAR(tan)
TABULA_SCALAR(asin)
TABULA_SCALAR(acos)
TABULA_SCALAR(atan)
TABULA_SCALAR(sinh)
TABULA_SCALAR(cosh)
TABULA_SCALAR(tanh)
TABULA_SCALAR(asinh)
TABULA_SCALAR(acosh)
TABULA_SCALAR(atanh)
TABULA_SCALAR(erf)
TABULA_SCALAR(erfc)
TABULA_SCALAR(sqrt)
TABULA_SCALAR(floor)
TABULA_SCALAR(ceil)
TABULA_SCALAR(trunc)
#undef TABULA_SCALAR

template <LaneFloat T>
TABULA_INLINE T abs(T x) {
  return std::fabs(x);
}
template <LaneFloat T>
TABULA_INLINE T round_even(T x) {
  return std::nearbyint(x);
}
template <LaneFloat T>
TABULA_INLINE T fma(T a, T b, T c) {
#if TABULA_HAS_FMA
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}
template <LaneFloat T>
TABULA_INLINE bool isnan(T x) {
  return x != x;
}
template <LaneFloat T>
TABULA_INLINE bool isinf(T x) {
  return std::fabs(x) == T(__builtin_inf());
}
template <LaneFloat T>
TABULA_INLINE bool isfinite(T x) {
  return std::fabs(x) < T(__builtin_inf());
}
template <LaneFloat T>
TABULA_INLINE bool signbit(T x) {
  return std::signbit(x);
}
template <LaneFloat T>
TABULA_INLINE T conj(T x) {
  return x;
}
template <LaneFloat T>
TABULA_INLINE Vec<T> conj(Vec<T> x) {
  return x;
}
template <LaneFloat T>
TABULA_INLINE T maximum(T a, T b) {
  return a != a || a > b ? a : b;
}
template <LaneFloat T>
TABULA_INLINE T minimum(T a, T b) {
  return a != a || a < b ? a : b;
}

#define TABULA_SCALAR(name)              \
  template <LaneFloat T>                 \
  TABULA_INLINE T name(T x, T y) {       \
    return T(std::name(x, y));           \
  }
TABULA_SCALAR(pow)
TABULA_SCALAR(atan2)
TABULA_SCALAR(fmod)
TABULA_SCALAR(hypot)
TABULA_SCALAR(copysign)
TABULA_SCALAR(nextafter)
#undef TABULA_SCALAR

template <LaneFloat T>
TABULA_INLINE T remainder(T x, T y) {
  const T r = std::fmod(x, y);
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

#define TABULA_SPECIAL(name)                                                           \
  template <LaneFloat T>                                                               \
  TABULA_INLINE T name(T x) {                                                          \
    return T(kernels::name(double(x)));                                                \
  }                                                                                    \
  template <LaneFloat T>                                                               \
  TABULA_INLINE Vec<T> name(Vec<T> x) {                                                \
    return map_lanes([](T lane) { return T(kernels::name(double(lane))); }, x);        \
  }
TABULA_SPECIAL(lgamma)
TABULA_SPECIAL(digamma)
TABULA_SPECIAL(erfinv)
TABULA_SPECIAL(erfcx)
TABULA_SPECIAL(ndtri)
TABULA_SPECIAL(log_ndtr)
TABULA_SPECIAL(i0)
TABULA_SPECIAL(i0e)
TABULA_SPECIAL(i1)
TABULA_SPECIAL(i1e)
#undef TABULA_SPECIAL

#define TABULA_SPECIAL(name)                                                                               \
  template <LaneFloat T>                                                                                   \
  TABULA_INLINE T name(T x, T y) {                                                                         \
    return T(kernels::name(double(x), double(y)));                                                         \
  }                                                                                                        \
  template <LaneFloat T>                                                                                   \
  TABULA_INLINE Vec<T> name(Vec<T> x, Vec<T> y) {                                                          \
    return map_lanes([](T a, T b) { return T(kernels::name(double(a), double(b))); }, x, y);               \
  }
// At the poles of the trigamma function the reflection formula, in T, gives what PyTorch's does: its largest values.
template <LaneFloat T>
TABULA_INLINE T polygamma(T n, T x) {
  if (n != 1 || x >= 0 || x != std::trunc(x)) return T(kernels::polygamma(double(n), double(x)));
  const T sine = std::sin(T(3.14159265358979323846) * x);
  return T(3.14159265358979323846 * 3.14159265358979323846) / (sine * sine);
}
template <LaneFloat T>
TABULA_INLINE Vec<T> polygamma(Vec<T> n, Vec<T> x) {
  return map_lanes([](T a, T b) { return polygamma(a, b); }, n, x);
}
TABULA_SPECIAL(zeta)
TABULA_SPECIAL(igamma)
TABULA_SPECIAL(igammac)
#undef TABULA_SPECIAL

}  // namespace TABULA_ISA
}  // namespace tabula
