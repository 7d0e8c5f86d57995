// Normalisation over rows, groups of channels and batches.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op layer_norm, rms_norm, group_norm, batch_norm;

// What the normalisations have in common: the input seen as (a, b, c, d), which dims of that its statistics run over,
// and how a weight lies in it.
struct NormForm {
  Dims view, statistic_dims, weight_view, weight_dims;
  bool rms = false;
  double eps = 0;
};

// Gradients of the input, the weight and the bias in terms of differentiable operations, statistics included. `fixed`:
// the statistics are these (mean, rstd) and don't depend on x.
struct NormGradients {
  Tensor x, weight, bias;
};
NormGradients norm_gradients(const Tensor& grad, const Tensor& x, const Tensor& weight, const NormForm& form, const Tensor* fixed_mean = nullptr, const Tensor* fixed_rstd = nullptr);

// The derivative of a normalisation's backward row, whose tensor arguments are (grad, x, weight) at 0, 1, 2.
void differentiate_norm_backward(Backward& b, const NormForm& form, const Tensor* fixed_mean = nullptr, const Tensor* fixed_rstd = nullptr);

// What the backward rows of the normalisations share: plain inputs, and the gradients that are wanted.
struct NormBackward {
  Tensor dy, x, weight, dx, dweight, dbias;
  DType parameter;

  NormBackward(const Tensor& grad, const Tensor& input, const Tensor& given_weight, IntList parameter_sizes,
               std::span<const bool> mask);

  // `kernel` is a table by device, `call` has the geometry; without `any` elements the sums are zero.
  template <class Kernel, class Call>
  std::tuple<Tensor, Tensor, Tensor> run(const Kernel& kernel, Call& call, void* mean, const Tensor& rstd,
                                         bool any) const {
    const auto data = [](const Tensor& t) { return t.defined() ? t.data() : nullptr; };
    call.dtype = x.dtype();
    call.weight_dtype = parameter;
    call.x = x.data();
    call.weight = data(weight);
    call.mean = mean;
    call.rstd = rstd.data();
    call.dy = dy.data();
    call.dx = data(dx);
    call.dweight = data(dweight);
    call.dbias = data(dbias);
    if (any)
      kernel[x.device().kind](call);
    else
      clear();
    return {dx, dweight, dbias};
  }

 private:
  void clear() const;
};

// Parameters have the input's dtype, or Float for half inputs.
DType norm_parameter_dtype(const Tensor& x, const Tensor& weight, const Tensor& bias);
// Statistics are kept in double for double inputs, else in float.
inline DType norm_statistic_dtype(DType d) { return d == DType::Float64 ? DType::Float64 : DType::Float32; }

}  // namespace tabula
