// Arithmetic on two operands, and the operators that formulas over tensors are written with.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op add, sub, rsub, mul, div, div_mode, floor_divide, remainder, fmod, pow, atan2, maximum, minimum, fmax, fmin, copysign, hypot, nextafter,
    logaddexp, logaddexp2, xlogy, heaviside, gcd, lcm, lerp, lerp_scalar, addcmul, addcdiv, where, bitwise_and, bitwise_or, bitwise_xor,
    bitwise_left_shift, bitwise_right_shift, bitwise_not, complex, polar;
extern const Op neg, positive, abs, sign, sgn, reciprocal, square, sqrt, rsqrt;

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, const Scalar& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Scalar& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Scalar& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Scalar& b) { return div(a, b); }
inline Tensor operator+(const Scalar& a, const Tensor& b) { return add(b, a); }
inline Tensor operator-(const Scalar& a, const Tensor& b) { return rsub(b, a); }
inline Tensor operator*(const Scalar& a, const Tensor& b) { return mul(b, a); }
inline Tensor operator/(const Scalar& a, const Tensor& b) { return mul(reciprocal(b), a); }
inline Tensor operator-(const Tensor& a) { return neg(a); }

// Conjugate where the dtype is complex (lazily), the tensor itself otherwise: PyTorch's convention for gradients.
Tensor conj_of(const Tensor& t);
Scalar conj_of(const Scalar& s);
Operand conj_of(const Operand& o, Tensor& keep);
Tensor real_part(const Tensor& t);  // of a complex tensor; the tensor itself if real

}  // namespace tabula
