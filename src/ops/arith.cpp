#include "ops/arith.h"

#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/pointwise.h"
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

static void add_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, b.arg(2).scalar().equals(1) ? b.g() : b.g() * conj_of(b.arg(2).scalar()));
}
const Op add{pointwise_row("add(Operand input, Operand other, *, Scalar alpha=1) -> Tensor", Pointwise::add, kPromote, Pointwise_, add_vjp)};

static void sub_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, b.arg(2).scalar().equals(1) ? neg(b.g()) : b.g() * -conj_of(b.arg(2).scalar()));
}
const Op sub{pointwise_row("sub(Operand input, Operand other, *, Scalar alpha=1) -> Tensor", Pointwise::sub, kNoBool, Pointwise_, sub_vjp)};
static const Op subtract{pointwise_row("subtract(Operand input, Operand other, *, Scalar alpha=1) -> Tensor", Pointwise::sub, kNoBool, Pointwise_, sub_vjp)};

static void rsub_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.arg(2).scalar().equals(1) ? neg(b.g()) : b.g() * -conj_of(b.arg(2).scalar()));
  if (b.needs(1)) b.set(1, b.g());
}
const Op rsub{pointwise_row("rsub(Operand input, Operand other, *, Scalar alpha=1) -> Tensor", Pointwise::rsub, kNoBool, Both, rsub_vjp)};

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
const Op mul{mul_row("mul(Operand input, Operand other) -> Tensor")};
static const Op multiply{mul_row("multiply(Operand input, Operand other) -> Tensor")};

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
const Op div{div_row("div(Operand input, Operand other) -> Tensor")};
static const Op divide{div_row("divide(Operand input, Operand other) -> Tensor")};
static const Op true_divide{div_row("true_divide(Operand input, Operand other) -> Tensor")};

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
const Op div_mode{OpDef{.schema = "div.mode(Operand input, Operand other, *, str? rounding_mode) -> Tensor", .run = boxed(run_div_mode), .on = Pointwise_, .vjp = div_mode_vjp, .save = in(0) | in(1)}};
static const Op divide_mode{OpDef{.schema = "divide.mode(Operand input, Operand other, *, str? rounding_mode) -> Tensor", .run = boxed(run_div_mode), .on = Pointwise_, .vjp = div_mode_vjp, .save = in(0) | in(1), .node = "DivBackward0"}};

const Op floor_divide{pointwise_row("floor_divide(Operand input, Operand other) -> Tensor", Pointwise::floor_divide, kPromote, Pointwise_)};

static void remainder_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, neg(b.g()) * div_mode(b.operand(0), b.operand(1), "floor"));
}
const Op remainder{pointwise_row("remainder(Operand input, Operand other) -> Tensor", Pointwise::remainder, kPromote, Pointwise_, remainder_vjp, in(0) | in(1))};
static void fmod_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, neg(b.g()) * div_mode(b.operand(0), b.operand(1), "trunc"));
}
const Op fmod{pointwise_row("fmod(Operand input, Operand other) -> Tensor", Pointwise::fmod, kPromote, Pointwise_, fmod_vjp, in(0) | in(1))};

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
        const Scalar less = e.is_complex() ? Scalar(e.to_complex() - 1.0) : e.is_integral() ? Scalar(e.to_int() - 1) : Scalar(e.to_double() - 1);
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

static void run_pow(const Op& op, const Value* args, Out& out) {
  // integers to negative integer powers have no integer result
  if (args[1].is_scalar() && args[1].scalar().is_integral() && args[1].scalar().to_int() < 0 && args[0].is_tensor())
    check(!is_integral_or_bool(args[0].tensor().dtype()), "Integers to negative integer powers are not allowed.");
  run_pointwise(op, args, out);
}
constexpr OpDef pow_row() {
  OpDef row = pointwise_row("pow(Operand input, Operand exponent) -> Tensor", Pointwise::pow, kPromote, Pointwise_, pow_vjp, in(0) | in(1) | out());
  row.run = boxed(run_pow);
  return row;
}
const Op pow{pow_row()};

// ---- two-argument functions ----

