// Losses of classes: the negative log likelihood and the cross entropy.
#include "core/hint.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/loss_common.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/view.h"

namespace tabula {
namespace {

kernels::NllCall nll_call(IntList sizes, DType dtype, const Tensor& target, const Tensor& weight, int64_t reduction, int64_t ignore_index) {
  kernels::NllCall call;
  const size_t lead = sizes.size() == 1 ? 0 : 1;
  call.batch = lead ? sizes[0] : 1;
  call.classes = sizes[lead];
  for (size_t d = lead + 1; d < sizes.size(); d++) call.inner *= sizes[d];
  call.dtype = dtype;
  call.target = target.data_as<int64_t>();
  call.weight = weight.defined() ? weight.data() : nullptr;
  call.ignore_index = ignore_index;
  call.reduction = Reduction(reduction);
  return call;
}

// The classes as contiguous int64.
Tensor classes_of(const Tensor& target) { return contiguous_raw(cast_raw(target, DType::Int64)); }

void check_weight(const Tensor& input, const Tensor& weight, int64_t classes) {
  if (!weight.defined()) return;
  check(weight.dim() == 1 && weight.numel() == classes, "weight tensor should be defined either for all ", classes, " classes or no classes but got weight tensor of shape: ",
        shape_text(weight.sizes()));
  check(weight.dtype() == input.dtype(), "expected scalar type ", dtype_title(input.dtype()), " but found ", dtype_title(weight.dtype()));
}

std::tuple<Tensor, Tensor> run_nll(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t reduction, int64_t ignore_index) {
  check(target.dtype() == DType::Int64 || target.dtype() == DType::UInt8, "expected target dtype to be Long or Byte, but got ", dtype_title(target.dtype()));
  check_implemented(is_floating(input.dtype()), "\"nll_loss_out_frame\" not implemented for '", dtype_title(input.dtype()), "'");
  check_weight(input, weight, input.sizes()[input.dim() == 1 ? 0 : 1]);
  const Tensor x = contiguous_raw(input), t = classes_of(target), w = weight.defined() ? contiguous_raw(weight) : weight;
  const Tensor out = Reduction(reduction) == Reduction::None && x.dim() > 1 ? Tensor::empty(target.sizes(), x.dtype(), x.device()) : Tensor::empty({}, x.dtype(), x.device());
  const Tensor total = Tensor::empty({}, x.dtype(), x.device());
  kernels::NllCall call = nll_call(x.sizes(), x.dtype(), t, w, reduction, ignore_index);
  call.input = x.data();
  call.out = out.data();
  call.total_weight = total.data();
  kernels::nll[x.device().kind](call);
  return {out, total};
}

Tensor run_nll_backward(const Tensor& grad, const Tensor& target, const Tensor& weight, const Tensor& total_weight, IntList size, int64_t reduction, int64_t ignore_index) {
  const Tensor result = Tensor::empty(size, grad.dtype(), grad.device());
  if (result.numel() == 0 || result.is_meta()) return result;
  const Tensor g = contiguous_raw(grad), t = classes_of(target), w = weight.defined() ? contiguous_raw(weight) : weight;
  kernels::NllCall call = nll_call(size, g.dtype(), t, w, reduction, ignore_index);
  call.grad = g.data();
  call.total_weight = total_weight.data();
  call.grad_input = result.data();
  kernels::nll_backward[g.device().kind](call);
  return result;
}

void nll_vjp(Backward& b);
void nll_backward_vjp(Backward& b);

// Results: the loss, and the sum of weights that the mean divides by.
const Op nll{OpDef{.schema = "nll_loss.base(Tensor input, Tensor target, Tensor? weight, int reduction, int ignore_index) -> (Tensor, Tensor)", .run = fn<run_nll>, .on = Internal,
                   .vjp = nll_vjp, .save = in(1) | in(2) | out(1) | shape(0), .nondiff = 2, .node = "NllLossBackward0", .batch = batch::nll}};
const Op nll_backward{OpDef{.schema = "nll_loss_backward(Tensor grad_output, Tensor target, Tensor? weight, Tensor total_weight, int[] size, int reduction, int ignore_index) -> Tensor",
                            .run = fn<run_nll_backward>, .on = Internal, .vjp = nll_backward_vjp, .save = in(1) | in(2), .batch = batch::nll_backward}};

void nll_vjp(Backward& b) {
  if (b.needs(0)) b.set(0, nll_backward(b.g(), b.in(1), b.in(2), b.out(1), b.sizes(0), b.integer(3), b.integer(4)));
}
void nll_backward_vjp(Backward& b) {
  // linear in the gradient, so its transpose is the loss itself
  if (b.needs(0)) b.set(0, nll(b.g(), b.in(1), b.in(2), b.integer(5), b.integer(6)));
}

// ---- shapes ----

Tensor nll_nd(const Tensor& input, const Tensor& target, const Tensor& weight, Reduction how, int64_t ignore_index) {
  const int64_t nd = input.dim();
  check_value(nd > 0, "Expected 1 or more dimensions (got 0)");
  if (nd == 1) {
    check(target.dim() <= 1, "0D or 1D target tensor expected, multi-target not supported");
    check(target.numel() == 1, "For 1D input, 1D target must have size 1, but got target size: ", target.numel());
    return nll(input, target, weight, int64_t(how), ignore_index);
  }
  check_value(target.dim() > 0 && input.sizes()[0] == target.sizes()[0], "Expected input batch_size (", input.sizes()[0], ") to match target batch_size (",
              target.dim() ? target.sizes()[0] : 1, ").", target_hint(input.sizes(), target.sizes()));
  if (nd == 2) {
    check(target.dim() == 1, "0D or 1D target tensor expected, multi-target not supported");
    return nll(input, target, weight, int64_t(how), ignore_index);
  }
  Dims wanted(input.sizes().data(), input.sizes().data() + 1);
  for (int64_t d = 2; d < nd; d++) wanted.push_back(input.sizes()[size_t(d)]);
  if (nd == 4) {
    check(target.dim() == 3, "only batches of spatial targets supported (3D tensors) but got targets of dimension: ", target.dim());
    check(same(wanted, target.sizes()), "size mismatch (got input: ", shape_text(input.sizes()), " , target: ", shape_text(target.sizes()));
  }
  check(same(wanted, target.sizes()), "Expected target size ", shape_text(wanted), ", got ", shape_text(target.sizes()));
  return nll(input, target, weight, int64_t(how), ignore_index);
}

Tensor run_nll_loss(const Tensor& input, const Tensor& target, const Tensor& weight, std::optional<bool> size_average, int64_t ignore_index, std::optional<bool> reduce,
                    std::string_view reduction) {
  return nll_nd(input, target, weight, reduction_of(reduction, size_average, reduce), ignore_index);
}

// ---- cross entropy ----

// Weights along the class dimension, to multiply the input with.
Tensor along_classes(const Tensor& weight, int64_t nd, int64_t class_dim) {
  Dims sizes(nd, int64_t(1));
  sizes[class_dim] = weight.numel();
  return view(weight, sizes);
}

Tensor cross_entropy_probabilities(const Tensor& input, const Tensor& target, const Tensor& weight, Reduction how, double smoothing) {
  const int64_t nd = input.dim(), class_dim = nd == 1 ? 0 : 1, classes = input.size(class_dim);
  check(is_floating(target.dtype()), "Expected floating point type for target with class probabilities, got ", dtype_title(target.dtype()));
  check(!weight.defined() || (weight.dim() == 1 && weight.numel() == classes), "cross_entropy: weight tensor should be defined either for all ", classes,
        " classes or no classes but got weight tensor of shape: ", shape_text(weight.defined() ? weight.sizes() : IntList()));
  const Tensor y = smoothing > 0 ? target * Scalar(1 - smoothing) + Scalar(smoothing / double(classes)) : target;
  Tensor product = log_softmax(input, class_dim) * y;
  if (weight.defined()) product = product * along_classes(weight, nd, class_dim);
  if (how == Reduction::None) return neg(sum_dim(product, Dims{class_dim}));
  const Tensor total = neg(sum(product));
  if (how == Reduction::Sum) return total;
  return total / Scalar(double(input.numel()) / double(classes));
}

Tensor smoothed(const Tensor& input, const Tensor& logs, const Tensor& target, const Tensor& weight, Reduction how, int64_t ignore_index, double smoothing) {
  const int64_t nd = input.dim(), class_dim = nd == 1 ? 0 : 1, classes = input.size(class_dim);
  const auto pair = nll.many<2>(logs, target, weight, int64_t(how), ignore_index);
  Tensor smooth = neg(sum_dim(weight.defined() ? logs * along_classes(weight, nd, class_dim) : logs, Dims{class_dim}));
  smooth = where(eq(nd == 1 ? view(target, Dims()) : target, Scalar(ignore_index)), Scalar(0.0), smooth);
  if (how != Reduction::None) {
    smooth = sum(smooth);
    if (how == Reduction::Mean) smooth = smooth / pair[1];
  }
  return pair[0] * Scalar(1 - smoothing) + smooth * Scalar(smoothing / double(classes));
}

Tensor run_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, std::optional<bool> size_average, int64_t ignore_index, std::optional<bool> reduce,
                         std::string_view reduction, double smoothing) {
  const Reduction how = reduction_of(reduction, size_average, reduce);
  check(smoothing >= 0 && smoothing <= 1, "label_smoothing must be between 0.0 and 1.0. Got: ", smoothing);
  if (same(input.sizes(), target.sizes())) {
    check(ignore_index < 0, "ignore_index is not supported for floating point target");
    return cross_entropy_probabilities(input, target, weight, how, smoothing);
  }
  const Tensor logs = log_softmax(input, int64_t(input.dim() == 1 ? 0 : 1));
  return smoothing > 0 ? smoothed(input, logs, target, weight, how, ignore_index, smoothing) : nll_nd(logs, target, weight, how, ignore_index);
}

}  // namespace

