// Formulas built on logarithms and exponentials.
#pragma once

#include "kernels/formulas/arith.h"

namespace tabula {
inline namespace TABULA_ISA {
namespace formulas {

template <class V>
V sinc(V x) {
  const V angle = x * V(3.14159265358979323846);
  return select(x == V(0), V(1), sin(angle) / angle);
}
// a negative eps leaves x as it is
template <class V>
V logit(V x, V eps) {
  const V z = select(eps < V(0), x, select(x < eps, eps, select(x > V(1) - eps, V(1) - eps, x)));
  return log(z / (V(1) - z));
}
template <class V>
V entr(V x) {
  return select(x > V(0), -x * log(x), select(x == V(0), V(0), select(isnan(x), x, V(-__builtin_inf()))));
}
template <class V>
V xlogy(V x, V y) {
  return select((x == V(0)) & (y == y), V(0), x * log(y));
}
template <class V>
V xlog1py(V x, V y) {
  return select((x == V(0)) & (y == y), V(0), x * log1p(y));
}
// equal infinities have no difference
template <class V>
V logaddexp(V x, V y) {
  return select(x == y, x + V(0.69314718055994530942), maximum(x, y) + log1p(exp(-abs(x - y))));
}
template <class V>
V logaddexp2(V x, V y) {
  return select(x == y, x + V(1), maximum(x, y) + log1p(exp2(-abs(x - y))) * V(1.44269504088896340736));
}

}  // namespace formulas
}  // namespace TABULA_ISA
}  // namespace tabula