static void atan2_vjp(Backward& b) {
  const Tensor &y = b.in(0), &x = b.in(1);
  const Tensor scale = b.g() / (y * y + x * x);
  if (b.needs(0)) b.set(0, scale * x);
  if (b.needs(1)) b.set(1, scale * neg(y));
}
const Op atan2{pointwise_row("atan2(Tensor input, Tensor other) -> Tensor", Pointwise::atan2, kFloating, Pointwise_, atan2_vjp, in(0) | in(1))};
static const Op arctan2{pointwise_row("arctan2(Tensor input, Tensor other) -> Tensor", Pointwise::atan2, kFloating, Pointwise_, atan2_vjp, in(0) | in(1))};

// Where both are equal, each gets half.
static void extremum_vjp(Backward& b, const Op& first_wins) {
  const Tensor &x = b.in(0), &y = b.in(1);
  const Tensor half = b.g() / Scalar(2);
  const Tensor tie = eq(x, y);
  if (b.needs(0)) b.set(0, where(tie, half, where(first_wins(y, x), b.g(), Scalar(0.0))));
  if (b.needs(1)) b.set(1, where(tie, half, where(first_wins(x, y), b.g(), Scalar(0.0))));
}
static void maximum_vjp(Backward& b) {
  const Tensor &x = b.in(0), &y = b.in(1);
  const Tensor tie = eq(x, y), half = b.g() / Scalar(2);
  if (b.needs(0)) b.set(0, where(tie, half, where(lt(x, y), Scalar(0.0), b.g())));
  if (b.needs(1)) b.set(1, where(tie, half, where(gt(x, y), Scalar(0.0), b.g())));
}
static void minimum_vjp(Backward& b) {
  const Tensor &x = b.in(0), &y = b.in(1);
  const Tensor tie = eq(x, y), half = b.g() / Scalar(2);
  if (b.needs(0)) b.set(0, where(tie, half, where(gt(x, y), Scalar(0.0), b.g())));
  if (b.needs(1)) b.set(1, where(tie, half, where(lt(x, y), Scalar(0.0), b.g())));
}
const Op maximum{pointwise_row("maximum(Tensor input, Tensor other) -> Tensor", Pointwise::maximum, kPromote, Usual, maximum_vjp, in(0) | in(1))};
const Op minimum{pointwise_row("minimum(Tensor input, Tensor other) -> Tensor", Pointwise::minimum, kPromote, Usual, minimum_vjp, in(0) | in(1))};

// fmax and fmin ignore NaN: the gradient goes to the operand that was returned
static void fmax_vjp(Backward& b) {
  const Tensor first = logical_or(ge(b.in(0), b.in(1)), isnan(b.in(1)));
  if (b.needs(0)) b.set(0, where(first, b.g(), Scalar(0.0)));
  if (b.needs(1)) b.set(1, where(first, Scalar(0.0), b.g()));
}
static void fmin_vjp(Backward& b) {
  const Tensor first = logical_or(le(b.in(0), b.in(1)), isnan(b.in(1)));
  if (b.needs(0)) b.set(0, where(first, b.g(), Scalar(0.0)));
  if (b.needs(1)) b.set(1, where(first, Scalar(0.0), b.g()));
}
const Op fmax{pointwise_row("fmax(Tensor input, Tensor other) -> Tensor", Pointwise::fmax, kPromote, Usual, fmax_vjp, in(0) | in(1))};
const Op fmin{pointwise_row("fmin(Tensor input, Tensor other) -> Tensor", Pointwise::fmin, kPromote, Usual, fmin_vjp, in(0) | in(1))};

static void copysign_vjp(Backward& b) {
  if (b.needs(0)) {
    const Tensor ratio = b.out() / b.in(0);
    b.set(0, b.g() * where(eq(b.in(0), 0), Scalar(0.0), ratio));
  }
  if (b.needs(1)) b.set(1, zeros_like_raw(b.g()));
}
const Op copysign{pointwise_row("copysign(Tensor input, Operand other) -> Tensor", Pointwise::copysign, kFloating, Pointwise_, copysign_vjp, in(0) | out())};

