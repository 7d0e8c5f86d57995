// Functions of two and three operands besides the four arithmetic ones, bits, and complex numbers from their parts.
#include "ops/arith.h"

#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/mask.h"
#include "ops/pointwise.h"
#include "ops/promote.h"
#include "ops/scalar_range.h"
#include "ops/transcendental.h"
#include "ops/view.h"

namespace tabula {

// ---- two-argument functions ----

static void atan2_vjp(Backward& b) {
  const Tensor &y = b.in(0), &x = b.in(1);
  const Tensor scale = reciprocal(y * y + x * x);  // its products are 0, not NaN, where the squares overflow
  if (b.needs(0)) b.set(0, b.g() * (x * scale));
  if (b.needs(1)) b.set(1, b.g() * (neg(y) * scale));
}
const Op atan2{documented(pointwise_row("atan2(Tensor input, Tensor other) -> Tensor", Pointwise::atan2, kFloating, Pointwise_, atan2_vjp, in(0) | in(1)),
    "The angle of the point (x=other, y=input), from -pi to pi: arctan(input / other) in the right quadrant."
    TABULA_EXAMPLE("torch.atan2(torch.tensor([1., -1.]), torch.tensor([1., -1.]))", "tensor([ 0.7854, -2.3562])"))};
static const Op arctan2{documented(pointwise_row("arctan2(Tensor input, Tensor other) -> Tensor", Pointwise::atan2, kFloating, Pointwise_, atan2_vjp, in(0) | in(1)),
    "Another name of torch.atan2."
    TABULA_EXAMPLE("torch.arctan2(torch.tensor([1.]), torch.tensor([0.]))", "tensor([1.5708])"))};

// Where both are equal, each gets half.
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
const Op maximum{documented(pointwise_row("maximum(Tensor input, Tensor other) -> Tensor", Pointwise::maximum, kPromote, Usual, maximum_vjp, in(0) | in(1)),
    "The larger of two elements, with broadcasting; NaN if either is. Where both are equal, each gets half of the "
    "gradient. Real dtypes only."
    TABULA_EXAMPLE("torch.maximum(torch.tensor([1, 5]), torch.tensor([3, 4]))", "tensor([3, 5])"))};
const Op minimum{documented(pointwise_row("minimum(Tensor input, Tensor other) -> Tensor", Pointwise::minimum, kPromote, Usual, minimum_vjp, in(0) | in(1)),
    "The smaller of two elements, with broadcasting; NaN if either is. Where both are equal, each gets half of "
    "the gradient. Real dtypes only."
    TABULA_EXAMPLE("torch.minimum(torch.tensor([1, 5]), torch.tensor([3, 4]))", "tensor([1, 4])"))};

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
const Op fmax{documented(pointwise_row("fmax(Tensor input, Tensor other) -> Tensor", Pointwise::fmax, kPromote, Usual, fmax_vjp, in(0) | in(1)),
    "The larger of two elements; where one is NaN, the other."
    TABULA_EXAMPLE("torch.fmax(torch.tensor([1., float('nan')]), torch.tensor([0., 2.]))", "tensor([1., 2.])"))};
const Op fmin{documented(pointwise_row("fmin(Tensor input, Tensor other) -> Tensor", Pointwise::fmin, kPromote, Usual, fmin_vjp, in(0) | in(1)),
    "The smaller of two elements; where one is NaN, the other."
    TABULA_EXAMPLE("torch.fmin(torch.tensor([1., float('nan')]), torch.tensor([0., 2.]))", "tensor([0., 2.])"))};

static void copysign_vjp(Backward& b) {
  if (b.needs(0)) {
    const Tensor ratio = b.out() / b.in(0);
    b.set(0, b.g() * where(eq(b.in(0), 0), Scalar(0.0), ratio));
  }
  if (b.needs(1)) b.set(1, zeros_like_raw(b.g()));
}
const Op copysign{documented(pointwise_row("copysign(Tensor input, Operand other) -> Tensor", Pointwise::copysign, kFloating, Pointwise_, copysign_vjp, in(0) | out()),
    "The magnitude of input with the sign of other, which may be a number; the sign of -0.0 counts."
    TABULA_EXAMPLE("torch.copysign(torch.tensor([1., -2.]), -1)", "tensor([-1., -2.])"))};

static void hypot_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g() * (b.in(0) / b.out()));
  if (b.needs(1)) b.set(1, b.g() * (b.in(1) / b.out()));
}
const Op hypot{documented(pointwise_row("hypot(Tensor input, Tensor other) -> Tensor", Pointwise::hypot, kPromote, Pointwise_, hypot_vjp, in(0) | in(1) | out()),
    "sqrt(input^2 + other^2), without overflow in between."
    TABULA_EXAMPLE("torch.hypot(torch.tensor([3.]), torch.tensor([4.]))", "tensor([5.])"))};
