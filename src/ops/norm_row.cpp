// Layer norm and RMS norm: each row of trailing dimensions by itself.
#include <limits>

#include "core/hint.h"
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
#include "ops/view.h"

namespace tabula {
namespace {

struct Rows {
  int64_t rows = 1, n = 1;
  Rows(IntList sizes, IntList normalized) {
    const size_t lead = sizes.size() - normalized.size();
    for (size_t d = 0; d < sizes.size(); d++) (d < lead ? rows : n) *= sizes[d];
  }
};

void check_rows(const Tensor& x, IntList normalized, const Tensor& weight, const Tensor& bias, bool rms) {
  check(!normalized.empty(), "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = []");
  for (const Tensor* p : {&weight, &bias})
    if (p->defined())
      check(same(p->sizes(), normalized), "Expected ", p == &weight ? "weight" : "bias", " to be of same shape as normalized_shape, but got ", p == &weight ? "weight" : "bias", " of shape ",
            shape_text(p->sizes()), " and normalized_shape = ", shape_text(normalized));
  const bool fits = x.dim() >= int64_t(normalized.size()) && same(x.sizes().last(normalized.size()), normalized);
  if (fits) return;
  std::string wanted = "[*";
  for (size_t i = 0; i < normalized.size(); i++) wanted += (rms && i == 0 ? "" : ", ") + std::to_string(normalized[i]);
  fail(ErrorKind::Runtime, "Given normalized_shape=", shape_text(normalized), ", expected input with shape ", wanted, "], but got input of size", shape_text(x.sizes()), features_hint(x.sizes(), normalized));
}

// Results: y, and per row the mean (not of RMS norm) and 1 / sqrt(variance + eps).
std::tuple<Tensor, Tensor, Tensor> run_row_norm(const Tensor& input, IntList normalized, const Tensor& weight, const Tensor& bias, double eps, bool rms) {
  check_rows(input, normalized, weight, bias, rms);
  check_implemented(is_floating(input.dtype()) && !is_float8(input.dtype()), "\"", rms ? "rms_norm" : "LayerNormKernelImpl", "\" not implemented for '", dtype_title(input.dtype()), "'");
  const DType parameter = norm_parameter_dtype(input, weight, bias), statistic = norm_statistic_dtype(input.dtype());
  const Rows shape(input.sizes(), normalized);
  const Tensor x = contiguous_raw(input), w = weight.defined() ? contiguous_raw(weight) : weight, v = bias.defined() ? contiguous_raw(bias) : bias;
  Tensor y = Tensor::empty(input.sizes(), input.dtype(), input.device());
  Dims kept(input.sizes());
  for (int64_t d = kept.size() - int64_t(normalized.size()); d < kept.size(); d++) kept[d] = 1;
  Tensor mean = rms ? Tensor() : Tensor::empty(kept, statistic, input.device()), rstd = Tensor::empty(kept, statistic, input.device());
  kernels::RowNormCall call{};
  call.rms = rms;
  call.rows = shape.rows;
  call.n = shape.n;
  call.eps = eps;
  call.dtype = input.dtype();
  call.weight_dtype = parameter;
  call.x = x.data();
  call.weight = w.defined() ? w.data() : nullptr;
  call.bias = v.defined() ? v.data() : nullptr;
  call.y = y.data();
  call.mean = rms ? nullptr : mean.data();
  call.rstd = rstd.data();
  if (shape.rows) kernels::row_norm[input.device().kind](call);
  return {y, mean, rstd};
}

std::tuple<Tensor, Tensor, Tensor> run_row_norm_backward(const Tensor& grad, const Tensor& input, const Tensor& weight, const Tensor& mean, const Tensor& rstd, IntList normalized,
                                                         std::span<const bool> mask, double eps, bool rms) {
  (void)eps;
  const Rows shape(input.sizes(), normalized);
  const NormBackward backward(grad, input, weight, normalized, mask);
  kernels::RowNormCall call{};
  call.rms = rms;
  call.rows = shape.rows;
  call.n = shape.n;
  return backward.run(kernels::row_norm_backward, call, rms ? nullptr : mean.data(), rstd, shape.rows && shape.n);
}

void row_norm_backward_vjp(Backward& b) {
  const Rows shape(b.in(1).sizes(), b.ints(5));
  differentiate_norm_backward(b, {Dims{shape.rows, 1, shape.n, 1}, Dims{2, 3}, Dims{1, 1, shape.n, 1}, Dims{0, 1, 3}, b.flag(8), b.number(7)});
}
const Op row_norm_backward{OpDef{.schema = "_row_norm_backward(Tensor grad_output, Tensor input, Tensor? weight, Tensor? mean, Tensor rstd, int[] normalized_shape, bool[3] output_mask, float eps, "
                                           "bool rms) -> (Tensor, Tensor, Tensor)",
                                 .run = fn<run_row_norm_backward>, .on = Hidden, .vjp = row_norm_backward_vjp, .save = in(0) | in(1) | in(2), .node = "NativeLayerNormBackwardBackward0", .batch = batch::row_norm_backward}};

void row_norm_vjp(Backward& b) {
  const bool mask[3] = {b.needs(0), b.needs(2), b.needs(3)};
  auto [dx, dw, db] = row_norm_backward.many<3>(b.g(), b.in(0), b.in(2), b.out(1), b.out(2), b.ints(1), std::span<const bool>(mask), b.number(4), b.flag(5));
  if (mask[0]) b.set(0, dx);
  if (mask[1]) b.set(2, dw);
  if (mask[2]) b.set(3, db);
}
const Op row_norm{OpDef{.schema = "_row_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps, bool rms) -> (Tensor, Tensor, Tensor)", .run = fn<run_row_norm>,
                        .on = Internal, .vjp = row_norm_vjp, .save = in(0) | in(2) | out(1) | out(2), .nondiff = 6, .node = "NativeLayerNormBackward0", .batch = batch::row_norm}};

// ---- layer norm ----

Tensor run_layer_norm(const Tensor& input, IntList normalized, const Tensor& weight, const Tensor& bias, double eps) { return row_norm(input, normalized, weight, bias, eps, false); }
Tensor run_layer_norm_torch(const Tensor& input, IntList normalized, const Tensor& weight, const Tensor& bias, double eps, bool) {
  return run_layer_norm(input, normalized, weight, bias, eps);
}
const Op layer_norm_torch{OpDef{.schema = "layer_norm.torch(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enable=True) -> Tensor",
                                .run = fn<run_layer_norm_torch>, .on = Function, .composite = true, .doc = "Called by torch.nn.functional.layer_norm, which see."
        TABULA_EXAMPLE("torch.layer_norm(torch.tensor([1., 3.]), [2], eps=0.)", "tensor([-1.,  1.])")}};
std::tuple<Tensor, Tensor, Tensor> run_native_layer_norm(const Tensor& input, IntList normalized, const Tensor& weight, const Tensor& bias, double eps) {
  auto [y, mean, rstd] = row_norm.many<3>(input, normalized, weight, bias, eps, false);
  const DType shown = weight.defined() ? weight.dtype() : input.dtype();
  return {y, mean.dtype() == shown ? mean : to_dtype(mean, shown), rstd.dtype() == shown ? rstd : to_dtype(rstd, shown)};
}
const Op native_layer_norm{OpDef{.schema = "native_layer_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)",
                                 .run = fn<run_native_layer_norm>, .on = Function | Internal, .composite = true,
                                 .doc = "Layer normalisation with its statistics: the result, the mean and 1 / sqrt(variance + eps) of each row. See torch.nn.functional.layer_norm."
        TABULA_EXAMPLE("torch.native_layer_norm(torch.tensor([1., 3.]), [2], None, None, 0.)",
                       "(tensor([-1.,  1.]), tensor([2.]), tensor([1.]))")}};

// ---- RMS norm ----

// The smallest step of a dtype at 1.
double step_at_one(DType d) {
  switch (real_dtype(d)) {
    case DType::Float64: return std::numeric_limits<double>::epsilon();
    case DType::Float16: return 0.0009765625;
    case DType::BFloat16: return 0.0078125;
    default: return std::numeric_limits<float>::epsilon();
  }
}
Tensor run_rms_norm(const Tensor& input, IntList normalized, const Tensor& weight, std::optional<double> eps) {
  check_rows(input, normalized, weight, Tensor(), true);
  check_implemented(is_differentiable(input.dtype()), "\"rms_norm\" not implemented for '", dtype_title(input.dtype()), "'");
  const double floor = eps.value_or(step_at_one(input.dtype()));
  const bool mixed = weight.defined() && weight.dtype() != input.dtype() && !(is_reduced_float(input.dtype()) && weight.dtype() == DType::Float32);
  if (!is_complex(input.dtype()) && !mixed) return row_norm(input, normalized, weight, Value(), floor, true);
  Dims dims;
  for (int64_t d = 1; d <= int64_t(normalized.size()); d++) dims.push_back(-d);
  const Tensor y = input * rsqrt(mean_dim(input * input, dims, true) + Scalar(floor));
  return weight.defined() ? y * weight : y;
}

#define NORM_DOC(what, formula, source, example, value)                                                                                  \
  what "\n\nOver the trailing dims normalized_shape: " formula ".\nArgs: input (floating), normalized_shape, parameters of that shape, eps. Source: " source \
  "\n\nExample::\n\n    >>> torch.nn.functional." example "\n    " value "\n"

}  // namespace

const Op layer_norm{OpDef{.schema = "layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05) -> Tensor", .run = fn<run_layer_norm>, .on = NN,
                          .composite = true,
                          .doc = NORM_DOC("Layer normalisation.", "(x - mean) / sqrt(variance + eps) * weight + bias, the variance biased", "Ba, Kiros and Hinton, 2016.",
                                          "layer_norm(torch.tensor([1., 3.]), (2,))", "tensor([-1.0000,  1.0000])")}};
const Op rms_norm{OpDef{.schema = "rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor", .run = fn<run_rms_norm>, .on = NN | Function, .composite = true,
                        .doc = NORM_DOC("Root mean square normalisation.", "x / sqrt(mean(x^2) + eps) * weight; eps is the dtype's step at 1 when None", "Zhang and Sennrich, 2019.",
                                        "rms_norm(torch.tensor([1., 1.]), (2,), eps=0.)", "tensor([1., 1.])")}};
#undef NORM_DOC

}  // namespace tabula