static void hypot_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g() * (b.in(0) / b.out()));
  if (b.needs(1)) b.set(1, b.g() * (b.in(1) / b.out()));
}
const Op hypot{pointwise_row("hypot(Tensor input, Tensor other) -> Tensor", Pointwise::hypot, kPromote, Pointwise_, hypot_vjp, in(0) | in(1) | out())};
const Op nextafter{pointwise_row("nextafter(Tensor input, Tensor other) -> Tensor", Pointwise::nextafter, kPromote, Pointwise_)};

static void logaddexp_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g() * conj_of(exp(b.in(0) - b.out())));
  if (b.needs(1)) b.set(1, b.g() * conj_of(exp(b.in(1) - b.out())));
}
const Op logaddexp{pointwise_row("logaddexp(Tensor input, Tensor other) -> Tensor", Pointwise::logaddexp, kFloating, Usual, logaddexp_vjp, in(0) | in(1) | out())};
static void logaddexp2_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g() * exp2(b.in(0) - b.out()));
  if (b.needs(1)) b.set(1, b.g() * exp2(b.in(1) - b.out()));
}
const Op logaddexp2{pointwise_row("logaddexp2(Tensor input, Tensor other) -> Tensor", Pointwise::logaddexp2, kFloating, Usual, logaddexp2_vjp, in(0) | in(1) | out())};

static void xlogy_vjp(Backward& b) {
  if (b.needs(0)) {
    Tensor keep;
    const Operand y = b.operand(1);
    const Tensor log_y = y.is_tensor() ? log(y.tensor()) : Tensor::wrapped(Scalar(std::log(y.scalar().to_double())));
    const Tensor flat = logical_and(eq(b.in(0), 0), le(y, 0));
    b.set(0, b.g() * where(flat, Scalar(0.0), log_y));
  }
  if (b.needs(1)) b.set(1, b.g() * div(b.operand(0), b.in(1)));
}
const Op xlogy{pointwise_row("xlogy(Operand input, Operand other) -> Tensor", Pointwise::xlogy, kFloating, Pointwise_ | InPlaceFunction, xlogy_vjp, in(0) | in(1))};
static const Op special_xlogy{pointwise_row("xlogy.special(Operand input, Operand other) -> Tensor", Pointwise::xlogy, kFloating, Special | OutForm, xlogy_vjp, in(0) | in(1))};
static void heaviside_vjp(Backward& b) {
  if (b.needs(1)) b.set(1, b.g() * eq(b.in(0), 0));
}
const Op heaviside{pointwise_row("heaviside(Tensor input, Tensor values) -> Tensor", Pointwise::heaviside, kPromote, Pointwise_, heaviside_vjp, in(0))};
const Op gcd{pointwise_row("gcd(Tensor input, Tensor other) -> Tensor", Pointwise::gcd, kPromoteIntegers, Pointwise_ | InPlaceFunction)};
const Op lcm{pointwise_row("lcm(Tensor input, Tensor other) -> Tensor", Pointwise::lcm, kPromoteIntegers, Pointwise_ | InPlaceFunction)};

// ---- three arguments ----

static void lerp_vjp(Backward& b) {
  const Operand w = b.operand(2);
  Tensor keep, one_minus;
  if (b.needs(0)) b.set(0, w.is_tensor() ? b.g() * conj_of(Scalar(1) - w.tensor()) : b.g() * conj_of(w.scalar().is_complex() ? Scalar(1.0 - w.scalar().to_complex()) : Scalar(1.0 - w.scalar().to_double())));
  if (b.needs(1)) b.set(1, mul(b.g(), conj_of(w, keep)));
  if (b.needs(2)) b.set(2, b.g() * conj_of(b.in(1) - b.in(0)));
}
const Op lerp{pointwise_row("lerp(Tensor input, Tensor end, Operand weight) -> Tensor", Pointwise::lerp, kPromote, Pointwise_, lerp_vjp, in(0) | in(1) | in(2))};