static const Op nll_loss{OpDef{.schema = "nll_loss(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, int ignore_index=-100, bool? reduce=None, str reduction='mean') -> Tensor",
                               .run = fn<run_nll_loss>, .on = NN, .composite = true,
                               .doc = "The mean of minus the log-probabilities of the target classes.\n\nArgs: input (batch, classes, ...) or (classes,); target (batch, ...), class indices; weight of each class or "
                                      "None, by whose sum over the targets the mean divides; targets equal to ignore_index do not count. Raises ValueError for other sizes, IndexError for other "
                                      "classes.\n\nExample::\n\n    >>> torch.nn.functional.nll_loss(torch.tensor([[-1.0, -2.0]]), torch.tensor([1]))\n    tensor(2.)\n"}};
static const Op cross_entropy{OpDef{.schema = "cross_entropy(Tensor input, Tensor target, Tensor? weight=None, bool? size_average=None, int ignore_index=-100, bool? reduce=None, str reduction='mean', "
                                       "float label_smoothing=0.0) -> Tensor",
                             .run = fn<run_cross_entropy>, .on = NN, .composite = true,
                             .doc = "The mean of minus the log-probabilities that softmax(input) gives the target classes.\n\nArgs: input (batch, classes, ...) or (classes,), logits; target: class indices "
                                    "(batch, ...), or probabilities of input's shape; weight of each class or None; label_smoothing in [0, 1] moves that part of each target to all classes "
                                    "(Szegedy et al., 2016). Raises ValueError for other sizes, IndexError for other classes.\n\nExample::\n\n    >>> torch.nn.functional.cross_entropy("
                                    "torch.zeros(1, 2), torch.tensor([1]))\n    tensor(0.6931)\n"}};

}  // namespace tabula