// a step from one representable number to the next is flat but for the number itself
static void nextafter_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, masked_fill(b.g(), eq(b.in(0), b.in(1)), Scalar(0)));
  if (b.needs(1)) b.set(1, zeros_like_raw(b.g()));
}
const Op nextafter{documented(pointwise_row("nextafter(Tensor input, Tensor other) -> Tensor", Pointwise::nextafter, kPromote, Pointwise_, nextafter_vjp, in(0) | in(1)),
    "The next representable number after input in the direction of other. Floating dtypes only."
    TABULA_EXAMPLE("torch.nextafter(torch.tensor([1.]), torch.tensor([2.])) > 1", "tensor([True])"))};

static void logaddexp_vjp(Backward& b) {
  // the quotient has a value at infinities of one sign less than the difference to the result would
  if (b.needs(0)) b.set(0, b.g() / conj_of(exp(b.in(1) - b.in(0)) + Scalar(1)));
  if (b.needs(1)) b.set(1, b.g() / conj_of(exp(b.in(0) - b.in(1)) + Scalar(1)));
}
const Op logaddexp{documented(pointwise_row("logaddexp(Tensor input, Tensor other) -> Tensor", Pointwise::logaddexp, kPromote, Usual, logaddexp_vjp, in(0) | in(1)),
    "log(exp(input) + exp(other)), without overflow in between: a sum of probabilities given as logarithms."
    TABULA_EXAMPLE("torch.logaddexp(torch.tensor([-100.]), torch.tensor([-100.]))", "tensor([-99.3069])"))};
static void logaddexp2_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, b.g() / (exp2(b.in(1) - b.in(0)) + Scalar(1)));
  if (b.needs(1)) b.set(1, b.g() / (exp2(b.in(0) - b.in(1)) + Scalar(1)));
}
const Op logaddexp2{documented(pointwise_row("logaddexp2(Tensor input, Tensor other) -> Tensor", Pointwise::logaddexp2, kPromote, Usual, logaddexp2_vjp, in(0) | in(1)),
    "log2(2^input + 2^other), without overflow in between."
    TABULA_EXAMPLE("torch.logaddexp2(torch.tensor([3.]), torch.tensor([3.]))", "tensor([4.])"))};

static void xlogy_vjp(Backward& b) {
  if (b.needs(0)) {
    const Operand y = b.operand(1);
    if (y.is_tensor()) {
      b.set(0, b.g() * where(logical_and(eq(b.in(0), 0), le(y, 0)), Scalar(0.0), log(y.tensor())));
    } else {
      const double number = y.scalar().to_double(), slope = std::log(number);
      b.set(0, number > 0 ? b.g() * Scalar(slope) : b.g() * where(eq(b.in(0), 0), Scalar(0.0), Scalar(slope)));
    }
  }
  if (b.needs(1)) b.set(1, b.g() * div(b.operand(0), b.in(1)));
}
const Op xlogy{documented(pointwise_row("xlogy(Operand input, Operand other) -> Tensor", Pointwise::xlogy, kFloating, Pointwise_ | InPlaceFunction, xlogy_vjp, in(0) | in(1)),
    "input * log(other), and 0 where input is 0, unless other is NaN. One operand may be a number."
    TABULA_EXAMPLE("torch.xlogy(torch.tensor([0., 2.]), torch.tensor([0., 1.]))", "tensor([0., 0.])"))};
