// Which formula is which pointwise operation: one list, from which each back end makes its kernels.
//
// A reader is called as row(Pointwise, number of inputs, f) with f(parameters, inputs...) generic over the value type;
// parameters are indexed with [].
#pragma once

#include <type_traits>

#include "kernels/formulas/activation.h"
#include "kernels/formulas/special.h"
#include "kernels/pointwise.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {

template <int n>
using Inputs = std::integral_constant<int, n>;

#define TABULA_FORMULA1(op, expression) \
  row(Pointwise::op, Inputs<1>(), []([[maybe_unused]] const auto& p, auto x) TABULA_ALWAYS { return expression; })
#define TABULA_FORMULA2(op, expression) \
  row(Pointwise::op, Inputs<2>(),       \
      []([[maybe_unused]] const auto& p, auto x, auto y) TABULA_ALWAYS { return expression; })
#define TABULA_FORMULA3(op, expression) \
  row(Pointwise::op, Inputs<3>(),       \
      []([[maybe_unused]] const auto& p, auto x, auto y, auto z) TABULA_ALWAYS { return expression; })

template <class Reader>
void activation_rows(Reader&& row) {
  TABULA_FORMULA1(sigmoid, formulas::sigmoid(x));
  TABULA_FORMULA1(relu, formulas::relu(x));
  TABULA_FORMULA1(relu6, formulas::relu6(x));
  TABULA_FORMULA1(leaky_relu, formulas::leaky_relu(x, p[0]));
  TABULA_FORMULA1(elu, formulas::elu(x, p[0], p[1], p[2]));
  TABULA_FORMULA1(celu, formulas::celu(x, p[0]));
  TABULA_FORMULA1(selu, formulas::selu(x));
  TABULA_FORMULA1(gelu, formulas::gelu(x));
  TABULA_FORMULA1(gelu_tanh, formulas::gelu_tanh(x));
  TABULA_FORMULA1(silu, formulas::silu(x));
  TABULA_FORMULA1(mish, formulas::mish(x));
  TABULA_FORMULA1(softplus, formulas::softplus(x, p[0], p[1]));
  TABULA_FORMULA1(hardtanh, formulas::clamp(x, p[0], p[1]));
  TABULA_FORMULA1(hardsigmoid, formulas::hardsigmoid(x));
  TABULA_FORMULA1(hardswish, formulas::hardswish(x));
  TABULA_FORMULA1(hardshrink, formulas::hardshrink(x, p[0]));
  TABULA_FORMULA1(softshrink, formulas::softshrink(x, p[0]));
  TABULA_FORMULA1(threshold, formulas::threshold(x, p[0], p[1]));
  TABULA_FORMULA1(logsigmoid, formulas::logsigmoid(x));
  TABULA_FORMULA1(softsign, formulas::softsign(x));
  TABULA_FORMULA1(tanhshrink, formulas::tanhshrink(x));

  TABULA_FORMULA2(tanh_grad, formulas::tanh_grad(x, y));
  TABULA_FORMULA2(sigmoid_grad, formulas::sigmoid_grad(x, y));
  TABULA_FORMULA2(gelu_grad, formulas::gelu_grad(x, y));
  TABULA_FORMULA2(gelu_tanh_grad, formulas::gelu_tanh_grad(x, y));
  TABULA_FORMULA2(silu_grad, formulas::silu_grad(x, y));
  TABULA_FORMULA2(mish_grad, formulas::mish_grad(x, y));
  TABULA_FORMULA2(softplus_grad, formulas::softplus_grad(x, y, p[0], p[1]));
  TABULA_FORMULA2(elu_grad, formulas::elu_grad(x, y, p[0], p[1], p[2]));
  TABULA_FORMULA2(elu_result_grad, formulas::elu_result_grad(x, y, p[0], p[1], p[2]));
  TABULA_FORMULA2(leaky_relu_grad, formulas::leaky_relu_grad(x, y, p[0]));
  TABULA_FORMULA2(hardswish_grad, formulas::hardswish_grad(x, y));
  TABULA_FORMULA2(hardsigmoid_grad, formulas::hardsigmoid_grad(x, y));
  TABULA_FORMULA2(hardtanh_grad, formulas::hardtanh_grad(x, y, p[0], p[1]));
  TABULA_FORMULA2(threshold_grad, formulas::threshold_grad(x, y, p[0]));
  TABULA_FORMULA2(softshrink_grad, formulas::hardshrink_grad(x, y, p[0]));
  TABULA_FORMULA2(hardshrink_grad, formulas::hardshrink_grad(x, y, p[0]));
  TABULA_FORMULA2(logsigmoid_grad, formulas::logsigmoid_grad(x, y));
  TABULA_FORMULA2(smooth_l1, formulas::smooth_l1(x, y, p[0]));
  TABULA_FORMULA2(huber, formulas::huber(x, y, p[0]));
  TABULA_FORMULA2(mse, formulas::mse(x, y));
  TABULA_FORMULA3(smooth_l1_grad, formulas::smooth_l1_grad(x, y, z, p[0]));
  TABULA_FORMULA3(huber_grad, formulas::huber_grad(x, y, z, p[0]));
  TABULA_FORMULA3(mse_grad, formulas::mse_grad(x, y, z, p[0]));
}

