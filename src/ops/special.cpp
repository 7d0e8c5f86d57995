#include "ops/special.h"

#include <cmath>
#include <limits>

#include "core/state.h"
#include "ops/arith.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/exact_out.h"
#include "ops/factory.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/scalar_range.h"
#include "ops/transcendental.h"
#include "ops/view.h"

namespace tabula {

namespace {
constexpr double kPi = 3.14159265358979323846, kSqrtPi = 1.77245385090551602730, kSqrt2 = 1.41421356237309504880;
}

// One line per function: where it lives, what is saved and its derivative in terms of g, the input x and the result y.
#define UNARY(name, rule, places, saved, derivative, doc_text)                                                       \
  static void name##_vjp(Backward& b) {                                                                              \
    [[maybe_unused]] const Tensor& g = b.g();                                                                        \
    [[maybe_unused]] const Tensor& x = b.in(0);                                                                      \
    [[maybe_unused]] const Tensor& y = b.out();                                                                      \
    b.set(0, derivative);                                                                                            \
  }                                                                                                                  \
  static constexpr OpDef name##_row() {                                                                              \
    OpDef row = pointwise_row(#name "(Tensor input) -> Tensor", Pointwise::name, rule, places, name##_vjp, saved);   \
    row.doc = doc_text;                                                                                              \
    return row;                                                                                                      \
  }                                                                                                                  \
  const Op name{name##_row()};
constexpr uint16_t kUsual = Pointwise_ | InPlaceFunction, kSpecial = Special | OutForm;
#define EXAMPLE(call, value) "\n\nExample::\n\n    >>> torch." call "\n    " value "\n"

static Tensor sinc_gradient(const Tensor& g, const Tensor& x) {
  const Tensor angle = x * Scalar(kPi), scale = x * x * Scalar(kPi);
  return where(eq(scale, 0), Scalar(0.0), g * conj_of((angle * cos(angle) - sin(angle)) / scale));
}
UNARY(sinc, kFloating, kUsual | Special, in(0), sinc_gradient(g, x), "sin(pi x) / (pi x), and 1 at 0." EXAMPLE("sinc(torch.tensor([0., 0.5]))", "tensor([1.0000, 0.6366])"))
UNARY(erfinv, kFloating, kUsual | Special, out(), g * exp(y * y) * Scalar(kSqrtPi / 2),
      "The inverse of erf on (-1, 1); infinite at the ends, NaN outside." EXAMPLE("erfinv(torch.tensor([0., 1.]))", "tensor([0., inf])"))
UNARY(erfcx, kFloating, kSpecial, in(0) | out(), g * (x * y * Scalar(2) - Scalar(2 / kSqrtPi)),
      "exp(x^2) erfc(x), without overflow." EXAMPLE("special.erfcx(torch.tensor([0.]))", "tensor([1.])"))
UNARY(ndtri, kFloating, kSpecial, out(), g * exp(y * y / Scalar(2)) * Scalar(kSqrt2 * kSqrtPi),
      "The quantile function of the standard normal distribution." EXAMPLE("special.ndtri(torch.tensor([0.5]))", "tensor([0.])"))
UNARY(log_ndtr, kFloating, kSpecial, in(0), g / erfcx(x * Scalar(-1 / kSqrt2)) * Scalar(kSqrt2 / kSqrtPi),
      "The logarithm of the standard normal distribution function." EXAMPLE("special.log_ndtr(torch.tensor([0.]))", "tensor([-0.6931])"))
UNARY(entr, kFloating, kSpecial, in(0), g * neg(log(x) + Scalar(1)),
      "-x log(x): 0 at 0, -inf below." EXAMPLE("special.entr(torch.tensor([0., 1.]))", "tensor([0., -0.])"))

// The Bessel quotients have removable singularities at 0.
static Tensor unless_tiny(const Tensor& x, double limit, Tensor (*slope)(const Tensor& x, const Tensor& y), const Tensor& y) {
  const double step = x.dtype() == DType::Float64 ? std::numeric_limits<double>::epsilon() : double(std::numeric_limits<float>::epsilon());
  const Tensor tiny = logical_not(gt(abs(x), Scalar(step)));
  return where(tiny, Scalar(limit), slope(where(tiny, Scalar(step), x), y));
}
UNARY(i0, kFloating, kUsual | Special, in(0), g * i1(x), "The modified Bessel function of the first kind of order 0." EXAMPLE("i0(torch.tensor([0.]))", "tensor([1.])"))
UNARY(i0e, kFloating, kSpecial, in(0) | out(), g * (i1e(x) - sgn(x) * y), "i0(x) exp(-|x|)." EXAMPLE("special.i0e(torch.tensor([0.]))", "tensor([1.])"))
UNARY(i1, kFloating, kSpecial, in(0) | out(), g * unless_tiny(x, 0.5, [](const Tensor& x, const Tensor& y) { return i0(x) - y / x; }, y),
      "The modified Bessel function of the first kind of order 1." EXAMPLE("special.i1(torch.tensor([0.]))", "tensor([0.])"))
UNARY(i1e, kFloating, kSpecial, in(0) | out(), g * unless_tiny(x, 0.5, [](const Tensor& x, const Tensor& y) { return i0e(x) - y * (sgn(x) + reciprocal(x)); }, y),
      "i1(x) exp(-|x|)." EXAMPLE("special.i1e(torch.tensor([0.]))", "tensor([0.])"))

UNARY(deg2rad, kFloating, kUsual, 0, g * Scalar(kPi / 180), "Degrees to radians." EXAMPLE("deg2rad(torch.tensor([180.]))", "tensor([3.1416])"))
UNARY(rad2deg, kFloating, kUsual, 0, g * Scalar(180 / kPi), "Radians to degrees." EXAMPLE("rad2deg(torch.tensor([0.]))", "tensor([0.])"))
#undef UNARY

// ---- logit ----

static void run_logit(const Op& op, const Value* args, Out& out) {
  // the kernel's sign for "no eps" is a negative one
  const Value with_eps[2] = {args[0], args[1].is_none() ? Value(-1.0) : args[1]};
  run_pointwise(op, with_eps, out);
}
static void logit_vjp(Backward& b) {
  const Tensor& x = b.in(0);
  const double eps = b.has(1) ? b.number(1) : 0;
  const Tensor inside = logical_and(ge(x, Scalar(eps)), le(x, Scalar(1 - eps)));
  b.set(0, where(inside, b.g() / (x * (Scalar(1.0) - x)), Scalar(b.has(1) ? 0.0 : NAN)));
}
constexpr OpDef logit_row() {
  OpDef row = pointwise_row("logit(Tensor input, float? eps=None) -> Tensor", Pointwise::logit, kFloating, kUsual | Special, logit_vjp, in(0));
  row.run = boxed(run_logit);
  row.doc = "log(x / (1 - x)); with eps the input is first clamped to [eps, 1 - eps]." EXAMPLE("logit(torch.tensor([0.5]))", "tensor([0.])");
  return row;
}
const Op logit{logit_row()};

// ---- two arguments ----

[[noreturn]] static void no_derivative(const char* argument) { fail(ErrorKind::NotImplemented, "the derivative for '", argument, "' is not implemented."); }
// Of two numbers there is no tensor to make.
static void run_two(const Op& op, const Value* args, Out& out) {
  check_type(args[0].is_tensor() || args[1].is_tensor(), "special_", op.schema.base_name, "(): argument 'input' (position 1) must be Tensor, not a number");
  run_pointwise(op, args, out);
}
constexpr OpDef two_row(const char* schema, Pointwise kernel, Vjp vjp, const char* doc) {
  OpDef row = pointwise_row(schema, kernel, kFloating, kSpecial, vjp, in(0) | in(1));
  row.run = boxed(run_two);
  row.doc = doc;
  return row;
}
static void zeta_vjp(Backward& b) {
  if (b.needs(0)) no_derivative("zeta");
  if (!b.needs(1)) return;
  const Operand s = b.operand(0);
  if (s.is_tensor())
    b.set(1, b.g() * neg(s.tensor()) * zeta(s.tensor() + Scalar(1.0), b.in(1)));
  else
    b.set(1, b.g() * Scalar(-s.scalar().to_double()) * zeta(s.scalar().to_double() + 1, b.in(1)));
}
const Op zeta{two_row("zeta(Operand input, Operand other) -> Tensor", Pointwise::zeta, zeta_vjp,
                      "The Hurwitz zeta function: the sum over k >= 0 of (k + other)^-input." EXAMPLE("special.zeta(torch.tensor([2.]), 1)", "tensor([1.6449])"))};

static void xlog1py_vjp(Backward& b) {
  const Operand x = b.operand(0), y = b.operand(1);
  if (b.needs(0)) {
    if (y.is_tensor()) {
      b.set(0, b.g() * where(logical_and(eq(x, 0), le(y, -1)), Scalar(0.0), log1p(y.tensor())));
    } else {
      const double number = y.scalar().to_double(), slope = std::log1p(number);
      b.set(0, number > -1 ? b.g() * Scalar(slope) : b.g() * where(eq(x, 0), Scalar(0.0), Scalar(slope)));
    }
  }
  if (b.needs(1)) b.set(1, b.g() * div(x, b.in(1) + Scalar(1)));
}
const Op xlog1py{two_row("xlog1py(Operand input, Operand other) -> Tensor", Pointwise::xlog1py, xlog1py_vjp,
                         "input log1p(other), and 0 where input is 0." EXAMPLE("special.xlog1py(torch.tensor([0., 1.]), 0)", "tensor([0., 0.])"))};

// d/dx of the regularised incomplete gamma functions: +- x^(a-1) exp(-x) / gamma(a)
template <int sign>
static void igamma_vjp(Backward& b) {
  const Tensor &a = b.in(0), &x = b.in(1);
  if (b.needs(0)) no_derivative(sign > 0 ? "igamma: input" : "igammac: input");
  if (b.needs(1)) b.set(1, b.g() * exp((a - Scalar(1)) * log(x) - x - lgamma(a)) * Scalar(sign));
}
#define GAMMA_DOC(what, name, value) what ", for a > 0 (input) and x >= 0 (other), which are broadcast." EXAMPLE(name "(torch.tensor([1.]), torch.tensor([0.]))", value)
constexpr OpDef igamma_row(const char* schema, Pointwise kernel, uint16_t on, Vjp vjp, const char* doc) {
  OpDef row = pointwise_row(schema, kernel, kPromote, on, vjp, in(0) | in(1));
  row.doc = doc;
  return row;
}
const Op igamma{igamma_row("igamma(Tensor input, Tensor other) -> Tensor", Pointwise::igamma, Pointwise_, igamma_vjp<1>,
                           GAMMA_DOC("The regularised lower incomplete gamma function P(a, x)", "igamma", "tensor([0.])"))};
const Op igammac{igamma_row("igammac(Tensor input, Tensor other) -> Tensor", Pointwise::igammac, Pointwise_, igamma_vjp<-1>,
                            GAMMA_DOC("The regularised upper incomplete gamma function Q(a, x)", "igammac", "tensor([1.])"))};
static const Op gammainc{igamma_row("gammainc(Tensor input, Tensor other) -> Tensor", Pointwise::igamma, kSpecial, igamma_vjp<1>,
                                    GAMMA_DOC("The regularised lower incomplete gamma function P(a, x)", "special.gammainc", "tensor([0.])"))};
static const Op gammaincc{igamma_row("gammaincc(Tensor input, Tensor other) -> Tensor", Pointwise::igammac, kSpecial, igamma_vjp<-1>,
                                     GAMMA_DOC("The regularised upper incomplete gamma function Q(a, x)", "special.gammaincc", "tensor([1.])"))};
#undef GAMMA_DOC

static void ldexp_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g() * conj_of(exp2(b.in(1))));
  if (b.needs(1)) b.set(1, b.g() * conj_of(b.out()) * Scalar(std::log(2.0)));
}
constexpr OpDef ldexp_row() {
  OpDef row = pointwise_row("ldexp(Tensor input, Tensor other) -> Tensor", Pointwise::ldexp, kFloating, Pointwise_, ldexp_vjp, in(1) | out());
  row.doc = "input times 2 to the power other; the arguments are broadcast." EXAMPLE("ldexp(torch.tensor([1.]), torch.tensor([3]))", "tensor([8.])");
  return row;
}
const Op ldexp{ldexp_row()};

