#include "ops/clamp.h"

#include <limits>

#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/pointwise.h"
#include "ops/promote.h"
#include "ops/view.h"

namespace tabula {
namespace {

Tensor passed(const Tensor& g, const Tensor& condition) { return where(condition, g, Scalar(0.0)); }

void check_clamp(const Value* args) {
  check(!args[1].is_none() || !args[2].is_none(), "torch.clamp: At least one of 'min' or 'max' must not be None");
  for (int i = 0; i < 3; i++) {
    const bool complex = args[i].is_tensor() ? is_complex(args[i].tensor().dtype()) : args[i].is_scalar() && args[i].scalar().is_complex();
    check_implemented(!complex, "clamp is not supported for complex types");
  }
}

// Runs a kernel whose one tensor is promoted by the numbers that are its parameters.
void run_with_bounds(Pointwise kernel, const Value* args, std::span<const Scalar> bounds, Out& out) {
  const Tensor& x = args[0].tensor();
  ResultType type;
  type.add(x);
  for (const Scalar& s : bounds) type.add(s);
  const Tensor values = type.get() == x.dtype() ? x : cast_raw(x, type.get());
  const Operand operands[1] = {Operand(values)};
  out.tensors[0] = pointwise_raw(kernel, operands, bounds);
  out.count = 1;
}

void run_clamp(const Op&, const Value* args, Out& out) {
  check_clamp(args);
  if (args[1].is_none()) {
    const Scalar bounds[1] = {args[2].scalar()};
    run_with_bounds(Pointwise::clamp_max, args, bounds, out);
  } else if (args[2].is_none()) {
    const Scalar bounds[1] = {args[1].scalar()};
    run_with_bounds(Pointwise::clamp_min, args, bounds, out);
  } else {
    const Scalar bounds[2] = {args[1].scalar(), args[2].scalar()};
    run_with_bounds(Pointwise::clamp, args, bounds, out);
  }
}
void clamp_vjp(Backward& b) {
  const Tensor& x = b.in(0);
  if (!b.has(1))
    b.set(0, passed(b.g(), le(x, b.arg(2).scalar())));
  else if (!b.has(2))
    b.set(0, passed(b.g(), ge(x, b.arg(1).scalar())));
  else
    b.set(0, passed(b.g(), logical_and(ge(x, b.arg(1).scalar()), le(x, b.arg(2).scalar()))));
}

void run_clamp_tensor(const Op&, const Value* args, Out& out) {
  check_clamp(args);
  out.count = 1;
  if (args[1].is_none() || args[2].is_none()) {
    const Operand operands[2] = {Operand(args[0]), Operand(args[args[1].is_none() ? 2 : 1])};
    out.tensors[0] = pointwise_raw(args[1].is_none() ? Pointwise::minimum : Pointwise::maximum, operands);
  } else {
    const Operand operands[3] = {Operand(args[0]), Operand(args[1]), Operand(args[2])};
    out.tensors[0] = pointwise_raw(Pointwise::clamp_tensor, operands);
  }
}
// The maximum wins where the bounds cross.
void clamp_tensor_vjp(Backward& b) {
  const Tensor &x = b.in(0), &low = b.in(1), &high = b.in(2), &g = b.g();
  if (!high.defined()) {
    if (b.needs(0)) b.set(0, passed(g, ge(x, low)));
    if (b.needs(1)) b.set(1, passed(g, lt(x, low)));
    return;
  }
  if (!low.defined()) {
    if (b.needs(0)) b.set(0, passed(g, le(x, high)));
    if (b.needs(2)) b.set(2, passed(g, gt(x, high)));
    return;
  }
  if (b.needs(0)) b.set(0, passed(g, logical_and(ge(x, low), le(x, high))));
  if (b.needs(1)) b.set(1, passed(g, logical_and(lt(low, high), lt(x, low))));
  if (b.needs(2)) b.set(2, passed(g, logical_or(gt(x, high), lt(high, low))));
}

template <bool low>
void run_clamp_one(const Op&, const Value* args, Out& out) {
  const bool complex = is_complex(args[0].tensor().dtype());
  check_implemented(!complex, "clamp is not supported for complex types");
  if (args[1].is_scalar()) {
    const Scalar bounds[1] = {args[1].scalar()};
    return run_with_bounds(low ? Pointwise::clamp_min : Pointwise::clamp_max, args, bounds, out);
  }
  const Operand operands[2] = {Operand(args[0]), Operand(args[1])};
  out.tensors[0] = pointwise_raw(low ? Pointwise::maximum : Pointwise::minimum, operands);
  out.count = 1;
}
template <bool low>
void clamp_one_vjp(Backward& b) {
  const Operand bound = b.operand(1);
  if (b.needs(0)) b.set(0, passed(b.g(), low ? ge(b.in(0), bound) : le(b.in(0), bound)));
  if (b.needs(1)) b.set(1, passed(b.g(), low ? lt(b.in(0), bound) : gt(b.in(0), bound)));
}

constexpr const char* kClampDoc =
    "Limits the elements to the range from min to max; either bound may be None.\n\nArgs: input (real dtype), min and max: both numbers or both tensors, which are broadcast. The result has the promoted\n"
    "dtype. Where min > max the result is max.\n\nExample::\n\n    >>> torch.clamp(torch.tensor([-2., 0.5, 3.]), 0, 1)\n    tensor([0.0000, 0.5000, 1.0000])\n";

#define CLAMP_TENSOR(name)                                                                                                                             \
  OpDef{.schema = name ".Tensor(Tensor input, Tensor? min=None, Tensor? max=None) -> Tensor", .run = boxed(run_clamp_tensor), .on = Pointwise_ | InPlaceFunction, .vjp = clamp_tensor_vjp, \
        .save = in(0) | in(1) | in(2), .node = "ClampBackward0", .batch = batch::aligned, .doc = kClampDoc}
#define CLAMP(name) \
  OpDef{.schema = name "(Tensor input, Scalar? min=None, Scalar? max=None) -> Tensor", .run = boxed(run_clamp), .on = Pointwise_ | InPlaceFunction, .vjp = clamp_vjp, .save = in(0), .node = "ClampBackward1", .batch = batch::aligned}
const Op clamp_tensor{CLAMP_TENSOR("clamp")};
const Op clip_tensor{CLAMP_TENSOR("clip")};
const Op clip{CLAMP("clip")};

// What stands in for NaN and the infinities when the caller doesn't say.
double largest_of(DType d) {
  switch (d) {
    case DType::Float16: return 65504;
    case DType::BFloat16: return 3.38953138925153547590470800371487866880e38;
    case DType::Float64: return std::numeric_limits<double>::max();
    default: return std::numeric_limits<float>::max();
  }
}
Tensor replaced(const Tensor& x, const Scalar (&values)[3]) {
  const Operand operands[1] = {Operand(x)};
  return pointwise_raw(Pointwise::nan_to_num, operands, values);
}
Tensor run_nan_to_num(const Tensor& input, std::optional<double> nan, std::optional<double> posinf, std::optional<double> neginf) {
  if (!is_differentiable(input.dtype())) return clone_raw(input);
  const double largest = largest_of(real_dtype(input.dtype()));
  const Scalar values[3] = {Scalar(nan.value_or(0)), Scalar(posinf.value_or(largest)), Scalar(neginf.value_or(-largest))};
  if (!is_complex(input.dtype())) return replaced(input, values);
  Tensor result = Tensor::empty_like(input, input.dtype());
  copy_into(real(result), replaced(real(input), values));
  copy_into(imag(result), replaced(imag(input), values));
  return result;
}
void nan_to_num_vjp(Backward& b) { b.set(0, b.g() * isfinite(b.in(0))); }
const Op nan_to_num{OpDef{.schema = "nan_to_num(Tensor input, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor", .run = fn<run_nan_to_num>, .on = Pointwise_ | InPlaceFunction,
                          .vjp = nan_to_num_vjp, .save = in(0),
                          .batch = batch::same, .doc = "Replaces NaN by `nan` (0) and the infinities by `posinf` and `neginf` (the dtype's extreme finite values).\n\nIntegers come back as they are.\n\n"
                                 "Example::\n\n    >>> torch.nan_to_num(torch.tensor([float('nan'), 1.]))\n    tensor([0., 1.])\n"}};

}  // namespace

const Op clamp{CLAMP("clamp")};
#undef CLAMP
#undef CLAMP_TENSOR
const Op clamp_min{OpDef{.schema = "clamp_min(Tensor input, Operand min) -> Tensor", .run = boxed(run_clamp_one<true>), .on = Pointwise_ | InPlaceFunction, .vjp = clamp_one_vjp<true>,
                         .save = in(0) | in(1),
                         .batch = batch::aligned, .doc = "The greater of each element and `min`, a number or a tensor.\n\nExample::\n\n    >>> torch.clamp_min(torch.tensor([-1., 2.]), 0)\n    tensor([0., 2.])\n"}};
const Op clamp_max{OpDef{.schema = "clamp_max(Tensor input, Operand max) -> Tensor", .run = boxed(run_clamp_one<false>), .on = Pointwise_ | InPlaceFunction, .vjp = clamp_one_vjp<false>,
                         .save = in(0) | in(1),
                         .batch = batch::aligned, .doc = "The lesser of each element and `max`, a number or a tensor.\n\nExample::\n\n    >>> torch.clamp_max(torch.tensor([-1., 2.]), 0)\n    tensor([-1.,  0.])\n"}};

}  // namespace tabula