static void addcmul_vjp(Backward& b) {
  const Scalar value = conj_of(b.arg(3).scalar());
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, b.g() * conj_of(b.in(2)) * value);
  if (b.needs(2)) b.set(2, b.g() * conj_of(b.in(1)) * value);
}
const Op addcmul{pointwise_row("addcmul(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", Pointwise::addcmul, kPromote, Pointwise_, addcmul_vjp, in(1) | in(2))};
static void addcdiv_vjp(Backward& b) {
  const Scalar value = conj_of(b.arg(3).scalar());
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, b.g() / conj_of(b.in(2)) * value);
  if (b.needs(2)) b.set(2, neg(b.g()) * conj_of(b.in(1) / (b.in(2) * b.in(2))) * value);
}
static void run_addcdiv(const Op& op, const Value* args, Out& out) {
  if (is_integral_or_bool(args[1].tensor().dtype()) && is_integral_or_bool(args[2].tensor().dtype()))
    fail(ErrorKind::Runtime, "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true division of tensor1 and tensor2. "
         "The historic addcdiv behavior can be implemented as (input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as "
         "(input + value * tensor1 / tensor2) for float inputs. The future addcdiv behavior is just the latter implementation: (input + value * tensor1 / tensor2), for all dtypes.");
  run_pointwise(op, args, out);
}
constexpr OpDef addcdiv_row() {
  OpDef row = pointwise_row("addcdiv(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", Pointwise::addcdiv, kPromote, Pointwise_, addcdiv_vjp, in(1) | in(2));
  row.run = boxed(run_addcdiv);
  return row;
}
const Op addcdiv{addcdiv_row()};

static void where_vjp(Backward& b) {
  if (b.needs(1)) b.set(1, where(b.in(0), b.g(), Scalar(0.0)));
  if (b.needs(2)) b.set(2, where(b.in(0), Scalar(0.0), b.g()));
}
static void run_where(const Op& op, const Value* args, Out& out) {
  const DType c = args[0].tensor().dtype();
  check(c == DType::Bool || c == DType::UInt8, "where expected condition to be a boolean tensor, but got a tensor with dtype ", dtype_title(c));
  run_pointwise(op, args, out);
}
constexpr OpDef where_row(const char* schema, uint16_t on) {
  OpDef row = pointwise_row(schema, Pointwise::where, kPromote, on, where_vjp, in(0));
  row.run = boxed(run_where);
  return row;
}
const Op where{where_row("where(Tensor condition, Operand input, Operand other) -> Tensor", Function | OutForm)};

// ---- bits ----

const Op bitwise_and{pointwise_row("bitwise_and(Operand input, Operand other) -> Tensor", Pointwise::bitwise_and, kPromoteIntegers, Pointwise_)};
const Op bitwise_or{pointwise_row("bitwise_or(Operand input, Operand other) -> Tensor", Pointwise::bitwise_or, kPromoteIntegers, Pointwise_)};
const Op bitwise_xor{pointwise_row("bitwise_xor(Operand input, Operand other) -> Tensor", Pointwise::bitwise_xor, kPromoteIntegers, Pointwise_)};
const Op bitwise_left_shift{pointwise_row("bitwise_left_shift(Operand input, Operand other) -> Tensor", Pointwise::left_shift, kPromoteIntegers, Pointwise_)};
const Op bitwise_right_shift{pointwise_row("bitwise_right_shift(Operand input, Operand other) -> Tensor", Pointwise::right_shift, kPromoteIntegers, Pointwise_)};
const Op bitwise_not{pointwise_row("bitwise_not(Tensor input) -> Tensor", Pointwise::bitwise_not, kPromoteIntegers, Pointwise_)};

// ---- complex numbers from parts ----

