// Losses of probabilities: binary cross entropies and the Kullback-Leibler divergence.
#include "core/hint.h"
#include "ops/activation.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/clamp.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/loss_common.h"
#include "ops/reduce.h"
#include "ops/reduce_raw.h"
#include "ops/transcendental.h"

namespace tabula {
namespace {

// Both logarithms are cut off here, so that a sure and wrong answer has a finite loss and gradient.
constexpr double kLeastLog = -100;
constexpr double kLeastVariance = 1e-12;

Tensor at_least(const Tensor& t, double bound) { return clamp_min(t, Scalar(bound)); }

// ---- from probabilities ----

void check_probabilities(const Tensor& t, const char* name) {
  if (t.numel() == 0 || t.is_meta()) return;
  const ReducedDims everything(t, std::nullopt);
  const double least = item(reduce_raw(kernels::Reduce::amin, t, everything, false, t.dtype())).to_double();
  const double most = item(reduce_raw(kernels::Reduce::amax, t, everything, false, t.dtype())).to_double();
  check(least >= 0 && most <= 1, "all elements of ", name, " should be between 0 and 1");
}

Tensor run_bce(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t reduction) {
  check_implemented(is_floating(input.dtype()), "\"binary_cross_entropy\" not implemented for '", dtype_title(input.dtype()), "'");
  check(input.dtype() == target.dtype(), "Found dtype ", dtype_title(target.dtype()), " but expected ", dtype_title(input.dtype()));
  check_probabilities(input, "input");
  check_probabilities(target, "target");
  const DType wide = is_reduced_float(input.dtype()) ? DType::Float32 : input.dtype();
  const Tensor x = cast_raw(input, wide), y = cast_raw(target, wide);
  const Tensor loss = at_least(log1p(neg(x)), kLeastLog), other = at_least(log(x), kLeastLog);
  mul.in_place(loss, y - Scalar(1));
  mul.in_place(other, y);
  sub.in_place(loss, other);
  if (weight.defined()) mul.in_place(loss, weight);
  return cast_raw(reduce_loss_raw(loss, Reduction(reduction)), input.dtype());
}
void bce_vjp(Backward& b) {
  const Tensor &x = b.in(0), &y = b.in(1);
  const Reduction how = Reduction(b.integer(3));
  Tensor g = spread_grad(b.g(), x.sizes(), how);
  const Tensor unweighted = g;
  if (b.in(2).defined()) g = g * b.in(2);
  if (b.needs(0)) b.set(0, g * (x - y) / at_least((Scalar(1) - x) * x, kLeastVariance));
  if (b.needs(1)) b.set(1, g * (at_least(log1p(neg(x)), kLeastLog) - at_least(log(x), kLeastLog)));
  if (b.needs(2)) b.set(2, unweighted * ((y - Scalar(1)) * at_least(log1p(neg(x)), kLeastLog) - y * at_least(log(x), kLeastLog)));
}
const Op bce{OpDef{.schema = "binary_cross_entropy.base(Tensor input, Tensor target, Tensor? weight, int reduction) -> Tensor", .run = fn<run_bce>, .on = Internal, .vjp = bce_vjp,
                   .save = in(0) | in(1) | in(2), .node = "BinaryCrossEntropyBackward0", .batch = batch::loss}};

Tensor run_binary_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, std::optional<bool> size_average, std::optional<bool> reduce, std::string_view reduction) {
  const Reduction how = reduction_of(reduction, size_average, reduce);
  check_value(same(target.sizes(), input.sizes()), "Using a target size (", size_text(target.sizes()), ") that is different to the input size (", size_text(input.sizes()),
              ") is deprecated. Please ensure they have the same size.", target_hint(input.sizes(), target.sizes()));
  check(!weight.defined() || expandable_to(weight.sizes(), input.sizes()), "Attempting to broadcast a dimension of length ", weight.defined() && weight.dim() ? weight.sizes().back() : 1,
        " at -1! Mismatching argument at index 1 had ", weight.defined() ? size_text(weight.sizes()) : "", "; but expected shape should be broadcastable to ", shape_text(input.sizes()));
  return bce(input, target, weight, int64_t(how));
}

// ---- from logits ----

// (1 - y) x - log sigmoid(x), which overflows for no x
Tensor run_bce_logits(const Tensor& input, const Tensor& target, int64_t reduction) {
  const Tensor loss = Scalar(1) - target;
  if (loss.dtype() != input.dtype() || !same(loss.sizes(), input.sizes())) return reduce_loss_raw(loss * input - logsigmoid(input), Reduction(reduction));
  mul.in_place(loss, input);
  sub.in_place(loss, logsigmoid(input));
  return reduce_loss_raw(loss, Reduction(reduction));
}
void bce_logits_vjp(Backward& b) {
  const Tensor g = spread_grad(b.g(), b.in(0).sizes(), Reduction(b.integer(2)));
  if (b.needs(0)) b.set(0, (sigmoid(b.in(0)) - b.in(1)) * g);
  if (b.needs(1)) b.set(1, neg(b.in(0)) * g);
}
const Op bce_logits{OpDef{.schema = "binary_cross_entropy_with_logits.base(Tensor input, Tensor target, int reduction) -> Tensor", .run = fn<run_bce_logits>, .on = Internal,
                          .vjp = bce_logits_vjp, .save = in(0) | in(1), .node = "BinaryCrossEntropyWithLogitsBackward0", .batch = batch::loss}};

Tensor bce_with_logits(const Tensor& input, const Tensor& target, const Tensor& weight, const Tensor& pos_weight, Reduction how) {
  check_implemented(is_floating(input.dtype()), "\"log_sigmoid_cpu\" not implemented for '", dtype_title(input.dtype()), "'");
  check(is_floating(target.dtype()), "result type ", dtype_title(input.dtype()), " can't be cast to the desired output type ", dtype_title(target.dtype()));
  if (!weight.defined() && !pos_weight.defined()) return bce_logits(input, target, int64_t(how));
  Tensor loss = (Scalar(1) - target) * input;
  if (pos_weight.defined())
    loss = loss - ((pos_weight - Scalar(1)) * target + Scalar(1)) * logsigmoid(input);
  else
    loss = loss - logsigmoid(input);
  if (weight.defined()) loss = loss * weight;
  return reduce_loss(loss, how);
}
Tensor run_bce_with_logits_nn(const Tensor& input, const Tensor& target, const Tensor& weight, std::optional<bool> size_average, std::optional<bool> reduce, std::string_view reduction,
                              const Tensor& pos_weight) {
  const Reduction how = reduction_of(reduction, size_average, reduce);
  check_value(same(target.sizes(), input.sizes()), "Target size (", size_text(target.sizes()), ") must be the same as input size (", size_text(input.sizes()), ")");
  return bce_with_logits(input, target, weight, pos_weight, how);
}
Tensor run_bce_with_logits(const Tensor& input, const Tensor& target, const Tensor& weight, const Tensor& pos_weight, int64_t reduction) {
  check(expandable_to(input.sizes(), target.sizes()), "output with shape ", shape_text(target.sizes()), " doesn't match the broadcast shape ", shape_text(broadcast_sizes(input.sizes(), target.sizes())));
  return bce_with_logits(input, target, weight, pos_weight, Reduction(reduction));
}

// ---- Kullback-Leibler ----

// y (log y - x); zero where y is, for every x
Tensor run_kl_base(const Tensor& input, const Tensor& target) {
  return xlogy(target, target) - target * input;
}
void kl_vjp(Backward& b) {
  const Tensor &x = b.in(0), &y = b.in(1);
  if (b.needs(0)) b.set(0, neg(y) * b.g());
  if (b.needs(1)) {
    const Tensor slope = where(eq(y, 0), Scalar(0.0), log(y)) + y / y - x;
    b.set(1, b.g() * slope);
  }
}
const Op kl_base{OpDef{.schema = "kl_div.base(Tensor input, Tensor target) -> Tensor", .run = fn<run_kl_base>, .on = Internal, .vjp = kl_vjp, .save = in(0) | in(1), .batch = batch::aligned}};

Tensor kl_elements(const Tensor& input, const Tensor& target, bool log_target) {
  for (const Tensor* t : {&input, &target}) {
    check(!is_complex(t->dtype()), "kl_div: Complex inputs not supported.");
    check(!is_integral_or_bool(t->dtype()), "kl_div: Integral inputs not supported.");
  }
  return log_target ? exp(target) * (target - input) : kl_base(input, target);
}
Tensor run_kl_div_nn(const Tensor& input, const Tensor& target, std::optional<bool> size_average, std::optional<bool> reduce, std::string_view reduction, bool log_target) {
  if (!size_average && !reduce && reduction == "batchmean") {
    const Tensor total = sum(kl_elements(input, target, log_target));
    return input.dim() == 0 ? total : total / Scalar(input.sizes()[0]);
  }
  const Reduction how = reduction_of(reduction, size_average, reduce);
  if (how == Reduction::Mean && !size_average && !reduce)
    warn("reduction: 'mean' divides the total loss by both the batch size and the support size."
         "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
         "'mean' will be changed to behave the same as 'batchmean' in the next major release.");
  return reduce_loss(kl_elements(input, target, log_target), how);
}
Tensor run_kl_div(const Tensor& input, const Tensor& target, int64_t reduction, bool log_target) { return reduce_loss(kl_elements(input, target, log_target), Reduction(reduction)); }

}  // namespace