// ---- powers in double ----

static DType wide(const Operand& base, const Operand& exponent) {
  const auto complex = [](const Operand& o) { return o.is_tensor() ? is_complex(o.tensor().dtype()) : o.scalar().is_complex(); };
  return complex(base) || complex(exponent) ? DType::Complex128 : DType::Float64;
}
static Operand widened(const Operand& o, DType dtype, Tensor& keep) {
  if (!o.is_tensor()) return o;
  keep = o.tensor().dtype() == dtype ? o.tensor() : to_dtype(o.tensor(), dtype);
  return Operand(keep);
}
static Tensor run_float_power(const Operand& input, const Operand& exponent) {
  check_type(input.is_tensor() || exponent.is_tensor(), "float_power(): argument 'input' (position 1) must be Tensor, not a number");
  const DType dtype = wide(input, exponent);
  Tensor base, power;
  return pow(widened(input, dtype, base), widened(exponent, dtype, power));
}
static const Op float_power{OpDef{.schema = "float_power(Operand input, Operand exponent) -> Tensor", .run = fn<run_float_power>, .on = Usual, .composite = true,
                                  .doc = "Power computed in double, or complex double, whatever the arguments' dtypes." EXAMPLE("float_power(torch.tensor([2]), -1)", "tensor([0.5000], dtype=torch.float64)")}};