static const Op special_xlogy{documented(pointwise_row("xlogy.special(Operand input, Operand other) -> Tensor", Pointwise::xlogy, kFloating, Special | OutForm, xlogy_vjp, in(0) | in(1)),
    "input * log(other), and 0 where input is 0, unless other is NaN. One operand may be a number."
    TABULA_EXAMPLE("torch.special.xlogy(torch.tensor([0., 2.]), torch.tensor([0., 1.]))", "tensor([0., 0.])"))};
static void heaviside_vjp(Backward& b) {
  if (b.needs(1)) b.set(1, b.g() * eq(b.in(0), 0));
}
static void run_heaviside(const Op& op, const Value* args, Out& out) {
  const DType a = args[0].tensor().dtype(), b = args[1].tensor().dtype();
  check(!is_complex(a) && !is_complex(b), "heaviside is not yet implemented for complex tensors.");
  check(a == b, "heaviside is not yet implemented for tensors with different dtypes.");
  run_pointwise(op, args, out);
}
constexpr OpDef heaviside_row() {
  OpDef row = pointwise_row("heaviside(Tensor input, Tensor values) -> Tensor", Pointwise::heaviside, kPromote, Pointwise_, heaviside_vjp, in(0));
  row.run = boxed(run_heaviside);
  return row;
}
const Op heaviside{documented(heaviside_row(),
    "The step function: 0 where input is negative, 1 where it is positive, and values where it is 0."
    TABULA_EXAMPLE("torch.heaviside(torch.tensor([-1., 0., 2.]), torch.tensor([0.5]))",
                   "tensor([0.0000, 0.5000, 1.0000])"))};
const Op gcd{documented(pointwise_row("gcd(Tensor input, Tensor other) -> Tensor", Pointwise::gcd, kPromoteIntegers, Pointwise_ | InPlaceFunction),
    "The greatest common divisor of integers, never negative; gcd(0, 0) is 0."
    TABULA_EXAMPLE("torch.gcd(torch.tensor([12, -8]), torch.tensor([8, 20]))", "tensor([4, 4])"))};
const Op lcm{documented(pointwise_row("lcm(Tensor input, Tensor other) -> Tensor", Pointwise::lcm, kPromoteIntegers, Pointwise_ | InPlaceFunction),
    "The least common multiple of integers, never negative; 0 if either is 0."
    TABULA_EXAMPLE("torch.lcm(torch.tensor([4, 6]), torch.tensor([6, 9]))", "tensor([12, 18])"))};

// ---- three arguments ----

