// Arithmetic formulas. A formula is a template over its value type V and uses only operators, functions called without
// a namespace, select() and V(number), so that V may be a number, a Vec, a tensor or a symbol.
#pragma once

#include "kernels/scalar_math.h"

namespace tabula {
inline namespace TABULA_ISA {
namespace formulas {

template <class V>
V add(V x, V y, V alpha) {
  return fma(alpha, y, x);
}
template <class V>
V sub(V x, V y, V alpha) {
  return fma(-alpha, y, x);
}
template <class V>
V rsub(V x, V y, V alpha) {
  return fma(-alpha, x, y);
}
template <class V>
V reciprocal(V x) {
  return V(1) / x;
}
template <class V>
V rsqrt(V x) {
  return V(1) / sqrt(x);
}
template <class V>
V square(V x) {
  return x * x;
}
template <class V>
V cube(V x) {
  return x * x * x;
}
template <class V>
V inverse_square(V x) {
  return V(1) / (x * x);
}
template <class V>
V sign(V x) {
  return select(x > V(0), V(1), select(x < V(0), V(-1), V(0) * V(0)));
}
template <class V>
V frac(V x) {
  return x - trunc(x);
}
// ten = 10^|decimals|; halves go to even
template <class V>
V round_up_scaled(V x, V ten) {
  return round_even(x * ten) / ten;
}
template <class V>
V round_down_scaled(V x, V ten) {
  return round_even(x / ten) * ten;
}
template <class V>
V deg2rad(V x) {
  return x * V(0.017453292519943295);
}
template <class V>
V rad2deg(V x) {
  return x * V(57.29577951308232);
}
template <class V>
V nan_to_num(V x, V nan, V positive, V negative) {
  const V infinity(__builtin_inf());
  return select(isnan(x), nan, select(x == infinity, positive, select(x == -infinity, negative, x)));
}
template <class V>
V angle(V x) {
  return select(isnan(x), x, select(x < V(0), V(3.14159265358979323846), V(0)));
}

template <class V>
V clamp(V x, V low, V high) {
  return minimum(high, maximum(low, x));
}
template <class V>
V fmax(V x, V y) {
  return select(isnan(y), x, select(isnan(x), y, select(x < y, y, x)));
}
template <class V>
V fmin(V x, V y) {
  return select(isnan(y), x, select(isnan(x), y, select(x > y, y, x)));
}

template <class V>
V div_trunc(V x, V y) {
  return trunc(x / y);
}
// Python's floor division: the quotient that goes with the modulo, so that x = q * y + r holds as well as it can
template <class V>
V floor_divide(V x, V y) {
  const V r = fmod(x, y), exact = (x - r) / y;
  const V q = select((r != V(0)) & ((y < V(0)) ^ (r < V(0))), exact - V(1), exact);
  const V down = floor(q), near = select(q - down > V(0.5), down + V(1), down);
  const V whole = select(q != V(0), near, copysign(V(0), x / y));
  return select(y == V(0), x / y, whole);
}

template <class V>
V heaviside(V x, V at_zero) {
  return select(x == V(0), at_zero, select(x > V(0), V(1), V(0)));
}
template <class V>
V ldexp(V x, V power) {
  return x * exp2(power);
}
// exact at both ends: the step is taken from the nearer one
template <class V>
V lerp(V x, V y, V weight) {
  return select(abs(weight) < V(0.5), fma(weight, y - x, x), fma(weight - V(1), y - x, y));
}
template <class V>
V addcmul(V x, V a, V b, V value) {
  return fma(value * a, b, x);
}
template <class V>
V addcdiv(V x, V a, V b, V value) {
  return x + value * a / b;
}

}  // namespace formulas
}  // namespace TABULA_ISA
}  // namespace tabula
