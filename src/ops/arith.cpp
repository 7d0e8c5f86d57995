#include "ops/arith.h"

#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/pointwise.h"
#include "ops/promote.h"
#include "ops/scalar_range.h"
#include "ops/transcendental.h"
#include "ops/view.h"

namespace tabula {

Tensor conj_of(const Tensor& t) { return is_complex(t.dtype()) ? conj(t) : t; }
Scalar conj_of(const Scalar& s) { return s.is_complex() ? Scalar(std::conj(s.to_complex())) : s; }
Operand conj_of(const Operand& o, Tensor& keep) {
  if (o.is_tensor()) {
    keep = conj_of(o.tensor());
    return Operand(keep);
  }
  return Operand(conj_of(o.scalar()));
}
Tensor real_part(const Tensor& t) { return is_complex(t.dtype()) ? real(t) : t; }

// ---- add, sub, mul, div ----

[[gnu::cold, gnu::noinline]] static void check_alpha(const Value* args, const Scalar& alpha) {
  ResultType type;
  type.add(Operand(args[0]));
  type.add(Operand(args[1]));
  const DType common = type.get();
  check(!alpha.is_bool() || common == DType::Bool, "Boolean alpha only supported for Boolean results.");
  check(is_floating(common) || is_complex(common) || alpha.is_integral(),
        "For integral input tensors, argument alpha must not be a floating point number.");
  check(is_complex(common) || !alpha.is_complex(), "For non-complex input tensors, argument alpha must not be a complex number.");
}
static void run_scaled(const Op& op, const Value* args, Out& out) {
  const Scalar& alpha = args[2].scalar();
  if (alpha.kind() != Scalar::Kind::Int) [[unlikely]]
    check_alpha(args, alpha);
  run_pointwise(op, args, out);
}
constexpr OpDef scaled_row(const char* schema, Pointwise kernel, Rule rule, uint16_t on, Vjp vjp) {
  OpDef row = pointwise_row(schema, kernel, rule, on, vjp);
  row.run = boxed(run_scaled);
  return row;
}

static void add_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, b.arg(2).scalar().equals(1) ? b.g() : b.g() * conj_of(b.arg(2).scalar()));
}
const Op add{documented(scaled_row("add(Tensor input, Operand other, *, Scalar alpha=1) -> Tensor", Pointwise::add, kPromote, Pointwise_, add_vjp),
    "input + alpha * other, element by element. Operands broadcast against each other, and the result has their "
    "common dtype; for bool, + means or."
    TABULA_EXAMPLE("torch.add(torch.tensor([1, 2]), 10, alpha=2)", "tensor([21, 22])"))};

static void sub_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, b.arg(2).scalar().equals(1) ? neg(b.g()) : b.g() * -conj_of(b.arg(2).scalar()));
}
const Op sub{documented(scaled_row("sub(Tensor input, Operand other, *, Scalar alpha=1) -> Tensor", Pointwise::sub, kNoBool, Pointwise_, sub_vjp),
    "input - alpha * other, element by element, with broadcasting and type promotion. A RuntimeError for bool "
    "operands."
    TABULA_EXAMPLE("torch.sub(torch.tensor([5, 6]), torch.tensor([1, 2]))", "tensor([4, 4])"))};
static const Op subtract{documented(scaled_row("subtract(Tensor input, Operand other, *, Scalar alpha=1) -> Tensor", Pointwise::sub, kNoBool, Pointwise_, sub_vjp),
    "Another name of torch.sub."
    TABULA_EXAMPLE("torch.subtract(torch.tensor([5, 6]), 1)", "tensor([4, 5])"))};

static void rsub_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.arg(2).scalar().equals(1) ? neg(b.g()) : b.g() * -conj_of(b.arg(2).scalar()));
  if (b.needs(1)) b.set(1, b.g());
}
const Op rsub{documented(scaled_row("rsub(Tensor input, Operand other, *, Scalar alpha=1) -> Tensor", Pointwise::rsub, kNoBool, Both, rsub_vjp),
    "other - alpha * input: subtraction with its operands the other way round."
    TABULA_EXAMPLE("torch.rsub(torch.tensor([1, 2]), 10)", "tensor([9, 8])"))};