static const Op binary_cross_entropy{OpDef{.schema = "binary_cross_entropy(Tensor input, Tensor target, Tensor? weight=None, " LEGACY ") -> Tensor", .run = fn<run_binary_cross_entropy>, .on = NN,
                                           .composite = true,
                                           .doc = "The mean of -(y log x + (1 - y) log(1 - x)), logarithms cut off at -100.\n\nArgs: input and target (probabilities of one shape), weight (broadcast over them or None), "
                                                  "reduction. Raises ValueError for other shapes, RuntimeError for numbers outside [0, 1].\n\nExample::\n\n    >>> torch.nn.functional."
                                                  "binary_cross_entropy(torch.tensor([0.5]), torch.tensor([1.0]))\n    tensor(0.6931)\n"}};
static const Op bce_with_logits_nn{OpDef{.schema = "binary_cross_entropy_with_logits.nn(Tensor input, Tensor target, Tensor? weight=None, " LEGACY ", Tensor? pos_weight=None) -> Tensor",
                                         .run = fn<run_bce_with_logits_nn>, .on = NN, .composite = true,
                                         .doc = "Binary cross entropy of the sigmoid of the input, without overflow.\n\nArgs: input (logits) and target of one shape; weight and pos_weight (of the positive class), "
                                                "broadcast over them; reduction. Raises ValueError for other shapes.\n\nExample::\n\n    >>> torch.nn.functional.binary_cross_entropy_with_logits("
                                                "torch.zeros(2), torch.ones(2))\n    tensor(0.6931)\n"}};