static void lerp_vjp(Backward& b) {
  const Operand w = b.operand(2);
  Tensor keep, one_minus;
  if (b.needs(0)) b.set(0, w.is_tensor() ? b.g() * conj_of(Scalar(1) - w.tensor()) : b.g() * conj_of(w.scalar().is_complex() ? Scalar(1.0 - w.scalar().to_complex()) : Scalar(1.0 - w.scalar().to_double())));
  if (b.needs(1)) b.set(1, mul(b.g(), conj_of(w, keep)));
  if (b.needs(2)) b.set(2, b.g() * conj_of(b.in(1) - b.in(0)));
}
static void run_lerp(const Op& op, const Value* args, Out& out) {
  const Tensor &start = args[0].tensor(), &end = args[1].tensor();
  check(start.dtype() == end.dtype(), "expected dtype ", c_type_name(start.dtype()), " for `end` but got dtype ", c_type_name(end.dtype()));
  const bool weights = args[2].is_tensor() && args[2].tensor().dim() > 0;
  if (weights)
    check(start.dtype() == args[2].tensor().dtype(), "expected dtype ", c_type_name(start.dtype()), " for `weight` but got dtype ", c_type_name(args[2].tensor().dtype()));
  check_implemented(is_differentiable(start.dtype()), "\"lerp_kernel_", args[2].is_tensor() ? "tensor" : "scalar", "\" not implemented for '", dtype_title(start.dtype()), "'");
  run_pointwise(op, args, out);
}
constexpr OpDef lerp_row() {
  OpDef row = pointwise_row("lerp(Tensor input, Tensor end, Operand weight) -> Tensor", Pointwise::lerp, kPromote, Pointwise_, lerp_vjp, in(0) | in(1) | in(2));
  row.run = boxed(run_lerp);
  return row;
}
const Op lerp{documented(lerp_row(),
    "input + weight * (end - input): the point between two, where weight (a number or a tensor) says how far. All "
    "tensors must have one dtype."
    TABULA_EXAMPLE("torch.lerp(torch.tensor([0., 10.]), torch.tensor([10., 20.]), 0.5)", "tensor([ 5., 15.])"))};

static void addcmul_vjp(Backward& b) {
  const Scalar value = conj_of(b.arg(3).scalar());
  if (b.needs(0)) b.set(0, b.g());
  if (b.needs(1)) b.set(1, b.g() * conj_of(b.in(2)) * value);
  if (b.needs(2)) b.set(2, b.g() * conj_of(b.in(1)) * value);
}
const Op addcmul{documented(pointwise_row("addcmul(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", Pointwise::addcmul, kPromote, Pointwise_, addcmul_vjp, in(1) | in(2)),
    "input + value * tensor1 * tensor2, element by element, with broadcasting."
    TABULA_EXAMPLE("torch.addcmul(torch.tensor([1., 1.]), torch.tensor([2., 3.]), torch.tensor([4., 5.]), value=0.5)",
                   "tensor([5.0000, 8.5000])"))};
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
const Op addcdiv{documented(addcdiv_row(),
    "input + value * tensor1 / tensor2, element by element, with broadcasting. A RuntimeError if both are "
    "integers."
    TABULA_EXAMPLE("torch.addcdiv(torch.tensor([1., 1.]), torch.tensor([2., 3.]), torch.tensor([4., 6.]), value=2)",
                   "tensor([2., 2.])"))};

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
const Op where{documented(where_row("where(Tensor condition, Operand input, Operand other) -> Tensor", Function | OutForm),
    "Takes from input where the bool condition holds and from other elsewhere; all three broadcast, and input and "
    "other are promoted. With the condition alone: the indices where it holds, as nonzero(as_tuple=True)."
    TABULA_EXAMPLE("torch.where(torch.tensor([True, False]), torch.tensor([1, 2]), 0)", "tensor([1, 0])"))};

// ---- bits ----

const Op bitwise_and{documented(pointwise_row("bitwise_and(Operand input, Operand other) -> Tensor", Pointwise::bitwise_and, kPromoteIntegers, Pointwise_),
    "Bit by bit and, of integers or bool."
    TABULA_EXAMPLE("torch.bitwise_and(torch.tensor([12, 10]), 6)", "tensor([4, 2])"))};
const Op bitwise_or{documented(pointwise_row("bitwise_or(Operand input, Operand other) -> Tensor", Pointwise::bitwise_or, kPromoteIntegers, Pointwise_),
    "Bit by bit or, of integers or bool."
    TABULA_EXAMPLE("torch.bitwise_or(torch.tensor([12, 10]), 3)", "tensor([15, 11])"))};
