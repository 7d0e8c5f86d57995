// Activations, losses and their derivatives. In `name_grad(g, x, ...)`, g is the gradient of the result and x the
// input; the few that read the result instead say so.
#pragma once

#include "kernels/formulas/arith.h"

namespace tabula {
inline namespace TABULA_ISA {
namespace formulas {

inline constexpr double kSqrtHalf = 0.70710678118654752440;
inline constexpr double kInvSqrt2Pi = 0.39894228040143267794;
inline constexpr double kSqrt2OverPi = 0.79788456080286535588;
inline constexpr double kGeluCubic = 0.044715;
inline constexpr double kSeluAlpha = 1.6732632423543772848170429916717;
inline constexpr double kSeluScale = 1.0507009873554804934193349852946;

template <class V>
V sigmoid(V x) {
  return V(1) / (V(1) + exp(-x));
}
TABULA_INLINE Vec<float> sigmoid(Vec<float> x) { return logistic(x); }
template <class V>
V sigmoid_grad(V g, V result) {
  return g * conj((V(1) - result) * result);
}
template <class V>
V tanh_grad(V g, V result) {
  return g * conj(V(1) - result * result);
}

template <class V>
V relu(V x) {
  return maximum(V(0), x);
}
template <class V>
V relu6(V x) {
  return clamp(x, V(0), V(6));
}
template <class V>
V threshold(V x, V at, V value) {
  return select(x <= at, value, x);
}
template <class V>
V threshold_grad(V g, V x, V at) {
  return select(x <= at, V(0), g);
}
template <class V>
V leaky_relu(V x, V slope) {
  return select(x > V(0), x, x * slope);
}
template <class V>
V leaky_relu_grad(V g, V x, V slope) {
  return select(x > V(0), g, g * slope);
}

template <class V>
V elu(V x, V alpha, V scale, V input_scale) {
  return select(x < V(0), expm1(x * input_scale) * (alpha * scale), x * scale);
}
template <class V>
V elu_grad(V g, V x, V alpha, V scale, V input_scale) {
  return select(x > V(0), g * scale, g * input_scale * (alpha * scale) * exp(x * input_scale));
}
template <class V>
V elu_result_grad(V g, V result, V alpha, V scale, V input_scale) {
  return select(result > V(0), g * scale, g * input_scale * (result + alpha * scale));
}
template <class V>
V celu(V x, V alpha) {
  return elu(x, alpha, V(1), V(1) / alpha);
}
template <class V>
V selu(V x) {
  return elu(x, V(kSeluAlpha), V(kSeluScale), V(1));
}

template <class V>
V gelu(V x) {
  return V(0.5) * x * (V(1) + erf(x * V(kSqrtHalf)));
}
template <class V>
V gelu_grad(V g, V x) {
  const V cdf = V(0.5) * (V(1) + erf(x * V(kSqrtHalf)));
  const V pdf = V(kInvSqrt2Pi) * exp(V(-0.5) * x * x);
  return g * (cdf + x * pdf);
}
template <class V>
V gelu_tanh(V x) {
  const V inner = V(kSqrt2OverPi) * (x + V(kGeluCubic) * x * x * x);
  return V(0.5) * x * (V(1) + tanh(inner));
}
template <class V>
V gelu_tanh_grad(V g, V x) {
  const V square = x * x;
  const V t = tanh(V(kSqrt2OverPi) * (x + V(kGeluCubic) * square * x));
  const V slope = V(kSqrt2OverPi) * (V(1) + V(3 * kGeluCubic) * square);
  return g * (V(0.5) * (V(1) + t) + V(0.5) * x * (V(1) - t * t) * slope);
}

template <class V>
V silu(V x) {
  return x / (V(1) + exp(-x));
}
TABULA_INLINE Vec<float> silu(Vec<float> x) { return x * logistic(x); }
template <class V>
V silu_grad(V g, V x) {
  const V s = sigmoid(x);
  return g * s * (V(1) + x * (V(1) - s));
}
// tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2); past 20 the quotient is one and the square might overflow
template <class V>
V tanh_softplus(V x) {
  const V e = exp(minimum(x, V(20))), n = e * (e + V(2));
  return n / (n + V(2));
}
template <class V>
V mish(V x) {
  return x * tanh_softplus(x);
}
template <class V>
V mish_grad(V g, V x) {
  const V t = tanh_softplus(x);
  return g * (t + x * sigmoid(x) * (V(1) - t * t));
}
template <class V>
V softplus(V x, V beta, V at) {
  const V z = x * beta;
  return select(z > at, x, log1p(exp(z)) / beta);
}
template <class V>
V softplus_grad(V g, V x, V beta, V at) {
  const V z = x * beta;
  return select(z > at, g, g * sigmoid(z));
}
template <class V>
V logsigmoid(V x) {
  return minimum(x, V(0)) - log1p(exp(-abs(x)));
}
template <class V>
V logsigmoid_grad(V g, V x) {
  const V z = exp(-abs(x));
  return g * (select(x < V(0), V(1), z) / (V(1) + z));
}
template <class V>
V softsign(V x) {
  return x / (V(1) + abs(x));
}
template <class V>
V tanhshrink(V x) {
  return x - tanh(x);
}

template <class V>
V hardtanh_grad(V g, V x, V low, V high) {
  return select((x > low) & (x < high), g, V(0));
}
template <class V>
V hardsigmoid(V x) {
  return clamp(x + V(3), V(0), V(6)) / V(6);
}
template <class V>
V hardsigmoid_grad(V g, V x) {
  return select((x > V(-3)) & (x < V(3)), g / V(6), V(0));
}
template <class V>
V hardswish(V x) {
  return x * clamp(x + V(3), V(0), V(6)) / V(6);
}
template <class V>
V hardswish_grad(V g, V x) {
  return select(x <= V(-3), V(0), select(x >= V(3), g, g * (x / V(3) + V(0.5))));
}
template <class V>
V hardshrink(V x, V lambda) {
  return select((x >= -lambda) & (x <= lambda), V(0), x);
}
template <class V>
V hardshrink_grad(V g, V x, V lambda) {
  return select((x < -lambda) | (x > lambda), g, V(0));
}
template <class V>
V softshrink(V x, V lambda) {
  return select(x > lambda, x - lambda, select(x < -lambda, x + lambda, select(isnan(x), x, V(0))));
}

template <class V>
V smooth_l1(V x, V y, V beta) {
  const V z = abs(x - y);
  return select(z < beta, V(0.5) * z * z / beta, z - V(0.5) * beta);
}
template <class V>
V smooth_l1_grad(V g, V x, V y, V beta) {
  const V d = x - y;
  return select(d <= -beta, -g, select(d >= beta, g, g * d / beta));
}
template <class V>
V huber(V x, V y, V delta) {
  const V z = abs(x - y);
  return select(z <= delta, V(0.5) * z * z, delta * (z - V(0.5) * delta));
}
template <class V>
V huber_grad(V g, V x, V y, V delta) {
  const V d = x - y;
  return select(d <= -delta, -g * delta, select(d >= delta, g * delta, g * d));
}
template <class V>
V mse(V x, V y) {
  const V d = x - y;
  return d * d;
}
template <class V>
V mse_grad(V g, V x, V y, V factor) {
  return factor * (x - y) * g;
}

}  // namespace formulas
}  // namespace TABULA_ISA
}  // namespace tabula