static void mul_vjp(Backward& b) {
  Tensor keep;
  if (b.needs(0)) b.set(0, mul(b.g(), conj_of(b.operand(1), keep)));
  if (b.needs(1)) b.set(1, mul(b.g(), conj_of(b.operand(0), keep)));
}
constexpr OpDef mul_row(const char* schema) {
  OpDef row = pointwise_row(schema, Pointwise::mul, kPromote, Pointwise_, mul_vjp, in(0) | in(1));
  row.cross_save = true;
  row.node = "MulBackward0";
  return row;
}
const Op mul{documented(mul_row("mul(Tensor input, Operand other) -> Tensor"),
    "input * other, element by element, with broadcasting and type promotion; for bool operands the logical and."
    TABULA_EXAMPLE("torch.mul(torch.tensor([1, 2]), torch.tensor([[3], [4]]))",
                   "tensor([[3, 6],\n"
                   "            [4, 8]])"))};
static const Op multiply{documented(mul_row("multiply(Tensor input, Operand other) -> Tensor"),
    "Another name of torch.mul."
    TABULA_EXAMPLE("torch.multiply(torch.tensor([1, 2]), 3)", "tensor([3, 6])"))};

// g / b, and for the divisor -g * (a / b) / b
static void div_vjp(Backward& b) {
  Tensor keep;
  const Operand divisor = conj_of(b.operand(1), keep);
  if (b.needs(0)) b.set(0, div(b.g(), divisor));
  if (b.needs(1)) {
    Tensor other;
    const Tensor ratio = div(Value(b.operand(0)), b.in(1));
    b.set(1, neg(b.g()) * conj_of(ratio) / conj_of(b.in(1)));
  }
}
constexpr OpDef div_row(const char* schema) {
  OpDef row = pointwise_row(schema, Pointwise::div, kFloating, Pointwise_, div_vjp, in(0) | in(1));
  row.node = "DivBackward0";
  return row;
}
const Op div{documented(div_row("div(Tensor input, Operand other) -> Tensor"),
    "input / other, element by element, with broadcasting. Integers are first converted to the default floating "
    "dtype; with rounding_mode 'trunc' (towards zero) or 'floor' they stay integers."
    TABULA_EXAMPLE("torch.div(torch.tensor([7, -7]), 2)", "tensor([ 3.5000, -3.5000])")
    TABULA_STEP("torch.div(torch.tensor([7, -7]), 2, rounding_mode='floor')", "tensor([ 3, -4])"))};
static const Op divide{documented(div_row("divide(Tensor input, Operand other) -> Tensor"),
    "Another name of torch.div."
    TABULA_EXAMPLE("torch.divide(torch.tensor([7., -7.]), 2)", "tensor([ 3.5000, -3.5000])"))};
static const Op true_divide{documented(div_row("true_divide(Tensor input, Operand other) -> Tensor"),
    "torch.div without rounding_mode."
    TABULA_EXAMPLE("torch.true_divide(torch.tensor([7, -7]), 2)", "tensor([ 3.5000, -3.5000])"))};

static void run_div_mode(const Op& op, const Value* args, Out& out) {
  const std::string_view mode = args[2].is_none() ? "" : args[2].str();
  check(args[2].is_none() || mode == "trunc" || mode == "floor", "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '", mode, "'");
  const Operand operands[2] = {Operand(args[0]), Operand(args[1])};
  (void)op;
  out.tensors[0] = mode.empty() ? pointwise_raw(Pointwise::div, operands, {}, kFloating)
                                : pointwise_raw(mode == "trunc" ? Pointwise::div_trunc : Pointwise::floor_divide, operands);
  out.count = 1;
}
static void div_mode_vjp(Backward& b) {
  if (!b.has(2)) div_vjp(b);  // rounded quotients are flat: no gradient
}
const Op div_mode{OpDef{.schema = "div.mode(Tensor input, Operand other, *, str? rounding_mode) -> Tensor", .run = boxed(run_div_mode), .on = Pointwise_, .vjp = div_mode_vjp, .save = in(0) | in(1), .batch = batch::aligned}};
static const Op divide_mode{OpDef{.schema = "divide.mode(Tensor input, Operand other, *, str? rounding_mode) -> Tensor", .run = boxed(run_div_mode), .on = Pointwise_, .vjp = div_mode_vjp, .save = in(0) | in(1), .node = "DivBackward0", .batch = batch::aligned}};

