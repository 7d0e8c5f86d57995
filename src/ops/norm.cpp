#include "ops/norm.h"

#include "core/state.h"
#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/copy.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace tabula {

DType norm_parameter_dtype(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const DType d = weight.defined() ? weight.dtype() : bias.defined() ? bias.dtype() : x.dtype();
  const bool fits = (d == x.dtype() || (is_reduced_float(x.dtype()) && d == DType::Float32)) && (!bias.defined() || bias.dtype() == d);
  check(fits, "mixed dtype (CPU): expect parameter to have scalar type of Float");
  return d;
}

NormBackward::NormBackward(const Tensor& grad, const Tensor& input, const Tensor& given_weight, IntList parameter_sizes,
                           std::span<const bool> mask)
    : dy(contiguous_raw(grad)),
      x(contiguous_raw(input)),
      weight(given_weight.defined() ? contiguous_raw(given_weight) : given_weight),
      parameter(given_weight.defined() ? given_weight.dtype() : input.dtype()) {
  if (mask[0]) dx = Tensor::empty(input.sizes(), input.dtype(), input.device());
  if (mask[1] && given_weight.defined()) dweight = Tensor::empty(parameter_sizes, parameter, input.device());
  if (mask[2]) dbias = Tensor::empty(parameter_sizes, parameter, input.device());
}

void NormBackward::clear() const {
  if (dweight.defined()) fill_into(dweight, Scalar(0));
  if (dbias.defined()) fill_into(dbias, Scalar(0));
}

// With xhat = (x - mean) rstd and gw = grad weight: dx = rstd (gw - mean(gw) - xhat mean(gw xhat)), the means taken as
// the statistics are; RMS norm has no mean to correct for.
NormGradients norm_gradients(const Tensor& grad, const Tensor& x, const Tensor& weight, const NormForm& form, const Tensor* fixed_mean, const Tensor* fixed_rstd) {
  const Tensor g = reshape(grad, form.view), values = reshape(x, form.view);
  const auto average = [&](const Tensor& t) { return mean_dim(t, form.statistic_dims, true); };
  Tensor xhat, rstd;
  if (fixed_mean) {
    rstd = reshape(*fixed_rstd, form.weight_view);
    xhat = (values - reshape(*fixed_mean, form.weight_view)) * rstd;
  } else {
    const Tensor centred = form.rms ? values : values - average(values);
    rstd = rsqrt(average(centred * centred) + Scalar(form.eps));
    xhat = centred * rstd;
  }
  const Tensor gw = weight.defined() ? g * reshape(weight, form.weight_view) : g;
  NormGradients result;
  if (fixed_mean)
    result.x = gw * rstd;
  else if (form.rms)
    result.x = rstd * (gw - xhat * average(gw * xhat));
  else
    result.x = rstd * (gw - average(gw) - xhat * average(gw * xhat));
  result.x = reshape(result.x, x.sizes());
  if (weight.defined()) result.weight = reshape(sum_dim(g * xhat, form.weight_dims), weight.sizes());
  result.bias = reshape(sum_dim(g, form.weight_dims), IntList(Dims{count_elements(form.weight_view)}));
  return result;
}

void differentiate_norm_backward(Backward& b, const NormForm& form, const Tensor* fixed_mean, const Tensor* fixed_rstd) {
  const bool further = thread_state.grad_enabled;
  const uint64_t begun = autograd_hooks.now();
  Tensor own[3];
  std::vector<Tensor> wanted, outputs, grads;
  std::vector<int> which;
  {
    Restore recording(thread_state.grad_enabled, true);
    for (int i = 0; i < 3; i++) {
      const Tensor& t = b.in(i);
      if (!t.defined()) continue;
      own[i] = autograd_hooks.own_variable(t, further);
      if (!b.needs(i)) continue;
      wanted.push_back(own[i]);
      which.push_back(i);
    }
    const NormGradients first = norm_gradients(own[0], own[1], own[2], form, fixed_mean, fixed_rstd);
    const Tensor results[3] = {first.x, first.weight, first.bias};
    for (int i = 0; i < 3; i++) {
      if (!b.has_g(i) || !results[i].defined() || !results[i].needs_grad()) continue;
      outputs.push_back(results[i]);
      grads.push_back(reshape(b.g(i), results[i].sizes()));
    }
  }
  if (outputs.empty() || wanted.empty()) return;
  const std::vector<Tensor> found = autograd_hooks.grad(TensorList(outputs), TensorList(wanted), TensorList(grads), begun);
  for (size_t i = 0; i < which.size(); i++)
    if (found[i].defined()) b.set(which[i], found[i]);
}

}  // namespace tabula
