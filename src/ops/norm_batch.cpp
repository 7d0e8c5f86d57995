// Batch norm, with running statistics, and instance norm, which is batch norm of one long batch of channels.
#include "core/state.h"
#include "kernels/norm.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/factory.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/transcendental.h"
#include "ops/view.h"

namespace tabula {
namespace {

struct Batch {
  int64_t batch, channels, inner = 1;
  explicit Batch(IntList sizes) : batch(sizes.empty() ? 0 : sizes[0]), channels(sizes.size() > 1 ? sizes[1] : 0) {
    for (size_t d = 2; d < sizes.size(); d++) inner *= sizes[d];
  }
};

void check_channels(const Tensor& t, int64_t channels, const char* name) {
  if (t.defined()) check(t.numel() == channels, name, " should contain ", channels, " elements not ", t.numel());
}

// running = (1 - momentum) running + momentum new, as a write that autograd sees by the version only
void update_running(const Tensor& running, const Tensor& value, double momentum, DType input) {
  double keep = 1 - momentum;
  Tensor update = value;
  if (input == DType::BFloat16 && running.dtype() == input) {
    // PyTorch rounds every step to bfloat16
    momentum = double(float(BFloat16(float(momentum))));
    keep = double(float(BFloat16(float(keep))));
    update = cast_raw(value, input);
  }
  copy_into(running, running * Scalar(keep) + update * Scalar(momentum));
  running.bump_version();
}

Tensor as_statistic(const Tensor& t, DType dtype) { return contiguous_raw(t.dtype() == dtype ? t : cast_raw(t, dtype)); }

// Results: y, and per channel the mean and 1 / sqrt(variance + eps) that were used.
std::tuple<Tensor, Tensor, Tensor> run_batch_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool training, double momentum,
                                                  double eps) {
  const Batch shape(input.sizes());
  check(training || (running_mean.defined() && running_var.defined()), running_mean.defined() ? "running_var" : "running_mean", " must be defined in evaluation mode");
  check_channels(running_mean, shape.channels, "running_mean");
  check_channels(running_var, shape.channels, "running_var");
  check_channels(weight, shape.channels, "weight");
  check_channels(bias, shape.channels, "bias");
  check(input.dim() >= 2 || input.numel() == 0, "Expected at least 2 dimensions for input tensor but received ", input.dim());
  check_implemented(is_floating(input.dtype()) && !is_float8(input.dtype()), "\"batch_norm\" not implemented for '", dtype_title(input.dtype()), "'");
  const DType parameter = norm_parameter_dtype(input, weight, bias), statistic = norm_statistic_dtype(input.dtype());
  for (const Tensor* t : {&running_mean, &running_var})
    if (t->defined()) norm_parameter_dtype(input, *t, Tensor());
  const Tensor x = contiguous_raw(input), w = weight.defined() ? contiguous_raw(weight) : weight, v = bias.defined() ? contiguous_raw(bias) : bias;
  const Dims per_channel{shape.channels};
  Tensor y = Tensor::empty(input.sizes(), input.dtype(), input.device()), mean, rstd;
  kernels::BatchNormCall call{};
  call.training = training;
  call.batch = shape.batch;
  call.channels = shape.channels;
  call.inner = shape.inner;
  call.eps = eps;
  call.dtype = input.dtype();
  call.weight_dtype = parameter;
  call.x = x.data();
  call.weight = w.defined() ? w.data() : nullptr;
  call.bias = v.defined() ? v.data() : nullptr;
  call.y = y.data();
  const bool any = input.numel() > 0;
  if (training) {
    mean = Tensor::empty(per_channel, statistic, input.device());
    rstd = Tensor::empty(per_channel, statistic, input.device());
    const Tensor variance = Tensor::empty(per_channel, statistic, input.device());
    call.mean = mean.data();
    call.rstd = rstd.data();
    call.variance = variance.data();
    if (any) {
      kernels::batch_norm_statistics[input.device().kind](call);
      const double n = double(shape.batch * shape.inner);
      if (running_mean.defined()) update_running(running_mean, mean, momentum, input.dtype());
      if (running_var.defined()) update_running(running_var, variance * Scalar(n / (n - 1)), momentum, input.dtype());
    } else {
      fill_into(mean, Scalar(0));
      fill_into(rstd, Scalar(0));
    }
  } else {
    mean = as_statistic(running_mean, statistic);
    rstd = rsqrt(as_statistic(running_var, statistic) + Scalar(eps));
    if (mean.is(running_mean)) mean = clone_raw(mean);
    call.mean = mean.data();
    call.rstd = rstd.data();
  }
  if (any) kernels::batch_norm_apply[input.device().kind](call);
  return {y, mean, rstd};
}

std::tuple<Tensor, Tensor, Tensor> run_batch_norm_backward(const Tensor& grad, const Tensor& input, const Tensor& weight, const Tensor& mean, const Tensor& rstd, bool training,
                                                           std::span<const bool> mask, double eps) {
  (void)eps;
  const Batch shape(input.sizes());
  const NormBackward backward(grad, input, weight, Dims{shape.channels}, mask);
  kernels::BatchNormCall call{};
  call.training = training;
  call.batch = shape.batch;
  call.channels = shape.channels;
  call.inner = shape.inner;
  return backward.run(kernels::batch_norm_backward, call, mean.data(), rstd, input.numel() != 0);
}

void batch_norm_backward_vjp(Backward& b) {
  const Batch shape(b.in(1).sizes());
  const NormForm form{Dims{shape.batch, shape.channels, shape.inner, 1}, Dims{0, 2}, Dims{1, shape.channels, 1, 1}, Dims{0, 2, 3}, false, b.number(7)};
  if (b.flag(5)) return differentiate_norm_backward(b, form);
  const Tensor mean = b.in(3), rstd = b.in(4);
  differentiate_norm_backward(b, form, &mean, &rstd);
}
const Op batch_norm_backward{OpDef{.schema = "_batch_norm_backward(Tensor grad_output, Tensor input, Tensor? weight, Tensor mean, Tensor rstd, bool training, bool[3] output_mask, float eps) "
                                             "-> (Tensor, Tensor, Tensor)",
                                   .run = fn<run_batch_norm_backward>, .on = Internal, .vjp = batch_norm_backward_vjp, .save = in(0) | in(1) | in(2) | in(3) | in(4),
                                   .node = "NativeBatchNormBackwardBackward0", .batch = batch::batch_norm_backward}};

void batch_norm_vjp(Backward& b) {
  const bool mask[3] = {b.needs(0), b.needs(1), b.needs(2)};
  auto [dx, dw, db] = batch_norm_backward.many<3>(b.g(), b.in(0), b.in(1), b.out(1), b.out(2), b.flag(5), std::span<const bool>(mask), b.number(7));
  if (mask[0]) b.set(0, dx);
  if (mask[1]) b.set(1, dw);
  if (mask[2]) b.set(2, db);
}
const Op batch_norm_core{OpDef{.schema = "_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps) "
                                         "-> (Tensor, Tensor, Tensor)",
                               .run = fn<run_batch_norm>, .on = Internal, .vjp = batch_norm_vjp, .save = in(0) | in(1) | out(1) | out(2), .nondiff = 6, .node = "NativeBatchNormBackward0", .batch = batch::batch_norm}};

Tensor run_batch_norm_torch(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool training, double momentum, double eps, bool) {
  return batch_norm_core(input, weight, bias, running_mean, running_var, training, momentum, eps);
}
const Op batch_norm_torch{OpDef{.schema = "batch_norm.torch(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps, "
                                          "bool cudnn_enabled) -> Tensor",
                                .run = fn<run_batch_norm_torch>, .on = Function, .composite = true, .doc = "Called by torch.nn.functional.batch_norm, which see."
        TABULA_EXAMPLE("torch.batch_norm(torch.tensor([[1.], [3.]]), None, None, None, None, True, 0.1, 0., True)",
                       "tensor([[-1.],\n"
                       "            [ 1.]])")}};

// Statistics are shown in the parameters' dtype, and only where they come from the batch.
using Three = std::tuple<Tensor, Tensor, Tensor>;
Three run_native(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool training, double momentum, double eps) {
  auto [y, mean, rstd] = batch_norm_core.many<3>(input, weight, bias, running_mean, running_var, training, momentum, eps);
  DType shown = input.dtype();
  for (const Tensor* t : {&weight, &bias, &running_mean, &running_var})
    if (t->defined()) shown = t->dtype();
  if (!training) {
    const Tensor none = Tensor::empty(Dims{0}, shown, input.device());
    return {y, none, none};
  }
  return {y, mean.dtype() == shown ? mean : to_dtype(mean, shown), rstd.dtype() == shown ? rstd : to_dtype(rstd, shown)};
}
Three run_native_no_stats(const Tensor& input, const Tensor& weight, const Tensor& bias, bool training, double momentum, double eps) {
  return run_native(input, weight, bias, Tensor(), Tensor(), training, momentum, eps);
}
#define NATIVE(name, optional) \
  name "(Tensor input, Tensor? weight, Tensor? bias, Tensor" optional " running_mean, Tensor" optional " running_var, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)"
const Op native_batch_norm{OpDef{.schema = NATIVE("native_batch_norm", "?"), .run = fn<run_native>, .on = Function | Internal | OutForm, .composite = true,
                                 .doc = "Batch normalisation with its statistics: the result, and in training the batch's mean and 1 / sqrt(variance + eps). See torch.nn.functional.batch_norm."
        TABULA_EXAMPLE("torch.native_batch_norm(torch.tensor([[1.], [3.]]), None, None, None, None, True, 0.1, 0.)[1:]", "(tensor([2.]), tensor([1.]))")}};
const Op legit{OpDef{.schema = NATIVE("_native_batch_norm_legit", ""), .run = fn<run_native>, .on = Function | Internal | OutForm, .composite = true,
                     .doc = "torch.native_batch_norm with running statistics, or without any."}};
#undef NATIVE
const Op legit_no_stats{OpDef{.schema = "_native_batch_norm_legit.no_stats(Tensor input, Tensor? weight, Tensor? bias, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)",
                              .run = fn<run_native_no_stats>, .on = Function | Internal | OutForm, .composite = true}};

// The fourth result is scratch of other libraries.
using Four = std::tuple<Tensor, Tensor, Tensor, Tensor>;
template <bool training>
Four run_reserve(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, double momentum, double eps) {
  auto [y, mean, rstd] = run_native(input, weight, bias, running_mean, running_var, training, momentum, eps);
  return {y, mean, rstd, Tensor::empty(Dims{0}, DType::UInt8, input.device())};
}
#define RESERVE(name) name "(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, float momentum, float eps) -> (Tensor, Tensor, Tensor, Tensor)"
const Op with_update{OpDef{.schema = RESERVE("_batch_norm_with_update"), .run = fn<run_reserve<true>>, .on = Function | Internal, .composite = true,
                           .doc = "torch.native_batch_norm in training, with an empty fourth result for the scratch of other libraries."}};
const Op no_update{OpDef{.schema = RESERVE("_batch_norm_no_update"), .run = fn<run_reserve<false>>, .on = Function | Internal, .composite = true,
                         .doc = "torch.native_batch_norm by the running statistics, with an empty fourth result for the scratch of other libraries."}};
#undef RESERVE

// ---- torch.nn.functional ----

// As Python writes a float.
std::string float_text(double value) {
  const std::string text = concat(value);
  return text.find_first_of(".en") == text.npos ? text + ".0" : text;
}

Tensor run_batch_norm_nn(const Tensor& input, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight, const Tensor& bias, bool training, double momentum, double eps) {
  if (training) {
    const Batch shape(input.sizes());
    check_value(shape.batch * shape.inner != 1, "Expected more than 1 value per channel when training, got input size torch.Size(", shape_text(input.sizes()), ")");
    check_value(eps > 0, "batch_norm eps must be positive during training, but got ", float_text(eps));
  }
  check_value(eps >= 0, "batch_norm eps must be non-negative, but got ", float_text(eps));
  return batch_norm_core(input, weight, bias, running_mean, running_var, training, momentum, eps);
}

Tensor repeated(const Tensor& t, int64_t times) {
  if (!t.defined()) return t;
  const int64_t n = t.numel();
  return reshape(expand(reshape(t, Dims{1, n}), Dims{times, n}), Dims{times * n});
}
// Each sample's channels count as channels of their own; running statistics take the mean over the samples.
Tensor instance_norm_of(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool use_input_stats, double momentum, double eps) {
  check(use_input_stats || (running_mean.defined() && running_var.defined()), "Expected running_mean and running_var to be defined when use_input_stats is false");
  check(input.dim() >= 2, "Expected at least 2 dimensions for input tensor but received ", input.dim());
  const int64_t samples = input.sizes()[0], channels = input.sizes()[1];
  Dims sizes(input.sizes());
  sizes[0] = 1;
  sizes[1] = samples * channels;
  const Tensor mean = repeated(running_mean, samples), variance = repeated(running_var, samples);
  const Tensor y = batch_norm_core(reshape(contiguous(input), sizes), repeated(weight, samples), repeated(bias, samples), mean, variance, use_input_stats, momentum, eps);
  if (use_input_stats) {
    const int64_t over = 0;
    const auto settle = [&](const Tensor& running, const Tensor& many) {
      if (!running.defined() || samples == 0) return;
      copy_(running, reshape(mean_dim(reshape(many, Dims{samples, channels}), IntList(&over, 1)), running.sizes()));
    };
    const NoGrad guard;
    settle(running_mean, mean);
    settle(running_var, variance);
  }
  return reshape(y, input.sizes());
}
Tensor run_instance_norm_torch(const Tensor& input, const Tensor& weight, const Tensor& bias, const Tensor& running_mean, const Tensor& running_var, bool use_input_stats, double momentum, double eps,
                               bool) {
  return instance_norm_of(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps);
}
const Op instance_norm_torch{OpDef{.schema = "instance_norm.torch(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool use_input_stats, float momentum, "
                                             "float eps, bool cudnn_enabled) -> Tensor",
                                   .run = fn<run_instance_norm_torch>, .on = Function, .composite = true, .doc = "Called by torch.nn.functional.instance_norm, which see."
        TABULA_EXAMPLE("torch.instance_norm(torch.tensor([[[1., 3.]]]), None, None, None, None, True, 0.1, 0., True)",
                       "tensor([[[-1.,  1.]]])")}};
Tensor run_instance_norm_nn(const Tensor& input, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight, const Tensor& bias, bool use_input_stats, double momentum, double eps) {
  check_value(running_mean.defined() == running_var.defined(), "running_mean and running_var must either both be None or neither be None");
  if (use_input_stats)
    check_value(Batch(input.sizes()).inner != 1, "Expected more than 1 spatial element when training, got input size torch.Size(", shape_text(input.sizes()), ")");
  return instance_norm_of(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps);
}
const Op instance_norm{OpDef{.schema = "instance_norm(Tensor input, Tensor? running_mean=None, Tensor? running_var=None, Tensor? weight=None, Tensor? bias=None, bool use_input_stats=True, "
                                       "float momentum=0.1, float eps=1e-05) -> Tensor",
                             .run = fn<run_instance_norm_nn>, .on = NN, .composite = true,
                             .doc = "Instance normalisation: each channel of each sample by its own mean and variance, then a weight and a bias per channel.\n\n"
                                    "Args: input (N, C, ...) floating, running statistics (C) or None, weight, bias, use_input_stats, momentum, eps. Source: Ulyanov et al., 2016.\n\n"
                                    "Example::\n\n    >>> torch.nn.functional.instance_norm(torch.tensor([[[1., 3.]]]))\n    tensor([[[-1.0000,  1.0000]]])\n"}};

}  // namespace

const Op batch_norm{OpDef{.schema = "batch_norm(Tensor input, Tensor? running_mean, Tensor? running_var, Tensor? weight=None, Tensor? bias=None, bool training=False, float momentum=0.1, "
                                    "float eps=1e-05) -> Tensor",
                          .run = fn<run_batch_norm_nn>, .on = NN, .composite = true,
                          .doc = "Batch normalisation: (x - mean) / sqrt(variance + eps) per channel, then a weight and a bias per channel.\n\n"
                                 "In training the batch's own statistics are used (biased variance) and the running ones updated in place (unbiased); otherwise\n"
                                 "the running ones are used. Args: input (N, C, ...) floating. Source: Ioffe and Szegedy, 2015.\n\n"
                                 "Example::\n\n    >>> torch.nn.functional.batch_norm(torch.tensor([[1.], [3.]]), None, None, training=True)\n    tensor([[-1.0000],\n            [ 1.0000]])\n"}};

}  // namespace tabula
