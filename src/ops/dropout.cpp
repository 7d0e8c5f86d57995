// Dropout and its relatives, and rrelu: layers that draw while training.
#include <cmath>

#include "core/state.h"
#include "ops/doc.h"
#include "ops/batch.h"
#include "ops/dropout.h"

#include "ops/arith.h"
#include "ops/backward.h"
#include "ops/compare.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/random.h"

namespace tabula {

namespace {

void check_probability(double p) { check(p >= 0 && p <= 1, "dropout probability has to be between 0 and 1, but got ", p); }

// One number for each element, or for each feature map [n, c] with the other dimensions broadcast.
Tensor noise_like(const Tensor& input, bool feature, double keep) {
  Tensor noise;
  if (feature) {
    check(input.dim() >= 2, "Feature dropout requires at least 2 dimensions in the input");
    Dims sizes(input.dim(), 1);
    sizes[0] = input.sizes()[0];
    sizes[1] = input.sizes()[1];
    noise = Tensor::empty(sizes, input.dtype(), input.device());
  } else {
    noise = Tensor::empty_like(input, input.dtype());
  }
  // vmap decides whether the examples share a draw
  if (calls_may_be_taken()) return bernoulli_p(noise, keep);
  fill_bernoulli(noise, keep, nullptr);
  return noise;
}

// ---- dropout: x times 0 or 1 / (1 - p) ----

Tensor drop(const Tensor& input, double p, bool training, bool feature, bool in_place) {
  check_probability(p);
  if (p == 0 || !training || input.numel() == 0) return input;
  if (p == 1) {
    const Tensor zero = zeros_raw({}, input.dtype(), input.device());
    return in_place ? mul.in_place(input, zero) : mul(input, zero);
  }
  const Tensor noise = noise_like(input, feature, 1 - p);
  div.in_place(noise, Scalar(1 - p));
  return in_place ? mul.in_place(input, noise) : mul(input, noise);
}

Tensor run_dropout(const Tensor& input, double p, bool train) { return drop(input, p, train, false, false); }
}  // namespace
const Op dropout{OpDef{.schema = "dropout(Tensor input, float p, bool train) -> Tensor",
                       .run = fn<run_dropout>,
                       .on = Function,
                       .composite = true,
                       .doc = "While training, zeroes elements with probability p and multiplies the others by 1 / (1 - p)."
        TABULA_EXAMPLE("torch.dropout(torch.ones(2), 0.5, False)", "tensor([1., 1.])")}};
Tensor run_dropout_(const Tensor& input, double p, bool train) { return drop(input, p, train, false, true); }
namespace {
const Op dropout_{OpDef{.schema = "dropout_(Tensor input, float p, bool train) -> Tensor", .run = fn<run_dropout_>, .on = Function, .composite = true,
    .doc =
        "In-place form of torch.dropout: writes its result to the input itself and returns it."
        TABULA_EXAMPLE("torch.dropout_(torch.ones(2), 0.5, False)", "tensor([1., 1.])")}};
Tensor run_feature_dropout(const Tensor& input, double p, bool train) { return drop(input, p, train, true, false); }
const Op feature_dropout{OpDef{.schema = "feature_dropout(Tensor input, float p, bool train) -> Tensor", .run = fn<run_feature_dropout>, .on = Function, .composite = true,
    .doc =
        "Dropout of whole channels (dimension 1): each is zero with probability p, the others are scaled by 1 / "
        "(1 - p). The identity if not train."
        TABULA_EXAMPLE("torch.feature_dropout(torch.ones(1, 2, 1), 0.5, False)",
                       "tensor([[[1.],\n"
                       "             [1.]]])")}};
Tensor run_feature_dropout_(const Tensor& input, double p, bool train) { return drop(input, p, train, true, true); }
const Op feature_dropout_{OpDef{.schema = "feature_dropout_(Tensor input, float p, bool train) -> Tensor", .run = fn<run_feature_dropout_>, .on = Function, .composite = true,
          .doc = "In-place form of torch.feature_dropout: writes its result to the input itself and returns it."}};

Tensor run_dropout_nn(const Tensor& input, double p, bool training, bool inplace) {
  if (p < 0 || p > 1) {
    const std::string digits = p == std::floor(p) ? ".0" : "";
    fail(ErrorKind::Value, "dropout probability has to be between 0 and 1, but got ", p, digits);
  }
  return drop(input, p, training, false, inplace);
}
const Op dropout_nn{OpDef{.schema = "dropout.nn(Tensor input, float p=0.5, bool training=True, bool inplace=False) -> Tensor",
                          .run = fn<run_dropout_nn>,
                          .on = NN,
                          .composite = true,
                          .doc = "While training, zeroes elements with probability p and multiplies the others by 1 / (1 - p). Source: Srivastava et al., 2014."
        TABULA_EXAMPLE("torch.nn.functional.dropout(torch.ones(2), training=False)", "tensor([1., 1.])")}};

// The mask as a result of its own.
std::tuple<Tensor, Tensor> run_native_dropout(const Tensor& input, double p, std::optional<bool> train) {
  if (input.numel() == 0) return {input, Tensor::empty(input.sizes(), DType::Bool, input.device())};
  Tensor mask = Tensor::empty_like(input, DType::Bool);
  if (!train.value_or(true)) {
    fill_into(mask, Scalar(true));
    return {clone_raw(input), mask};
  }
  fill_bernoulli(mask, 1 - p, nullptr);
  return {mul(input, mask) * Scalar(p == 1 ? 0.0 : 1 / (1 - p)), mask};
}
Tensor run_native_dropout_backward(const Tensor& grad, const Tensor& mask, double scale) { return grad * mask * Scalar(scale); }
const Op native_dropout_backward{OpDef{.schema = "native_dropout_backward(Tensor grad_output, Tensor mask, float scale) -> Tensor",
                                       .run = fn<run_native_dropout_backward>, .on = Internal | OutForm, .composite = true}};
void native_dropout_vjp(Backward& b) {
  const double p = b.number(1);
  const bool train = !b.has(2) || b.flag(2);
  b.set(0, train ? native_dropout_backward(b.g(), b.out(1), p == 1 ? 0.0 : 1 / (1 - p)) : b.g());
}
const Op native_dropout{OpDef{.schema = "native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)",
                              .run = fn<run_native_dropout>,
                              .on = Function,
                              .vjp = native_dropout_vjp,
                              .save = out(1),
                              .nondiff = 2,
    .batch = batch::dropout, .doc =
        "Dropout that also returns the bool mask of what was kept."
        TABULA_EXAMPLE("torch.native_dropout(torch.ones(2), 0.5, False)", "(tensor([1., 1.]), tensor([True, True]))")}};

// ---- alpha dropout keeps mean and variance of SELU's output (Klambauer et al., 2017) ----

Tensor alpha_drop(const Tensor& input, double p, bool training, bool feature, bool in_place) {
  check_probability(p);
  if (p == 0 || !training || input.numel() == 0) return input;
  if (p == 1) {
    const Tensor zero = zeros_raw({}, input.dtype(), input.device());
    return in_place ? mul.in_place(input, zero) : mul(input, zero);
  }
  constexpr double kAlpha = 1.7580993408473766;  // scale times alpha of SELU
  const double a = 1 / std::sqrt((kAlpha * kAlpha * p + 1) * (1 - p));
  const Tensor noise = noise_like(input, feature, 1 - p);
  const Tensor shift = (noise - Scalar(1)) * Scalar(kAlpha * a) + Scalar(kAlpha * a * p);
  mul.in_place(noise, Scalar(a));
  return in_place ? add.in_place(mul.in_place(input, noise), shift) : input * noise + shift;
}
Tensor run_alpha_dropout(const Tensor& input, double p, bool train) { return alpha_drop(input, p, train, false, false); }
const Op alpha_dropout{OpDef{.schema = "alpha_dropout(Tensor input, float p, bool train) -> Tensor", .run = fn<run_alpha_dropout>, .on = Function, .composite = true,
    .doc =
        "Dropout that keeps mean and variance of selu networks: dropped elements become selu's lower limit, and "
        "all are rescaled. The identity if not train."
        TABULA_EXAMPLE("torch.alpha_dropout(torch.ones(2), 0.5, False)", "tensor([1., 1.])")}};
Tensor run_alpha_dropout_(const Tensor& input, double p, bool train) { return alpha_drop(input, p, train, false, true); }
const Op alpha_dropout_{OpDef{.schema = "alpha_dropout_(Tensor input, float p, bool train) -> Tensor", .run = fn<run_alpha_dropout_>, .on = Function, .composite = true,
          .doc = "In-place form of torch.alpha_dropout: writes its result to the input itself and returns it."}};
Tensor run_feature_alpha_dropout(const Tensor& input, double p, bool train) { return alpha_drop(input, p, train, true, false); }
const Op feature_alpha_dropout{
    OpDef{.schema = "feature_alpha_dropout(Tensor input, float p, bool train) -> Tensor", .run = fn<run_feature_alpha_dropout>, .on = Function, .composite = true,
    .doc =
        "torch.alpha_dropout of whole channels (dimension 1)."
        TABULA_EXAMPLE("torch.feature_alpha_dropout(torch.ones(1, 2, 1), 0.5, False)",
                       "tensor([[[1.],\n"
                       "             [1.]]])")}};
Tensor run_feature_alpha_dropout_(const Tensor& input, double p, bool train) { return alpha_drop(input, p, train, true, true); }
const Op feature_alpha_dropout_{
    OpDef{.schema = "feature_alpha_dropout_(Tensor input, float p, bool train) -> Tensor", .run = fn<run_feature_alpha_dropout_>, .on = Function, .composite = true,
          .doc = "In-place form of torch.feature_alpha_dropout: writes its result to the input itself and returns it."}};

// ---- rrelu: slopes drawn where x <= 0 (Xu et al., 2015) ----

std::tuple<Tensor, Tensor> run_rrelu_training(const Tensor& input, double lower, double upper, Generator* generator) {
  const Tensor x = contiguous_raw(input);
  Tensor noise = Tensor::empty(x.sizes(), x.dtype(), x.device()), result = Tensor::empty(x.sizes(), x.dtype(), x.device());
  if (x.numel()) {
    Generator& g = generator_or_default(generator);
    const Generator::Drawing drawing(g);
    kernels::random_rrelu[x.device().kind](g, x.dtype(), x.data(), noise.data(), result.data(), x.numel(), lower, upper);
  }
  return {result, noise};
}
void rrelu_training_vjp(Backward& b) { b.set(0, b.g() * b.out(1)); }
const Op rrelu_training{OpDef{.schema = "_rrelu_training(Tensor input, float lower, float upper, Generator? generator=None) -> (Tensor, Tensor)",
                              .run = fn<run_rrelu_training>,
                              .on = Internal,
                              .vjp = rrelu_training_vjp,
                              .save = out(1),
                              .nondiff = 2,
                              .node = "RreluWithNoiseBackward0", .batch = batch::draw_given}};

Tensor rrelu(const Tensor& input, double lower, double upper, bool training, Generator* generator) {
  check(lower <= upper, "Lower bound should be less than or equal to the upper bound");
  check_implemented(is_floating(input.dtype()), training ? "\"rrelu_with_noise_out_cpu\" not implemented for '" : "\"leaky_relu_cpu\" not implemented for '",
                    dtype_title(input.dtype()), "'");
  if (training) return rrelu_training(input, lower, upper, generator);
  return where(gt(input, Scalar(0)), input, input * Scalar((lower + upper) / 2));
}
Tensor run_rrelu(const Tensor& input, const Scalar& lower, const Scalar& upper, bool training, Generator* generator) {
  return rrelu(input, lower.to_double(), upper.to_double(), training, generator);
}
const Op rrelu_op{OpDef{.schema = "rrelu(Tensor input, Scalar lower=0.125, Scalar upper=0.3333333333333333, bool training=False, Generator? generator=None) -> Tensor",
                        .run = fn<run_rrelu>,
                        .on = Function,
                        .composite = true,
                        .doc = "x where it is positive, a x elsewhere: a is drawn from [lower, upper) for each element while training, and their mean otherwise."
        TABULA_EXAMPLE("torch.rrelu(torch.tensor([-24., 1.]))", "tensor([-5.5000,  1.0000])")}};
Tensor run_rrelu_(const Tensor& input, const Scalar& lower, const Scalar& upper, bool training, Generator* generator) {
  return copy_(input, run_rrelu(input, lower, upper, training, generator));
}
const Op rrelu_{OpDef{.schema = "rrelu_(Tensor input, Scalar lower=0.125, Scalar upper=0.3333333333333333, bool training=False, Generator? generator=None) -> Tensor",
                      .run = fn<run_rrelu_>,
                      .on = Function,
                      .composite = true,
    .doc =
        "In-place form of torch.rrelu: writes its result to the input itself and returns it."
        TABULA_EXAMPLE("torch.rrelu_(torch.tensor([-24., 1.]))", "tensor([-5.5000,  1.0000])")}};
Tensor run_rrelu_nn(const Tensor& input, double lower, double upper, bool training, bool inplace) {
  const Tensor result = rrelu(input, lower, upper, training, nullptr);
  return inplace ? copy_(input, result) : result;
}
const Op rrelu_nn{OpDef{.schema = "rrelu.nn(Tensor input, float lower=0.125, float upper=0.3333333333333333, bool training=False, bool inplace=False) -> Tensor",
                        .run = fn<run_rrelu_nn>,
                        .on = NN,
                        .composite = true,
    .doc =
        "Randomised leaky relu: negative elements times a slope drawn from lower ... upper, when not training "
        "their mean. Source: Xu et al., 2015."
        TABULA_EXAMPLE("torch.nn.functional.rrelu(torch.tensor([-24., 1.]))", "tensor([-5.5000,  1.0000])")}};

}  // namespace

}  // namespace tabula