static Tensor run_float_power_in_place(const Tensor& input, const Operand& exponent) {
  const DType dtype = wide(Operand(input), exponent);
  check(input.dtype() == dtype, "the base given to float_power_ has dtype ", dtype_title(input.dtype()), " but the operation's result requires dtype ", dtype_title(dtype));
  Tensor power;
  return pow.in_place(input, widened(exponent, dtype, power));
}
static const Op float_power_in_place{OpDef{.schema = "float_power_(Tensor(a!) input, Operand exponent) -> Tensor(a!)", .run = fn<run_float_power_in_place>, .on = Method, .composite = true,
    .doc =
        "In-place form of Tensor.float_power, for a float64 or complex128 tensor."
        TABULA_EXAMPLE("torch.tensor([2.], dtype=torch.float64).float_power_(3)", "tensor([8.], dtype=torch.float64)")}};

// ---- fractions and exponents ----

static std::tuple<Tensor, Tensor> run_frexp(const Tensor& input) {
  check(is_floating(input.dtype()), "torch.frexp() only supports floating-point dtypes");
  const Tensor from = contiguous_raw(input);
  Tensor mantissa = Tensor::empty(input.sizes(), input.dtype(), input.device()), exponent = Tensor::empty(input.sizes(), DType::Int32, input.device());
  if (input.is_meta()) return {mantissa, exponent};
  visit_floating(input.dtype(), "frexp", [&]<class T>() {
    const T* x = from.data_as<T>();
    T* m = mantissa.data_as<T>();
    int32_t* e = exponent.data_as<int32_t>();
    for (int64_t i = 0; i < from.numel(); i++) {
      int power = 0;
      m[i] = T(std::frexp(compute_t<T>(x[i]), &power));
      e[i] = power;
    }
  });
  return {mantissa, exponent};
}
static void frexp_vjp(Backward& b) { b.set(0, b.g(0) / exp2(to_dtype(b.out(1), b.dtype(0)))); }
static void refuse_frexp_out(DType result, DType given) {
  fail(ErrorKind::Runtime, "torch.frexp() expects mantissa to have dtype ", c_type_name(result), " but got ", c_type_name(given));
}
static const Op frexp{OpDef{.schema = "frexp(Tensor input) -> (Tensor mantissa, Tensor exponent)", .run = fn_exact_out_as<run_frexp, refuse_frexp_out>, .on = Usual, .vjp = frexp_vjp, .save = shape() | out(1), .nondiff = 2,
                            .batch = batch::same, .doc = "Splits x into mantissa times 2^exponent, 0.5 <= |mantissa| < 1, as a named tuple; exponents are int32." EXAMPLE("frexp(torch.tensor([8.])).exponent",
                                                                                                                                                   "tensor([4], dtype=torch.int32)")}};