static void floor_divide_vjp(Backward&) { fail(ErrorKind::Runtime, "derivative for aten::floor_divide is not implemented"); }
const Op floor_divide{documented(pointwise_row("floor_divide(Tensor input, Operand other) -> Tensor", Pointwise::floor_divide, kPromote, Pointwise_, floor_divide_vjp),
    "The quotient rounded down to an integer, in the common dtype of the operands. A RuntimeError where an "
    "integer is divided by zero."
    TABULA_EXAMPLE("torch.floor_divide(torch.tensor([7, -7]), 2)", "tensor([ 3, -4])"))};

static void remainder_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, neg(b.g()) * div_mode(b.operand(0), b.operand(1), "floor"));
}
const Op remainder{documented(pointwise_row("remainder(Operand input, Operand other) -> Tensor", Pointwise::remainder, kPromote, Pointwise_, remainder_vjp, in(0) | in(1)),
    "What is left after division with the quotient rounded down: the sign is the divisor's, as with Python's %."
    TABULA_EXAMPLE("torch.remainder(torch.tensor([7, -7]), 3)", "tensor([1, 2])"))};
static void fmod_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, neg(b.g()) * div_mode(b.operand(0), b.operand(1), "trunc"));
}
const Op fmod{documented(pointwise_row("fmod(Tensor input, Operand other) -> Tensor", Pointwise::fmod, kPromote, Pointwise_, fmod_vjp, in(0) | in(1)),
    "What is left after division with the quotient rounded towards zero: the sign is the dividend's, as with C's "
    "fmod."
    TABULA_EXAMPLE("torch.fmod(torch.tensor([7, -7]), 3)", "tensor([ 1, -1])"))};

// ---- powers ----

// d/dx x^y = y x^(y-1), zero where y is 0; d/dy x^y = x^y log x, zero where x is 0 and y is not negative
static void pow_vjp(Backward& b) {
  const Operand base = b.operand(0), exponent = b.operand(1);
  if (b.needs(0)) {
    if (!exponent.is_tensor()) {
      const Scalar e = exponent.scalar();
      if (e.equals(0)) {
        b.set(0, zeros_like_raw(b.g()));
      } else {
        const Scalar less = e.is_complex() ? Scalar(e.to_complex() - 1.0) : e.is_integral() ? Scalar(int64_t(uint64_t(e.to_int()) - 1)) : Scalar(e.to_double() - 1);
        b.set(0, b.g() * conj_of(pow(b.in(0), less) * e));
      }
    } else {
      const Tensor& e = exponent.tensor();
      const Tensor slope = where(eq(e, 0), Scalar(0.0), e * pow(b.in(0), e - Scalar(1)));
      b.set(0, b.g() * conj_of(slope));
    }
  }
  if (b.needs(1)) {
    const Tensor& result = b.out();
    if (base.is_tensor()) {
      const Tensor& x = b.in(0);
      const Tensor flat = is_complex(b.in(1).dtype()) ? logical_and(eq(x, 0), ge(real(b.in(1)), 0)) : logical_and(eq(x, 0), ge(b.in(1), 0));
      b.set(1, b.g() * where(flat, Scalar(0.0), conj_of(result * log(x))));
    } else {
      const Scalar s = base.scalar();
      const Scalar log_s = s.is_complex() ? Scalar(std::log(s.to_complex())) : s.to_double() < 0 && is_complex(result.dtype()) ? Scalar(std::log(c128(s.to_double()))) : Scalar(std::log(s.to_double()));
      if (s.equals(0)) {
        const Tensor flat = is_complex(b.in(1).dtype()) ? ge(real(b.in(1)), 0) : ge(b.in(1), 0);
        b.set(1, b.g() * where(flat, Scalar(0.0), conj_of(result * log_s)));
      } else {
        b.set(1, b.g() * conj_of(result * log_s));
      }
    }
  }
}