template <class Reader>
void math_rows(Reader&& row) {
  TABULA_FORMULA1(exp, exp(x));
  TABULA_FORMULA1(exp2, exp2(x));
  TABULA_FORMULA1(expm1, expm1(x));
  TABULA_FORMULA1(log, log(x));
  TABULA_FORMULA1(log2, log2(x));
  TABULA_FORMULA1(log10, log10(x));
  TABULA_FORMULA1(log1p, log1p(x));
  TABULA_FORMULA1(sin, sin(x));
  TABULA_FORMULA1(cos, cos(x));
  TABULA_FORMULA1(tan, tan(x));
  TABULA_FORMULA1(asin, asin(x));
  TABULA_FORMULA1(acos, acos(x));
  TABULA_FORMULA1(atan, atan(x));
  TABULA_FORMULA1(sinh, sinh(x));
  TABULA_FORMULA1(cosh, cosh(x));
  TABULA_FORMULA1(tanh, tanh(x));
  TABULA_FORMULA1(asinh, asinh(x));
  TABULA_FORMULA1(acosh, acosh(x));
  TABULA_FORMULA1(atanh, atanh(x));
  TABULA_FORMULA1(erf, erf(x));
  TABULA_FORMULA1(erfc, erfc(x));
  TABULA_FORMULA1(sinc, formulas::sinc(x));
  TABULA_FORMULA1(logit, formulas::logit(x, p[0]));
  TABULA_FORMULA1(entr, formulas::entr(x));
  TABULA_FORMULA2(pow, pow(x, y));
  TABULA_FORMULA2(atan2, atan2(x, y));
  TABULA_FORMULA2(logaddexp, formulas::logaddexp(x, y));
  TABULA_FORMULA2(logaddexp2, formulas::logaddexp2(x, y));
  TABULA_FORMULA2(xlogy, formulas::xlogy(x, y));
  TABULA_FORMULA2(xlog1py, formulas::xlog1py(x, y));
  TABULA_FORMULA2(ldexp, formulas::ldexp(x, y));
}

template <class Reader>
void arith_rows(Reader&& row) {
  TABULA_FORMULA2(mul, x * y);
  TABULA_FORMULA2(div, x / y);
  TABULA_FORMULA2(div_trunc, formulas::div_trunc(x, y));
  TABULA_FORMULA2(floor_divide, formulas::floor_divide(x, y));
  TABULA_FORMULA2(remainder, remainder(x, y));
  TABULA_FORMULA2(fmod, fmod(x, y));
  TABULA_FORMULA2(maximum, maximum(x, y));
  TABULA_FORMULA2(minimum, minimum(x, y));
  TABULA_FORMULA2(fmax, formulas::fmax(x, y));
  TABULA_FORMULA2(fmin, formulas::fmin(x, y));
  TABULA_FORMULA2(copysign, copysign(x, y));
  TABULA_FORMULA2(hypot, hypot(x, y));
  TABULA_FORMULA2(nextafter, nextafter(x, y));
  TABULA_FORMULA2(heaviside, formulas::heaviside(x, y));
  TABULA_FORMULA3(lerp, formulas::lerp(x, y, z));
  TABULA_FORMULA3(addcmul, formulas::addcmul(x, y, z, p[0]));
  TABULA_FORMULA3(addcdiv, formulas::addcdiv(x, y, z, p[0]));

  TABULA_FORMULA1(positive, x);
  TABULA_FORMULA1(abs, abs(x));
  TABULA_FORMULA1(neg, -x);
  TABULA_FORMULA1(sign, formulas::sign(x));
  TABULA_FORMULA1(sgn, formulas::sign(x));
  TABULA_FORMULA1(ceil, ceil(x));
  TABULA_FORMULA1(floor, floor(x));
  TABULA_FORMULA1(trunc, trunc(x));
  TABULA_FORMULA1(frac, formulas::frac(x));
  TABULA_FORMULA1(reciprocal, formulas::reciprocal(x));
  TABULA_FORMULA1(sqrt, sqrt(x));
  TABULA_FORMULA1(rsqrt, formulas::rsqrt(x));
  TABULA_FORMULA1(square, formulas::square(x));
  TABULA_FORMULA1(cube, formulas::cube(x));
  TABULA_FORMULA1(inverse_square, formulas::inverse_square(x));
  TABULA_FORMULA1(deg2rad, formulas::deg2rad(x));
  TABULA_FORMULA1(rad2deg, formulas::rad2deg(x));
  TABULA_FORMULA1(nan_to_num, formulas::nan_to_num(x, p[0], p[1], p[2]));
  TABULA_FORMULA1(angle, formulas::angle(x));
  TABULA_FORMULA1(conj_physical, x);
  TABULA_FORMULA1(clamp, formulas::clamp(x, p[0], p[1]));
  TABULA_FORMULA1(clamp_min, maximum(p[0], x));
  TABULA_FORMULA1(clamp_max, minimum(p[0], x));
  TABULA_FORMULA3(clamp_tensor, formulas::clamp(x, y, z));
}

// The CPU's own kernels of these leave the factor out where it is one.
template <class Reader>
void scaled_rows(Reader&& row) {
  TABULA_FORMULA2(add, formulas::add(x, y, p[0]));
  TABULA_FORMULA2(sub, formulas::sub(x, y, p[0]));
  TABULA_FORMULA2(rsub, formulas::rsub(x, y, p[0]));
}

#undef TABULA_FORMULA1
#undef TABULA_FORMULA2
#undef TABULA_FORMULA3

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
