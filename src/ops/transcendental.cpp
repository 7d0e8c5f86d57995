#include "ops/transcendental.h"

#include "ops/arith.h"
#include "ops/compare.h"
#include "ops/factory.h"
#include "ops/pointwise.h"

namespace tabula {

// One line per function: its kernel, and its derivative in terms of g, the input x and the result y.
#define UNARY(name, saved, derivative)                                                                                     \
  static void name##_vjp(Backward& b) {                                                                                    \
    [[maybe_unused]] const Tensor& g = b.g();                                                                              \
    [[maybe_unused]] const Tensor& x = b.in(0);                                                                            \
    [[maybe_unused]] const Tensor& y = b.out();                                                                            \
    b.set(0, derivative);                                                                                                  \
  }                                                                                                                        \
  const Op name{pointwise_row(#name "(Tensor input) -> Tensor", Pointwise::name, kFloating, Pointwise_ | InPlaceFunction, name##_vjp, saved)};

namespace {
constexpr double kLn2 = 0.69314718055994530942, kLn10 = 2.30258509299404568402, kTwoOverSqrtPi = 1.12837916709551257390;
}

UNARY(exp, out(), g * conj_of(y))
UNARY(exp2, out(), g * conj_of(y) * Scalar(kLn2))
UNARY(expm1, out(), g * conj_of(y + Scalar(1)))
UNARY(log, in(0), g / conj_of(x))
UNARY(log2, in(0), g / conj_of(x * Scalar(kLn2)))
UNARY(log10, in(0), g / conj_of(x * Scalar(kLn10)))
UNARY(log1p, in(0), g / conj_of(x + Scalar(1)))
UNARY(sin, in(0), g * conj_of(cos(x)))
UNARY(cos, in(0), g * conj_of(neg(sin(x))))
UNARY(tan, out(), g * conj_of(y * y + Scalar(1)))
UNARY(asin, in(0), g * conj_of(rsqrt(Scalar(1) - x * x)))
UNARY(acos, in(0), neg(g * conj_of(rsqrt(Scalar(1) - x * x))))
UNARY(atan, in(0), g / conj_of(x * x + Scalar(1)))
UNARY(sinh, in(0), g * conj_of(cosh(x)))
UNARY(cosh, in(0), g * conj_of(sinh(x)))
UNARY(asinh, in(0), g * conj_of(rsqrt(x * x + Scalar(1))))
UNARY(acosh, in(0), g * conj_of(rsqrt(x - Scalar(1)) * rsqrt(x + Scalar(1))))
UNARY(atanh, in(0), g / conj_of(Scalar(1) - x * x))
UNARY(erf, in(0), g * exp(neg(x * x)) * Scalar(kTwoOverSqrtPi))
UNARY(erfc, in(0), g * exp(neg(x * x)) * Scalar(-kTwoOverSqrtPi))
#undef UNARY

#define ALIAS(name, of) \
  static const Op name{pointwise_row(#name "(Tensor input) -> Tensor", Pointwise::of, kFloating, Pointwise_ | InPlaceFunction, of##_vjp, in(0))};
ALIAS(arcsin, asin)
ALIAS(arccos, acos)
ALIAS(arctan, atan)
ALIAS(arcsinh, asinh)
ALIAS(arccosh, acosh)
ALIAS(arctanh, atanh)
#undef ALIAS

// tanh and sigmoid have fused derivative kernels, with derivatives of their own
static void tanh_grad_vjp(Backward& b) {
  const Tensor &g = b.g(), &grad = b.in(0), &y = b.in(1);
  if (b.needs(0)) b.set(0, g * conj_of(Scalar(1) - y * y));
  if (b.needs(1)) b.set(1, is_complex(y.dtype()) ? g * conj_of(grad * y * Scalar(-2)) : g * grad * y * Scalar(-2));
}
static const Op tanh_backward{pointwise_row("tanh_backward(Tensor grad_output, Tensor output) -> Tensor", Pointwise::tanh_grad, kPromote, Internal, tanh_grad_vjp, in(0) | in(1))};
static void tanh_vjp(Backward& b) { b.set(0, tanh_backward(b.g(), b.out())); }
const Op tanh{pointwise_row("tanh(Tensor input) -> Tensor", Pointwise::tanh, kFloating, Pointwise_ | InPlaceFunction, tanh_vjp, out())};

static void sigmoid_grad_vjp(Backward& b) {
  const Tensor &g = b.g(), &grad = b.in(0), &y = b.in(1);
  if (b.needs(0)) b.set(0, g * conj_of((Scalar(1) - y) * y));
  if (b.needs(1)) b.set(1, g * conj_of(grad * (Scalar(1) - y * Scalar(2))));
}
static const Op sigmoid_backward{pointwise_row("sigmoid_backward(Tensor grad_output, Tensor output) -> Tensor", Pointwise::sigmoid_grad, kPromote, Internal, sigmoid_grad_vjp, in(0) | in(1))};
static void sigmoid_vjp(Backward& b) { b.set(0, sigmoid_backward(b.g(), b.out())); }
const Op sigmoid{pointwise_row("sigmoid(Tensor input) -> Tensor", Pointwise::sigmoid, kFloating, Pointwise_ | InPlaceFunction, sigmoid_vjp, out())};
static const Op special_expit{pointwise_row("expit(Tensor input) -> Tensor", Pointwise::sigmoid, kFloating, Special | OutForm, sigmoid_vjp, out())};

// ---- rounding: flat, so the gradient is zero ----

static void flat_vjp(Backward& b) { b.set(0, zeros_like_raw(b.g())); }
const Op floor{pointwise_row("floor(Tensor input) -> Tensor", Pointwise::floor, kPromote, Pointwise_ | InPlaceFunction, flat_vjp)};
const Op ceil{pointwise_row("ceil(Tensor input) -> Tensor", Pointwise::ceil, kPromote, Pointwise_ | InPlaceFunction, flat_vjp)};
const Op trunc{pointwise_row("trunc(Tensor input) -> Tensor", Pointwise::trunc, kPromote, Pointwise_ | InPlaceFunction, flat_vjp)};
static const Op fix{pointwise_row("fix(Tensor input) -> Tensor", Pointwise::trunc, kPromote, Pointwise_ | InPlaceFunction, flat_vjp)};
const Op round{pointwise_row("round(Tensor input, *, int decimals=0) -> Tensor", Pointwise::round, kPromote, Pointwise_ | InPlaceFunction, flat_vjp)};
static void frac_vjp(Backward& b) { b.set(0, b.g()); }
static const Op frac{pointwise_row("frac(Tensor input) -> Tensor", Pointwise::frac, kPromote, Pointwise_ | InPlaceFunction, frac_vjp)};

// ---- gamma functions ----

static void lgamma_vjp(Backward& b) { b.set(0, b.g() * digamma(b.in(0))); }
const Op lgamma{pointwise_row("lgamma(Tensor input) -> Tensor", Pointwise::lgamma, kFloating, Pointwise_, lgamma_vjp, in(0))};
static void digamma_vjp(Backward& b) { b.set(0, b.g() * polygamma(1, b.in(0))); }
const Op digamma{pointwise_row("digamma(Tensor input) -> Tensor", Pointwise::digamma, kFloating, Pointwise_, digamma_vjp, in(0))};
static void polygamma_vjp(Backward& b) { b.set(1, b.g() * polygamma(b.integer(0) + 1, b.in(1))); }
static void run_polygamma(const Op& op, const Value* args, Out& out) {
  check(args[0].integer() >= 0, "polygamma(n, x) does not support negative n.");
  run_pointwise(op, args, out);
}
constexpr OpDef polygamma_row() {
  OpDef row = pointwise_row("polygamma(int n, Tensor input) -> Tensor", Pointwise::polygamma, kFloating, Function | OutForm, polygamma_vjp, in(1));
  row.run = boxed(run_polygamma);
  return row;
}
const Op polygamma{polygamma_row()};

// ---- activations that are plain compositions of these ----

static Tensor run_softsign(const Tensor& input) { return input / (abs(input) + Scalar(1)); }
static const Op softsign{OpDef{.schema = "softsign(Tensor input) -> Tensor", .run = fn<run_softsign>, .on = NN, .composite = true}};
static Tensor run_tanhshrink(const Tensor& input) { return input - tanh(input); }
static const Op tanhshrink{OpDef{.schema = "tanhshrink(Tensor input) -> Tensor", .run = fn<run_tanhshrink>, .on = NN, .composite = true}};

}  // namespace tabula