static const Op cubed{pointwise_row("_cube(Tensor input) -> Tensor", Pointwise::cube, kPromote, Internal)};
static const Op inverse_squared{pointwise_row("_inverse_square(Tensor input) -> Tensor", Pointwise::inverse_square, kPromote, Internal)};
static const Op unchanged{pointwise_row("_unchanged(Tensor input) -> Tensor", Pointwise::positive, kPromote, Internal)};
// The exponents that PyTorch computes by simpler means, with the values of those for zeros and infinities; null for others.
static const Op* simple_power(const Value* args) {
  if (!args[0].is_tensor() || !args[1].is_scalar()) return nullptr;
  const DType dtype = args[0].tensor().dtype();
  const Scalar& e = args[1].scalar();
  if (is_floating(dtype) ? e.is_complex() : !is_integral(dtype) || e.kind() != Scalar::Kind::Int) return nullptr;
  if (e.equals(1)) return &unchanged;
  if (e.equals(2)) return &square;
  if (e.equals(3)) return &cubed;
  if (!is_floating(dtype)) return nullptr;
  if (dtype != DType::Float16 && e.equals(0.5)) return &sqrt;
  if (dtype != DType::Float16 && e.equals(-0.5)) return &rsqrt;
  if (e.equals(-1)) return &reciprocal;
  return e.equals(-2) ? &inverse_squared : nullptr;
}
static void run_pow(const Op& op, const Value* args, Out& out) {
  // integers to negative integer powers have no integer result
  if (args[1].is_scalar() && args[1].scalar().is_integral() && args[1].scalar().to_int() < 0 && args[0].is_tensor())
    check(!is_integral_or_bool(args[0].tensor().dtype()), "Integers to negative integer powers are not allowed.");
  const Op* const simple = simple_power(args);
  run_pointwise(simple ? *simple : op, args, out);
}
constexpr OpDef pow_row() {
  OpDef row = pointwise_row("pow(Operand input, Operand exponent) -> Tensor", Pointwise::pow, kPromote, Pointwise_, pow_vjp, in(0) | in(1) | out());
  row.run = boxed(run_pow);
  return row;
}
const Op pow{documented(pow_row(),
    "input to the power exponent; either may be a number. A RuntimeError for integers to a negative integer "
    "power, which have no integer result."
    TABULA_EXAMPLE("torch.pow(torch.tensor([1., 2., 3.]), 2)", "tensor([1., 4., 9.])")
    TABULA_STEP("torch.pow(2, torch.tensor([1, 2, 3]))", "tensor([2, 4, 8])"))};

// ---- one argument ----

static void neg_vjp(Backward& b) { b.set(0, neg(b.g())); }
static void run_neg(const Op& op, const Value* args, Out& out) {
  check(args[0].tensor().dtype() != DType::Bool,
        "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.");
  run_pointwise(op, args, out);
}
constexpr OpDef neg_row(const char* schema) {
  OpDef row = pointwise_row(schema, Pointwise::neg, kPromote, Pointwise_ | InPlaceFunction, neg_vjp);
  row.run = boxed(run_neg);
  row.node = "NegBackward0";
  return row;
}
const Op neg{documented(neg_row("neg(Tensor input) -> Tensor"),
    "-input. A RuntimeError for bool."
    TABULA_EXAMPLE("torch.neg(torch.tensor([1., -2.]))", "tensor([-1.,  2.])"))};
static const Op negative{documented(neg_row("negative(Tensor input) -> Tensor"),
    "Another name of torch.neg."
    TABULA_EXAMPLE("torch.negative(torch.tensor([1., -2.]))", "tensor([-1.,  2.])"))};

static Tensor positive_of(const Tensor& x) {
  check(x.dtype() != DType::Bool, "The `+` operator, on a bool tensor is not supported.");
  return x;
}
const Op positive{OpDef{.schema = "positive(Tensor input) -> Tensor", .run = fn<positive_of>, .on = Both, .composite = true,
    .doc =
        "The input itself, as with the unary +. A RuntimeError for bool."
        TABULA_EXAMPLE("torch.positive(torch.tensor([1., -2.]))", "tensor([ 1., -2.])")}};

// abs has the subgradient 0 at 0, by way of sgn
static void abs_vjp(Backward& b) { b.set(0, b.g() * sgn(b.in(0))); }
const Op abs{documented(pointwise_row("abs(Tensor input) -> Tensor", Pointwise::abs, kPromote, Pointwise_ | InPlaceFunction, abs_vjp, in(0)),
    "The absolute value; of complex numbers a real result. The derivative at 0 is 0."
    TABULA_EXAMPLE("torch.abs(torch.tensor([-1., 2.]))", "tensor([1., 2.])")
    TABULA_STEP("torch.abs(torch.tensor([3 + 4j]))", "tensor([5.])"))};