// ---- multivariate gamma ----

// log of pi^(p (p-1) / 4) prod_{i < p} gamma(x - i / 2)
static Tensor sum_over_halves(const Tensor& x, int64_t p, const Op& function) {
  const Tensor halves = x.is_meta() ? zeros_raw({{p}}, x.dtype(), x.device()) : cast_raw(arange_raw(p), x.dtype()) * Scalar(-0.5);
  return sum_dim(function(unsqueeze(x, int64_t(-1)) + halves), IntList({-1}));
}
static Tensor run_mvlgamma(const Tensor& input, int64_t p) {
  check(p >= 1, "p has to be greater than or equal to 1");
  check(input.dtype() != DType::Bool, "The input tensor may not be a boolean tensor.");
  check(!is_complex(input.dtype()), "mvlgamma: The input tensor must not be complex");
  const Tensor x = is_floating(input.dtype()) ? input : cast_raw(input, default_dtype);
  return sum_over_halves(x, p, lgamma) + Scalar(double(p) * double(p - 1) * std::log(kPi) / 4);
}
static void mvlgamma_vjp(Backward& b) { b.set(0, b.g() * sum_over_halves(b.in(0), b.integer(1), digamma)); }
#define MVLGAMMA(name, on_, example)                                                                                                              \
  OpDef{.schema = name "(Tensor input, int p) -> Tensor", .run = fn<run_mvlgamma>, .on = on_, .vjp = mvlgamma_vjp, .save = in(0), .node = "MvlgammaBackward0", \
        .batch = batch::same, .doc = "Logarithm of the multivariate gamma function of dimension p." EXAMPLE(example "(torch.tensor([2.]), 1)", "tensor([0.])")}
