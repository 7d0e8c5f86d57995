// Losses of differences: squared, absolute, and what lies between.
#include "kernels/formulas/activation.h"
#include "ops/arith.h"
#include "ops/batch.h"
#include "ops/formula_tensor.h"
#include "ops/loss_common.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"

namespace tabula {
namespace {

using symbolic::Sym;
using symbolic::differentiate;
namespace f = formulas;

// Below autograd: the kernel's loss of each element, reduced.
Tensor elementwise(Pointwise kernel, const Tensor& x, const Tensor& y, std::span<const Scalar> params, int64_t reduction) {
  for (const Tensor* t : {&x, &y})
    check_implemented(is_floating(t->dtype()), "\"", kernels::kPointwise[int(kernel)].name, "_cpu\" not implemented for '", dtype_title(t->dtype()), "'");
  const Operand operands[2] = {Operand(x), Operand(y)};
  return reduce_loss_raw(pointwise_raw(kernel, operands, params), Reduction(reduction));
}

// The target's gradient is minus the input's.
void set_both(Backward& b, const Tensor& gradient) {
  if (b.needs(0)) b.set(0, gradient);
  if (b.needs(1)) b.set(1, neg(gradient));
}

Dims pair_sizes(Backward& b) { return broadcast_sizes(b.in(0).sizes(), b.in(1).sizes()); }

// ---- squares ----

void mse_backward_vjp(Backward& b) {
  differentiate(b, 3, [](Backward& b, const std::vector<Sym>& in) { return f::mse_grad(in[0], in[1], in[2], Sym(b.number(3))); });
}
const Op mse_backward{pointwise_row("mse_loss_backward(Tensor grad_output, Tensor input, Tensor target, float factor) -> Tensor", Pointwise::mse_grad, kPromote, Internal, mse_backward_vjp,
                                    in(0) | in(1) | in(2))};

Tensor run_mse(const Tensor& input, const Tensor& target, int64_t reduction) { return elementwise(Pointwise::mse, input, target, {}, reduction); }
void mse_vjp(Backward& b) {
  const bool averaged = Reduction(b.integer(2)) == Reduction::Mean;
  set_both(b, mse_backward(b.g(), b.in(0), b.in(1), averaged ? 2 / double(count_elements(pair_sizes(b))) : 2.0));
}
const Op mse{OpDef{.schema = "mse_loss.base(Tensor input, Tensor target, int reduction) -> Tensor", .run = fn<run_mse>, .on = Internal, .vjp = mse_vjp, .save = in(0) | in(1),
                   .node = "MseLossBackward0", .batch = batch::loss}};

Tensor run_mse_loss(const Tensor& input, const Tensor& target, std::optional<bool> size_average, std::optional<bool> reduce, std::string_view reduction, const Tensor& weight) {
  warn_sizes(input, target);
  const Reduction how = reduction_of(reduction, size_average, reduce);
  if (!weight.defined()) return mse(input, target, int64_t(how));
  check_value(same(weight.sizes(), input.sizes()), "Weights and input must have the same size.");
  const Tensor loss = mse(input, target, int64_t(Reduction::None)) * weight;
  return how == Reduction::Mean ? weighted_mean(loss, weight) : reduce_loss(loss, how);
}

// ---- absolute values ----

Tensor run_l1_loss(const Tensor& input, const Tensor& target, std::optional<bool> size_average, std::optional<bool> reduce, std::string_view reduction, const Tensor& weight) {
  warn_sizes(input, target);
  const Reduction how = reduction_of(reduction, size_average, reduce);
  const Tensor loss = absolute_difference(input, target);
  if (!weight.defined()) return reduce_loss(loss, how);
  check_value(same(weight.sizes(), input.sizes()), "Weights and input must have the same size.");
  return how == Reduction::Mean ? weighted_mean(loss * weight, weight) : reduce_loss(loss * weight, how);
}

// ---- squares of small differences, absolute values of large ones ----

#define BETWEEN(name)                                                                                                                                                        \
  void name##_backward_vjp(Backward& b) {                                                                                                                                   \
    differentiate(b, 3, [](Backward& b, const std::vector<Sym>& in) { return f::name##_grad(in[0], in[1], in[2], Sym(b.number(3))); });                                      \
  }                                                                                                                                                                         \
  const Op name##_backward{pointwise_row(#name "_loss_backward(Tensor grad_output, Tensor input, Tensor target, float at) -> Tensor", Pointwise::name##_grad, kPromote,        \
                                         Internal, name##_backward_vjp, in(0) | in(1) | in(2))};                                                                             \
  Tensor run_##name(const Tensor& input, const Tensor& target, int64_t reduction, double at) {                                                                               \
    const Scalar params[1] = {Scalar(at)};                                                                                                                                  \
    return elementwise(Pointwise::name, input, target, params, reduction);                                                                                                  \
  }                                                                                                                                                                         \
  void name##_vjp(Backward& b) {                                                                                                                                            \
    set_both(b, name##_backward(spread_grad(b.g(), pair_sizes(b), Reduction(b.integer(2))), b.in(0), b.in(1), b.number(3)));                                                 \
  }                                                                                                                                                                         \
  const Op name{OpDef{.schema = #name "_loss.base(Tensor input, Tensor target, int reduction, float at) -> Tensor", .run = fn<run_##name>, .on = Internal,                     \
                      .vjp = name##_vjp, .save = in(0) | in(1), .batch = batch::loss}};
BETWEEN(smooth_l1)
BETWEEN(huber)
#undef BETWEEN

Tensor run_smooth_l1_loss(const Tensor& input, const Tensor& target, std::optional<bool> size_average, std::optional<bool> reduce, std::string_view reduction, double beta) {
  if (beta == 0) return run_l1_loss(input, target, size_average, reduce, reduction, Tensor());
  warn_sizes(input, target);
  const Reduction how = reduction_of(reduction, size_average, reduce);
  check(beta > 0, "smooth_l1_loss does not support negative values for beta.");
  return smooth_l1(input, target, int64_t(how), beta);
}

Tensor run_huber_loss(const Tensor& input, const Tensor& target, std::string_view reduction, double delta, const Tensor& weight) {
  warn_sizes(input, target);
  const Reduction how = reduction_of(reduction);
  check(delta > 0, "huber_loss does not support non-positive values for delta.");
  if (!weight.defined()) return huber(input, target, int64_t(how), delta);
  check_value(same(weight.sizes(), input.sizes()), "Weights and input must have the same size.");
  return reduce_loss(huber(input, target, int64_t(Reduction::None), delta) * weight, how);
}

}  // namespace

#define ARGS_DOC                                                                                                                                                              \
  "\n\nArgs: input, target (floating, of one shape; others are broadcast with a warning); reduction: 'none', 'mean' or 'sum'; size_average and reduce are older names "        \
  "for it. Raises ValueError for an unknown reduction.\n\nExample::\n\n    >>> x, y = torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0])\n    >>> torch.nn.functional."
static const Op mse_loss{OpDef{.schema = "mse_loss(Tensor input, Tensor target, " LEGACY ", Tensor? weight=None) -> Tensor", .run = fn<run_mse_loss>, .on = NN, .composite = true,
                               .doc = "The mean of the squared differences." ARGS_DOC "mse_loss(x, y)\n    tensor(2.)\n"}};
static const Op l1_loss{OpDef{.schema = "l1_loss(Tensor input, Tensor target, " LEGACY ", Tensor? weight=None) -> Tensor", .run = fn<run_l1_loss>, .on = NN, .composite = true,
                              .doc = "The mean of the absolute differences." ARGS_DOC "l1_loss(x, y)\n    tensor(1.)\n"}};
static const Op smooth_l1_loss{OpDef{.schema = "smooth_l1_loss(Tensor input, Tensor target, " LEGACY ", float beta=1.0) -> Tensor", .run = fn<run_smooth_l1_loss>, .on = NN, .composite = true,
                                     .doc = "Squares below beta, absolute values above it, joined smoothly (Girshick, 2015)." ARGS_DOC "smooth_l1_loss(x, y)\n    tensor(0.7500)\n"}};
static const Op huber_loss{OpDef{.schema = "huber_loss(Tensor input, Tensor target, str reduction='mean', float delta=1.0, Tensor? weight=None) -> Tensor", .run = fn<run_huber_loss>, .on = NN,
                                 .composite = true, .doc = "Squares below delta, delta times absolute values above it, joined smoothly (Huber, 1964)." ARGS_DOC "huber_loss(x, y)\n    tensor(0.7500)\n"}};
#undef ARGS_DOC

}  // namespace tabula