const Op bitwise_xor{documented(pointwise_row("bitwise_xor(Operand input, Operand other) -> Tensor", Pointwise::bitwise_xor, kPromoteIntegers, Pointwise_),
    "Bit by bit exclusive or, of integers or bool."
    TABULA_EXAMPLE("torch.bitwise_xor(torch.tensor([12, 10]), 6)", "tensor([10, 12])"))};
const Op bitwise_left_shift{documented(pointwise_row("bitwise_left_shift(Operand input, Operand other) -> Tensor", Pointwise::left_shift, kPromoteIntegers, Pointwise_),
    "input * 2^other, of integers."
    TABULA_EXAMPLE("torch.bitwise_left_shift(torch.tensor([1, 3]), 2)", "tensor([ 4, 12])"))};
const Op bitwise_right_shift{documented(pointwise_row("bitwise_right_shift(Operand input, Operand other) -> Tensor", Pointwise::right_shift, kPromoteIntegers, Pointwise_),
    "input / 2^other rounded down, of integers: the sign bit is kept."
    TABULA_EXAMPLE("torch.bitwise_right_shift(torch.tensor([8, -8]), 2)", "tensor([ 2, -2])"))};
const Op bitwise_not{documented(pointwise_row("bitwise_not(Tensor input) -> Tensor", Pointwise::bitwise_not, kPromoteIntegers, Pointwise_),
    "All bits turned, of integers (-1 - x); for bool the logical not."
    TABULA_EXAMPLE("torch.bitwise_not(torch.tensor([0, 5]))", "tensor([-1, -6])"))};

// ---- complex numbers from parts ----

static void complex_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, real(b.g()));
  if (b.needs(1)) b.set(1, imag(b.g()));
}
static void check_parts(const Value* args) {
  const DType a = args[0].tensor().dtype(), c = args[1].tensor().dtype();
  check(is_floating(a) && is_floating(c) && a != DType::BFloat16, "Expected both inputs to be Half, Float or Double tensors but got ", dtype_title(a), " and ", dtype_title(c));
  check(a == c, "Expected object of scalar type ", dtype_title(a), " but got scalar type ", dtype_title(c), " for second argument");
}
static void run_complex(const Op& op, const Value* args, Out& out) {
  check_parts(args);
  const DType whole = complex_dtype(args[0].tensor().dtype());
  if (out.into)
    check(out.into->dtype() == whole, "Expected object of scalar type ", dtype_title(whole), " but got scalar type ", dtype_title(out.into->dtype()),
          " for argument 'out'");
  run_pointwise(op, args, out);
}
constexpr OpDef parts_row(const char* schema, Pointwise kernel, Vjp vjp, uint32_t save) {
  OpDef row = pointwise_row(schema, kernel, kPromote, Function | OutForm, vjp, save);
  row.run = boxed(run_complex);
  return row;
}
const Op complex{documented(parts_row("complex(Tensor real, Tensor imag) -> Tensor", Pointwise::complex, complex_vjp, 0),
    "Complex numbers from their real and imaginary parts: float16, float32 or float64, both alike."
    TABULA_EXAMPLE("torch.complex(torch.tensor([1., 2.]), torch.tensor([3., 4.]))", "tensor([1.+3.j, 2.+4.j])"))};

// z = r e^{i t}: dr = Re(conj(g) e^{it}), dt = Re(conj(g) i z)
static void polar_vjp(Backward& b) {
  const Tensor unit = sgn(b.out());
  if (b.needs(0)) b.set(0, real(b.g() * conj(unit)));
  if (b.needs(1)) b.set(1, imag(b.g() * conj(b.out())));
}
const Op polar{documented(parts_row("polar(Tensor abs, Tensor angle) -> Tensor", Pointwise::polar, polar_vjp, out()),
    "Complex numbers from their absolute values and angles: abs * (cos(angle) + i sin(angle)). Both of one "
    "floating dtype."
    TABULA_EXAMPLE("torch.polar(torch.tensor([2.]), torch.tensor([0.]))", "tensor([2.+0.j])"))};

}  // namespace tabula