static const Op mvlgamma{MVLGAMMA("mvlgamma", Pointwise_, "mvlgamma")};
static const Op multigammaln{MVLGAMMA("multigammaln", kSpecial, "special.multigammaln")};
#undef MVLGAMMA

// ---- complex numbers ----

static void angle_vjp(Backward& b) {
  const Tensor& z = b.in(0);
  if (!is_complex(z.dtype())) return b.set(0, zeros_like_raw(b.g()));
  const Tensor slope = z / where(eq(z, 0), Scalar(1.0), z * conj(z)) * Scalar(c128(0, 1));
  b.set(0, b.g() * slope);
}
constexpr OpDef angle_row() {
  OpDef row = pointwise_row("angle(Tensor input) -> Tensor", Pointwise::angle, kFloating, Usual, angle_vjp, in(0));
  row.doc = "The argument of complex numbers in radians; of real ones 0, or pi where negative." EXAMPLE("angle(torch.tensor([1j]))", "tensor([1.5708])");
  return row;
}
static const Op angle{angle_row()};
static void conj_physical_vjp(Backward& b) { b.set(0, conj_of(b.g())); }
constexpr OpDef conj_physical_row() {
  OpDef row = pointwise_row("conj_physical(Tensor input) -> Tensor", Pointwise::conj_physical, kPromote, kUsual, conj_physical_vjp);
  row.doc = "The complex conjugate, computed at once (torch.conj waits)." EXAMPLE("conj_physical(torch.tensor([1j]))", "tensor([0.-1.j])");
  return row;
}
static const Op conj_physical{conj_physical_row()};