static const Op bce_with_logits_function{OpDef{.schema = "binary_cross_entropy_with_logits(Tensor input, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, int reduction=0) -> Tensor",
                                               .run = fn<run_bce_with_logits>, .on = Function, .composite = true,
    .doc =
        "The binary cross entropy of sigmoid(input) and target, computed without overflow; pos_weight weighs the "
        "positive answers. reduction: 0 none, 1 mean, 2 sum."
        TABULA_EXAMPLE("torch.binary_cross_entropy_with_logits(torch.tensor([0.]), torch.tensor([1.]), reduction=1)",
                       "tensor(0.6931)")}};
static const Op kl_div_nn{OpDef{.schema = "kl_div.nn(Tensor input, Tensor target, " LEGACY ", bool log_target=False) -> Tensor", .run = fn<run_kl_div_nn>, .on = NN, .composite = true,
                                .doc = "The Kullback-Leibler divergence y (log y - x), where x are log-probabilities.\n\nArgs: input, target (log-probabilities too with log_target), reduction: 'batchmean' divides by "
                                       "the batch alone. Source: Kullback and Leibler, 1951.\n\nExample::\n\n    >>> x = torch.tensor([[0.5, 0.5]])\n    >>> torch.nn.functional.kl_div(x.log(), x, "
                                       "reduction='batchmean')\n    tensor(0.)\n"}};
static const Op kl_div_function{OpDef{.schema = "kl_div(Tensor input, Tensor target, int reduction=0, *, bool log_target=False) -> Tensor", .run = fn<run_kl_div>, .on = Function, .composite = true,
    .doc =
        "The Kullback-Leibler divergence target * (log(target) - input), where input is a log-probability, and "
        "with log_target the target as well. reduction: 0 none, 1 mean, 2 sum."
        TABULA_EXAMPLE("torch.kl_div(torch.tensor([0.5]).log(), torch.tensor([0.5]), 1)", "tensor(0.)")}};

}  // namespace tabula