static const Op absolute{documented(pointwise_row("absolute(Tensor input) -> Tensor", Pointwise::abs, kPromote, Pointwise_, abs_vjp, in(0)),
    "Another name of torch.abs."
    TABULA_EXAMPLE("torch.absolute(torch.tensor([-1, 2]))", "tensor([1, 2])"))};
static void zero_vjp(Backward& b) { b.set(0, zeros_like_raw(b.g())); }
const Op sign{documented(pointwise_row("sign(Tensor input) -> Tensor", Pointwise::sign, kPromote, Pointwise_, zero_vjp),
    "-1, 0 or 1 by the sign of each real element, in the dtype of the input."
    TABULA_EXAMPLE("torch.sign(torch.tensor([-3., 0., 5.]))", "tensor([-1.,  0.,  1.])"))};
// sgn(z) = z / |z|: (g |z|^2 - z Re(conj(z) g)) / |z|^3
static void sgn_vjp(Backward& b) {
  if (!is_complex(b.in(0).dtype())) return b.set(0, zeros_like_raw(b.g()));
  const Tensor& z = b.in(0);
  const Tensor r = abs(z);
  const Tensor flat = eq(r, 0), across = b.g() - b.out() * real(conj(b.out()) * b.g());
  b.set(0, where(flat, Scalar(0.0), across) / where(flat, Scalar(1.0), r));
}
const Op sgn{documented(pointwise_row("sgn(Tensor input) -> Tensor", Pointwise::sgn, kPromote, Pointwise_, sgn_vjp, in(0) | out()),
    "z / |z|, and 0 at 0: torch.sign for complex numbers as well."
    TABULA_EXAMPLE("torch.sgn(torch.tensor([3 + 4j]))", "tensor([0.6000+0.8000j])"))};
static void reciprocal_vjp(Backward& b) { b.set(0, neg(b.g()) * conj_of(b.out() * b.out())); }
const Op reciprocal{documented(pointwise_row("reciprocal(Tensor input) -> Tensor", Pointwise::reciprocal, kFloating, Pointwise_ | InPlaceFunction, reciprocal_vjp, out()),
    "1 / input; integers are first converted to the default floating dtype."
    TABULA_EXAMPLE("torch.reciprocal(torch.tensor([2., 4.]))", "tensor([0.5000, 0.2500])"))};
static void square_vjp(Backward& b) { b.set(0, b.g() * conj_of(b.in(0) * Scalar(2.0))); }
static void run_square(const Op& op, const Value* args, Out& out) {
  if (args[0].tensor().dtype() != DType::Bool) return run_pointwise(op, args, out);
  // a power: of bools an int64
  out.tensors[0] = cast_raw(args[0].tensor(), DType::Int64);
  out.count = 1;
}
constexpr OpDef square_row() {
  OpDef row = pointwise_row("square(Tensor input) -> Tensor", Pointwise::square, kPromote, Pointwise_ | InPlaceFunction, square_vjp, in(0));
  row.run = boxed(run_square);
  return row;
}
const Op square{documented(square_row(),
    "input * input."
    TABULA_EXAMPLE("torch.square(torch.tensor([-2., 3.]))", "tensor([4., 9.])"))};
static void sqrt_vjp(Backward& b) { b.set(0, b.g() / conj_of(b.out() * Scalar(2))); }
const Op sqrt{documented(pointwise_row("sqrt(Tensor input) -> Tensor", Pointwise::sqrt, kFloating, Pointwise_ | InPlaceFunction, sqrt_vjp, out()),
    "The square root, NaN for negative real numbers; integers are first converted to the default floating dtype."
    TABULA_EXAMPLE("torch.sqrt(torch.tensor([4., 9.]))", "tensor([2., 3.])"))};
static void rsqrt_vjp(Backward& b) { b.set(0, b.g() * conj_of(pow(b.out(), 3) * Scalar(-0.5))); }
const Op rsqrt{documented(pointwise_row("rsqrt(Tensor input) -> Tensor", Pointwise::rsqrt, kFloating, Pointwise_ | InPlaceFunction, rsqrt_vjp, out()),
    "1 / sqrt(input), infinite at 0."
    TABULA_EXAMPLE("torch.rsqrt(torch.tensor([4., 16.]))", "tensor([0.5000, 0.2500])"))};

}  // namespace tabula
