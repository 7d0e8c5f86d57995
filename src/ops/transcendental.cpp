#include "ops/transcendental.h"

#include "ops/arith.h"
#include "ops/compare.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/pointwise.h"

namespace tabula {

// One line per function: its kernel, its derivative in terms of g, the input x and the result y, and its text.
#define UNARY(name, saved, derivative, doc_text)                                                                           \
  static void name##_vjp(Backward& b) {                                                                                    \
    [[maybe_unused]] const Tensor& g = b.g();                                                                              \
    [[maybe_unused]] const Tensor& x = b.in(0);                                                                            \
    [[maybe_unused]] const Tensor& y = b.out();                                                                            \
    b.set(0, derivative);                                                                                                  \
  }                                                                                                                        \
  const Op name{documented(pointwise_row(#name "(Tensor input) -> Tensor", Pointwise::name, kFloating,                      \
                                         Pointwise_ | InPlaceFunction, name##_vjp, saved), doc_text)};

namespace {
constexpr double kLn2 = 0.69314718055994530942, kLn10 = 2.30258509299404568402, kTwoOverSqrtPi = 1.12837916709551257390;
}

UNARY(exp, out(), g * conj_of(y),
      "e to the power input."
      TABULA_EXAMPLE("torch.exp(torch.tensor([0., 1.]))", "tensor([1.0000, 2.7183])"))
UNARY(exp2, out(), g * conj_of(y) * Scalar(kLn2),
      "2 to the power input."
      TABULA_EXAMPLE("torch.exp2(torch.tensor([0., 3.]))", "tensor([1., 8.])"))
UNARY(expm1, out(), g * conj_of(y + Scalar(1)),
      "exp(input) - 1, exact for small inputs as well."
      TABULA_EXAMPLE("torch.expm1(torch.tensor([0., 1e-10], dtype=torch.float64))",
                     "tensor([0.0000e+00, 1.0000e-10], dtype=torch.float64)"))
UNARY(log, in(0), g / conj_of(x),
      "The natural logarithm: -inf at 0, NaN for negative real numbers."
      TABULA_EXAMPLE("torch.log(torch.tensor([1., 10.]))", "tensor([0.0000, 2.3026])"))
UNARY(log2, in(0), g / conj_of(x * Scalar(kLn2)),
      "The logarithm to base 2."
      TABULA_EXAMPLE("torch.log2(torch.tensor([1., 8.]))", "tensor([0., 3.])"))
UNARY(log10, in(0), g / conj_of(x * Scalar(kLn10)),
      "The logarithm to base 10."
      TABULA_EXAMPLE("torch.log10(torch.tensor([1., 1000.]))", "tensor([0., 3.])"))
UNARY(log1p, in(0), g / conj_of(x + Scalar(1)),
      "log(1 + input), exact for small inputs as well."
      TABULA_EXAMPLE("torch.log1p(torch.tensor([0., 1e-10], dtype=torch.float64))",
                     "tensor([0.0000e+00, 1.0000e-10], dtype=torch.float64)"))
UNARY(sin, in(0), g * conj_of(cos(x)),
      "The sine of angles in radians."
      TABULA_EXAMPLE("torch.sin(torch.tensor([0., 1.]))", "tensor([0.0000, 0.8415])"))
UNARY(cos, in(0), g * conj_of(neg(sin(x))),
      "The cosine of angles in radians."
      TABULA_EXAMPLE("torch.cos(torch.tensor([0., 1.]))", "tensor([1.0000, 0.5403])"))
UNARY(tan, out(), g * conj_of(y * y + Scalar(1)),
      "The tangent of angles in radians."
      TABULA_EXAMPLE("torch.tan(torch.tensor([0., 1.]))", "tensor([0.0000, 1.5574])"))
UNARY(asin, in(0), g * conj_of(rsqrt(Scalar(1) - x * x)),
      "The inverse of the sine, from -pi/2 to pi/2; NaN outside [-1, 1] for real inputs."
      TABULA_EXAMPLE("torch.asin(torch.tensor([0., 1.]))", "tensor([0.0000, 1.5708])"))
UNARY(acos, in(0), neg(g * conj_of(rsqrt(Scalar(1) - x * x))),
      "The inverse of the cosine, from 0 to pi; NaN outside [-1, 1] for real inputs."
      TABULA_EXAMPLE("torch.acos(torch.tensor([0., 1.]))", "tensor([1.5708, 0.0000])"))
UNARY(atan, in(0), g / conj_of(x * x + Scalar(1)),
      "The inverse of the tangent, from -pi/2 to pi/2."
      TABULA_EXAMPLE("torch.atan(torch.tensor([0., 1.]))", "tensor([0.0000, 0.7854])"))
UNARY(sinh, in(0), g * conj_of(cosh(x)),
      "The hyperbolic sine, (e^x - e^-x) / 2."
      TABULA_EXAMPLE("torch.sinh(torch.tensor([0., 1.]))", "tensor([0.0000, 1.1752])"))
UNARY(cosh, in(0), g * conj_of(sinh(x)),
      "The hyperbolic cosine, (e^x + e^-x) / 2."
      TABULA_EXAMPLE("torch.cosh(torch.tensor([0., 1.]))", "tensor([1.0000, 1.5431])"))
UNARY(asinh, in(0), g * conj_of(rsqrt(x * x + Scalar(1))),
      "The inverse of the hyperbolic sine."
      TABULA_EXAMPLE("torch.asinh(torch.tensor([0., 1.]))", "tensor([0.0000, 0.8814])"))
UNARY(acosh, in(0), g * conj_of(rsqrt(x - Scalar(1)) * rsqrt(x + Scalar(1))),
      "The inverse of the hyperbolic cosine; NaN below 1 for real inputs."
      TABULA_EXAMPLE("torch.acosh(torch.tensor([1., 2.]))", "tensor([0.0000, 1.3170])"))
UNARY(atanh, in(0), g / conj_of(Scalar(1) - x * x),
      "The inverse of the hyperbolic tangent: infinite at -1 and 1, NaN beyond them for real inputs."
      TABULA_EXAMPLE("torch.atanh(torch.tensor([0., 0.5]))", "tensor([0.0000, 0.5493])"))
UNARY(erf, in(0), g * exp(neg(x * x)) * Scalar(kTwoOverSqrtPi),
      "The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to input."
      TABULA_EXAMPLE("torch.erf(torch.tensor([0., 1.]))", "tensor([0.0000, 0.8427])"))
UNARY(erfc, in(0), g * exp(neg(x * x)) * Scalar(-kTwoOverSqrtPi),
      "1 - erf(input), exact in the far tail as well."
      TABULA_EXAMPLE("torch.erfc(torch.tensor([0., 1.]))", "tensor([1.0000, 0.1573])"))
#undef UNARY

#define ALIAS(name, of, doc_text)                                                                                          \
  static const Op name{documented(pointwise_row(#name "(Tensor input) -> Tensor", Pointwise::of, kFloating,                \
                                                Pointwise_ | InPlaceFunction, of##_vjp, in(0)), doc_text)};
ALIAS(arcsin, asin,
      "Another name of torch.asin."
      TABULA_EXAMPLE("torch.arcsin(torch.tensor([0., 1.]))", "tensor([0.0000, 1.5708])"))
ALIAS(arccos, acos,
      "Another name of torch.acos."
      TABULA_EXAMPLE("torch.arccos(torch.tensor([0., 1.]))", "tensor([1.5708, 0.0000])"))
ALIAS(arctan, atan,
      "Another name of torch.atan."
      TABULA_EXAMPLE("torch.arctan(torch.tensor([0., 1.]))", "tensor([0.0000, 0.7854])"))
ALIAS(arcsinh, asinh,
      "Another name of torch.asinh."
      TABULA_EXAMPLE("torch.arcsinh(torch.tensor([0., 1.]))", "tensor([0.0000, 0.8814])"))
ALIAS(arccosh, acosh,
      "Another name of torch.acosh."
      TABULA_EXAMPLE("torch.arccosh(torch.tensor([1., 2.]))", "tensor([0.0000, 1.3170])"))
ALIAS(arctanh, atanh,
      "Another name of torch.atanh."
      TABULA_EXAMPLE("torch.arctanh(torch.tensor([0., 0.5]))", "tensor([0.0000, 0.5493])"))
#undef ALIAS

// tanh and sigmoid have fused derivative kernels, with derivatives of their own; those are conjugates of functions of y
static void tanh_grad_vjp(Backward& b) {
  const Tensor &g = b.g(), &grad = b.in(0), &y = b.in(1);
  if (b.needs(0)) b.set(0, g * (Scalar(1) - y * y));
  if (b.needs(1)) b.set(1, conj_of(g * y) * grad * Scalar(-2));
}
static const Op tanh_backward{pointwise_row("tanh_backward(Tensor grad_output, Tensor output) -> Tensor", Pointwise::tanh_grad, kPromote, Internal, tanh_grad_vjp, in(0) | in(1))};
static void tanh_vjp(Backward& b) { b.set(0, tanh_backward(b.g(), b.out())); }
const Op tanh{documented(pointwise_row("tanh(Tensor input) -> Tensor", Pointwise::tanh, kFloating, Pointwise_ | InPlaceFunction, tanh_vjp, out()),
    "The hyperbolic tangent, from -1 to 1."
    TABULA_EXAMPLE("torch.tanh(torch.tensor([0., 1.]))", "tensor([0.0000, 0.7616])"))};

static void sigmoid_grad_vjp(Backward& b) {
  const Tensor &g = b.g(), &grad = b.in(0), &y = b.in(1);
  if (b.needs(0)) b.set(0, g * (Scalar(1) - y) * y);
  if (b.needs(1)) b.set(1, conj_of(g * (Scalar(1) - y * Scalar(2))) * grad);
}
static const Op sigmoid_backward{pointwise_row("sigmoid_backward(Tensor grad_output, Tensor output) -> Tensor", Pointwise::sigmoid_grad, kPromote, Internal, sigmoid_grad_vjp, in(0) | in(1))};
static void sigmoid_vjp(Backward& b) { b.set(0, sigmoid_backward(b.g(), b.out())); }
const Op sigmoid{documented(pointwise_row("sigmoid(Tensor input) -> Tensor", Pointwise::sigmoid, kFloating, Pointwise_ | InPlaceFunction, sigmoid_vjp, out()),
    "The logistic function, 1 / (1 + exp(-x))."
    TABULA_EXAMPLE("torch.sigmoid(torch.tensor([0., 1.]))", "tensor([0.5000, 0.7311])"))};
static const Op special_expit{documented(pointwise_row("expit(Tensor input) -> Tensor", Pointwise::sigmoid, kFloating, Special | OutForm, sigmoid_vjp, out()),
    "torch.sigmoid by its name in statistics."
    TABULA_EXAMPLE("torch.special.expit(torch.tensor([0., 1.]))", "tensor([0.5000, 0.7311])"))};

// ---- rounding: flat, so the gradient is zero ----

static void flat_vjp(Backward& b) { b.set(0, zeros_like_raw(b.g())); }
const Op floor{documented(pointwise_row("floor(Tensor input) -> Tensor", Pointwise::floor, kPromote, Pointwise_ | InPlaceFunction, flat_vjp),
    "The next integer below, in the dtype of the input."
    TABULA_EXAMPLE("torch.floor(torch.tensor([1.5, -1.5]))", "tensor([ 1., -2.])"))};
const Op ceil{documented(pointwise_row("ceil(Tensor input) -> Tensor", Pointwise::ceil, kPromote, Pointwise_ | InPlaceFunction, flat_vjp),
    "The next integer above, in the dtype of the input."
    TABULA_EXAMPLE("torch.ceil(torch.tensor([1.5, -1.5]))", "tensor([ 2., -1.])"))};
const Op trunc{documented(pointwise_row("trunc(Tensor input) -> Tensor", Pointwise::trunc, kPromote, Pointwise_ | InPlaceFunction, flat_vjp),
    "The next integer towards zero, in the dtype of the input."
    TABULA_EXAMPLE("torch.trunc(torch.tensor([1.5, -1.5]))", "tensor([ 1., -1.])"))};
static const Op fix{documented(pointwise_row("fix(Tensor input) -> Tensor", Pointwise::trunc, kPromote, Pointwise_ | InPlaceFunction, flat_vjp),
    "Another name of torch.trunc."
    TABULA_EXAMPLE("torch.fix(torch.tensor([1.5, -1.5]))", "tensor([ 1., -1.])"))};
static void run_round(const Op& op, const Value* args, Out& out) {
  const DType d = args[0].tensor().dtype();
  check_implemented(args[1].integer() == 0 || is_differentiable(d), "\"round_cpu\" not implemented for '", dtype_title(d), "'");
  run_pointwise(op, args, out);
}
constexpr OpDef round_row() {
  OpDef row = pointwise_row("round(Tensor input, *, int decimals=0) -> Tensor", Pointwise::round, kPromote, Pointwise_ | InPlaceFunction, flat_vjp);
  row.run = boxed(run_round);
  return row;
}
const Op round{documented(round_row(),
    "The nearest integer, the even one of two as near (IEEE 754); decimals says to how many digits after the "
    "point, or before it if negative."
    TABULA_EXAMPLE("torch.round(torch.tensor([0.5, 1.5, 2.7]))", "tensor([0., 2., 3.])")
    TABULA_STEP("torch.round(torch.tensor([1.2345]), decimals=2)", "tensor([1.2300])"))};
static void frac_vjp(Backward& b) { b.set(0, b.g()); }
static const Op frac{documented(pointwise_row("frac(Tensor input) -> Tensor", Pointwise::frac, kPromote, Pointwise_ | InPlaceFunction, frac_vjp),
    "The part after the point, with the sign of the input."
    TABULA_EXAMPLE("torch.frac(torch.tensor([1.5, -1.5]))", "tensor([ 0.5000, -0.5000])"))};

// ---- gamma functions ----

static void lgamma_vjp(Backward& b) { b.set(0, b.g() * digamma(b.in(0))); }
const Op lgamma{documented(pointwise_row("lgamma(Tensor input) -> Tensor", Pointwise::lgamma, kFloating, Pointwise_, lgamma_vjp, in(0)),
    "The logarithm of the absolute value of the gamma function."
    TABULA_EXAMPLE("torch.lgamma(torch.tensor([1., 5.]))", "tensor([0.0000, 3.1781])"))};
static void digamma_vjp(Backward& b) { b.set(0, b.g() * polygamma(1, b.in(0))); }
const Op digamma{documented(pointwise_row("digamma(Tensor input) -> Tensor", Pointwise::digamma, kFloating, Pointwise_, digamma_vjp, in(0)),
    "The derivative of the logarithm of the gamma function."
    TABULA_EXAMPLE("torch.digamma(torch.tensor([1.]))", "tensor([-0.5772])"))};
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
const Op polygamma{documented(polygamma_row(),
    "The n-th derivative of the digamma function. A RuntimeError for negative n."
    TABULA_EXAMPLE("torch.polygamma(1, torch.tensor([1.]))", "tensor([1.6449])"))};

// ---- activations that are plain compositions of these ----

static Tensor run_softsign(const Tensor& input) { return input / (abs(input) + Scalar(1)); }
static const Op softsign{OpDef{.schema = "softsign(Tensor input) -> Tensor", .run = fn<run_softsign>, .on = NN, .composite = true,
    .doc =
        "x / (1 + |x|), element by element."
        TABULA_EXAMPLE("torch._C._nn.softsign(torch.tensor([-1., 3.]))", "tensor([-0.5000,  0.7500])")}};
static Tensor run_tanhshrink(const Tensor& input) { return input - tanh(input); }
static const Op tanhshrink{OpDef{.schema = "tanhshrink(Tensor input) -> Tensor", .run = fn<run_tanhshrink>, .on = NN, .composite = true,
    .doc =
        "x - tanh(x), element by element."
        TABULA_EXAMPLE("torch._C._nn.tanhshrink(torch.tensor([0., 1.]))", "tensor([0.0000, 0.2384])")}};

}  // namespace tabula