// ---- torch.special's names for functions that live in torch ----

template <const Op& op>
static Tensor same_as(const Tensor& input) { return op(input); }
#define SPECIAL(name, of, result)                                                                                    \
  static const Op special_##name{OpDef{.schema = #name ".special(Tensor input) -> Tensor",                           \
                                       .run = fn<same_as<of>>, .on = kSpecial, .composite = true,                    \
                                       .doc = "The same function as torch." #of "."                                  \
                                              EXAMPLE("special." #name "(torch.tensor([1., 3.]))", result)}};
SPECIAL(exp2, exp2, "tensor([2., 8.])")
SPECIAL(expm1, expm1, "tensor([ 1.7183, 19.0855])")
SPECIAL(log1p, log1p, "tensor([0.6931, 1.3863])")
SPECIAL(erf, erf, "tensor([0.8427, 1.0000])")
SPECIAL(erfc, erfc, "tensor([1.5730e-01, 2.2090e-05])")
SPECIAL(digamma, digamma, "tensor([-0.5772,  0.9228])")
SPECIAL(psi, digamma, "tensor([-0.5772,  0.9228])")
SPECIAL(gammaln, lgamma, "tensor([0.0000, 0.6931])")
#undef SPECIAL
static Tensor run_special_round(const Tensor& input, int64_t decimals) { return round(input, decimals); }
static const Op special_round{OpDef{.schema = "round.special(Tensor input, *, int decimals=0) -> Tensor", .run = fn<run_special_round>, .on = kSpecial, .composite = true, .doc = "The same function as torch.round."
        TABULA_EXAMPLE("torch.special.round(torch.tensor([0.5, 1.5]))", "tensor([0., 2.])")}};
static Tensor run_special_polygamma(int64_t n, const Tensor& input) { return polygamma(n, input); }
static const Op special_polygamma{OpDef{.schema = "polygamma.special(int n, Tensor input) -> Tensor", .run = fn<run_special_polygamma>, .on = kSpecial, .composite = true,
                                        .doc = "The same function as torch.polygamma."
        TABULA_EXAMPLE("torch.special.polygamma(1, torch.tensor([1.]))", "tensor([1.6449])")}};
// Tensor.polygamma(n): the tensor comes first
static void polygamma_method_vjp(Backward& b) { b.set(0, b.g() * polygamma(b.integer(1) + 1, b.in(0))); }
static void run_polygamma_method(const Op& op, const Value* args, Out& out) {
  check(args[1].integer() >= 0, "polygamma(n, x) does not support negative n.");
  run_pointwise(op, args, out);
}
constexpr OpDef polygamma_method_row() {
  OpDef row = pointwise_row("polygamma.method(Tensor input, int n) -> Tensor", Pointwise::polygamma, kFloating, Method | InPlace, polygamma_method_vjp, in(0));
  row.run = boxed(run_polygamma_method);
  row.doc = "The n-th derivative of the digamma function; see torch.polygamma.";
  return row;
}
static const Op polygamma_method{polygamma_method_row()};
static Tensor run_ndtr(const Tensor& input) { return erfc(input * Scalar(-1 / kSqrt2)) * Scalar(0.5); }
static const Op ndtr{OpDef{.schema = "ndtr(Tensor input) -> Tensor", .run = fn<run_ndtr>, .on = kSpecial, .composite = true,
                           .doc = "The standard normal distribution function." EXAMPLE("special.ndtr(torch.tensor([0.]))", "tensor([0.5000])")}};
#undef EXAMPLE

}  // namespace tabula