static void complex_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, real(b.g()));
  if (b.needs(1)) b.set(1, imag(b.g()));
}
static void check_parts(const Op& op, const Value* args) {
  const DType a = args[0].tensor().dtype(), c = args[1].tensor().dtype();
  check(is_floating(a) && is_floating(c) && a != DType::BFloat16, "Expected both inputs to be Half, Float or Double tensors but got ", dtype_title(a), " and ", dtype_title(c));
  check(a == c, "Expected object of scalar type ", dtype_title(a), " but got scalar type ", dtype_title(c), " for second argument");
  (void)op;
}
static void run_complex(const Op& op, const Value* args, Out& out) {
  check_parts(op, args);
  run_pointwise(op, args, out);
}
constexpr OpDef parts_row(const char* schema, Pointwise kernel, Vjp vjp, uint32_t save) {
  OpDef row = pointwise_row(schema, kernel, kPromote, Function | OutForm, vjp, save);
  row.run = boxed(run_complex);
  return row;
}
const Op complex{parts_row("complex(Tensor real, Tensor imag) -> Tensor", Pointwise::complex, complex_vjp, 0)};

// z = r e^{i t}: dr = Re(conj(g) e^{it}), dt = Re(conj(g) i z)
static void polar_vjp(Backward& b) {
  const Tensor unit = sgn(b.out());
  if (b.needs(0)) b.set(0, real(b.g() * conj(unit)));
  if (b.needs(1)) b.set(1, imag(b.g() * conj(b.out())));
}
const Op polar{parts_row("polar(Tensor abs, Tensor angle) -> Tensor", Pointwise::polar, polar_vjp, out())};

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
const Op neg{neg_row("neg(Tensor input) -> Tensor")};
static const Op negative{neg_row("negative(Tensor input) -> Tensor")};

static Tensor positive_of(const Tensor& x) {
  check(x.dtype() != DType::Bool, "The `+` operator, on a bool tensor is not supported.");
  return x;
}
const Op positive{OpDef{.schema = "positive(Tensor input) -> Tensor", .run = fn<positive_of>, .on = Both, .composite = true}};

// abs has the subgradient 0 at 0, by way of sgn
static void abs_vjp(Backward& b) { b.set(0, b.g() * sgn(b.in(0))); }
const Op abs{pointwise_row("abs(Tensor input) -> Tensor", Pointwise::abs, kPromote, Pointwise_ | InPlaceFunction, abs_vjp, in(0))};
static const Op absolute{pointwise_row("absolute(Tensor input) -> Tensor", Pointwise::abs, kPromote, Pointwise_, abs_vjp, in(0))};
static void zero_vjp(Backward& b) { b.set(0, zeros_like_raw(b.g())); }
const Op sign{pointwise_row("sign(Tensor input) -> Tensor", Pointwise::sign, kPromote, Pointwise_, zero_vjp)};
// sgn(z) = z / |z|: (g |z|^2 - z Re(conj(z) g)) / |z|^3
static void sgn_vjp(Backward& b) {
  if (!is_complex(b.in(0).dtype())) return b.set(0, zeros_like_raw(b.g()));
  const Tensor& z = b.in(0);
  const Tensor r = abs(z);
  const Tensor slope = (b.g() - b.out() * real(conj(b.out()) * b.g())) / r;
  b.set(0, where(eq(r, 0), Scalar(0.0), slope));
}
const Op sgn{pointwise_row("sgn(Tensor input) -> Tensor", Pointwise::sgn, kPromote, Pointwise_, sgn_vjp, in(0) | out())};
static void reciprocal_vjp(Backward& b) { b.set(0, neg(b.g()) * conj_of(b.out() * b.out())); }
const Op reciprocal{pointwise_row("reciprocal(Tensor input) -> Tensor", Pointwise::reciprocal, kFloating, Pointwise_ | InPlaceFunction, reciprocal_vjp, out())};
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
const Op square{square_row()};
static void sqrt_vjp(Backward& b) { b.set(0, b.g() / conj_of(b.out() * Scalar(2))); }
const Op sqrt{pointwise_row("sqrt(Tensor input) -> Tensor", Pointwise::sqrt, kFloating, Pointwise_ | InPlaceFunction, sqrt_vjp, out())};
static void rsqrt_vjp(Backward& b) { b.set(0, b.g() * conj_of(pow(b.out(), 3) * Scalar(-0.5))); }
const Op rsqrt{pointwise_row("rsqrt(Tensor input) -> Tensor", Pointwise::rsqrt, kFloating, Pointwise_ | InPlaceFunction, rsqrt_vjp, out())};

}  // namespace tabula
