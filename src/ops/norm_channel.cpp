// Group norm: groups of channels of each sample by themselves.
#include "kernels/norm.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/doc.h"
#include "ops/norm.h"
#include "ops/view.h"

namespace tabula {
namespace {

struct Channels {
  int64_t batch, channels, inner = 1;
  explicit Channels(IntList sizes) : batch(sizes[0]), channels(sizes[1]) {
    for (size_t d = 2; d < sizes.size(); d++) inner *= sizes[d];
  }
};

std::tuple<Tensor, Tensor, Tensor> run_group_norm(const Tensor& input, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  check(groups > 0, "Expected num groups to be greater than 0, got ", groups);
  check(input.dim() >= 2, "Expected at least 2 dimensions for input tensor but received ", input.dim());
  const Channels shape(input.sizes());
  check(shape.channels % groups == 0, "Expected number of channels in input to be divisible by num_groups, but got input of shape ", shape_text(input.sizes()), " and num_groups=", groups);
  for (const Tensor* p : {&weight, &bias})
    if (p->defined())
      check(p->dim() == 1 && p->numel() == shape.channels, "Expected ", p == &weight ? "weight" : "bias", " to be a vector of size equal to the number of channels in input, but got ",
            p == &weight ? "weight" : "bias", " of shape ", shape_text(p->sizes()), " and input of shape ", shape_text(input.sizes()));
  check_implemented(is_floating(input.dtype()) && !is_float8(input.dtype()), "\"GroupNormKernelImpl\" not implemented for '", dtype_title(input.dtype()), "'");
  const DType parameter = norm_parameter_dtype(input, weight, bias), statistic = norm_statistic_dtype(input.dtype());
  const Tensor x = contiguous_raw(input), w = weight.defined() ? contiguous_raw(weight) : weight, v = bias.defined() ? contiguous_raw(bias) : bias;
  const Dims per_group{shape.batch, groups};
  Tensor y = Tensor::empty(input.sizes(), input.dtype(), input.device()), mean = Tensor::empty(per_group, statistic, input.device()), rstd = Tensor::empty(per_group, statistic, input.device());
  kernels::GroupNormCall call{};
  call.batch = shape.batch;
  call.channels = shape.channels;
  call.inner = shape.inner;
  call.groups = groups;
  call.eps = eps;
  call.dtype = input.dtype();
  call.weight_dtype = parameter;
  call.x = x.data();
  call.weight = w.defined() ? w.data() : nullptr;
  call.bias = v.defined() ? v.data() : nullptr;
  call.y = y.data();
  call.mean = mean.data();
  call.rstd = rstd.data();
  if (input.numel()) kernels::group_norm[input.device().kind](call);
  return {y, mean, rstd};
}

std::tuple<Tensor, Tensor, Tensor> run_group_norm_backward(const Tensor& grad, const Tensor& input, const Tensor& weight, const Tensor& mean, const Tensor& rstd, int64_t groups,
                                                           std::span<const bool> mask, double eps) {
  (void)eps;
  const Channels shape(input.sizes());
  const NormBackward backward(grad, input, weight, Dims{shape.channels}, mask);
  kernels::GroupNormCall call{};
  call.batch = shape.batch;
  call.channels = shape.channels;
  call.inner = shape.inner;
  call.groups = groups;
  return backward.run(kernels::group_norm_backward, call, mean.data(), rstd, input.numel() != 0);
}

void group_norm_backward_vjp(Backward& b) {
  const Channels shape(b.in(1).sizes());
  const int64_t groups = b.integer(5), each = shape.channels / groups;
  differentiate_norm_backward(b, {Dims{shape.batch, groups, each, shape.inner}, Dims{2, 3}, Dims{1, groups, each, 1}, Dims{0, 3}, false, b.number(7)});
}
const Op group_norm_backward{OpDef{.schema = "_group_norm_backward(Tensor grad_output, Tensor input, Tensor? weight, Tensor mean, Tensor rstd, int groups, bool[3] output_mask, float eps) "
                                             "-> (Tensor, Tensor, Tensor)",
                                   .run = fn<run_group_norm_backward>, .on = Hidden, .vjp = group_norm_backward_vjp, .save = in(0) | in(1) | in(2), .node = "NativeGroupNormBackwardBackward0", .batch = batch::group_norm_backward}};

// What flows back through the statistics themselves: mean = average(x), rstd = (variance + eps)^(-1/2).
Tensor through_statistics(Backward& b) {
  const Tensor& x = b.in(0);
  const Channels shape(x.sizes());
  const int64_t groups = b.integer(1), each = shape.channels / groups;
  const Dims view{shape.batch, groups, each * shape.inner}, per_group{shape.batch, groups, 1};
  const Scalar count(double(each * shape.inner));
  const Tensor values = reshape(x, view), mean = reshape(b.out(1), per_group), rstd = reshape(b.out(2), per_group);
  Tensor total = expand(reshape(b.g(1), per_group) / count, view);
  total = total - reshape(b.g(2), per_group) * rstd * rstd * rstd * (values - mean) / count;
  return reshape(total, x.sizes());
}
void group_norm_vjp(Backward& b) {
  const bool mask[3] = {b.needs(0), b.needs(2), b.needs(3)};
  auto [dx, dw, db] = group_norm_backward.many<3>(b.g(), b.in(0), b.in(2), b.out(1), b.out(2), b.integer(1), std::span<const bool>(mask), b.number(4));
  if (mask[0]) b.set(0, b.has_g(1) || b.has_g(2) ? dx + through_statistics(b) : dx);
  if (mask[1]) b.set(2, dw);
  if (mask[2]) b.set(3, db);
}
const Op group_norm_core{OpDef{.schema = "_group_norm(Tensor input, int groups, Tensor? weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)", .run = fn<run_group_norm>, .on = Internal,
                               .vjp = group_norm_vjp, .save = in(0) | in(2) | out(1) | out(2), .node = "NativeGroupNormBackward0", .batch = batch::group_norm}};

Tensor run_group_norm_torch(const Tensor& input, int64_t groups, const Tensor& weight, const Tensor& bias, double eps, bool) { return group_norm_core(input, groups, weight, bias, eps); }
const Op group_norm_torch{OpDef{.schema = "group_norm.torch(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enabled=True) -> Tensor",
                                .run = fn<run_group_norm_torch>, .on = Function, .composite = true, .doc = "Called by torch.nn.functional.group_norm, which see."
        TABULA_EXAMPLE("torch.group_norm(torch.tensor([[1., 3.]]), 1, eps=0.)", "tensor([[-1.,  1.]])")}};

// One value per channel has no variance to normalise by.
Tensor run_group_norm_nn(const Tensor& input, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  check(input.dim() >= 2, "Expected at least 2 dimensions for input tensor but received ", input.dim());
  if (groups == 0) fail(ErrorKind::ZeroDivision, "integer division or modulo by zero");
  const Channels shape(input.sizes());
  if (shape.batch * shape.inner * (shape.channels / groups) == 1)
    fail(ErrorKind::Value, "Expected more than 1 value per channel when training, got input size ", shape_text(input.sizes()));
  return group_norm_core(input, groups, weight, bias, eps);
}

std::tuple<Tensor, Tensor, Tensor> run_native_group_norm(const Tensor& input, const Tensor& weight, const Tensor& bias, int64_t, int64_t, int64_t, int64_t groups, double eps) {
  auto [y, mean, rstd] = group_norm_core.many<3>(input, groups, weight, bias, eps);
  const DType shown = weight.defined() ? weight.dtype() : input.dtype();
  return {y, to_dtype(mean, shown), to_dtype(rstd, shown)};
}
const Op native_group_norm{OpDef{.schema = "native_group_norm(Tensor input, Tensor? weight, Tensor? bias, int N, int C, int HxW, int group, float eps) -> (Tensor, Tensor, Tensor)",
                                 .run = fn<run_native_group_norm>, .on = Function | Internal, .composite = true,
                                 .doc = "Group normalisation with its statistics: the result, the mean and 1 / sqrt(variance + eps) of each group. See torch.nn.functional.group_norm."
        TABULA_EXAMPLE("torch.native_group_norm(torch.tensor([[1., 3.]]), None, None, 1, 2, 1, 1, 0.)",
                       "(tensor([[-1.,  1.]]), tensor([[2.]]), tensor([[1.]]))")}};

}  // namespace

const Op group_norm{OpDef{.schema = "group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05) -> Tensor", .run = fn<run_group_norm_nn>, .on = NN,
                          .composite = true,
                          .doc = "Group normalisation: (x - mean) / sqrt(variance + eps) over groups of channels of each sample, then a weight and a bias per channel.\n\n"
                                 "Args: input (N, C, ...) floating, num_groups (a divisor of C), weight and bias (C), eps. Source: Wu and He, 2018.\n\n"
                                 "Example::\n\n    >>> torch.nn.functional.group_norm(torch.tensor([[[1., 3.]]]), 1)\n    tensor([[[-1.0000,  1.0000]]])\n"}};

}  // namespace tabula
